"""Are package, notebooks and README what the notebooks make of them? Exit code 1 and the list of files, if not.

Works on a copy, so that it changes nothing here and needs no commit to compare with.
"""
import json, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ['nbs', 'ulv_jax', 'settings.ini', 'pyproject.toml', 'setup.py', 'README.md', 'docs/readme.py']
COMPARED = ['nbs', 'ulv_jax', 'pyproject.toml', 'README.md']
IGNORED = shutil.ignore_patterns('__pycache__', '.*')
BIN = Path(sys.executable).parent
STEPS = [[BIN/'nbdev_export'], [BIN/'nbdev_clean'], [sys.executable, 'docs/readme.py']]

def copy(dest):
    "The files that the three steps read or write."
    for name in NEEDED:
        source, target = ROOT/name, dest/name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir(): shutil.copytree(source, target, ignore=IGNORED)
        elif source.exists(): shutil.copy2(source, target)

def check_readable():
    "nbdev passes over a notebook that it cannot read, or fails without saying which."
    for notebook in (ROOT/'nbs').rglob('*.ipynb'):
        try: json.loads(notebook.read_text(encoding='utf-8'))
        except ValueError as e: sys.exit(f'{notebook.relative_to(ROOT)} is not a readable notebook: {e}')

def contents(root):
    "Relative path -> bytes of every file compared."
    paths = [p for name in COMPARED for p in ([root/name] if (root/name).is_file() else (root/name).rglob('*'))]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in paths if p.is_file()}

def regenerate(dest):
    "Run the steps in the copy; stop at one that fails, or that only warns as nbdev_clean does."
    for step in STEPS:
        done = subprocess.run(step, cwd=dest, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode or 'Failed to clean' in done.stderr:
            sys.exit(f'{Path(step[-1]).name} failed:\n{done.stdout}{done.stderr}'.replace(f'{dest}/', ''))

def main():
    check_readable()
    with tempfile.TemporaryDirectory() as folder:
        dest = Path(folder).resolve()
        copy(dest)
        before = contents(dest)
        regenerate(dest)
        after = contents(dest)
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differ: sys.exit('\n  '.join(['These files are not what the notebooks make of them:', *differ]) +
                        '\nRun `make export`, look at the change and commit it. An edit made in a .py of ulv_jax is lost: make it in the notebook.')
    print(f'{len(after)} files of notebooks, package and README agree')

if __name__ == '__main__': main()
