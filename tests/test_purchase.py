"""Published figures of the purchase models on the CDNOW sample, which the package `lifetimes` ships (it is read, not imported),
and the golden figures of both on full logs (ULV_DATA). What is not here is skipped, and says so."""
import importlib.util, os
from pathlib import Path
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.backtest import judge
from ulv_jax.models.base import make_forecaster
from ulv_jax.models.bg_nbd import fit_bg_nbd, forecast_bg_nbd
from ulv_jax.models.first_facts import at_first_purchase
from ulv_jax.models.gamma_gamma import fit_gamma_gamma
from ulv_jax.models.likelihood import Fit
from ulv_jax.models.pareto_nbd import fit_pareto_nbd, forecast_pareto_nbd
from ulv_jax.models.posterior import outcomes, purchase_posterior
from ulv_jax.models.purchase import BGNBD, ParetoNBD
from ulv_jax.models.purchase_covariates import coefficients

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get('ULV_DATA', Path.home()/'.cache'/'ulv_jax'))
SAMPLE = 'cdnow_customers_summary_with_transactions.csv'

def path(name):
    if not (FOLDER/name).exists(): pytest.skip(f'{name} is not here: set ULV_DATA to the folder that holds it')
    return FOLDER/name

@pytest.fixture(scope='module')
def sample():
    "x, t_x, T in weeks and the mean spend of 2,357 customers, every tenth of CDNOW."
    package = importlib.util.find_spec('lifetimes')
    places = [FOLDER/SAMPLE] + ([Path(package.origin).parent/'datasets'/SAMPLE] if package else [])
    file = next((p for p in places if p.exists()), None)
    if file is None: pytest.skip(f'{SAMPLE} is not here: pip install lifetimes --no-deps, or put it into the folder that ULV_DATA names')
    return pd.read_csv(file, index_col=0)

def test_bg_nbd_of_fader_hardie_lee_2005(sample):
    fit = fit_bg_nbd(sample['x'], sample['t_x'], sample['T'])
    assert fit.values == pytest.approx([.2426, 4.4136, .7929, 2.4259], abs=2e-4)
    assert round(fit.log_likelihood, 1) == -9582.4 and fit.reasons == () and fit.customers == 2357
    bought = forecast_bg_nbd(fit, [2.], [30.43], [38.86], 39.)   # customer 1: 1.226 purchases in the next 39 weeks
    assert bought['expected_purchases'][0] == pytest.approx(1.226, abs=1e-3)

def test_pareto_nbd_of_fader_hardie_2005(sample):
    fit = fit_pareto_nbd(sample['x'], sample['t_x'], sample['T'])
    assert fit.values == pytest.approx([.553, 10.578, .606, 11.669], abs=2e-3)
    assert round(fit.log_likelihood) == -9595 and fit.reasons == ()

def test_gamma_gamma_of_fader_hardie_2013(sample):
    fit = fit_gamma_gamma(sample['x'], sample['zbar'])
    assert fit.values == pytest.approx([6.25, 3.74, 15.44], abs=.01) and fit.customers == 946 and fit.reasons == ()

@pytest.mark.parametrize('kind, values, forecast', [('pareto_nbd', (.553, 10.578, .606, 11.669), forecast_pareto_nbd), ('mbg_nbd', (.525, 6.183, .891, 1.614), lambda *a: forecast_bg_nbd(*a, 'mbg_nbd'))])
def test_fates_of_a_user_have_the_mean_of_the_closed_form(kind, values, forecast):
    "Every purchase costs 1 (p and q are huge), so a fate is a number of purchases. The page shows it for BG/NBD."
    x, t_x, T, many = 3., 36., 39., 400_000
    closed = {k: v[0] for k, v in forecast(Fit(dict(zip('abcd', values)), {}, 0., 0), [x], [t_x], [T], 39.).items()}
    fates = outcomes(kind, np.tile(values, (many, 1)), np.tile([1e6, 1e6, 1.], (many, 1)), np.full(many, closed['p_alive']), np.array([x, t_x, T, x, x]), 39.)
    assert fates.mean() == pytest.approx(closed['expected_purchases'], rel=.01) and (fates > 0).mean() == pytest.approx(closed['p_purchase'], abs=.003)

