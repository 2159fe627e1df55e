"What money means is the same in features, labels, history and sequences; and a refund after the cutoff changes nothing that was known before it."
from functools import cache
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.quality import clean
from ulv_jax.data.snapshots import snapshot
from ulv_jax.data.value import Value

KINDS = ('net', 'gross', 'margin')
CUTOFF = pd.Timestamp('2024-03-01')
RNG = np.random.default_rng(0)
N = 120
SALES = pd.DataFrame({'user_id': RNG.integers(0, 12, N), 'timestamp': pd.Timestamp('2024-01-01') + pd.to_timedelta(RNG.integers(0, 110*86_400, N), 's').astype('timedelta64[us]'), 'event': 'purchase',
                      'value': RNG.integers(1, 100, N).astype(float), 'cost': RNG.integers(1, 110, N).astype(float), 'item': RNG.integers(0, 9, N), 'order': np.arange(N), 'pieces': 1})
VIEWS = SALES.assign(event='view', timestamp=SALES['timestamp'] - pd.Timedelta(minutes=5), order=None)   # with the price of what was looked at
COLUMNS = dict(event_col='event', item_col='item', order_col='order', quantity_col='pieces', cost_col='cost')

def refund(sales, later): return sales.assign(event='return', value=-sales['value'], cost=-sales['cost'], pieces=-1, timestamp=sales['timestamp'] + later)
def read(log, kind): return read_events(log, **COLUMNS, value=Value(kind))
def frozen(events): return snapshot(events, CUTOFF, '30D', labels=False)

def assert_same(a, b):
    "Everything known at the cutoff, to the last bit."
    for part in ('rfm', 'features'): pd.testing.assert_frame_equal(getattr(a, part), getattr(b, part), check_exact=True)
    for part in ('values', 'kind', 'offsets'): np.testing.assert_array_equal(getattr(a.sequences, part), getattr(b.sequences, part))
    for part in ('age', 'spend', 'bought', 'other', 'offsets'): np.testing.assert_array_equal(getattr(a.history, part), getattr(b.history, part))

EARLIER = refund(SALES[SALES['timestamp'] < '2024-02-10'].iloc[::3], pd.Timedelta(days=9))   # some refunds are known
LOG = pd.concat([VIEWS, SALES, EARLIER], ignore_index=True)
@cache
def known(kind, cleaned): return frozen(clean(read(LOG, kind)) if cleaned else read(LOG, kind))
BEFORE = SALES[SALES['timestamp'] < CUTOFF]

def with_refunds(refunds):
    "The log, and refunds of some purchases so many seconds after the cutoff."
    places, seconds = map(list, zip(*refunds))
    late = refund(BEFORE.iloc[places], pd.Timedelta(0)).assign(timestamp=CUTOFF + pd.to_timedelta(seconds, 's').astype('timedelta64[us]'))
    return pd.concat([LOG, late], ignore_index=True)

@settings(max_examples=9, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, len(BEFORE) - 1), st.integers(0, 40*86_400)), min_size=1, max_size=30, unique_by=lambda p: p[0]))
def test_a_refund_after_the_cutoff_changes_nothing_before_it(kind, refunds):
    assert_same(frozen(read(with_refunds(refunds), kind)), known(kind, False))

def test_nor_does_it_after_cleaning():
    refunds = [(int(i), 3600 * int(i)) for i in range(0, len(BEFORE), 2)]
    assert_same(frozen(clean(read(with_refunds(refunds), 'margin'))), known('margin', True))

def test_a_log_cleaned_by_whole_days_is_not_asked_in_the_middle_of_one():
    "A purchase at ten, refunded at three, would be gone at noon."
    day = SALES.iloc[:1].assign(timestamp=CUTOFF + pd.Timedelta(hours=10))
    tidy = clean(read(pd.concat([LOG, day, refund(day, pd.Timedelta(hours=5))], ignore_index=True), 'net'))
    with pytest.raises(DataError, match='at the cutoff 2024-03-01 12:00 the day is not over: choose a midnight'): snapshot(tidy, '2024-03-01 12:00', '30D', labels=False)
    assert_same(snapshot(tidy, '2024-03-02', '30D', labels=False), snapshot(clean(read(LOG, 'net')), '2024-03-02', '30D', labels=False))

