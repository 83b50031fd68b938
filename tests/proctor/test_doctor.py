"""The doctor: what it finds on machines and in courses that can grade, and the words it has for those that cannot."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from proctor import doctor
from proctor.cli import main
from proctor.course import Course
from proctor.doctor import Check, Examination, Row, examine, machine, programs, sandbox
from proctor.doctor import course as in_course
from proctor.doctor.child import Told, ask
from proctor.doctor.look import collected, later
from proctor.sandbox import rung_here
from proctor.sandbox.rungs import Rung, rungs

NOBODY = 65534  # the user whom Linux gives no file
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks for more than Linux before it asks for this")


def only(checks: Sequence[Check]) -> Check:
    """Return the one check that there is."""
    (check,) = checks
    return check


def named(checks: Sequence[Check], name: str) -> Check:
    """Return the check of that name."""
    return only([check for check in checks if check.name == name])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- the whole ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examined(
    released: Course, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Examination, Course, dict[str, bytes]]:
    """A course of this machine, and its files as they were before."""
    course = Course(Path(shutil.copytree(released.root, tmp_path_factory.mktemp("doctor") / "course")))
    before = contents(course.root)
    return examine(course.assignments), course, before


def test_a_released_course_has_nothing_to_mend(examined: tuple[Examination, Course, object]) -> None:
    found, course, _ = examined
    about_it = [check for check in found.checks if check.name in ("autograder", "gradebook", "folders", "seeds")]
    assert [(check.state, check.todo) for check in about_it] == [("good", "")] * 4
    assert named(found.checks, "assignments").found == "released: tiny"
    assert str(course.root) in named(found.checks, "folders").found


def test_the_programs_are_found_as_they_are(examined: tuple[Examination, Course, object]) -> None:
    from importlib.metadata import version

    checks = examined[0].checks
    for name in ("torch", "torchvision"):
        assert named(checks, name).found.split("+")[0] == version(name).split("+")[0]
    assert named(checks, "nbgrader").found == version("nbgrader")
    assert named(checks, "JupyterLab").found == version("jupyterlab")
    assert named(checks, "Validate button").found == "enabled in JupyterLab and in its server"
    assert named(checks, "Formgrader").state == "good"
    assert named(checks, "Python").found.startswith(".".join(map(str, sys.version_info[:3])))


def test_looking_changes_nothing_in_the_course(examined: tuple[Examination, Course, dict[str, bytes]]) -> None:
    _, course, before = examined
    assert contents(course.root) == before


def test_the_promises_are_those_of_the_rung(examined: tuple[Examination, Course, object]) -> None:
    found = examined[0]
    assert found.rung == rung_here().name
    assert [row.doing for row in found.promises] == [promise.doing for promise in sandbox.PROMISES]
    assert [row.kept for row in found.promises] == [each.on(found.rung or "trusted") for each in sandbox.PROMISES]


def test_outside_a_course_the_rest_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ask", lambda *_: Told(ending="it was not asked"))
    checks = examine(tmp_path).checks
    assert named(checks, "course").state == "good"
    assert named(checks, "course").found == f"none at '{tmp_path}' or above: nothing of a course was looked at"
    assert not {"autograder", "gradebook", "folders", "seeds", "assignments"} & {check.name for check in checks}
    assert named(checks, "torch").found == "it cannot be imported: it was not asked"


def test_where_the_trial_of_the_rungs_fails_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[Rung, ...]:
        raise OSError("no sockets left")

    monkeypatch.setattr(doctor, "rungs", fail)
    monkeypatch.setattr(doctor, "ask", lambda *_: Told())
    found = examine(tmp_path)
    assert (found.rung, found.can_grade) == ("", False)
    assert named(found.checks, "sandbox").found == "it could not be looked at: OSError: no sockets left"
    assert {row.kept for row in found.promises} >= {"open"}


def test_a_check_that_fails_or_hangs_is_bad_and_stops_no_other() -> None:
    hang = threading.Event()
    try:
        looks = [
            ("one", lambda: [Check("one", "good", "here")]),
            ("two", lambda: 1 / 0),
            ("three", lambda: [Check("three", "good", str(hang.wait()))]),
        ]
        one, two, three = collected(looks, limit=0.5)
    finally:
        hang.set()
    assert one.state == "good"
    assert (two.state, two.found) == ("bad", "it could not be looked at: ZeroDivisionError: division by zero")
    assert (three.state, three.found) == ("bad", "it did not answer within 0.5 s")
    assert two.todo
    assert three.todo


def test_what_is_called_later_keeps_its_error() -> None:
    with pytest.raises(SystemExit):
        later(lambda: sys.exit(3)).result()


# -- the command ----------------------------------------------------------------------------------------------------

FOUND = Examination(
    "landlock",
    (Check("sandbox", "weak", "landlock only", "install bubblewrap"), Check("disk", "good", "9 GB free")),
    (Row("files that stay", "held", "They go."), Row("seeing other processes", "refused", "/proc is closed.")),
)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Run the command where this was found."""

    def invoke(found: Examination, *arguments: str) -> object:
        monkeypatch.setattr(doctor, "examine", lambda _: found)
        return CliRunner().invoke(main, ["doctor", *arguments])

    return invoke


