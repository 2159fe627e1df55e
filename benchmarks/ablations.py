"""What does each part of the default ensemble bring? Leaderboards over several origins, with the ensemble whole and without one part.

    python benchmarks/ablations.py journey                # one log: cdnow, journey, retail or berka
    python benchmarks/ablations.py all --tuned            # the prior tuned on each log as well, beside the single members
    python benchmarks/ablations.py all --tuned only       # that and nothing else: a few minutes a log

Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them. A run that was stopped
goes on. Each log's scores go to a table beside the tutorial that reads them (--out, by default nbs/tutorials/leaderboards):
one row an origin, model, seed and metric, and one row an origin, model and metric for the differences to the best simple row,
and for those of the prior to Pareto/NBD; with --tuned also for those of the tuned prior, to the prior, to each of Pareto/NBD,
LightGBM, the trees on top of other forecasts and both structured networks, and to the best of them (its own scores are printed).
Two more say where a level or an interval is wrong: the bias of a few rows by age of the customer, and the share of
customers inside the ensemble's 90 % interval, by tenth of the forecast.

without trees      LightGBM left out, in two stages, on top of other forecasts, and for the rank
without networks   both structured networks and the prior-fitted network left out
without order      no trees for the rank
without level      each member keeps its own total
without calendar   no ratio of last year's window, and no season in the structured networks (what each customer did a year ago stays)

The members of the ensemble are fitted once an origin; the variants share them, so their seconds say nothing.
"""
import argparse
from pathlib import Path
from unittest.mock import patch
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.errors import DataError
from ulv_jax.data.snapshots import present_of
from ulv_jax.data.whole import whole
from ulv_jax.ensemble import stacking
from ulv_jax.evaluation.metrics import chance_errors
from ulv_jax.evaluation.over_origins import bias_by
from ulv_jax.evaluation.rolling import rolling_backtest
from ulv_jax.evaluation.standing import differences, redrawn, verdict
from ulv_jax.models.base import make_forecaster, register
from ulv_jax.models.offset import BASES
from ulv_jax.models.structured import Settings

ROWS = ('mean', 'persistence_rate', 'persistence_last', 'bg_nbd', 'pareto_nbd', 'prior', 'lightgbm', 'mlp', 'blend', 'ensemble')
BESIDE = ('mlp_tweedie', 'offset_trees', 'prior_tuned')   # only with --tuned: the members that are no rows by themselves, and the tuned prior
SINGLE = ('pareto_nbd', 'prior', 'lightgbm', 'mlp', *BESIDE)
SEASONAL = ('mlp', 'mlp_tweedie')
DRAWS = 400   # of the customers: with a hundred the ends of an interval wander
KEPT = {}   # what -> (fitted member or the reason why not, its snapshots: held, so that no others get their id)

def remembered(name, snapshots, seed, calendar, bases):
    "A fitted member, or the reason why it could not be fitted; fitted only once."
    seasonal = name in SEASONAL and present_of(snapshots).history.age.max() >= Settings().season_days
    key = (name, id(snapshots), seed, calendar or not seasonal, bases if name == 'offset_trees' else ())
    if key not in KEPT:
        model = make_forecaster(name, seed); model.progress = False
        if name == 'offset_trees':
            model.bases, found = bases, {b: remembered(b, snapshots, seed, calendar, bases) for b in bases}
            model.given = {b: m for b, m in found.items() if not isinstance(m, str)}
        if not calendar and seasonal: model.settings = Settings(season_days=10**9)
        try: KEPT[key] = model.fit(snapshots), snapshots
        except DataError as e: KEPT[key] = str(e), snapshots
    return KEPT[key][0]

def remembered_ranks(snapshots, seed):
    "Trees for the rank, fitted only once."
    key = ('ranks', id(snapshots), seed)
    if key not in KEPT: KEPT[key] = RANKS(snapshots, seed), snapshots
    return KEPT[key][0]

RANKS = stacking.learn_ranks

class Variant(stacking.Ensemble):
    "The default ensemble, with all parts or without one."
    members, level, calendar, order = stacking.MEMBERS, True, True, True
    def __init__(self, seed=0): super().__init__(seed, type(self).members, type(self).order)

    def _fit(self, snapshots):
        if not any(held is snapshots for _, held in KEPT.values()): KEPT.clear()   # another origin
        def fit_members(names, at, seed, progress=False, folder=None):
            found = {name: remembered(name, at, seed, self.calendar, tuple(b for b in BASES if b in self.members)) for name in names}
            return {k: m for k, m in found.items() if not isinstance(m, str)}, {k: m for k, m in found.items() if isinstance(m, str)}
        own = {} if self.level else dict(_factors=lambda values, season: np.ones(len(values)))
        flat = {} if self.calendar else dict(season_ratio=lambda *a: 1.)
        with patch.multiple(stacking, fit_members=fit_members, learn_ranks=remembered_ranks, **own, **flat): super()._fit(snapshots)

NETWORKS, TREES = ('prior', 'mlp', 'mlp_tweedie'), ('lightgbm', 'offset_trees')
VARIANTS = {'ensemble': {}, 'without trees': dict(members=tuple(m for m in stacking.MEMBERS if m not in TREES), order=False),
            'without networks': dict(members=tuple(m for m in stacking.MEMBERS if m not in NETWORKS)),
            'without order': dict(order=False), 'without level': dict(level=False), 'without calendar': dict(calendar=False)}
