"""Golden figures on real logs. CDNOW and Online Retail II are looked for in the folder that ULV_DATA names
(cdnow_full.parquet, online_retail_ii.parquet); without it those tests skip, and say so."""
import os, subprocess, sys
from pathlib import Path
import pandas as pd
import pytest
from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.backtest import backtest
from ulv_jax.models.base import save_forecaster

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get('ULV_DATA', Path.home()/'.cache'/'ulv_jax'))
NAIVE = ('mean', 'persistence_rate', 'persistence_last')

def path(name):
    if not (FOLDER/name).exists(): pytest.skip(f'{name} is not here: set ULV_DATA to the folder that holds it')
    return FOLDER/name

def rows(result): return result.leaderboard.set_index('model')

@pytest.fixture(scope='module')
def cdnow():
    events = read_events(path('cdnow_full.parquet'), user_col='customer_id', time_col='date', value_col='dollar_value')
    return backtest(events, '1998-01-01', '181D', NAIVE, progress=False)

def test_cdnow_population_and_labels(cdnow):
    actual = cdnow.predictions.query('model == "mean"')['actual']
    assert len(actual) == 23_570
    assert round((actual == 0).mean(), 3) == .772 and round(actual.mean(), 2) == 20.20   # 20.20 is the MAE of forecasting 0 for everyone, too

def test_cdnow_persistence(cdnow):
    last, rate = rows(cdnow).loc['persistence_last'], rows(cdnow).loc['persistence_rate']
    assert round(last['mae'], 2) == 22.63 and last['gini'] == pytest.approx(.677, abs=1e-3) and last['spearman'] == pytest.approx(.389, abs=3e-3)
    assert rate['spearman'] == pytest.approx(.405, abs=1e-3) and rate['gini'] == pytest.approx(.737, abs=1e-3) and rate['bias_pct'] == pytest.approx(140, abs=1)

def test_cdnow_constant_forecast_ranks_nobody(cdnow):
    mean = rows(cdnow).loc['mean']
    assert mean[['gini', 'spearman']].abs().max() < 1e-9 and mean['auc'] == .5

def test_online_retail_with_a_formula_for_the_value():
    "Both sheets, of which the second repeats nine days of the first; refunds are negative quantities."
    lines = pd.read_parquet(path('online_retail_ii.parquet'))
    lines = lines[~((lines['sheet'] == 'Year 2009-2010') & (lines['InvoiceDate'] >= '2010-12-01'))]
    events = read_events(lines, user_col='Customer ID', time_col='InvoiceDate', value_col='Quantity * Price', item_col='StockCode', order_col='Invoice')
    assert events.n_rows + len(events.quarantine()) == len(lines)
    result = backtest(events, '2011-09-10', '90D', NAIVE, progress=False)
    actual = result.predictions.query('model == "mean"')['actual']
    assert 5_250 < len(actual) < 5_300 and .55 < (actual == 0).mean() < .59 and rows(result).loc['persistence_rate', 'gini'] > .8

@pytest.fixture(scope='module')
def journey(): return read_events(complete_journey(), **COMPLETE_JOURNEY)

def test_groceries_of_the_demo(journey):
    result = backtest(journey, '2017-10-01', '91D', NAIVE, progress=False)
    assert (rows(result)['gini'] > [-1e-9, .83, .84]).all()
    assert result.predictions.groupby('model')['user'].nunique().eq(2_446).all()

PREDICT = """
import sys
from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot
from ulv_jax.models.base import load_forecaster
now = snapshot(read_events(complete_journey(), **COMPLETE_JOURNEY), '2017-10-01', '91D', labels=False)
load_forecaster(sys.argv[1]).predict(now).to_parquet(sys.argv[2])
"""

def test_network_is_the_same_in_another_process(journey, tmp_path):
    "Fitted here, saved, loaded and used by a fresh interpreter: the same bits."
    from ulv_jax.models.lstm import LSTMForecaster
    from ulv_jax.models.training import Training
    model = LSTMForecaster(seed=3, n_hidden=16, training=Training(epochs=2))
    model.progress = False
    model.fit(training_snapshots(journey, '2017-10-01', '91D', n=2))
    here = model.predict(snapshot(journey, '2017-10-01', '91D', labels=False))
    save_forecaster(model, tmp_path/'model')
    subprocess.run([sys.executable, '-c', PREDICT, tmp_path/'model', tmp_path/'there.parquet'], check=True, capture_output=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path/'there.parquet'), here, check_exact=True)
