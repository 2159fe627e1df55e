"""This library's ensemble beside its peers on the same logs, origins, customers and metrics.

    pip install lifetimes autograd torch==2.13.0 "ulv-jax[boost,demo]"
    python benchmarks/leaderboard.py cdnow                # one log: cdnow, journey, retail or berka
    python benchmarks/leaderboard.py all --newest 1       # only the newest origin of each

`lifetimes` (Pareto/NBD and Gamma-Gamma, patched where it gives no number), LightGBM by hand, a PyTorch LSTM with a
zero-inflated lognormal head, and the two-line blend of Pareto/NBD and LightGBM. Each row is fitted at each origin on what
was known there, and compared with the ensemble by a paired bootstrap of customers over all origins. Prints Markdown: the
leaderboard, then the ensemble's advantage over each peer with its 95 % interval, more than 0 where the ensemble is better.
`--without 'torch lstm, ziln'` leaves out what takes longest. Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them. A run that was stopped goes on.
"""
import argparse
from pathlib import Path
import pandas as pd
import peers   # registers them
from cases import CASES
from ulv_jax.data.whole import whole
from ulv_jax.evaluation.compare import METRICS, NAMES
from ulv_jax.evaluation.rolling import rolling_backtest
from ulv_jax.evaluation.standing import differences, leaderboard, redrawn

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
    "The model against each peer over all origins: a row a peer and metric."
    there = drawn.loc[-1].index.get_level_values('model').unique()
    found = pd.concat([differences(drawn[drawn.index.get_level_values('model').isin((model, peer))], (peer,)) for peer in PEERS if peer in there])
    return found[found['cutoff'].isna() & (found['model'] == model)].drop(columns='cutoff')

def in_cells(found):
    "The same, a row a peer and a column a metric."
    said = [f"{r.lo:.{DIGITS.get(r.metric, 4)}f} to {r.hi:.{DIGITS.get(r.metric, 4)}f}" + {'better': ' **+**', 'worse': ' **-**'}.get(r.word, '') for r in found.itertuples()]
    wide = found.assign(said=said).pivot(index='rival', columns='metric', values='said').reindex(list(dict.fromkeys(found['rival'])))
    return wide[[m for m in METRICS if m in wide]].rename(columns=NAMES).fillna('').rename_axis('ensemble against')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', choices=[*CASES, 'all'])
    p.add_argument('--newest', type=int, default=3, help='origins, counted from the newest')
    p.add_argument('--folder', default='leaderboard', help='where forecasts are kept')
    p.add_argument('--draws', type=int, default=200)
    p.add_argument('--without', action='append', choices=PEERS, default=[], help='leave a peer out, such as the LSTM, which is slow on the larger logs')
    p.add_argument('--out', help='a folder that gets the tables, too: the tutorial reads those of nbs/tutorials/leaderboards')
    a = p.parse_args()
    for case in CASES if a.case == 'all' else [a.case]:
        read, horizon, origins = CASES[case]
        result = rolling_backtest(read(), origins[-a.newest:], (horizon,), (*(x for x in PEERS if x not in a.without), 'ensemble'), references=False, folder=Path(a.folder)/case)
        days = result.scores['horizon_days'].iloc[0]
        found = advantages(redrawn(result, days, draws=a.draws))
        print(f"\n## {case}, {days:g} days from {', '.join(origins[-a.newest:])}\n\n{markdown(board(result.scores))}\n\n{markdown(in_cells(found))}", flush=True)
        for row in result.skipped.itertuples(): print(f'\n{row.cutoff:%Y-%m-%d} {row.model}: {row.why}')
        if a.out: write(case, result.scores, found, a.out)

def write(case, scores, found, out):
    with whole(out) as part:
        scores.drop(columns='horizon_days').to_csv(part/f'{case}_peers.csv', index=False, float_format='%.6g')
        found.to_csv(part/f'{case}_against_peers.csv', index=False, float_format='%.6g')

if __name__ == '__main__': main()
