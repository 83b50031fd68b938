"""Make `.venv` and `node_modules` as the locks say, or say in one message why not.

Runs under whatever `python3` the machine has, before anything is installed: so no import beyond the standard
library and no syntax newer than Python 3.5, because the first thing to say clearly is "this Python is too old".
The last step writes `.venv/.ready`; without that file the folder is half made and is made again.
"""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
READY = os.path.join(VENV, ".ready")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
OLDEST, NEWEST = (3, 11), (3, 13)
ROOM = 9  # GB; the packages take 7, most of it PyTorch with CUDA, and unpacking needs some more


def refusal(what, where, todo):
    """Print one message in three parts and return what ends the script with status 1."""
    sys.stderr.write("make: {}\n  where:  {}\n  to do:  {}\n".format(what, where, todo))
    return SystemExit(1)


def version_of(command):
    """Return (major, minor) of a Python command, or None if it does not run."""
    code = "import sys; print('%d %d' % sys.version_info[:2])"
    try:
        answer = subprocess.check_output([command, "-c", code], stderr=subprocess.DEVNULL)
        return tuple(int(part) for part in answer.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def find_python():
    """Return the command of a Python that the course supports: the one in use if it will do."""
    names = [sys.executable] + ["python3.%d" % minor for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    for name in names:
        version = version_of(name)
        if version and OLDEST <= version <= NEWEST:
            return name
    raise refusal(
        "Python 3.{} to 3.{} is needed, and this is {}.{}".format(OLDEST[1], NEWEST[1], *sys.version_info[:2]),
        sys.executable,
        "install one of them and run `make` again, or name it: `make PYTHON=/path/to/python3.12`",
    )


def check_room():
    """Stop if the disk cannot hold the packages."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < ROOM:
        raise refusal(
            "{:.1f} GB are free and the packages need about {}".format(free, ROOM),
            ROOT,
            "free some space, or clone to a larger disk, and run `make` again: it goes on from here",
        )


def run(command, failed):
    """Run one command of the set-up; if it fails, say which step it was and what usually helps."""
    environment = dict(os.environ, PATH=BIN + os.pathsep + os.environ.get("PATH", ""))
    try:
        subprocess.check_call(command, cwd=ROOT, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        full = shutil.disk_usage(ROOT).free < 2e8
        raise refusal(
            failed + (": the disk is full" if full else ""),
            "{} ({})".format(" ".join(os.path.basename(part) for part in command[:3]), error),
            "free some space and run `make` again"
            if full
            else "the lines above say why; if they speak of connections or find no version, check the network to the "
            "package registries (PyPI and npm), then run `make` again: it starts this step afresh",
        ) from None


def make_venv():
    """Create `.venv`, from nothing if an earlier run did not finish it."""
    fresh = not (os.path.exists(READY) and version_of(PYTHON))
    if os.path.exists(READY):
        os.remove(READY)
    if not fresh:
        return
    check_room()
    python = find_python()
    if subprocess.call([python, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL):
        raise refusal(
            "this Python has no `venv` module",
            python,
            "install it (Debian and Ubuntu, as root: `apt install python3-venv`) and run `make` again",
        )
    print("setup: making .venv with {}".format(python))
    sys.stdout.flush()
    run([python, "-m", "venv", "--clear", VENV], "the folder .venv could not be made")


def main():
    """Install what the locks name and mark the folder as ready."""
    make_venv()
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    print("setup: installing the locked packages; the first time this takes some minutes and about 7 GB")
    sys.stdout.flush()
    run(pip + ["--require-hashes", "-r", "requirements.txt"], "the packages could not be installed")
    run(pip + ["--no-deps", "--no-build-isolation", "-e", "."], "the course itself could not be installed")
    run([os.path.join(BIN, "npm"), "ci", "--silent"], "the packages from npm could not be installed")
    with open(READY, "w") as mark:
        mark.write("made by tools/set_up.py\n")
    print("setup: ready")


if __name__ == "__main__":
    main()
