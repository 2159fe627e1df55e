"""Seconds from the start of a process to the end of a network's first training step, without and with kept programs.

    python benchmarks/compile.py                 # all networks, default settings
    python benchmarks/compile.py --models lstm   # some

Each figure is a process of its own. `cold` finds an empty folder of kept programs, `again` the folder that `cold` filled.
The last columns say how much of it is the imports, and the time of the process on the cores (user and system), which a
busy machine changes less than the clock.
"""
import argparse, json, os, subprocess, sys, tempfile, time
import numpy as np

MODELS = ('lstm', 'gru', 'rnn', 'cnn', 'attention', 'lstm_attention', 'mlp_features')

def first_step(name, n_fields=9):
    import jax
    from flax import nnx
    from ulv_jax.data.batches import batches
    from ulv_jax.models.base import make_forecaster
    from ulv_jax.models.mesh import by_shard, data_mesh, shards
    from ulv_jax.models.processes import everywhere
    from ulv_jax.models.answers import _rows
    from ulv_jax.models.train_step import _parts, start_state, train_step
    model = make_forecaster(name)
    imported, mesh, settings = time.time(), data_mesh(), model.training
    network = model.network(n_fields, **model.settings, rngs=nnx.Rngs(0)); network.train()
    lengths = np.random.default_rng(0).integers(1, 20, 2000); offsets = np.concatenate([[0], lengths.cumsum()])
    batch = next(shards(batches(np.ones((offsets[-1], n_fields), np.float32), offsets, settings.row_length, _rows(settings, mesh)), mesh.size))
    (graph, *more), state = _parts(network), start_state(network, settings)
    state, keys, rest = everywhere((state, *more), mesh)
    data = jax.device_put((batch, np.ones((*batch.user.shape, 2), np.float32), np.zeros((*batch.user.shape, 0), np.float32)), by_shard(mesh))
    _, loss, _ = train_step(state, *data, keys, rest, np.float32(1e-3), np.float32(100), graph=graph, settings=settings, mesh=mesh, loss=model.head)
    return dict(loss=float(loss), imported=imported, done=time.time(), cpu=sum(os.times()[:2]))

def run(name, folder):
    env = os.environ | {'ULV_CACHE': folder}
    env.pop('JAX_COMPILATION_CACHE_DIR', None)
    start = time.time()
    done = subprocess.run([sys.executable, __file__, '--one', name], capture_output=True, text=True, env=env)
    if done.returncode: sys.exit(f'{name} failed: {done.stderr.strip().splitlines()[-1:]}')
    found = json.loads(done.stdout.splitlines()[-1])
    return found | dict(seconds=found['done'] - start, imports=found['imported'] - start, said=done.stderr.strip())

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--models', default=','.join(MODELS)); p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: return print(json.dumps(first_step(a.one)))
    print('| network | cold s | again s | imports s | cold, on the cores s | again, on the cores s |\n|---|---|---|---|---|---|')
    for name in a.models.split(','):
        with tempfile.TemporaryDirectory() as folder: cold, again = run(name, folder), run(name, folder)
        if cold['loss'] != again['loss']: sys.exit(f"{name}: the kept program gives the loss {again['loss']}, not {cold['loss']}")
        if again['said']: print(again['said'].splitlines()[0], file=sys.stderr)
        print(f"| {name} | {cold['seconds']:.1f} | {again['seconds']:.1f} | {again['imports']:.1f} | {cold['cpu']:.1f} | {again['cpu']:.1f} |", flush=True)

if __name__ == '__main__': main()
