"""Do intervals and distributions hold? In all, by tenth of the forecast, by age and by the chance of buying, at the newest date of each log.

    python benchmarks/audit.py                  # all logs; about ten minutes, most of them the ensemble's
    python benchmarks/audit.py cdnow --models prior pareto_nbd

Writes, beside the tutorial that reads them (--out): *_audit.csv, a row a model and group, and audit.csv, a row a log and model:
what the interval held, its mean width, the CRPS beside the mean absolute error, and the share of outcomes in each tenth of their distribution.
"""
import argparse
from pathlib import Path
import pandas as pd
from cases import CASES
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.audit import audit_model
from ulv_jax.models.base import make_forecaster

MODELS = ('ensemble', 'prior', 'pareto_nbd', 'lightgbm')
OUT = Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards'

def audited(log, models):
    "Audit of each model at the newest date of a log."
    read, horizon, origins = CASES[log]
    events = read()
    learn, now = training_snapshots(events, origins[-1], horizon, rehearsals=True), snapshot(events, origins[-1], horizon)
    for name in models:
        model = make_forecaster(name); model.progress = False
        yield name, audit_model(model.fit(learn), now)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('case', nargs='*', default=list(CASES), help='logs: ' + ', '.join(CASES))
    p.add_argument('--models', nargs='*', default=list(MODELS)); p.add_argument('--out', type=Path, default=OUT)
    a = p.parse_args()
    for log in a.case:
        found = dict(audited(log, a.models))
        pd.concat({m: x.groups for m, x in found.items()}, names=['model']).reset_index('model').round(4).to_csv(a.out/f'{log}_audit.csv', index=False)
        rows = pd.DataFrame([dict(log=log, model=m) | x.whole | {f'tenth_{k + 1}': share for k, share in enumerate(x.places)} for m, x in found.items()]).round(4)
        file = a.out/'audit.csv'
        before = pd.read_csv(file) if file.exists() else rows.iloc[:0]
        pd.concat([before[~before['log'].eq(log)], rows]).to_csv(file, index=False)
        for m, x in found.items(): print(f'{log}, {m}: {x}\n', flush=True)

if __name__ == '__main__': main()
