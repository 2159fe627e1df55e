"""Golden figures on real logs. CDNOW, Online Retail II and Berka are looked for in the folder that ULV_DATA names, or in the cache;
without them those tests skip, and say so."""
import os, subprocess, sys
from pathlib import Path
import pandas as pd
import pytest
from ulv_jax.data.datasets import BERKA, CDNOW, COMPLETE_JOURNEY, DATASETS, ONLINE_RETAIL_II, ONLINE_RETAIL_II_LIMITS, at_hand, berka, cdnow as read_cdnow, complete_journey, online_retail_ii
from ulv_jax.data.download import content_sha256
from ulv_jax.data.events import read_events
from ulv_jax.data.quality import clean, quality_report
from ulv_jax.data.rules import Limits
from ulv_jax.data.sufficiency import sufficiency
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

def need(name):
    if not at_hand(name): pytest.skip(f'{name} is not here: set ULV_DATA to the folder that holds it')

def test_facts_of_cdnow():
    need('cdnow')
    lines = read_cdnow()
    assert (len(lines), lines['customer_id'].nunique(), int(lines.duplicated().sum())) == (69_659, 23_570, 255)
    assert (str(lines['date'].min().date()), str(lines['date'].max().date())) == ('1997-01-01', '1998-06-30')
    assert (lines['dollar_value'] * 100).round().sum() == 250_031_563 and lines['number_of_cds'].sum() == 167_881
    assert lines.groupby('customer_id')['date'].min().max() < pd.Timestamp('1997-04-01')   # one cohort
    assert read_events(lines, **CDNOW).n_users == 23_570 and content_sha256(DATASETS['cdnow'].checked(lines)) == DATASETS['cdnow'].content

def test_facts_of_online_retail(capsys):
    need('online_retail_ii')
    lines = online_retail_ii()
    assert (len(lines), lines['Customer ID'].nunique(), lines['Invoice'].nunique()) == (1_067_370, 5_942, 53_628)
    assert (str(lines['InvoiceDate'].min()), str(lines['InvoiceDate'].max())) == ('2009-12-01 07:45:00', '2011-12-09 12:50:00')
    assert content_sha256(DATASETS['online_retail_ii'].checked(lines)) == DATASETS['online_retail_ii'].content
    assert len(online_retail_ii(overlap=False)) == 1_044_847 and '22,523 lines' in capsys.readouterr().out

def test_facts_of_berka():
    need('berka')
    lines = berka()
    first = lines[lines['date'] < '1994-04-01']   # the copy that is usually at hand ends there
    assert (len(first), first['account_id'].nunique(), str(first['date'].min().date()), str(first['date'].max().date())) == (49_102, 1_229, '1993-01-01', '1994-03-31')
    assert round(first['amount'].sum(), 2) == 315_486_449.80 and round(first['credit'].sum(), 2) == 177_366_296.30
    events = read_events(first, **BERKA)
    assert events.table.filter(events.table.event == 'prijem').count().execute() == 22_994 and content_sha256(DATASETS['berka'].checked(lines)) == DATASETS['berka'].content

@pytest.fixture(scope='module')
def wholesale():
    need('online_retail_ii')
    events = read_events(online_retail_ii(), **ONLINE_RETAIL_II)
    return events, quality_report(events, limits=Limits(**ONLINE_RETAIL_II_LIMITS))

def test_quality_of_online_retail_adds_up_to_the_row_and_the_cent(wholesale):
    events, report = wholesale
    lines = online_retail_ii()
    money = int((lines['Quantity'] * (lines['Price'] * 1000).round().astype('int64')).sum())   # prices have three decimals at most
    assert report.sums.loc['delivered', 'rows'] == sum(report.rows().values()) == report.table['counted'].sum() == len(lines) == 1_067_370
    assert round(report.sums.loc['delivered', 'value'] * 1000) == round(report.sums.loc[['set aside', 'repaired', 'kept'], 'value'].sum() * 1000) == round(report.table['counted_value'].sum() * 1000) == money == 19_287_232_568
    assert not report.sums.loc['difference', ['rows', 'value']].any()

def test_quality_of_online_retail_finds_what_is_known_of_it(wholesale):
    events, report = wholesale
    found, lines = report.table.set_index('rule'), online_retail_ii()
    assert found.loc['no user', 'rows'] == lines['Customer ID'].isna().sum() == 243_007
    assert found.loc['order marked as cancelled', 'rows'] == lines['Invoice'].str.startswith('C').sum() == 19_494
    assert 22_523 <= found.loc['order delivered again', 'rows'] <= 22_530   # the overlap, and a few orders that stand there twice by themselves
    assert found.loc['refund of a purchase', 'rows'] == found.loc['purchase refunded later', 'rows'] == 6_159
    assert [g.days for g in report.gaps.itertuples()] == [11, 4, 11, 4]   # two Christmases, two Easters
    tidy = clean(events, report)
    assert tidy.n_rows == report.rows()['kept'] and tidy.n_rows + len(tidy.quarantine()) == len(lines)

@pytest.mark.parametrize('name, load, columns, cutoff, horizon, missed', [
    ('cdnow', read_cdnow, CDNOW, '1998-01-01', '181D', {'the season': 'weak', 'behaviour to read': 'fail'}),
    ('online_retail_ii', online_retail_ii, ONLINE_RETAIL_II, '2011-09-10', '90D', {'frequency and spend are independent': 'weak', 'behaviour to read': 'fail', 'how few hold the money': 'weak'}),
    ('berka', berka, BERKA, '1994-01-01', '89D', {'the season': 'weak', 'who looks gone': 'fail'})], ids=['cdnow', 'online_retail_ii', 'berka'])
def test_sufficiency_tells_the_logs_apart(name, load, columns, cutoff, horizon, missed):
    need(name)
    asked = sufficiency(read_events(load(), **columns), cutoff, horizon)
    assert asked.verdict == 'pass' and asked.table[asked.table['verdict'] != 'pass'].set_index('check')['verdict'].to_dict() == missed

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
    from ulv_jax.models.train_step import Training
    model = LSTMForecaster(seed=3, n_hidden=16, training=Training(epochs=2))
    model.progress = False
    model.fit(training_snapshots(journey, '2017-10-01', '91D', n=2))
    here = model.predict(snapshot(journey, '2017-10-01', '91D', labels=False))
    save_forecaster(model, tmp_path/'model')
    subprocess.run([sys.executable, '-c', PREDICT, tmp_path/'model', tmp_path/'there.parquet'], check=True, capture_output=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path/'there.parquet'), here, check_exact=True)
