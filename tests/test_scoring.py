"A run of scoring that is really killed, and its memory; other families of models in blocks."
import os, signal, subprocess, sys, time
from pathlib import Path
import pandas as pd
import pytest
from ulv_jax.data.columns import Columns
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.shop import Shop
from ulv_jax.data.simulate import write_log
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.models.base import make_forecaster
from ulv_jax.serving.bundle import end_of_log, read_bundle, write_bundle
from ulv_jax.serving import scoring
from ulv_jax.serving.scoring import plan_scoring, score

COLUMNS = Columns(event='event', item='item_id', order='order_id', quantity='quantity')

# the log is sorted into a file, as a large one is; afterwards the peak of memory after the third part, and at the end, in MB
RUN = '''
import resource, sys
from pathlib import Path
from ulv_jax.data import near
from ulv_jax.serving import scoring
near.BIG_LOG = 0
peak, write = [], scoring._write_part
def count(*args):
    write(*args)
    peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
scoring._write_part = count
scoring.score(*sys.argv[1:4], users=12, progress=False)
if len(peak) > 3: print(peak[3], peak[-1])
'''

@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shop')
    write_log(folder/'log.parquet', shop=Shop(users=250, days=300, campaigns=()))
    events = read_events(str(folder/'log.parquet'), event_col='event', item_col='item_id', order_col='order_id', quantity_col='quantity')
    model = make_forecaster('persistence_rate').fit(training_snapshots(events, end_of_log(events), '30D', n=2))
    write_bundle(model, COLUMNS, events, folder/'bundle', cutoff=end_of_log(events))
    return folder, events

def start(folder, out): return subprocess.Popen([sys.executable, '-c', RUN, folder/'bundle', folder/'log.parquet', out], stdout=subprocess.PIPE, text=True)
def parts(out): return {f.name: f.read_bytes() for f in sorted(Path(out).glob('part-*'))}

def test_killed_and_resumed(shop, tmp_path):
    folder, events = shop
    whole = start(folder, tmp_path/'whole')
    early, late = map(float, whole.communicate(timeout=120)[0].split())
    assert whole.returncode == 0 and late - early < 30   # blocks and forecasts do not pile up
    process = start(folder, tmp_path/'killed')
    while process.poll() is None and len(parts(tmp_path/'killed')) < 3: time.sleep(.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = parts(tmp_path/'killed')
    assert process.returncode == -signal.SIGKILL and 3 <= len(before) < len(parts(tmp_path/'whole'))
    again = start(folder, tmp_path/'killed')
    again.communicate(timeout=120)
    assert again.returncode == 0 and parts(tmp_path/'killed') == parts(tmp_path/'whole') and before.items() <= parts(tmp_path/'whole').items()
    forecast = read_bundle(folder/'bundle').model.predict(snapshot(events, end_of_log(events), '30D', labels=False))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path/'killed'), forecast, check_exact=True)
    assert not [f for f in (tmp_path/'killed').iterdir() if f.name.startswith('.')]   # what the killed run left half is gone

@pytest.mark.parametrize('name, rtol', [('lightgbm', 1e-9), ('prior', 1e-5)])
def test_other_families_in_blocks(name, rtol, shop, tmp_path):
    folder, events = shop
    at = end_of_log(events)
    model = make_forecaster(name).fit(training_snapshots(events, at, '30D', n=2))
    write_bundle(model, COLUMNS, events, tmp_path/'bundle', cutoff=at)
    read = pd.read_parquet(score(tmp_path/'bundle', events, tmp_path/'out', users=70, progress=False))
    pd.testing.assert_frame_equal(read, model.predict(snapshot(events, at, '30D', labels=False)), rtol=rtol)

def test_a_corrected_log_is_another_one(shop, tmp_path):
    folder, events = shop
    score(folder/'bundle', events, tmp_path/'out', users=70, progress=False)
    rows = events.table.execute()
    first, last = sorted(rows['user_id'].unique())[::len(rows['user_id'].unique()) - 1]
    swapped = rows.assign(user_id=rows['user_id'].replace({first: last, last: first}))   # rows, users, dates and sums are as before
    corrected = read_events(swapped, event_col='event', item_col='item_id', order_col='order_id', quantity_col='quantity')
    with pytest.raises(DataError, match='of another run: another log'): score(folder/'bundle', corrected, tmp_path/'out', users=70, progress=False)
    (tmp_path/'out'/'_scoring.json').unlink()
    with pytest.raises(DataError, match='does not say of what'): score(folder/'bundle', events, tmp_path/'out', users=70, progress=False)

def test_visitors_do_not_swell_a_block(shop, monkeypatch):
    folder, _ = shop
    when = pd.Timestamp('2024-03-01')
    rows = pd.concat([pd.DataFrame({'user_id': range(3000), 'timestamp': when, 'event': 'view', 'value': None}),
                      pd.DataFrame({'user_id': range(0, 3000, 50), 'timestamp': when + pd.Timedelta('1D'), 'event': 'purchase', 'value': 5.})])
    monkeypatch.setattr(scoring, 'ROWS_AT_ONCE', 500)
    plan = plan_scoring(read_bundle(folder/'bundle'), read_events(rows.astype({'value': float}), event_col='event'), cutoff='2024-03-05')
    assert len(plan) > 4 and plan.customers == 60 and max(b - a for a, b in zip(plan.ends, plan.ends[1:])) <= 600
