"What several tests need: a browser, a server for files on loopback, and a small shop."
import shutil, sys, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']

@pytest.fixture(autouse=True, scope='module')
def programs_go():
    "The programs that a module compiled go with it: those of all modules would need more memory maps than a process is given, and the compiler would crash."
    yield
    if 'jax' in sys.modules: sys.modules['jax'].clear_caches()

@pytest.fixture(scope='session')
def browser():
    "Headless Chromium of the system, driven by Playwright."
    if CHROMIUM is None: pytest.skip('browser test: there is no Chromium here (Debian: apt-get install chromium)')
    playwright = pytest.importorskip('playwright.sync_api', reason='browser test: pip install playwright')
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()

@pytest.fixture
def page(browser):
    "A fresh page that keeps its console errors in `page.errors`."
    page = browser.new_page(viewport=dict(width=1280, height=900))
    page.errors = []
    page.on('console', lambda m: m.type == 'error' and page.errors.append(m.text))
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    yield page
    page.close()

class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

@pytest.fixture(scope='session')
def serve():
    "Function that serves a folder on loopback and returns its address."
    servers = []
    def start(folder):
        server = ThreadingHTTPServer(('127.0.0.1', 0), partial(QuietHandler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f'http://127.0.0.1:{server.server_port}'
    yield start
    for server in servers: server.shutdown()

@pytest.fixture(scope='session')
def shop():
    "150 users who buy at a steady pace, the slower the dearer: two training snapshots, and the one to forecast."
    import numpy as np, pandas as pd
    from ulv_jax.data.events import read_events
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    rng = np.random.default_rng(0)
    rows = [(u, day, 8 + g/4) for u, g in enumerate(rng.gamma(2., 12., 150)) for day in np.cumsum(rng.exponential(g, 60)) if day < 400]
    log = pd.DataFrame(rows, columns=['user_id', 'day', 'value'])
    events = read_events(log.assign(timestamp=pd.Timestamp('2023-01-01') + pd.to_timedelta(log['day'], 'D')).drop(columns='day'))
    return training_snapshots(events, '2024-01-01', '30D', n=2), snapshot(events, '2024-01-01', '30D')
