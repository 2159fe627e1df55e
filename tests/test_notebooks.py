"What nbdev does not notice about notebooks and the modules they export."
import ast, json, re, sys
from collections import defaultdict
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT/'ulv_jax'
LAYERS = ['data', 'models', 'evaluation', 'ensemble', 'explain', 'decisions', 'serving', 'commands', 'cli']   # each imports only from those before it
NOTEBOOKS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
MODULES = sorted(p for p in LIB.rglob('*.py') if not p.name.startswith('_'))
# import names of the requirements in settings.ini
BASE = {'numpy', 'jax', 'flax', 'optax', 'jaxtyping', 'pandas', 'pyarrow', 'ibis', 'duckdb', 'sqlglot', 'safetensors', 'scipy', 'typer', 'tqdm', 'ulv_jax'}
MACHINE = re.compile(r'(?<![\w/.])/(?:home|root|tmp|work|Users)/[\w.-]+|\bat 0x[0-9a-f]{6,}')

def name(path): return path.relative_to(ROOT).as_posix()
def read(notebook): return json.loads(notebook.read_text(encoding='utf-8'))
each_notebook = pytest.mark.parametrize('notebook', NOTEBOOKS, ids=name)
each_module = pytest.mark.parametrize('module', MODULES, ids=name)

def exports():
    "Module path -> notebooks that say `default_exp` for it."
    found = defaultdict(list)
    for notebook in NOTEBOOKS:
        for cell in read(notebook)['cells']:
            said = re.match(r'#\|\s*default_exp\s+(\S+)', ''.join(cell['source']))
            if said: found['ulv_jax/' + said[1].replace('.', '/') + '.py'].append(name(notebook))
    return found

def test_every_module_comes_from_one_notebook():
    "A renamed `default_exp` leaves its old module behind, and two notebooks of one name overwrite each other, both in silence."
    assert {m: books for m, books in exports().items() if len(books) > 1} == {}
    assert sorted(map(name, MODULES)) == sorted(exports())

@each_notebook
def test_notebook_stores_nothing_of_the_machine(notebook):
    for i, cell in enumerate(read(notebook)['cells']):
        assert not cell.get('execution_count'), f'cell {i} keeps its execution count: run `make export`'
        outputs = json.dumps(cell.get('outputs', []))
        assert len(outputs) < 200_000, f'cell {i} stores {len(outputs)//1000} KB of output'   # a picture at twice the screen's resolution
        assert not MACHINE.search(outputs), f'cell {i} stores {MACHINE.search(outputs)[0]}'
        noise = [o for o in cell.get('outputs', []) if o['output_type'] == 'error' or o.get('name') == 'stderr']
        assert not noise, f'cell {i} stores an error or a warning'

@each_notebook
def test_export_cells_only_define(notebook):
    "Cells are small, and the imports of a module stand in a cell of their own."
    for i, cell in enumerate(read(notebook)['cells']):
        source = ''.join(cell['source'])
        if not re.match(r'#\|\s*exporti?\b', source): continue
        body = ast.parse(source).body
        imports = [isinstance(n, (ast.Import, ast.ImportFrom)) for n in body]
        assert all(imports) or not any(imports), f'cell {i} mixes imports with definitions'
        lines = [line for line in source.splitlines() if line.strip() and not line.startswith('#|')]
        assert len(lines) <= 25, f'cell {i} exports {len(lines)} lines'

def imported(module, tree):
    "Dotted path of each import in a tree; relative ones are made absolute."
    package = ('ulv_jax', *module.relative_to(LIB).with_suffix('').parts)
    for node in tree:
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[:-node.level] if node.level else ()
            yield '.'.join([*base, *filter(None, [node.module])])

@each_module
def test_a_layer_imports_only_from_those_above_it(module):
    layer = module.relative_to(LIB).with_suffix('').parts[0]
    for path in imported(module, ast.walk(ast.parse(module.read_text(encoding='utf-8')))):
        parts = path.split('.')
        if parts[0] == 'ulv_jax' and len(parts) > 1: assert LAYERS.index(parts[1]) <= LAYERS.index(layer), f'imports {path}'

@each_module
def test_importing_needs_no_extra(module):
    "At the top of a module stand only the standard library and the requirements; extras are imported by the function that needs one."
    for path in imported(module, ast.parse(module.read_text(encoding='utf-8')).body):
        top = path.split('.')[0]
        assert top in BASE or top in sys.stdlib_module_names, f'imports {path} at its top'
