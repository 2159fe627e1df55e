"What must hold for every head, whatever it asks a network for."
import os, subprocess, sys
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dataclasses import replace
from flax import nnx
from ulv_jax.data.errors import DataError
from ulv_jax.models.base import load_forecaster, make_forecaster, save_forecaster
from ulv_jax.models.heads import HEADS, MultiHead, ValueScale, head_spec, make_head
from ulv_jax.models.deep import embed
from ulv_jax.models.mesh import cores_as_devices, data_mesh
from ulv_jax.models.next_item import ItemTask
from ulv_jax.models.recurrent import RecurrentNetwork
from ulv_jax.models.tables import Tables
from ulv_jax.models.answers import Examples
from ulv_jax.models.train_step import Training
from ulv_jax.models.training import train_network
from ulv_jax.models.value_and_item import next_items

cores_as_devices()   # before anything is computed
ALL = [*HEADS, 'mission+quantiles', 'ziln+bernoulli']
MEAN = [h for h in ALL if h not in ('bernoulli', 'quantiles')]   # those that forecast a value
each_head, each_mean = pytest.mark.parametrize('name', ALL), pytest.mark.parametrize('name', MEAN)

def some_targets(head, n=64, seed=0):
    "Outcomes of n customers, four in ten of whom buy nothing."
    rng = np.random.default_rng(seed)
    purchases = rng.poisson(rng.gamma(1., 2., n)).astype(float)
    money = np.where(purchases > 0, purchases*rng.lognormal(0, 1, n), 0)
    outcome = dict(value=np.minimum(money, 8), money=money, purchases=purchases, bought=(purchases > 0).astype(float))
    for f in (.25, .5, .75, 1.):
        part = np.floor(purchases*f)
        outcome |= {f'value_by_{f:g}': outcome['value']*f, f'purchases_by_{f:g}': part, f'bought_by_{f:g}': (part > 0).astype(float)}
    return head.target(outcome)

def answers(head, n=64, scale=1., seed=1): return jnp.asarray(np.random.default_rng(seed).normal(size=(n, head.width))*scale, jnp.float32)

@each_head
def test_one_loss_a_customer_that_no_other_customer_changes(name):
    head = make_head(name)
    a, t = answers(head), jnp.asarray(some_targets(head))
    loss = head(a, t)
    assert loss.shape == (64,) and jnp.isfinite(loss).all()
    np.testing.assert_allclose(head(a[5:6], t[5:6]), loss[5:6], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.jit(head)(a, t), loss, rtol=1e-5, atol=1e-5)

@each_head
def test_shapes_must_agree(name):
    head = make_head(name)
    a, t = answers(head), jnp.asarray(some_targets(head))
    for wrong in ((a[:1], t), (a, t[:1]), (a[:, :-1], t), (jnp.concatenate([a, a], 1), t)):
        with pytest.raises(ValueError, match='must agree'): head(*wrong)

@each_head
@pytest.mark.parametrize('scale', [0., 1., 100.])
def test_gradients_are_finite(name, scale):
    head = make_head(name)
    assert jnp.isfinite(jax.grad(lambda a: head(a, jnp.asarray(some_targets(head))).sum())(answers(head, scale=scale))).all()

@each_head
@pytest.mark.parametrize('scale', [1., 100., 1e10, 1e37])
def test_forecast_is_finite_and_not_negative_whatever_is_answered(name, scale):
    head = make_head(name)
    for ratio in (.1, 1., 4.):
        columns = head.forecast(np.asarray(answers(head, scale=scale)), ValueScale(1e12, 10., 1.2), ratio)
        assert all(np.shape(v) == (64,) and np.isfinite(v).all() and (v >= 0).all() for v in columns.values())
        assert (columns.get('p_purchase', np.zeros(1)) <= 1).all()

@each_head
def test_a_longer_horizon_is_worth_no_less(name):
    head = make_head(name)
    grid = [head.forecast(np.asarray(answers(head, scale=3.)), ratio=r) for r in (.05, .3, .8, 1., 1.5, 4.)]
    for column in {'ulv', 'p_purchase', 'expected_purchases'} & set(grid[0]): assert (np.diff([g[column] for g in grid], axis=0) >= -1e-12).all()