def test_the_command_prints_a_line_for_each_check_and_the_promises(call) -> None:
    result = call(FOUND)
    assert result.exit_code == 0, "what is weak can grade"
    assert result.stdout.splitlines() == [
        "sandbox  weak  landlock only",
        "    -> install bubblewrap",
        "disk     good  9 GB free",
        "",
        "What comes of students' code in landlock:",
        "files that stay         held",
        "seeing other processes  refused",
    ]


def test_the_command_exits_with_1_where_something_is_bad(call) -> None:
    result = call(replace(FOUND, rung="", checks=(Check("sandbox", "bad", "none", "install bubblewrap"),)))
    assert result.exit_code == 1
    assert "What comes of students' code without a sandbox:" in result.stdout


def test_the_command_prints_one_object_for_machines(call) -> None:
    told = json.loads(call(FOUND, "--json").stdout)
    assert list(told) == ["rung", "checks", "promises"]
    assert told["checks"][0] == {
        "name": "sandbox",
        "state": "weak",
        "found": "landlock only",
        "todo": "install bubblewrap",
    }
    assert told["promises"][1]["kept"] == "refused"


# -- the sandbox ----------------------------------------------------------------------------------------------------


def test_the_strongest_rung_is_good() -> None:
    check = only(sandbox.holding((Rung("bubblewrap"), Rung("landlock", "the kernel has none"))))
    assert (check.state, check.found) == ("good", "bubblewrap, the strongest there is")


