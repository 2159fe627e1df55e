"A CSV as a German office writes it, from the shell: semicolons, decimal commas, the day before the month."
import gzip, json
from pathlib import Path
import numpy as np
import pandas as pd
import pytest

RNG = np.random.default_rng(0)
RATE = RNG.gamma(1., 8., 120).astype(int) + 1
PLAIN = pd.DataFrame({'Kunde': np.repeat(np.arange(120), RATE), 'Tag': pd.Timestamp('2024-01-01') + pd.to_timedelta(RNG.integers(0, 365, RATE.sum()), 'D'), 'Betrag': (RNG.gamma(2, 400, RATE.sum())).round(2)})
GERMAN = PLAIN.assign(Tag=PLAIN['Tag'].dt.strftime('%d.%m.%Y'), Betrag=PLAIN['Betrag'].map(lambda v: f'{v:,.2f}'.translate(str.maketrans(',.', '.,'))))
NAMES = '--user-col Kunde --time-col Tag --value-col Betrag'.split()
WRITTEN = ['--sep', ';', '--decimal', ',', '--date-format', '%d.%m.%Y']

def ulv(*args, code=0):
    from typer.testing import CliRunner
    from ulv_jax.cli import app
    done = CliRunner().invoke(app, [*map(str, args)])
    assert done.exit_code == code and 'Traceback' not in done.stderr, done.output + repr(done.exception)
    if code == 2: assert done.stderr.startswith('ulv: ') and done.stderr.count('\n') == 1, done.stderr
    return done.stdout if code == 0 else done.stderr

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    d = tmp_path_factory.mktemp('office')
    PLAIN.to_csv(d/'plain.csv', index=False)
    (d/'german.csv.gz').write_bytes(gzip.compress(GERMAN.to_csv(index=False, sep=';').encode()))
    assert GERMAN['Betrag'].str.contains(r'\.').any()   # thousands are parted
    return d

def test_the_same_forecast_as_of_the_plain_file(place):
    fit = lambda file, out, *how: ulv('fit', place/file, *NAMES, *how, '--horizon', '60D', '--model', 'persistence_rate', '--anyway', '--out', place/out)
    predict = lambda file, bundle, out, *how: (ulv('predict', place/file, '--bundle', place/bundle, '--out', place/out, *how), pd.read_parquet(place/out))[1]
    fit('plain.csv', 'plain'), fit('german.csv.gz', 'german', *WRITTEN)
    expected = predict('plain.csv', 'plain', 'plain.parquet')
    pd.testing.assert_frame_equal(predict('german.csv.gz', 'german', 'german.parquet'), expected)   # nothing is said again
    assert predict('german.csv.gz', 'german', 'parts')['ulv'].tolist() == expected['ulv'].tolist()
    pd.testing.assert_frame_equal(predict('german.csv.gz', 'plain', 'other.parquet', *WRITTEN), expected)   # fitted on a file of another form
    PLAIN.to_parquet(place/'plain-log.parquet')   # dates are dates and numbers are numbers: nothing to be told
    pd.testing.assert_frame_equal(predict('plain-log.parquet', 'german', 'typed.parquet'), expected)
    assert json.loads((place/'german'/'bundle.json').read_text())['columns']['date_format'] == '%d.%m.%Y'

def test_a_backtest_and_the_quality_read_it_too(place):
    for file, how in (('plain.csv', ()), ('german.csv.gz', WRITTEN)):
        ulv('backtest', place/file, *NAMES, *how, '--cutoff', '2024-10-01', '--horizon', '60D', '--models', 'persistence_rate', '--quiet', '--out', place/file.split('.')[0]/'test')
        assert f'Of {len(PLAIN):,} rows' in ulv('quality', place/file, *NAMES, *how)
    pd.testing.assert_frame_equal(*(pd.read_parquet(place/name/'test'/'predictions.parquet') for name in ('plain', 'german')))

def test_rows_that_do_not_fit_are_set_aside(place):
    log = GERMAN.copy(); log.loc[[3, 5], 'Tag'] = ['2024-05-06', '31.02.2024']; log.loc[7, 'Tag'] = None
    log.to_csv(place/'odd.csv', index=False, sep=';')
    said = ulv('backtest', place/'odd.csv', *NAMES, *WRITTEN, '--cutoff', '2024-10-01', '--horizon', '60D', '--models', 'mean', '--quiet', '--out', place/'odd')
    assert 'rows set aside at reading 3 (time not as the format 2, no time 1)' in said
    aside = pd.read_parquet(place/'odd'/'quarantine.parquet').sort_values('time_text')
    assert aside['time_text'].dropna().tolist() == ['2024-05-06', '31.02.2024'] and aside['reason'].tolist() == ['time not as the format']*2 + ['no time']
    assert {r['rule']: r['rows'] for r in json.loads((place/'odd'/'quality.json').read_text())}['time not as the format'] == 2

