"What the command line says of a log before it uses it: where it ends, whether there is enough in it, and how clean it is."
import json, subprocess, sys
from pathlib import Path
import numpy as np
import pandas as pd
import pytest

def shop(n=300, days=540, seed=0):
    "Customers who come every 30 days or so."
    rng = np.random.default_rng(seed)
    rows = [(f'C{u:03}', day) for u in range(n) for day in rng.uniform(0, days - 90) + np.append(0, np.cumsum(rng.exponential(30, 60))) if day < days]
    log = pd.DataFrame(rows, columns=['user_id', 'day'])
    return log.assign(timestamp=(pd.Timestamp('2024-01-01') + pd.to_timedelta(log['day'], 'D')).dt.floor('s'), value=rng.gamma(3, 15, len(log)).round(2)).drop(columns='day')

LOG = shop()
END = LOG['timestamp'].max().normalize() + pd.Timedelta(days=1)

def ulv(*args, code=0):
    "The command as it runs in a terminal; all in one process, since each imports JAX."
    from typer.testing import CliRunner
    from ulv_jax.cli import app
    done = CliRunner().invoke(app, [*map(str, args)])
    assert done.exit_code == code and 'Traceback' not in done.stderr, done.output + repr(done.exception)
    if code == 2: assert done.stderr.startswith('ulv: ') and done.stderr.count('\n') == 1, done.stderr
    return done.stdout if code == 0 else done.stderr

def fit(log, out, *options, model='prior', code=0): return ulv('fit', log, '--horizon', '91D', '--model', model, '--out', out, *options, code=code)

def wrong_in_one_row(**changes):
    log = LOG.copy()
    log.loc[0, list(changes)] = list(changes.values())
    return log

def test_a_log_whose_end_is_not_to_be_believed(tmp_path):
    "One row of the year 2031, or of long after the rest: no cutoff, no forecast; with a cutoff it is the forecast without that row."
    good, future = tmp_path/'good.parquet', tmp_path/'future.parquet'
    LOG.iloc[1:].to_parquet(good), wrong_in_one_row(timestamp=pd.Timestamp('2131-05-05')).to_parquet(future)
    fit(good, tmp_path/'b')
    for code_of in (lambda: fit(future, tmp_path/'none', code=2), lambda: fit(future, tmp_path/'none', model='lightgbm', code=2),
                    lambda: ulv('predict', future, '--bundle', tmp_path/'b', '--out', tmp_path/'none.csv', code=2), lambda: ulv('predict', future, '--bundle', tmp_path/'b', '--out', tmp_path/'none', code=2)):
        said = code_of()
        for words in ("1 row of 2131-05-05 (user 'C000')", 'future', f'the others end on {END - pd.Timedelta(days=1):%Y-%m-%d}', f'--cutoff {END:%Y-%m-%d}', '--clean'): assert words in said, said
    assert not list(tmp_path.glob('none*'))
    for log in (good, future): ulv('predict', log, '--bundle', tmp_path/'b', '--cutoff', f'{END:%Y-%m-%d}', '--out', tmp_path/f'{log.stem}.csv')
    pd.testing.assert_frame_equal(*(pd.read_csv(tmp_path/f'{name}.csv') for name in ('good', 'future')))

def test_a_row_far_from_the_rest(tmp_path):
    wrong_in_one_row(timestamp=pd.Timestamp('2025-12-24')).to_parquet(tmp_path/'log.parquet')
    said = fit(tmp_path/'log.parquet', tmp_path/'b', code=2)
    assert "1 row of 2025-12-24 (user 'C000') stands apart, behind a long gap" in said and '--clean' not in said and not (tmp_path/'b').exists()
    real = subprocess.run([Path(sys.executable).parent/'ulv', 'fit', tmp_path/'log.parquet', '--horizon', '91D', '--model', 'prior', '--out', tmp_path/'b'], capture_output=True, text=True)
    assert (real.returncode, real.stderr) == (2, said)   # in a process of its own, too
    fit(tmp_path/'log.parquet', tmp_path/'b', '--cutoff', f'{END:%Y-%m-%d}')

