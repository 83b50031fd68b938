"""Build the students' wheel, `graded_descent-VERSION-py3-none-any.whl`, into `_build/student`, if it changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "descent"
TARGET = ROOT / "_build" / "student"
STATE = TARGET / ".state"  # digest of what the wheel was made of


def source_digest() -> str:
    """Return a digest of the package's files."""
    total = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def main() -> int:
    """Build the wheel beside the old one, then replace it."""
    digest = source_digest()
    if STATE.is_file() and STATE.read_text(encoding="utf-8") == digest and any(TARGET.glob("*.whl")):
        return 0
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as fresh:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        made = subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-w", fresh, str(SOURCE)], check=False)
        if made.returncode:
            print("make assignments: the students' wheel was not built", file=sys.stderr)
            print("  where:  src/descent\n  to do:  the lines above say why; mend it and run again", file=sys.stderr)
            return made.returncode
        for old in TARGET.glob("*.whl"):
            old.unlink()
        for wheel in Path(fresh).glob("*.whl"):
            wheel.replace(TARGET / wheel.name)
            print(f"wheel: {(TARGET / wheel.name).relative_to(ROOT)}")
    STATE.write_text(digest, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
