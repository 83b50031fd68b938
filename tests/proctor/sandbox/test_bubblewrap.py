"""What a program in the sandbox can see, write and call. In both forms, which must hold the same."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox import Caps, Place
from proctor.sandbox.bubblewrap import is_open_to_all, shown

from .conftest import CAPS, NOWHERE, Open, needs_bubblewrap

pytestmark = needs_bubblewrap
MIB = 2**20
SMALL = Caps(open_files=40, file_size=2 * MIB, scratch=4 * MIB, shared_memory=3 * MIB, processes=20)


@pytest.fixture
def asked(run: Any, enter: Open, form: str) -> Any:  # noqa: ARG001 - set for the room
    """Open a room, run some lines in it, and return the answer."""

    def ask(source: str, place: Place = NOWHERE, caps: Caps = CAPS) -> Any:
        async def answer() -> Any:
            async with enter(place, caps) as opened:
                return await opened.ask(source)

        return run(answer())

    return ask


def test_the_program_is_process_1_and_nobody_in_particular(asked: Any) -> None:
    status = asked("answer = dict(line.split(':', 1) for line in open('/proc/self/status'))")
    assert status["Pid"].split() == ["1"]
    assert "0" not in status["Uid"].split() + status["Gid"].split()
    assert not status["Groups"].strip()
    assert {status[f"Cap{kind}"].strip("\t\n0") for kind in ("Inh", "Prm", "Eff", "Amb")} == {""}
    assert status["NoNewPrivs"].split() == ["1"]
    assert status["Seccomp"].split() == ["2"]


def test_only_its_own_processes_are_seen(asked: Any) -> None:
    assert asked("answer = [name for name in os.listdir('/proc') if name.isdecimal()]") == ["1"]


def test_nothing_of_ours_is_there(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "gradebook.db").write_text("secret")
    root = Path(__file__).parents[3]
    absent = [str(tmp_path), str(root / "src" / "proctor" / "errors.py"), str(root / "tests"), "/home", "/run", "/sys"]
    assert asked(f"answer = [path for path in {absent} if os.path.exists(path)]") == []
    assert asked("answer = os.path.isdir('/root') and [n for n in os.listdir('/root') if n != '.pyenv']") in (False, [])
    top = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "site", "tmp", "usr", "work"}
    own = {Path(path).parts[1] for path in shown([sys.executable], Place())} | {"workdir"}
    assert set(asked("answer = os.listdir('/')")) <= top | own


def test_the_files_that_name_users_and_hosts_are_not_this_machine_s(asked: Any) -> None:
    assert asked("answer = open('/etc/passwd').read().count('\\n')") == 2
    assert asked("import pwd; answer = pwd.getpwuid(os.getuid()).pw_name") == "student"
    assert asked("answer = os.uname().nodename") == "student"
    assert asked("answer = refused(open, '/etc/machine-id')") == "ENOENT"


def test_the_environment_is_clean(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen = asked("answer = dict(os.environ)", Place(environment={"MPLBACKEND": "Agg"}))
    assert "secret" not in seen.values()
    assert seen["MPLBACKEND"] == "Agg"
    assert set(seen) <= {
        *("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "PWD", "PROCTOR_SITE", "PYTHONDONTWRITEBYTECODE"),
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MPLBACKEND"),
    }
    assert asked("answer = [os.path.isdir(os.environ[name]) for name in ('HOME', 'TMPDIR')]") == [True, True]


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("folder", ["/", "/etc", "/usr", "/dev", "/site", sys.prefix, sys.base_prefix])
def test_the_system_and_this_python_are_read_only(asked: Any, folder: str) -> None:
    assert asked(f"answer = refused(open, {folder!r} + '/new', 'w')") in ("EROFS", "EACCES")


def test_what_can_be_written_is_capped(asked: Any) -> None:
    for folder, most in (("/tmp", SMALL.scratch), ("/dev/shm", SMALL.shared_memory), (".", SMALL.scratch)):
        full, why = asked(f"answer = fill({folder!r})", caps=SMALL)
        assert why == "ENOSPC"
        assert 0 < full <= most


def test_the_devices_are_few_and_none_can_be_made(asked: Any) -> None:
    assert asked("answer = [os.path.exists('/dev/' + name) for name in ('null', 'urandom', 'vda', 'mem')]") == [
        *(True, True, False, False)
    ]
    assert asked("import stat; answer = refused(os.mknod, '/tmp/disk', stat.S_IFBLK | 0o600, os.makedev(254, 0))") == (
        "EPERM"
    )


def test_a_file_has_a_largest_size(asked: Any) -> None:
    assert asked("answer = fill('.', 3 << 20)", caps=SMALL) == [SMALL.file_size, "EFBIG"]


def test_open_files_are_capped(asked: Any) -> None:
    source = """
files = []
answer = refused(lambda: [files.append(open('/dev/null')) for _ in range(100)])
files.clear()
"""
    assert asked(source, caps=SMALL) == "EMFILE"


def test_no_core_is_dumped(asked: Any) -> None:
    assert asked("import resource; answer = resource.getrlimit(resource.RLIMIT_CORE)") == [0, 0]


@pytest.mark.parametrize(
    "start", ["child(lambda: None)", "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"]
)
def test_a_bomb_of_processes_or_threads_stops_at_the_cap(run: Any, enter: Open, start: str) -> None:
    source = f"""
count = 0
try:
    while count < 300:
        {start}
        count += 1
except (OSError, RuntimeError) as error:
    answer = [count, type(error).__name__]
