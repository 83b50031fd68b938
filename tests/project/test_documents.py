"""The repository's own documents say what is there."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> dict[str, str]:
    """Return the Makefile's verbs with what each says of itself."""
    return dict(re.findall(r"^([a-z-]+):.*?## *(.+)$", read("Makefile"), flags=re.MULTILINE))


def tracked() -> list[str]:
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("not a git checkout: which files are tracked cannot be asked")
    return answer.stdout.splitlines()


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "index.md", "pages/setup.md", "pages/how-to-use.md"]
)
def test_every_make_command_in_a_document_is_a_verb_of_the_makefile(document: str) -> None:
    named = set(re.findall(r"(?:^|`|[A-Z_]+=\S+ )make +([a-z]+)(?=`|\s*$|\s+#|:)", read(document), flags=re.MULTILINE))
    assert named <= targets().keys()


def test_the_readme_starts_with_the_two_commands() -> None:
    block = re.search(r"```bash\n(.*?)```", read("README.md"), flags=re.DOTALL)
    assert block is not None
    commands = [line.split("#")[0].strip() for line in block[1].splitlines()]
    assert commands[:2] == ["make", "make test"]


def test_make_help_lists_every_verb() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", said, flags=re.MULTILINE)) == targets().keys()
    phony = re.search(r"^\.PHONY: (.+)$", read("Makefile"), flags=re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets().keys()


def test_ci_runs_make_test() -> None:
    assert re.search(r"^exec make test$", read(".ci/run"), flags=re.MULTILINE)


@pytest.mark.parametrize("command", ["author", "release", "check", "demo", "grade"])
def test_documented_proctor_commands_exist(command: str) -> None:
    from proctor.cli import main

    assert command in main.commands


def test_links_in_the_documents_lead_to_files() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", read(document)):
            assert (ROOT / link).exists(), f"{document}: {link}"


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    wanted = [Requirement(text) for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    locked = dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", read("requirements.txt"), flags=re.MULTILINE))
    for requirement in wanted:
        name = requirement.name.lower().replace("_", "-")
        assert name in locked, f"{name} is not in requirements.txt: run `make lock`"
        assert requirement.specifier.contains(locked[name], prereleases=True), f"{name}: run `make lock`"


def test_every_locked_package_has_a_hash_and_no_host_is_named() -> None:
    lock = read("requirements.txt")
    packages = re.findall(r"^[a-z0-9_.-]+==[^\n]*\\\n    --hash=sha256:", lock, flags=re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9_.-]+==", lock, flags=re.MULTILINE))
    assert "://" not in lock
    assert '"resolved"' not in read("package-lock.json")


def test_the_set_up_script_can_be_read_by_an_old_python() -> None:
    """An old Python must get as far as the message that says it is too old."""
    ast.parse(read("tools/set_up.py"), feature_version=(3, 5))


def test_no_notebook_is_tracked() -> None:
    assert not [name for name in tracked() if name.endswith(".ipynb")]


def test_generated_folders_track_only_their_readme() -> None:
    for folder in ("source", "release", "submitted", "autograded", "feedback", "records"):
        assert [name for name in tracked() if name.startswith(f"{folder}/")] == [f"{folder}/README.md"]
