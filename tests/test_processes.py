"""Two real processes, one device each, that train and score together: the same as one process with two devices.

The first attempt loses a process in its second epoch; the other ends with a sentence, and the second attempt goes on from the checkpoint.
"""
import os, socket, subprocess, sys
import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from ulv_jax.data.shop import Shop
from ulv_jax.data.simulate import write_log

PROGRAM = '''
import os, sys
folder, out, at, rank, dies = sys.argv[1:6]
from ulv_jax.models.processes import join_processes
if at: join_processes(at, 2, int(rank), heartbeat_timeout_seconds=60, shutdown_timeout_seconds=60, initialization_timeout=120)
from ulv_jax.data.columns import Columns
from ulv_jax.data.events import read_events
from ulv_jax.data.snapshots import training_snapshots
from ulv_jax.models import training
from ulv_jax.models.lstm import LSTMForecaster
from ulv_jax.serving.bundle import end_of_log, read_bundle, write_bundle
from ulv_jax.serving.scoring import plan_scoring, write_parts
judge, epochs = training.valid_loss, []
def judge_or_die(*args):
    epochs.append(0)
    if dies and rank == '1' and len(epochs) == 2: os._exit(9)
    return judge(*args)
training.valid_loss = judge_or_die
events = read_events(f'{folder}/log.parquet', event_col='event')
model = LSTMForecaster(n_hidden=8, n_layers=1, checkpoint=f'{out}/checkpoint', training=training.Training(epochs=3, n_rows=8))
model.fit(training_snapshots(events, end_of_log(events), '30D', n=2))
bundle = write_bundle(model, Columns(event='event'), events, f'{out}/bundle', cutoff=end_of_log(events))
from ulv_jax.serving.bundle import Bundle
about = dict(horizon_days=30, own_columns=[])
write_parts(plan_scoring(Bundle(model, Columns(event='event'), about), events, users=20), f'{out}/forecasts', progress=False)
print('epochs', len(epochs))
'''

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def start(folder, out, at='', rank=0, dies=''):
    env = os.environ | {'ULV_CPU_DEVICES': '1' if at else '2', 'JAX_PLATFORMS': 'cpu'}
    return subprocess.Popen([sys.executable, '-c', PROGRAM, folder, out, at, str(rank), dies], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def start_two(folder, out, dies=''):
    at = f'127.0.0.1:{free_port()}'
    return [start(folder, out, at, rank, dies) for rank in (0, 1)]

def end(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err

def test_two_processes_are_one(tmp_path):
    write_log(tmp_path/'log.parquet', shop=Shop(users=120, days=240, campaigns=()))
    one, first, second = map(end, [start(tmp_path, tmp_path/'one'), *start_two(tmp_path, tmp_path/'two', dies='yes')])
    assert one[0] == 0, one[2]
    assert second[0] == 9, second[2]
    assert first[0] == 1, first[2]
    assert 'process 0 of 2 lost another one' in first[2].splitlines()[-1]
    assert not (tmp_path/'two'/'bundle').exists()
    again = list(map(end, start_two(tmp_path, tmp_path/'two')))
    for code, said, wrong in again[::-1]: assert code == 0 and 'epochs 2' in said, wrong   # the first epoch was not done again
    weights = [load_file(tmp_path/run/'bundle'/'weights.safetensors') for run in ('one', 'two')]
    assert weights[0].keys() == weights[1].keys()
    for k, w in weights[0].items(): np.testing.assert_allclose(weights[1][k], w, atol=1e-5, rtol=1e-5)
    one, two = (pd.read_parquet(tmp_path/run/'forecasts') for run in ('one', 'two'))
    pd.testing.assert_frame_equal(two, one, rtol=1e-5)
    assert len(list((tmp_path/'two'/'forecasts').glob('part-*'))) == -(-len(two) // 20) > 2
