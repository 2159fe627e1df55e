"A fit that Ctrl-C really stops, and the same command given again."
import gc, json, os, re, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
import pandas as pd
import pytest
import typer
from ulv_jax import cli
from ulv_jax.serving.bundle import read_bundle

ULV = Path(sys.executable).parent/'ulv'

@pytest.fixture
def log(tmp_path_factory):
    "Customers with a rhythm of their own, in a file."
    rng, file = np.random.default_rng(0), tmp_path_factory.mktemp('log')/'log.parquet'
    rows = [(u, day, 8 + g/4) for u, g in enumerate(rng.gamma(2., 12., 800)) for day in np.cumsum(rng.exponential(g, 60)) if day < 400]
    frame = pd.DataFrame(rows, columns=['user_id', 'day', 'value'])
    frame.assign(timestamp=pd.Timestamp('2023-01-01') + pd.to_timedelta(frame['day'], 'D'), item=[f'i{k % 9}' for k in range(len(frame))]).drop(columns='day').to_parquet(file)
    return file

def command(log, out, *options): return [ULV, 'fit', log, '--horizon', '30D', '--model', 'gru', '--out', out, *options]

def run(args, code=0):
    done = subprocess.run(args, capture_output=True, text=True, timeout=500)
    assert done.returncode == code, done.stderr
    return done

def stop_after_an_epoch(args, state): return stop_when(args, (state/'checkpoint.json').exists)

def stop_when(args, there):
    "Ctrl-C as a terminal sends it, once there is something to go on from."
    before = signal.signal(signal.SIGINT, signal.default_int_handler)   # some shells let their children hear nothing of it
    process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    while not there() and process.poll() is None: time.sleep(.005)
    os.kill(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=500)[1]
    return process.returncode, errors

def test_ctrl_c_and_again_is_the_model_of_an_undisturbed_run(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state, given = Path('kept'), command(log, 'stopped', '--checkpoint', 'kept')
    code, errors = stop_after_an_epoch(given, state)
    assert code == 130 and 'Traceback' not in errors, errors
    epochs = len(json.loads((state/'checkpoint.json').read_text())['history'])
    assert f"the state after epoch {epochs} is saved in 'kept'" in errors and not Path('stopped').exists()
    assert errors.splitlines()[-1] == ' '.join(map(str, ['ulv', *given[1:]]))   # the line to give again
    other = run([*given, '--seed', '1'], code=2)
    assert 'checkpoint of another training' in other.stderr and 'Traceback' not in other.stderr
    run(given), run(command(log, 'whole'))
    stopped, whole = (read_bundle(name).model for name in ('stopped', 'whole'))
    assert len(stopped.history_) > epochs and [h['valid_loss'] for h in stopped.history_] == [h['valid_loss'] for h in whole.history_]
    weights = [sorted(Path(name).rglob('*.safetensors')) for name in ('stopped', 'whole')]
    assert weights[0] and [f.read_bytes() for f in weights[0]] == [f.read_bytes() for f in weights[1]]
    assert sorted(p.name for p in Path('.').iterdir()) == ['stopped', 'whole']   # nothing is left of the state

def files(folder): return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob('*')) if p.is_file()}

@pytest.mark.parametrize('at', ['now/prior', 'earlier-0/pareto_nbd'])
def test_ctrl_c_in_an_ensemble_keeps_what_is_finished(at, log, tmp_path, monkeypatch):
    "Stopped while the members are fitted, and while they rehearse."
    monkeypatch.chdir(tmp_path)
    given = [ULV, 'fit', log, '--horizon', '30D', '--item-col', 'item', '--model', 'ensemble', '--out', 'b']
    code, errors = stop_when(given, lambda: any(Path('b-unfinished').glob(f'fits-*/{at}/model.json')))
    assert code == 130 and 'Traceback' not in errors and not Path('b').exists(), errors
    kept = files('b-unfinished')
    assert re.search(r"no bundle has been written, but pareto_nbd(,| and) prior.* kept in 'b-unfinished'", errors) and ('at earlier dates' in errors) == at.startswith('earlier'), errors
    assert errors.splitlines()[-1] == ' '.join(map(str, ['ulv', *given[1:]]))
    for other in (['--seed', '1'], ['--horizon', '31D'], ['--model', 'gru']):
        refused = run([*given, *other], code=2)
        assert ('state of another fit' in refused.stderr or 'checkpoint of another training' in refused.stderr) and refused.stderr.count('\n') == 1, refused.stderr
    assert files('b-unfinished') == kept   # nobody has touched it
    run(given), run([*given[:-1], 'whole'])
    assert files('b') == files('whole') and sorted(p.name for p in Path('.').iterdir()) == ['b', 'whole']

def interrupted():
    signal.raise_signal(signal.SIGINT)
    for _ in range(100): pass   # here Python looks for signals

class Finalizer:
    def __del__(self): interrupted()

def in_a_finalizer(): Finalizer()

def in_a_hook_of_the_collector():
    def hook(phase, info):
        gc.callbacks.remove(hook)
        interrupted()
    gc.callbacks.append(hook)
    gc.collect()

@pytest.fixture
def interrupts():
    "The handler of a terminal, and afterwards what was there."
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

@pytest.mark.parametrize('at', [in_a_finalizer, in_a_hook_of_the_collector])
def test_ctrl_c_is_heard_where_python_throws_errors_away(at, interrupts, monkeypatch, capsys):
    sent, send, hook = [], cli._send, sys.unraisablehook
    monkeypatch.setattr(cli, '_send', lambda: (sent.append(1), send()))
    @cli.clear_errors
    def long():
        at()
        for _ in range(40): time.sleep(1)
    begun = time.monotonic()
    with pytest.raises(typer.Exit) as stopped: long()
    assert stopped.value.exit_code == 130 and sent and time.monotonic() - begun < 30 and sys.unraisablehook is hook
    assert 'stopped; what was not finished has not been written' in capsys.readouterr().err

def test_a_command_that_has_ended_is_not_stopped(interrupts):
    cli.clear_errors(in_a_finalizer)()
    time.sleep(.3)   # nothing comes after it