def test_too_little_to_learn_from(tmp_path):
    "Refused with the reason, unless one insists; the prior is not; the bundle remembers it, and so does every forecast."
    log = tmp_path/'log.parquet'
    shop(40).to_parquet(log)
    said = fit(log, tmp_path/'b', model='lightgbm', code=2)
    for words in ("not enough in this log for 'lightgbm' to learn to forecast 91 days", 'buyers: 40 customers', '--model prior', '--anyway'): assert words in said, said
    assert not (tmp_path/'b').exists()
    for name, options in (('prior', ()), ('lightgbm', ('--anyway',))):
        told = fit(log, tmp_path/name, *options, model=name)
        assert 'There is NOT enough in this log' in told and '  fail  buyers: 40 customers; ' in told
    assert json.loads((tmp_path/'prior'/'bundle.json').read_text())['sufficiency']['verdict'] == 'fail'
    many = tmp_path/'many.parquet'
    LOG.to_parquet(many)
    for out in ('f.csv', 'parts'):
        told = ulv('predict', many, '--bundle', tmp_path/'prior', '--out', tmp_path/out)
        assert 'When the model was fitted: There is NOT enough' in told and told.count('  fail  buyers: 40 customers; ') == 1
        assert ('There is just enough in this log' in told) == (out == 'f.csv'), told
    told = ulv('backtest', log, '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--quiet', '--out', tmp_path/'t')
    assert 'There is NOT enough in this log to forecast 91 days from 2025-03-01' in told and (tmp_path/'t'/'leaderboard.json').exists()
    told = ulv('backtest', log, '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--origins', '2', '--quiet', '--out', tmp_path/'t2')
    assert [line.split(' from ')[1][:10] for line in told.splitlines() if 'NOT enough' in line] == ['2025-03-01', '2024-11-30']

def test_enough_is_one_line(tmp_path):
    shop(1200).to_parquet(tmp_path/'log.parquet')
    told = fit(tmp_path/'log.parquet', tmp_path/'b', model='persistence_rate')
    assert told.count('There is enough in this log') == 1 and 'Too little, though, for: purchase models (who looks gone).' in told and 'fail' not in told

def dirty():
    "Half of the rows of every customer have a space behind the id, and 41 rows have none."
    log = LOG.copy()
    log.loc[::2, 'user_id'] += ' '
    log.loc[:40, 'user_id'] = None
    return log

def test_a_log_that_was_cleaned_is_cleaned_again(tmp_path):
    log = tmp_path/'log.parquet'
    dirty().to_parquet(log)
    said = f'Quality: rows set aside at reading 41 (no user 41); --clean would repair {dirty()["user_id"].str.endswith(" ").sum():,} (spaces around the user '
    raw, clean = fit(log, tmp_path/'raw'), fit(log, tmp_path/'clean', '--clean')
    assert said in raw and 'Quality: cleaned; rows set aside 41 (no user 41), repaired' in clean, raw + clean
    def customers(name, out, *options):
        told = ulv('predict', log, '--bundle', tmp_path/name, '--out', tmp_path/out, *options)
        return int(told.splitlines()[-1].split()[0]), told
    n, twice = customers('clean', 'f.csv')[0], customers('raw', 'r.csv')[0]
    assert n <= 300 < twice and customers('clean', 'f')[0] == n and customers('raw', 'r', '--clean')[0] == n
    assert 'was cleaned, and this one is not cleaned' in customers('clean', 'u.csv', '--no-clean')[1]
    assert f'{len(dirty()):,} rows' in ulv('quality', log, '--out', tmp_path/'q') and (tmp_path/'q'/'quality.html').exists()
    backtest = lambda *options: ulv('backtest', log, '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--quiet', '--out', tmp_path/'t', *options)
    assert said in backtest() and 'Quality: cleaned' in backtest('--clean')
    assert len(pd.read_parquet(tmp_path/'t'/'predictions.parquet')) <= 300

