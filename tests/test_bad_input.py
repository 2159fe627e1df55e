"A disk that fills, a log of very many items, a user of very many events, kinds and times nobody expected."
import json, os, resource, subprocess, sys
from pathlib import Path
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.events import read_events
from ulv_jax.data.quality import clean, quality_report
from ulv_jax.data.snapshots import snapshot

ULV = Path(sys.executable).parent/'ulv'
RNG = np.random.default_rng(0)
LOG = pd.DataFrame({'user_id': RNG.integers(0, 40, 600), 'timestamp': pd.Timestamp('2023-01-01') + pd.to_timedelta(RNG.integers(0, 365, 600), 'D'), 'value': RNG.gamma(2, 10, 600).round(2)})
LOG.loc[:4, 'user_id'] = None   # for the quarantine

COMMANDS = """
import json, resource, sys
from typer.testing import CliRunner
from ulv_jax.cli import app
commands, limit = json.loads(sys.argv[1])
import ulv_jax.evaluation.backtest, ulv_jax.evaluation.report, ulv_jax.serving.bundle   # before the disk refuses
if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
results = [CliRunner().invoke(app, c) for c in commands]
print(json.dumps([[r.exit_code, r.stdout, r.stderr, repr(r.exception)] for r in results]))
"""

def ulv(*commands, limit=None):
    "Exit code, output, errors and exception of real commands, all in one fresh process; a `limit` in bytes is the size at which the disk refuses to let a file grow."
    done = subprocess.run([sys.executable, '-c', COMMANDS, json.dumps([[list(map(str, c)) for c in commands], limit])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

def contents(folder): return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}

@pytest.fixture(scope='module')
def done(tmp_path_factory):
    "A folder with a log, a backtest, a bundle and forecasts, as they were yesterday."
    folder = tmp_path_factory.mktemp('yesterday')
    LOG.to_parquet(folder/'log.parquet', index=False)
    for code, _, errors, exception in ulv(*commands(folder)): assert code == 0, errors + exception
    assert {'out/predictions.parquet', 'out/quarantine.parquet', 'out/report.html', 'bundle/bundle.json', 'forecasts.csv', 'forecasts.parquet'} <= set(contents(folder))
    return folder

def commands(folder, log='log.parquet'):
    yield 'backtest', folder/log, '--cutoff', '2023-09-01', '--horizon', '60D', '--models', 'mean', '--quiet', '--out', folder/'out'
    yield 'fit', folder/log, '--horizon', '30D', '--model', 'persistence_rate', '--anyway', '--out', folder/'bundle'
    for name in ('forecasts.csv', 'forecasts.parquet'): yield 'predict', folder/log, '--bundle', folder/'bundle', '--out', folder/name

def test_a_disk_that_fills_leaves_yesterdays_files(done):
    "Every command on a log that has changed, on a disk that takes no more than 300 bytes in a file."
    LOG.assign(value=LOG['value'] * 2).to_parquet(done/'new.parquet', index=False)
    before = contents(done)
    for code, output, errors, exception in ulv(*commands(done, 'new.parquet'), limit=300):
        assert code == 2 and exception.startswith('SystemExit'), output + errors + exception
        assert errors.count('\n') == 1 and 'nothing was written half' in errors, errors
    assert contents(done) == before

def test_a_disk_that_is_really_full(done, tmp_path):
    "The same on a small file system of its own that is full to the last block."
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', tmp_path], capture_output=True, text=True) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode: pytest.skip('full disk: only root may mount a small file system, and not in every container')
    try:
        (tmp_path/'forecasts.csv').write_text('of yesterday')
        with pytest.raises(OSError), open(tmp_path/'filler', 'wb', buffering=0) as filler:
            while True: filler.write(bytes(4096))
        result = subprocess.run([ULV, 'predict', done/'log.parquet', '--bundle', done/'bundle', '--out', tmp_path/'forecasts.csv'], capture_output=True, text=True)
        assert result.returncode == 2 and 'No space left on device' in result.stderr and result.stderr.count('\n') == 1, result.stderr
        assert sorted(p.name for p in tmp_path.iterdir()) == ['filler', 'forecasts.csv'] and (tmp_path/'forecasts.csv').read_text() == 'of yesterday'
    finally: subprocess.run(['umount', tmp_path], check=True)

WRITERS = '''
import json, resource, sys
from pathlib import Path
import numpy as np, pandas as pd
from ulv_jax.data.events import read_events
from ulv_jax.data.item_vectors import Vectors, save_vectors
from ulv_jax.data.quality import quality_report, write_quarantine
from ulv_jax.data.quality_page import write_quality
from ulv_jax.models.training import _save_checkpoint
folder = Path(sys.argv[1])
log = pd.DataFrame({'user_id': np.arange(400) % 20, 'timestamp': pd.Timestamp('2024-01-01'), 'value': 1.}); log.loc[:99, 'user_id'] = None
events = read_events(log); report = quality_report(events)
(folder/'page').mkdir()
writers = {'quarantine': lambda: write_quarantine(events, folder/'aside.parquet'), 'quality': lambda: write_quality(report, folder/'page'),
           'vectors': lambda: save_vectors(Vectors(pd.Index(['a', 'b']), np.eye(2, 64, dtype=np.float32)), folder/'vectors'),
           'checkpoint': lambda: _save_checkpoint(folder/'checkpoint', {'w': np.zeros(500)}, [1.], 'a training')}
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
told = {}
for name, write in writers.items():
    try: write(); told[name] = 'wrote'
    except OSError as e: told[name] = 'OSError'
    except Exception as e: told[name] = f'{type(e).__name__}: {e}'
print(json.dumps(told))
'''

def test_every_writer_on_a_full_disk(tmp_path):
    result = subprocess.run([sys.executable, '-c', WRITERS, str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert set(told.values()) == {'OSError'}, told
    assert contents(tmp_path) == {}

def test_times_in_the_future_are_set_aside_and_counted():
    soon = pd.Timestamp.now().normalize() + pd.Timedelta(days=400)
    log = LOG.dropna().assign(timestamp=lambda f: f['timestamp'].where(f.index > 7, soon))
    events = read_events(log)
    assert events.n_rows == len(log) and events.last == soon   # the file is taken as it is
    report = quality_report(events)
    assert report.table.set_index('rule').loc['time in the future', ['counted', 'outcome']].tolist() == [3, 'set aside']
    cleaned = clean(events, report)
    assert cleaned.last < pd.Timestamp('2024-01-01') and (cleaned.quarantine()['reason'] == 'time in the future').sum() == 3

MANY_ITEMS = '''
import resource, sys
import numpy as np, pandas as pd
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot
n = int(sys.argv[1]); rng = np.random.default_rng(0)
log = pd.DataFrame({'user_id': rng.integers(0, 5_000, n), 'timestamp': pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 365*86_400, n), 's').astype('timedelta64[us]'),
                    'value': rng.gamma(2, 10, n).round(2), 'item': rng.permutation(n)})
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
now = snapshot(read_events(log, item_col='item'), '2023-12-01', '30D')
assert now.features['items'].sum() == (log['timestamp'] < '2023-12-01').sum()
assert (now.features['repeat_share'] == 0).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) // 1024)
'''

def test_very_many_items_in_bounded_memory():
    "300,000 different items: what they cost in memory is far below a column for each."
    done = subprocess.run([sys.executable, '-c', MANY_ITEMS, '300000'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 1_000   # MiB

def test_one_user_of_very_many_events():
    "A reseller, or a robot: only the last steps are kept, and the other users are as they would be without."
    n = 100_000
    crowd = LOG.dropna().astype({'user_id': int})
    heavy = pd.DataFrame({'user_id': 99, 'timestamp': pd.Timestamp('2023-01-01') + pd.to_timedelta(np.arange(n)*200, 's').astype('timedelta64[us]'), 'value': 1.})
    with_him = snapshot(read_events(pd.concat([crowd, heavy])), '2023-09-01', '60D')
    without = snapshot(read_events(crowd), '2023-09-01', '60D')
    known = (heavy['timestamp'] < '2023-09-01').sum()
    assert with_him.rfm.loc[99, 'spend'] == known and with_him.features.loc[99, 'n_purchase'] == known
    assert with_him.sequences.lengths[-1] == 64 and with_him.rfm.index[-1] == 99
    assert np.expm1(with_him.sequences.values[-1, 3]) == pytest.approx(1) and np.exp(with_him.sequences.values[-1, 4]) == pytest.approx(known, rel=1e-4)
    np.testing.assert_array_equal(with_him.sequences.values[:-64], without.sequences.values)
    pd.testing.assert_frame_equal(with_him.rfm.drop(99), without.rfm)

def test_a_kind_of_event_never_seen_in_training(tmp_path):
    "The forecast is made, and the command says that it met something new."
    log = LOG.dropna().assign(event='purchase')
    log.to_parquet(tmp_path/'old.parquet', index=False)
    wishes = log.iloc[:30].assign(event='Wish list', value=None)
    pd.concat([log, wishes]).to_parquet(tmp_path/'new.parquet', index=False)
    use = lambda name: ('predict', tmp_path/name, '--bundle', tmp_path/'bundle', '--out', tmp_path/'forecasts.parquet')
    fit, same, new = ulv(('fit', tmp_path/'old.parquet', '--event-col', 'event', '--horizon', '30D', '--model', 'lightgbm', '--anyway', '--out', tmp_path/'bundle'), use('old.parquet'), use('new.parquet'))
    assert fit[0] == same[0] == new[0] == 0, fit + same + new
    assert "never seen events of the kind 'wish list' (30 rows)" in new[1] and 'never seen' not in same[1]
    assert pd.read_parquet(tmp_path/'forecasts.parquet')['ulv'].notna().all()

def test_a_kind_never_seen_in_a_sequence():
    from ulv_jax.models.steps import fit_steps
    log = LOG.dropna().assign(event='purchase')
    old = snapshot(read_events(log, event_col='event'), '2023-09-01', '60D').sequences
    new = snapshot(read_events(pd.concat([log, log.iloc[:30].assign(event='wish list', value=None)]), event_col='event'), '2023-09-01', '60D').sequences
    steps = fit_steps([old])(new)
    assert np.isfinite(steps).all() and steps[:, -1].sum() == (new.kind == new.kinds.index('wish list')).sum() > 0
