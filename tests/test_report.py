"The report is one file that a browser opens without a network, and a hostile name in the log stays text."
import re, subprocess, sys
from pathlib import Path
import numpy as np
import pandas as pd
import pytest

ULV = Path(sys.executable).parent/'ulv'
HOSTILE = '<script>document.title="taken"</script>'

@pytest.fixture(scope='module')
def report(tmp_path_factory):
    "Report of a real run of the command on a log whose best customer has a name made of markup."
    folder = tmp_path_factory.mktemp('report')
    rng = np.random.default_rng(0)
    n = 3000
    log = pd.DataFrame({'customer': [f'c{i}' for i in rng.integers(0, 150, n)], 'when': pd.Timestamp('2023-01-01') + pd.to_timedelta(rng.integers(0, 365, n), 'D'), 'paid': rng.gamma(2, 10, n).round(2)})
    rich = pd.DataFrame({'customer': HOSTILE, 'when': pd.date_range('2023-01-01', '2023-12-31', freq='3D'), 'paid': 900.})
    pd.concat([log, rich]).to_parquet(folder/'log.parquet')
    done = subprocess.run([ULV, 'backtest', folder/'log.parquet', '--user-col', 'customer', '--time-col', 'when', '--value-col', 'paid', '--cutoff', '2023-09-01', '--horizon', '60D',
                           '--models', 'mean,persistence_rate', '--quiet', '--out', folder/'out'], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return folder/'out'/'report.html'

def test_report_opens_without_a_network(report, page):
    asked = []
    page.on('request', lambda r: asked.append(r.url))
    page.goto(report.as_uri(), wait_until='load')
    assert [url for url in asked if not url.startswith(('file:', 'data:'))] == [] and page.errors == []
    text = page.inner_text('body').lower()
    assert all(word in text for word in ('verdict', 'leaderboard', 'is the level right', 'top customers', 'persistence_rate'))
    sizes = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(sizes) >= 3 and min(sizes) > 100

def test_a_hostile_name_stays_text(report, page):
    page.goto(report.as_uri(), wait_until='load')
    assert page.title() != 'taken' and HOSTILE in page.inner_text('body')

def test_report_names_no_folder_of_the_machine_that_made_it(report):
    assert not re.search(r'/(?:home|root|tmp|work|Users)/[\w.-]+', re.sub(r'base64,[\w+/=]+', '', report.read_text()))

def test_report_says_what_a_fit_says_against_itself(tmp_path):
    from ulv_jax.data.events import read_events
    from ulv_jax.evaluation.backtest import backtest, write_backtest
    from ulv_jax.evaluation.report import write_report
    rng = np.random.default_rng(1)   # nobody leaves this shop: dropout cannot be told
    days = [(u, d) for u in range(150) for d in rng.uniform(0, 20) + np.cumsum(rng.exponential(rng.gamma(4, 6), 60)) if d < 365]
    log = pd.DataFrame(days, columns=['user_id', 'day']).assign(timestamp=lambda t: pd.Timestamp('2024-01-01') + pd.to_timedelta(t['day'], 'D'), value=10.)
    result = backtest(read_events(log), '2024-10-01', '60D', ('mean', 'pareto_nbd'), progress=False)
    assert result.run['reasons']['pareto_nbd'][0] == 'all are equally likely to leave'
    write_backtest(result, tmp_path)
    assert 'was fitted, but all are equally likely to leave' in re.sub('<[^>]+>', '', write_report(tmp_path).read_text())