WRONG = {
    'nothing said': ([], ['--decimal ,']),
    'no format': (WRITTEN[:4], ["are not dates, first", '--date-format']),
    'no decimal comma': ([*WRITTEN[:2], *WRITTEN[4:]], ["column 'Betrag'", '--decimal ,']),
    'the other decimal sign': ([*WRITTEN, '--decimal', '.'], ["with '.' as the decimal sign", 'first ']),
    'another sign between the columns': ([*WRITTEN, '--sep', '|'], ['read as one column', "--sep ';'"]),
    'two signs between the columns': ([*WRITTEN, '--sep', ';;'], ['one character']),
    'no decimal sign': ([*WRITTEN, '--decimal', ';'], ["should be ',' or '.'"]),
    'another format': ([*WRITTEN, '--date-format', '%Y-%m-%d'], ["is written as '%Y-%m-%d'", 'first ']),
    'a format in words': ([*WRITTEN, '--date-format', 'TT.MM.JJJJ'], ['lacks a year', "'%d.%m.%Y'"]),
    'a sign that is none': ([*WRITTEN, '--date-format', '%d.%m.%Y %Q'], ['cannot be understood']),
}

@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_is_one_sentence(case, place):
    how, words = WRONG[case]
    early = GERMAN[GERMAN['Tag'].str[:2].astype(int) <= 12]   # nothing settles which number is the month
    early.to_csv(place/'early.csv', index=False, sep=';')
    said = ulv('fit', place/'early.csv', *NAMES, *how, '--horizon', '60D', '--model', 'mean', '--out', place/'none', code=2)
    for word in words: assert word in said, said
    assert not Path(place, 'none').exists()

def test_a_format_with_day_and_month_exchanged_is_refused(place):
    GERMAN.to_csv(place/'year.csv', index=False, sep=';')
    said = ulv('fit', place/'year.csv', *NAMES, *WRITTEN[:4], '--date-format', '%m.%d.%Y', '--horizon', '60D', '--model', 'mean', '--out', place/'none', code=2)
    odd = (GERMAN['Tag'].str[:2].astype(int) > 12).sum()
    assert f"{odd} of {len(GERMAN)} dates in column 'Tag' are not written as '%m.%d.%Y'" in said and f"as '%d.%m.%Y', {len(GERMAN)} of them are dates: say that" in said
    assert len(set(said.split('first ')[1].split(':')[0].split(', '))) == 3 and not (place/'none').exists()

def test_the_quality_names_a_date_that_does_not_fit(place):
    log = GERMAN.copy(); log.loc[3, 'Tag'] = '31.02.2024'
    log.to_csv(place/'february.csv', index=False, sep=';')
    said = ulv('quality', place/'february.csv', *NAMES, *WRITTEN, '--out', place/'february')
    assert 'time not as the format: 1 rows' in said and 'set aside before' not in said
    assert pd.read_parquet(place/'february'/'quarantine.parquet')['time_text'].tolist() == ['31.02.2024']

WORDS = {3: 'k.A.', 5: '-', 9: '12,50 EUR??', 11: 'k.A.'}

def test_amounts_that_are_no_numbers_are_set_aside(place):
    words = PLAIN.assign(Betrag=[WORDS.get(i, str(v)) for i, v in enumerate(PLAIN['Betrag'])])
    words.to_csv(place/'words.csv', index=False)
    words.to_parquet(place/'words.parquet')
    GERMAN.assign(Betrag=words['Betrag'].where(words.index.isin(WORDS), GERMAN['Betrag'])).to_csv(place/'worte.csv', index=False, sep=';')
    PLAIN.drop(index=[*WORDS]).to_csv(place/'without.csv', index=False)
    run = lambda file, *how: ulv('backtest', place/file, *NAMES, *how, '--cutoff', '2024-10-01', '--horizon', '60D', '--models', 'persistence_rate', '--quiet', '--out', place/f'{file}-out')
    run('without.csv')
    for file, how in (('words.csv', ()), ('words.parquet', ()), ('worte.csv', WRITTEN), ('words.csv', ['--clean'])):
        assert 'rows set aside 4 (amount is no number 4)' in (said := run(file, *how)).replace(' at reading', ''), said
        aside = pd.read_parquet(place/f'{file}-out'/'quarantine.parquet')
        assert sorted(aside['amount_text']) == sorted(WORDS.values()) and aside['value'].isna().all() and set(aside['reason']) == {'amount is no number'}
        told = {r['rule']: r for r in json.loads((place/f'{file}-out'/'quality.json').read_text())}['amount is no number']
        assert told['rows'] == 4 and 'k.A.' in told['examples']
        pd.testing.assert_frame_equal(*(pd.read_parquet(place/f'{name}-out'/'predictions.parquet') for name in ('without.csv', file)))   # as if the rows were not there
    assert 'amount is no number: 4 rows' in ulv('quality', place/'words.csv', *NAMES)

