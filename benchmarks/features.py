"""What each block of the feature table costs, as a multiple of recency, frequency and money.

    python benchmarks/features.py --events 4e6

One simulated log in Parquet (one purchase in twenty events), one process, each block timed as the best of three; only ratios of the run are printed.
The classes of cost in the catalogue rest on it: 'free' is made of other columns, 'purchases' reads the lines with money, 'log' every line.
"""
import argparse, tempfile, time
from pathlib import Path
import pandas as pd
from tables import CUTOFF, HORIZON, write_log

def best(f, n=3):
    times = []
    for _ in range(n):
        start = time.perf_counter(); out = f(); times.append(time.perf_counter() - start)
    return min(times), out

def main():
    from ulv_jax.data import behaviour, orders, table
    from ulv_jax.data.events import read_events
    from ulv_jax.data.features import rfm
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0]); p.add_argument('--events', type=float, default=4e6)
    n = int(p.parse_args().events)
    path = Path(tempfile.gettempdir())/f'ulv_bench_{n}.parquet'
    if not path.exists(): write_log(n, path)
    events, cutoff = read_events(str(path), event_col='event'), pd.Timestamp(CUTOFF)
    unit, known = best(lambda: rfm(events, cutoff, pd.Timedelta(days=HORIZON)))
    blocks = {'windows': behaviour.window_features, 'a year ago': behaviour.year_ago_features, 'fading': behaviour.fading_features, 'kinds': behaviour.kind_features, 'rhythm': behaviour.rhythm_features,
              'baskets': orders.basket_features, 'first order': orders.first_order_features}
    for name, f in blocks.items():
        t, out = best(lambda: f(events, cutoff))
        print(f'{name:12} {t/unit:5.2f} x   {out.shape[1]:3} columns')
    full = table.features(events, cutoff, known)
    free, _ = best(lambda: (table._ratios(full, events.purchase), table._rates(full)))
    print(f'{"free":12} {free/unit:5.2f} x')

if __name__ == '__main__': main()