for name, parts in VARIANTS.items(): register(name)(type('Variant', (Variant,), parts))

def run(case, folder, models):
    "The rolling backtest of one log."
    read, horizon, origins = CASES[case]
    return rolling_backtest(read(), origins, (horizon,), models, folder=Path(folder)/case)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', choices=[*CASES, 'all'])
    p.add_argument('--folder', default='ablations', help='where forecasts are kept')
    p.add_argument('--out', default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards', help='where the tables go')
    p.add_argument('--tuned', nargs='?', const='also', choices=('also', 'only'), help='fit the tuned prior and all single members, too; only: no ensemble')
    a = p.parse_args()
    rows = SINGLE if a.tuned == 'only' else (*ROWS, *(BESIDE if a.tuned else ()), *(v for v in VARIANTS if v != 'ensemble'))
    for case in CASES if a.case == 'all' else [a.case]: (report_tuned if a.tuned == 'only' else report)(case, run(case, a.folder, rows), Path(a.out))

def intervals(result, days, model='ensemble'):
    "By tenth of the forecast, lowest first: share of customers inside the 90 % interval, its width, the share who spent nothing, and the error of their total that chance alone would make."
    parts = []
    for cutoff, _ in (k for k in result.truths if k[1] == days):
        f, actual = result.forecast(cutoff, days, model), result.truths[cutoff, days]['value'].to_numpy()
        lo, hi = f['ulv_lo_90'].to_numpy(), f['ulv_hi_90'].to_numpy()
        tenth = np.argsort(np.argsort(f['ulv'].to_numpy(), kind='stable'), kind='stable')*10//len(f) + 1
        table = pd.DataFrame({'tenth': tenth, 'inside': (lo <= actual) & (actual <= hi), 'width': hi - lo, 'actual': actual, 'nothing': actual == 0}).groupby('tenth')
        parts.append(table.agg(users=('inside', 'size'), inside=('inside', 'mean'), width=('width', 'mean'), actual=('actual', 'mean'), nothing=('nothing', 'mean')).reset_index().assign(cutoff=cutoff, noise=chance_errors(actual, f['ulv'].to_numpy())))
    return pd.concat(parts, ignore_index=True)[['cutoff', 'tenth', 'users', 'inside', 'width', 'actual', 'nothing', 'noise']]

def ages(result, days, models=('pareto_nbd', 'lightgbm', 'mlp', 'ensemble')):
    "Bias of a few rows by age of the customer."
    judged = {m for _, d, m, _ in result.files if d == days}
    return pd.concat([bias_by(result, days, m).assign(model=m) for m in models if m in judged], ignore_index=True)

def tuned(drawn):
    "The tuned prior against the prior, against each other single member, and against the best of these in each metric."
    members = tuple(m for m in stacking.MEMBERS if m != 'prior')
    rivals = {'prior': ('prior',), 'members': members} | {m: (m,) for m in members}
    found = pd.concat([differences(drawn, r).assign(against=name) for name, r in rivals.items()])
    return found[found['model'] == 'prior_tuned']

def printed(case, result):
    "The leaderboard, printed; and its horizon."
    board = result.scores.pivot_table(index=['cutoff', 'model'], columns='metric', values='value', sort=False)
    print(f'\n{case}\n{board.round(3).to_string()}', flush=True)
    for row in result.skipped.itertuples(): print(f'{row.cutoff:%Y-%m-%d} {row.model}: {row.why}')
    return board, result.scores['horizon_days'].iloc[0]

def report_tuned(case, result, out):
    "The table of the tuned prior alone."
    _, days = printed(case, result)
    with whole(out) as part: tuned(redrawn(result, days, draws=DRAWS)).to_csv(part/f'{case}_tuned.csv', index=False, float_format='%.6g')

def report(case, result, out, draws=DRAWS):
    "Print what was found, and write the tables that the tutorial reads."
    board, days = printed(case, result)
    drawn = redrawn(result, days, draws=draws)
    simple, parts, fitted = differences(drawn), differences(drawn, ('ensemble',)), differences(drawn, ('pareto_nbd',))
    with whole(out) as part:
        scores = result.scores[~result.scores['model'].isin(BESIDE)].drop(columns='horizon_days')
        scores.to_csv(part/f'{case}_scores.csv', index=False, float_format='%.6g')
        if 'prior_tuned' in board.index.get_level_values('model'): tuned(drawn).to_csv(part/f'{case}_tuned.csv', index=False, float_format='%.6g')
        simple[simple['model'].isin(['ensemble', 'mlp', 'prior'])].to_csv(part/f'{case}_simple.csv', index=False, float_format='%.6g')
        fitted[fitted['model'] == 'prior'].to_csv(part/f'{case}_prior.csv', index=False, float_format='%.6g')
        parts[parts['model'].isin(VARIANTS)].to_csv(part/f'{case}_parts.csv', index=False, float_format='%.6g')
        intervals(result, days).to_csv(part/f'{case}_intervals.csv', index=False, float_format='%.6g')
        ages(result, days).to_csv(part/f'{case}_ages.csv', index=False, float_format='%.6g')
        (part/f'{case}_verdict.txt').write_text(verdict(drawn[drawn.index.get_level_values('model').isin(ROWS)], result.scores) + '\n')   # no ensemble without a part is advised
    print((Path(out)/f'{case}_verdict.txt').read_text())

if __name__ == '__main__': main()