def test_a_bundle_written_in_python_says_that_its_log_was_cleaned(tmp_path):
    from ulv_jax.data.columns import Columns
    from ulv_jax.data.events import read_events
    from ulv_jax.data.quality import clean, quality_report
    from ulv_jax.data.rules import Limits
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    from ulv_jax.models.base import make_forecaster
    from ulv_jax.serving.bundle import end_of_log, write_bundle
    log = tmp_path/'log.parquet'
    dirty().to_parquet(log)
    events = read_events(log)
    usual, own = clean(events), clean(events, quality_report(events, limits=Limits(no_user=('C001',))))
    model = make_forecaster('persistence_rate').fit(training_snapshots(usual, end_of_log(usual), '91D'))
    for name, cleaned in (('usual', usual), ('own', own)): write_bundle(model, Columns(), cleaned, tmp_path/name, cutoff=end_of_log(usual))
    told = ulv('predict', log, '--bundle', tmp_path/'usual', '--out', tmp_path/'f.csv')
    expected = model.predict(snapshot(usual, end_of_log(usual), '91D', labels=False))
    assert told.splitlines()[-1].startswith(f'{len(expected)} customers')
    np.testing.assert_allclose(pd.read_csv(tmp_path/'f.csv')['ulv'], expected['ulv'])
    said = ulv('predict', log, '--bundle', tmp_path/'own', '--out', tmp_path/'o.csv', code=2)
    assert 'cleaned by rules of its own' in said and '--no-clean' in said and not (tmp_path/'o.csv').exists()

def test_users_without_a_forecast_are_counted(tmp_path):
    views = pd.DataFrame({'user_id': [f'V{u}' for u in range(170)], 'timestamp': END - pd.Timedelta(days=9), 'event': 'view'})
    pd.concat([LOG.assign(event='purchase'), views]).to_parquet(tmp_path/'log.parquet')
    fit(tmp_path/'log.parquet', tmp_path/'b', '--event-col', 'event')
    for out in ('f.csv', 'parts'): assert '170 users never bought before the cutoff and have no forecast' in ulv('predict', tmp_path/'log.parquet', '--bundle', tmp_path/'b', '--out', tmp_path/out)
    assert 'never bought' not in ulv('predict', tmp_path/'log.parquet', '--bundle', tmp_path/'b', '--out', tmp_path/'g.csv', '--cutoff', f'{END - pd.Timedelta(days=10):%Y-%m-%d}')

def test_several_origins_keep_the_checks(tmp_path):
    log, out = tmp_path/'log.parquet', tmp_path/'t'
    dirty().to_parquet(log)
    ulv('backtest', log, '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--origins', '2', '--quiet', '--out', out)
    told = json.loads((out/'sufficiency.json').read_text())
    assert told['cutoff'][:10] == '2025-03-01' and [t['cutoff'][:10] for t in told['earlier']] == ['2024-11-30']
    assert {r['rule']: r['rows'] for r in json.loads((out/'quality.json').read_text())}['no user'] == len(pd.read_parquet(out/'quarantine.parquet')) == 41
    said = ulv('report', out, code=2)
    assert 'several origins' in said and 'verdict.txt' in said and 'leaderboard.json is missing' not in said

def test_a_cutoff_is_year_month_day(tmp_path):
    log = tmp_path/'log.parquet'
    LOG.to_parquet(log)
    for cutoff in ('01.03.2025', '13.03.2025', '3/1/2025'):
        assert f"the cutoff '{cutoff}' is not a date as year-month-day" in ulv('backtest', log, '--cutoff', cutoff, '--horizon', '91D', '--models', 'mean', '--quiet', '--out', tmp_path/'t', code=2)
    assert 'judged at the cutoff 2025-03-01 00:00:00, over 91 days' in ulv('backtest', log, '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--quiet', '--out', tmp_path/'t')

