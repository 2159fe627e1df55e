"""Could other weights have done better? Mixes of the ensemble's members, judged on the very outcome that chooses them: what no rule could have known beforehand.

    python benchmarks/hindsight.py     # goes on where leaderboard.py left its forecasts: a few minutes a log without them, one with them

At the newest date of each log 1,000 weights are drawn from all of the simplex, beside each member alone and equal weights, and
then 600 more around the best, ever nearer. All mixes have the total that came, so that nobody's level is to blame, and none is
reordered by ranks. For each metric the best of them, and for deciles also the best of those that order no worse than the ensemble
(Gini and Spearman, to a thousandth). The probability of buying is mixed from the members that know one. Writes one row a log and metric beside the tutorial that reads it (--out): the ensemble as it was, the
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

DRAWS, NEARER = 1000, (30, 100, 300, 1000, 3000, 10000)   # first draws; how closely a hundred more lie around the best
SCORES = {'spearman': spearman, 'gini': norm_gini, 'mae': lambda actual, v: np.abs(v - actual).mean(), 'decile_mape': decile_mape}
SIGN = {'spearman': 1, 'gini': 1, 'mae': -1, 'decile_mape': -1}   # of what is better

def weights(n, rng): return np.vstack([rng.dirichlet(np.full(n, .7), DRAWS), np.eye(n), np.full((1, n), 1/n)])

def best_of(score, n):
    "The highest score that weights of n members reach."
    rng = np.random.default_rng(0)
    tried = weights(n, rng)
    for near in (*NEARER, None):
        found = np.array([score(w) for w in tried])
        if near is None or not np.isfinite(found).any(): return found.max()
        best = tried[np.argmax(found)]
        tried = np.vstack([best, rng.dirichlet(near*best + .05, 100)])

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
    values = np.stack([f['ulv']/f['ulv'].sum() for f in said.values()], axis=1)*actual.sum()
    now = {k: score(actual, ensemble['ulv'].to_numpy()*actual.sum()/ensemble['ulv'].sum()) for k, score in SCORES.items()}
    def as_well(w): return -decile_mape(actual, values @ w) if all(SCORES[k](actual, values @ w) > now[k] - .001 for k in ('gini', 'spearman')) else -np.inf
    found = {k: (now[k], SIGN[k]*best_of(lambda w: SIGN[k]*SCORES[k](actual, values @ w), len(said))) for k in SCORES}
    found['decile_mape, ordered as well'] = now['decile_mape'], -best_of(as_well, len(said))
    chances = [f['p_purchase'].to_numpy() for m, f in said.items() if m not in ALONE and f['p_purchase'].notna().all()]
    asis = result.scores.query("cutoff == @cutoff and model == 'ensemble'").set_index('metric')['value']
    if np.isfinite(asis.get('auc', np.nan)) and chances:
        found['auc'] = auc(bought, ensemble['p_purchase'].to_numpy()), best_of(lambda w: auc(bought, np.stack(chances, axis=1) @ w), len(chances))
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
