"""Could other weights have done better? Mixes of the ensemble's members, judged on the very outcome that chooses them: what no rule could have known beforehand.

    python benchmarks/hindsight.py     # goes on where leaderboard.py left its forecasts: a few minutes a log without them, one with them

At the newest date of each log 1,000 weights are drawn from all of the simplex, beside each member alone and equal weights. All
mixes have the total that came, so that nobody's level is to blame. For each metric the best of them, and for deciles also the
best of those that order no worse than the ensemble (Gini and Spearman, to a thousandth). The probability of buying is mixed from
the members that know one. Writes one row a log and metric beside the tutorial that reads it (--out): the ensemble as it was, the
ensemble at the total that came, the best in hindsight.
"""
import argparse
from pathlib import Path
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.whole import whole
from ulv_jax.ensemble.stacking import ALONE, MEMBERS
from ulv_jax.evaluation.metrics import auc, decile_mape, norm_gini, spearman
from ulv_jax.evaluation.rolling import rolling_backtest

DRAWS = 1000
SCORES = {'spearman': spearman, 'gini': norm_gini, 'mae': lambda actual, v: np.abs(v - actual).mean(), 'decile_mape': decile_mape}
BEST = {'spearman': max, 'gini': max, 'auc': max, 'mae': min, 'decile_mape': min}

def weights(n, rng): return np.vstack([rng.dirichlet(np.full(n, .7), DRAWS), np.eye(n), np.full((1, n), 1/n)])

def judged(actual, forecast):
    "All scores of a forecast at the total that came."
    return {k: f(actual, forecast*actual.sum()/forecast.sum()) for k, f in SCORES.items()}

def newest(case, folder):
    "The members and the ensemble at the newest date."
    read, horizon, origins = CASES[case]
    return rolling_backtest(read(), origins[-1:], (horizon,), (*MEMBERS, 'ensemble'), references=False, folder=Path(folder)/case)

def rows_of(case, result):
    "What hindsight would have made of the newest date."
    cutoff, days = max(result.truths)
    there = {m for c, d, m, _ in result.files if (c, d) == (cutoff, days)}
    said = {m: result.forecast(cutoff, days, m) for m in MEMBERS if m in there}
    truth, ensemble = result.truths[cutoff, days], result.forecast(cutoff, days, 'ensemble')
    actual, bought = truth['value'].to_numpy(), (truth['purchases'] > 0).to_numpy()
    values, rng = np.stack([f['ulv']/f['ulv'].sum() for f in said.values()], axis=1), np.random.default_rng(0)
    tried, now = pd.DataFrame([judged(actual, values @ w) for w in weights(values.shape[1], rng)]), judged(actual, ensemble['ulv'].to_numpy())
    asis = result.scores.query("cutoff == @cutoff and model == 'ensemble'").set_index('metric')['value']
    found = {k: (now[k], BEST[k](tried[k])) for k in SCORES}
    orders = tried[(tried['gini'] > now['gini'] - .001) & (tried['spearman'] > now['spearman'] - .001)]
    found['decile_mape, ordered as well'] = now['decile_mape'], orders['decile_mape'].min()
    chances = [f['p_purchase'].to_numpy() for m, f in said.items() if m not in ALONE and f['p_purchase'].notna().all()]
    if np.isfinite(asis.get('auc', np.nan)) and chances:
        found['auc'] = auc(bought, ensemble['p_purchase'].to_numpy()), max(auc(bought, np.stack(chances, axis=1) @ w) for w in weights(len(chances), rng))
    return pd.DataFrame([(case, k, asis[k.split(',')[0]], *v) for k, v in found.items()], columns=['log', 'metric', 'ensemble', 'at_known_total', 'best_in_hindsight'])

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', default='leaderboard', help='where forecasts are kept')
    p.add_argument('--out', default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards', help='where the table goes')
    a = p.parse_args()
    found = pd.concat([rows_of(case, newest(case, a.folder)) for case in CASES], ignore_index=True)
    print(found.round(4).to_string(index=False))
    with whole(a.out) as part: found.to_csv(part/'hindsight.csv', index=False, float_format='%.6g')

if __name__ == '__main__': main()
