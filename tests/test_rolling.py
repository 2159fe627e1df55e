"A rolling backtest that is killed goes on where it was; the command asks at several dates and answers in words."
import json, subprocess, sys, time
from pathlib import Path
import numpy as np
import pandas as pd

ULV = Path(sys.executable).parent/'ulv'
RNG = np.random.default_rng(0)
RATE = RNG.gamma(1., 8., 120).astype(int) + 1
LOG = pd.DataFrame({'customer': np.repeat(np.arange(120), RATE), 'when': pd.Timestamp('2023-01-01') + pd.to_timedelta(RNG.integers(0, 365, RATE.sum()), 'D'), 'paid': RNG.gamma(2, 10, RATE.sum()).round(2)})

SCRIPT = '''
import sys
from ulv_jax.data.events import read_events
from ulv_jax.evaluation.rolling import rolling_backtest
events = read_events(sys.argv[1], user_col='customer', time_col='when', value_col='paid')
rolling_backtest(events, ['2023-06-01', '2023-08-01', '2023-10-01'], ('30D',), ('mean', 'persistence_rate', 'persistence_last'), references=False, folder=sys.argv[2], progress=False)
'''

def kept(folder): return {p.name: p.stat().st_mtime_ns for p in folder.glob('*.json')}

def test_a_killed_run_goes_on(tmp_path):
    LOG.to_csv(tmp_path/'log.csv', index=False)
    line = [sys.executable, '-c', SCRIPT, str(tmp_path/'log.csv'), str(tmp_path/'forecasts')]
    job, end = subprocess.Popen(line), time.monotonic() + 240
    while len(kept(tmp_path/'forecasts')) < 2 and job.poll() is None and time.monotonic() < end: time.sleep(.01)
    job.kill(); job.wait()
    before = kept(tmp_path/'forecasts')
    assert 2 <= len(before) < 9
    subprocess.run(line, check=True)
    after = kept(tmp_path/'forecasts')
    assert len(after) == 9 and {k: after[k] for k in before} == before

