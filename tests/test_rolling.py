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