@linux
def test_without_bubblewrap_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for place in map(Path, ("/usr/bin", "/bin")):
        for program in place.glob("*"):
            if program.name != "bwrap" and not (tmp_path / program.name).is_symlink():
                (tmp_path / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = only(sandbox.holding(rungs()))
    assert check.state == ("weak" if rung_here() else "bad")
    assert "bwrap is not installed" in check.found
    assert "'apt install bubblewrap' (Debian, Ubuntu) or 'dnf install bubblewrap' (Fedora)" in check.todo


def test_a_weaker_rung_says_why_the_stronger_one_cannot_be_had() -> None:
    check = only(sandbox.holding((Rung("bubblewrap", "bwrap is not installed"), Rung("landlock"))))
    assert check.state == "weak"
    assert check.found == "landlock, since bubblewrap cannot be had: bwrap is not installed"


def test_without_any_rung_each_says_why() -> None:
    tried = (Rung("bubblewrap", "libseccomp.so.2 is missing"), Rung("landlock", "libseccomp.so.2 is missing"))
    check = only(sandbox.holding(tried))
    assert check.state == "bad"
    assert "no bubblewrap: libseccomp.so.2 is missing; no landlock: " in check.found
    assert "'apt install libseccomp2' (Debian, Ubuntu) or 'dnf install libseccomp' (Fedora)" in check.todo
    assert "'proctor grade --trusted'" in check.todo


REFUSED = "user namespaces are refused: bwrap: No permissions to create new namespace"


@pytest.mark.parametrize(
    ("setting", "value", "todo"),
    [
        ("kernel/unprivileged_userns_clone", "0", "'kernel.unprivileged_userns_clone = 1' into '/etc/sysctl.d"),
        ("user/max_user_namespaces", "0", "'user.max_user_namespaces = 15000' into '/etc/sysctl.d"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_parser -r /etc/apparmor.d/bwrap"),
    ],
)
def test_the_setting_that_refuses_is_named(tmp_path: Path, setting: str, value: str, todo: str) -> None:
    path = tmp_path / setting
    path.parent.mkdir()
    path.write_text(f"{value}\n")
    said = sandbox.remedy(REFUSED, settings=tmp_path)
    assert said.startswith(f"{setting.replace('/', '.')} is {value}: ")
    assert todo in said


@pytest.mark.parametrize(
    ("why", "todo"),
    [
        (REFUSED, "in a container, ask for one that may make user namespaces"),
        ("bwrap fails: bwrap: Unknown option --as-pid-1", "install a later bubblewrap"),
        ("not Linux", "grade on Linux, in a virtual machine for example"),
    ],
)
def test_where_no_setting_refuses_there_is_another_way(tmp_path: Path, why: str, todo: str) -> None:
    assert todo in sandbox.remedy(why, settings=tmp_path)


def test_it_is_said_who_counts_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(sandbox.counting()).state in ("good", "weak")
    monkeypatch.setattr(sandbox, "make", lambda **_: None)
    check = only(sandbox.counting())
    assert check.state == "weak"
    assert "a watchdog alone" in check.found
    assert "'systemd-run --user --scope'" in check.todo


# -- the programs ---------------------------------------------------------------------------------------------------

FAKE_TORCH = """
from types import SimpleNamespace
__version__ = "2.11.0"
version = SimpleNamespace(cuda={cuda!r})
cuda = SimpleNamespace(
    device_count=lambda: {count},
    get_device_properties=lambda at: SimpleNamespace(name="Card", total_memory=8 * 2**30),
)
def ones(*_, device):
    raise RuntimeError("no kernel image is available\\nand more")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put modules in front of those of the same name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    torch = FAKE_TORCH.format(cuda=None, count=0)

    def write(*, torch: str = torch, torchvision: str = "__version__ = '0.26.0'") -> None:
        (tmp_path / "torch.py").write_text(torch)
        (tmp_path / "torchvision.py").write_text(torchvision)

    return write


def test_a_torchvision_for_another_torch_is_bad(install: Callable[..., None], tmp_path: Path) -> None:
    install(torchvision="raise RuntimeError('operator torchvision::nms does not exist')")
    torch, gpu, vision = programs.torch(ask(programs.TORCH), devices=tmp_path)
    assert (torch.state, torch.found) == ("good", "2.11.0")
    assert (gpu.state, gpu.found) == ("good", "cpu only")
    assert vision.state == "bad"
    assert "beside this torch: RuntimeError: operator torchvision::nms does not exist" in vision.found
    assert vision.todo.startswith("install torch and torchvision together, both for CUDA or both without")


def test_an_import_that_kills_its_process_loses_nothing_before_it(install: Callable[..., None], tmp_path: Path) -> None:
    install(torchvision="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    torch, _, vision = programs.torch(ask(programs.TORCH), devices=tmp_path)
    assert torch.state == "good"
    assert vision.found == "it cannot be imported beside this torch: the import was ended by SIGKILL"


def test_an_import_that_never_ends_is_given_up(install: Callable[..., None]) -> None:
    install(torch="import signal; signal.pause()")
    check = only(programs.torch(ask(programs.TORCH, limit=1)))
    assert (check.state, check.found) == ("bad", "it cannot be imported: the import did not end within 1 s")
    assert "-m pip install torch" in check.todo


def test_a_gpu_that_torch_does_not_see_is_weak(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia0").touch()
    install()
    gpu = named(programs.torch(ask(programs.TORCH), devices=tmp_path), "GPU")
    assert (gpu.state, gpu.found) == ("weak", "torch sees none, though there is '/dev/nvidia0'")
    assert "this torch is built for CPUs" in gpu.todo
    install(torch=FAKE_TORCH.format(cuda="13.0", count=0))
    told = ask(programs.TORCH)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is ''" in named(programs.torch(told, devices=tmp_path), "GPU").todo
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "torch wants 13.0" in named(programs.torch(told, devices=tmp_path), "GPU").todo


def test_a_gpu_that_does_not_compute_is_weak(install: Callable[..., None], tmp_path: Path) -> None:
    install(torch=FAKE_TORCH.format(cuda="13.0", count=1))
    _, gpu, _ = programs.torch(ask(programs.TORCH), devices=tmp_path)
    assert gpu.state == "weak"
    assert gpu.found == "it is seen but does not compute: Card: RuntimeError: no kernel image is available"
    assert "say --device cpu" in gpu.todo


def test_gpus_are_named_with_their_memory(install: Callable[..., None], tmp_path: Path) -> None:
    works = "\ndef ones(*_, device): return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 2.0))"
    install(torch=FAKE_TORCH.format(cuda="13.0", count=2) + works)
    gpu = named(programs.torch(ask(programs.TORCH), devices=tmp_path), "GPU")
    assert (gpu.state, gpu.found) == ("good", "Card with 8 GB, Card with 8 GB")


def test_another_line_of_nbgrader_is_bad() -> None:
    check = only(programs.nbgrader(Told({"nbgrader": {"version": "1.0.0", "schema": "x"}})))
    assert (check.state, check.found) == ("bad", "1.0.0, and proctor knows 0.9.x only")
    assert "pip install nbgrader==0.9.*" in check.todo
    missing = only(programs.nbgrader(Told(ending="the import was ended by SIGSEGV")))
    assert missing.found == "it cannot be imported: the import was ended by SIGSEGV"


def test_alembic_is_looked_for_where_nbgrader_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = only(programs.alembic())
    assert check.state == "weak"
    assert "nbgrader's own commands do not" in check.found
    assert str(Path(sys.executable).parent) in check.todo
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert only(programs.alembic()).found == "not found: no gradebook can be made"


def test_another_python_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    check = only(programs.python())
    assert check.state == "bad"
    assert check.found.startswith("3.14.0 at ")
    assert check.todo == "make the environment anew with Python 3.11 to 3.13"


@pytest.fixture(scope="module")
def misled(released: Course, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What nbgrader tells where a course does not know proctor, and a user has switched buttons off."""
    root = tmp_path_factory.mktemp("misled")
    (root / released.config.name).write_text("c = get_config()\n")
    (root / "labconfig").mkdir()
    page = {"disabledExtensions": {"@jupyter/nbgrader:formgrader": True}}
    (root / "labconfig" / "page_config.json").write_text(json.dumps(page))
    server = {"ServerApp": {"jpserver_extensions": {"nbgrader.server_extensions.validate_assignment": False}}}
    (root / "jupyter_server_config.json").write_text(json.dumps(server))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_CONFIG_DIR", str(root))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
        return ask(programs.NBGRADER, str(root))


def test_a_disabled_button_is_named(misled: Told) -> None:
    _, validate, formgrader = programs.jupyterlab(misled)
    assert formgrader.found == "@jupyter/nbgrader:formgrader is disabled"
    assert formgrader.todo == "run 'jupyter labextension enable @jupyter/nbgrader:formgrader'"
    assert validate.found == "the server's part, nbgrader.server_extensions.validate_assignment, is not enabled"
    assert "'jupyter server extension enable" in validate.todo


def test_extensions_that_are_missing_or_unknown_are_weak() -> None:
    bare = Told({"extensions": {"server": [], "lab": [], "disabled": []}})
    assert named(programs.jupyterlab(bare), "Formgrader").found == "JupyterLab does not find @jupyter/nbgrader"
    unknown = named(programs.jupyterlab(Told(ending="the import ended with 1: gone")), "extensions")
    assert (unknown.state, unknown.found) == ("weak", "they cannot be listed: the import ended with 1: gone")


# -- the course -----------------------------------------------------------------------------------------------------

KNOWN = Told({"nbgrader": {"version": "0.9.6", "schema": "e43177bfe90b"}})


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody for whom the modes of files count."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def sealed_off(course: Course) -> Iterator[Course]:
    """A course that can be read but not written, in a folder that all may enter."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(course.root, Path(folder, "course")))
        Path(folder).chmod(0o755)
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield Course(root)
        finally:
            for path in (root, *root.rglob("*")):
                path.chmod(0o755)


def test_a_gradebook_that_cannot_be_written_is_bad(sealed_off: Course) -> None:
    with as_nobody():
        check = only(in_course.gradebook(sealed_off, KNOWN))
    assert (check.state, check.found) == ("bad", "'gradebook.db' cannot be used: Permission denied")
    assert "make it readable and writable for this account" in check.todo


def test_folders_that_cannot_be_written_are_named(sealed_off: Course) -> None:
    with as_nobody():
        check = only(in_course.folders(sealed_off))
    assert check.state == "bad"
    assert f"'{sealed_off.autograded}': Permission denied" in check.found
    assert "make them writable for this account" in check.todo


def test_a_file_in_the_place_of_a_folder_is_bad(course: Course) -> None:
    shutil.rmtree(course.submitted, ignore_errors=True)
    course.submitted.write_text("")
    assert f"'{course.submitted}': Not a directory" in only(in_course.folders(course)).found


HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_gradebook_that_another_program_holds_is_bad(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_course, "PATIENCE", 0.0)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(course.gradebook)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        check = only(in_course.gradebook(course, KNOWN))
        holder.communicate("")
    assert (check.state, check.found) == ("bad", "'gradebook.db' cannot be used: database is locked")
    assert "end the other program, a formgrader perhaps" in check.todo
    assert only(in_course.gradebook(course, KNOWN)).state == "good", "the lock is gone"


def test_a_gradebook_that_is_none_is_bad(course: Course) -> None:
    course.gradebook.write_bytes(b"grades, in prose; " * 100)
    check = only(in_course.gradebook(course, KNOWN))
    assert check.found == "'gradebook.db' cannot be used: file is not a database"
    assert check.todo == "keep a copy, then restore it from a backup"
    course.gradebook.write_bytes(b"")
    assert only(in_course.gradebook(course, KNOWN)).found == "it is none of nbgrader's: no table 'assignment'"
    course.gradebook.unlink()
    assert only(in_course.gradebook(course, KNOWN)).state == "good"


def test_an_old_schema_is_bad(course: Course) -> None:
    database = sqlite3.connect(course.gradebook)
    with database:
        database.execute("UPDATE alembic_version SET version_num = '724cde206c17'")
    database.close()
    check = only(in_course.gradebook(course, KNOWN))
    assert check.found == "its schema is 724cde206c17, and this nbgrader wants e43177bfe90b"
    assert check.todo == "keep a copy, then run 'nbgrader db upgrade'"
    assert only(in_course.gradebook(course, Told())).state == "good", "no nbgrader says what it wants"


def test_a_course_that_does_not_know_proctor_is_bad(course: Course, misled: Told) -> None:
    check = only(in_course.autograder(course, misled))
    assert check.state == "bad"
    assert check.found.endswith("run students' code in no sandbox, by nbgrader.converters.autograde.Autograde")
    assert check.todo == f"write into '{course.config}': from proctor.autograde import install; install()"


def test_a_configuration_that_fails_is_bad(course: Course) -> None:
    told = Told({**KNOWN.parts, "converters": {"error": "CourseError: it cannot be read: NameError: no x"}})
    check = only(in_course.autograder(course, told))
    assert check.state == "bad"
    assert check.found == "'nbgrader_config.py' cannot be used: CourseError: it cannot be read: NameError: no x"
    assert check.todo == f"correct '{course.config}'; every command of nbgrader reads it"


def test_without_nbgrader_nothing_is_said_of_its_configuration(course: Course) -> None:
    assert in_course.autograder(course, Told(ending="the import ended with 1")) == []


def test_seeds_that_others_may_read_are_weak(course: Course) -> None:
    assert only(in_course.seeds(course)).state == "good"
    course.seeds.chmod(0o640)
    check = only(in_course.seeds(course))
    assert (check.state, check.found) == ("weak", "others may read 'seeds.json': its mode is 640")
    assert check.todo == f"run 'chmod 600 {course.seeds}'"


def test_lost_seeds_are_bad_where_something_was_graded(course: Course) -> None:
    course.seeds.unlink()
    assert only(in_course.seeds(course)).found == "none yet: the first release draws them"
    records = course.root / "records"
    (records / "tiny").mkdir(parents=True)
    (records / "README.md").write_text("Written by proctor.")
    assert only(in_course.seeds(course)).state == "good", "nothing was graded"
    (records / "tiny" / "ada.json").write_text("{}")
    check = only(in_course.seeds(course))
    assert check.state == "bad"
    assert check.found.endswith("has no secret seed yet, though 'tiny' was graded")
    assert "restore it from a backup" in check.todo


def test_seeds_that_cannot_be_read_are_bad(course: Course) -> None:
    course.seeds.write_text("{")
    assert only(in_course.seeds(course)).found == "'seeds.json': the secret seeds cannot be read"


def test_assignments_that_wait_are_named(unreleased: Course) -> None:
    check = only(in_course.assignments(unreleased))
    assert (check.state, check.found) == ("weak", "not released: tiny")
    assert check.todo == "run 'proctor release tiny'"
    shutil.rmtree(unreleased.assignments)
    assert only(in_course.assignments(unreleased)).found == "there is none yet"


# -- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "files", "state"),
    [(6, 10**6, "good"), (4, 10**6, "weak"), (0.5, 10**6, "bad"), (6, 40_000, "weak"), (6, 4_000, "bad")],
)
def test_a_disk_that_fills_up_is_told(
    monkeypatch: pytest.MonkeyPatch, course: Course, free: float, files: int, state: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free * 2**30)))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=10**7, f_favail=files))
    for check in machine.disk(course):
        assert check.state == state
        assert f", {files:,} files" in check.found
        assert ("make room where" in check.todo) is (state != "good")


def test_the_disk_of_temporary_files_is_looked_at_without_a_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**29))
    check = only(machine.disk(None))
    assert check.found == "free for temporary files: 512 MB", "this file system has no fixed number of files"
    assert "let TMPDIR name another folder" in check.todo


def test_too_little_memory_for_all_jobs_is_weak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{9 * 2**30}\n")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    check = only(machine.memory(limits=(str(limit), str(tmp_path / "none"))))
    assert check.state == "weak"
    assert check.found.endswith(" GB, and 4 sandboxes side by side may take 4 GB each")
    assert "run 'proctor grade NAME --jobs " in check.todo
    limit.write_text("max\n")
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * 2**30))
    assert only(machine.memory(limits=(str(limit),))).state == "good"


def test_a_disk_with_another_clock_is_weak(monkeypatch: pytest.MonkeyPatch, course: Course) -> None:
    assert only(machine.clock(course)).state == "good"
    now = machine.time.time() + 3600
    monkeypatch.setattr(machine.time, "time", lambda: now)
    check = only(machine.clock(course))
    assert check.state == "weak"
    assert f"a file written now in '{course.root}' carries a time 3600 s away" in check.found
    assert "timedatectl" in check.todo


def test_data_that_is_found_is_named_and_the_rest_is_a_fallback(tmp_path: Path) -> None:
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    empty = only(machine.data({"DESCENT_DATA": str(tmp_path)}))
    assert empty.state == "weak"
    assert "holds none" in empty.found
    assert "lay it out as torchvision does" in empty.todo
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").touch()
    check = only(machine.data({"DESCENT_DATA": str(tmp_path)}))
    assert check.state == "good"
    assert check.found.startswith(f"MNIST in '{tmp_path}'; the embedded data, a fallback, for CIFAR-10, ")


def test_a_folder_of_data_that_is_not_there_is_bad(tmp_path: Path) -> None:
    check = only(machine.data({"DESCENT_DATA": str(tmp_path / "gone")}))
    assert (check.state, check.found) == ("bad", f"DESCENT_DATA names '{tmp_path / 'gone'}', which is no folder")


def test_without_a_named_folder_the_embedded_data_stands_in(tmp_path: Path) -> None:
    (tmp_path / "descent" / "shakespeare").mkdir(parents=True)
    (tmp_path / "descent" / "shakespeare" / "input.txt").touch()
    check = only(machine.data({"XDG_CACHE_HOME": str(tmp_path)}))
    assert check.state == "good"
    assert "a fallback" in check.found
    assert f"no sandbox shows the cache '{tmp_path / 'descent'}' with Tiny Shakespeare" in check.found


def test_the_layout_of_data_is_that_of_the_package() -> None:
    from descent.data.images import _CIFAR10, _MNIST
    from descent.data.text import _SHAKESPEARE

    assert {each.title: each.path for each in (_MNIST, _CIFAR10, _SHAKESPEARE)} == machine.SETS
