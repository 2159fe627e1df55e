"""The prior-fitted network beside a fitted Pareto/NBD at earlier dates and horizons of the four logs, and how long it takes for a million customers.

    python benchmarks/prior.py earlier            # 53 dates and horizons, all before the newest date of the other benchmarks; one log: earlier cdnow
    python benchmarks/prior.py readers            # at the same dates, each of its two networks alone and mixtures of both, to a table beside the tutorials (--out)
    python benchmarks/prior.py real               # what sums up each log at its newest date, beside simulated shops, to a table (--out)
    python benchmarks/prior.py ages               # at the newest dates: bias and 90 % interval by time since the first purchase and by tenth of the forecast, to a table (--out)
    python benchmarks/prior.py shapes             # at the earlier dates and at the newest: the CRPS of its distributions beside that of zero-inflated log-normals with the same ends, to a table (--out)
    python benchmarks/prior.py million            # 1,000,000 simulated customers with a mean of 5 purchase days, without reading a log

`earlier` counts where the prior is better and prints mean differences. These dates were looked at while its worlds were made,
so they say what was chosen by, not what it is worth: for that take `ablations.py` at the newest dates. Outcomes end with the
newest date. Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them.
"""
import argparse, resource, time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
import jax
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.history import History
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.value import Value
from ulv_jax.evaluation.audit import crps
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.evaluation.over_origins import tenure_of
from ulv_jax.models import prior_network
from ulv_jax.models.base import from_ends, make_forecaster
from ulv_jax.models.prior import ULVPrior
from ulv_jax.models.prior_shop import NAMES, named
from ulv_jax.models.prior_training import numbers_of
from ulv_jax.models.signs import SIGNS
from ulv_jax.models.worlds import draw_worlds

EARLIER = {   # dates, days
    'cdnow': (('1997-06-01', '1997-07-01', '1997-08-01', '1997-09-01', '1997-10-01'), (45, 91, 150)),
    'journey': (('2017-04-02', '2017-05-01', '2017-06-01', '2017-07-02', '2017-08-01'), (30, 60, 91)),
    'retail': (('2010-07-01', '2010-09-10', '2010-12-01', '2011-03-14', '2011-06-12'), (30, 90, 180)),
    'berka': (('1993-06-01', '1993-07-04', '1993-08-15', '1993-10-02'), (30, 60, 90))}
BETTER = {'mae': -1, 'spearman': 1, 'gini': 1, 'decile_mape': -1, 'auc': 1, 'off': -1}   # the sign of an improvement

def both(events, cutoff, days):
    "Metrics of the prior and of the fitted model, and of the prior's interval."
    now = snapshot(events, cutoff, f'{days}D')
    value, bought = now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0
    fitted = make_forecaster('pareto_nbd'); fitted.progress = False
    said = {'prior': ULVPrior().predict(now), 'pareto_nbd': fitted.fit(training_snapshots(events, cutoff, f'{days}D')).predict(now)}
    scores = {k: evaluate(value, bought, f) for k, f in said.items()}
    inside = (said['prior']['ulv_lo_90'] <= value) & (value <= said['prior']['ulv_hi_90'])
    return {k: s | dict(off=abs(s['bias_pct'])) for k, s in scores.items()}, float(inside.mean())

def asked(case):
    "The log, and its earlier dates and horizons."
    read, _, origins = CASES[case]
    (dates, days), end = EARLIER[case], pd.Timestamp(origins[-1]) + pd.Timedelta(days=1)
    return read(), [(c, d) for c in dates for d in days if pd.Timestamp(c) + pd.Timedelta(days=d) <= end]

def earlier(case):
    "Differences of the prior to the fitted model, a row a date and horizon."
    events, when = asked(case)
    for cutoff, d in when:
        found, inside = both(events, cutoff, d)
        yield dict(log=case, cutoff=cutoff, days=d, inside_90=inside, **{k: found['prior'][k] - found['pareto_nbd'][k] for k in BETTER})

SECOND = (0, .25, .5, 1)   # share of the second reader

def one_alone(now, share):
    "What one reader says: the second, with a share of 1, or the first."
    jax.clear_caches()   # shares are constants of the compiled program
    with patch.object(prior_network, 'SHARES', (1 - share, share)): return ULVPrior().predict(now)[['ulv', 'p_purchase']]

def readers(case):
    "Metrics of each reader and of mixtures, a row a date, horizon and share."
    events, when = asked(case)
    for cutoff, d in when:
        now = snapshot(events, cutoff, f'{d}D')
        value, bought, (first, second) = now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0, (one_alone(now, share) for share in (0, 1))
        for share in SECOND:
            said = (1 - share)*first + share*second
            scores = evaluate(value, bought, said)
            level = said['ulv'].to_numpy()*value.sum()/said['ulv'].sum()
            yield dict(log=case, cutoff=cutoff, days=d, second=share, mae_at_total=np.abs(level - value).mean(), **{k: scores[k] for k in ('mae', 'spearman', 'gini', 'decile_mape', 'auc', 'bias_pct') if k in scores})

def newest(case, labels=True):
    "The log at its newest date."
    read, horizon, origins = CASES[case]
    return snapshot(read(), origins[-1], horizon, labels=labels)

def real(case):
    "What sums up the log, a row."
    shop = ULVPrior().fit_to(newest(case, labels=False))
    (d, kept), = shop.shops_.items()
    yield dict(shop=case, **dict(zip(NAMES + SIGNS, named(np.r_[kept['summary'], kept['signs']].astype(float)))))

