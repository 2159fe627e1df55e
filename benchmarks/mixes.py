"""Equal weights, fitted ones or their middle: which mix of its members would have been best, and which do two rules take?

    ULV_DATA=folder python benchmarks/mixes.py cdnow journey retail berka   # one table beside the tutorial on leaderboards (--out)

The default ensemble is fitted once a date, all of them earlier than the newest of the leaderboards; then its members are mixed in
three ways, each with its own order and level: one row a date and mix, with the mix that each rule takes there. `later date decides`
is how the ensemble chose before: weights of the earlier rehearsal, judged at the later one, with a margin of half a thousandth.
"""
import argparse
from pathlib import Path
from unittest.mock import patch
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.ensemble import stacking
from ulv_jax.ensemble.combine import at_level, half_way, order_worth, simplex_weights
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster

DATES = {'cdnow': ('1997-06-01/120D', '1997-07-01/92D', '1997-07-01/181D', '1997-08-15/92D', '1997-09-01/120D', '1997-10-01/92D'),
         'journey': ('2017-04-02/91D', '2017-05-20/91D', '2017-06-10/91D', '2017-07-02/91D', '2017-08-01/60D'),
         'retail': tuple(f'{d}/90D' for d in ('2010-10-15', '2010-12-01', '2011-01-10', '2011-02-10', '2011-03-14', '2011-04-20', '2011-05-15', '2011-06-12')),
         'berka': tuple(f'{d}/90D' for d in ('1993-05-15', '1993-07-04', '1993-08-15', '1993-10-02'))}
SHOWN = ('mae', 'spearman', 'gini', 'decile_mape')
MARGIN = 5e-4

def mixes(fitted): return {'equal': np.full(len(fitted), 1/len(fitted)), 'half fitted': half_way(fitted), 'fitted': fitted}

def decided_later(weights, members, actual):
    "The rule of before."
    worth = {name: sum(order_worth(actual, at_level(members, 1.) @ w)) for name, w in mixes(weights).items()}
    chosen = 'equal'
    for name in worth: chosen = name if worth[name] > worth[chosen] + MARGIN else chosen
    return chosen

def judged(events, date, horizon):
    learn, now, seen = training_snapshots(events, date, horizon, rehearsals=True), snapshot(events, date, horizon), []
    def learn_weights(rehearsals, names):
        seen.extend((r.values(names), r.actual) for r in rehearsals[:2])
        return known(rehearsals, names)
    known, model = stacking.learn_weights, make_forecaster('ensemble')
    model.progress = False
    with patch.object(stacking, 'learn_weights', learn_weights): model.fit(learn)
    if len(seen) < 2: print(date, horizon, 'has no two rehearsals to learn weights from'); return
    yield from shown(model, learn, now, tuple(seen))

def shown(model, learn, now, seen):
    fits = tuple(simplex_weights(at_level(x, y.sum()), y) for x, y in seen)
    rules = {'later date decides': decided_later(fits[1], *seen[0]), 'both agree at both dates': model.mix_}
    value, bought = now.labels['value'].to_numpy(), (now.labels['purchases'] > 0).to_numpy()
    for mix, weights in mixes(np.mean(fits, axis=0)).items():
        model.weights_ = weights
        stacking._fit_level_and_order(model, learn)
        found = evaluate(value, bought, model.predict(now))
        yield dict(mix=mix, **{m: found[m] for m in SHOWN}, **rules)

def run(judged, name, about):
    "Judge each date of the logs that are asked for; in the table, the rows of other logs stay."
    p = argparse.ArgumentParser(description=about.splitlines()[0])
    p.add_argument('logs', nargs='+', choices=DATES)
    p.add_argument('--out', type=Path, default=Path(__file__).parents[1]/'nbs'/'tutorials'/'leaderboards')
    a = p.parse_args()
    rows, file = [], a.out/name
    for log in a.logs:
        events = CASES[log][0]()
        for date, horizon in (d.split('/') for d in DATES[log]):
            for row in judged(events, date, horizon):
                rows.append(dict(log=log, date=date, horizon=horizon) | row)
                print(*(f'{v:.4f}' if isinstance(v, float) else v for v in rows[-1].values()), flush=True)
    others = [t[~t['log'].isin(a.logs)] for t in [pd.read_csv(file)]] if file.exists() else []
    pd.concat([*others, pd.DataFrame(rows)]).to_csv(file, index=False, float_format='%.6g')

if __name__ == '__main__': run(judged, 'mixes.csv', __doc__)
