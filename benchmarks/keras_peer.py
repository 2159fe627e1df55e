"""The network of `recurrent.py` in Keras 3, under the backend that KERAS_BACKEND names: `recurrent.py` takes the fastest of them.

    pip install keras tensorflow
"""
import os
import numpy as np

BACKENDS = ('tensorflow', 'jax')   # torch walks the steps one by one in Python: a training step took 25 times as long

def use_threads(n):
    if os.environ['KERAS_BACKEND'] == 'tensorflow':
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(n); tf.config.threading.set_inter_op_parallelism_threads(1)
    if os.environ['KERAS_BACKEND'] == 'torch': import torch; torch.set_num_threads(n)

def keras_network(d, h, layers, steps=None):
    "Padding is all zeros, and skipped as Keras does it: by a mask."
    import keras
    x = at = keras.Input((steps, d))
    mask = None if steps else keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)
    at = keras.layers.Dense(h, use_bias=False)(at)
    for k in range(layers): at = keras.layers.LSTM(h, return_sequences=k + 1 < layers)(at, mask=mask)
    at = keras.layers.Dense(2)(keras.layers.Dense(h, activation='sigmoid')(at))
    model = keras.Model(x, at)
    def loss(y, a): return keras.ops.mean((a[:, 0] - y[:, 0])**2 + keras.ops.binary_crossentropy(y[:, 1], a[:, 1], from_logits=True))
    model.compile(optimizer=keras.optimizers.AdamW(1e-3, weight_decay=1e-3, global_clipnorm=1.), loss=loss)
    return model

def padded_to(n, padded):
    "As many steps as the next multiple of 8: a backend that compiles does so for a few shapes only."
    more = -padded.shape[1] % n
    return np.pad(padded, ((0, 0), (0, more), (0, 0)))
