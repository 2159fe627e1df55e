"The same expressions on Spark and on DuckDB: a real master and worker on loopback, equal results to the last row."
import os, shutil, signal, socket, subprocess, sys, time
from contextlib import contextmanager, suppress
from pathlib import Path
import numpy as np
import pandas as pd
import pytest

pytest.importorskip('pyspark', reason='Spark is not installed: pip install "ulv-jax[spark]"')
pytestmark = pytest.mark.skipif(not shutil.which('java'), reason='Spark needs a Java runtime, and there is none here')
ROOT = Path(__file__).resolve().parent.parent

def log(n=6_000, users=150, seed=0):
    rng = np.random.default_rng(seed)
    event = rng.choice(['view', 'click', 'purchase', 'return'], n, p=[.5, .3, .15, .05])
    value = np.where(event == 'purchase', np.round(rng.lognormal(3, 1, n), 2), np.where(event == 'return', -1., np.nan))
    return pd.DataFrame({'user_id': rng.integers(0, users, n), 'timestamp': pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 500*86_400, n), 's').astype('timedelta64[us]'),
                         'event': event, 'value': value, 'item': rng.integers(0, 40, n), 'order': rng.integers(0, 900, n).astype(str)})

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def wait_for(port, process, seconds=90):
    for _ in range(10 * seconds):
        with socket.socket() as s:
            if not s.connect_ex(('127.0.0.1', port)): return
        if process.poll() is not None: break
        time.sleep(.1)
    pytest.fail(f'the Spark master does not answer on port {port}')

def stop(process):
    "End a process and all that it started: a worker starts executors."
    with suppress(ProcessLookupError): os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired): process.wait(30)

@contextmanager
def cluster(folder):
    "Master and worker as processes of their own; the address of the master."
    import pyspark
    home, port = Path(pyspark.__file__).parent, free_port()
    env = os.environ | {'SPARK_HOME': str(home), 'SPARK_LOCAL_IP': '127.0.0.1', 'SPARK_LOCAL_HOSTNAME': '127.0.0.1', 'SPARK_WORKER_DIR': str(folder), 'PYSPARK_PYTHON': sys.executable}
    before, url, running = dict(os.environ), f'spark://127.0.0.1:{port}', []
    os.environ.update(env)
    with open(folder/'out', 'a') as out:
        run = lambda *args: running.append(subprocess.Popen([home/'bin'/'spark-class', *map(str, args)], env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)) or running[-1]
        try:
            wait_for(port, run('org.apache.spark.deploy.master.Master', '--host', '127.0.0.1', '--port', port, '--webui-port', 0))
            run('org.apache.spark.deploy.worker.Worker', '--host', '127.0.0.1', '--cores', 2, '--memory', '1g', '--webui-port', 0, url)
            yield url
        finally:
            for process in reversed(running): stop(process)
            os.environ.clear(); os.environ.update(before)

@pytest.fixture(scope='module')
def spark(tmp_path_factory):
    from pyspark.sql import SparkSession
    work = tmp_path_factory.mktemp('spark')
    with cluster(work) as url:
        session = (SparkSession.builder.master(url).appName('ulv_jax').config('spark.ui.enabled', False).config('spark.driver.host', '127.0.0.1').config('spark.driver.bindAddress', '127.0.0.1')
                   .config('spark.executor.memory', '768m').config('spark.sql.shuffle.partitions', 2).config('spark.sql.session.timeZone', 'UTC')
                   .config('spark.sql.warehouse.dir', str(work/'warehouse')).getOrCreate())
        yield session
        session.stop()

@pytest.fixture(scope='module')
def both(spark, tmp_path_factory):
    "The log read by the embedded engine, and as a table of the cluster."
    import ibis
    from ulv_jax.data.events import read_events
    path = tmp_path_factory.mktemp('log')/'log.parquet'
    log().to_parquet(path, index=False)
    table = ibis.pyspark.connect(spark).read_parquet(str(path))
    columns = dict(event_col='event', item_col='item', order_col='order')
    return read_events(str(path), **columns), read_events(table, **columns)

def test_the_cluster_is_real(spark):
    assert spark.sparkContext.master.startswith('spark://127.0.0.1')
    assert spark.sparkContext.parallelize(range(10), 2).sum() == 45

def test_rows_and_quality_agree(both):
    here, there = both
    assert (here.n_rows, here.n_users, here.first, here.last) == (there.n_rows, there.n_users, there.first, there.last)
    pd.testing.assert_frame_equal(here.quality, there.quality)

@pytest.mark.parametrize('cutoff', ['2023-09-01', '2024-03-01 12:00'])
def test_snapshots_agree_to_the_last_row(both, cutoff):
    from ulv_jax.data.snapshots import snapshot
    here, there = (snapshot(events, cutoff, '60D') for events in both)
    pd.testing.assert_frame_equal(here.rfm, there.rfm, check_exact=True)
    pd.testing.assert_frame_equal(here.features, there.features, check_exact=False, rtol=1e-12)
    pd.testing.assert_frame_equal(here.labels, there.labels, check_exact=True)
    for part in ('values', 'kind', 'minute', 'item', 'offsets'): np.testing.assert_array_equal(getattr(here.sequences, part), getattr(there.sequences, part))
    assert here.sequences.items.to_pylist() == there.sequences.items.to_pylist() and (here.sequences.item >= 0).all()
    for part in ('age', 'spend', 'bought', 'other', 'offsets'): np.testing.assert_array_equal(getattr(here.history, part), getattr(there.history, part))

def test_vectors_of_items_agree(both):
    "Learnt, pooled and step by step: the same bits, whichever engine counted."
    from ulv_jax.data.item_vectors import item_vectors
    from ulv_jax.data.modes import item_features, step_vectors
    cutoff, users, found = pd.Timestamp('2024-03-01 12:00'), pd.Index(range(150)), []
    for events in both:
        vectors = item_vectors(events, cutoff, size=8, within='60D')
        found.append((vectors.values, item_features(events, cutoff, users, vectors).to_numpy(), step_vectors(events, cutoff, users, vectors)))
    for here, there in zip(*found): np.testing.assert_array_equal(here, there)

def test_quality_agrees(both):
    "Every rule finds the same rows, and the clean logs are the same."
    from ulv_jax.data.quality import clean, quality_report
    reports = [quality_report(events) for events in both]
    pd.testing.assert_frame_equal(*(r.table.drop(columns='examples') for r in reports))
    tidy = [clean(*pair).table.execute() for pair in zip(both, reports)]
    order = list(tidy[0].columns)
    pd.testing.assert_frame_equal(*(t[order].astype({'timestamp': 'datetime64[us]'}).sort_values(order, ignore_index=True) for t in tidy), check_dtype=False)

def test_tutorial():
    "The page runs from top to bottom, with the cells that need a cluster."
    run = subprocess.run([Path(sys.executable).parent/'nbdev_test', '--path', ROOT/'nbs'/'tutorials'/'04_spark.ipynb', '--flags', 'spark', '--n_workers', '0'], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
