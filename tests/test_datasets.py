"""Fetching published data from a real server on loopback: whole or not at all, checked, kept, and one sentence when it fails.
The files are made here, in the formats of their publishers."""
import hashlib, http.server, io, os, threading, zipfile
from dataclasses import replace
from pathlib import Path
import pandas as pd
import pytest
from ulv_jax.data import datasets, download
from ulv_jax.data.datasets import BERKA, CDNOW, ONLINE_RETAIL_II
from ulv_jax.data.download import content_sha256, fetch
from ulv_jax.data.errors import DataError
from ulv_jax.data.events import read_events

CDS = ' 00001 19970101  1   11.77\r\n 00002 19970112  1   12.00\r\n 00002 19970112  5   77.00\r\n'
TRANS = '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"\r\n' \
        '695247;2378;"930101";"PRIJEM";"VKLAD";700;700;"";"";\r\n695248;2378;"930105";"VYDAJ";"VYBER";200;500;"";"";\r\n'

def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as z: z.writestr(name, content)
    return buffer.getvalue()

def workbook():
    buffer = io.BytesIO()
    sheet = pd.DataFrame({'Invoice': [489434, 'C489449'], 'StockCode': ['85048', '22087'], 'Description': 'BALL', 'Quantity': [12, -12],
                          'InvoiceDate': pd.to_datetime(['2010-12-01 07:45', '2010-12-01 10:33']), 'Price': [6.95, 2.95], 'Customer ID': [13085., None], 'Country': 'France'})
    with pd.ExcelWriter(buffer, engine='openpyxl') as book:
        for name in ('Year 2009-2010', 'Year 2010-2011'): sheet.to_excel(book, sheet_name=name, index=False)
    return zipped('online_retail_II.xlsx', buffer.getvalue())

class Publisher(http.server.BaseHTTPRequestHandler):
    "Serves the server's `files`; one whose name begins with `cut` breaks off in the middle."
    def log_message(self, *args): pass
    def do_GET(self):
        name = self.path.rsplit('/', 1)[-1]
        self.server.asked.append(name)
        content = self.server.files.get(name.removeprefix('cut-'))
        if content is None: return self.send_error(404)
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[:len(content) // 2] if name.startswith('cut-') else content)
        self.close_connection = True

@pytest.fixture
def publisher():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Publisher)
    server.files, server.asked = {'CDNOW_master.zip': zipped('CDNOW_master.txt', CDS), 'data_berka.zip': zipped('trans.asc', TRANS), 'online+retail+ii.zip': workbook()}, []
    server.url = f'http://127.0.0.1:{server.server_port}/datasets'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('ULV_CACHE', str(tmp_path/'cache')); monkeypatch.delenv('ULV_DATA', raising=False)
    monkeypatch.setenv('no_proxy', '*')
    return tmp_path/'cache'

def kept(cache): return sorted(p.name for p in cache.iterdir()) if cache.exists() else []

def small(data, server, parsed, **changes):
    "The data set as this server offers it."
    return replace(data, url=f'{server.url}/{data.raw}', content=content_sha256(data.checked(parsed)), **changes)

@pytest.fixture
def cds(publisher, tmp_path):
    path = tmp_path/'made.zip'; path.write_bytes(publisher.files['CDNOW_master.zip'])
    return small(datasets.DATASETS['cdnow'], publisher, datasets.read_cdnow(path))

def test_fetched_once_then_kept(cds, publisher, cache, capsys):
    first = fetch(cds)
    assert first.parent == cache and kept(cache) == ['CDNOW_master.zip', 'cdnow_full.parquet'] and publisher.asked == ['CDNOW_master.zip']
    assert read_events(pd.read_parquet(first), **CDNOW).n_rows == 3
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'no licence is stated' in said and 'Fader' in said
    publisher.shutdown(); publisher.server_close()
    assert fetch(cds) == first and publisher.asked == ['CDNOW_master.zip'] and capsys.readouterr().err == ''   # nothing asked, nothing said again