def test_an_unsigned_refund_gives_its_cost_back_too():
    "The margin of a sale and its refund is 0, also if the export forgot both signs."
    sale = SALES.iloc[:1].assign(timestamp=pd.Timestamp('2024-01-05'), user_id=99, value=50., cost=30.)
    bare = refund(sale, pd.Timedelta(days=3)).assign(value=50., cost=30.)
    assert frozen(clean(read(pd.concat([LOG, sale, bare], ignore_index=True), 'margin'))).rfm.loc[99, 'spend'] == 0

def test_the_guard_sees_a_refund_before_the_cutoff():
    "The test above can fail."
    early = refund(BEFORE.iloc[:1], pd.Timedelta(0)).assign(timestamp=CUTOFF - pd.Timedelta(seconds=1))
    with pytest.raises(AssertionError): assert_same(frozen(read(pd.concat([LOG, early], ignore_index=True), 'net')), known('net', False))

def by_user(frame): return frame.groupby('user_id')['paid'].sum()

@pytest.mark.parametrize('kind', KINDS)
def test_one_meaning_everywhere(kind):
    "Features, history and labels add the same money, and it is the money a few lines of pandas find."
    late = refund(SALES[SALES['timestamp'] > CUTOFF].iloc[::4], pd.Timedelta(days=1))
    frame = pd.concat([LOG, late], ignore_index=True)
    paid = {'net': frame['value'], 'gross': frame['value'].clip(lower=0), 'margin': frame['value'] - frame['cost']}[kind]
    frame['paid'] = paid.where(frame['event'] != 'view', 0.)
    now = snapshot(read(frame.drop(columns='paid'), kind), CUTOFF, '30D')
    users = now.rfm.index
    past, future = frame[frame['timestamp'] < CUTOFF], frame[(frame['timestamp'] >= CUTOFF) & (frame['timestamp'] < CUTOFF + pd.Timedelta(days=30))]
    told = by_user(past).reindex(users).to_numpy()
    np.testing.assert_allclose(now.rfm['spend'], told)
    np.testing.assert_allclose(now.features['spend'], told)
    np.testing.assert_allclose(np.add.reduceat(now.history.spend, now.history.offsets[:-1]), told)
    np.testing.assert_allclose(now.labels['value'], by_user(future).reindex(users).fillna(0).clip(lower=0))
    steps = np.sign(now.sequences.values[:, 2]) * np.expm1(np.abs(now.sequences.values[:, 2]))
    sold = now.sequences.kind != now.sequences.kinds.index('view')
    assert steps[sold].sum() == pytest.approx(told.sum(), rel=1e-4)   # no user has more steps than a sequence holds

def test_gross_does_not_know_of_returns():
    "Without the returns the money of a gross log is the same."
    bare = frozen(read(pd.concat([VIEWS, SALES], ignore_index=True), 'gross'))
    pd.testing.assert_frame_equal(bare.rfm, known('gross', False).rfm, check_exact=True)

def test_discounted_money_counts_less_the_later_it_comes():
    log = pd.DataFrame({'user_id': 1, 'timestamp': pd.to_datetime(['2024-01-01', '2024-03-01', '2025-03-01', '2025-03-02']), 'value': [1., 100., 100., 1.]})
    value = snapshot(read_events(log, value=Value(discount=.1)), CUTOFF, '366D').labels['value'].item()
    assert value == pytest.approx(100 + 100 / 1.1**(365/365.25))

def test_a_model_of_margins_refuses_net_money():
    from ulv_jax.data.errors import DataError
    from ulv_jax.data.snapshots import training_snapshots
    from ulv_jax.models.base import make_forecaster
    model = make_forecaster('persistence_rate').fit(training_snapshots(read(LOG, 'margin'), CUTOFF, '20D', n=2))
    with pytest.raises(DataError, match="kind: the model has 'margin', the data 'net'"): model.predict(known('net', False))

def test_cleaning_keeps_margins():
    "Rules judge by the price: a sale below its cost is no refund, and the margin is the same after cleaning."
    events = read(LOG, 'margin')
    rows = clean(events).table.execute()
    assert (rows.loc[rows['event'] == 'purchase', 'value'] < 0).any() and len(rows) == len(LOG)
    np.testing.assert_allclose(rows['value'], rows['price'] - rows['cost'])
