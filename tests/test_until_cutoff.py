"""A purchase process learns from everything before the cutoff, from nothing after it, and can be asked for any horizon."""
from dataclasses import replace
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from hypothesis import Phase, example, given, settings, strategies as st
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.known import until_present
from ulv_jax.data.origins import rolling_snapshots
from ulv_jax.data.snapshots import TrainingSet, snapshot, training_snapshots
from ulv_jax.data.splits import split_by_user
from ulv_jax.ensemble.settings import shortened_set
from ulv_jax.models import training
from ulv_jax.models.base import load_forecaster, make_forecaster, save_forecaster
from ulv_jax.models.heads import PLAIN, MultiHead, make_head
from ulv_jax.models.outcomes import targets
from ulv_jax.models.rising_heads import Process
from ulv_jax.models.train_step import Training

CUTOFF = pd.Timestamp('2024-01-01')
ENCODERS = ('lstm', 'gru', 'cnn', 'attention', 'mlp_features')

def small(head='process', family='gru', seed=0, **more):
    rows = dict(n_rows=4) if family == 'mlp_features' else dict(n_rows=8, row_length=32)
    model = type(make_forecaster(family))(seed, training=Training(epochs=2, patience=2, **rows), head=head, n_hidden=8, **more)
    model.progress = False
    return model

def weights(model):
    params = nnx.state(model.network_, nnx.Param) if model.members == 1 else model.params_
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]

@pytest.fixture(scope='module')
def log():
    rng = np.random.default_rng(1)
    rows = [(f'u{u:02}', day, 5 + g/4) for u, g in enumerate(rng.gamma(2., 12., 60)) for day in np.cumsum(rng.exponential(g, 60)) if day < 425]   # two months past the cutoff
    frame = pd.DataFrame(rows, columns=['user_id', 'day', 'value'])
    return frame.assign(timestamp=pd.Timestamp('2023-01-01') + pd.to_timedelta(frame['day'], 'D')).drop(columns='day')

def learn(log, **more): return training_snapshots(read_events(log), CUTOFF, '30D', n=3, **more)
def bought(user, day, value=40.): return pd.DataFrame([(user, value, CUTOFF + pd.Timedelta(days=day))], columns=['user_id', 'value', 'timestamp'])

@pytest.mark.parametrize('family', ENCODERS)
def test_a_purchase_of_the_last_days_teaches_and_one_at_the_cutoff_does_not(family, log):
    base = weights(small(family=family).fit(learn(log)))
    user = learn(log).late[-1].users[0]
    for day, teaches in ((-.5, True), (-2.5, True), (0., False), (3., False)):
        other = weights(small(family=family).fit(learn(pd.concat([log, bought(user, day)]))))
        assert any((a != b).any() for a, b in zip(base, other)) == teaches, day

def test_whole_windows_alone_do_not_see_the_last_days(log):
    "What the late origins are for: without them these days stop the training and teach nothing."
    def taught(frame, head):
        known = learn(frame)
        return targets(until_present([*known, *known.late], known.present, known[-1].horizon) if head.until_cutoff else known[:-1], head, PLAIN, known.present)
    other = pd.concat([log, bought(learn(log).late[-1].users[0], -1.)])
    assert (taught(log, Process(until_cutoff=False)) == taught(other, Process(until_cutoff=False))).all()
    assert (taught(log, Process()) != taught(other, Process())).any()

quick = dict(deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])

def test_any_future_leaves_the_late_origins_and_their_outcomes(log):
    past, future = log[log['timestamp'] < CUTOFF], log[log['timestamp'] >= CUTOFF]
    def known(frame):
        found = learn(frame)
        return until_present([*found, *found.late], found.present, found[-1].horizon, 3.)
    base = known(log)
    @settings(max_examples=5, **quick)
    @given(st.lists(st.booleans(), min_size=len(future), max_size=len(future)), st.sampled_from([0., 1/86400, .4, 20.]), st.sampled_from(['u00', 'aaa', 'zzz']), st.floats(-1e6, 1e9))
    @example([False]*len(future), 0., 'u00', 1e5)
    def holds(keep, day, user, value):
        other = pd.concat([past, future[np.array(keep)], bought(user, day, value), bought('last', 58)])
        for a, b in zip(base, known(other), strict=True):
            pd.testing.assert_frame_equal(a.labels, b.labels, check_exact=True)
            pd.testing.assert_frame_equal(a.features, b.features, check_exact=True)
            assert (a.sequences.values.tobytes(), a.horizon, a.cutoff) == (b.sequences.values.tobytes(), b.horizon, b.cutoff)
    holds()

