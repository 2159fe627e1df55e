"""Week by week, cohort by cohort: what a fitted forecast says of a real log, against what came.

    python benchmarks/cohorts.py              # the ensemble, on Online Retail II and The Complete Journey
    python benchmarks/cohorts.py berka --model prior

The model is fitted once, at the newest origin of the leaderboards, and asked for one week, two weeks, and so on; the
differences are what it says of each week. Each log's table goes beside the tutorial that draws it (--out, by default
nbs/tutorials/leaderboards): one row a quarter of first purchase and week, forecast and outcome being totals of the week.
Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them.
"""
import argparse
from pathlib import Path
from cases import CASES
from ulv_jax.data.snapshots import as_horizon, snapshot, training_snapshots
from ulv_jax.data.whole import whole
from ulv_jax.evaluation.over_origins import cohort_weeks
from ulv_jax.models.base import make_forecaster

def weeks(case, name):
    "Forecast and outcome of each cohort and week at the newest origin."
    read, horizon, origins = CASES[case]
    events, horizon, model = read(), as_horizon(horizon), make_forecaster(name)
    model.fit(training_snapshots(events, origins[-1], horizon, rehearsals=model.rehearses))
    return cohort_weeks(model, snapshot(events, origins[-1], horizon), events).assign(cutoff=origins[-1], model=name)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('cases', nargs='*', default=['retail', 'journey'], help=f'of {", ".join(CASES)}')
    p.add_argument('--model', default='ensemble')
    p.add_argument('--out', default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards', help='where the tables go')
    a = p.parse_args()
    for case in a.cases:
        table = weeks(case, a.model)
        print(f'\n{case}\n{table.groupby("week")[["forecast", "actual"]].sum().round().to_string()}', flush=True)
        with whole(a.out) as part: table.to_csv(part/f'{case}_cohorts.csv', index=False, float_format='%.6g')

if __name__ == '__main__': main()
