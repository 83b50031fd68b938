"""What student code can read, write, call and reach where Landlock holds it."""

from __future__ import annotations

import ast
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from proctor.rooms import furnished, open_room
from proctor.sandbox import Caps, landlock

from .conftest import HELPERS, needs_landlock

pytestmark = needs_landlock
MIB = 2**20
SMALL = Caps(open_files=60, file_size=2 * MIB, scratch=64 * MIB, processes=40)
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def asked(run: Run) -> Callable[..., str]:
    """Run a cell in a student's process; return what it prints."""

    def ask(source: str, *, files: Path | None = None, caps: Caps = SMALL) -> str:
        async def answer() -> str:
            async with open_room(furnished(["import json"], files=files), caps=caps, rung="landlock") as (_, keeper):
                session = await keeper.session()
                ended, outputs = await session.run_cell(keeper, "look", HELPERS + source, limit=30)
                await session.channel.close()
                assert ended == "well", outputs
                return "".join(str(each.get("text")) for each in outputs).strip()

        return str(run(answer()))

    return ask


def test_neither_the_course_nor_a_home_can_be_read(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "gradebook.db").write_text("secret", encoding="utf-8")
    closed = [str(tmp_path / "gradebook.db"), __file__, "/etc/passwd", "/etc/machine-id", "/proc/self/environ"]
    assert asked(f"print({{refused(open, path) for path in {closed}}})") == "{'EACCES'}"
    closed = [str(tmp_path), "/", "/home", "/root", "/tmp", "/proc", "/sys", "/run", "/dev", "/etc", "/var"]
    closed = [path for path in closed if Path(path).is_dir()]
    assert asked(f"print({{refused(os.listdir, path) for path in {closed}}})") == "{'EACCES'}"


def test_the_working_folder_a_home_and_a_temporary_folder_are_the_only_places_to_write(asked: Any) -> None:
    source = """
for folder in (".", os.environ["HOME"], tempfile.gettempdir()):
    with open(f"{folder}/new", "w") as file:
        file.write("x")
    os.mkdir(f"{folder}/below")
    os.rename(f"{folder}/new", f"{folder}/below/old")
    os.symlink("old", f"{folder}/below/link")
    print(open(f"{folder}/below/link").read(), end="")
places = ["/tmp", "/var/tmp", "/dev/shm", "/usr", "/etc", sys.prefix, os.environ["PROCTOR_SITE"], ".."]
print({refused(open, f"{place}/proctor-test-new", "w") for place in places})
"""
    assert asked(source) == "xxx{'EACCES'}"


def test_files_of_the_assignment_are_copies(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("1,2", encoding="utf-8")
    assert asked("print(open('numbers.csv').read()); open('numbers.csv', 'w').close()", files=tmp_path) == "1,2"
    assert (tmp_path / "numbers.csv").read_text(encoding="utf-8") == "1,2"


def test_no_device_but_the_harmless_ones_is_there(asked: Any) -> None:
    source = """
print(len(os.urandom(4)), open("/dev/null", "w").write("x"), open("/dev/zero", "rb").read(2))
import stat
makes = lambda kind: refused(os.mknod, f"./device-{kind}", kind | 0o600, os.makedev(1, 3))
print({makes(stat.S_IFBLK), makes(stat.S_IFCHR), refused(open, "/dev/tty"), refused(os.openpty)} <= {"EACCES", "EPERM"})
"""
    assert asked(source).splitlines() == ["4 1 b'\\x00\\x00'", "True"]


def test_no_process_can_be_seen_or_signalled(asked: Any) -> None:
    source = f"""
others = [1, os.getppid(), {os.getpid()}]
print({{refused(os.kill, pid, number) for pid in others for number in (0, 9)}}, end=" ")
print({{refused(open, f"/proc/{{pid}}/stat") for pid in others + [os.getpid()]}})
print({{refused(resource.prlimit, pid, resource.RLIMIT_CPU, (1, 1)) for pid in others}}, end=" ")
print({{refused(os.sched_setaffinity, pid, [0]) for pid in others}}, end=" ")
print({{refused(os.setpriority, os.PRIO_PROCESS, pid, 19) for pid in others}}, end=" ")
print(refused(os.setpriority, os.PRIO_USER, 0, 19))
"""
    assert asked(source).splitlines() == ["{'EPERM'} {'EACCES'}", "{'EPERM'} {'EPERM'} {'EPERM'} EPERM"]


def test_its_own_processes_can_be_started_and_signalled(asked: Any) -> None:
    source = """
import signal, subprocess
pid = os.fork()
if not pid:
    signal.pause()
os.kill(pid, 9)
print(os.waitpid(pid, 0)[1], subprocess.run(["echo", "well"], capture_output=True).stdout, os.nice(1) - os.nice(0))
os.sched_setaffinity(0, os.sched_getaffinity(0))
"""
    assert asked(source) == "9 b'well\\n' 0"


def test_there_are_no_sockets_but_pairs_of_its_own(asked: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "service")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.bind(path)
        source = f"""
kinds = [(family, kind) for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK)
         for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)]
print({{refused(socket.socket, *each) for each in kinds}}, end=" ")
print({{refused(socket.socketpair, socket.AF_UNIX, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW)}}, end=" ")
ours, theirs = socket.socketpair()
ours.sendall(b"well")
print(theirs.recv(9), refused(ours.connect, {path!r}), refused(ours.bind, {path!r} + "2"))
"""
        assert asked(source) == "{'EPERM'} {'EPERM'} b'well' EPERM EPERM"


@pytest.mark.parametrize(
    "called",
    [
        "'shmget', 1, 4096, 0o1600",
        "'semget', 1, 1, 0o1600",
        "'msgget', 1, 0o1600",
        "'mq_open', b'/test', 0o102, 0o600, None",
        "'unshare', 0x10000000",
        "'ptrace', 0, 0, 0, 0",
        "'inotify_init'",
        "'memfd_create', b'x', 0",
        "'mount', b'none', b'/tmp', b'tmpfs', 0, None",
        "'setgroups', 0, None",
        "'setuid', 1",
        "'syscall', 469, -100, b'.', None, 0, 0",  # file_setattr, which libraries have no name for yet
    ],
)
def test_calls_that_reach_further_are_refused(asked: Any, called: str) -> None:
    assert asked(f"print(call({called}))") in ("EPERM", "ENOSYS")


def test_shared_memory_and_semaphores_are_refused(asked: Any) -> None:
    source = """
import multiprocessing
from multiprocessing import shared_memory
print(refused(shared_memory.SharedMemory, "proctor-test", True, 10), refused(multiprocessing.Lock))
"""
    assert asked(source) == "EACCES EACCES"


def test_modes_owners_and_dates_stay_as_they_are(asked: Any, tmp_path: Path) -> None:
    path = tmp_path / "grades"
    path.write_text("x", encoding="utf-8")
    before = path.stat()
    source = f"""
import shutil
path = {str(path)!r}
print([refused(os.chmod, path, 0), refused(os.chown, path, 1, 1), refused(os.utime, path, (1, 1))])
print(refused(os.setxattr, path, "user.x", b"1"))
open("own", "w").write("y")
shutil.copy("own", "copy")
shutil.copytree(".", tempfile.gettempdir() + "/all")
print(sorted(os.listdir(".")))
"""
    assert asked(source).splitlines() == ["['', '', '']", "", "['copy', 'own']"]
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before.st_mode, before.st_uid, before.st_mtime)
    assert os.listxattr(path) == []