@pytest.mark.parametrize('dropout', (0., 1.))
def test_a_planted_process_is_found_from_windows_that_are_cut_off(dropout):
    "20,000 customers who buy at the rate 3 a horizon until they drop out, watched for a tenth of it, a third, or all of it."
    rng, head = np.random.default_rng(0), Process()
    whole = rng.choice([.1, .3, 1.], 20_000)
    ends = whole[:, None]*np.array(head.parts)
    alive = rng.exponential(1/dropout, 20_000) if dropout else np.full(20_000, np.inf)
    lived = np.diff(np.minimum(ends, alive[:, None]), axis=1, prepend=0.)
    counts = rng.poisson(3*lived).cumsum(axis=1)
    money = rng.gamma(2.*np.maximum(counts[:, -1], 1), 5/2.)*(counts[:, -1] > 0)
    target = jnp.asarray(np.column_stack([counts, money, ends]), jnp.float32)
    loss = lambda a: head(jnp.broadcast_to(a, (len(target), 5)), target).mean()
    step = jax.jit(lambda a, m: (lambda u, m: (a + u, m))(*adam.update(jax.grad(loss)(a), m)))
    adam, a = optax.adam(.05), jnp.asarray(head.start(np.asarray(target)), jnp.float32)
    memory = adam.init(a)
    for _ in range(400): a, memory = step(a, memory)
    for h in (.05, .5, 1., 2.):
        found = head.forecast(np.asarray(a)[None], ratio=h)
        expected = 3*h if not dropout else 3*(1 - np.exp(-dropout*h))/dropout
        np.testing.assert_allclose([found['expected_purchases'].item(), found['ulv'].item()], [expected, 5*expected], rtol=.04 if h <= 1 else .08)

def test_a_shop_at_a_constant_rate_is_forecast_over_any_horizon():
    "200 customers who all buy with the chance .1 a day: learnt over 60 days, asked for 6 to 180."
    rng, days = np.random.default_rng(0), pd.date_range('2023-01-01', periods=365)
    rows = [(u, day, 7.) for u in range(200) for day in days[rng.random(len(days)) < .1]]
    events = read_events(pd.DataFrame(rows, columns=['user_id', 'timestamp', 'value']))
    model = small(family='mlp_features', dropout=0.); model.training = replace(model.training, epochs=20, patience=20, learning_rate=1e-2)
    model.fit(training_snapshots(events, '2024-01-01', '60D', n=4, max_length=8))
    now = snapshot(events, '2024-01-01', '60D', labels=False, max_length=8)
    for h in (6, 30, 60, 180):
        forecast = model.predict(replace(now, horizon=pd.Timedelta(days=h)))
        np.testing.assert_allclose(forecast['expected_purchases'].mean(), .1*h, rtol=.3 if h > 60 else .1)
        np.testing.assert_allclose(forecast['ulv'], 7*forecast['expected_purchases'], rtol=.05)

