"The package as pip sees it; every fact of it stands in settings.ini, which nbdev reads too."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

parser = ConfigParser(delimiters=['='])
parser.read('settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
SUFFIX = '_requirements'

def readme():
    "README.md for PyPI, which cannot see the pictures of the repository by a relative path."
    raw = cfg['git_url'].replace('github.com', 'raw.githubusercontent.com')
    return Path('README.md').read_text(encoding='utf-8').replace('](nbs/', f"]({raw}/{cfg['branch']}/nbs/")

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme(),
    long_description_content_type='text/markdown',
    keywords=[k.strip() for k in cfg['keywords'].split(',')],
    author=cfg['author'],
    author_email=cfg['author_email'],
    license='Apache-2.0',
    url=cfg['git_url'],
    project_urls={'Documentation': cfg['doc_host'] + cfg['doc_baseurl']},
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Developers', 'Intended Audience :: Science/Research',
                 'Programming Language :: Python :: 3', 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require={k.removesuffix(SUFFIX): v.split() for k, v in cfg.items() if k.endswith(SUFFIX)},
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path'] + '.*']),
    package_data={cfg['lib_path']: ['templates/*.ipynb', 'weights/*.safetensors']},
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"]},   # links of the documentation find our names by it
)
