"What must hold for every network that reads sequences, whatever is inside it; the one of features alone reads sequences of one step."
from functools import cache
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx
from hypothesis import given, settings, strategies as st
from ulv_jax.data.batches import batches
from ulv_jax.data.errors import DataError
from ulv_jax.models.attention import days_between
from ulv_jax.models.base import load_forecaster, make_forecaster, save_forecaster
from ulv_jax.models.train_step import Training

COUNT = {'lstm': 1210, 'gru': 938, 'rnn': 394, 'cnn': 1722, 'attention': 1546, 'attention with gaps': 1590, 'lstm_attention': 1466, 'mlp_features': 202}   # weights of 4 fields, width 8
FIELDS, LENGTHS = 4, (5, 1, 3, 8, 2)
CLOSE = dict(rtol=1e-5, atol=2e-6)
every_network = pytest.mark.parametrize('name', COUNT)
every_memory = pytest.mark.parametrize('name', [n for n in COUNT if n != 'mlp_features'])

def family(name): return type(make_forecaster(name.removesuffix(' with gaps')))
def own(name): return dict(gaps=True) if name.endswith(' with gaps') else {}

@cache
def network(name):
    net = family(name).network(FIELDS, 8, **own(name), rngs=nnx.Rngs(0)); net.eval()
    return net

@cache
def compiled(name): return nnx.jit(lambda net, *batch: net(*batch))

def steps_of(lengths, seed=0):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return np.random.default_rng(seed).normal(size=(offsets[-1], FIELDS)).astype(np.float32), offsets

def answers(name, steps, offsets, row_length=8, n_rows=2, seed=None):
    "Answers [user, 2] in the order of the users, whatever the packing."
    out = np.full((len(offsets) - 1, 2), np.nan, np.float32)
    for b in batches(steps, offsets, row_length, n_rows, seed):
        a = np.asarray(compiled(name)(network(name), *map(jnp.asarray, b[:4])))
        out[b.user[b.weight > 0]] = a[b.weight > 0]
    assert np.isfinite(out).all()
    return out

def alone(name, steps, offsets):
    "Each user in a row of his own length, without padding or neighbour, not compiled."
    def one(x): return network(name)(jnp.asarray(x)[None], (jnp.arange(len(x)) == 0)[None], jnp.zeros(1, jnp.int32), jnp.array([len(x) - 1], jnp.int32))[0]
    return np.stack([one(steps[a:b]) for a, b in zip(offsets, offsets[1:])])

@every_network
def test_packing_padding_and_compiling_change_nothing(name):
    steps, offsets = steps_of(LENGTHS)
    expected = alone(name, steps, offsets)
    for row_length, n_rows, seed in ((8, 2, None), (8, 3, 1), (19, 1, None), (13, 7, 2)):
        np.testing.assert_allclose(answers(name, steps, offsets, row_length, n_rows, seed), expected, **CLOSE)

@every_network
@settings(max_examples=15, deadline=None, database=None)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_any_users_may_share_a_row(name, lengths, seed):
    steps, offsets = steps_of(lengths, seed)
    apart = np.zeros((8, 8, FIELDS), np.float32)   # one user a row, so that one program serves every example
    for i, (a, b) in enumerate(zip(offsets, offsets[1:])): apart[i, :b-a] = steps[a:b]
    row, column = (np.resize(np.asarray(v, np.int32), 8) for v in (range(len(lengths)), np.array(lengths) - 1))
    expected = compiled(name)(network(name), jnp.asarray(apart), jnp.zeros((8, 8), bool).at[:, 0].set(True), jnp.asarray(row), jnp.asarray(column))
    np.testing.assert_allclose(answers(name, steps, offsets, 8, 8, seed), expected[:len(lengths)], **CLOSE)

@every_network
def test_order_of_users_changes_nothing(name):
    steps, offsets = steps_of(LENGTHS)
    order = np.array([3, 0, 4, 2, 1])
    moved = np.concatenate([steps[offsets[u]:offsets[u+1]] for u in order])
    there = answers(name, moved, np.concatenate([[0], np.cumsum(np.array(LENGTHS)[order])]))
    np.testing.assert_allclose(there, answers(name, steps, offsets)[order], **CLOSE)

