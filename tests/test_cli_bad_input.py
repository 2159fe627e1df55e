"Input that cannot be used ends with one sentence and exit code 2: no traceback, nothing half-written."
import subprocess, sys
from pathlib import Path
import numpy as np
import pandas as pd
import pytest

ULV = Path(sys.executable).parent/'ulv'
RNG = np.random.default_rng(0)
LOG = pd.DataFrame({'customer': RNG.integers(0, 40, 600), 'when': pd.Timestamp('2023-01-01') + pd.to_timedelta(RNG.integers(0, 365, 600), 'D'), 'paid': RNG.gamma(2, 10, 600).round(2)})
TEXT = LOG.assign(when=LOG['when'].dt.strftime('%Y-%m-%d'))

def odd(**columns):
    "The log with the first three cells of some columns replaced."
    frame = TEXT.copy()
    for name, values in columns.items():
        frame[name] = frame[name].astype(object)
        frame.loc[:len(values) - 1, name] = values
    return frame

def backtest(log, folder, *options, cutoff='2023-09-01', horizon='60D', user='customer'):
    "Run the real command on a CSV file; the finished process."
    path = log if isinstance(log, str) else folder/'log.csv'
    if not isinstance(log, str): log.to_csv(path, index=False)
    return subprocess.run([ULV, 'backtest', str(path), '--user-col', user, '--time-col', 'when', '--value-col', 'paid', '--cutoff', cutoff, '--horizon', horizon,
                           '--models', 'mean', '--quiet', '--out', str(folder/'out'), *options], capture_output=True, text=True, stdin=subprocess.DEVNULL)

def files(folder): return sorted(p.name for p in folder.rglob('*') if p.name != 'log.csv')

CASES = {
    'missing column': (TEXT, dict(user='custmer'), ["'custmer'", "'customer'"]),
    'dates that are none': (odd(when=['yesterday', '32.13.2023', 'n/a']), {}, ['3 of 600', 'yesterday', '32.13.2023', 'n/a']),
    'no purchase before the cutoff': (TEXT, dict(cutoff='2022-06-01'), ['no purchase', '2022-06-01']),
    'empty file': (TEXT.iloc[:0], {}, ['no row']),
    'horizon past the data': (TEXT, dict(cutoff='2023-12-01'), ['2024-01-30', 'days past the data']),
    'value of text': (odd(paid=['12,50 EUR', 'free', '7']), {}, ["'paid'", '12,50 EUR']),
    'mixed zones': (odd(when=['2023-01-01T10:00:00+01:00', '2023-01-02T10:00:00+02:00', '2023-01-03T10:00:00Z']), {}, ['zone']),
    'several currencies': (TEXT.assign(money=['EUR', 'USD']*300), {}, ["'money'", 'EUR in 300 rows', 'USD in 300 rows'], '--currency-col', 'money'),
    'no such time zone': (TEXT, {}, ["'Europe/Berln'", 'Europe/Berlin'], '--time-zone', 'Europe/Berln'),
    'two columns of one name': (TEXT.assign(again=1.).rename(columns={'again': 'paid'}), {}, ["'paid'", '2 times']),
    'type that changes half-way': (odd(paid=['9.5']).loc[np.arange(31_000) % 600].reset_index(drop=True).assign(paid=lambda f: f['paid'].where(f.index != 30_000, 'n/a')), {}, ["1 of 31000 values in column 'paid'", "'n/a'"]),
    'no such path': ('nowhere/log.parquet', {}, ['nowhere/log.parquet']),
    'no such model': (TEXT, {}, ["'pareto'"], '--models', 'pareto'),
    'cutoff that is no date': (TEXT, dict(cutoff='soon'), ["'soon'"]),
    'horizon that is no length': (TEXT, dict(horizon='2 months'), ['2 months']),
}

@pytest.mark.parametrize('case', CASES)
def test_bad_input_is_one_sentence(case, tmp_path):
    log, how, words, *options = CASES[case]
    done = backtest(log, tmp_path, *options, **how)
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'Traceback' not in done.stderr and done.stderr.startswith('ulv: ') and done.stderr.count('\n') == 1, done.stderr
    for word in words: assert word in done.stderr, done.stderr
    assert files(tmp_path) == []

def test_file_that_is_not_what_its_name_says(tmp_path):
    broken = tmp_path/'log.parquet'
    broken.write_bytes(b'PAR1 cut short')
    done = backtest(str(broken), tmp_path)
    assert done.returncode == 2 and 'Traceback' not in done.stderr and 'log.parquet' in done.stderr, done.stderr

def test_good_input_keeps_the_contract(tmp_path):
    "The files, their columns and the population that other programs rely on."
    done = backtest(TEXT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert {'leaderboard.json', 'predictions.parquet', 'report.html', 'run.json', 'quality.json'} <= set(files(tmp_path))
    rows = pd.read_json(tmp_path/'out'/'leaderboard.json')
    assert list(rows) == ['model', 'mae', 'rmse', 'spearman', 'gini', 'decile_mape', 'top10_capture', 'bias_pct', 'auc', 'fit_seconds', 'predict_seconds']
    told = pd.read_parquet(tmp_path/'out'/'predictions.parquet')
    before = LOG[LOG['when'] < '2023-09-01']
    after = LOG[(LOG['when'] >= '2023-09-01') & (LOG['when'] < '2023-10-31')].groupby('customer')['paid'].sum()
    assert sorted(told['user']) == sorted(before['customer'].unique())
    np.testing.assert_allclose(told.set_index('user')['actual'], after.reindex(told['user']).fillna(0))

@pytest.mark.parametrize('command', ['demo', 'backtest', 'fit', 'predict', 'report'])
def test_help_is_a_page_of_a_manual(command):
    done = subprocess.run([ULV, command, '--help'], capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout) > 500 and 'Usage' in done.stdout
