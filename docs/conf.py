"Sphinx's settings; `docs/build.py` calls it."
import ast, configparser, os, re, sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
settings = configparser.ConfigParser(delimiters=['='])
settings.read(ROOT/'settings.ini', encoding='utf-8')
settings = settings['DEFAULT']

project, author, release, copyright = (settings[k] for k in ('title', 'author', 'version', 'copyright'))
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.linkcode', 'sphinx_copybutton']
if os.environ.get('DOCS_OFFLINE'): extensions.append('sphinx-mathjax-offline')   # 24 MB of MathJax beside the pages
nb_execution_mode = 'off'                    # the stored outputs are the tested ones
myst_enable_extensions = ['dollarmath', 'amsmath', 'colon_fence', 'deflist']
default_role = 'code'                        # single backticks in docstrings are code
smartquotes = False                          # quotes in parameter comments are code
autodoc_preserve_defaults = True
autodoc_member_order = 'bysource'
python_use_unqualified_type_names = True
maximum_signature_line_length = 70
add_module_names = False
nitpicky = True                              # with -W: a dead reference to our own names fails the build
nitpick_ignore_regex = [('py:.*', r'(?!ulv_jax).*')]
html_theme = 'sphinx_book_theme'
html_title = project
html_logo = html_favicon = '_static/logo.svg'
html_baseurl = settings['doc_host'] + settings['doc_baseurl'] + '/'
html_static_path = ['_static']
html_css_files, html_js_files = ['custom.css'], ['search.js']
html_copy_source = html_show_sourcelink = False
html_context = dict(default_mode='auto')       # light or dark as the reader's system is
html_theme_options = dict(
    repository_url=settings['git_url'], use_repository_button=True, use_issues_button=True, use_download_button=False,
    logo=dict(text=project), show_toc_level=2, show_navbar_depth=1,
    navbar_persistent=[])                    # otherwise there are two search boxes


@cache
def source_lines(path):
    "Dotted name -> line of each definition in a file. Read from the text, so that jitted and wrapped functions have one too."
    lines = {}
    def visit(body, prefix=''):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)): lines[prefix + node.name] = node.lineno
            if isinstance(node, ast.Assign): lines.update({prefix + n.id: node.lineno for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)})
            if isinstance(node, ast.ClassDef): visit(node.body, f'{node.name}.')
    visit(ast.parse(path.read_text(encoding='utf-8')).body)
    return lines

def linkcode_resolve(domain, info):
    "Address of a name's source in the repository."
    if domain != 'py' or info['module'] not in sys.modules: return None
    path = Path(sys.modules[info['module']].__file__)
    line = source_lines(path).get(info['fullname'])
    return line and f"{settings['git_url']}/blob/{settings['branch']}/{path.relative_to(ROOT).as_posix()}#L{line}"


def escape(text):
    "Text outside backticks with its stars, bars and trailing underscores taken literally: our docstrings are plain sentences, not RST."
    parts = re.split(r'(`[^`]+`)', text)
    return ''.join(p if i % 2 else re.sub(r'([*|]|_\b)', r'\\\1', p) for i, p in enumerate(parts))

def parameter_fields(obj):
    "fastcore's parameter comments as the field list that Sphinx prints."
    from fastcore.docments import docments
    try: parameters = docments(obj, full=True)
    except (TypeError, OSError, ValueError, AttributeError): return []   # no signature or no source: nothing to list
    notes = {k: escape(' '.join(v['docment'].split())) for k, v in parameters.items() if v.get('docment')}
    returns = notes.pop('return', None)
    return [f':param {k}: {note}' for k, note in notes.items()] + ([f':returns: {returns}'] if returns else [])

def write_docstring(app, what, name, obj, options, lines):
    if what == 'data': lines.clear()         # otherwise a constant gets the docstring of its type
    else: lines[:] = [*map(escape, lines), '', *parameter_fields(obj), '']

def tidy_signature(app, what, name, obj, options, signature, returns):
    return tuple(s and s.replace('jaxlib._jax.', '') for s in (signature, returns))

def setup(app):
    app.connect('autodoc-process-docstring', write_docstring)
    app.connect('autodoc-process-signature', tidy_signature)
