"""What five networks trained in one program cost, as a multiple of one: `python benchmarks/members.py [members] [hidden] [rounds]`.

The users of the benchmark of recurrent networks (a simulated log, real lengths), one LSTM layer, the epoch after the one that
compiles. One and several take turns in one process; the figure is the median over rounds of the ratio within a round.
"""
import sys
import numpy as np
from flax import nnx
from recurrent import real_users
from ulv_jax.models.members import poisson_weights, train_members
from ulv_jax.models.mesh import data_mesh
from ulv_jax.models.recurrent import RecurrentNetwork
from ulv_jax.models.answers import Examples
from ulv_jax.models.train_step import Training
from ulv_jax.models.training import train_network

def epoch(members, data, some, hidden, mesh):
    "Seconds of an epoch."
    networks = [RecurrentNetwork(data.x.shape[1], n_hidden=hidden, n_layers=1, rngs=nnx.Rngs(k)) for k in range(members)]
    how = dict(settings=Training(epochs=2, row_length=64, n_rows=256), progress=False, mesh=mesh)
    if members == 1: history = train_network(networks[0], data, some, **how)
    else: history = train_members(networks, data, some, weights=poisson_weights(np.arange(len(data)), members, 0), **how)[1]
    return history[1]['seconds']

def main(members=5, hidden=64, rounds=3):
    members, hidden, mesh = int(members), int(hidden), data_mesh()
    lengths, x, y = real_users('simulated')
    offsets = np.concatenate([[0], lengths.cumsum()])
    data, some = Examples(x, offsets, y), Examples(x[:offsets[200]], offsets[:201], y[:200])
    runs = [(epoch(1, data, some, hidden, mesh), epoch(members, data, some, hidden, mesh)) for _ in range(int(rounds))]
    ratios = [many/one for one, many in runs]
    print(f'{len(data):,} users, {len(x):,} steps, H {hidden}: one {np.median([r[0] for r in runs]):.1f} s, {members} members {np.median([r[1] for r in runs]):.1f} s: {np.median(ratios):.2f} times (from {min(ratios):.2f} to {max(ratios):.2f})')

if __name__ == '__main__': main(*sys.argv[1:])
