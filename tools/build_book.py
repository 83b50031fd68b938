"""Execute and build the book into `_build/html`, doing only what changed.

Three things that `jupyter-book build` does not do by itself:

- Outputs of executed cells are cached by their code alone. Here the cache also depends on what the code ran on
  (data sets and measurements found, packages, `descent`, Python), so that `DESCENT_DATA=… make book` runs the chapters
  again.
- Chapters run side by side, one on each core (`run_chapters.py`).
- Nothing changed means nothing to do. Anything changed means every page is read and written again (seconds, with the
  cells cached): Sphinx says the warnings of a page only when it reads it, so a second build would pass without them,
  and it copies a changed style sheet only when some page is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
HTML = BUILD / "html"
STATE = BUILD / "book-state.txt"  # what the last good build was made of: ran-on key, then text key
JUPYTER_BOOK = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
PAGES = ("_config.yml", "_toc.yml", "index.md", "notation.md", "glossary.md", "references.bib", "package-lock.json")
FOLDERS = (
    "pages",
    "chapters",
    "release",
    "_ext",
    "_vendor",
    "benchmarks/results",
    "tools/build_book.py",
    "tools/run_chapters.py",
    "_build/student",
)


def files_below(names: Iterable[str]) -> list[Path]:
    """Return the files of these names, and all files below those that are folders, in a fixed order."""
    found: list[Path] = []
    for name in names:
        path = ROOT / name
        found.extend(sorted(path.rglob("*")) if path.is_dir() else [path])
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def digest(parts: Iterable[bytes]) -> str:
    """Return a short digest of these parts in this order."""
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def of_files(paths: Iterable[Path]) -> str:
    """Return a digest of names and contents."""
    return digest(part for path in paths for part in (str(path.relative_to(ROOT)).encode(), path.read_bytes()))


def data_found() -> list[bytes]:
    """Return what the data folder holds, by name and size: contents are checked when they are loaded."""
    folder = os.environ.get("DESCENT_DATA")
    if not folder:
        return []
    root = Path(folder).expanduser()
    if not root.is_dir():
        sys.exit(
            f"make book: there is no folder {str(root)!r}\n  where:  DESCENT_DATA\n"
            "  to do:  name the folder that holds the data sets, or unset DESCENT_DATA to use the embedded ones"
        )
    return [
        f"{path.relative_to(root)} {path.stat().st_size}".encode() for path in sorted(root.rglob("*")) if path.is_file()
    ]


def ran_on() -> str:
    """Return the key of everything besides its own code that an executed cell depends on."""
    settings = [f"{name}={os.environ.get(name, '')}".encode() for name in ("DESCENT_DEVICE", "DESCENT_DOWNLOAD")]
    code = of_files(files_below(["src/descent", "requirements.txt", "chapters/gradient-atlas.json"]))
    return digest([sys.version.encode(), code.encode(), *settings, *data_found()])


def chapters() -> list[Path]:
    """Return the chapters of the table of contents."""
    named = re.findall(r"file: *(chapters/\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [ROOT / f"{name}.md" for name in named]


def build(cache: Path) -> int:
    """Run the chapters, several at once, and then Jupyter Book; return its exit status."""
    run = [sys.executable, str(ROOT / "tools" / "run_chapters.py"), str(cache), *map(str, chapters())]
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", "--all", "-W", "-n", "--keep-going", str(ROOT)]
    environment = {
        "OMP_NUM_THREADS": "1",  # small networks: on a busy machine two threads wait for each other, many times slower
        **os.environ,
        "BOOK_CACHE": str(cache),
        "DESCENT_QUIET": "1",  # no notices and no progress bars on a page
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # ipykernel's debugger warns on stderr otherwise
    }
    if "DESCENT_DATA" in environment:  # cells run in their page's folder
        environment["DESCENT_DATA"] = str(Path(environment["DESCENT_DATA"]).expanduser().resolve())
    subprocess.run(run, cwd=ROOT, env=environment, check=False)  # what fails there fails again below, and is told
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    """Build the book if anything it is made of changed; return the exit status."""
    key, text = ran_on(), of_files(files_below([*PAGES, *FOLDERS]))
    before = STATE.read_text(encoding="utf-8").split() if STATE.is_file() else ["", ""]
    if before == [key, text] and (HTML / "index.html").is_file():
        print("book: nothing changed since the last build of _build/html")
        return 0
    STATE.unlink(missing_ok=True)
    status = build(BUILD / ".jupyter_cache" / key)
    if status:
        print("make book: the book was not built: every warning above is an error", file=sys.stderr)
        print("  to do:  mend the first one and run `make book` again; executed cells are kept", file=sys.stderr)
        return status
    STATE.write_text(f"{key} {text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
