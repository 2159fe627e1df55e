"The package as a stranger gets it: built, installed alone into an empty environment, every module imported."
import json, os, subprocess, sys, venv
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.release
MODULES = sorted('.'.join(p.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for p in (ROOT/'ulv_jax').rglob('*.py'))
IMPORT_ALL = 'import importlib, json, sys; [importlib.import_module(m) for m in json.loads(sys.argv[1])]; import ulv_jax; print(ulv_jax.__file__)'
IMPORT_TIMED = 'import sys, time; t = time.perf_counter(); import ulv_jax; print(time.perf_counter() - t, *sys.modules)'

def run(*command, cwd):
    "Output of a command that must succeed, run where the repository cannot be imported by accident."
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "Folder with the sdist, and the wheel made from that sdist."
    folder = tmp_path_factory.mktemp('dist')
    run(sys.executable, '-m', 'build', '--outdir', folder, ROOT, cwd=folder)
    return folder

@pytest.fixture(scope='module')
def empty(built, tmp_path_factory):
    "Python of a new environment that holds the wheel and its requirements: no extras, no development tools."
    folder = tmp_path_factory.mktemp('empty')
    venv.create(folder/'venv', with_pip=True)
    python = folder/'venv'/'bin'/'python'
    run(python, '-m', 'pip', 'install', '--quiet', next(built.glob('*.whl')), cwd=folder)
    return python

def test_wheel_and_sdist_build(built):
    assert [p.suffix for p in sorted(built.iterdir())] == ['.whl', '.gz']

def test_wheel_carries_the_templates(empty):
    installed = Path(run(empty, '-c', 'import ulv_jax; print(ulv_jax.__path__[0])', cwd=empty.parent).strip())
    templates = sorted(p.name for p in (ROOT/'ulv_jax'/'templates').glob('*.ipynb'))
    assert sorted(p.name for p in (installed/'templates').glob('*.ipynb')) == templates

def test_every_module_imports_alone(empty):
    where = run(empty, '-c', IMPORT_ALL, json.dumps(MODULES), cwd=empty.parent)
    assert str(empty.parent.parent) in where          # the installed one, not this checkout

def test_requirements_agree(empty):
    run(empty, '-m', 'pip', 'check', cwd=empty.parent)

def test_command_line_starts(empty):
    assert 'backtest' in run(empty.parent/'ulv', '--help', cwd=empty.parent)

def test_import_is_light(empty, capsys):
    "`import ulv_jax` brings neither jax nor pandas; its time is printed, best of five."
    runs = [run(empty, '-c', IMPORT_TIMED, cwd=empty.parent).split() for _ in range(5)]
    assert {'jax', 'pandas', 'numpy'}.isdisjoint(runs[0])
    with capsys.disabled(): print(f'\nimport ulv_jax: {min(float(r[0]) for r in runs)*1000:.1f} ms, best of five')

def test_sdist_has_what_a_packager_needs(built):
    import tarfile
    with tarfile.open(next(built.glob('*.tar.gz'))) as archive: names = {n.split('/', 1)[-1] for n in archive.getnames()}
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'LICENSE', 'README.md'} <= names
