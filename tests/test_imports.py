"Every module of the package can be imported."
import importlib, pkgutil
import pytest
import ulv_jax

@pytest.mark.parametrize('name', sorted(m.name for m in pkgutil.walk_packages(ulv_jax.__path__, 'ulv_jax.')))
def test_imports(name): importlib.import_module(name)
