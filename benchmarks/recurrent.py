"""Training and scoring a recurrent network: this library beside PyTorch and Keras 3, on the same batches, in one run.

    pip install torch==2.13.0        # CPU build; for Keras 3 also: keras tensorflow
    python benchmarks/recurrent.py dense                             # batches without padding, all steps real
    python benchmarks/recurrent.py real --log cdnow --peers all      # users with as many steps as they have

The network is the same on both sides: W1 sigmoid(W2 LSTM(W3 x) + b2) + b1, squared error and cross-entropy, AdamW with
clipped gradients, no dropout. Each side runs in a process of its own with two threads; the processes take turns, and a
figure is the median over rounds of the ratio within a round. PyTorch may choose its best layout (batch or time first),
and for real lengths the better of padding and `pack_padded_sequence`; Keras takes the fastest of its backends. Both read
the mixed batches that a shuffling loader gives, and, as a harder rival, batches of users who were sorted by length before.

The second table says how much of this library's time is matrix work: the operations of all matrix products of the real
steps, beside what the same cores do in one large product, which is measured in the same process. No program can be
faster than its matrix work at that speed, so the last column bounds the ratio to the peer.
"""
import argparse, json, os, subprocess, sys, time
import numpy as np

THREADS = 2
DENSE = {'B256 T64 D32 H64x1': (256, 64, 32, 64, 1), 'B256 T64 D32 H128x2': (256, 64, 32, 128, 2), 'B1024 T64 D32 H64x2': (1024, 64, 32, 64, 2)}

def best(f, seconds=4., least=5):
    "Shortest time of a call, in ms, over as many as fit."
    f(); f(); times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter(); f(); times.append(time.perf_counter() - start)
    return 1e3 * min(times)

def dense_batch(case, seed=0):
    b, t, d, _, _ = DENSE[case]
    rng = np.random.default_rng(seed)
    return rng.standard_normal((b, t, d), np.float32), np.stack([rng.gamma(1., 1., b), rng.random(b) < .3], axis=1).astype(np.float32)

# this library

def ulv_network(d, h, layers):
    from flax import nnx
    from ulv_jax.models.mesh import data_mesh
    from ulv_jax.models.recurrent import RecurrentNetwork
    mesh = data_mesh(THREADS)
    return RecurrentNetwork(d, n_hidden=h, n_layers=layers, dropout=0., rngs=nnx.Rngs(0)), mesh

