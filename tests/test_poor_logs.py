"Logs that tell little: the default ensemble and the prior give a forecast with an interval that admits it, or say in a sentence what is missing."
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.sufficiency import sufficiency
from ulv_jax.models.base import make_forecaster

START = pd.Timestamp('2023-01-01')

def log_of(rows): return pd.DataFrame([(f'u{u:03}', START + pd.Timedelta(days=float(d)), v) for u, d, v in rows], columns=['user_id', 'timestamp', 'value'])

def steady(n, days, spend, until=lambda user: np.inf):
    "Customers who come at random, each at a rate of his own."
    rng = np.random.default_rng(0)
    gaps = [(u, rng.uniform(0, min(days, 60)) + np.r_[0, np.cumsum(rng.exponential(g, 60))]) for u, g in enumerate(rng.gamma(2., 15., n))]
    return log_of([(u, d, spend(rng)) for u, when in gaps for d in when if d < min(days, until(u))])

def money(rng): return round(float(rng.gamma(3, 10)), 2)

CASES = {   # log, cutoff, horizon
    'one purchase each': (lambda: log_of([(u, 2*u % 300, 20 + u % 7) for u in range(150)]), '2023-07-01', '60D'),
    'all on one day': (lambda: log_of([(u, 100, 20 + u % 7) for u in range(150)]), '2023-05-01', '60D'),
    'one user': (lambda: log_of([(0, d, 40. + d % 9) for d in range(0, 400, 13)]), '2023-11-01', '60D'),
    'spend all equal': (lambda: steady(150, 400, lambda rng: 20.), '2023-11-01', '60D'),
    'zero variance': (lambda: log_of([(u, d, 20.) for u in range(150) for d in range(u % 30, 400, 30)]), '2023-11-01', '60D'),
    '30 days for a year': (lambda: steady(150, 30, money), '2023-01-30', '365D'),
    'a cohort that died': (lambda: pd.concat([steady(150, 120, money), log_of([(900, 400, 20.)])]), '2023-11-01', '60D')}

@pytest.mark.parametrize('model', ['prior', 'ensemble'])
@pytest.mark.parametrize('case', CASES)
def test_a_forecast_that_admits_what_it_does_not_know_or_a_sentence(case, model):
    make, cutoff, horizon = CASES[case]
    events = read_events(make())
    now = snapshot(events, cutoff, horizon, labels=False)
    try: f = make_forecaster(model).fit(training_snapshots(events, cutoff, horizon, rehearsals=model == 'ensemble')).predict(now)
    except DataError as e:
        assert case == 'all on one day' and 'the whole log stands on one day, 2023-04-11' in str(e), str(e)
        return
    assert case != 'all on one day'
    assert np.isfinite(f['ulv']).all() and (f['ulv'] >= 0).all() and f[['ulv_lo_90', 'ulv_hi_90']].notna().all().all()
    assert (f['ulv_lo_90'] <= f['ulv']).all() and (f['ulv'] <= f['ulv_hi_90']).all() and f['p_purchase'].between(0, 1).all()
    if case == 'one user': assert f['ulv_hi_90'].iloc[0] > 1.2*f['ulv'].iloc[0] and f['ulv_lo_90'].iloc[0] < .8*f['ulv'].iloc[0]   # one customer has shown what he did, not what he will do
    if case == 'a cohort that died': assert f['ulv'].mean() < 10   # of some 30 a purchase, two a month while they lived
    if case == '30 days for a year': assert (f['ulv_hi_90'] > 1.5*f['ulv']).mean() > .8
    if case == 'spend all equal': assert (f['ulv_hi_90'] > f['ulv']).mean() > .5

@pytest.mark.parametrize('case', [c for c in CASES if c not in ('spend all equal', 'zero variance')])
def test_the_gate_says_so(case):
    make, cutoff, horizon = CASES[case]
    found = sufficiency(read_events(make()), cutoff, horizon)
    assert found.verdict == 'fail' and 'NOT enough' in str(found)
