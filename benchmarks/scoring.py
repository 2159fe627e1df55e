"""One million users scored from a Parquet log to Parquet forecasts, by one LSTM, on two cores: seconds, peak memory, and where they go.

    python benchmarks/scoring.py                     # 1,000,000 users with a mean of 20 events
    python benchmarks/scoring.py --users 1e5         # fewer
    python benchmarks/scoring.py --profile           # and how the time divides

The log is simulated once and kept. The model has one layer of 64 and the weights it began with: how good it is does not
change how long it takes. The scoring runs in a process of its own, so that its peak memory is its own.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

THREADS = 2

def make_log(n, path):
    "A simulated log of 300 days; activity is heavy-tailed, and the mean user has some 20 events."
    from ulv_jax.data.shop import Population, Shop
    from ulv_jax.data.simulate import write_log
    shop = Shop(days=300, campaigns=(), population=Population(arrival_days=120, purchases=4., shape=2., visits=.05, idle=.1, views=.2, lines=.2))
    log = write_log(path, n_users=n, shop=shop, columns=['user_id', 'timestamp', 'event', 'value'])
    print(f'{log.rows:,} events of {n:,} users: {log.rows/n:.1f} each', file=sys.stderr)

def make_bundle(path):
    from ulv_jax.data.columns import Columns
    from ulv_jax.data.events import read_events
    from ulv_jax.data.shop import Shop
    from ulv_jax.data.simulate import simulate
    from ulv_jax.data.snapshots import training_snapshots
    from ulv_jax.models.lstm import LSTMForecaster
    from ulv_jax.models.train_step import Training
    from ulv_jax.serving.bundle import end_of_log, write_bundle
    small = read_events(simulate(Shop(users=2_000)).events, event_col='event')
    model = LSTMForecaster(n_hidden=64, n_layers=1, training=Training(epochs=0))
    model.fit(training_snapshots(small, end_of_log(small), '90D', n=2))
    write_bundle(model, Columns(event='event'), small, path, cutoff=end_of_log(small))

def one(bundle, log, out):
    "Score, and say how long and how much; the time includes all compilation."
    start = time.perf_counter()
    from ulv_jax.serving.bundle import read_bundle
    from ulv_jax.serving.scoring import plan_scoring, write_parts
    laps = [('import', time.perf_counter())]
    bundle = read_bundle(bundle)
    scoring = plan_scoring(bundle, log)
    laps.append(('read, check, sort and cut the log', time.perf_counter()))
    write_parts(scoring, out, progress=False)
    laps.append(('blocks: freeze, forecast, write', time.perf_counter()))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(dict(wall_s=time.perf_counter() - start, cpu_s=used.ru_utime + used.ru_stime, peak_gb=used.ru_maxrss/1e6, customers=scoring.customers,
        events=scoring.events.n_rows, parts=len(scoring), laps={name: t - before for (name, t), before in zip(laps, [start, *(t for _, t in laps)])})))

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--users', default='1e6'); p.add_argument('--profile', action='store_true', help='by function'); p.add_argument('--one', nargs=3, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: return one(*a.one)
    n, folder = int(float(a.users)), Path(tempfile.gettempdir())
    log, bundle = folder/f'ulv_scoring_{n}.parquet', folder/'ulv_scoring_bundle'
    if not log.exists(): make_log(n, log)
    if not (bundle/'bundle.json').exists(): make_bundle(bundle)
    with tempfile.TemporaryDirectory() as out:
        watch = ['-m', 'cProfile', '-s', 'tottime'] if a.profile else []
        done = subprocess.run([sys.executable, *watch, __file__, '--one', bundle, log, f'{out}/forecasts'], capture_output=True, text=True, env=os.environ | {'OMP_NUM_THREADS': str(THREADS)})
    if done.returncode: sys.exit(done.stderr)
    first, *rest = done.stdout.splitlines()
    r = json.loads(first)
    print(f"{r['events']:,} events, {r['customers']:,} customers of {n:,} users, {r['parts']} parts, {THREADS} threads\n\n| seconds | processor seconds | peak GB | customers a second |\n|---|---|---|---|")
    print(f"| {r['wall_s']:.1f} | {r['cpu_s']:.1f} | {r['peak_gb']:.2f} | {r['customers']/r['wall_s']:,.0f} |\n\n| step | seconds | share |\n|---|---|---|")
    for step, s in r['laps'].items(): print(f"| {step} | {s:.1f} | {s/r['wall_s']:.0%} |")
    print('\n'.join(rest[:40]))

if __name__ == '__main__': main()