def test_posterior_of_pareto_nbd(sample):
    "An eighth of the sample: the published parameters of the whole lie within, and the dropout is left open further than the rate."
    some = sample.iloc[::8]
    found = purchase_posterior('pareto_nbd', some['x'], some['t_x'], some['T'])
    miss = (np.array([*found.mean.values()]) - [.553, 10.578, .606, 11.669]) / [*found.deviation.values()]
    assert found.r_hat < 1.05 and found.size > 100 and (np.abs(miss) < 2).all(), (miss, found.reasons)
    assert found.deviation['beta']/found.mean['beta'] > 2*found.deviation['alpha']/found.mean['alpha']

@pytest.fixture(scope='module')
def cdnow():
    events = read_events(path('cdnow_full.parquet'), user_col='customer_id', time_col='date', value_col='dollar_value')
    return training_snapshots(events, '1998-01-01', '181D', n=2), snapshot(events, '1998-01-01', '181D')

@pytest.mark.parametrize('model, golden', [(ParetoNBD, (20.97, .449, .735, .242, .8)), (BGNBD, (21.14, .435, .726, .218, -3.5))])
def test_cdnow_leaderboard(cdnow, model, golden):
    row, forecast = judge(model(), *cdnow)
    assert (round(row['mae'], 2), round(row['spearman'], 3), round(row['gini'], 3), round(row['decile_mape'], 3), round(row['bias_pct'], 1)) == golden
    assert forecast.drop(columns='rank_score').notna().all().all() and (forecast['p_purchase'] <= forecast['expected_purchases'] + 1e-9).all()

def test_one_year_of_online_retail_does_not_identify_dropout():
    d = pd.read_parquet(path('online_retail_ii.parquet'), columns=['sheet', 'Quantity', 'InvoiceDate', 'Customer ID'])
    d = d[(d['sheet'] == 'Year 2010-2011') & (d['Quantity'] > 0)]
    days = d.groupby('Customer ID')['InvoiceDate'].agg(lambda t: t.dt.floor('D').nunique()), *(d.groupby('Customer ID')['InvoiceDate'].agg(f).dt.floor('D') for f in ('min', 'max'))
    x, first, last = days; end = last.max()
    history = (x - 1).to_numpy(float), (last - first).dt.days.to_numpy(float), (end - first).dt.days.to_numpy(float)
    for fit in (fit_bg_nbd(*history), fit_bg_nbd(*history, variant='mbg_nbd'), fit_pareto_nbd(*history)):
        assert 'do not show that anybody leaves' in fit.reasons[-1]
        assert list(fit.params.values())[:2] == pytest.approx([.83, 69], rel=.02)

def test_the_heaviest_customers_are_finite():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2000, 500).astype(float); T = np.maximum(rng.uniform(1, 400, 500), 1); t_x = T*rng.uniform(.5, 1, 500)*(x > 0)
    for fit, forecast in ((fit_bg_nbd, forecast_bg_nbd), (fit_pareto_nbd, forecast_pareto_nbd)):
        found = fit(x, t_x, T)
        assert np.isfinite(found.values).all() and all(np.isfinite(v).all() and (v >= 0).all() for v in forecast(found, x, t_x, T, 365.).values())

