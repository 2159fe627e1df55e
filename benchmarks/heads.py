"""Every head on the same network and log: `python benchmarks/heads.py [journey|retail] [epochs] [seeds]`.

Prints bias, MAE, rank correlation, normalised Gini, AUC and the share of outcomes inside the 90 % interval, beside the
network on features alone and beside the plain rate of the past. Logs: The Complete Journey (needs the extra `demo`), and
Online Retail II (a Parquet file named by ULV_DATA, or ../shared/data).
"""
import os, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import pandas as pd
from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster
from ulv_jax.models.training import Training

HEADS = ('mission', 'ziln', 'nb_spend', 'mission+quantiles', 'horizons', 'process')

def journey(): return read_events(complete_journey(), **COMPLETE_JOURNEY), '2017-10-01', '91D'

def retail():
    lines = pd.read_parquet(Path(os.environ.get('ULV_DATA', '../shared/data'))/'online_retail_ii.parquet')
    lines = lines[~((lines['sheet'] == 'Year 2009-2010') & (lines['InvoiceDate'] >= '2010-12-01')) & lines['Customer ID'].notna() & ~lines['Invoice'].astype(str).str.startswith('C')]
    lines = lines.assign(value=lines['Quantity']*lines['Price']).query('value > 0')
    return read_events(lines, user_col='Customer ID', time_col='InvoiceDate', order_col='Invoice', item_col='StockCode'), '2011-09-10', '90D'

def judge(model, learn, now):
    model.progress, start = False, time.perf_counter()
    forecast = model.fit(learn).predict(now)
    actual = now.labels['value'].to_numpy()
    inside = ((forecast['ulv_lo_90'] <= actual) & (actual <= forecast['ulv_hi_90'])).mean()
    scores = evaluate(actual, now.labels['purchases'].to_numpy() > 0, forecast)
    return {k: scores[k] for k in ('bias_pct', 'mae', 'spearman', 'gini', 'auc')} | dict(inside_90=inside, seconds=time.perf_counter() - start)

def main(log='journey', epochs=6, seeds=1):
    events, cutoff, horizon = dict(journey=journey, retail=retail)[log]()
    learn, now = training_snapshots(events, cutoff, horizon, n=4, max_length=32), snapshot(events, cutoff, horizon, max_length=32)
    print(f'{log}: {len(now)} customers at {cutoff}, {horizon}; {len(learn)} origins to learn from; LSTM of width 32, one layer')
    train = Training(epochs=int(epochs), row_length=32)
    makers = {f'lstm, {h}': lambda s, h=h: type(make_forecaster('lstm'))(s, 32, 1, training=train, head=h) for h in HEADS}
    makers |= {f'lstm + features, {h}': lambda s, h=h: type(make_forecaster('lstm'))(s, 32, 1, training=train, head=h, static=True) for h in ('mission', 'nb_spend')}
    makers |= {f'mlp_features, {h}': lambda s, h=h: type(make_forecaster('mlp_features'))(s, replace(Training(n_rows=4), epochs=2*int(epochs)), h, n_hidden=32) for h in ('mission', 'ziln', 'nb_spend')}
    makers['persistence_rate'] = lambda s: make_forecaster('persistence_rate', s)
    for name, make in makers.items():
        runs = pd.DataFrame([judge(make(s), learn, now) for s in range(int(seeds))])
        print(f'{name:28}', '  '.join(f'{k} {v:.3f}' + (f' ± {runs[k].std():.3f}' if len(runs) > 1 else '') for k, v in runs.mean().items()), flush=True)

if __name__ == '__main__': main(*sys.argv[1:])
