"""Whatever happens at or after the cutoff, every bit of what is known before it stays; and when a leak is planted, the same property finds it.

The past and the future of a shop are made up: users, kinds, items, categories, orders, discounts, refunds, attributes that hold from a day on.
"""
from dataclasses import replace
from itertools import chain
import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings, strategies as st
from ulv_jax.data import items, sequences, snapshots
from ulv_jax.data.events import read_events
from ulv_jax.data.guard import differences
from ulv_jax.data.horizons import horizon_labels
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.table import with_columns
from ulv_jax.data.vocabulary import Vocabulary

CUTOFF = pd.Timestamp('2024-05-01 12:00')   # not midnight: a day is partly known
COLUMNS = dict(user_id='string', timestamp='datetime64[us]', event='string', value='float64', item='string', group='string', order='string', pieces='float64', off='float64')
ROLES = dict(event_col='event', item_col='item', category_col='group', order_col='order', quantity_col='pieces', discount_col='off')
quick = dict(deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])   # a leak is to be found, not to be shortened

def shop(n, start, end, seed):
    "Rows from `start` on and before `end`."
    rng = np.random.default_rng(seed)
    when = start + pd.to_timedelta(np.sort(rng.integers(0, int((end - start).total_seconds()), n)), 's')
    event = rng.choice(['view', 'purchase', 'return', 'search'], n, p=[.35, .45, .1, .1])
    value = np.where(event == 'purchase', rng.integers(1, 9000, n)/100, np.where(event == 'return', -rng.integers(1, 900, n)/100, np.nan))
    pick = lambda names: rng.choice(names, n)
    return pd.DataFrame(dict(user_id=pick(['u1', 'u2', 'u3', 'u4', 'u5']), timestamp=when, event=event, value=value, item=pick(['tea', 'jam', 'ale', 'rye', None]), group=pick(['food', 'drink', None]),
                             order=pick(['o1', 'o2', 'o3', None]), pieces=pick([1., 2., np.nan]), off=pick([0., 1., np.nan]))).astype(COLUMNS)

PAST = [shop(80, pd.Timestamp('2024-01-01'), CUTOFF, seed) for seed in range(3)]
FUTURE = shop(30, CUTOFF, pd.Timestamp('2024-07-01'), 9)   # as it happened
LIVES = pd.DataFrame(dict(user_id=['u1', 'u2', 'u1'], valid_from=pd.to_datetime(['2024-01-01', '2024-02-01', '2024-03-01']), plan=['free', 'gold', 'gold'], age=[30., 40., 31.]))

INSTANT = pd.DataFrame([('u1', CUTOFF, 'purchase', 1e5, 'aaa', 'aaa', 'new', 7., 9.)], columns=list(COLUMNS)).astype(COLUMNS)   # one event, at the very cutoff
LAST = FUTURE.iloc[-1:].assign(timestamp=pd.Timestamp('2024-07-01'), user_id='zzz')   # so that the log does not end before a horizon

@st.composite
def futures(draw):
    "Another future: rows taken away, rows changed, rows and users added, some of them at the very instant of the cutoff."
    kept = FUTURE[np.array(draw(st.lists(st.booleans(), min_size=len(FUTURE), max_size=len(FUTURE))))]
    if draw(st.booleans()): kept = kept.assign(value=draw(st.floats(-1e9, 1e9)), event=draw(st.sampled_from(['purchase', 'return', 'aaa'])), item=draw(st.sampled_from(['aaa', 'tea', None])))
    return pd.concat([kept, pd.DataFrame(draw(st.lists(NEW, max_size=6)), columns=list(COLUMNS)).astype(COLUMNS)])

text = lambda *names: st.sampled_from(names)
NEW = st.tuples(text('u1', 'u2', 'u5', 'aaa', 'zzz'), st.one_of(st.sampled_from([0, 1, 3600]), st.integers(0, 60*86_400)).map(lambda s: CUTOFF + pd.Timedelta(seconds=s)), text('view', 'purchase', 'return', 'aaa', 'zzz'),
                st.one_of(st.none(), st.floats(-1e9, 1e9)), text('tea', 'aaa', 'zzz', None), text('food', 'aaa', None), text('o1', 'new', None), text(1., 1e6, None), text(0., 50., None))
PLANS = st.lists(st.tuples(text('u1', 'u2', 'u3', 'zzz'), st.integers(0, 60*86_400), text('free', 'gold', 'aaa'), text(1., 99., None)), max_size=3, unique_by=lambda p: p[:2])

