"""Batches at the lengths of real logs, and at a million users. CDNOW and Online Retail II are looked for in the folder that ULV_DATA names."""
import tracemalloc
import numpy as np
import pytest
from ulv_jax.data.batches import batches, count_batches, pack, padding
from ulv_jax.data.datasets import CDNOW, COMPLETE_JOURNEY, ONLINE_RETAIL_II, at_hand, cdnow, complete_journey, online_retail_ii
from ulv_jax.data.events import read_events
from ulv_jax.data.features import rfm
from ulv_jax.data.sequences import sequences
from ulv_jax.data.stream import Stream
import pandas as pd

def shop(name):
    if name == 'complete_journey': return read_events(complete_journey(), **COMPLETE_JOURNEY), '2017-10-01'
    if not at_hand(name): pytest.skip(f'{name} is not here: set ULV_DATA to the folder that holds it')
    return (read_events(cdnow(), **CDNOW), '1998-01-01') if name == 'cdnow' else (read_events(online_retail_ii(), **ONLINE_RETAIL_II), '2011-09-10')

@pytest.mark.parametrize('name, users', [('complete_journey', 2_446), ('cdnow', 23_570), ('online_retail_ii', 5_200)])
def test_padding_of_real_lengths(name, users):
    events, cutoff = shop(name)
    known = rfm(events, pd.Timestamp(cutoff), pd.Timedelta(days=90))
    steps = sequences(events, pd.Timestamp(cutoff), known.index)
    made = list(batches(steps.values, steps.offsets, 64, 64, seed=(0, 0), even=True))
    assert len(steps) >= users and pack(steps.lengths, 64).padding < .005 and padding(made) < .05
    assert len({b.reset.shape for b in made}) == 1 and sum(int(b.weight.sum()) for b in made) == len(steps)
    steps_seen = sum(int((b.segment > 0).sum()) for b in made)
    assert steps_seen == len(steps.values) and sum(int(b.reset.sum()) for b in made) == len(steps)

def test_a_million_users_take_memory_of_a_few_numbers_each():
    "Beside the steps themselves, which lie flat in memory once, a batch needs where each user lies."
    lengths = np.minimum(np.random.default_rng(0).geometric(.1, 1_000_000), 64)
    offsets = np.concatenate([[0], lengths.cumsum()])
    x = np.zeros((offsets[-1], 4), np.float32)
    tracemalloc.start()
    made = batches(x, offsets, 64, 64, seed=1)
    first = next(made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6 < x.nbytes and pack(lengths, 64).padding < .001
    again = Stream(x, offsets, 64, 64, seed=1, batch=count_batches(offsets, 64, 64) - 2)
    assert len(list(again)) == 2 and first.x.shape == (64, 64, 4)
