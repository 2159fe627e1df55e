"""From a Parquet log to arrays ready for training: this library beside careful pandas and Polars.

    python benchmarks/tables.py --events 10e6            # all three, one after the other, each in its own process
    python benchmarks/tables.py --events 100e6 --only ulv

Work: the features of every customer (recency, frequency, money, five windows, each kind of event, rhythm, orders, first order)
and the last 64 steps of each as float32. Every process reads the same file, uses the same two threads, and reports
its wall clock, its processor time and its peak memory; the figures are ratios of one run.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

THREADS = 2
CUTOFF, HORIZON, LENGTH = '2024-12-31', 90, 64
WINDOWS, RECENT = (7, 30, 90, 180, 365), (7, 30, 90)
KINDS = ('cart', 'click', 'favourite', 'purchase', 'review', 'search', 'view')
SHARES = (.08, .2, .03, .05, .01, .08, .55)

def write_log(n, path, seed=0):
    "A simulated log sorted by time, of two years; activity is heavy-tailed (the busiest user has hundreds of times the mean), some 50 events a user, no returns."
    from ulv_jax.data.shop import Assortment, Population, Shop
    from ulv_jax.data.simulate import write_log as simulate_log
    shop = Shop(assortment=Assortment(returns=0.), population=Population(purchases=1.5, lines=.5, visits=.3, views=1.))
    simulate_log(path, n_events=n, shop=shop, seed=seed, columns=['user_id', 'timestamp', 'event', 'value'])

def ulv(path, clean=False):
    import pandas as pd
    from ulv_jax.data.events import read_events
    from ulv_jax.data.features import rfm
    from ulv_jax.data.sequences import sequences
    from ulv_jax.data.table import features
    cutoff = pd.Timestamp(CUTOFF)
    events = read_events(path, event_col='event')
    if clean:
        from ulv_jax.data.quality import clean as clean_events
        events = clean_events(events)
    known = rfm(events, cutoff, pd.Timedelta(days=HORIZON))
    table = features(events, cutoff, known)
    steps = sequences(events, cutoff, known.index, LENGTH)
    return table.to_numpy('float32'), list(table), steps.values, steps.kind, steps.offsets

def ulv_clean(path): return ulv(path, clean=True)

def steps_of(row, number, total, gap, age, value, lines, kind, n, np):
    "The last steps, as float32 fields; the columns are sorted by user and time."
    keep = number > total - LENGTH
    fields = [np.log1p(gap[keep]), np.log1p(age[keep]), np.sign(value[keep]) * np.log1p(np.abs(value[keep])), np.log1p(lines[keep]), np.log(number[keep])]
    return np.stack([f.astype('float32') for f in fields], axis=1), kind[keep].astype('int32'), np.concatenate([[0], np.bincount(row[keep], minlength=n).cumsum()])

def pandas(path):
    import numpy as np, pandas as pd
    day, cutoff = pd.Timedelta(days=1), pd.Timestamp(CUTOFF)
    log = pd.read_parquet(path)
    log = log[log['timestamp'] < cutoff]
    log['event'] = log['event'].astype(pd.CategoricalDtype(list(KINDS)))
    bought = log[log['event'] == 'purchase']
    days = bought.assign(day=bought['timestamp'].dt.floor('D')).groupby(['user_id', 'day'], sort=True)['value'].sum().reset_index()
    g = days.groupby('user_id')
    out = g.agg(first=('day', 'min'), last=('day', 'max'), purchases=('day', 'size'), spend=('value', 'sum'), first_spend=('value', 'first'), best_day=('value', 'max'))
    users = out.index
    out['recency'], out['T'] = (out['last'] - out['first']) / day, (cutoff - day - out['first']) / day
    repeats = (out['purchases'] - 1).where(out['purchases'] > 1)
    out['monetary_value'], out['mean_gap'] = (out['spend'] - out['first_spend']) / repeats, out['recency'] / repeats
    out['since'] = out['T'] - out['recency']; out['overdue'] = out['since'] / out['mean_gap']
    for w in (*WINDOWS, HORIZON):
        s = days[days['day'] >= cutoff - w*day].groupby('user_id')['value'].agg(['size', 'sum'])
        out[f'purchases_{w}d'], out[f'spend_{w}d'] = s['size'], s['sum']
    days['number'] = (days['day'] - pd.Timestamp(0)) // day
    days['gap2'], days['weighted'], days['weekend'] = g['number'].diff()**2, days['number'] * days['value'], days['day'].dt.dayofweek >= 5
    s = days.groupby('user_id').agg(squares=('gap2', 'sum'), total=('number', 'sum'), weighted=('weighted', 'sum'), weekend=('weekend', 'mean'))
    first = (out['first'] - pd.Timestamp(0)) // day
    out['gap_cv'] = np.sqrt((s['squares'] / repeats - out['mean_gap']**2).clip(lower=0)) / out['mean_gap']
    out['trend'], out['spend_trend'] = 2*(s['total']/out['purchases'] - first)/out['T'] - 1, 2*(s['weighted']/out['spend'] - first)/out['T'] - 1
    out['weekend_share'] = s['weekend']
    kinds = log.groupby(['user_id', 'event'], observed=True)['timestamp'].agg(['size', 'min', 'max'])
    n = kinds['size'].unstack().reindex(users).fillna(0)
    out = out.join(n.add_prefix('n_')).join(((cutoff - kinds['max'].unstack()) / day).add_prefix('days_since_'))
    out['tenure'] = (cutoff - kinds['min'].groupby(level=0).min()) / day
    for w in RECENT: out = out.join(log[log['timestamp'] >= cutoff - w*day].groupby(['user_id', 'event'], observed=True).size().unstack().add_prefix('n_').add_suffix(f'_{w}d'))
    for k in KINDS: out[f'purchases_per_{k}'] = out['purchases'] / n[k].where(n[k] > 0)
    orders = bought.groupby('user_id')['timestamp'].agg(['size', 'nunique'])
    out['orders'], out['lines_per_order'] = orders['nunique'], orders['size'] / orders['nunique']
    at = bought.groupby('user_id')['timestamp'].transform('min')
    first_order = bought[bought['timestamp'] == at].groupby('user_id').agg(lines=('value', 'size'), value=('value', 'sum'), at=('timestamp', 'min'))
    out['first_value'], out['first_lines'], out['first_weekday'], out['first_hour'] = first_order['value'], first_order['lines'], first_order['at'].dt.dayofweek, first_order['at'].dt.hour
    out['days_before_first'] = out['tenure'] - (cutoff - first_order['at']) / day
    table = out.drop(columns=['first', 'last']).to_numpy('float32')
    log['row'] = users.get_indexer(log['user_id'])
    log = log[log['row'] >= 0]
    steps = log.assign(kind=log['event'].cat.codes).groupby(['row', 'timestamp', 'kind'], sort=True)['value'].agg(['sum', 'size']).reset_index()
    g = steps.groupby('row')
    number, total, gap = g.cumcount().to_numpy() + 1, g['kind'].transform('size').to_numpy(), (g['timestamp'].diff() / day).fillna(0).to_numpy()
    return table, list(out.columns.drop(['first', 'last'])), *steps_of(steps['row'].to_numpy(), number, total, gap, ((cutoff - steps['timestamp']) / day).to_numpy(), steps['sum'].to_numpy(), steps['size'].to_numpy(), steps['kind'].to_numpy(), len(users), np)

def polars(path):
    import numpy as np, polars as pl
    from datetime import datetime, timedelta
    cutoff, day, us = datetime.fromisoformat(CUTOFF), timedelta(days=1), 86_400_000_000
    c, days_ago = pl.col, lambda e: (pl.lit(cutoff) - e).dt.total_microseconds() / us
    log = pl.scan_parquet(path).filter(c('timestamp') < cutoff).with_columns(c('event').cast(pl.Enum(list(KINDS)))).collect()
    bought = log.lazy().filter(c('event') == 'purchase')
    days = bought.group_by('user_id', c('timestamp').dt.truncate('1d').alias('day')).agg(c('value').sum()).sort('user_id', 'day').with_columns(number=c('day').dt.epoch('d'))
    days = days.with_columns(gap2=(c('number').diff()**2).over('user_id'))
    windows = [e for w in (*WINDOWS, 90.5) for e in ((c('day') >= cutoff - w*day).sum().alias(f'purchases_{w}d'), c('value').filter(c('day') >= cutoff - w*day).sum().alias(f'spend_{w}d'))]
    out = days.group_by('user_id').agg(first=c('number').min(), last=c('number').max(), purchases=pl.len(), spend=c('value').sum(), first_spend=c('value').first(), best_day=c('value').max(),
        squares=c('gap2').sum(), total=c('number').sum(), weighted=(c('number')*c('value')).sum(), weekend_share=(c('day').dt.weekday() >= 6).mean(), *windows)
    n, repeats = c('purchases'), pl.when(c('purchases') > 1).then(c('purchases') - 1)
    out = out.with_columns(recency=c('last') - c('first'), T=pl.lit((cutoff - datetime(1970, 1, 1)).days - 1) - c('first'))
    out = out.with_columns(monetary_value=(c('spend') - c('first_spend'))/repeats, mean_gap=c('recency')/repeats, since=c('T') - c('recency'), trend=2*(c('total')/n - c('first'))/c('T') - 1, spend_trend=2*(c('weighted')/c('spend') - c('first'))/c('T') - 1)
    out = out.with_columns(overdue=c('since')/c('mean_gap'), gap_cv=(c('squares')/repeats - c('mean_gap')**2).clip(0).sqrt()/c('mean_gap'))
    of = lambda k: c('timestamp').filter(c('event') == k)
    kinds = log.lazy().group_by('user_id').agg(*(e for k in KINDS for e in (of(k).len().alias(f'n_{k}'), days_ago(of(k).max()).alias(f'days_since_{k}'), *((of(k) >= cutoff - w*day).sum().alias(f'n_{k}_{w}d') for w in RECENT))), arrival=c('timestamp').min())
    orders = bought.group_by('user_id').agg(lines=pl.len(), orders=c('timestamp').n_unique(), at=c('timestamp').min(), first_value=c('value').filter(c('timestamp') == c('timestamp').min()).sum(), first_lines=(c('timestamp') == c('timestamp').min()).sum())
    table = out.join(kinds, on='user_id', how='left').join(orders, on='user_id', how='left').sort('user_id').with_columns(lines_per_order=c('lines')/c('orders'), first_weekday=c('at').dt.weekday(), first_hour=c('at').dt.hour(),
        days_before_first=(c('at') - c('arrival')).dt.total_microseconds()/us, tenure=days_ago(c('arrival')), *((n/c(f'n_{k}')).alias(f'purchases_per_{k}') for k in KINDS)).collect()
    rows = table.lazy().select('user_id').with_row_index('row')
    steps = log.lazy().join(rows, on='user_id').group_by('row', 'timestamp', c('event').to_physical().alias('kind')).agg(value=c('value').sum(), lines=pl.len()).sort('row', 'timestamp', 'kind')
    steps = steps.with_columns(number=pl.int_range(1, pl.len() + 1).over('row'), total=pl.len().over('row'), gap=(c('timestamp').diff().dt.total_microseconds()/us).over('row').fill_null(0), age=days_ago(c('timestamp'))).filter(c('number') + LENGTH > c('total'))
    x = {k: v.to_numpy() for k, v in steps.collect().to_dict().items()}
    table = table.drop('user_id', 'arrival', 'at')
    return table.cast(pl.Float32).to_numpy(), table.columns, *steps_of(x['row'], x['number'].astype('int64'), x['total'].astype('int64'), x['gap'], x['age'], x['value'], x['lines'], x['kind'], len(table), np)

WAYS = {'ulv': ulv, 'ulv_clean': ulv_clean, 'polars': polars, 'pandas': pandas}

def one(way, path):
    start = time.perf_counter()
    table, names, steps, kind, offsets = WAYS[way](path)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    check = {k: float(table[:, names.index(k)].astype('float64').sum()) for k in ('purchases', 'spend', 'n_view', 'n_click_30d', 'first_value') if k in names}
    finite = lambda k: float(__import__('numpy').nansum(table[:, names.index(k)].astype('float64')))
    print(json.dumps(dict(way=way, wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, peak_gb=used.ru_maxrss / 1e6, customers=len(table), features=len(names), steps=len(steps),
                          sums={k: finite(k) for k in check} | {'steps': steps.sum(0, dtype='float64').round(1).tolist()})))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--events', type=float, default=10e6); p.add_argument('--only'); p.add_argument('--log'); p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    path = Path(a.log or Path(tempfile.gettempdir())/f'ulv_bench_{int(a.events)}.parquet')
    if a.one: return one(a.one, str(path))
    if not path.exists(): write_log(int(a.events), path)
    limit = os.environ | {'POLARS_MAX_THREADS': str(THREADS), 'OMP_NUM_THREADS': str(THREADS)}
    rows = []
    for way in (a.only.split(',') if a.only else WAYS):
        run = subprocess.run([sys.executable, __file__, '--one', way, '--log', str(path)], capture_output=True, text=True, env=limit)
        if run.returncode: print(f'{way} failed ({run.returncode}): {run.stderr.strip().splitlines()[-1:]}'); continue
        rows.append(json.loads(run.stdout.splitlines()[-1])); r = rows[-1]
        print(f"{way:10} {r['wall_s']:7.1f} s  {r['wall_s']/rows[0]['wall_s']:5.2f} x {rows[0]['way']}   cpu {r['cpu_s']:7.1f} s  peak {r['peak_gb']:5.2f} GB  {r['customers']:,} customers, {r['features']} features, {r['steps']:,} steps", flush=True)
    for r in rows: print(r['way'], r['sums'])

if __name__ == '__main__': main()
