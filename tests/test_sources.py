"One log from every kind of source: a real PostgreSQL on loopback, a DuckDB file, Polars, files of every kind."
import getpass, os, shutil, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot

COLUMNS = dict(event_col='event', item_col='item', order_col='order', time_zone='Europe/Berlin')

def log(n=3_000, users=80, seed=0):
    "Some behaviour, purchases and returns, with ids, times and amounts as a database has them."
    rng = np.random.default_rng(seed)
    event = rng.choice(['view', 'click', 'purchase', 'return'], n, p=[.5, .3, .15, .05])
    value = np.where(event == 'purchase', np.round(rng.lognormal(3, 1, n), 2), np.where(event == 'return', -1., np.nan))
    time = pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 500*86_400, n), 's').astype('timedelta64[us]')
    return pd.DataFrame({'user_id': rng.integers(0, users, n), 'timestamp': time.tz_localize('UTC'), 'event': event, 'value': value, 'item': rng.integers(0, 40, n), 'order': rng.integers(0, 900, n).astype(str), 'spare': 'x'})

@pytest.fixture(scope='module')
def expected(): return facts(read_events(log(), **COLUMNS))

def facts(events): return events, snapshot(events, '2023-11-01', '60D')

def rows(events): return events.table.select('user_id', 'timestamp', 'event', 'value', 'item_id', order_id=events.table.order_id.cast('string')).order_by(ibis._.user_id, ibis._.timestamp, ibis._.event, ibis._.order_id, ibis._.item_id).execute()

def assert_same_rows(there, expected):
    here = expected[0]
    assert (here.n_rows, here.n_users, here.first, here.last) == (there.n_rows, there.n_users, there.first, there.last)
    pd.testing.assert_frame_equal(here.quality, there.quality)
    pd.testing.assert_frame_equal(rows(here), rows(there), check_dtype=False)

def assert_same(events, expected):
    "Rows, quality, features, labels, history and sequences, to the last bit."
    assert_same_rows(events, expected)
    (_, a), (_, b) = expected, facts(events)
    for part in ('rfm', 'features', 'labels'): pd.testing.assert_frame_equal(getattr(a, part), getattr(b, part), check_exact=True)
    for part in ('values', 'kind', 'offsets'): np.testing.assert_array_equal(getattr(a.sequences, part), getattr(b.sequences, part))
    for part in ('age', 'spend', 'bought', 'other', 'offsets'): np.testing.assert_array_equal(getattr(a.history, part), getattr(b.history, part))

def binary(name):
    "A program of PostgreSQL, also where Debian hides it."
    return shutil.which(name) or next(map(str, sorted(Path('/usr/lib/postgresql').glob(f'*/bin/{name}'), reverse=True)), None)

