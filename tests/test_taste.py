"What customers buy, inside the models: honest columns, the same ones for ever."
import json, pickle
from dataclasses import replace
from unittest.mock import patch
import numpy as np, pandas as pd
import pytest
from ulv_jax.data.baskets import Baskets
from ulv_jax.data.encode import Encoding
from ulv_jax.data.errors import DataWarning
from ulv_jax.data.events import Events, read_events
from ulv_jax.data.guard import differences
from ulv_jax.data.inputs import fit_inputs, inputs_from_dict, inputs_to_dict, training_frame
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.splits import split_by_user
from ulv_jax.data.taste import SIZE, Taste, axes_of, directions, fit_taste
from ulv_jax.ensemble.kept import digest
from ulv_jax.evaluation.metrics import auc
from ulv_jax.models.base import load_forecaster, make_forecaster, save_forecaster
from ulv_jax.models.boosted import SETTINGS, lightgbm
from ulv_jax.models.structured import MLPForecaster, QUIET, Settings, TweedieForecaster

CUTOFF, DAYS = '2024-07-01', '30D'

def shop(n=1300, items=150, seed=0):
    "Half like the first half of the items, and come back more often."
    rng = np.random.default_rng(seed)
    first = rng.random(n) < .5
    rate = np.where(first, 9, 3)
    lines = rng.poisson(rate) + 1
    user = np.repeat(np.arange(n), lines)
    day = np.minimum(rng.integers(0, 120, n)[user] + rng.exponential(60, len(user)), 211)
    item = rng.integers(0, items//2, len(user)) + np.where(first[user] == (rng.random(len(user)) < .9), 0, items//2)
    return pd.DataFrame({'user_id': user, 'timestamp': pd.Timestamp('2024-01-01') + pd.to_timedelta(day, 'D'), 'value': 10., 'item_id': item})

def sets(rows):
    events = read_events(rows, item_col='item_id')
    return training_snapshots(events, CUTOFF, DAYS, n=3), snapshot(events, CUTOFF, DAYS, labels=False)

@pytest.fixture(scope='module')
def learn_now(): return sets(shop())

def test_columns_are_there_and_in_the_file_of_the_model(learn_now):
    learn, now = learn_now
    table, plain = (fit_inputs(learn, Encoding(), scaled=False, taste=t) for t in (True, False))
    assert [c for c in table.frame(now) if c not in plain.frame(now)] == [f'taste_{k}' for k in range(SIZE)]
    again = inputs_from_dict(inputs_to_dict(table))
    assert again == table and again != plain and inputs_from_dict({k: v for k, v in inputs_to_dict(plain).items() if k != 'taste'}) == plain   # a file of before
    pd.testing.assert_frame_equal(again.frame(sets(shop())[1]), table.frame(now), check_exact=True)

@pytest.mark.parametrize('name', ['lightgbm', 'offset_trees', 'residual', 'lightgbm_tweedie'])
def test_trees_read_them_and_keep_them(name, learn_now, tmp_path):
    learn, now = learn_now
    def fitted():
        model = make_forecaster(name); model.progress = False
        return model.fit(learn)
    model = fitted()
    said = model.predict(now)
    assert isinstance(model.inputs_.taste, Taste)
    save_forecaster(model, tmp_path/name)
    pd.testing.assert_frame_equal(load_forecaster(tmp_path/name).predict(sets(shop())[1]), said, check_exact=True)
    with patch('ulv_jax.data.inputs.fit_taste', lambda s: None): assert (fitted().predict(now)['ulv'] != said['ulv']).any()

SMALL = Settings(members=1, steps=40, batch=128, examples=2048)

@pytest.mark.parametrize('family', [MLPForecaster, TweedieForecaster])
def test_networks_read_them_and_keep_them(family, learn_now, tmp_path):
    "Of every week of the past, as it was then; the same from a pickled training set; none by its setting, or from a log without items."
    learn, now = learn_now
    model = family(settings=SMALL).fit(learn)
    said = model.predict(now)
    assert model.taste_ == fit_taste(learn)
    save_forecaster(model, tmp_path/'m')
    pd.testing.assert_frame_equal(load_forecaster(tmp_path/'m').predict(sets(shop())[1]), said, check_exact=True)
    pd.testing.assert_frame_equal(family(settings=SMALL).fit(pickle.loads(pickle.dumps(learn))).predict(now), said, check_exact=True)
    without = family(settings=replace(SMALL, taste=False)).fit(learn)
    assert without.taste_ is None and (without.predict(now)['ulv'] != said['ulv']).any()
    plain = read_events(shop().drop(columns='item_id'))
    pd.testing.assert_frame_equal(family(settings=SMALL).fit(training_snapshots(plain, CUTOFF, DAYS, n=3)).predict(snapshot(plain, CUTOFF, DAYS, labels=False)), without.predict(now), check_exact=True)

def stood(taste, weeks):
    "What a snapshot of an earlier week says, by user."
    then = snapshot(read_events(shop(), item_col='item_id'), pd.Timestamp(CUTOFF) - pd.Timedelta(weeks=weeks), DAYS, labels=False)
    return taste(then.baskets, then.users).fillna(0.)

def test_an_earlier_week_does_not_know_what_was_bought_later(learn_now):
    "Where customers stood nine weeks ago is what a snapshot of that day says."
    learn, now = learn_now
    taste = fit_taste(learn)
    earlier, later = stood(taste, 9), stood(taste, 0)
    row = now.users.get_indexer(earlier.index)
    then = taste.then(now.baskets, now.users, row, np.full(len(row), 63))
    np.testing.assert_allclose(then, earlier, atol=1e-6)
    assert (earlier - later.loc[earlier.index]).abs().max(axis=None) > .1

def test_networks_learn_each_week_from_what_was_known_then(learn_now):
    "The columns of every example, whatever its week, and their small spread."
    learn, now = learn_now
    class Enough(Exception): "Stops the fit where its training would begin."
    def seen(model, some, cutoff): raise Enough(some, model.scaling_)
    with patch('ulv_jax.models.structured._train', seen), pytest.raises(Enough) as stopped: MLPForecaster(settings=replace(SMALL, examples=20_000)).fit(learn)
    some, scaling = stopped.value.args
    taste, told = fit_taste(learn), some.inputs[:, -SIZE:]
    for weeks in (1, 4, 12):
        of_week = some.back == 7*weeks
        np.testing.assert_allclose(told[of_week], stood(taste, weeks).loc[now.users[some.user[of_week]]], atol=1e-6)
        assert of_week.sum() > 100
    np.testing.assert_allclose(scaling(some.inputs)[:, -SIZE:].std(0), QUIET, rtol=1e-3)

def test_a_log_without_items_is_no_silent_input(learn_now):
    model, plain = MLPForecaster(settings=SMALL).fit(learn_now[0]), read_events(shop().drop(columns='item_id'))
    with pytest.warns(DataWarning, match='does not say it'): model.predict(snapshot(plain, CUTOFF, DAYS, labels=False))

def test_a_network_of_before(learn_now, tmp_path):
    "Its file names neither the setting nor what customers buy."
    learn, now = learn_now
    model = MLPForecaster(settings=replace(SMALL, taste=False)).fit(learn)
    file = save_forecaster(model, tmp_path/'m')/'model.json'
    meta = json.loads(file.read_text())
    del meta['state']['taste'], meta['state']['settings']['taste']
    file.write_text(json.dumps(meta))
    again = load_forecaster(tmp_path/'m')
    assert again.taste_ is None
    pd.testing.assert_frame_equal(again.predict(now), model.predict(now), check_exact=True)

def test_the_deep_trees_learn_the_axes_at_the_present(learn_now):
    learn, now = learn_now
    class Enough(Exception): "Stops the fit where its trees would begin."
    def seen(model, snapshots): raise Enough(snapshots.present.cutoff)
    model = make_forecaster('boosted_deep'); model.progress = False
    with patch('ulv_jax.models.deep._fit_trees', seen), pytest.raises(Enough, match=CUTOFF): model.fit(learn)

def test_some_customers_of_a_snapshot(learn_now):
    learn, now = learn_now
    inside, outside = split_by_user(learn, .2)
    model = make_forecaster('lightgbm').fit(inside)
    assert len(model.predict(outside[-1])) == len(outside[-1])
    rows, others = shop(), set(outside.present.users)
    changed = rows.assign(item_id=rows['item_id'].where(~rows['user_id'].isin(others), 777))
    assert fit_taste(split_by_user(sets(changed)[0], .2)[0]) == fit_taste(inside) != fit_taste(learn)   # nobody else shapes the axes

def test_a_coin_cannot_be_told():
    "What a customer buys later must not shape the axes of the date at which it is to be foretold."
    def auc_of(axes_all, seed):
        rng = np.random.default_rng(seed)
        n, items = 3000, 300
        early, back = rng.integers(0, items, (n, 4)), rng.random(n) < .5
        late = rng.integers(0, items, (n, 6))
        log = lambda i, some, day: pd.DataFrame({'user_id': np.repeat(np.flatnonzero(some), i.shape[1]), 'item_id': i[some].ravel(), 'timestamp': day, 'value': 1.})
        events = read_events(pd.concat([log(early, np.ones(n, bool), '2024-01-01'), log(late, back, '2024-02-01')]), item_col='item_id')
        then, now = (snapshot(events, t, '10D', labels=False) for t in ('2024-01-15', '2024-03-01'))
        taste = fit_taste([now])
        if axes_all:
            x, _ = directions(now.baskets.counts(list(taste.ids)), taste.weights)
            taste = Taste(taste.ids, taste.weights, np.stack([axes_of(x, SIZE)]*2))
        x, fold, p = taste(then.baskets, then.users).to_numpy(), rng.integers(0, 3, n), np.zeros(n)
        for k in range(3): p[fold == k] = lightgbm().train(SETTINGS | dict(objective='binary', seed=0, num_threads=1), lightgbm().Dataset(x[fold != k], back[fold != k].astype(float)), 100).predict(x[fold == k])
        return auc(back, p)
    ours, naive = (np.mean([auc_of(whole, seed) for seed in (0, 1)]) for whole in (False, True))
    assert abs(ours - .5) < .02 < .03 < naive - .5, (ours, naive)

def test_logs_that_say_too_little_have_no_such_columns():
    def taste(rows): return fit_taste([snapshot(read_events(rows, item_col='item_id'), CUTOFF, DAYS, labels=False)])
    rows = shop()
    late = rows.assign(item_id=rows['item_id'].where(rows['user_id'] < 12).astype('Int64'))   # ids are noted of a dozen customers only
    everything = pd.DataFrame({'user_id': np.repeat(np.arange(1100), 110), 'item_id': np.tile(np.arange(110), 1100), 'timestamp': '2024-06-15', 'value': 1.})
    assert taste(rows) is not None and taste(late) is None and taste(everything) is None   # all bought all: nobody differs

def test_equal_boxes():
    "Where axes are anybody's choice it is the same one each time, in whatever order the lines lie."
    boxes = pd.DataFrame({'user_id': np.repeat(np.arange(2000), 10), 'item_id': (np.repeat(np.arange(2000) % 12, 10)*10 + np.tile(np.arange(10), 2000)), 'timestamp': '2024-06-15', 'value': 1.})
    def now(rows): return snapshot(read_events(rows, item_col='item_id'), CUTOFF, DAYS, labels=False)
    assert fit_taste([now(boxes)]) == fit_taste([now(boxes.sample(frac=1, random_state=0))])

def test_what_was_bought_is_part_of_what_a_fit_stands_for(learn_now):
    learn, now = learn_now
    other = shop()
    other.loc[other.index[0], 'item_id'] = 999
    assert digest(now) == digest(sets(shop())[1]) != digest(sets(other)[1])
    assert isinstance(now.baskets, Baskets)

def test_a_pickled_training_set_says_the_same():
    events = read_events(shop(), item_col='item_id')
    learn, now = training_snapshots(events, CUTOFF, DAYS, n=3, rehearsals=True), snapshot(events, CUTOFF, DAYS, labels=False)
    kept, then = pickle.loads(pickle.dumps((learn, now)))   # before anybody asked for late origins
    first, again = (make_forecaster('lightgbm').fit(k).predict(n) for k, n in ((learn, now), (kept, then)))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert isinstance(fit_taste(kept), Taste) and fit_taste(kept) == fit_taste(learn) and not differences(now, then)
    assert not isinstance(then.baskets.events, Events)   # the log stayed where it is
    assert [s.cutoff for s in kept.late] == [s.cutoff for s in learn.late] and len(kept.rehearsals) == len(learn.rehearsals) > 0
    some = split_by_user([then], .2)[0]
    assert digest(kept) == digest(pickle.loads(pickle.dumps(kept))) != digest(some) == digest(pickle.loads(pickle.dumps(some)))
