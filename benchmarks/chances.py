"""Who will buy? The mean of the members' chances of buying, with and without the chance that trees on two forecasts say.

    ULV_DATA=folder python benchmarks/chances.py cdnow journey retail berka   # one table a log, beside the tutorial on leaderboards (--out)

At the dates of mixes.py, all earlier than the newest of the leaderboards: AUC and log loss of each member of the default ensemble
that knows a chance (but for the purchase models, whose chance does not count beside others), of their mean, and of the mean without
the trees' chance. One row a date and forecast.
"""
import argparse
from pathlib import Path
import numpy as np
import pandas as pd
from cases import CASES
from mixes import DATES
from ulv_jax.data.errors import DataError
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import auc
from ulv_jax.models.base import make_forecaster

MEMBERS = ('prior', 'lightgbm', 'mlp', 'offset_trees')

def log_loss(bought, p): return -np.log(np.clip(np.where(bought, p, 1 - p), 1e-6, 1)).mean()

def chances(events, date, horizon): # forecast -> chance of buying; who bought
    learn, now = training_snapshots(events, date, horizon), snapshot(events, date, horizon)
    said = {}
    for name in MEMBERS:
        model = make_forecaster(name)
        model.progress = False
        try: said[name] = model.fit(learn).predict(now)['p_purchase'].to_numpy()
        except DataError as e: print(date, horizon, name, 'is left out:', e)
    before = np.mean([p for m, p in said.items() if m != 'offset_trees'], axis=0)
    return said | {'mean without': before, 'mean': np.mean([*said.values()], axis=0)}, (now.labels['purchases'] > 0).to_numpy()

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('logs', nargs='+', choices=DATES)
    p.add_argument('--out', type=Path, default=Path(__file__).parents[1]/'nbs'/'tutorials'/'leaderboards')
    a = p.parse_args()
    for log in a.logs:
        events, rows = CASES[log][0](), []
        for date, horizon in (d.split('/') for d in DATES[log]):
            said, bought = chances(events, date, horizon)
            rows += [dict(date=date, horizon=horizon, forecast=name, auc=auc(bought, p), log_loss=log_loss(bought, p)) for name, p in said.items()]
            print(log, date, horizon, *(f'{r["forecast"]} {r["auc"]:.4f} {r["log_loss"]:.4f}' for r in rows[-2:]), flush=True)
        pd.DataFrame(rows).to_csv(a.out/f'{log}_chances.csv', index=False, float_format='%.6g')

if __name__ == '__main__': main()
