"""The sandbox as an ordinary user has it: when the tests run as root, everything is done again as nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import proctor

PYTHON = "/usr/bin/python3"  # this one may stand below a folder that only root may enter
NOBODY = "65534"

SCRIPT = '''
import asyncio, json, sys
from dataclasses import asdict
from pathlib import Path

from proctor.sandbox import Caps, Place, room, rung_here

MEASURES = {
    "pid": "os.getpid()",
    "uid": "os.getuid()",
    "capabilities": "[l.split()[1].strip('0') for l in open('/proc/self/status') if l[:6] in ('CapEff', 'CapPrm')]",
    "home": "os.path.exists('/home')",
    "folder": "os.path.exists(FOLDER + '/secret')",
    "work": "open('numbers.csv').read()",
    "network": "refused(socket.socket, socket.AF_INET)",
    "namespace": "call('unshare', 0x10000000)",
    "mount": "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "usr": "refused(open, '/usr/new', 'w')",
    "root": "refused(open, '/new', 'w')",
    "space": "fill('/tmp')[1]",
    "bomb": "refused(lambda: [child(lambda: None) for _ in range(100)])",
}
HOG = "answer = os.waitstatus_to_exitcode(os.waitpid(child(hog), 0)[1])"
HIDDEN = """
def hog():
    call("prctl", 4, 0, 0, 0, 0)
    return bytearray(b"x") * (400 << 20)
"""

async def main(folder):
    here = rung_here()
    found = {"rung": asdict(here)}
    if here:
        caps = Caps(memory=200 << 20, scratch=4 << 20, processes=20)
        program = [sys.executable, "-I", "-B", folder + "/program/main.py"]
        async with room(program, Place(work=Path(folder, "work")), caps, rung="bubblewrap") as opened:
            opened.control.settimeout(30)
            stream = opened.control.makefile("rw")
            def ask(source):
                print(json.dumps(source), file=stream, flush=True)
                return json.loads(stream.readline())
            for name, source in MEASURES.items():
                found[name] = ask(f"FOLDER = {folder!r}; answer = {source}")
            ask("os.kill(-1, 9)\\nwhile True: os.wait()")  # until there is none
            found["hog"] = await asyncio.to_thread(ask, HIDDEN + HOG)
            found["killed"] = opened.killed
            found["alive"] = opened.alive
            stream.close()
    print(json.dumps(found))

asyncio.run(main(sys.argv[1]))
'''


@pytest.fixture
def folder(program: Path) -> Iterator[Path]:
    """A folder that nobody may read, with all that is needed."""
    with tempfile.TemporaryDirectory(prefix="proctor-test-") as path:
        folder = Path(path)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(proctor.__file__).parent, folder / "site" / "proctor", ignore=ignore)
        shutil.copytree(Path(psutil.__file__).parent, folder / "site" / "psutil", ignore=ignore)
        shutil.copytree(program.parent, folder / "program")
        (folder / "work").mkdir()
        (folder / "work" / "numbers.csv").write_text("1,2")
        (folder / "secret").write_text("secret")
        (folder / "script.py").write_text(SCRIPT)
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o755)
        yield folder


@pytest.fixture
def found(folder: Path) -> dict[str, Any]:
    """What the script finds out as nobody."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("all other tests here run as an ordinary user already")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", PYTHON, "-B"]
    if not shutil.which("setpriv") or not Path(PYTHON).exists():
        pytest.skip(f"needs setpriv and {PYTHON}")
    done = subprocess.run(
        [*command, str(folder / "script.py"), str(folder)],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "site")},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    if not answer["rung"]["name"]:
        pytest.skip(f"no sandbox for an ordinary user here: {answer['rung']['why']}")
    return answer


def test_an_ordinary_user_gets_the_same_sandbox(found: dict[str, Any]) -> None:
    rung = found.pop("rung")
    assert (rung["name"], rung["form"]) == ("bubblewrap", "user namespace")
    assert found == {
        "pid": 1,
        "uid": 1000,
        "capabilities": ["", ""],
        "home": False,
        "folder": False,
        "work": "1,2",
        "network": "EPERM",
        "namespace": "EPERM",
        "mount": "EPERM",
        "usr": "EROFS",
        "root": "EROFS",
        "space": "ENOSPC",
        "bomb": "EAGAIN",
        "hog": -9,
        "killed": ["it used more than 200 MB of memory"],
        "alive": True,
    }
    assert not [process for process in psutil.process_iter() if process.uids().real == int(NOBODY)]