def test_a_bundle_reads_words_among_amounts_of_another_month(place):
    ulv('fit', place/'plain.csv', *NAMES, '--horizon', '60D', '--model', 'persistence_rate', '--anyway', '--out', place/'month')
    PLAIN.assign(Betrag=[WORDS.get(i, str(v)) for i, v in enumerate(PLAIN['Betrag'])]).to_csv(place/'later.csv', index=False)
    for out in ('later.parquet', 'later-parts'): assert 'amount is no number 4' in ulv('predict', place/'later.csv', '--bundle', place/'month', '--out', place/out)

def test_more_words_than_a_twentieth_are_refused(place):
    many = PLAIN.assign(Betrag=['k.A.' if i % 19 == 0 else str(v) for i, v in enumerate(PLAIN['Betrag'])])
    many.to_csv(place/'many.csv', index=False)
    n = (many['Betrag'] == 'k.A.').sum()
    said = ulv('fit', place/'many.csv', *NAMES, '--horizon', '60D', '--model', 'mean', '--out', place/'none', code=2)
    assert f"{n} of {len(many)} values in column 'Betrag' are no numbers, first 'k.A.': that is {100*n/len(many):.3g} % of the amounts, and no more than 5 % are set aside" in said
    PLAIN.assign(Betrag=[f'{v:,.2f}' for v in PLAIN['Betrag'].where(PLAIN.index % 50 == 0, 9.5)]).to_csv(place/'large.csv', index=False)   # only large amounts have thousands
    assert 'say that the point is the decimal sign, with --decimal .' in ulv('fit', place/'large.csv', *NAMES, '--horizon', '60D', '--model', 'mean', '--out', place/'none', code=2) and not (place/'none').exists()

OFFICE = {'euro.csv': lambda v: f'{v} €', 'behind.csv': lambda v: f'{v[1:]}-' if v[0] == '-' else v, 'typeset.csv': lambda v: v.replace('-', '\u2212').replace('.', '\u00a0')}

@pytest.mark.parametrize('file', OFFICE)
def test_what_offices_put_around_an_amount_is_read(file, place):
    back = GERMAN.assign(Betrag=['-' + v if i % 50 == 7 else v for i, v in enumerate(GERMAN['Betrag'])])
    back.assign(Betrag=back['Betrag'].map(OFFICE[file])).to_csv(place/file, index=False, sep=';')
    back.to_csv(place/'back.csv', index=False, sep=';')
    assert ulv('quality', place/file, *NAMES, *WRITTEN) == ulv('quality', place/'back.csv', *NAMES, *WRITTEN)

@pytest.mark.parametrize('code', ['cp1252', 'utf-16'])
def test_another_encoding_is_named(code, place):
    GERMAN.assign(Kunde='Müller-' + GERMAN['Kunde'].astype(str)).to_csv(place/'letters.csv', index=False, sep=';', encoding=code)
    said = ulv('quality', place/'letters.csv', *NAMES, *WRITTEN, code=2)
    assert 'is not UTF-8' in said and "'CSV UTF-8'" in said and code in said

@pytest.mark.parametrize('command', ['quality', 'fit', 'backtest', 'predict'])
def test_how_a_csv_is_written_is_no_word_on_parquet(command, place):
    PLAIN.to_parquet(place/'typed-log.parquet')
    if command == 'predict' and not (place/'typed').exists(): ulv('fit', place/'typed-log.parquet', *NAMES, '--horizon', '60D', '--model', 'mean', '--out', place/'typed')
    more = {'quality': NAMES, 'fit': [*NAMES, '--horizon', '60D', '--out', place/'x'], 'backtest': [*NAMES, '--cutoff', '2024-10-01', '--horizon', '60D', '--out', place/'x'], 'predict': ['--bundle', place/'typed', '--out', place/'x.csv']}[command]
    for option in (['--sep', ';'], ['--decimal', ','], ['--date-format', '%d.%m.%Y']):
        assert f"{option[0]} '{option[1]}' would change nothing: the log is Parquet" in ulv(command, place/'typed-log.parquet', *more, *option, code=2)
