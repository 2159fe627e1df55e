"""From a Parquet log to arrays ready for training: this library beside careful pandas and Polars.

    python benchmarks/tables.py --events 10e6            # all four ways, one after the other, each in its own process
    python benchmarks/tables.py --events 10e6 --rounds 5           # the middle one of five rounds, taken in turns, and the fastest
    python benchmarks/tables.py --events 100e6 --only ulv,ulv_clean
    python benchmarks/tables.py --events 10e6,100e6 --only ulv     # and how the time grows
    python benchmarks/tables.py --events 10e6 --profile            # how the time of `ulv_clean` divides

Work, from the file to arrays; loading the libraries is timed apart: the features of every customer (recency, frequency, money, five windows, each kind of event, rhythm, orders, first order)
and the last 64 steps of each as float32. Every process reads the same file, uses the same two threads, and reports its wall
clock, its processor time and its peak memory; the figures are ratios of one run. Memory that a virtual machine hands out for the
first time is slow, so that single runs are disturbed: take several rounds. The times are those of the middle round, the ratios the
middle one of the ratios within each round; the fastest is told as well. All ways must agree: the sums of features
that all of them have, the number of customers, of steps, and the sums of the fields of the steps.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
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

def ulv(path, clean=False, lap=lambda what: None):
    import pandas as pd
    from ulv_jax.data.events import read_events
    from ulv_jax.data.features import rfm
    from ulv_jax.data.sequences import sequences
    from ulv_jax.data.table import features
    from ulv_jax.data.quality import clean as clean_events
    lap('imports')
    cutoff, events = pd.Timestamp(CUTOFF), read_events(path, event_col='event')
    lap('read, check and sort the log')
    if clean: events = clean_events(events); lap('clean')
    known = rfm(events, cutoff, pd.Timedelta(days=HORIZON))
    lap('recency, frequency, money')
    table = features(events, cutoff, known)
    names, table = list(table), table.to_numpy('float32')
    lap('the other features')
    steps = sequences(events, cutoff, known.index, LENGTH)
    lap('sequences')
    return table, names, steps.values, steps.kind, steps.offsets

def ulv_clean(path, lap): return ulv(path, clean=True, lap=lap)

def profile(path):
    "How the time of `ulv_clean` divides, and on how many threads it was spent."
    now, rows = lambda: (time.perf_counter(), time.process_time()), []
    last = [now()]
    def lap(what):
        end = now()
        rows.append((what, end[0] - last[0][0], end[1] - last[0][1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))
        last[0] = now()
    ulv(path, clean=True, lap=lap)
    total = sum(r[1] for r in rows)
    print('\n| step | seconds | share | processor seconds | threads busy | peak GB so far |\n|---|---|---|---|---|---|')
    for what, wall, cpu, peak in rows: print(f'| {what} | {wall:.2f} | {wall/total:.0%} | {cpu:.2f} | {cpu/wall:.1f} | {peak:.2f} |')

def steps_of(row, number, total, gap, age, value, lines, kind, n, np):
    "The last steps, as float32 fields; the columns are sorted by user and time."
    keep = number > total - LENGTH
    fields = [np.log1p(gap[keep]), np.log1p(age[keep]), np.sign(value[keep]) * np.log1p(np.abs(value[keep])), np.log1p(lines[keep]), np.log(number[keep])]
    return np.stack([f.astype('float32') for f in fields], axis=1), kind[keep].astype('int32'), np.concatenate([[0], np.bincount(row[keep], minlength=n).cumsum()])

def pandas(path, lap):
    import numpy as np, pandas as pd, pyarrow.parquet
    lap('imports')
    day, cutoff = pd.Timedelta(days=1), pd.Timestamp(CUTOFF)
    log = pd.read_parquet(path)
    bad = log['user_id'].isna() | log['timestamp'].isna() | log['event'].isna() | ((log['event'] == 'purchase') & log['value'].isna())
    if bad.any(): log = log[~bad]
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
    for k in KINDS:
        if k == 'purchase': continue
        out[f'purchases_per_{k}'] = out['purchases'] / n[k].where(n[k] > 0)
        for w in RECENT: out[f'purchases_per_{k}_{w}d'] = out[f'purchases_{w}d'] / out[f'n_{k}_{w}d'].where(out[f'n_{k}_{w}d'] > 0)
    out['frequency'], out['purchases_a_day'], out['spend_a_day'] = out['purchases'] - 1, out['purchases'] / (out['T'] + 1), out['spend'] / (out['T'] + 1)
    out['spend_a_purchase'], out['share_of_life_active'], out['gaps_since_last'] = out['spend'] / out['purchases'], out['recency'] / (out['T'] + 1), out['since'] / (out['mean_gap'] + 1)
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

def polars(path, lap):
    import numpy as np, polars as pl
    from datetime import datetime, timedelta
    lap('imports')
    cutoff, day, us = datetime.fromisoformat(CUTOFF), timedelta(days=1), 86_400_000_000
    c, days_ago = pl.col, lambda e: (pl.lit(cutoff) - e).dt.total_microseconds() / us
    usable = c('user_id').is_not_null() & c('timestamp').is_not_null() & c('event').is_not_null() & ((c('event') != 'purchase') | c('value').is_not_null())
    log = pl.scan_parquet(path).filter(usable & (c('timestamp') < cutoff)).with_columns(c('event').cast(pl.Enum(list(KINDS)))).collect()
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
        days_before_first=(c('at') - c('arrival')).dt.total_microseconds()/us, tenure=days_ago(c('arrival')), *((n/c(f'n_{k}')).alias(f'purchases_per_{k}') for k in KINDS if k != 'purchase'),
        *((c(f'purchases_{w}d')/c(f'n_{k}_{w}d')).alias(f'purchases_per_{k}_{w}d') for k in KINDS if k != 'purchase' for w in RECENT),
        frequency=n - 1, purchases_a_day=n/(c('T') + 1), spend_a_day=c('spend')/(c('T') + 1), spend_a_purchase=c('spend')/n, share_of_life_active=c('recency')/(c('T') + 1), gaps_since_last=c('since')/(c('mean_gap') + 1)).collect()
    rows = table.lazy().select('user_id').with_row_index('row')
    steps = log.lazy().join(rows, on='user_id').group_by('row', 'timestamp', c('event').to_physical().alias('kind')).agg(value=c('value').sum(), lines=pl.len()).sort('row', 'timestamp', 'kind')
    steps = steps.with_columns(number=pl.int_range(1, pl.len() + 1).over('row'), total=pl.len().over('row'), gap=(c('timestamp').diff().dt.total_microseconds()/us).over('row').fill_null(0), age=days_ago(c('timestamp'))).filter(c('number') + LENGTH > c('total'))
    x = {k: v.to_numpy() for k, v in steps.collect().to_dict().items()}
    table = table.drop('user_id', 'arrival', 'at')
    return table.cast(pl.Float32).to_numpy(), table.columns, *steps_of(x['row'], x['number'].astype('int64'), x['total'].astype('int64'), x['gap'], x['age'], x['value'], x['lines'], x['kind'], len(table), np)

WAYS = {'ulv': ulv, 'ulv_clean': ulv_clean, 'polars': polars, 'pandas': pandas}

CHECKED = ('purchases', 'spend', 'n_view', 'n_purchase', 'n_click_30d', 'spend_365d', 'best_day', 'gap_cv', 'trend', 'weekend_share', 'tenure', 'days_since_view', 'first_value', 'days_before_first', 'orders')

def one(way, path):
    clock = lambda: (time.perf_counter(), time.process_time())
    laps, start = {}, clock()
    table, names, steps, kind, offsets = WAYS[way](path, lap=lambda what: laps.update({what: clock()}))
    end, peak = clock(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import numpy as np
    (wall, cpu), imports = (b - a for a, b in zip(laps['imports'], end)), laps['imports'][0] - start[0]
    sums = {k: float(np.nansum(table[:, names.index(k)], dtype='float64')) for k in CHECKED}
    sums |= {f'steps_{k}': float(x) for k, x in enumerate(steps.sum(0, dtype='float64'))} | {'kinds': int((kind * (1 + np.arange(len(kind)) % 97)).sum()), 'offsets': int(offsets.sum()), 'customers': len(table), 'steps': len(steps)}
    print(json.dumps(dict(way=way, wall_s=wall, cpu_s=cpu, import_s=imports, peak_gb=peak / 1e6, features=len(names), sums=sums)))

def run(way, path):
    "The figures of one way, in a process of its own; None if it failed."
    limit = os.environ | {'POLARS_MAX_THREADS': str(THREADS), 'OMP_NUM_THREADS': str(THREADS), 'PYTHONWARNINGS': 'ignore'}
    done = subprocess.run([sys.executable, __file__, '--one', way, '--log', str(path)], capture_output=True, text=True, env=limit)
    if done.returncode: print(f'{way} failed ({done.returncode}): {done.stderr.strip().splitlines()[-1:]}', file=sys.stderr); return None
    return json.loads(done.stdout.splitlines()[-1])

def middle(ways, path, rounds):
    "The figures of each way, of its middle round, with the fastest and the middle ratio to the first way."
    runs = [{r['way']: r for r in (run(way, path) for way in ways) if r} for _ in range(rounds)]
    there = [way for way in ways if all(way in r for r in runs)]
    ratio = lambda way, what: statistics.median(r[way][what] / r[there[0]][what] for r in runs)
    def row(way):
        walls = sorted((r[way] for r in runs), key=lambda r: r['wall_s'])
        return walls[(rounds - 1) // 2] | dict(fastest_s=walls[0]['wall_s'], times=ratio(way, 'wall_s'), times_cpu=ratio(way, 'cpu_s'), peak_gb=max(r['peak_gb'] for r in walls))
    return [row(way) for way in there]

def check_agree(rows):
    "Every way has the same sums, to what float32 and the order of adding allow."
    for r in rows[1:]:
        far = {k: (v, r['sums'][k]) for k, v in rows[0]['sums'].items() if abs(v - r['sums'][k]) > 1e-5 * max(abs(v), 1)}
        if far: sys.exit(f"{rows[0]['way']} and {r['way']} disagree: {far}")

def show(n, rows):
    print(f'\n{n:,} events, {rows[0]["sums"]["customers"]:,} customers, {rows[0]["sums"]["steps"]:,} steps, {THREADS} threads; all ways agree\n')
    print(f'| way | seconds | fastest | times {rows[0]["way"]} | processor seconds | times {rows[0]["way"]} | peak GB | features | seconds to load the libraries |\n|---|---|---|---|---|---|---|---|---|')
    for r in rows: print(f"| {r['way']} | {r['wall_s']:.1f} | {r['fastest_s']:.1f} | {r['times']:.2f} | {r['cpu_s']:.1f} | {r['times_cpu']:.2f} | {r['peak_gb']:.2f} | {r['features']} | {r['import_s']:.1f} |", flush=True)

def keep(path, n, rows):
    "Put the figures into a CSV file, which tutorials/02_your_own_data shows."
    import pandas as pd
    new = pd.DataFrame([dict(events=n, way=r['way'], seconds=round(r['wall_s'], 1), fastest=round(r['fastest_s'], 1), times=round(r['times'], 2), peak_gb=round(r['peak_gb'], 2)) for r in rows])
    if os.path.exists(path): new = pd.concat([pd.read_csv(path), new]).drop_duplicates(['events', 'way'], keep='last').sort_values('events', kind='stable')
    new.to_csv(path, index=False)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--events', default='10e6', help='how many; several with commas'); p.add_argument('--only', help='ways, with commas: ' + ', '.join(WAYS))
    p.add_argument('--rounds', type=int, default=1, help='of which the middle one of each way counts')
    p.add_argument('--out', help='CSV file that the figures are added to, which tutorials/02_your_own_data shows')
    p.add_argument('--profile', action='store_true', help='how the time of ulv_clean divides'); p.add_argument('--log', help='a log of that kind instead of a simulated one'); p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: return one(a.one, a.log)
    first = {}
    for n in (int(float(n)) for n in a.events.split(',')):
        path = Path(a.log or Path(tempfile.gettempdir())/f'ulv_bench_{n}.parquet')
        if not path.exists(): write_log(n, path)
        if a.profile: profile(str(path)); continue
        rows = middle(a.only.split(',') if a.only else list(WAYS), path, a.rounds)
        check_agree(rows)
        show(n, rows)
        if a.out: keep(a.out, n, rows)
        for r in rows:
            if r['way'] in first: print(f"\n{r['way']}: {n / first[r['way']][0]:.0f} times the events in {r['wall_s'] / first[r['way']][1]:.1f} times the time (the fastest rounds: {r['fastest_s'] / first[r['way']][2]:.1f})")
            first.setdefault(r['way'], (n, r['wall_s'], r['fastest_s']))

if __name__ == '__main__': main()
