"""Shops too small to fit anything: samples of 50, 200 and 1,000 customers of each log, forecast by models that are fitted to them and by the prior, which is fitted to nothing.

    python benchmarks/small_shops.py             # all logs; a run that was stopped goes on
    python benchmarks/small_shops.py cdnow --draws 5
    python benchmarks/small_shops.py --again prior     # the rows of one model anew, for the same samples

A sample is a shop of its own: its models see its customers and nobody else, and are judged on them. All models get the same
samples. Writes a row for each log, size, draw and model to a table beside the tutorial that reads it, and prints the means.
"""
import argparse, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster

SIZES, MODELS = (50, 200, 1000), ('persistence_rate', 'bg_nbd', 'pareto_nbd', 'lightgbm', 'prior')
KEPT = ('mae', 'rmse', 'spearman', 'gini', 'bias_pct')
OUT = Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards'/'small_shops.csv'

def shop_of(events, users):
    "The log of some users, as if it were all there is."
    rows = events.table.filter(events.table.user_id.isin(list(users))).execute()
    return replace(read_events(rows, event_col='event', purchase=events.purchase), last=events.last)   # nobody of them bought on the last days: that is known, too

def judged(shop, cutoff, horizon, name, seed):
    "Metrics of one model in one shop; missing where it cannot be fitted."
    now = snapshot(shop, cutoff, horizon)
    model = make_forecaster(name, seed); model.progress = False
    try: forecast = model.fit(training_snapshots(shop, cutoff, horizon)).predict(now)
    except DataError as e: return dict(why=str(e))
    scores = evaluate(now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0, forecast)
    actual = now.labels['value']
    inside = ((forecast['ulv_lo_90'] <= actual) & (actual <= forecast['ulv_hi_90'])).mean()
    return {k: scores[k] for k in KEPT} | dict(inside_90=inside)

def run(case, draws, done, models):
    "Rows of one log that are not there yet."
    read, horizon, origins = CASES[case]
    events = read()
    customers = snapshot(events, origins[-1], horizon).rfm.index
    for n in SIZES:
        for draw in range(draws):
            if (case, n, draw) in done: continue
            users = np.random.default_rng([draw, n]).choice(customers, min(n, len(customers)), replace=False)
            shop = shop_of(events, users.tolist())
            yield [dict(case=case, n=n, draw=draw, model=name, **judged(shop, origins[-1], horizon, name, draw)) for name in models]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', nargs='?', default='all', choices=[*CASES, 'all']); p.add_argument('--draws', type=int, default=10); p.add_argument('--out', type=Path, default=OUT)
    p.add_argument('--again', nargs='*', choices=MODELS, default=[], help='models whose rows are replaced')
    a = p.parse_args()
    table = pd.read_csv(a.out) if a.out.exists() else pd.DataFrame(columns=['case', 'n', 'draw', 'model', *KEPT, 'inside_90', 'why'])
    models, samples = a.again or MODELS, lambda rows: set(map(tuple, rows[['case', 'n', 'draw']].to_numpy()))
    there = samples(table)
    if a.again: table = table[~table['model'].isin(a.again) | ~table['case'].isin(CASES if a.case == 'all' else [a.case])]
    done = samples(table[table['model'].isin(models)])
    if a.again: done |= {(case, n, draw) for case in CASES for n in SIZES for draw in range(a.draws)} - there
    for case in CASES if a.case == 'all' else [a.case]:
        start = time.perf_counter()
        for rows in run(case, a.draws, done, models):
            table = pd.concat([table, pd.DataFrame(rows)])
            table.to_csv(a.out, index=False, float_format='%.5g')
        print(f'\n{case}, {time.perf_counter() - start:.0f} s\n{table[table["case"] == case].groupby(["n", "model"])[[*KEPT, "inside_90"]].mean().round(3).to_string()}', flush=True)

if __name__ == '__main__': main()
