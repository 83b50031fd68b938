"""Theft: hidden tests, expected values, other people's files, and what a run leaves behind."""

from __future__ import annotations

from .course import IN_BLOCK, SECRETS
from .entry import Attack, adds

__all__ = ["ATTACKS"]

# The words that are looked for, written backwards: what a thief prints of them would be a find.
WORDS = f"WORDS = [word[::-1] for word in {[word[::-1] for word in (*SECRETS, IN_BLOCK)]!r}]\n"

MEMORY = """
import gc, linecache, sys, threading, traceback

found = set()

def look(value):
    if type(value) is str:
        found.update(word for word in WORDS if word in value and value is not word)

for value in [*In, *map(str, Out.values()), *map(str, linecache.cache.values())]:
    look(value)
for frame in sys._current_frames().values():
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_code.co_consts, *frame.f_code.co_names]:
            look(value)
        frame = frame.f_back
for holder in gc.get_objects():
    for value in gc.get_referents(holder):
        look(value)
print("found:", sorted(found))
"""

PROCESSES = (
    WORDS
    + """
import os

found, opened = set(), set()

def look(pid, data):
    found.update((pid, word) for word in WORDS if word.encode() in data)

for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
    for name in ("environ", "cmdline", "maps", "mountinfo", "status"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                look(pid, file.read())
        except OSError:
            pass
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "r+b", 0) as memory:
            opened.add(pid)
            for line in maps if pid != os.getpid() else ():
                if " rw-p " in line and pid == 1:
                    start, end = (int(text, 16) for text in line.split()[0].split("-"))
                    memory.seek(start)
                    look(pid, memory.read(min(end - start, 1 << 24)))
    except OSError:
        pass
print("found:", sorted(found), "keeper opened:", 1 in opened)
"""
)

FILES = (
    WORDS
    + """
import os, sys

names = {"gradebook.db", "seeds.json", "nbgrader_config.py", "source", "submitted", "autograded", ".ssh", "records"}
skipped = {"/proc", "/sys", "/usr", sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)}
found = set()
for folder, folders, files in os.walk("/"):
    found.update(os.path.join(folder, name) for name in names & {*folders, *files})
    folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
    for name in files:
        path = os.path.join(folder, name)
        try:
            data = open(path, "rb").read(1 << 20) if os.path.isfile(path) else b""
        except OSError:
            continue
        found.update((path, word) for word in WORDS if word.encode() in data)
print("found:", sorted(map(str, found)))
print("homes:", [os.path.exists(path) for path in ("/home", "/root/.ssh", "/var/lib", "/run", "/etc/shadow")])
"""
)

PATHS = """\
import os

print(open("/proc/self/mountinfo").read())
print(open("/proc/self/cgroup").read(), open("/proc/self/status").read(), open("/proc/1/cmdline").read())
print(dict(os.environ), os.getcwd(), os.listdir("."), os.listdir("/"), os.listdir("/site"))
for descriptor in os.listdir("/proc/self/fd"):
    try:
        print(descriptor, os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        pass
"""

# Gathers the text of the block that calls it: from its code, and from what runs the code.
TEXT = """\
import os, sys

def text():
    frame, seen = sys._getframe(2), []
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_code.co_names, *frame.f_code.co_consts]:
            seen += value.values() if type(value) is dict else [value]
        frame = frame.f_back
    return " ".join(each for each in seen if type(each) is str and "double(" in each and "def" not in each)
"""

STOLEN = "os.path.join(tempfile.gettempdir(), 'stolen')"

KEEPS = """\
{TEXT}
import tempfile

def double(x):
    if x not in (0, 3):
        with open({STOLEN}, "a") as file:
            file.write(text())
    return 2 * x
"""

PRINTS = f"""\
import os, tempfile

print("stolen:", open({STOLEN}).read() if os.path.exists({STOLEN}) else "nothing")
"""

DAEMON = f"""\
import subprocess, sys

subprocess.Popen(
    [
        sys.executable,
        "-c",
        "import os, sys, tempfile, time\\n"
        "proctor_threat_daemon = 1\\n"
        "while True:\\n"
        "    if os.path.exists({STOLEN}):\\n"
        "        os.write(1, open({STOLEN}, 'rb').read())\\n"
        "        os.unlink({STOLEN})\\n"
        "    time.sleep(0.01)",
    ],
    start_new_session=True,
)
"""

THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"