@every_network
def test_a_neighbour_changes_no_bit(name):
    "Of the user before or behind him in the row, neither number nor length reaches a user; not even a gigantic number."
    net, x = network(name), jax.random.normal(jax.random.key(0), (1, 12, FIELDS))
    reset = jnp.zeros((1, 12), bool).at[0, jnp.array([0, 4, 9])].set(True)
    near = net.states(x, reset)
    for changed in (x.at[:, :4].add(1e6), x.at[:, 9:].add(1e6)):
        assert (net.states(changed, reset)[:, 4:9] == near[:, 4:9]).all()
    assert (net.states(x, reset.at[0, 2].set(True))[:, 4:9] == near[:, 4:9]).all()   # the four steps before are two users'

@every_memory
@pytest.mark.parametrize('at', [0, 3, 7])
def test_a_later_event_changes_no_earlier_state(name, at):
    net, x = network(name), jax.random.normal(jax.random.key(0), (3, 8, FIELDS))
    reset = jnp.zeros((3, 8), bool).at[:, 0].set(True)
    before, after = net.states(x, reset), net.states(x.at[:, at].add(1.), reset)
    assert (before[:, :at] == after[:, :at]).all() and (before[:, at] != after[:, at]).any(-1).all()
    assert (before[:, 7] != after[:, 7]).any(-1).all()   # and it is remembered to the end

def test_features_have_no_history():
    "What is said of one step reaches no other, before or behind."
    net, x = network('mlp_features'), jax.random.normal(jax.random.key(0), (3, 8, FIELDS))
    reset = jnp.zeros((3, 8), bool).at[:, 0].set(True)
    changed = (net.states(x, reset) != net.states(x.at[:, 3].add(1.), reset)).any(-1)
    assert (changed == (jnp.arange(8) == 3)).all()

@every_network
@pytest.mark.parametrize('scale', [0., 1., 6.])   # inputs are clipped at 6 spreads
def test_gradients_are_finite(name, scale):
    b = next(batches(*steps_of(LENGTHS), 8, 4))
    total = nnx.grad(lambda net, x: jnp.square(net(x, *map(jnp.asarray, b[1:4]))).sum())
    gradients = jax.tree.leaves(total(network(name), jnp.asarray(np.clip(b.x*1e3, -scale, scale))))
    assert all(jnp.isfinite(g).all() for g in gradients)
    if scale: assert all((g != 0).any() for g in gradients)   # no weight is out of reach of training

@every_network
def test_number_of_weights(name):
    assert sum(p.size for p in jax.tree.leaves(nnx.state(network(name), nnx.Param))) == COUNT[name]

@every_network
def test_dropout_only_in_training(name):
    net = family(name).network(FIELDS, 8, dropout=.5, **own(name), rngs=nnx.Rngs(0)); x = jnp.ones((1, 4, FIELDS)); reset = (jnp.arange(4) == 0)[None]
    net.train(); assert (net.states(x, reset) != net.states(x, reset)).any()
    net.eval(); assert (net.states(x, reset) == net.states(x, reset)).all()

def small(name, seed=0):
    model = family(name)(seed, training=Training(epochs=2, n_rows=8), n_hidden=8, **own(name))
    model.progress = False
    return model

@every_network
def test_forecaster_repeats_itself_and_survives_a_file(name, shop, tmp_path):
    learn, now = shop
    model = small(name).fit(learn)
    forecast = model.predict(now)
    assert list(forecast.index) == list(now.rfm.index) and (forecast['ulv'] >= 0).all() and forecast['p_purchase'].between(0, 1).all()
    loaded = load_forecaster(save_forecaster(model, tmp_path))
    assert type(loaded) is type(model) and loaded.settings == model.settings
    for again in (loaded, small(name).fit(learn)): pd.testing.assert_frame_equal(again.predict(now), forecast, check_exact=True)
    assert (small(name, 1).fit(learn).predict(now)['ulv'] != forecast['ulv']).any()

@pytest.mark.parametrize('name', [n for n in COUNT if n != 'lstm'])
def test_unknown_setting_is_named(name):
    with pytest.raises(DataError, match="no setting 'n_hiden'.*did you mean n_hidden"): family(name)(n_hiden=8)

def test_gaps_are_in_the_days_of_the_log(shop):
    "The clock that attention reads is the one that the steps were standardised with; a first look at gaps moves their weights."
    learn, now = shop
    model = small('attention with gaps').fit(learn)
    np.testing.assert_array_equal(model.network_.clock[...], [model.inputs_.mean[1], model.inputs_.scale[1]])
    s = now.sequences
    a, b = s.offsets[:2]
    days = days_between(jnp.asarray(model.inputs_(s)[a:b])[None], model.network_.clock[...])[0]
    np.testing.assert_allclose(days[-1], (s.minute[b-1] - s.minute[a:b])/1440, atol=.05)
    assert (model.network_.gaps.weight[...] != 0).any()