def test_the_command_asks_at_several_dates(tmp_path):
    LOG.to_csv(tmp_path/'log.csv', index=False)
    def ask(n): return subprocess.run([ULV, 'backtest', tmp_path/'log.csv', '--user-col', 'customer', '--time-col', 'when', '--value-col', 'paid', '--cutoff', '2023-10-01', '--horizon', '60D', '--quiet',
                                       '--origins', n, '--models', 'mean', '--out', tmp_path/'out'], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    many = ask('9')
    assert many.returncode == 2 and '9 origins are wanted' in many.stderr and 'Traceback' not in many.stderr and not (tmp_path/'out'/'scores.parquet').exists()
    done = ask('2')
    assert done.returncode == 0, done.stderr
    assert len(kept(tmp_path/'out'/'forecasts')) == 2*7   # the mean, two kinds of persistence, two purchase models, trees and the blend
    assert 'Over 2 origins (2023-08-02 to 2023-10-01)' in done.stdout and (tmp_path/'out'/'verdict.txt').read_text().strip() in done.stdout
    assert {r['model'] for r in json.loads((tmp_path/'out'/'standings.json').read_text())} == {'mean', 'persistence_rate', 'persistence_last', 'bg_nbd', 'pareto_nbd', 'lightgbm', 'blend'}

FITS, STOP = [], {'before': None}   # not in the model itself: one that has changed is asked anew

def count(seed):
    if len(FITS) == STOP['before']: raise KeyboardInterrupt
    FITS.append(seed)

def register_counts():
    from ulv_jax.models.base import make_forecaster, register
    @register('counts')
    class Counts(type(make_forecaster('mean'))):
        def _fit(self, snapshots): super()._fit(snapshots); count(self.seed)
        def _predict(self, snapshot): return {'ulv': super()._predict(snapshot)['ulv']*np.random.default_rng(self.seed).lognormal(0, .5, len(snapshot))}

def rolling(tmp_path, monkeypatch, *options, code=0, stop=None):
    "The command in this process, with a model that counts its fits and stops before one of them as Ctrl-C does. Few references, since each fit costs seconds."
    from typer.testing import CliRunner
    from ulv_jax.cli import app
    from ulv_jax.evaluation import rolling
    register_counts(); FITS.clear(); STOP['before'] = stop
    monkeypatch.setattr(rolling, 'REFERENCES', ('mean', 'persistence_rate'))
    LOG.to_csv(tmp_path/'log.csv', index=False)
    columns = '--user-col customer --time-col when --value-col paid --cutoff 2023-10-01 --models counts --quiet'.split()
    done = CliRunner().invoke(app, ['backtest', str(tmp_path/'log.csv'), *columns, '--out', str(tmp_path/'out'), *options])
    assert done.exit_code == code and 'Traceback' not in done.output, done.output + repr(done.exception)
    return done, list(FITS)

def test_two_horizons_and_two_seeds_stopped_and_resumed(tmp_path, monkeypatch):
    ask = '--horizon', '30D', '--horizon', '60D', '--seed', '3', '--seeds', '2', '--origins', '2'
    stopped, fits = rolling(tmp_path, monkeypatch, *ask, code=130, stop=5)
    left = kept(tmp_path/'out'/'forecasts')
    assert len(fits) == 5 and f'{len(left)} forecasts are kept in' in stopped.stderr and 'the same command goes on' in stopped.stderr and not (tmp_path/'out'/'verdict.txt').exists()
    done, rest = rolling(tmp_path, monkeypatch, *ask)
    now = kept(tmp_path/'out'/'forecasts')
    assert len(rest) == 2*2*2 - 5 and len(now) == 2*2*(2 + 2) and {k: now[k] for k in left} == left   # dates x horizons x (two rows without a seed, and one with two)
    said = (tmp_path/'out'/'verdict.txt').read_text().splitlines()
    assert [s.split('.')[0] for s in said] == ['30 days ahead', '60 days ahead'] and all('Over 2 origins (2023-08-02 to 2023-10-01)' in s for s in said)   # the dates of the longest horizon
    assert done.stdout.count('Standard deviation of the Gini between seeds: counts 0.') == 2 and 'judged over 30 days, mean of 2 dates' in done.stdout
    page = (tmp_path/'out'/'standings.html').read_text()
    assert page.count('days ahead</h2>') == 2 and page.count('fit, s') == 2 and ' ± ' in page and 'log.csv' in page
    scores = pd.read_parquet(tmp_path/'out'/'scores.parquet')
    cost = scores[scores['metric'].isin(['fit_seconds', 'predict_seconds'])]
    assert len(cost) == 2*16 and (cost['value'] > 0).all() and {'fit s', 'predict s'} <= {c for line in done.stdout.splitlines() if 'gini' in line for c in ('fit s', 'predict s') if c in line}
    assert sorted(scores.query('model == "counts"')['seed'].unique()) == [3, 4]
    run, told = (json.loads((tmp_path/'out'/f'{name}.json').read_text()) for name in ('run', 'sufficiency'))
    assert run['horizon_days'] == [30, 60] and [o['cutoff'][:10] for o in run['origins']] == ['2023-08-02', '2023-10-01'] and run['refit']
    assert told['horizon_days'] == 60 and [t['cutoff'][:10] for t in told['earlier']] == ['2023-08-02'] and [t['horizon_days'] for t in told['shorter']] == [30]
    actual = LOG[(LOG['when'] >= '2023-10-01') & (LOG['when'] < '2023-10-31')].groupby('customer')['paid'].sum()
    truth = pd.read_parquet(next((tmp_path/'out'/'forecasts').glob('2023-10-01_30d_truth*'))).set_index('user')['value']
    np.testing.assert_allclose(truth, actual.reindex(truth.index).fillna(0))

def test_sliding_dates_and_one_fit(tmp_path, monkeypatch):
    done, fits = rolling(tmp_path, monkeypatch, '--horizon', '60D', '--origins', '3', '--every', '30D', '--kind', 'sliding', '--window', '90D', '--no-refit')
    assert len(fits) == 1
    scores = pd.read_parquet(tmp_path/'out'/'scores.parquet').query('model == "counts"')
    oldest, newest = pd.Timestamp('2023-08-02'), pd.Timestamp('2023-10-01')
    assert scores.query('metric == "fit_seconds"').set_index('cutoff')['value'].gt(0).to_dict() == {oldest: True, pd.Timestamp('2023-09-01'): False, newest: False}
    truth = pd.read_parquet(next((tmp_path/'out'/'forecasts').glob('2023-10-01_60d_truth*')))
    seen = LOG[(LOG['when'] >= newest - pd.Timedelta(days=90)) & (LOG['when'] < newest)]
    assert sorted(truth['user']) == sorted(seen['customer'].unique()) and len(truth) < LOG[LOG['when'] < newest]['customer'].nunique()
    mean = {c: pd.read_parquet(next((tmp_path/'out'/'forecasts').glob(f'{c:%Y-%m-%d}_60d_mean_*.parquet')))['ulv'].unique() for c in (oldest, newest)}
    assert len(mean[oldest]) == 1 and mean[oldest] == mean[newest]   # one number, learnt once
    assert 'Every model was fitted once, on what was known before 2023-08-02. Each date saw only the 90 days before it.' in done.stdout
    assert [o['since'][:10] for o in json.loads((tmp_path/'out'/'run.json').read_text())['origins']] == ['2023-05-04', '2023-06-03', '2023-07-03']
    again, more = rolling(tmp_path, monkeypatch, '--horizon', '60D', '--origins', '3', '--every', '30D', '--kind', 'sliding', '--window', '90D')
    assert len(more) == 3   # fitted at every date, its forecasts are others

def test_options_that_would_change_nothing_are_refused(tmp_path, monkeypatch):
    for options, words in ((['--no-refit'], 'there is one: ask for more with --origins'), (['--every', '30D'], 'there is one: ask for more with --origins'), (['--window', '90D'], 'say --kind sliding'),
                           (['--kind', 'slding'], 'choose expanding or sliding'), (['--horizon', '60 days'], '--horizon 60D and --horizon 60 days are the same length'), (['--horizon', '2X'], "the horizon '2X' is not a length of time")):
        done, fits = rolling(tmp_path, monkeypatch, '--horizon', '60D', *options, code=2)
        assert words in done.stderr and done.stderr.count('\n') == 1 and not fits and not (tmp_path/'out').exists(), done.stderr

def test_a_horizon_that_is_not_over_is_left_out_of_the_verdict(tmp_path, monkeypatch):
    done, fits = rolling(tmp_path, monkeypatch, '--horizon', '60D', '--horizon', '120D', '--origins', '1')
    assert len(fits) == 1 and 'all was left out at 2023-10-01 over 120 days' in done.stdout and (tmp_path/'out'/'verdict.txt').read_text().startswith('60 days ahead')
    assert json.loads((tmp_path/'out'/'run.json').read_text())['horizon_days'] == [60]

def test_a_folder_tells_of_one_run(tmp_path, monkeypatch):
    from ulv_jax.commands.backtest import ONE_DATE, SEVERAL
    there = lambda names: {n for n in names if (tmp_path/'out'/n).exists()}
    rolling(tmp_path, monkeypatch, '--horizon', '60D', '--origins', '2')
    assert there(SEVERAL) == {*SEVERAL} and not there(ONE_DATE)
    rolling(tmp_path, monkeypatch, '--horizon', '60D')
    assert there(ONE_DATE) == {*ONE_DATE} and not there(SEVERAL)
    rolling(tmp_path, monkeypatch, '--horizon', '60D', '--origins', '2')
    assert there(SEVERAL) == {*SEVERAL} and not there(ONE_DATE)

def test_the_verdict_says_whom_it_judges(tmp_path, monkeypatch):
    said = {}
    for order in ('counts,mean', 'mean,counts'):
        done, _ = rolling(tmp_path, monkeypatch, '--horizon', '60D', '--origins', '2', '--models', order)
        said[order] = (tmp_path/'out'/'verdict.txt').read_text()
        first = order.split(',')[0]
        assert f'Judged: {first}, the first of --models.' in said[order] and said[order].strip() in done.stdout and f'Judged: {first}' in (tmp_path/'out'/'standings.html').read_text()
    assert all('counts is better than' in s for s in said.values()), said

def test_a_comma_is_no_second_horizon(tmp_path, monkeypatch):
    done, fits = rolling(tmp_path, monkeypatch, '--horizon', '30D,91D', code=2)
    assert 'give --horizon twice' in done.stderr and not fits