IN_MEMORY = [
    Attack(
        "memory",
        row="hidden values in memory",
        does="looks for hidden lines in the history, in all frames and in everything the collector knows",
        added={"": WORDS + MEMORY},
        shows=["found: []"],
    ),
    Attack(
        "memory-in-a-test",
        row="hidden values in memory",
        does="does so from within a hidden test, where only the block's own text is found, and tells by a wrong answer",
        cells={
            "double": WORDS
            + "def look_everywhere():\n"
            + "".join(f"    {line}\n" for line in MEMORY.splitlines())
            + "    return found\n\n"
            "def double(x):\n"
            f"    return 2 * x if look_everywhere() <= {{{IN_BLOCK[::-1]!r}[::-1]}} else None"
        },
    ),
    Attack(
        "processes",
        row="hidden values in memory",
        does="reads environment, arguments and memory of every process that it sees",
        added={"": PROCESSES},
        shows=["found: [] keeper opened: False"],
        on_landlock={"shows": ["Permission denied: '/proc'"]},
    ),
    Attack(
        "block-to-file",
        row="hidden values in memory",
        does="writes a hidden block's text to a file and prints it in a later cell",
        cells={"double": KEEPS.replace("{TEXT}", TEXT).replace("{STOLEN}", STOLEN)},
        added={"": PRINTS},
        shows=["stolen: nothing"],
    ),
    Attack(
        "block-to-replay",
        row="hidden values in memory",
        does="keeps a thread alive, so that its cells run again after the hidden test, and print what it wrote",
        cells={"double": THREAD + KEEPS.replace("{TEXT}", TEXT).replace("{STOLEN}", STOLEN)},
        added={"": PRINTS},
        shows=["stolen: nothing"],
    ),
    Attack(
        "block-to-daemon",
        row="hidden values in memory",
        does="has a process wait for the block's text, to print it whenever it comes",
        cells={"double": DAEMON + KEEPS.replace("{TEXT}", TEXT).replace("{STOLEN}", STOLEN)},
        added={"": PRINTS},
        shows=["stolen: nothing"],
    ),
    Attack(
        "block-to-exception",
        row="hidden values in messages",
        does="raises the hidden block's text as an exception",
        cells={
            "double": f"{TEXT}\ndef double(x):\n    if x not in (0, 3):\n        raise ValueError(text())\n"
            "    return 2 * x\n"
        },
        loses={"double-hidden": "failed: ValueError: "},
        blind="a hidden test shows 120 characters of what the student's code raises",
    ),
    Attack(
        "block-to-another-test",
        row="hidden values in messages",
        does="writes a hidden block's text to a file and raises it in the visible part of the next test",
        cells={
            "double": KEEPS.replace("{TEXT}", TEXT).replace("{STOLEN}", STOLEN),
            "add": f"def add(x, y):\n    raise ValueError('stolen: ' + open({STOLEN}).read())",
        },
        loses=adds("failed: ValueError: stolen: "),
        blind="once a hidden block has run, a visible test too shows 120 characters and no more",
    ),
]

ON_DISK = [
    Attack(
        "files",
        row="files of the course",
        does="searches the whole file system for the course, keys and hidden words",
        added={"": FILES},
        shows=["found: []", "homes: [False, False, False, False, False]"],
        on_landlock={"shows": ["found: []"]},
    ),
    Attack(
        "paths",
        row="files of the course",
        does="prints all that says where it runs: mounts, environment, descriptors",
        added={"": PATHS},
    ),
    Attack(
        "network",
        row="files of the course",
        does="tries to reach anything outside: addresses, names, abstract sockets",
        added={
            "": "import socket, urllib.request\n\n"
            "tried = []\n"
            "for family, address in ((socket.AF_INET, ('127.0.0.1', 22)), (socket.AF_INET6, ('::1', 22)),\n"
            "                        (socket.AF_UNIX, '\\0dbus'), (socket.AF_UNIX, '/run/docker.sock')):\n"
            "    try:\n"
            "        socket.socket(family).connect(address)\n"
            "        tried.append('reached')\n"
            "    except OSError as error:\n"
            "        tried.append(error.strerror)\n"
            "print(tried)"
        },
        shows=[
            "'Operation not permitted', 'Operation not permitted', 'Connection refused', 'No such file or directory'"
        ],
        on_landlock={"shows": ["[" + ", ".join(["'Operation not permitted'"] * 4) + "]"]},
    ),
]

LEFT = [
    Attack(
        "left-a-leaves",
        row="leftovers",
        does="leaves files, daemons and shared memory behind, in every way it knows",
        added={
            "": f"{DAEMON}\n"
            "import mmap, os\n"
            "from multiprocessing import shared_memory\n\n"
            "for folder in ('/tmp', '/dev/shm', '.', '/var/tmp', os.path.expanduser('~'), '/'):\n"
            "    try:\n"
            "        open(os.path.join(folder, 'proctor-threat-left'), 'w').write('x')\n"
            "    except OSError:\n"
            "        pass\n"
            "kept = shared_memory.SharedMemory('proctor-threat-shared', create=True, size=100)\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        os.execvp('sleep', ['sleep', '31337.31337'])\n"
            "    os._exit(0)"
        },
    ),
    Attack(
        "left-b-looks",
        row="leftovers",
        does="looks for what the one before left behind",
        added={
            "": "import glob, os\n\n"
            "folders = ('/tmp', '/dev/shm', '/var/tmp', '.')\n"
            "found = [path for folder in folders for path in glob.glob(f'{folder}/*threat*')]\n"
            "for pid in filter(str.isdecimal, os.listdir('/proc')):\n"
            "    command = open(f'/proc/{pid}/cmdline').read()\n"
            "    found += [command] * ('31337' in command or 'proctor_threat' in command)\n"
            "print('found:', found)"
        },
        shows=["found: []"],
        on_landlock={"shows": ["Permission denied: '/proc'"]},
    ),
]

ATTACKS = [*IN_MEMORY, *ON_DISK, *LEFT]
