"""Two worker processes on one file of trials: one of them is killed, then the search itself, and the same call finishes what is missing."""
import os, signal, sqlite3, subprocess, sys, time
import pandas as pd
import pytest
from ulv_jax.data.shop import Shop
from ulv_jax.data.simulate import write_log

PROGRAM = '''
import sys
from ulv_jax.data.events import read_events
from ulv_jax.ensemble.search import search
from ulv_jax.ensemble.settings import Space
folder, trials, processes, storage = sys.argv[1:]
events = read_events(f'{folder}/log.parquet', event_col='event')
space = Space(encoders=('mlp_features',), n_hidden=(4,), n_layers=(1, 2), dropout=(.1, .1), length=(4, 8), fixed=dict(epochs=2, n_rows=8))
found = search(events, '2024-04-01', '60D', int(trials), origins=1, space=space, storage=f'{folder}/{storage}', processes=int(processes), progress=False)
found.trials.to_parquet(f'{folder}/{storage}.parquet')
'''

def start(folder, trials, processes=2, storage='search.db'):
    return subprocess.Popen([sys.executable, '-c', PROGRAM, folder, str(trials), str(processes), storage], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def ask(folder, question, mode='ro'):
    "What the file of trials says at the moment; nothing while it is being made."
    try:
        with sqlite3.connect(f'file:{folder}/search.db?mode={mode}', uri=True, timeout=30) as kept: return [row[0] for row in kept.execute(question)]
    except sqlite3.OperationalError: return []

AT_WORK = "SELECT a.value_json FROM trial_user_attributes a JOIN trials t ON t.trial_id = a.trial_id WHERE a.key = 'process' AND t.state = 'RUNNING'"
ENDED = "SELECT number FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"

def wait_for(what, job):
    end = time.monotonic() + 200
    while not (found := what()):
        assert job.poll() is None and time.monotonic() < end, job.communicate()[1] if job.poll() is not None else 'it takes too long'
        time.sleep(.01)
    return found

def alive(pid):
    try: os.kill(pid, 0)
    except ProcessLookupError: return False
    return True

@pytest.mark.skipif(os.name == 'nt', reason='signals of POSIX')
def test_two_workers_and_what_kills_them(tmp_path):
    write_log(tmp_path/'log.parquet', shop=Shop(users=80, days=500, campaigns=()), seed=1)
    job = start(tmp_path, 5)
    victim = int(wait_for(lambda: ask(tmp_path, AT_WORK), job)[0])
    os.kill(victim, signal.SIGKILL)   # another worker takes its place
    workers = {int(p) for p in wait_for(lambda: [p for p in ask(tmp_path, AT_WORK) if int(p) != victim and len(ask(tmp_path, ENDED)) >= 2], job)}
    job.kill(); job.communicate()     # now the search itself
    while any(map(alive, workers)): time.sleep(.05)
    before = ask(tmp_path, ENDED, mode='rw')   # whoever may write takes back what a killed worker began to
    assert 2 <= len(before) < 5
    again, alone = start(tmp_path, 5, 1), start(tmp_path, 5, 1, 'alone.db')
    assert again.wait(timeout=300) == 0, again.communicate()[1]
    settings = ['encoder', 'n_hidden', 'n_layers', 'dropout', 'learning_rate', 'length']
    trials = pd.read_parquet(tmp_path/'search.db.parquet')
    ended, lost = trials[trials['state'].isin(['finished', 'stopped early'])], trials[trials['state'] == 'failed']
    assert len(ended) == 5 and set(before) <= set(ended.index) and len(trials) == len(ended) + len(lost)
    begun = lost[lost['why'] != 'its process ended before it was begun']   # the kill may hit a trial that was asked for and has no number yet
    assert len(begun) >= 1 and begun['why'].str.match('its process ended; tried again as trial').all() and lost.drop(begun.index)[settings].isna().all(axis=None)
    # the one that was never stopped, by one process: the same settings, with the same losses up to the order of additions
    assert alone.wait(timeout=300) == 0, alone.communicate()[1]
    one = pd.read_parquet(tmp_path/'alone.db.parquet')
    both = ended.merge(one, on=settings, suffixes=('', '_alone'))
    assert len(both) == 5 and (abs(both['loss']/both['loss_alone'] - 1) < 1e-3).all()
