"The documentation site as a reader meets it: opened in a browser, followed, searched. Build it first: DOCS_OFFLINE=1 make docs"
import ast, re
from pathlib import Path
from urllib.parse import unquote, urldefrag
import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT/'_docs'
HAS_MATHJAX = any(SITE.rglob('tex-*.js'))
pytestmark = [pytest.mark.release, pytest.mark.skipif(not (SITE/'index.html').exists(), reason='the site is not built: make docs')]

def pages(): return sorted(p for p in SITE.rglob('*.html') if '_static' not in p.parts)

def public_names():
    "Dotted path of every name that a module of the package declares public."
    for path in sorted((ROOT/'ulv_jax').rglob('*.py')):
        declared = re.search(r'^__all__ = (\[.*?\])', path.read_text(encoding='utf-8'), re.M|re.S)
        module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for name in ast.literal_eval(declared[1]) if declared else []: yield f'{module}.{name}'

@pytest.fixture(scope='module')
def site(serve): return serve(SITE)

def own_errors(page):
    "Console errors but those of addresses outside the site, which a machine without a network cannot load."
    return [e for e in page.errors if 'net::ERR_' not in e]

def test_every_public_name_has_an_entry_with_its_source():
    html = {p: p.read_text(encoding='utf-8') for p in pages()}
    names = list(public_names())
    assert names
    for name in names:
        entry = next((text for text in html.values() if f'id="{name}"' in text), None)
        assert entry, f'{name} has no entry'
        signature = entry[entry.index(f'id="{name}"'):].split('</dt>')[0]
        assert re.search(r'href="https://[^"]+/blob/[^"]+#L\d+"', signature), f'{name} has no link to its source'

def test_no_link_within_the_site_is_dead():
    targets = {p.resolve(): set(re.findall(r'\bid="([^"]+)"', p.read_text(encoding='utf-8'))) for p in pages()}
    dead = []
    for page in pages():
        for link in re.findall(r'<a\b[^>]*?\shref="([^"]+)"', page.read_text(encoding='utf-8')):
            if re.match(r'\w+:', link): continue
            path, anchor = urldefrag(unquote(link))
            target = (page.parent/path).resolve() if path else page.resolve()
            if not target.exists() or (anchor and target in targets and anchor not in targets[target]): dead.append(f'{page.name}: {link}')
    assert dead == []

def test_navigation_leads_to_every_page_without_an_error(page, site):
    page.goto(site)
    links = page.eval_on_selector_all('nav.bd-links a', 'links => links.map(a => a.href)')
    assert len(links) >= len(list((ROOT/'nbs').rglob('*.ipynb'))) - 1
    for link in links:
        assert page.goto(link).ok, link
        assert page.locator('article h1').count() == 1, link
        assert page.locator('.highlight .err').count() == 0, f'{link}: a code cell is not Python'
    assert own_errors(page) == []

def test_a_click_in_the_side_bar_opens_the_page(page, site):
    page.goto(site)
    link = page.locator('nav.bd-links a', has_text='Events').first
    link.click()
    assert page.url == f'{site}/data/events.html'
    assert page.locator('article h1').inner_text().startswith('Events')

def test_search_finds_a_function(page, site):
    page.goto(f'{site}/search.html?q=read_events')
    result = page.locator('#search-results a', has_text='read_events').first
    result.wait_for()
    result.click()
    assert page.url.startswith(f'{site}/data/events.html') and page.url.endswith('#ulv_jax.data.events.read_events')
    assert own_errors(page) == []

@pytest.mark.skipif(not HAS_MATHJAX, reason='the site has no MathJax of its own: DOCS_OFFLINE=1 make docs')
def test_mathematics_is_set_on_every_page_that_has_it(page, site):
    with_math = [p for p in pages() if re.search(r'class="(?:\w+ )*math\b', p.read_text(encoding='utf-8'))]
    assert with_math
    for path in with_math:
        page.goto(f'{site}/{path.relative_to(SITE).as_posix()}')
        page.locator('.math mjx-container').first.wait_for()
        page.wait_for_function("[...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))")
        assert page.locator('mjx-merror').count() == 0, path

def test_tables_are_tables(page, site):
    with_frames = [p for p in pages() if 'class="dataframe"' in p.read_text(encoding='utf-8')]
    assert with_frames
    page.goto(f'{site}/{with_frames[0].relative_to(SITE).as_posix()}')
    cell = page.locator('table.dataframe td').first
    assert cell.is_visible() and cell.evaluate('c => getComputedStyle(c).textAlign') == 'right'
