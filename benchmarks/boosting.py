"""Boosting of another's forecast, boosting on deep features and bagging beside what they are made of.

    python benchmarks/boosting.py journey 2017-10-01 residual pareto_nbd lightgbm
    python benchmarks/boosting.py journey 2017-10-01 boosted_deep "lightgbm late" lightgbm
    python benchmarks/boosting.py journey 2017-10-01 bagged mlp_features pareto_nbd lightgbm

The first model is compared with each of the others by a paired bootstrap of customers: the interval is that of its advantage,
above 0 where it is better. `lightgbm late` learns at the later half of the origins, as the trees of `boosted_deep` do; of
`bagged` the metrics of a member on average are printed, too. Logs are found as `ulv_jax.data.datasets` finds them: set ULV_DATA to a folder that holds them.
"""
import argparse
import pandas as pd
from cases import CASES
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.backtest import judge
from ulv_jax.evaluation.compare import METRICS, compare
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.models.base import make_forecaster, register
from ulv_jax.models.boosted import LightGBMForecaster
from ulv_jax.models.sequence import member_values

@register('lightgbm late')
class Late(LightGBMForecaster):
    "LightGBM without the earlier half of the origins."
    def _fit(self, snapshots): super()._fit(snapshots[len(snapshots)//2:])

def of_a_member(model, forecast, now, actual, bought):
    "Metrics of the value that a member forecasts, mean over members."
    each = member_values(model.network_, now)
    return pd.DataFrame([evaluate(actual, bought, forecast.assign(ulv=each[k], p_purchase=float('nan'))) for k in each]).mean()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', choices=[*CASES]); p.add_argument('cutoff'); p.add_argument('models', nargs='+')
    p.add_argument('--seed', type=int, default=0); p.add_argument('--draws', type=int, default=200)
    a = p.parse_args()
    read, horizon, _ = CASES[a.case]; events = read()
    learn, now = training_snapshots(events, a.cutoff, horizon), snapshot(events, a.cutoff, horizon)
    actual, bought = now.labels['value'].to_numpy(), now.labels['purchases'].to_numpy() > 0
    rows, forecasts = {}, {}
    for name in a.models:
        model = make_forecaster(name, a.seed)
        rows[name], forecasts[name] = judge(model, learn, now)
        if name == 'bagged': rows['a member'] = of_a_member(model, forecasts[name], now, actual, bought)
    print(pd.DataFrame(rows).T[[*METRICS, 'fit_seconds']].astype(float).round(4).to_string(), flush=True)
    for rival in a.models[1:]:
        found = compare(actual, bought, forecasts, a.models[0], (rival,), a.draws)
        print(f"\n{a.models[0]} against {rival}\n{found[['lo', 'hi', 'word']].round(4).to_string()}", flush=True)

if __name__ == '__main__': main()