@each_head
def test_the_start_is_better_than_nothing_and_repeats(name):
    head = make_head(name)
    t = some_targets(head, 2000)
    start = np.asarray(head.start(t))
    assert start.shape == (head.width,) and np.isfinite(start).all() and np.isfinite(head.start(np.zeros_like(t))).all()   # also where nobody buys
    def mean_loss(a): return float(head(jnp.tile(jnp.asarray(a, jnp.float32), (2000, 1)), jnp.asarray(t)).mean())
    if name != 'mission': assert mean_loss(start) < mean_loss(np.zeros(head.width))

@each_head
def test_a_head_survives_a_file(name):
    head = make_head(name)
    assert make_head(head_spec(head)) == head and hash(make_head(head_spec(head))) == hash(head)
    assert name not in MEAN or not isinstance(head, MultiHead) or head.name == name

def small(head='mission', family='gru', **kwargs):
    model = type(make_forecaster(family))(0, training=Training(epochs=2, n_rows=8), head=head, n_hidden=8, **kwargs)
    model.progress = False
    return model

@each_mean
def test_a_forecaster_with_any_head_repeats_itself_and_survives_a_file(name, shop, tmp_path):
    learn, now = shop
    model = small(name).fit(learn)
    forecast = model.predict(now)
    assert (forecast['ulv_lo_90'] <= forecast['ulv']).all() and (forecast['ulv'] <= forecast['ulv_hi_90']).all()
    assert .3 < forecast['ulv'].mean()/now.labels['value'].mean() < 3 or name in ('mission', 'mission+quantiles')   # which begin at 0
    loaded = load_forecaster(save_forecaster(model, tmp_path))
    assert loaded.head == model.head
    pd.testing.assert_frame_equal(loaded.predict(now), forecast, check_exact=True)

@pytest.mark.parametrize('family', ['lstm', 'cnn', 'attention', 'lstm_attention'])
def test_features_join_any_network(family, shop, tmp_path):
    learn, now = shop
    model = small('nb_spend', family, static=True).fit(learn)
    forecast = model.predict(now)
    other = model.predict(replace(now, features=now.features.assign(purchases=0.)))
    assert (forecast['ulv'] != other['ulv']).any() and np.isfinite(other['ulv']).all()
    pd.testing.assert_frame_equal(load_forecaster(save_forecaster(model, tmp_path)).predict(now), forecast, check_exact=True)

def test_a_network_that_is_too_wide_is_refused_before_it_is_made(shop):
    for family in ('lstm', 'gru', 'cnn', 'attention'):
        model = type(make_forecaster(family))(0, n_hidden=2**20); model.progress = False
        with pytest.raises(DataError, match='n_hidden=1048576.*GB are free'): model.fit(shop[0])

def test_ctrl_c_is_resumed_to_the_same_bits(shop, tmp_path, monkeypatch):
    learn, now = shop
    whole = small().fit(learn).predict(now)
    import ulv_jax.models.training as training
    judge, calls = training.valid_loss, []
    def stop(*args):
        calls.append(1)
        if len(calls) == 2: raise KeyboardInterrupt
        return judge(*args)
    monkeypatch.setattr(training, 'valid_loss', stop)
    with pytest.raises(KeyboardInterrupt, match='stopped after 1 of 2 epochs.*goes on from there'): small(checkpoint=tmp_path).fit(learn)
    monkeypatch.setattr(training, 'valid_loss', judge)
    pd.testing.assert_frame_equal(small(checkpoint=tmp_path).fit(learn).predict(now), whole, check_exact=True)