def lives(plans):
    later = pd.DataFrame([(u, CUTOFF + pd.Timedelta(seconds=s), p, a) for u, s, p, a in plans], columns=list(LIVES)).astype(LIVES.dtypes)
    return pd.concat([LIVES, later], ignore_index=True)

def log(past, future, attributes=LIVES): return read_events(pd.concat([past, future, LAST], ignore_index=True), attributes=attributes, **ROLES)

def now(events, **more): return snapshot(events, CUTOFF, '30D', labels=False, **more)

def property_of_snapshots(pasts=PAST[:1]):
    "A function that asserts it, for any future."
    base = [now(log(past, FUTURE)) for past in pasts]
    @settings(max_examples=20, **quick)
    @given(st.sampled_from(range(len(pasts))), futures(), PLANS)
    @example(0, INSTANT, [])   # the case that is easily missed
    def holds(i, future, plans): assert differences(base[i], now(log(pasts[i], future, lives(plans)))) == []
    return holds

def test_any_future_leaves_every_bit(): property_of_snapshots(PAST)()

def elsewhere(past, future, plans):
    "The same log as a server in UTC writes it, of a shop in Tokyo, with a column of one's own that looks at all it is given."
    utc = lambda times: times.dt.tz_localize('Asia/Tokyo').dt.tz_convert('UTC')
    rows = pd.concat([past, future, LAST], ignore_index=True).assign(timestamp=lambda f: utc(f['timestamp']))
    attributes = lives(plans).assign(valid_from=lambda f: utc(f['valid_from']))
    own = lambda events, cutoff, users: pd.DataFrame({'rows': events.table.count().execute(), 'to': (cutoff - events.last) / pd.Timedelta(days=1)}, index=users)
    return with_columns(read_events(rows, attributes=attributes, time_zone='Asia/Tokyo', **ROLES), mine=own)

def test_any_future_on_another_clock_and_in_columns_of_ones_own():
    base = now(elsewhere(PAST[0], FUTURE, []))
    assert base.features['mine_rows'].unique().tolist() == [80] and base.rfm.equals(now(log(PAST[0], FUTURE)).rfm)
    @settings(max_examples=8, **quick)
    @given(futures(), PLANS)
    @example(INSTANT, [('u1', 0, 'free', 1.)])
    def holds(future, plans): assert differences(base, now(elsewhere(PAST[0], future, plans))) == []
    holds()

def test_the_base_has_everything_that_can_leak():
    s = now(log(PAST[0], FUTURE))
    assert len(s) == 5 and len(s.sequences.kinds) == 4 and len(s.sequences.items) == 4 and len(s.sequences.categories) == 2 and (s.sequences.item >= 0).any()
    assert {'n_search', 'items', 'categories', 'price_level', 'discount_share'} <= set(s.features) and len(s.baskets.popular(9)) == 4 and s.attributes.loc['u1', 'plan'] == 'gold' and s.attributes.loc['u1', 'age'] == 31
    assert (FUTURE['timestamp'] >= CUTOFF).all() and all((p['timestamp'] < CUTOFF).all() for p in PAST) and (FUTURE['event'] == 'return').any()

def test_what_lies_before_a_window_is_not_seen_through_it():
    "The mirror of the guard: with `since`, what is older changes nothing but the numbers of the items, which are names."
    since = pd.Timestamp('2024-03-01 06:00')
    for past in PAST:
        old, young = past['timestamp'] < since, past[past['timestamp'] >= since]
        changed = pd.concat([past[old].assign(value=1e6, event='purchase', user_id='u1').iloc[:7], young])
        a, b, c = (now(log(p, FUTURE, None), since=since) for p in (past, changed, young))
        for other in (b, c):
            assert set(differences(a, other)) <= {'sequences.item', 'sequences.items', 'sequences.category', 'sequences.categories'}
            names = lambda s: np.array([s.sequences.items[int(i)].as_py() if i >= 0 else None for i in s.sequences.item])
            lone = np.isclose(a.sequences.values[:, a.sequences.fields.index('log_lines')], np.log(2), atol=1e-6)
            assert lone.sum() > 20 and (names(a)[lone] == names(other)[lone]).all()

def sets(events, rehearsals):
    learn = training_snapshots(events, CUTOFF, '30D', n=2, rehearsals=rehearsals)
    return [*learn, *learn.late, learn.present, *chain.from_iterable((*lessons, outcome) for lessons, outcome in learn.rehearsals)]

def same_sets(base, other):
    assert len(base) == len(other)
    for a, b in zip(base, other):
        assert differences(a, b) == []
        if a.labels is not None: pd.testing.assert_frame_equal(a.labels, b.labels, check_exact=True)

