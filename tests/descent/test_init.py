"""The package as a whole: what it offers, and what importing it costs."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import descent

MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages(descent.__path__, "descent.") if not name.startswith("descent.quiz")
)


@pytest.mark.parametrize("name", ["descent", *MODULES])
def test_a_module_says_what_is_public_and_has_it(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for public in module.__all__:
        assert hasattr(module, public)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'matplotlib', 'sklearn', 'torchvision'}"
    code = f"import sys, descent; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180)
    assert done.stdout.strip() == "[]"


def test_data_loads_neither_sklearn_nor_torchvision_before_they_are_needed() -> None:
    code = "import sys, descent.data; print(sorted({'sklearn', 'torchvision', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180)
    assert done.stdout.strip() == "[]"