def test_dropout_does_not_count_devices():
    if len(data_mesh().devices.ravel()) < 2: pytest.skip('one device')
    rng, lengths = np.random.default_rng(0), np.random.default_rng(1).integers(1, 9, 90)
    offsets = np.concatenate([[0], lengths.cumsum()])
    data = Examples(rng.normal(size=(offsets[-1], 3)).astype(np.float32), offsets, rng.random((90, 2)).astype(np.float32))
    def weights(n):
        net = RecurrentNetwork(3, 8, dropout=.5, rngs=nnx.Rngs(0))
        train_network(net, data, data, Training(epochs=2, n_rows=8, row_length=8), progress=False, mesh=data_mesh(n))
        return jax.tree.leaves(nnx.state(net, nnx.Param))
    for one, two in zip(weights(1), weights(2)): np.testing.assert_allclose(one, two, atol=1e-5)

def test_draws_of_items_do_not_count_devices():
    if len(data_mesh().devices.ravel()) < 2: pytest.skip('one device')
    rng, lengths = np.random.default_rng(0), np.random.default_rng(1).integers(1, 9, 90)
    offsets = np.concatenate([[0], lengths.cumsum()])
    x = dict(numbers=rng.normal(size=(offsets[-1], 3)).astype(np.float32), item=rng.integers(0, 202, offsets[-1]).astype(np.int32))
    data = Examples(x, offsets, rng.random((90, 2)).astype(np.float32))
    def weights(n):
        net = RecurrentNetwork(3 + 8, 8, rngs=nnx.Rngs(0))
        net.tables, net.task = Tables({'item': 202}, 8, rngs=nnx.Rngs(1)), ItemTask(8, 202, 4, n_drawn=16, rngs=nnx.Rngs(2))
        train_network(net, data, data, Training(epochs=2, n_rows=8, row_length=8), progress=False, mesh=data_mesh(n), loss=make_head('mission+next_item'))
        return jax.tree.leaves(nnx.state(net, nnx.Param))
    for one, two in zip(weights(1), weights(2)): np.testing.assert_allclose(one, two, atol=1e-5)

@pytest.mark.parametrize('family', ['lstm', 'cnn', 'attention', 'lstm_attention'])
def test_any_network_learns_the_next_item_beside_the_value(family, shop, tmp_path):
    "Codes that no log has, put on the steps of a log without items: they count up, so that each says which one follows."
    def named(s):
        number = np.arange(len(s.sequences.kind)) - np.repeat(s.sequences.offsets[:-1], s.sequences.lengths)
        return replace(s, sequences=replace(s.sequences, item=(number % 6).astype(np.int32), items=pa.array([f'item {i}' for i in range(6)], pa.large_string())))
    learn, now = [named(s) for s in shop[0]], named(shop[1])
    model = type(make_forecaster(family))(0, training=Training(epochs=30, patience=30, n_rows=4, learning_rate=2e-2), head='mission+next_item', n_hidden=16, names=('item',), static=True)
    model.progress = False
    forecast, best = model.fit(learn).predict(now), next_items(model, now, 1)
    last = now.sequences.item[now.sequences.offsets[1:] - 1]
    assert ([f'item {(i + 1) % 6}' for i in last] == best['item']).mean() > .7 and np.isfinite(forecast['ulv']).all()
    loaded = load_forecaster(save_forecaster(model, tmp_path))
    pd.testing.assert_frame_equal(loaded.predict(now), forecast, check_exact=True)
    pd.testing.assert_frame_equal(next_items(loaded, now, 1), best, check_exact=True)
    assert embed(loaded, now).shape == (len(now), 16)   # the task is no column of what trees read

@pytest.mark.parametrize('head', ['mission', 'process', 'seasonal_process'])
def test_a_head_that_is_named_before_the_fit_leaves_all_devices(head):
    "Some heads ask JAX when they are made, which then has as many devices as it finds."
    program = f"from ulv_jax.models.base import make_forecaster; make_forecaster('gru', head={head!r}); import ulv_jax.models.mesh as m; print(m.data_mesh().size)"
    done = subprocess.run([sys.executable, '-c', program], env=os.environ | {'ULV_CPU_DEVICES': '3', 'JAX_PLATFORMS': 'cpu'}, capture_output=True, text=True, timeout=120)
    assert done.stdout == '3\n', done.stderr
