"""The programs: Python, and what other Pythons find when they import torch, torchvision, nbgrader, JupyterLab."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from os import environ
from pathlib import Path
from typing import Any

from proctor.doctor.child import Told
from proctor.doctor.look import Check
from proctor.sandbox.caps import amount

__all__ = ["NBGRADER", "TORCH", "alembic", "jupyterlab", "nbgrader", "python", "torch"]

OLDEST, YOUNGEST = (3, 11), (3, 13)  # of Python, as in pyproject.toml
TESTED = "0.9."  # of nbgrader, as in pyproject.toml: proctor takes the place of parts of it
CHOICES = "https://pytorch.org/get-started/locally"  # which torch for which machine
SERVER = "nbgrader.server_extensions"
LAB = "@jupyter/nbgrader"
BUTTONS = {"Validate button": "validate_assignment", "Formgrader": "formgrader"}

TORCH = """
def computes(index):
    import torch
    try:
        torch.ones(2, device=f"cuda:{index}").sum().item()
    except Exception as error:
        return said(error)
    return ""

def torch_():
    import torch
    found = [(torch.cuda.get_device_properties(at), computes(at)) for at in range(torch.cuda.device_count())]
    devices = [{"name": made.name, "memory": made.total_memory, "error": error} for made, error in found]
    return {"version": str(torch.__version__), "cuda": torch.version.cuda or "", "devices": devices}

def torchvision_():
    import torchvision
    return {"version": torchvision.__version__}

tell("torch", torch_)
tell("torchvision", torchvision_)
"""

NBGRADER = """
from pathlib import Path

def nbgrader_():
    import nbgrader
    from alembic.script import ScriptDirectory
    schema = ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic")).get_current_head()
    return {"version": nbgrader.__version__, "schema": schema}

def extensions():
    from jupyter_core.paths import jupyter_config_path, jupyter_path
    from jupyter_server.extension.config import ExtensionConfigManager
    from jupyterlab_server.config import get_federated_extensions, get_page_config
    places = jupyter_path("labextensions")
    servers = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    return {
        "server": [name for name, is_on in servers.items() if is_on],
        "lab": list(get_federated_extensions(places)),
        "disabled": list(get_page_config(places).get("disabledExtensions", [])),
    }

def converters():
    from proctor.course import Course
    from proctor.record import read_config
    read_config(Course(Path(sys.argv[1])))
    import nbgrader.apps.api, nbgrader.apps.autogradeapp, nbgrader.converters
    modules = (nbgrader.converters, nbgrader.apps.api, nbgrader.apps.autogradeapp)
    return {"classes": [f"{module.Autograde.__module__}.{module.Autograde.__qualname__}" for module in modules]}

tell("nbgrader", nbgrader_)
tell("extensions", extensions)
if sys.argv[1]:
    tell("converters", converters)