"""

    async def bomb() -> None:
        async with enter(caps=SMALL) as opened:
            count, why = await opened.ask(source)
            assert count < SMALL.processes
            assert why in ("BlockingIOError", "RuntimeError")
            assert await opened.ask("answer = 1 + 1") == 2, "the program itself is untouched"

    run(bomb())


def test_there_is_no_network(asked: Any) -> None:
    families = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK")
    assert asked(f"answer = [refused(socket.socket, getattr(socket, name)) for name in {families}]") == ["EPERM"] * 5
    assert asked("answer = [name for _, name in socket.if_nameindex()]") in (
        ["lo"],
        "PermissionError(1, 'Operation not permitted')",
    )
    assert asked("answer = len(socket.socketpair())") == 2


def test_an_abstract_socket_outside_cannot_be_reached(asked: Any) -> None:
    name = f"\0proctor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as outside, socket.socket(socket.AF_UNIX) as neighbour:
        outside.bind(name)
        outside.listen()
        neighbour.connect(name)
        assert asked(f"answer = refused(socket.socket(socket.AF_UNIX).connect, {name!r})") == "ECONNREFUSED"


NEW_USER, NEW_NETWORK, FORKED = 0x10000000, 0x40000000, 17


@pytest.mark.parametrize(
    "called",
    [
        "call('ptrace', 16, os.getppid() or 1, 0, 0)",
        f"call('unshare', {NEW_USER})",
        f"call('unshare', {NEW_NETWORK})",
        f"call('syscall', 56 if os.uname().machine == 'x86_64' else 220, {NEW_USER | FORKED}, 0, 0, 0, 0)",
        "call('setns', 0, 0)",
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "call('umount2', b'/tmp', 2)",
        "call('personality', 0x0040000)",
        "call('syscall', 425, 1, None)",
        "call('syscall', 442, -1, b'/', 0, None, 0)",
        "call('process_vm_readv', 1, None, 0, None, 0, 0)",
        "call('shmget', 0, 4096, 0o1600)",
        "refused(__import__('fcntl').ioctl, 0, 0x5412, b'x')",
        "refused(os.chroot, '/tmp')",
    ],
)
def test_calls_that_no_student_needs_are_refused(asked: Any, called: str) -> None:
    assert asked(f"answer = {called}") == "EPERM"


def test_memory_that_nobody_counts_is_said_not_to_exist(asked: Any) -> None:
    assert asked("answer = [refused(os.memfd_create, 'x'), call('syscall', 435, None, 0)]") == ["ENOSYS", "ENOSYS"]


def test_work_is_copied_and_the_original_stays_as_it_is(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "data" / "empty").mkdir(parents=True)
    (tmp_path / "data" / "numbers.csv").write_text("1,2\n")
    source = """
answer = [open("data/numbers.csv").read(), os.listdir("data/empty")]
open("data/numbers.csv", "w").write("changed")
os.remove("data/numbers.csv")
open("data/empty/new", "w").write("new")
"""
    assert asked(source, Place(work=tmp_path)) == ["1,2\n", []]
    assert (tmp_path / "data" / "numbers.csv").read_text() == "1,2\n"
    assert list((tmp_path / "data" / "empty").iterdir()) == []


def test_links_and_pipes_in_the_work_are_left_out(asked: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    work = tmp_path / "work"
    work.mkdir()
    (work / "file").symlink_to(secret / "key")
    (work / "folder").symlink_to(secret)
    (work / "plain").write_text("plain")
    os.mkfifo(work / "pipe")
    assert asked("answer = [name for name in os.listdir('.')]", Place(work=work)) == ["plain"]


def test_packages_are_found_through_the_site_and_cannot_be_changed(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "coursekit").mkdir()
    (tmp_path / "coursekit" / "__init__.py").write_text("answer = 42")
    (tmp_path / "single.py").write_text("answer = 43")
    place = Place(packages=(tmp_path / "coursekit", tmp_path / "single.py"))
    source = """
sys.path.insert(0, os.environ["PROCTOR_SITE"])
import coursekit, single
answer = coursekit.answer, single.answer
"""
    assert asked(source, place) == [42, 43]
    write = "answer = refused(open, os.environ['PROCTOR_SITE'] + '/coursekit/__init__.py', 'w')"
    assert asked(write, place) in ("EROFS", "EACCES")


def test_data_sets_are_read_in_place(asked: Any, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "digits.csv").write_text("0")
    (tmp_path / "beside").write_text("secret")
    source = f"answer = [open({str(folder / 'digits.csv')!r}).read(), os.path.exists({str(tmp_path / 'beside')!r})]"
    assert asked(source, Place(readable=(folder,))) == ["0", False]
    assert asked(f"answer = refused(open, {str(folder / 'new')!r}, 'w')", Place(readable=(folder,))) in (
        "EROFS",
        "EACCES",
    )


def test_only_what_is_open_to_all_can_be_read_by_a_user_who_owns_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "module.py").write_text("")
    (tmp_path / "module.py").chmod(0o644)
    assert is_open_to_all(tmp_path)
    (tmp_path / "module.py").chmod(0o600)
    assert not is_open_to_all(tmp_path)
    (tmp_path / "module.py").unlink()
    tmp_path.chmod(0o744)
    assert not is_open_to_all(tmp_path)
    assert not is_open_to_all(tmp_path / "missing")


def test_a_path_below_another_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    paths = shown([sys.executable], Place(readable=(tmp_path / "inner", tmp_path)))
    assert str(tmp_path) in paths
    assert str(tmp_path / "inner") not in paths
