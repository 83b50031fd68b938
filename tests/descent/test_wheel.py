"""The students' wheel, built and imported without network and without the grader."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "descent"
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
sys.modules["proctor"] = None  # importing it raises ImportError
import descent
assert descent.__file__.startswith(sys.argv[1]), descent.__file__
for module in pkgutil.walk_packages(descent.__path__, "descent."):
    importlib.import_module(module.name)
from descent import data
print(len(data.shapes(3, seed=0)), descent.__version__)
"""


def source_files() -> set[str]:
    """Return the files of the package, relative to it, without what Python caches."""
    files = (path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(SOURCE).as_posix() for path in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("wheel"), source_files()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, *options, str(SOURCE)], check=True, timeout=180)
    assert source_files() == before  # no litter where it was built
    (made,) = folder.iterdir()
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {f"descent/{name}" for name in (source_files() - {"pyproject.toml"}) | {"LICENSE"}}


def test_the_wheel_is_named_for_every_platform(wheel: Path) -> None:
    assert wheel.name.startswith("graded_descent-")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_works_where_the_grader_is_not_installed(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "3"