@pytest.fixture(scope='module')
def postgres():
    "A PostgreSQL of our own on loopback; its port. It refuses to run as root, so root asks the user postgres."
    if not binary('initdb') or not binary('postgres'): pytest.skip('database test: there is no PostgreSQL here (Debian: apt-get install postgresql)')
    pytest.importorskip('psycopg', reason='database test: pip install "ulv-jax[postgres]"')
    owner = 'postgres' if os.geteuid() == 0 else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix='ulv_postgres_'))
    if os.geteuid() == 0: shutil.chown(folder, owner)
    how = dict(user=owner if os.geteuid() == 0 else None, cwd=folder, env={'PATH': os.environ['PATH'], 'LC_ALL': 'C'}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    subprocess.run([binary('initdb'), '-D', folder/'data', '-U', 'shop', '--auth=trust', '--encoding=UTF8', '--no-sync'], check=True, **how)
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    server = subprocess.Popen([binary('postgres'), '-D', folder/'data', '-p', str(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'], **how)
    try:
        wait_for(port, server)
        yield port
    finally:
        server.send_signal(signal.SIGINT); server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)

def wait_for(port, server):
    import psycopg
    for _ in range(300):
        assert server.poll() is None, 'PostgreSQL ended as it started'
        try: return psycopg.connect(host='127.0.0.1', port=port, user='shop', dbname='postgres').close()
        except psycopg.OperationalError: time.sleep(.1)
    raise TimeoutError('PostgreSQL did not answer within half a minute')

@pytest.fixture(scope='module')
def shop(postgres):
    "The log as a table of the database, typed as a shop would: numeric, timestamptz, uuid; read by a user who may only read."
    import psycopg
    with psycopg.connect(host='127.0.0.1', port=postgres, user='shop', dbname='postgres', autocommit=True) as db:
        db.execute('create table log (user_id bigint, timestamp timestamptz, event text, value numeric(12,2), item int, "order" text, spare jsonb)')
        with db.cursor().copy('copy log from stdin') as copy:
            for row in log().assign(spare='{"a": 1}').itertuples(index=False): copy.write_row([None if pd.isna(v) else v for v in row])
        db.execute('create table tokens as select user_id, timestamp, value, md5(user_id::text)::uuid as token from log where event = \'purchase\'')
        db.execute('create role reader login; grant select on log, tokens to reader; revoke temporary on database postgres from public; alter role reader set default_transaction_read_only = on')
    return ibis.postgres.connect(host='127.0.0.1', port=postgres, user='reader', database='postgres')

def test_postgres_gives_the_same_log(shop, expected):
    assert shop.version and shop.name == 'postgres'
    assert_same(read_events(shop.table('log'), **COLUMNS), expected)

def test_a_query_of_postgres_and_ids_of_its_own_types(shop):
    tokens = shop.table('tokens')
    events = read_events(tokens.filter(tokens.value > 20), user_col='token')
    frame = log(); frame = frame[(frame['event'] == 'purchase') & (frame['value'] > 20)]
    assert events.n_rows == len(frame) and events.n_users == frame['user_id'].nunique()
    assert events.table.user_id.type().is_string() and len(snapshot(events, '2023-11-01', '60D')) > 10

def test_wrong_column_of_postgres(shop):
    from ulv_jax.data.errors import DataError
    with pytest.raises(DataError, match="no column 'user' .*'user_id'"): read_events(shop.table('log'), user_col='user')

@pytest.mark.parametrize('read_only', [False, True])
def test_duckdb_file(tmp_path, expected, read_only):
    path = str(tmp_path/'shop.duckdb')
    with_table = ibis.duckdb.connect(path)
    with_table.create_table('log', log())
    with_table.disconnect()
    shop = ibis.duckdb.connect(path, read_only=read_only)
    assert_same(read_events(shop.table('log'), **COLUMNS), expected)
    shop.disconnect()
    assert ibis.duckdb.connect(path).list_tables() == ['log']   # we leave nothing in it

FILES = {'log.parquet': lambda f, p: f.to_parquet(p), 'log.zstd.parquet': lambda f, p: f.to_parquet(p, compression='zstd'), 'log.gzip.pq': lambda f, p: f.to_parquet(p, compression='gzip'),
         'log.csv': lambda f, p: f.to_csv(p, index=False), 'log.csv.gz': lambda f, p: f.to_csv(p, index=False), 'log.tsv': lambda f, p: f.to_csv(p, index=False, sep='\t'),
         'log.csv.zst': lambda f, p: pa.CompressedOutputStream(str(p), 'zstd').write(f.to_csv(index=False).encode()), 'log.tsv.gz': lambda f, p: f.to_csv(p, index=False, sep='\t')}

@pytest.mark.parametrize('name', FILES)
def test_files(tmp_path, expected, name):
    FILES[name](log(), tmp_path/name)
    assert_same_rows(read_events(tmp_path/name, **COLUMNS), expected)

def test_folders_globs_and_lists(tmp_path, expected):
    frame = log()
    for month, part in frame.groupby(frame['timestamp'].dt.month):
        (tmp_path/f'month={month}').mkdir()
        part.to_parquet(tmp_path/f'month={month}'/'part-0.parquet', index=False)
    (tmp_path/'_SUCCESS').touch()
    for source in (tmp_path, f'{tmp_path}/*/*.parquet', sorted(tmp_path.glob('month=*')), f'{tmp_path}/month=*'): assert_same_rows(read_events(source, **COLUMNS), expected)

def test_tables_in_memory(expected):
    frame = log()
    for source in (pa.Table.from_pandas(frame), pa.Table.from_pandas(frame).to_reader(500), ibis.memtable(frame), frame.assign(event=frame['event'].astype('category'))):
        assert_same_rows(read_events(source, **COLUMNS), expected)

def test_polars(expected):
    pl = pytest.importorskip('polars', reason='Polars is not installed')
    assert_same_rows(read_events(pl.from_pandas(log()), **COLUMNS), expected)
