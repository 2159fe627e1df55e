"""Build the site: notebooks (`nbs/`) -> MyST-NB notebooks (`_sphinx/`) -> HTML (`_docs/`).

nbdev's own processors prepare each notebook, but they write for Quarto. `bridge` translates what differs
for Sphinx: the title (a YAML raw cell), `show_doc` cells, cell options (`#| echo: false`), callouts
(`::: {.callout-note}`) and links to names. Folders of `nbs/` are the sections of the site.
"""
import ast, json, re, shutil, sys
from pathlib import Path
import yaml
from execnb.nbio import nb2dict, read_nb
from nbdev.config import get_config
from nbdev.processors import FilterDefaults
from sphinx.cmd.build import build_main

SECTIONS = {'tutorials': 'Tutorials', 'data': 'Data', 'models': 'Models', 'evaluation': 'Evaluation', 'ensemble': 'Ensembles',
            'explain': 'Explanations', 'decisions': 'Decisions', 'serving': 'Serving', '': 'Command line', 'commands': 'Parts of the command line'}   # '' is nbs/ itself
TAGS = {('echo', 'false'): 'remove-input', ('output', 'false'): 'remove-output', ('include', 'false'): 'remove-cell',
        ('code-fold', 'true'): 'hide-input'}
OPTION = re.compile(r'#\|\s*([\w-]+):\s*(.+)')
CALLOUT = re.compile(r'^:::\s*\{\.callout-(\w+)[^}]*\}\n(.*?)^:::\s*$', re.M|re.S)
NOTEBOOK_LINK = re.compile(r'\]\((?!https?:)([^)#\s]*?)([^/)#\s]+)\.ipynb')
SOURCE_NOTEBOOK = re.compile(r'File to edit: (\S+)\.ipynb')


# What is exported, and where it is described

def unnumbered(name): return re.sub(r'^\d+[a-zA-Z]?_', '', name)

def page_of(notebook, nbs):
    "Address of a notebook's page in the site, as `data/events`."
    rel = notebook.relative_to(nbs)
    return rel.with_name(unnumbered(rel.stem)).as_posix()

def definitions(tree):
    "Name -> kind ('function', 'class', 'method' or 'data') of what a module defines."
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef): found[node.name] = 'function'
        elif isinstance(node, ast.Assign): found |= {n.id: 'data' for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.ClassDef):
            found[node.name] = 'class'
            found |= {f'{node.name}.{m.name}': 'method' for m in node.body if isinstance(m, ast.FunctionDef)}
    return found

def exported(lib, nbs):
    "Page -> {name: (dotted path, kind)} for every module that a notebook exports."
    pages = {}
    for path in sorted(lib.rglob('*.py')):
        text = path.read_text(encoding='utf-8')
        source = SOURCE_NOTEBOOK.search(text)
        if not source: continue
        module = '.'.join(path.relative_to(lib.parent).with_suffix('').parts)
        page = page_of((path.parent/f'{source[1]}.ipynb').resolve(), nbs)
        pages[page] = {name: (f'{module}.{name}', kind) for name, kind in definitions(ast.parse(text)).items()}
    return pages


# One notebook, cell by cell

def markdown_cell(text): return dict(cell_type='markdown', metadata={}, source=text)

def title_cell(source):
    "The front matter that nbdev made of `# Title` and `> subtitle`, as a heading and a lead again."
    front = yaml.safe_load(source.strip().strip('-')) or {}
    lead = f"\n\n*{front['description']}*" if front.get('description') else ''
    return markdown_cell(f"# {front.get('title', '')}{lead}")

def directive(name, names, shown=()):
    "Sphinx's directive for an exported name; a class brings its public methods, but those that the page shows by themselves."
    if name not in names: raise SystemExit(f'show_doc({name}): this notebook exports no such name')
    path, kind = names[name]
    apart = ', '.join(sorted(s.split('.')[1] for s in shown if s.startswith(name + '.')))
    options = '\n   :members:' + (f'\n   :exclude-members: {apart}' if apart else '') if kind == 'class' else ''
    return markdown_cell(f'```{{eval-rst}}\n.. auto{kind}:: {path}{options}\n```')

def shown_name(source):
    "The name in a `show_doc(name)` cell, or None for any other cell."
    if not re.search(r'^show_doc\(', source, re.M): return None
    call = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call))
    return ast.unparse(call.args[0])

def code_cell(cell):
    "Quarto's cell options as MyST-NB's cell tags."
    lines = ''.join(cell['source']).splitlines(True)
    options = [OPTION.match(line) for line in lines]
    tags = sorted({TAGS[key] for o in options if o and (key := (o[1], o[2].strip().lower())) in TAGS})
    source = ''.join(line for line, o in zip(lines, options) if not o)
    return dict(cell, source=source, metadata=dict(tags=tags) if tags else {})