def property_of_training_sets(rehearsals, n):
    base = sets(log(PAST[0], FUTURE), rehearsals)
    @settings(max_examples=n, **quick)
    @given(futures(), PLANS)
    def holds(future, plans): same_sets(base, sets(log(PAST[0], future, lives(plans)), rehearsals))
    return holds

@pytest.mark.parametrize('rehearsals, n', [(False, 4), (True, 1)])
def test_any_future_leaves_what_is_learnt_from(rehearsals, n): property_of_training_sets(rehearsals, n)()

def test_any_future_leaves_vocabulary_and_labels_known_by_then():
    def learnt(future):
        events = log(PAST[1], future)
        early = snapshot(events, CUTOFF - pd.Timedelta(days=40), '30D')
        return Vocabulary.fit([early.sequences], least=2), horizon_labels(events, early.cutoff, early.rfm.index, (7, 30, 90), until=CUTOFF)
    vocabulary, labels = learnt(FUTURE)
    assert len(vocabulary) > 2 and labels['value_30d'].sum() > 0 and labels['value_90d'].isna().all()
    @settings(max_examples=6, **quick)
    @given(futures())
    def holds(future):
        other, also = learnt(future)
        assert other == vocabulary
        pd.testing.assert_frame_equal(also, labels, check_exact=True)
    holds()

# leaks, each a mistake that has been made somewhere: parts of a snapshot to replace, and what replaces them
PARTS = ('rfm', 'features', 'sequences', 'history', 'baskets')
honest = {name: getattr(snapshots, name) for name in (*PARTS, 'attributes_at', 'training_origins')}

def at(later, *parts): return {name: lambda events, cutoff, *rest, part=honest[name]: part(events, later(cutoff), *rest) for name in parts or PARTS}

def refunds_first(events, cutoff):
    "Refunds dated back to what was bought: before the cutoff, whenever they come."
    t = events.table
    back = ibis.timestamp((cutoff - pd.Timedelta(seconds=1)).to_pydatetime())
    return replace(events, table=t.mutate(timestamp=((t.event == 'return') & (t.timestamp > back)).ifelse(back, t.timestamp)))

class AllCodes(items.Codes):
    def before(self, cutoff): return self

def alphabetical(events, part='item'):
    found = items.codes(events, part)
    order = found.ids.to_numpy(zero_copy_only=False).argsort(kind='stable')
    return AllCodes(found.ids.take(order), found.first.take(order))

INSTANT_LATER = lambda cutoff: cutoff + pd.Timedelta(microseconds=1)
LEAKS = {
    'the cutoff itself counts as known': at(INSTANT_LATER),
    'a day too many': at(lambda cutoff: cutoff + pd.Timedelta(days=1)),
    'the whole day of the cutoff': at(lambda cutoff: cutoff.ceil('D')),
    'refunds are taken off what was bought, whenever they come': {name: lambda events, cutoff, *rest, part=honest[name]: part(refunds_first(events, cutoff), cutoff, *rest) for name in ('rfm', 'features', 'history')},
    'kinds of event of the whole log': dict(sequences=lambda events, *rest: replace(honest['sequences'](events, *rest), kinds=events.kinds)),
    'attributes as they are today': dict(attributes_at=lambda attributes, cutoff, *rest: honest['attributes_at'](attributes, cutoff + pd.Timedelta(days=400), *rest)),
    **{f'the cutoff counts as known in the {part}': at(INSTANT_LATER, part) for part in PARTS},   # no part is left out of the comparison
}

@pytest.mark.parametrize('leak', LEAKS)
def test_a_planted_leak_is_caught(leak, monkeypatch):
    for name, part in LEAKS[leak].items(): monkeypatch.setattr(snapshots, name, part)
    with pytest.raises(AssertionError, match=r'== \[\]'): property_of_snapshots()()

def test_items_in_the_order_of_the_alphabet_are_caught(monkeypatch):
    monkeypatch.setattr(sequences, 'codes', alphabetical)
    with pytest.raises(AssertionError, match=r'sequences.* == \[\]'): property_of_snapshots()()

def test_labels_that_run_past_the_cutoff_are_caught(monkeypatch):
    "Outcomes are learnt from, so an origin a few days too late is a leak as well."
    def late(*args):
        origins, length = honest['training_origins'](*args)
        return [o + pd.Timedelta(days=5) for o in origins], length
    monkeypatch.setattr(snapshots, 'training_origins', late)
    with pytest.raises(AssertionError): property_of_training_sets(False, 4)()
