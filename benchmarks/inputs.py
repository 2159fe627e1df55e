"""Does LightGBM lose by a selection of features, and does the day of the year help it? On real logs, at an earlier origin (for the choice) and at the test origin.

    ULV_DATA=folder python benchmarks/inputs.py --log journey     # or cdnow, retail
    python benchmarks/inputs.py --people asked      # The Complete Journey with the mark of who gave demographics; answers: with what they say

Three seeds each, their mean: columns, mean absolute error, Spearman's rank correlation, normalised Gini, bias of the total.
"""
import argparse, os, warnings
from pathlib import Path
import numpy as np
import pandas as pd

FOLDER = Path(os.environ.get('ULV_DATA', Path.home()/'.cache'/'ulv_jax'))

def cdnow(): return dict(source=str(FOLDER/'cdnow_full.parquet'), user_col='customer_id', time_col='date', value_col='dollar_value', quantity_col='number_of_cds')

def journey(people=None):
    from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
    homes = complete_journey('demographics').rename(columns={'household_id': 'user_id'}) if people else None
    return dict(source=complete_journey(), **COMPLETE_JOURNEY, attributes=homes[['user_id']].assign(asked='yes') if people == 'asked' else homes)

def retail():
    lines = pd.read_parquet(FOLDER/'online_retail_ii.parquet')
    lines = lines[~((lines['sheet'] == 'Year 2009-2010') & (lines['InvoiceDate'] >= '2010-12-01')) & ~lines['Invoice'].astype(str).str.startswith('C') & lines['Customer ID'].notna()]
    return dict(source=lines[['Customer ID', 'InvoiceDate', 'Quantity', 'Price', 'Invoice', 'StockCode']], user_col='Customer ID', time_col='InvoiceDate', value_col='Quantity * Price', item_col='StockCode', order_col='Invoice', quantity_col='Quantity')

ORIGINS = {'cdnow': [('1997-10-01', '92D'), ('1998-01-01', '181D')], 'journey': [('2017-07-02', '91D'), ('2017-10-01', '91D')], 'retail': [('2011-06-12', '90D'), ('2011-09-10', '90D')]}
WAYS = {'all': {}, 'selected': dict(selected=True), 'day of the year': dict(seasonal=True)}

def score(learn, now, seeds=(0, 10, 20), **how):
    from scipy.stats import spearmanr
    from ulv_jax.data.encode import Encoding
    from ulv_jax.data.inputs import fit_inputs, training_frame
    from ulv_jax.evaluation.metrics import norm_gini
    from ulv_jax.models.boosted import fit_hurdle
    inputs = fit_inputs(learn, Encoding(many='code'), scaled=False, **how)
    x, at, y = training_frame(inputs, learn), inputs.frame(now), now.labels['value'].to_numpy()
    found = []
    for seed in seeds:
        p, amount = fit_hurdle(x, np.concatenate([s.labels['value'] for s in learn]), seed, names=tuple(c for c in inputs.categorical if c in x)).predict(at)
        found.append((np.abs(p*amount - y).mean(), spearmanr(p*amount, y).statistic, norm_gini(y, p*amount), 100*((p*amount).sum()/y.sum() - 1)))
    return x.shape[1], np.mean(found, axis=0), np.std(found, axis=0)

def main():
    from ulv_jax.data.events import read_events
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--log', choices=ORIGINS, default='journey'); p.add_argument('--people', choices=('answers', 'asked'), help='with the demographics of The Complete Journey, or only with who has any'); p.add_argument('--ways', nargs='*', default=list(WAYS))
    a = p.parse_args()
    if a.people and a.log != 'journey': p.error(f'--people is for --log journey: {a.log} has no demographics')
    warnings.filterwarnings('ignore', category=DeprecationWarning)
    events = read_events(**(journey(a.people) if a.log == 'journey' else globals()[a.log]()))
    for cutoff, horizon in ORIGINS[a.log]:
        learn, now = training_snapshots(events, cutoff, horizon, max_length=8), snapshot(events, cutoff, horizon, max_length=8)
        for way in a.ways:
            n, mean, sd = score(learn, now, **WAYS[way])
            print(f'{a.log} {cutoff} {way:16} {n:3} columns   MAE {mean[0]:.2f} ± {sd[0]:.2f}   rho {mean[1]:.4f} ± {sd[1]:.4f}   Gini {mean[2]:.4f} ± {sd[2]:.4f}   bias {mean[3]:+.1f} ± {sd[3]:.1f} %', flush=True)

if __name__ == '__main__': main()