def test_the_first_order_at_the_date_that_chose_it():
    "Of CDNOW at 1997-10-01: a coefficient that is surely there, and a better order of the customers than without it."
    events = read_events(path('cdnow_full.parquet'), user_col='customer_id', time_col='date', value_col='dollar_value')
    learn, now = training_snapshots(events, '1997-10-01', '91D', n=2), snapshot(events, '1997-10-01', '91D')
    model = make_forecaster('pareto_nbd_covariates', purchase='log_first_value')
    plain, told = (judge(m, learn, now)[0] for m in (ParetoNBD(), model))
    assert told['gini'] > plain['gini'] + .02 and told['spearman'] > plain['spearman'] and told['mae'] < plain['mae']
    found = coefficients(model.learnt_).set_index('part')
    assert list(found.index) == ['purchase', 'spend'] and (found['coefficient'] > 10*found['error']).all() and model.learnt_.reasons == ()

def test_settings_of_covariates_by_command(tmp_path):
    "Names with commas between them; a fact of the later history is refused, and the table has the reason."
    from typer.testing import CliRunner
    from ulv_jax.cli import app
    rng, rows = np.random.default_rng(0), []
    for u in range(150): rows += [(f'u{u}', pd.Timestamp('2024-01-01') + pd.Timedelta(days=int(d)), rng.gamma(3, 15)) for d in np.cumsum(rng.exponential(30, 12)) + rng.uniform(0, 150)]
    pd.DataFrame(rows, columns=['user_id', 'timestamp', 'value']).to_parquet(log := tmp_path/'log.parquet')
    def backtest(*told): return CliRunner().invoke(app, ['backtest', str(log), '--cutoff', '2024-10-01', '--horizon', '60D', '--models', 'pareto_nbd,pareto_nbd_covariates', '--out', str(tmp_path/'out'), *(a for t in told for a in ('--set', f'pareto_nbd_covariates.{t}'))])
    done = backtest('purchase=log_first_value,first_weekday', 'spend=')
    kept = pd.read_parquet(tmp_path/'out'/'predictions.parquet').groupby('model')['ulv'].sum()
    assert done.exit_code == 0 and kept['pareto_nbd'] != kept['pareto_nbd_covariates'] and np.isfinite(kept).all(), done.output
    assert "'recency' tells of the purchases since the first one" in (refused := backtest('purchase=recency')).output and refused.exit_code == 0
    assert 'it takes purchase, dropout, spend' in (backtest('purchases=recency')).output
    assert (said := backtest('purchase=Kanal').output) and "there is no 'Kanal' among the covariates" in said and 'attributes=table' in said

@pytest.mark.parametrize('late, seen', [(1., 'refused'), (.03, 'said')])
def test_an_attribute_that_came_with_a_later_purchase(late, seen):
    "With each third purchase a card: refused. For a few: said, and unknown where the value of the first purchase is taken."
    rng, rows = np.random.default_rng(0), []
    for u in range(200): rows += [(f'u{u:03d}', pd.Timestamp('2024-01-01') + pd.Timedelta(days=int(d)), rng.gamma(3, 15)) for d in np.cumsum(rng.exponential(30, 12)) + rng.uniform(0, 150)]
    log = pd.DataFrame(rows, columns=['user_id', 'timestamp', 'value'])
    by_user = log.sort_values('timestamp').groupby('user_id').timestamp
    third = log.loc[by_user.nth(2).index].set_index('user_id').timestamp.sort_index()
    few = third.index[:round(late*len(third))]
    began = by_user.min().where(~by_user.min().index.isin(few), third)
    table = pd.DataFrame({'user_id': began.index, 'valid_from': began.to_numpy(), 'card': rng.choice(['gold', 'plain'], len(began))})
    events = read_events(log, attributes=table)
    learn = training_snapshots(events, '2024-10-01', '60D', n=6)
    model = make_forecaster('bg_nbd_covariates', purchase='card')
    if seen == 'refused':
        for refuse in (lambda: model.fit(learn), lambda: at_first_purchase(events)):
            with pytest.raises(DataError, match='came after the first purchase'): refuse()
    else:
        assert any('came after the first purchase' in r for r in model.fit(learn).learnt_.reasons)
        assert set(snapshot(at_first_purchase(events), '2024-10-01', '60D').attributes.query('card.isna()').index) == {*few}
