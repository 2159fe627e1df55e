"""Every encoder and every head on the same two logs: what they forecast, what the seed changes, what they cost.

    python benchmarks/encoders.py                # The Complete Journey, then Online Retail II
    python benchmarks/encoders.py retail         # one of them
    python benchmarks/encoders.py retail --parts season --seeds 2 --out season --folder season   # a calendar for the head `process`

Every encoder of the registry with the mission's head, every head with the LSTM, some of both with features beside, and
three simple models for reference; each with --seeds seeds. Logs are found as `ulv_jax.data.datasets` finds them: set
ULV_DATA to a folder that holds them. A row is written as soon as it is there, and one that is there is not run again.
Networks and epochs are small, and their sizes stand in each row: this compares, it sets no record. The tables lie beside the
tutorial that reads them (--out, by default nbs/tutorials/leaderboards):

*_networks.csv         a row a fit: scores, share of outcomes inside the 90 % interval, seconds of fit and forecast
*_networks_gaps.csv    a row a model and metric: its advantage over the LSTM with the mission's head, and over the best of the
                       simple models, with the 95 % interval over redrawn customers; from the forecasts kept in --folder
"""
import argparse, time
from dataclasses import dataclass, replace
from pathlib import Path
import jax
import numpy as np
import pandas as pd
from cases import CASES
from flax import nnx
from ulv_jax.data.errors import DataError
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.evaluation.metrics import evaluate
from ulv_jax.evaluation.rolling import SEEDLESS, Rolling
from ulv_jax.evaluation.standing import differences, redrawn
from ulv_jax.models.base import FAMILIES, make_forecaster
from ulv_jax.models.sequence import SequenceForecaster
from ulv_jax.models.train_step import Training

SIMPLE = ('persistence_rate', 'pareto_nbd', 'lightgbm')
HEADS = ('mission', 'mse', 'ziln', 'nb_spend', 'mission+quantiles', 'horizons', 'process')   # bernoulli is in the mission's
MORE = (('lstm + features', 'mission'), ('lstm + features', 'nb_spend'), ('mlp_features', 'ziln'), ('mlp_features', 'nb_spend'))
SCORES = ('mae', 'spearman', 'gini', 'decile_mape', 'bias_pct', 'auc')
SEASONAL = ('lstm', 'gru', 'cnn', 'attention')
BASE = 'lstm, mission'
KEY = ['encoder', 'head', 'seed', 'size']

@dataclass(frozen=True)
class Size:
    "How large, and how long to learn."
    width:int=32; layers:int=1; epochs:int=4; origins:int=4; steps:int=32; rows:int=32

    def of(self, name): # the same for all, but for these
        if name == 'cnn': return replace(self, layers=3)   # one block would see 5 steps, three see 29
        if name == 'mlp_features': return replace(self, epochs=2*self.epochs, steps=1, rows=128)   # a user has one step
        return self

    def __str__(self): return f'width {self.width}, {self.layers} layer{"s"*(self.layers > 1)}, {self.epochs} epoch{"s"*(self.epochs > 1)}, {self.origins} origins, {self.steps} step{"s"*(self.steps > 1)}'

def encoders(): return tuple(n for n in FAMILIES if isinstance(make_forecaster(n), SequenceForecaster))

def parts():
    return dict(simple=[(s, '-') for s in SIMPLE], encoders=[(e, 'mission') for e in encoders()], heads=[('lstm', h) for h in HEADS if h != 'mission'], more=MORE,
                season=[(e, h) for e in SEASONAL for h in ('process', 'seasonal_process')])

def jobs(seeds, wanted=('simple', 'encoders', 'heads', 'more')):
    "Encoder, head and seed of every row, in the order of their importance."
    return [(e, h, seed) for part in map(parts().get, wanted) for seed in range(seeds) for e, h in part if not seed or e not in SEEDLESS]

