"""The prior with what customers look at and without it, beside fitted models, on logs of the project's own simulator.

    python benchmarks/visits.py          # five simulated shops of 3,000 users, two horizons; some minutes

The simulator (ulv_jax.data.simulate) is another program than the worlds that the prior was trained in, with other laws: needs that arise,
are pondered and end in an order or not, campaigns, a yearly season. All figures are of simulated shops. Writes visits.csv beside the tutorials (--out).
The log without visits is the same log, purchases and returns alone.
"""
import argparse
from pathlib import Path
import numpy as np
import pandas as pd
from ulv_jax.data.events import read_events
from ulv_jax.data.simulate import LOG_COLUMNS, Shop, simulate
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster
from ulv_jax.models.prior import ULVPrior

FITTED = ('pareto_nbd', 'lightgbm')
ASKED = (('2024-04-01', '90D'), ('2024-04-01', '30D'))

def logs(seed, users):
    "The log, and what a shop would have that keeps orders alone."
    rows = simulate(Shop(users=users), seed=seed).events
    return {'all': read_events(rows, **LOG_COLUMNS), 'purchases': read_events(rows[rows['event'].isin(['purchase', 'return'])], **LOG_COLUMNS)}

def fitted(name, events, cutoff, horizon):
    model = make_forecaster(name); model.progress = False
    return model.fit(training_snapshots(events, cutoff, horizon))

def row(forecast, now, **about):
    y, bought = now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0
    scores = evaluate(y, bought, forecast)
    inside = np.mean((forecast['ulv_lo_90'] <= y) & (y <= forecast['ulv_hi_90']))
    return about | dict(customers=len(y), buyers=bought.mean(), inside_90=inside) | {k: scores[k] for k in ('mae', 'spearman', 'gini', 'auc', 'decile_mape', 'bias_pct')}

def measured(seed, users):
    found = logs(seed, users)
    for cutoff, horizon in ASKED:
        about = dict(seed=seed, cutoff=cutoff, horizon=horizon)
        for which, events in found.items():
            now = snapshot(events, cutoff, horizon)
            yield row(ULVPrior().fit_to(now).predict(now), now, **about, model='prior', log=which)
        for name in FITTED: yield row(fitted(name, found['all'], cutoff, horizon).predict(now := snapshot(found['all'], cutoff, horizon)), now, **about, model=name, log='all')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seeds', type=int, default=5); p.add_argument('--users', type=int, default=3000)
    p.add_argument('--out', type=Path, default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards')
    a = p.parse_args()
    rows = pd.DataFrame([r for seed in range(a.seeds) for r in measured(seed, a.users)])
    rows.to_csv(a.out/'visits.csv', index=False, float_format='%.5g')
    print(rows.groupby(['horizon', 'model', 'log'])[['mae', 'spearman', 'gini', 'auc', 'decile_mape', 'bias_pct', 'inside_90']].mean().round(4).to_string())

if __name__ == '__main__': main()
