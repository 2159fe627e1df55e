"What speaks against a fit is said wherever the fit is used: a shop that the prior does not know, from the command line."
import json
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner
from ulv_jax.cli import app

SAID = 'the shop is unlike the simulated ones that it learnt from: '

@pytest.fixture(scope='module')
def subscriptions(tmp_path_factory):
    "Who joins pays on that day of each month: a shop of another world."
    rng, start = np.random.default_rng(0), pd.Timestamp('2024-01-01')
    who = [(u, rng.integers(0, 270), rng.geometric(.05), rng.choice([10., 20., 50.])) for u in range(300)]
    rows = [(u, start + pd.Timedelta(days=int(first)) + pd.DateOffset(months=m), price) for u, first, stays, price in who for m in range(min(stays, 11))]
    path = tmp_path_factory.mktemp('log')/'log.csv'
    pd.DataFrame(rows, columns=['user_id', 'timestamp', 'value']).to_csv(path, index=False)
    return path

def ulv(*args):
    found = CliRunner().invoke(app, [str(a) for a in args])
    assert found.exit_code == 0, found.output
    return found.output

def test_a_fit_and_each_of_its_forecasts_say_so(subscriptions, tmp_path):
    fitted = ulv('fit', subscriptions, '--model', 'prior', '--cutoff', '2024-10-01', '--horizon', '91D', '--out', tmp_path/'b')
    used = [ulv('predict', subscriptions, '--bundle', tmp_path/'b', '--cutoff', '2024-10-01', '--out', tmp_path/out) for out in ('f.csv', 'parts')]
    for said in (fitted, *used): assert f'prior was fitted, but {SAID}share who buy like a clock' in said
    assert SAID not in ulv('fit', subscriptions, '--model', 'persistence_rate', '--cutoff', '2024-10-01', '--horizon', '91D', '--out', tmp_path/'c')

def test_of_an_ensemble_it_is_said_which_member(subscriptions):
    from ulv_jax.data.events import read_events
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    from ulv_jax.evaluation.backtest import reasons_of
    from ulv_jax.ensemble.stacking import Ensemble
    model = Ensemble(members=('pareto_nbd', 'prior'))
    model.fit(training_snapshots(read_events(subscriptions), '2024-10-01', '60D', n=2))
    assert SAID in reasons_of({'ensemble': model})['prior in ensemble'][0]
    now = snapshot(read_events(subscriptions), '2024-10-01', '60D', labels=False)
    table = model.interval_.distribution(model.predict(now)['ulv'].to_numpy())
    np.testing.assert_array_equal(model.quantiles(now), table)   # half of the prior's shapes would be of another world

def test_a_backtest_of_several_dates_says_when(subscriptions, tmp_path):
    asked = 'backtest', subscriptions, '--horizon', '60D', '--models', 'mean,prior', '--quiet', '--out', tmp_path
    at_one = ulv(*asked, '--cutoff', '2024-09-01')
    assert f'prior was fitted, but {SAID}' in at_one
    assert SAID in json.loads((tmp_path/'run.json').read_text())['reasons']['prior'][0] and SAID in (tmp_path/'report.html').read_text()
    said = ulv(*asked, '--cutoff', '2024-09-01', '--origins', 2)
    told = json.loads((tmp_path/'reasons.json').read_text())
    assert [t['cutoff'][:10] for t in told if t['model'] == 'prior'] == ['2024-07-03', '2024-09-01']
    assert f'prior was fitted at 2024-09-01 over 60 days, but {SAID}' in said
    page = (tmp_path/'standings.html').read_text()
    assert '<h2>Fitted, but</h2>' in page and SAID in page