def test_the_loaders_read_what_a_publisher_offers(publisher, cache, monkeypatch):
    "The three loaders themselves, each sent to this server."
    for name in ('cdnow', 'online_retail_ii', 'berka'):
        data = datasets.DATASETS[name]
        mine = replace(data, url=f'{publisher.url}/{data.raw}', content=None)
        monkeypatch.setattr(datasets, f'_{name.upper()}' if name != 'berka' else '_berka', mine if name != 'berka' else lambda table: mine)
    assert read_events(datasets.cdnow(), **CDNOW).n_users == 2
    log = read_events(datasets.online_retail_ii(), **ONLINE_RETAIL_II)
    assert (log.n_rows, len(log.quarantine())) == (2, 2)
    assert read_events(datasets.berka(), **BERKA).table.value.sum().execute() == 700
    assert sorted(publisher.asked) == ['CDNOW_master.zip', 'data_berka.zip', 'online+retail+ii.zip']

def test_overlap_is_left_out_and_counted(publisher, cache, monkeypatch, capsys):
    data = datasets.DATASETS['online_retail_ii']
    monkeypatch.setattr(datasets, '_ONLINE_RETAIL_II', replace(data, url=f'{publisher.url}/{data.raw}', content=None))
    assert len(datasets.online_retail_ii(overlap=False)) == 2
    assert '2 lines of the first sheet that the second repeats are left out; 2 are left' in capsys.readouterr().out

@pytest.mark.parametrize('change, said', [
    (dict(sha256='0' * 64), 'has the sha256 [0-9a-f]{64}, not 0000'), (dict(content='0' * 64), 'does not hold CDNOW as we know it'),
    (dict(parse=lambda path: pd.read_parquet(path)), 'cannot be read as CDNOW')], ids=['file', 'content', 'format'])
def test_a_wrong_file_is_refused_and_not_kept(cds, cache, change, said):
    with pytest.raises(DataError, match=said): fetch(replace(cds, **change))
    assert kept(cache) == []

def test_the_right_checksum_is_accepted(cds, publisher, cache):
    assert fetch(replace(cds, sha256=hashlib.sha256(publisher.files['CDNOW_master.zip']).hexdigest())).exists()

def test_a_connection_that_breaks_off_leaves_nothing(cds, publisher, cache):
    broken = replace(cds, url=f'{publisher.url}/cut-CDNOW_master.zip')
    with pytest.raises(DataError, match=r'the connection ended after [\d,]+ of [\d,]+ bytes'): fetch(broken)
    assert kept(cache) == [] and publisher.asked == ['cut-CDNOW_master.zip']
    assert fetch(cds).exists()   # the next try is whole

def test_a_full_disk_leaves_nothing(cds, cache, monkeypatch):
    def full(self, path, **kwargs):
        Path(path).write_bytes(b'PAR1'); raise OSError(28, 'No space left on device')
    monkeypatch.setattr(pd.DataFrame, 'to_parquet', full)
    with pytest.raises(OSError, match='No space left'): fetch(cds)
    assert [name for name in kept(cache) if 'parquet' in name] == []

@pytest.mark.parametrize('url', ['{}/gone.zip', 'http://127.0.0.1:9/CDNOW_master.zip'], ids=['404', 'offline'])
def test_offline_is_one_sentence_with_the_address_and_the_way_round(cds, publisher, cache, url):
    url = url.format(publisher.url)
    with pytest.raises(DataError) as failure: fetch(replace(cds, url=url))
    said = str(failure.value)
    assert url in said and 'ULV_DATA' in said and '\n' not in said and kept(cache) == []

def test_a_folder_of_ones_own_takes_the_place_of_fetching(cds, publisher, cache, tmp_path, monkeypatch):
    own = tmp_path/'own'; own.mkdir(); monkeypatch.setenv('ULV_DATA', str(own))
    with pytest.raises(DataError, match="neither cdnow_full.parquet nor CDNOW_master.zip is in"): fetch(cds)
    (own/'CDNOW_master.zip').write_bytes(publisher.files['CDNOW_master.zip'])
    assert len(pd.read_parquet(fetch(cds))) == 3 and publisher.asked == [] and os.listdir(own) == ['CDNOW_master.zip']

def test_the_cache_of_the_system(monkeypatch):
    for name in ('ULV_CACHE', 'XDG_CACHE_HOME'): monkeypatch.delenv(name, raising=False)
    for system, place in (('linux', '.cache'), ('darwin', 'Library/Caches')):
        monkeypatch.setattr(download.sys, 'platform', system)
        assert download.cache_folder() == Path.home()/place/'ulv_jax'
    monkeypatch.setenv('XDG_CACHE_HOME', '/var/c'); monkeypatch.setattr(download.sys, 'platform', 'linux')
    assert download.cache_folder() == Path('/var/c/ulv_jax')