def translate(text, base, pages):
    "Links to our names as references that Sphinx checks, links to notebooks without their numbers, callouts as admonitions."
    def reference(link):
        if link[1].startswith('_'): return f'`{link[1]}`'   # a private name has no entry
        page, anchor = link[2].removeprefix('/').split('.html#')
        path = next((p for name, (p, _) in pages.get(page, {}).items() if name.lower() == anchor), None)
        return f'{{py:obj}}`{link[1]} <{path}>`' if path else link[0]
    text = re.sub(rf'\[`([^`]+)`\]\({re.escape(base)}([^)]+\.html#[^)]+)\)', reference, text)
    text = NOTEBOOK_LINK.sub(lambda link: f']({link[1]}{unnumbered(link[2])}.ipynb', text)
    return CALLOUT.sub(r':::{\1}\n\2:::', text)

def constants(names):
    "An entry for each exported constant, which nbdev shows nowhere."
    public = [n for n, (_, kind) in names.items() if kind == 'data' and not n.startswith('_')]
    if not public: return []
    return [markdown_cell('## Constants'), *(directive(n, names) for n in public)]

def bridge(nb, names, base, pages):
    "A notebook as nbdev processed it, as MyST-NB reads it."
    shown = {s for c in nb['cells'] if (s := shown_name(''.join(c['source'])))}
    cells = []
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if 'THIS FILE WAS AUTOGENERATED' in source: continue
        if cell['cell_type'] == 'raw' and source.startswith('---'): cell = title_cell(source)
        elif cell['cell_type'] == 'code': cell = directive(s, names, shown) if (s := shown_name(source)) else code_cell(cell)
        if cell['cell_type'] == 'markdown': cell = dict(cell, source=translate(''.join(cell['source']), base, pages))
        cells.append(cell)
    return cells + constants(names)


# All notebooks, and the pages that join them

def sections(nbs):
    "Folder -> its notebooks in reading order; folders nobody listed in SECTIONS come last."
    books = [p for p in sorted(nbs.rglob('*.ipynb')) if p != nbs/'index.ipynb' and not any(s[0] in '._' for s in p.relative_to(nbs).parts)]
    folders = {p.parent.relative_to(nbs).as_posix().removeprefix('.') for p in books}
    order = [*SECTIONS, *sorted(folders - SECTIONS.keys())]
    return {f: [p for p in books if p.parent == nbs/f] for f in order if f in folders}

def heading(notebook):
    "Title and one-line description of a notebook, from its first Markdown cell."
    first = next(''.join(c['source']) for c in json.loads(notebook.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown')
    title, lead = re.search(r'^# (.+)', first, re.M), re.search(r'^> (.+)', first, re.M)
    if not title: raise SystemExit(f'{notebook}: its first Markdown cell must begin with "# Title"')
    return title[1], lead[1] if lead else ''

def contents(nbs):
    "The end of the home page: every page by section with its description, and the trees that make the side bar."
    parts = ['## Contents']
    for folder, books in sections(nbs).items():
        caption, pages = SECTIONS.get(folder, folder.title()), [page_of(b, nbs) for b in books]
        entries = [f'[{title}]({page}.ipynb)\n: {lead}' for page, (title, lead) in zip(pages, map(heading, books))]
        parts += [f'### {caption}', *entries, '```{toctree}\n:hidden:\n:caption: ' + caption + '\n\n' + '\n'.join(pages) + '\n```']
    return markdown_cell('\n\n'.join(parts))

def write_page(notebook, dest, cfg, pages):
    "Process one notebook and write it where Sphinx will read it."
    page, nb = page_of(notebook, cfg.nbs_path), read_nb(notebook)
    FilterDefaults()(nb)
    cells = bridge(nb2dict(nb), pages.get(page, {}), cfg.doc_host + cfg.doc_baseurl, pages)
    if page == 'index': cells.append(contents(cfg.nbs_path))
    meta = dict(kernelspec=dict(name='python3', display_name='python3', language='python'), language_info=dict(name='python'),
                source_map=list(range(len(cells))))   # by default cell n begins at line 10,000 n, and RST in it is parsed behind as many empty lines
    book = dict(cells=[dict(c, id=f'c{i}') for i, c in enumerate(cells)], metadata=meta, nbformat=4, nbformat_minor=5)
    out = dest/f'{page}.ipynb'
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(book, indent=1), encoding='utf-8')

def main():
    "Build the whole site anew; the exit code of Sphinx, which takes warnings as errors."
    cfg = get_config()
    root, nbs, dest = cfg.config_path, cfg.nbs_path, cfg.config_path/'_sphinx'
    for old in (dest, root/'_docs'): shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(nbs, dest, ignore=shutil.ignore_patterns('*.ipynb', '.*', '_*'))   # pictures
    pages = exported(cfg.lib_path, nbs)
    for notebook in [nbs/'index.ipynb', *sum(sections(nbs).values(), [])]: write_page(notebook, dest, cfg, pages)
    return build_main(['-b', 'html', '-W', '--keep-going', '-q', '-c', str(root/'docs'), '-d', str(dest/'.doctrees'), str(dest), str(root/'_docs')])

if __name__ == '__main__': sys.exit(main())
