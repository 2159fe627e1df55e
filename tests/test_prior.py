"The prior-fitted network on real customers: what it may know, and what its examples change."
from dataclasses import replace
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.blocks import Block
from ulv_jax.data.datasets import CDNOW, cdnow
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster
from ulv_jax.models.customers_seen import PAST
from ulv_jax.models.prior import ULVPrior
from ulv_jax.models.prior_shop import EXAMPLES, examples_in, kept_shop, loaded_network, show_shop
from ulv_jax.models.prior_network import OWN

CUTOFF, HORIZON = '1997-10-01', '91D'

@pytest.fixture(scope='module')
def rows(): return cdnow()

@pytest.fixture(scope='module')
def now(rows): return snapshot(read_events(rows, **CDNOW), CUTOFF, HORIZON)

def with_purchase(rows, at, user):
    time, who, money = CDNOW['time_col'], CDNOW['user_col'], CDNOW['value_col']
    more = rows.iloc[:1].assign(**{time: pd.Timestamp(at), who: user, money: 5000.})
    return read_events(pd.concat([rows, more.astype(rows.dtypes.to_dict())], ignore_index=True), **CDNOW)

def test_nothing_after_the_cutoff_is_known(rows, now):
    said = ULVPrior().predict(now)
    for at, same in (('1997-10-01', True), ('1997-09-30', False)):
        other = ULVPrior().predict(snapshot(with_purchase(rows, at, now.users[5]), CUTOFF, HORIZON))
        assert np.array_equal(other.to_numpy(), said.to_numpy(), equal_nan=True) == same

def test_a_later_fit_says_nothing_else_of_an_earlier_date(rows, now):
    events = read_events(rows, **CDNOW)
    later = ULVPrior().fit(training_snapshots(events, '1998-01-01', HORIZON))
    pd.testing.assert_frame_equal(later.predict(now), ULVPrior().predict(now), check_exact=True)

def test_examples_are_counted_by_hand(rows, now):
    life, window = float(now.rfm['T'].max() + 1), 91
    then, since, was = examples_in(now, window, life, np.nan)
    log = rows.groupby([CDNOW['user_col'], CDNOW['time_col']], as_index=False)[CDNOW['value_col']].sum()
    who, when, money = (log[CDNOW[c]] for c in ('user_col', 'time_col', 'value_col'))
    start, end = pd.Timestamp(CUTOFF) - pd.Timedelta(days=window), pd.Timestamp(CUTOFF)
    assert was.all() and len(then) == EXAMPLES
    table = pd.DataFrame({'who': who, 'before': when < start, 'in': (when >= start) & (when < end), 'money': money})
    inside = table[table['in']].groupby('who')['money'].agg(['size', 'sum'])
    assert abs(since[:, 0].mean() - inside['size'].sum()/len(now)) < 3*since[:, 0].std()/EXAMPLES**.5   # a sample of the whole, to three standard errors
    one = snapshot(read_events(rows[rows[CDNOW['user_col']] == inside.index[0]], **CDNOW), CUTOFF, HORIZON, labels=False)
    (x, *_), (n, spend), known = (a[0] for a in examples_in(one, window, life, np.nan))
    assert known and n == inside['size'].iloc[0] and np.isclose(spend, inside['sum'].iloc[0]) and x == table[table['before'] & (table['who'] == inside.index[0])].shape[0] - 1

def test_a_shop_that_has_gone_quiet_is_expected_to_buy_less(now):
    "The same customers today; in one shop nobody of the examples bought in the last window, in the other all did."
    shop, asked, model = show_shop(now, 91), {}, ULVPrior().fit_to(now)
    net = loaded_network(model._weights())
    for name, n in (('quiet', 0.), ('lively', 3.)):
        examples = shop['examples'].copy()
        came = slice(OWN + 2*PAST, OWN + 2*PAST + 4)   # purchases, spend, any; and the purchases over the rate before
        guess = (np.expm1(examples[:, came.start]) + .5)*np.exp(-examples[:, came.stop - 1])   # at the rate before, and a half
        examples[:, came] = np.stack([np.full(EXAMPLES, v) for v in (np.log1p(n), np.log1p(n), n > 0)] + [np.log((n + .5)/guess)], axis=1)
        model.shops_ = {91.: kept_shop(net, shop | dict(examples=examples))}
        asked[name] = model.predict(now)['expected_purchases'].sum()
    assert asked['quiet'] < .8*asked['lively']

def test_nothing_fitted_orders_better_than_a_fit(rows, now):
    fitted = make_forecaster('pareto_nbd'); fitted.progress = False
    fitted.fit(training_snapshots(read_events(rows, **CDNOW), CUTOFF, HORIZON))
    value, buys = now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0
    prior, fit = (evaluate(value, buys, m.predict(now)) for m in (ULVPrior(), fitted))
    assert prior['spearman'] > fit['spearman'] and prior['gini'] > fit['gini'] + .02 and prior['decile_mape'] < fit['decile_mape']

def test_fitted_for_one_horizon_and_asked_about_another(rows, now):
    model = ULVPrior().fit(training_snapshots(read_events(rows, **CDNOW), CUTOFF, HORIZON))
    for days in (10, 30, 60):
        few = replace(now, horizon=pd.Timedelta(days=days))
        told, shown = (m.predict(few)['expected_purchases'] for m in (model, ULVPrior()))
        assert abs(told.sum()/shown.sum() - 1) < .1 and told.corr(shown, method='spearman') > .98
        assert (told < model.predict(now)['expected_purchases']).all()   # less time, fewer purchases

def test_a_block_of_a_log_may_be_the_shop(rows, now):
    events = read_events(rows, **CDNOW)
    block = Block(events, pd.Timestamp(CUTOFF), pd.Timedelta(HORIZON), None)
    pd.testing.assert_frame_equal(ULVPrior().predict(block), ULVPrior().predict(now), rtol=1e-5)