"""


def python() -> list[Check]:
    """Say whether this Python is one that proctor is tested with."""
    found = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} at '{sys.executable}'"
    if OLDEST <= tuple(sys.version_info[:2]) <= YOUNGEST:
        return [Check("Python", "good", found)]
    wanted = " to ".join(f"{major}.{minor}" for major, minor in (OLDEST, YOUNGEST))
    return [Check("Python", "bad", found, f"make the environment anew with Python {wanted}")]


def torch(told: Told, *, devices: Path = Path("/dev")) -> list[Check]:
    """Say whether torch and torchvision can be imported, and which GPUs compute.

    Args:
        told: by the program TORCH.
        devices: folder of device files.
    """
    found = told.of("torch")
    if error := found.get("error"):
        return [Check("torch", "bad", f"it cannot be imported: {error}", _install("torch"))]
    return [
        Check("torch", "good", f"{found['version']}"),
        _gpu(found, nodes=[path.name for path in sorted(devices.glob("nvidia[0-9]*"))]),
        _torchvision(told.of("torchvision")),
    ]


def _gpu(found: Mapping[str, Any], *, nodes: Sequence[str]) -> Check:
    broken = [f"{each['name']}: {each['error']}" for each in found["devices"] if each["error"]]
    if broken:
        todo = "install a torch that is built for this GPU and its driver; until then say --device cpu"
        return Check("GPU", "weak", f"it is seen but does not compute: {'; '.join(broken)}", todo)
    if found["devices"]:
        names = ", ".join(f"{each['name']} with {amount(each['memory'])}" for each in found["devices"])
        return Check("GPU", "good", names)
    if not nodes:
        return Check("GPU", "good", "cpu only")
    return Check("GPU", "weak", f"torch sees none, though there is '/dev/{nodes[0]}'", _why_unseen(found["cuda"]))


def _why_unseen(cuda: str) -> str:
    if not cuda:
        return f"this torch is built for CPUs: install one with CUDA, see {CHOICES}; until then say --device cpu"
    if "CUDA_VISIBLE_DEVICES" in environ:
        return f"CUDA_VISIBLE_DEVICES is {environ['CUDA_VISIBLE_DEVICES']!r}: unset it"
    return (
        f"'nvidia-smi' says whether the driver works, and for which CUDA: torch wants {cuda}; until then --device cpu"
    )


def _torchvision(found: Mapping[str, Any]) -> Check:
    if error := found.get("error"):
        todo = f"install torch and torchvision together, both for CUDA or both without: see {CHOICES}"
        if "No module named 'torchvision'" in error:
            return Check("torchvision", "weak", "it is not installed: notebooks that import it fail", todo)
        return Check("torchvision", "bad", f"it cannot be imported beside this torch: {error}", todo)
    return Check("torchvision", "good", found["version"])


def nbgrader(told: Told) -> list[Check]:
    """Say whether nbgrader can be imported and is of the line that proctor knows; `told` by the program NBGRADER."""
    found = told.of("nbgrader")
    if error := found.get("error"):
        return [Check("nbgrader", "bad", f"it cannot be imported: {error}", _install(f"nbgrader=={TESTED}*"))]
    if not found["version"].startswith(TESTED):
        said = f"{found['version']}, and proctor knows {TESTED}x only"
        return [Check("nbgrader", "bad", said, _install(f"nbgrader=={TESTED}*"))]
    return [Check("nbgrader", "good", found["version"])]


def alembic() -> list[Check]:
    """Say whether nbgrader's commands would find the program that makes and upgrades a gradebook."""
    if path := shutil.which("alembic"):
        return [Check("alembic", "good", f"'{path}'")]
    beside = Path(sys.executable).parent
    if shutil.which("alembic", path=str(beside)):
        found = "not on PATH: proctor finds it beside Python, but nbgrader's own commands do not"
        return [Check("alembic", "weak", found, f"put '{beside}' on PATH, or activate the environment")]
    return [Check("alembic", "bad", "not found: no gradebook can be made", _install("alembic"))]


def jupyterlab(told: Told) -> list[Check]:
    """Say whether JupyterLab is there, and nbgrader's parts of it; `told` by the program NBGRADER."""
    try:
        lab = Check("JupyterLab", "good", version("jupyterlab"))
    except PackageNotFoundError:
        said = "not installed: grading does without, marking by hand and Validate do not"
        return [Check("JupyterLab", "weak", said, _install("jupyterlab"))]
    found = told.of("extensions")
    if error := found.get("error"):
        todo = "run 'jupyter server extension list' to see all that it says"
        return [lab, Check("extensions", "weak", f"they cannot be listed: {error}", todo)]
    return [lab, *(_button(title, name, found) for title, name in BUTTONS.items())]


def _button(title: str, name: str, found: Mapping[str, Sequence[str]]) -> Check:
    plugin = f"{LAB}:{name.replace('_', '-')}"
    off = [each for each in (LAB, plugin) if each in found["disabled"]]
    if LAB not in found["lab"]:
        todo = _install(f"--force-reinstall --no-deps nbgrader=={TESTED}*")
        return Check(title, "weak", f"JupyterLab does not find {LAB}", todo)
    if off:
        return Check(title, "weak", f"{off[0]} is disabled", f"run 'jupyter labextension enable {off[0]}'")
    if f"{SERVER}.{name}" not in found["server"]:
        todo = f"run 'jupyter server extension enable --sys-prefix {SERVER}.{name}'"
        return Check(title, "weak", f"the server's part, {SERVER}.{name}, is not enabled", todo)
    return Check(title, "good", "enabled in JupyterLab and in its server")


def _install(what: str) -> str:
    return f"run '{sys.executable} -m pip install {what}'"
