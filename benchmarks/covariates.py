"""Does the first order help a purchase model? `pareto_nbd` beside `pareto_nbd_covariates`, at dates before the newest of the leaderboards.

    python benchmarks/covariates.py                 # all logs
    python benchmarks/covariates.py cdnow journey   # some of them
    python benchmarks/covariates.py --all           # more covariates, and the BG/NBD

Prints Markdown, a row a log, date and model. `less error` is by how much the mean absolute error falls against the plain
family of the same name, in percent, with its standard error over the customers: both forecast the same ones.
"""
import argparse
import numpy as np
import pandas as pd
from cases import CASES
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.backtest import judge
from ulv_jax.models.base import make_forecaster

DATES = {'cdnow': ('91D', ('1997-07-01', '1997-10-01')), 'journey': ('91D', ('2017-04-02', '2017-07-02')),
         'retail': ('90D', ('2010-09-10', '2010-12-01', '2011-03-10')), 'berka': ('90D', ('1993-07-04', '1993-10-02'))}
FIRST = 'log_first_value'
MODELS = {'pareto_nbd': {}, 'pareto_nbd_covariates': {}, 'purchase, too': dict(purchase=FIRST)}
MORE = {'purchase alone': dict(purchase=FIRST, spend=''), 'purchase and dropout, too': dict(purchase=FIRST, dropout=FIRST), 'lines, too': dict(spend=f'{FIRST},log_first_lines'),
        'weekday and month, too': dict(purchase='first_weekday,first_month'), 'bg_nbd': {}, 'bg_nbd_covariates': {}}

def made(name): return make_forecaster(name if 'nbd' in name else 'pareto_nbd_covariates', **{**MODELS, **MORE}[name])

def rows_of(case, horizon, date, names):
    events = CASES[case][0]()
    learn, now = training_snapshots(events, date, horizon), snapshot(events, date, horizon)
    actual, plain = now.labels['value'], {}
    for name in names:
        row, forecast = judge(made(name), learn, now)
        error = (forecast['ulv'] - actual).abs()
        kind = 'bg' if name.startswith('bg') else 'pareto'
        less = 100*(plain.setdefault(kind, error) - error)/plain[kind].mean()
        yield {'log': case, 'date': date, 'customers': len(now), 'model': name, 'MAE': f"{row['mae']:.2f}", 'less error, %': f'{less.mean():+.2f} ± {less.std()/np.sqrt(len(less)):.2f}',
               'Spearman': f"{row['spearman']:.3f}", 'Gini': f"{row['gini']:.3f}", 'bias, %': f"{row['bias_pct']:+.1f}", 'seconds': f"{row['fit_seconds']:.1f}"}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('cases', nargs='*', metavar='LOG', help=', '.join(DATES))
    p.add_argument('--all', action='store_true', help='every set of covariates')
    a = p.parse_args()
    if unknown := [c for c in a.cases if c not in DATES]: p.error(f'no log is called {unknown[0]}: there are {", ".join(DATES)}')
    names, head = [*MODELS, *(MORE if a.all else ())], None
    for case in a.cases or DATES:
        horizon, dates = DATES[case]
        for date in dates:
            for row in rows_of(case, horizon, date, names):
                if head is None: print('| ' + ' | '.join(head := list(row)) + ' |\n|' + '---|'*len(head))
                print('| ' + ' | '.join(map(str, row.values())) + ' |', flush=True)

if __name__ == '__main__': main()
