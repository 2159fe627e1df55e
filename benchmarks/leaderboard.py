"""This library's ensemble beside its peers on the same logs, origins, customers and metrics.

    pip install lifetimes autograd torch==2.13.0 "ulv-jax[boost,demo]"
    python benchmarks/leaderboard.py cdnow                # one log: cdnow, journey, retail or berka
    python benchmarks/leaderboard.py all --newest 1       # only the newest origin of each

`lifetimes` (Pareto/NBD and Gamma-Gamma, patched where it gives no number), LightGBM by hand, a PyTorch LSTM with a
zero-inflated lognormal head, and the two-line blend of Pareto/NBD and LightGBM. Each row is fitted at each origin on what
was known there, and compared with the ensemble by a paired bootstrap of customers over all origins. Prints Markdown: the
leaderboard, then the ensemble's advantage over each peer with its 95 % interval, more than 0 where the ensemble is better.
Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them. A run that was stopped goes on.
"""
import argparse
from pathlib import Path
import pandas as pd
import peers   # registers them
from cases import CASES
from ulv_jax.evaluation.compare import METRICS, NAMES
from ulv_jax.evaluation.rolling import rolling_backtest
from ulv_jax.evaluation.standing import _interval, _together, leaderboard, redrawn

PEERS = ('lifetimes', 'lightgbm by hand', 'torch lstm, ziln', 'blend')
DIGITS = {'mae': 2, 'rmse': 2, 'bias_pct': 1, 'fit_seconds': 1}

def markdown(frame):
    "A table in Markdown, by hand: it needs no further package."
    lines = [[str(frame.index.name or ''), *map(str, frame.columns)], ['---']*(len(frame.columns) + 1), *([str(i), *map(str, row)] for i, row in zip(frame.index, frame.to_numpy()))]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)

def board(scores):
    wide = leaderboard(scores).droplevel(0)[[*METRICS, 'fit_seconds', 'rank', 'worst_rank', 'origins']]
    shown = {c: [f'{v:.{DIGITS.get(c, 3)}f}' if c not in ('worst_rank', 'origins') else f'{v:.0f}' for v in wide[c]] for c in wide}
    return pd.DataFrame(shown, wide.index).rename(columns=NAMES)

def advantages(drawn, model='ensemble'):
    part, rows = _together(drawn, model), {}
    for peer in [p for p in PEERS if p in part.loc[-1].index]:
        found = {m: _interval(part, model, peer, m) for m in METRICS}
        rows[peer] = {NAMES[m]: f"{f['lo']:.{DIGITS.get(m, 4)}f} to {f['hi']:.{DIGITS.get(m, 4)}f}" + {'better': ' **+**', 'worse': ' **-**'}.get(f['word'], '') for m, f in found.items()}
    return pd.DataFrame(rows).T.rename_axis('ensemble against')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', choices=[*CASES, 'all'])
    p.add_argument('--newest', type=int, default=3, help='origins, counted from the newest')
    p.add_argument('--folder', default='leaderboard', help='where forecasts are kept')
    p.add_argument('--draws', type=int, default=200)
    a = p.parse_args()
    for case in CASES if a.case == 'all' else [a.case]:
        read, horizon, origins = CASES[case]
        result = rolling_backtest(read(), origins[-a.newest:], (horizon,), (*PEERS, 'ensemble'), references=False, folder=Path(a.folder)/case)
        days = result.scores['horizon_days'].iloc[0]
        print(f"\n## {case}, {days:g} days from {', '.join(origins[-a.newest:])}\n\n{markdown(board(result.scores))}\n\n{markdown(advantages(redrawn(result, days, draws=a.draws)))}", flush=True)
        for row in result.skipped.itertuples(): print(f'\n{row.cutoff:%Y-%m-%d} {row.model}: {row.why}')

if __name__ == '__main__': main()