def test_rows_set_aside_go_with_their_run(tmp_path):
    "A second run into the same folder leaves nothing of the first."
    dirty().to_parquet(tmp_path/'dirty.parquet'); LOG.to_parquet(tmp_path/'log.parquet')
    how = ('--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'mean', '--quiet', '--out', tmp_path/'t')
    for origins in ('1', '2'):
        ulv('backtest', tmp_path/'dirty.parquet', *how, '--origins', origins)
        assert (tmp_path/'t'/'quarantine.parquet').exists()
        ulv('backtest', tmp_path/'log.parquet', *how, '--origins', origins)
        assert not (tmp_path/'t'/'quarantine.parquet').exists()

PLANS = pd.DataFrame({'user_id': sorted(set(LOG['user_id'])), 'plan': ['gold', 'free', 'none']*100, 'age': np.arange(300) % 60 + 20.})

def test_what_is_known_of_users_is_given_in_a_file(tmp_path):
    "The forecast is that of the same table in Python; the bundle knows that there was one, and holds no row of it."
    from ulv_jax.data.events import read_events
    from ulv_jax.data.snapshots import snapshot, training_snapshots
    from ulv_jax.models.base import make_forecaster
    log, rich = LOG.rename(columns={'user_id': 'Kunde'}), LOG['user_id'].map(PLANS.set_index('user_id')['plan'].eq('gold') * 4. + 1)
    log.assign(value=log['value'] * rich).to_parquet(tmp_path/'log.parquet')
    PLANS.rename(columns={'user_id': 'Kunde'}).iloc[10:].to_csv(tmp_path/'users.csv', index=False), PLANS.iloc[10:].to_parquet(tmp_path/'users.parquet')
    told = ['--user-col', 'Kunde', '--attributes', tmp_path/'users.csv']
    assert 'Attributes of 290 of 300 users of the log: plan, age.' in fit(tmp_path/'log.parquet', tmp_path/'b', *told, '--anyway', model='lightgbm')
    events = read_events(tmp_path/'log.parquet', user_col='Kunde', attributes=PLANS.iloc[10:])
    model, now = make_forecaster('lightgbm').fit(training_snapshots(events, END, '91D')), snapshot(events, END, '91D', labels=False)
    assert {'plan', 'age'} <= set(now.attributes) and now.attributes['plan'].isna().sum() == 10
    expected = model.predict(now)
    predict = lambda out, *options, code=0: ulv('predict', tmp_path/'log.parquet', '--bundle', tmp_path/'b', '--cutoff', f'{END:%Y-%m-%d}', '--out', tmp_path/out, *options, code=code)
    for name in ('users.csv', 'users.parquet'):   # the user by the log's name, and by the library's
        assert 'Attributes of 290 of 300' in predict('f.parquet', '--attributes', tmp_path/name)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path/'f.parquet'), expected, check_index_type=False)
    predict('parts', '--attributes', tmp_path/'users.csv')
    np.testing.assert_allclose(pd.read_parquet(tmp_path/'parts')['ulv'].sort_index(), expected['ulv'].sort_index(), rtol=1e-5)
    for out in ('none.csv', 'none'): assert "learnt from attributes that this log has not: 'plan', 'age'; give their table with --attributes" in predict(out, code=2)
    assert not any(word in file.read_text(errors='ignore') for file in (tmp_path/'b').rglob('*.json') for word in ('C250', 'users.csv'))
    backtest = lambda *options: (ulv('backtest', tmp_path/'log.parquet', '--user-col', 'Kunde', '--cutoff', '2025-03-01', '--horizon', '91D', '--models', 'lightgbm', '--quiet', '--out', tmp_path/'t', *options), pd.read_parquet(tmp_path/'t'/'predictions.parquet')['ulv'])
    (said, with_plan), (_, without) = backtest('--attributes', tmp_path/'users.csv'), backtest()
    assert 'Attributes of 290 of 300' in said and len(with_plan) == len(without) and (with_plan != without).any()

@pytest.mark.parametrize('table, words', [(PLANS.rename(columns={'user_id': 'member'}), "has no column 'user_id', as the user is called in the log: its columns are 'member', 'plan', 'age'"),
                                          (pd.concat([PLANS, PLANS.head(2)]), "2 users stand more than once in --attributes"), (PLANS.assign(user_id=range(300)), 'users are numbers in the table of attributes'),
                                          (PLANS.assign(user_id='X' + PLANS['user_id']), 'none of the 300 users of the log stands in the table of attributes')])
def test_a_table_of_users_that_cannot_be_used(table, words, tmp_path):
    LOG.to_parquet(tmp_path/'log.parquet')
    table.to_csv(tmp_path/'users.csv', index=False)
    assert words in fit(tmp_path/'log.parquet', tmp_path/'b', '--attributes', tmp_path/'users.csv', code=2) and not (tmp_path/'b').exists()
