"""Fitting Pareto/NBD: this library beside `lifetimes`, on the same customers, in one run.

    pip install lifetimes autograd
    python benchmarks/purchase.py                      # CDNOW: the published sample and the full log, and a million simulated customers
    python benchmarks/purchase.py --customers 1e5      # fewer

Each fit runs in a fresh process and is timed from the moment its package is imported, so that our compilation is counted.
The sides take turns; printed are the medians, the ratio within each round (of time, and of processor time, which a busy
machine disturbs less), and both log-likelihoods by one formula, which say whether they found the same maximum. The simulated times are whole days, as in a real log, in weeks.
"""
import argparse, importlib.util, json, os, subprocess, sys, time
from pathlib import Path
import numpy as np
import pandas as pd

def simulated(n, seed=0):
    "frequency, recency, T of customers who buy and leave at random, at the granularity of days."
    rng = np.random.default_rng(seed)
    rate, leave, T = rng.gamma(.55, 1/10.6, n)/7, rng.gamma(.61, 1/11.7, n)/7, rng.integers(180, 274, n).astype(float)
    alive = np.minimum(rng.exponential(1/np.maximum(leave, 1e-12)), T)
    x = rng.poisson(rate*alive).astype(float)
    last = alive * rng.random(n)**(1/np.maximum(x, 1))   # the latest of x uniform times
    return x, np.where(x > 0, np.ceil(np.minimum(last, T - 1)), 0.)/7, T/7

def customers(what):
    if what == 'sample':
        t = pd.read_csv(Path(importlib.util.find_spec('lifetimes').origin).parent/'datasets'/'cdnow_customers_summary_with_transactions.csv', index_col=0)
        return t['x'].to_numpy(float), t['t_x'].to_numpy(float), t['T'].to_numpy(float)
    if what == 'cdnow':
        t = pd.read_parquet(Path(os.environ.get('ULV_DATA', '../shared/data'))/'cdnow_full.parquet').query("date < '1998-01-01'")
        days = t.drop_duplicates(['customer_id', 'date']).groupby('customer_id')['date'].agg(['min', 'max', 'count'])
        return (days['count'] - 1).to_numpy(float), (days['max'] - days['min']).dt.days.to_numpy(float)/7, (pd.Timestamp('1998-01-01') - days['min']).dt.days.to_numpy(float)/7
    return simulated(int(what))

def timed(f):
    wall, cpu = time.perf_counter(), time.process_time(); done = f()
    return dict(seconds=time.perf_counter() - wall, cpu=time.process_time() - cpu), done

def ours(x, t_x, T):
    from ulv_jax.models.pareto_nbd import fit_pareto_nbd
    took, fit = timed(lambda: fit_pareto_nbd(x, t_x, T))
    return dict(took, params=fit.values.tolist())

def theirs(x, t_x, T):
    import warnings; warnings.simplefilter('ignore')
    from lifetimes import ParetoNBDFitter
    took, fit = timed(lambda: ParetoNBDFitter().fit(x, t_x, T))
    return dict(took, params=[float(fit.params_[k]) for k in ('r', 'alpha', 's', 'beta')])

def one(side, what):
    "A fit in a process of its own."
    done = subprocess.run([sys.executable, __file__, '--side', side, '--what', what], capture_output=True, text=True)
    if done.returncode: sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])

def likelihood(params, x, t_x, T):
    "Of either side's answer, by one formula."
    import jax
    from ulv_jax.models.likelihood import by_chunks
    from ulv_jax.models.pareto_nbd import log_density
    return by_chunks(jax.jit(log_density), np.array(params), x, t_x, T).sum()

def compare(what, rounds):
    pairs, data = [(one('ours', what), one('theirs', what)) for _ in range(rounds)], customers(what)
    print(f'{what}: {len(data[0]):,} customers, rounds: {rounds}')
    for name, side in zip(('ulv_jax', 'lifetimes'), zip(*pairs)):
        took = {k: sorted(r[k] for r in side)[rounds//2] for k in ('seconds', 'cpu')}
        print(f'  {name:9} {took["seconds"]:8.2f} s, {took["cpu"]:8.2f} s of processor  log-likelihood {likelihood(side[-1]["params"], *data):.2f}  {[round(v, 3) for v in side[-1]["params"]]}')
    for k, word in (('seconds', 'time'), ('cpu', 'processor')):
        ratios = sorted(b[k]/a[k] for a, b in pairs)
        print(f'  lifetimes / ulv_jax, {word}: {ratios[rounds//2]:.1f} (from {ratios[0]:.1f} to {ratios[-1]:.1f})', flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--customers', type=float, default=1e6, help='simulated; 0: none')
    p.add_argument('--rounds', type=int, default=3, help='of the CDNOW fits')
    p.add_argument('--side', choices=('ours', 'theirs'), help=argparse.SUPPRESS); p.add_argument('--what', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.side: print(json.dumps(dict(ours=ours, theirs=theirs)[a.side](*customers(a.what)))); return
    for what in ('sample', 'cdnow'): compare(what, a.rounds)
    if a.customers: compare(str(int(a.customers)), 1)

if __name__ == '__main__': main()