def test_it_has_no_powers_and_can_get_none(asked: Any) -> None:
    source = """
class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))
sets = (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(ctypes.byref(Header(0x20080522, 0)), sets)
print(list(sets), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))
"""
    assert asked(source) == "[0, 0, 0, 0, 0, 0] 1"


def test_files_are_limited_in_size_and_number(asked: Any) -> None:
    source = """
with open("large", "wb") as file:
    print(refused(file.write, b"x" * (3 << 20)), os.path.getsize("large") >> 20)
files = []
print(refused(lambda: [files.append(open("/dev/null")) for _ in range(100)]))
"""
    assert asked(source).splitlines() == ["EFBIG 2", "EMFILE"]


def test_what_writes_too_much_is_killed_and_its_files_go(run: Run) -> None:
    fills = """
import tempfile
files = [open(f"{tempfile.gettempdir()}/{number}", "wb") for number in range(64)]
while True:
    for file in files:
        try:
            file.write(b"x" * (1 << 20)), file.flush()
        except OSError:
            pass
"""
    caps = Caps(scratch=16 * MIB, file_size=2 * MIB)

    async def go() -> str:
        async with open_room(furnished([]), caps=caps, rung="landlock") as (room, keeper):
            session = await keeper.session()
            with pytest.raises(Exception, match="the process has ended"):
                await session.run_cell(keeper, "fills", fills, limit=60)
            assert room.killed == ("it wrote more than 16 MB to disk",)
            await session.channel.close()
            again = await keeper.session()
            _, outputs = await again.run_cell(
                keeper, "looks", "import os, tempfile\nprint(os.listdir(tempfile.gettempdir()))", limit=30
            )
            await again.channel.close()
            return str(outputs[0]["text"])

    left = ast.literal_eval(run(go()))
    assert not {str(number) for number in range(64)} & set(left)


def test_when_the_grader_is_killed_nothing_of_a_student_s_lives_on(run: Run, gone: Callable[[int], bool]) -> None:
    stays = """
import os, signal
for number in range(1, 65):
    if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
        signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    while True:
        signal.pause()
"""

    async def go() -> list[int]:
        async with open_room(furnished([]), caps=SMALL, rung="landlock") as (room, keeper):
            session = await keeper.session()
            await session.run_cell(keeper, "stays", stays, limit=30)
            assert room._process is not None
            below = psutil.Process(room._process.pid).children(recursive=True)
            assert len(below) == 2
            await session.channel.close()
            room.control.shutdown(socket.SHUT_RDWR)  # as the kernel does for a grader that is no more
            assert all(gone(each.pid) for each in below)
            return [each.pid for each in below]

    assert run(go())


def test_the_folder_goes_with_the_room(asked: Any) -> None:
    folder = Path(asked("print(os.getcwd())")).parent
    assert folder.name.startswith("proctor-room-")
    assert not folder.exists()


def test_root_becomes_a_stranger_where_a_stranger_could_read_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = landlock.Place(packages=(tmp_path,))
    monkeypatch.setattr(landlock, "shown", lambda *_: ["/usr/lib"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert landlock._stranger([sys.executable], place, Path("/tmp/room")) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    place = landlock.Place(packages=(Path("/usr/share"),))
    uid = landlock._stranger([sys.executable], place, Path("/tmp/room"))
    assert uid is not None
    assert uid >= landlock.FIRST_UID
    closed = tmp_path / "closed"
    (closed / "package").mkdir(parents=True)
    closed.chmod(0o700)
    place = landlock.Place(packages=(closed / "package",))
    assert landlock._stranger([sys.executable], place, Path("/tmp/room")) is None