def simulated(shops=500, seed=1_000_005):
    "The same of fresh simulated shops, as many of each reader: quantiles."
    found = np.concatenate([named(numbers_of(draw_worlds(shops, 384, seed, wide=wide))) for wide in (False, True)])
    return [dict(shop=f'simulated, {q:.0%}', **dict(zip(NAMES + SIGNS, np.nanquantile(found, q, axis=0)))) for q in (.01, .5, .99)]

def ages(case):
    "What forecasts and intervals were worth, by time since the first purchase and by tenth of the forecast."
    now = newest(case)
    f, y = ULVPrior().fit_to(now).predict(now), now.labels
    tenth = np.argsort(np.argsort(f['ulv'].to_numpy(), kind='stable'), kind='stable')*10//len(f) + 1
    inside = (f['ulv_lo_90'] <= y['value']) & (y['value'] <= f['ulv_hi_90'])
    each = pd.DataFrame({'actual': y['value'], 'forecast': f['ulv'], 'bought': y['purchases'] > 0, 'chance': f['p_purchase'], 'inside_90': inside, 'possible': np.maximum(.9, 1 - f['p_purchase'])})
    for by, group in (('age', tenure_of(now.rfm['T'].to_numpy(float))), ('tenth', tenth)):
        sums = each.groupby(np.asarray(group) if by == 'tenth' else group, observed=True).agg(users=('actual', 'size'), actual=('actual', 'sum'), forecast=('forecast', 'sum'), bought=('bought', 'mean'), chance=('chance', 'mean'), inside_90=('inside_90', 'mean'), at_least=('possible', 'mean'))
        for name, row in sums.iterrows(): yield dict(log=case, cutoff=f'{now.cutoff:%Y-%m-%d}', by=by, group=name, **row, bias_pct=100*(row['forecast']/row['actual'] - 1) if row['actual'] > 0 else np.nan)

def shapes(case):
    "What the distributions are worth, a row a date and horizon."
    events, when = asked(case)
    _, horizon, origins = CASES[case]
    for cutoff, d in [*when, (origins[-1], pd.Timedelta(horizon).days)]:
        now = snapshot(events, cutoff, f'{d}D')
        model, y = ULVPrior().fit_to(now), now.labels
        f = model.predict(now)
        q, counts = model.quantiles(now, f).to_numpy(), model.counts(now, 10, f).to_numpy()
        came = np.minimum(y['purchases'].to_numpy().astype(int), 10)
        value = y['value'].to_numpy()
        inside = np.mean((q[:, 2] <= value) & (value <= q[:, -3]))   # levels .05 and .95
        yield dict(log=case, cutoff=cutoff, days=d, newest=cutoff == origins[-1], crps=crps(q, value).mean(), crps_ends=crps(from_ends(f), value).mean(), mae=np.abs(f['ulv'] - value).mean(),
                   inside_90=inside, **{f'said_{k}': counts[:, k].mean() for k in (0, 1, 2, 3, 10)}, **{f'came_{k}': (came == k).mean() for k in (0, 1, 2, 3, 10)})

def show(rows):
    t = pd.DataFrame(rows)
    wins = pd.DataFrame({k: (sign*t[k] > 0).groupby(t['log']).sum() for k, sign in BETTER.items()}).assign(of=t.groupby('log').size())
    print(f'better than Pareto/NBD at\n{pd.concat([wins, wins.sum().rename("all").to_frame().T]).to_string()}\n\nmean difference\n{t.groupby("log")[[*BETTER, "inside_90"]].mean().round(4).to_string()}')

class Shop(SimpleNamespace):
    def __len__(self): return len(self.users)

def million(n=1_000_000):
    rng = np.random.default_rng(0)
    days = 1 + rng.poisson(rng.gamma(.8, 5, n))
    offsets, user = np.r_[0, days.cumsum()], np.repeat(np.arange(n), days)
    age = rng.integers(1, 366, offsets[-1])
    age = age[np.lexsort((-age, user))]
    h = History(age, rng.gamma(2, 10, len(age)), np.ones(len(age), bool), np.zeros(len(age), int), offsets)
    users = pd.RangeIndex(n, name='user')
    shop = Shop(history=h, users=users, rfm=pd.DataFrame({'T': age[offsets[:-1]] - 1.}, index=users), horizon=pd.Timedelta(days=90), cutoff=pd.Timestamp('2024-01-01'), value=Value())
    start = time.perf_counter(); model = ULVPrior().fit_to(shop)
    middle = time.perf_counter(); model.predict(shop)
    print(f'{n:,} customers, {len(age):,} purchase days: {middle - start:.1f} s until the shop is shown, {time.perf_counter() - middle:.1f} s for the forecasts, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6:.2f} GB')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['earlier', 'readers', 'real', 'ages', 'shapes', 'million']); p.add_argument('case', nargs='?', choices=[*EARLIER, 'all'], default='all')
    p.add_argument('--out', type=Path, default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards', help='where tables go')
    a = p.parse_args()
    if a.what == 'million': return million()
    rows = [row for case in (EARLIER if a.case == 'all' else [a.case]) for row in dict(earlier=earlier, readers=readers, real=real, ages=ages, shapes=shapes)[a.what](case)]
    if a.what == 'earlier': return show(rows)
    if a.what == 'real': rows += simulated()
    found, path, key = pd.DataFrame(rows), a.out/f'prior_{a.what}.csv', 'shop' if a.what == 'real' else 'log'
    if path.exists():   # the rows of other logs stay
        before = pd.read_csv(path)
        found = pd.concat([before[~before[key].isin(found[key])], found])
    found.to_csv(path, index=False, float_format='%.6g')

if __name__ == '__main__': main()