def make(encoder, head, seed, size):
    "The forecaster of a row, and its size in words."
    name = encoder.removesuffix(' + features')
    if encoder in SIMPLE: return make_forecaster(name, seed), f'{size.origins} origins'
    own, beside = size.of(name), dict(static=True) if name != encoder else {}
    rows = dict(n_rows=4, row_length=own.rows//4) if own.steps == 1 else dict(n_rows=own.rows, row_length=own.steps)
    train = Training(epochs=own.epochs, patience=own.epochs, **rows)   # all epochs, so that times can be compared
    return type(make_forecaster(name))(seed, training=train, head=head, n_hidden=own.width, n_layers=own.layers, **beside), str(own)

def n_weights(model): return sum(a.size for a in jax.tree.leaves(nnx.state(model.network_, nnx.Param))) if hasattr(model, 'network_') else np.nan

def judge(model, learn, now):
    "Forecast, and what a row says of it."
    model.progress, start = False, time.perf_counter()
    forecast = model.fit(learn).predict(now)
    seconds, actual = time.perf_counter() - start, now.labels['value'].to_numpy()
    scores, lo, hi = evaluate(actual, now.labels['purchases'].to_numpy() > 0, forecast), forecast['ulv_lo_90'], forecast['ulv_hi_90']
    inside = np.nan if (lo + hi).isna().any() else ((lo <= actual) & (actual <= hi)).mean()
    return forecast, {k: scores[k] for k in SCORES} | dict(inside_90=inside, seconds=seconds, weights=n_weights(model))

def called(encoder, head): return encoder if head == '-' else f'{encoder}, {head}'

def run(case, folder, out, size, work, origin=-1):
    "Fit what is missing in the table of one log; say what could not be fitted."
    read, horizon, origins = CASES[case]
    events, table, failed, at = read(), out/f'{case}_networks.csv', [], origins[origin]
    out.mkdir(parents=True, exist_ok=True)
    learn, now = training_snapshots(events, at, horizon, n=size.origins, max_length=size.steps), snapshot(events, at, horizon, max_length=size.steps)
    folder.mkdir(parents=True, exist_ok=True)
    now.labels.assign(T=now.rfm['T']).rename_axis('user').reset_index().to_parquet(folder/'truth.parquet', index=False)
    done = set() if not table.exists() else set(pd.read_csv(table)[KEY].itertuples(index=False, name=None))
    print(f'{case}: {len(now)} customers at {at}, {horizon}; {len(learn)} origins to learn from, {sum(map(len, learn))} examples; {size}', flush=True)
    for encoder, head, seed in work:
        model, said = make(encoder, head, seed, size)
        if (encoder, head, seed, said) in done: continue
        try: forecast, found = judge(model, learn, now)
        except (DataError, FloatingPointError) as e: failed.append(f'{case}: {called(encoder, head)}, seed {seed}: {e}'); print(failed[-1], flush=True); continue
        forecast.rename_axis('user').reset_index().to_parquet(folder/f'{called(encoder, head)} {seed}.parquet', index=False)
        row = pd.DataFrame([dict(log=case, encoder=encoder, head=head, seed=seed) | found | dict(size=said)])
        row.to_csv(table, mode='a', header=not table.exists(), index=False, float_format='%.6g')
        print(f'{called(encoder, head):28} {seed}  ' + '  '.join(f'{k} {v:.3f}' for k, v in found.items()), flush=True)
    return failed

def gaps(case, folder, out, draws):
    "Advantages with their intervals over redrawn customers, from the kept forecasts."
    rows = pd.read_csv(out/f'{case}_networks.csv')
    files = {(e, h, s): folder/f'{called(e, h)} {s}.parquet' for e, h, s in rows[['encoder', 'head', 'seed']].itertuples(index=False)}
    lost = [f.stem for f in files.values() if not f.exists()]
    if lost: return print(f'{case}: no new intervals, {len(lost)} forecasts are not in {folder}, such as that of {lost[0]}: remove their rows to fit them again')
    cutoff, days = pd.Timestamp(CASES[case][2][-1]), float(CASES[case][1].rstrip('D'))
    rolling = Rolling(rows, rows[:0], folder, {(cutoff, days): pd.read_parquet(folder/'truth.parquet')}, {(cutoff, days, called(e, h), s): f for (e, h, s), f in files.items()})
    drawn = redrawn(rolling, days, draws=draws)
    found = pd.concat([differences(drawn, (BASE,)).assign(against='lstm'), differences(drawn, SIMPLE).assign(against='simple')])
    found[found['cutoff'].notna()].drop(columns='cutoff').to_csv(out/f'{case}_networks_gaps.csv', index=False, float_format='%.6g')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('case', nargs='*', default=['journey', 'retail'], help='logs: ' + ', '.join(CASES))
    p.add_argument('--folder', default='networks', help='where forecasts are kept')
    p.add_argument('--out', default=Path(__file__).resolve().parent.parent/'nbs'/'tutorials'/'leaderboards', help='where the tables go')
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--draws', type=int, default=100, help='of customers')
    p.add_argument('--parts', default='simple,encoders,heads,more', help='of the work, for processes side by side that share it; then one with no part at all ("") makes the intervals')
    p.add_argument('--origin', type=int, default=-1, help='which of the dates of the log; those tables want an --out and a --folder of their own')
    for k, v in vars(Size()).items(): p.add_argument(f'--{k}', type=int, default=v)
    a = p.parse_args()
    failed, size = [], Size(**{k: getattr(a, k) for k in vars(Size())})
    for case in a.case:
        failed += run(case, Path(a.folder)/case, Path(a.out), size, jobs(a.seeds, filter(None, a.parts.split(','))), a.origin)
        if a.parts in ('', p.get_default('parts')): gaps(case, Path(a.folder)/case, Path(a.out), a.draws)
    if failed: raise SystemExit('could not be fitted:\n' + '\n'.join(failed))

if __name__ == '__main__': main()
