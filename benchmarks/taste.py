"""Does it help to know what customers buy? With and without, at dates earlier than those of the leaderboards' newest.

    ULV_DATA=folder python benchmarks/taste.py retail journey          # a table a log, beside the tutorial on leaderboards (--out)
    ULV_DATA=folder python benchmarks/taste.py retail journey --small  # samples of customers, however few: is there a size below which it harms?

LightGBM in two stages, trees on top of other forecasts, the tuned prior, the structured networks and the whole ensemble, each fitted
twice on the same snapshots, and the ensemble a third time where trees (and the tuned prior) alone know it: one row a date, model and
way. Samples are of the third date, eight of a size, each a shop of its own, forecast by LightGBM. Rows of models, ways and dates that
are not asked for stay as they were. Logs without items have nothing to compare.
"""
import argparse
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster

DATES = {'retail': ('2011-01-10', '2011-03-14', '2011-04-20', '2011-06-12'), 'journey': ('2017-04-02', '2017-05-20', '2017-07-02')}
SHOWN = ('mae', 'spearman', 'gini', 'decile_mape', 'auc')

READERS = {'nobody': (), 'trees': ('ulv_jax.data.inputs',), 'all': ('ulv_jax.data.inputs', 'ulv_jax.models.structured')}   # who is told; the tuned prior is told as trees are

def fitted(name, learn, known):
    "The forecaster; those who are not to know what customers buy find nothing."
    model = make_forecaster(name)
    model.progress = False
    with ExitStack() as stack:
        for module in set(READERS['all']) - set(READERS[known]): stack.enter_context(patch(f'{module}.fit_taste', lambda snapshots: None))
        return model.fit(learn)

def judged(events, date, horizon, names, ways):
    learn, now = training_snapshots(events, date, horizon, rehearsals='ensemble' in names), snapshot(events, date, horizon)
    value, bought = now.labels['value'].to_numpy(), (now.labels['purchases'] > 0).to_numpy()
    for name in names:
        for known in [w for w in ways if w != 'trees' or name == 'ensemble']:
            found = evaluate(value, bought, fitted(name, learn, known).predict(now))
            yield dict(date=date, model=name, taste=known, **{m: found[m] for m in SHOWN})

SIZES, DRAWS = (200, 500, 1000), 8

def shop_of(events, users):
    "The log of some users, as if it were all there is, with what it says of orders and items."
    rows, roles = events.table.filter(events.table.user_id.isin(users)).execute(), {'order_id': 'order_col', 'item_id': 'item_col', 'quantity': 'quantity_col'}
    return read_events(rows, event_col='event', purchase=events.purchase, **{role: c for c, role in roles.items() if c in rows})

def judged_small(events, date, horizon):
    "The same in samples of customers, with limits that let every sample have its axes."
    customers = snapshot(events, date, horizon).users
    for size in SIZES:
        for draw in range(DRAWS):
            shop = shop_of(events, np.random.default_rng([draw, size]).choice(customers, size, replace=False).tolist())
            with patch.multiple('ulv_jax.data.taste', CUSTOMERS=1, ITEMS=20):
                for row in judged(shop, date, horizon, ['lightgbm'], ('nobody', 'all')): yield dict(size=size, draw=draw) | row

def write(found, file):
    "Rows in the place of those of the same question; the others of the file stay."
    asked = [c for c in found if c not in SHOWN]
    if file.exists(): found = pd.concat([pd.read_csv(file), found]).drop_duplicates(asked, keep='last').sort_values(asked, kind='stable')
    found.to_csv(file, index=False, float_format='%.6g')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('logs', nargs='+', choices=DATES)
    p.add_argument('--models', nargs='+', default=['lightgbm', 'offset_trees', 'prior_tuned', 'mlp', 'mlp_tweedie', 'ensemble'])
    p.add_argument('--ways', nargs='+', default=list(READERS), choices=READERS, help='who knows it')
    p.add_argument('--small', action='store_true', help='samples of customers')
    p.add_argument('--out', type=Path, default=Path(__file__).parents[1]/'nbs'/'tutorials'/'leaderboards')
    a = p.parse_args()
    for log in a.logs:
        read, horizon, _ = CASES[log]
        events, rows = read(), []
        for row in judged_small(events, DATES[log][2], horizon) if a.small else (r for date in DATES[log] for r in judged(events, date, horizon, a.models, a.ways)):
            rows.append(row)
            print(log, *(f'{v:.4f}' if isinstance(v, float) else v for v in row.values()), flush=True)
        write(pd.DataFrame(rows), a.out/f'{log}_taste{"_small" if a.small else ""}.csv')

if __name__ == '__main__': main()