def ulv_dense(case):
    import jax
    from flax import nnx
    from ulv_jax.data.batches import Batch
    from ulv_jax.models.mesh import by_shard
    from ulv_jax.models.heads import mission_loss
    from ulv_jax.models.train_step import Training, _parts, answer_batch, start_state, train_step
    b, t, d, h, layers = DENSE[case]
    network, mesh = ulv_network(d, h, layers)
    (x, y), n = dense_batch(case), mesh.size
    reset = np.zeros((b, t), bool); reset[:, 0] = True
    at = np.arange(b // n, dtype=np.int32)
    side = lambda a: np.stack([a] * n)
    batch = Batch(x.reshape(n, -1, t, d), reset.reshape(n, -1, t), side(at), side(np.full_like(at, t - 1)), side(at), np.ones((n, b // n), np.float32))
    batch, target, static = jax.device_put((batch, y.reshape(n, -1, 2), np.zeros((n, b // n, 0), np.float32)), by_shard(mesh))
    network.train()
    (graph, keys, rest), settings = _parts(network), Training()
    state = [start_state(network, settings)]
    def train():
        state[0], loss, _ = train_step(state[0], batch, target, static, keys, rest, np.float32(1e-3), np.float32(b), graph=graph, settings=settings, mesh=mesh, loss=mission_loss)
        loss.block_until_ready()
    network.eval()
    graph2, params, rest2 = nnx.split(network, nnx.Param, ...)
    score = lambda: answer_batch(params, batch, static, rest2, graph=graph2, mesh=mesh).block_until_ready()
    return dict(score_ms=best(score), train_ms=best(train), peak=peak(mesh), **matrix_work(b*t, d, h, layers))

def matrix_work(steps, d, h, layers):
    "Billions of operations of the matrix products: an LSTM reads d (above the first layer h) and h numbers a step, and writes 4 h."
    forward = [2*(n + h)*4*h for n in (d, *[h]*(layers - 1))]
    back = [2*f - (i == 0)*2*d*4*h for i, f in enumerate(forward)]   # by the weights, and by what was read; nobody asks for that by the data
    return {'score_work': steps*sum(forward)/1e9, 'train_work': steps*(sum(forward) + sum(back))/1e9}

def peak(mesh, n=2048):
    "Billions of operations a second in one large product on each device."
    import jax
    from ulv_jax.models.mesh import by_shard
    from jax.sharding import PartitionSpec as P
    product = jax.jit(jax.shard_map(lambda a: (a[0] @ a[0])[None], mesh=mesh, in_specs=P('data'), out_specs=P('data')))
    a = jax.device_put(np.random.default_rng(0).random((mesh.size, n, n), np.float32), by_shard(mesh))
    return mesh.size*2*n**3 / 1e6 / best(lambda: product(a).block_until_ready(), 2.)

# PyTorch

def torch_network(d, h, layers, batch_first):
    import torch
    torch.set_num_threads(THREADS)
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w3, self.lstm = torch.nn.Linear(d, h, bias=False), torch.nn.LSTM(h, h, layers, batch_first=batch_first)
            self.w2, self.w1 = torch.nn.Linear(h, h), torch.nn.Linear(h, 2)
        def head(self, last): return self.w1(torch.sigmoid(self.w2(last)))
        def forward(self, x):
            out, _ = self.lstm(self.w3(x))
            return self.head(out[:, -1] if batch_first else out[-1])
    return Net()

def torch_loss(a, y):
    import torch.nn.functional as F
    return ((a[:, 0] - y[:, 0])**2 + F.binary_cross_entropy_with_logits(a[:, 1], y[:, 1], reduction='none')).mean()

def torch_step(net):
    import torch
    adam = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3, fused=True)
    def step(answer, y):
        adam.zero_grad(set_to_none=True)
        torch_loss(answer(), y).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.)
        adam.step()
    return step

def torch_dense(case):
    import torch
    x, y = map(torch.from_numpy, dense_batch(case))
    found = []
    for first in (True, False):
        net = torch_network(*DENSE[case][2:], first)
        xx, step = (x if first else x.transpose(0, 1).contiguous()), torch_step(net)
        def score():
            with torch.inference_mode(): net(xx)
        found.append(dict(score_ms=best(score), train_ms=best(lambda: step(lambda: net(xx), y))))
    return {k: min(f[k] for f in found) for k in found[0]}

# real lengths

def lengths_of(log, longest=64):
    "Steps of each user, at most 64; a log of this name, or a Parquet file with a column of users."
    if log == 'simulated': return np.clip(np.random.default_rng(0).lognormal(1.8, 1.2, 40_000).astype(int), 1, longest)
    import pandas as pd
    column = {'cdnow': 'customer_id', 'orii': 'Customer ID'}.get(log, 'user_id')
    path = {'cdnow': 'cdnow_full.parquet', 'orii': 'online_retail_ii.parquet'}.get(log)
    path = os.path.join(os.environ.get('ULV_DATA', ''), path) if path else log
    t = pd.read_parquet(path, columns=[column] + ([] if log == 'cdnow' else ['InvoiceDate'] if log == 'orii' else ['timestamp'])).dropna()
    if log == 'orii': t = t.drop_duplicates()   # the lines of an order are one step
    return np.clip(t.groupby(column).size().to_numpy(), 1, longest)

def real_users(log, d=16, most=40_000):
    lengths = lengths_of(log)
    rng = np.random.default_rng(0)
    lengths = lengths if len(lengths) <= most else rng.choice(lengths, most, replace=False)
    x = rng.standard_normal((lengths.sum(), d), np.float32)
    return lengths, x, np.stack([rng.gamma(1., 1., len(lengths)), rng.random(len(lengths)) < .3], axis=1).astype(np.float32)

def ulv_real(log, h=64):
    from ulv_jax.models.answers import Examples, answer_all
    from ulv_jax.models.train_step import Training
    from ulv_jax.models.training import train_network
    lengths, x, y = real_users(log)
    network, mesh = ulv_network(x.shape[1], h, 1)
    offsets, settings = np.concatenate([[0], lengths.cumsum()]), Training(epochs=1, row_length=64, n_rows=256)
    some = Examples(x[:offsets[2]], offsets[:3], y[:2])
    data = Examples(x, offsets, y)
    score = lambda: answer_all(network, x, offsets, settings, mesh)
    scored = warm(score)
    def epochs(n): return [1e3*r['seconds'] for r in train_network(network, data, some, Training(epochs=n, patience=n, row_length=64, n_rows=256), progress=False, mesh=mesh)[1:]]
    trained = min(epochs(1 + max(5, int(3000/min(epochs(3))))))   # as many as fit into three seconds, as for the peers
    return dict(score_ms=scored, train_ms=trained, peak=peak(mesh), **matrix_work(int(lengths.sum()), x.shape[1], h, 1))

def padded_batches(lengths, x, b, shuffle, similar=True):
    "Batches of users as padded arrays: of similar length, or, as a shuffling loader gives them, of any."
    offsets = np.concatenate([[0], lengths.cumsum()])
    order = np.argsort(lengths, kind='stable') if similar else np.random.default_rng(1).permutation(len(lengths))
    groups = [order[i:i+b] for i in range(0, len(order), b)]
    for k in shuffle(len(groups)):
        users, longest = groups[k], lengths[groups[k]].max()
        step = np.arange(longest)
        real = step < lengths[users][:, None]
        padded = np.zeros((len(users), longest, x.shape[1]), np.float32)
        padded[real] = x[(offsets[users][:, None] + step)[real]]
        yield users, padded, lengths[users]

def shuffled(n): return np.random.default_rng(0).permutation(n)

def warm(f): return best(f, 3.)

def torch_real(log, h=64, b=512, similar=True):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence
    (lengths, x, y), found = real_users(log), []
    for packed in (False, True):
        net = torch_network(x.shape[1], h, 1, True)
        step, t = torch_step(net), torch.from_numpy(y)
        def answer(padded, n):
            z, n = net.w3(torch.from_numpy(padded)), torch.from_numpy(n)
            if packed: return net.head(net.lstm(pack_padded_sequence(z, n, batch_first=True, enforce_sorted=False))[1][0][-1])
            return net.head(net.lstm(z)[0][torch.arange(len(n)), n - 1])
        def score():
            with torch.inference_mode():
                for _, padded, n in padded_batches(lengths, x, b, np.arange, similar): answer(padded, n)
        def train():
            for users, padded, n in padded_batches(lengths, x, b, shuffled, similar): step(lambda: answer(padded, n), t[users])
        found.append(dict(score_ms=warm(score), train_ms=warm(train)))
    return {k: min(f[k] for f in found) for k in found[0]}

def torch_mixed(log): return torch_real(log, similar=False)

# Keras, under one backend

def keras_dense(case):
    from keras_peer import keras_network, use_threads
    use_threads(THREADS)
    (x, y), (_, steps, *shape) = dense_batch(case), DENSE[case]
    model = keras_network(*shape, steps)
    return dict(score_ms=best(lambda: model.predict_on_batch(x)), train_ms=best(lambda: model.train_on_batch(x, y)))

def keras_real(log, h=64, b=512, similar=True):
    from keras_peer import keras_network, padded_to, use_threads
    use_threads(THREADS)
    lengths, x, y = real_users(log)
    model = keras_network(x.shape[1], h, 1)
    def score():
        for _, padded, _ in padded_batches(lengths, x, b, np.arange, similar): model.predict_on_batch(padded_to(8, padded))
    def train():
        for users, padded, _ in padded_batches(lengths, x, b, shuffled, similar): model.train_on_batch(padded_to(8, padded), y[users])
    return dict(score_ms=warm(score), train_ms=warm(train))

def keras_mixed(log): return keras_real(log, similar=False)

SIDES = {'dense': {'ulv': ulv_dense, 'torch': torch_dense, 'keras': keras_dense},
         'real': {'ulv': ulv_real, 'torch': torch_real, 'torch, mixed lengths': torch_mixed, 'keras': keras_real, 'keras, mixed lengths': keras_mixed}}

def run(kind, side, case, **more):
    env = os.environ | {'OMP_NUM_THREADS': str(THREADS), 'ULV_CPU_DEVICES': str(THREADS), 'TF_CPP_MIN_LOG_LEVEL': '2'} | more
    done = subprocess.run([sys.executable, __file__, kind, '--side', side, '--case', case], capture_output=True, text=True, env=env)
    if done.returncode: sys.exit(f'{side} {more} failed: {done.stderr.strip().splitlines()[-1:]}')
    return json.loads(done.stdout.splitlines()[-1])

def turn(kind, side, case):
    "Times of one side; of Keras, those of its fastest backend."
    if not side.startswith('keras'): return run(kind, side, case)
    from keras_peer import BACKENDS
    found = {backend: run(kind, side, case, KERAS_BACKEND=backend) for backend in BACKENDS}
    print(f'  {side}, {case}: ' + '; '.join(f"{backend} {t['train_ms']:.1f} and {t['score_ms']:.1f} ms" for backend, t in found.items()), file=sys.stderr, flush=True)
    return {k: min(t[k] for t in found.values()) for k in ('train_ms', 'score_ms')}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('kind', choices=list(SIDES)); p.add_argument('--log', default='cdnow,orii,simulated'); p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--peers', default='torch', help='torch, keras, or all that there are')
    p.add_argument('--out', help='CSV file that the ratios are added to, which tutorials/07_networks shows')
    p.add_argument('--side', help=argparse.SUPPRESS); p.add_argument('--case', help='one case only')
    a = p.parse_args()
    if a.side: return print(json.dumps(SIDES[a.kind][a.side](a.case)))
    sides = [s for s in SIDES[a.kind] if s == 'ulv' or a.peers == 'all' or s.split(',')[0] in a.peers.split(',')]
    print('| case | peer | ulv train ms | peer train ms | peer / ulv | ulv score ms | peer score ms | peer / ulv |\n|---|---|---|---|---|---|---|---|')
    found = {}
    for case in [a.case] if a.case else list(DENSE) if a.kind == 'dense' else a.log.split(','):
        found[case] = rounds = [{side: turn(a.kind, side, case) for side in sides} for _ in range(a.rounds)]
        for peer in sides[1:]: print(f"| {case} | {peer} | {' | '.join(c for what in ('train_ms', 'score_ms') for c in beside(rounds, peer, what))} |", flush=True)

    print('\n| case | what | peer | GFlop of matrix work | GFlop/s | peak, GFlop/s | share of peak | peer / ulv, could be at most |\n|---|---|---|---|---|---|---|---|')
    for case, rounds in found.items():
        for what in ('train', 'score'):
            for peer in sides[1:]: print('| ' + ' | '.join([case, what, peer, *of_peak(rounds, peer, what)]) + ' |')
    if a.out: add_ratios(a.out, a.kind, found, sides[1:])

def add_ratios(path, kind, found, peers):
    import pandas as pd
    rows = [dict(kind=kind, case=case, what=what, peer=peer, rounds=len(rounds), **ratios_of(rounds, peer, what + '_ms'), share=rounds[0]['ulv'][what + '_work']*1e3/np.median([r['ulv'][what + '_ms'] for r in rounds])/max(r['ulv']['peak'] for r in rounds))
            for case, rounds in found.items() for what in ('train', 'score') for peer in peers]
    new = pd.DataFrame(rows).round(3)
    if os.path.exists(path): new = pd.concat([pd.read_csv(path), new]).drop_duplicates(['kind', 'case', 'what', 'peer'], keep='last')
    new.to_csv(path, index=False)

def ratios_of(rounds, peer, what):
    ratios = [r[peer][what] / r['ulv'][what] for r in rounds]
    return dict(ratio=float(np.median(ratios)), least=min(ratios), most=max(ratios))

def of_peak(rounds, peer, what):
    "Matrix work, its speed, the peak, its share, and the ratio to the peer of a program that is nothing but matrix work at the peak."
    work, top = rounds[0]['ulv'][what + '_work'], max(r['ulv']['peak'] for r in rounds)
    ms, peers = (float(np.median([r[s][what + '_ms'] for r in rounds])) for s in ('ulv', peer))
    return [f'{work:.2f}', f'{1e3*work/ms:.0f}', f'{top:.0f}', f'{1e3*work/ms/top:.0%}', f'{peers*top/work/1e3:.1f}']

def beside(rounds, peer, what):
    "Medians of both sides, and of the ratio within a round."
    r = ratios_of(rounds, peer, what)
    return [f"{np.median([turn[s][what] for turn in rounds]):.1f}" for s in ('ulv', peer)] + [f"{r['ratio']:.2f} ({r['least']:.2f} to {r['most']:.2f})"]

if __name__ == '__main__': main()