@pytest.mark.parametrize('members', (1, 2))
def test_ctrl_c_is_resumed_to_the_same_bits(members, log, tmp_path, monkeypatch):
    import ulv_jax.models.members as of_members
    place, name = (training, 'valid_loss') if members == 1 else (of_members, '_judged')
    judge, calls = getattr(place, name), []
    def stop(*args):
        calls.append(1)
        if len(calls) == 2: raise KeyboardInterrupt
        return judge(*args)
    whole = weights(small('seasonal_process', members=members).fit(learn(log)))
    monkeypatch.setattr(place, name, stop)
    with pytest.raises(KeyboardInterrupt, match='after 1 of 2 epochs'): small('seasonal_process', members=members, checkpoint=tmp_path).fit(learn(log))
    monkeypatch.setattr(place, name, judge)
    again = small('seasonal_process', members=members, checkpoint=tmp_path).fit(learn(log))
    assert all((a == b).all() for a, b in zip(whole, weights(again)))
    loaded = load_forecaster(save_forecaster(again, tmp_path/'saved'))
    now = snapshot(read_events(log), CUTOFF, '30D', labels=False)
    pd.testing.assert_frame_equal(loaded.predict(now), again.predict(now), check_exact=True)

def test_windows_of_all_lengths_share_one_program(log):
    def programs(head, dropout):
        before = training.train_step._cache_size()
        small(head, dropout=dropout).fit(learn(log))
        return training.train_step._cache_size() - before
    assert programs('process', .07) == programs(Process(until_cutoff=False), .08) <= 2   # that of the first step, whose weights are not yet on the mesh, and that of all others

@pytest.mark.parametrize('members', (1, 2))
def test_another_season_compiles_no_more_programs(members, log, monkeypatch):
    import ulv_jax.models.members as of_members
    from ulv_jax.models import season
    step = training.train_step if members == 1 else of_members.members_step
    def fitted(tilt):
        monkeypatch.setattr(season, 'fit_season', lambda *_: tuple((tilt*np.sin(np.arange(52)/8)).tolist()))
        before = step._cache_size()
        model = small('seasonal_process', members=members, dropout=.09).fit(learn(log))
        return model, step._cache_size() - before, weights(model)
    (one, first, _), (two, again, light) = fitted(.5), fitted(.2)
    assert len(one.head.season) == len(two.head.season) == 52 and one.head != two.head and first <= 2 and again == 0
    monkeypatch.setattr(season.SeasonalProcess, 'as_loss', lambda self: self)   # the calendar in the program, too: the same bits
    assert all((a == b).all() for a, b in zip(light, fitted(.2)[2])) and any((a != b).any() for a, b in zip(light, weights(one)))

def test_what_the_present_does_not_say_is_refused_before_a_season_is_looked_for(log, monkeypatch):
    from ulv_jax.models import season
    monkeypatch.setattr(season, 'fit_season', lambda *_: pytest.fail('too early'))
    known = learn(log)
    for odd in (list(known), TrainingSet(known, replace(known.present, since=CUTOFF))):
        with pytest.raises(DataError, match='has to know when|does not know all that came'): small('seasonal_process').fit(odd)

def test_late_origins_stay_with_what_is_made_of_a_training_set(log):
    known = learn(log)
    assert [(CUTOFF - s.cutoff).days for s in known.late] == [21, 14, 7] and all(s.labels is None for s in known.late)
    short = shortened_set(known, 5)
    assert len(short.late) == 3 and max(s.sequences.lengths.max() for s in short.late) == 5
    left, right = split_by_user(known)
    assert [len(a) + len(b) for a, b in zip(left.late, right.late)] == [len(s) for s in known.late]

def test_who_wants_late_origins():
    assert MultiHead((Process(), Process()), (1., 1.)).until_cutoff and MultiHead((Process(reach=2.), Process(reach=3.)), (1., 1.)).reach == 2
    assert not make_head('process+quantiles').until_cutoff   # quantiles are of a whole horizon
    assert make_head('process+next_item').until_cutoff       # a task asks for no horizon

def test_a_set_without_late_origins_is_learnt_from_to_the_cutoff_all_the_same(log):
    events, now = read_events(log), snapshot(read_events(log), CUTOFF, '30D', labels=False)
    known = rolling_snapshots(events, CUTOFF, '30D', '30D')
    assert known.late == () and np.isfinite(small().fit(known).predict(now)['ulv']).all()
    one = TrainingSet(known[-1:], known.present)
    assert np.isfinite(small().fit(one).predict(now)['ulv']).all()
