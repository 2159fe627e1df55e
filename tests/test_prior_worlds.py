"The range of the worlds that is kept with the weights, what is said about shops, and answers that agree with each other."
import json
from dataclasses import replace
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot
from ulv_jax.models.base import load_forecaster, save_forecaster
from ulv_jax.models.prior import ULVPrior
from ulv_jax.models.prior_shop import package_about, package_weights
from ulv_jax.models.prior_network import fingerprint
from ulv_jax.models.prior_training import seen_limits
from ulv_jax.models.signs import SIGNS
from ulv_jax.models.worlds import draw_worlds

START, CUTOFF = pd.Timestamp('2023-01-01'), '2024-01-01'

def rows(n=300, days=470, seed=0):
    rng, found = np.random.default_rng(seed), []
    for user in range(n):
        first, rate, life = rng.integers(0, 250), rng.gamma(1, 1/30), rng.exponential(300)
        at = first + np.r_[0, np.cumsum(1 + rng.exponential(1/max(rate, 1e-4), 60))]
        found += [(user, START + pd.Timedelta(days=int(d)), 1 + rng.gamma(2, 15)) for d in at if d < min(days, first + life)]
    return pd.DataFrame(found, columns=['user_id', 'timestamp', 'value'])

@pytest.fixture(scope='module')
def now(): return snapshot(read_events(rows()), CUTOFF, '91D')

@pytest.fixture(scope='module')
def model(now): return ULVPrior().fit([now])

def test_the_limits_of_the_signs_are_those_of_the_worlds():
    "Drawn again, fewer and with another seed: the range lies inside, and fills most of it."
    kept, again = package_weights()['limits'][:, -len(SIGNS):], seen_limits(draw_worlds(150, 384, seed=11))[:, -len(SIGNS):]
    wide = kept[1] - kept[0]
    assert (again[0] >= kept[0] - .35*wide).all() and (again[1] <= kept[1] + .35*wide).all()
    assert ((again[1] - again[0]) > .4*wide).all()

def test_a_model_that_was_saved_before_is_the_same(model, now, tmp_path):
    "By a version that named the weights after their file, and kept no signs."
    folder = save_forecaster(model, tmp_path/'prior')
    head = json.loads((folder/'model.json').read_text())
    assert head['state']['weights'] == fingerprint(package_weights()) == package_about()['fingerprint']
    head['state']['weights'] = '49be5d20099a0fb0'
    (folder/'model.json').write_text(json.dumps(head))
    save_file({k: v for k, v in load_file(folder/'weights.safetensors').items() if not k.endswith('_signs')}, folder/'weights.safetensors')
    old = load_forecaster(folder)
    pd.testing.assert_frame_equal(old.predict(now), model.predict(now), check_exact=True)
    assert old.strange_ == [] == model.strange_

@pytest.mark.parametrize('few, more', [(7, 10), (10, 23), (23, 30), (30, 91), (91, 182), (182, 300), (300, 365)])
def test_more_days_bring_no_less(model, now, few, more):
    said = [model.predict(replace(now, horizon=pd.Timedelta(days=d), labels=None)) for d in (few, more)]
    for k in ('ulv', 'p_purchase', 'expected_purchases', 'ulv_lo_90', 'ulv_hi_90'): assert (said[0][k] <= said[1][k]*(1 + 1e-9)).all(), k
    for f in said:
        assert (f['p_purchase'] <= f['expected_purchases']).all() and (f['ulv'] <= f['ulv_hi_90']).all()
        np.testing.assert_allclose(f['expected_purchases']*f['expected_spend'], f['ulv'])

def test_an_interval_of_somebody_who_may_buy_reaches_a_purchase():
    "All came on one day: a shop that nobody has seen."
    log = pd.DataFrame({'user_id': np.arange(250), 'timestamp': pd.Timestamp('2023-06-01'), 'value': np.random.default_rng(0).gamma(2, 15, 250)})
    shop = snapshot(read_events(log), '2023-06-02', '91D', labels=False)
    prior = ULVPrior().fit_to(shop); f = prior.predict(shop)
    open_ = f['p_purchase'] > .1
    reach = f['ulv_hi_90']/f['ulv']   # before, most ended at their own mean
    assert open_.all() and (reach > 1).all() and (reach > 1.5).mean() > .8 and prior.strange_
    for sentence in prior.strange_: assert (', below ' in sentence) != (', above ' in sentence)
