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
    'value of text': (odd(paid=['12,50 EUR', 'free', '7']*20), {}, ["40 of 600 values in column 'paid'", '12,50 EUR', '6.67 %']),
    'mixed zones': (odd(when=['2023-01-01T10:00:00+01:00', '2023-01-02T10:00:00+02:00', '2023-01-03T10:00:00Z']), {}, ['zone']),
    'several currencies': (TEXT.assign(money=['EUR', 'USD']*300), {}, ["'money'", 'EUR in 300 rows', 'USD in 300 rows'], '--currency-col', 'money'),
    'no such time zone': (TEXT, {}, ["'Europe/Berln'", 'Europe/Berlin'], '--time-zone', 'Europe/Berln'),
    'two columns of one name': (TEXT.assign(again=1.).rename(columns={'again': 'paid'}), {}, ["'paid'", '2 times']),
    'type that changes half-way': (odd(paid=['9.5']).loc[np.arange(31_000) % 600].reset_index(drop=True).assign(paid=lambda f: f['paid'].where(f.index < 29_000, 'n/a')), {}, ["2000 of 31000 values in column 'paid'", "'n/a'"]),
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

SETTINGS = {
    'no such setting': ('gru', 'width=32', ["'gru' has no setting 'width'", 'head, static, names, members, n_hidden, n_layers, dropout, epochs']),
    'a name that is nearly right': ('gru', 'n_hiden=32', ['did you mean n_hidden?']),
    'no value': ('gru', 'head', ['write a name and a value, as head=process']),
    'a word for a number': ('gru', 'n_hidden=wide', ['--set n_hidden=wide', 'a whole number of at least 1']),
    'half a layer': ('gru', 'n_layers=1.5', ['a whole number of at least 1']),
    'no row': ('gru', 'n_rows=0', ['a whole number of at least 1']),
    'a share of all': ('gru', 'dropout=1', ['a number from 0 to below 1']),
    'a rate that is none': ('gru', 'learning_rate=nan', ['a number from 0 on']),
    'a maybe': ('gru', 'static=maybe', ['true or false']),
    'names of nothing': ('gru', 'names=colour', ['item, category']),
    'no such head': ('gru', 'head=proces', ["no head is called 'proces'", 'did you mean process?']),
    'a head without a mean': ('gru', 'head=quantiles', ['says nothing of the mean value']),
    'heads that do not divide the width': ('attention', 'n_heads=5', ['n_hidden is 64, which 5 heads cannot share evenly']),
    'no such precision': ('gru', 'precision=half', ['float32, bfloat16']),
    'a family without settings': ('pareto_nbd', 'head=process', ["'pareto_nbd' takes no settings"]),
    'too far on the way': ('prior_tuned', 'share=2', ['share is 2', 'between 0, the prior, and 1']),
    'another model': ('gru', 'lstm.head=process', ["'lstm' is not among the models asked for, gru"]),
    'nobody': ('gru', '.head=process', ["'' is not among the models asked for"]),
}

OF_SEVERAL = {   # several models are asked for
    'whose': ('lightgbm,gru,lstm', 'head=process', ['several models are asked for', 'as --set gru.head=process']),
    'nobody can': ('mean,lightgbm', 'head=process', ['none of them takes settings, mean, lightgbm']),
    'another of several': ('mean,gru', 'lstm.head=process', ["'lstm' is not among the models asked for, mean, gru"]),
    'a name that is nearly right, of one': ('mean,gru', 'gur.head=process', ['did you mean gru?']),
    'a setting that is nearly right': ('mean,gru', 'gru.n_hiden=32', ["'gru' has no setting 'n_hiden'", 'did you mean n_hidden?']),
    'no value, of one': ('mean,gru', 'gru.head', ['write a name and a value, as gru.head=process']),
    'a word for a number, of one': ('mean,gru', 'gru.n_hidden=wide', ['a whole number of at least 1']),
    'no such head, of one': ('mean,gru', 'gru.head=proces', ['did you mean process?']),
    'a family without settings, of one': ('mean,gru', 'mean.head=process', ["'mean' takes no settings"]),
    'a model that is none': ('mean,grru', 'head=process', ["no model is called 'grru'"]),
}

def test_settings_that_cannot_be_are_one_sentence_each(tmp_path):
    "In one process, since each imports JAX; the log is not read, so it need not be there."
    from typer.testing import CliRunner
    from ulv_jax.cli import app
    fit, judge = ['fit', 'nowhere.csv', '--horizon', '60D', '--model'], ['backtest', 'nowhere.csv', '--cutoff', '2023-09-01', '--horizon', '60D', '--models']
    for command, case, (model, given, words) in [(c, k, what) for c, cases in ((fit, SETTINGS), (judge, SETTINGS | OF_SEVERAL)) for k, what in cases.items()]:
        done = CliRunner().invoke(app, [*command, model, '--out', str(tmp_path/'out'), '--set', given])
        assert done.exit_code == 2 and done.stderr.startswith('ulv: ') and done.stderr.count('\n') == 1, (case, done.output)
        for word in words: assert word in done.stderr, (case, done.stderr)
    assert files(tmp_path) == []

def test_what_is_set_is_in_the_bundle(tmp_path):
    TEXT.to_csv(tmp_path/'log.csv', index=False)
    done = subprocess.run([ULV, 'fit', str(tmp_path/'log.csv'), '--user-col', 'customer', '--time-col', 'when', '--value-col', 'paid', '--horizon', '60D', '--model', 'gru', '--anyway', '--out', str(tmp_path/'b'),
                           '--set', 'head=process', '--set', 'n_hidden=8', '--set', 'epochs=2', '--set', 'static=true'], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    from ulv_jax.serving.bundle import read_bundle
    model = read_bundle(tmp_path/'b').model
    assert (model.head.name, model.settings['n_hidden'], model.training.epochs, model.static) == ('process', 8, 2, True) and not (tmp_path/'b-unfinished').exists()

@pytest.mark.parametrize('origins', (1, 2))
def test_what_is_set_is_what_is_judged(origins, tmp_path):
    "The same forecasts as those of the network so made in Python; another setting is another forecast, also in the same folder."
    def forecasts(*given):
        done = backtest(TEXT, tmp_path, '--models', 'mean,gru', '--origins', str(origins), *given)
        assert done.returncode == 0, done.stderr
        if origins == 1: return pd.read_parquet(tmp_path/'out'/'predictions.parquet').query('model == "gru"')['ulv'].to_numpy()
        return {f: pd.read_parquet(f)['ulv'].to_numpy() for f in (tmp_path/'out'/'forecasts').glob('2023-09-01*_gru_*.parquet')}
    small = ['--set', 'gru.head=process', '--set', 'gru.n_hidden=8', '--set', 'gru.epochs=2']
    from ulv_jax.data.events import read_events
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    from ulv_jax.models.base import make_forecaster
    events = read_events(LOG, user_col='customer', time_col='when', value_col='paid')
    model = make_forecaster('gru', head='process', n_hidden=8, epochs=2)
    expected = model.fit(training_snapshots(events, '2023-09-01', '60D')).predict(snapshot(events, '2023-09-01', '60D'))['ulv'].to_numpy()
    found = forecasts(*small)
    if origins == 1: return np.testing.assert_allclose(found, expected, rtol=1e-6)   # this process may have fewer devices, which add in another order
    assert len(found) == 1; np.testing.assert_allclose(*found.values(), expected, rtol=1e-6)
    assert len(forecasts(*small)) == 1 and len(forecasts(*small[:-1], 'gru.epochs=1')) == 2

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
