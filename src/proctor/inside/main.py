"""The first process in the sandbox: starts the student's processes, and never runs a line of theirs.

Started as a file, with the descriptor of its socket as the only argument. As process 1 of its own process namespace
no signal of a student's reaches it, and when it ends all others end with it.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Serve the socket until the other end is closed."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs 10 ms here
    sys.path.insert(0, os.path.dirname(folder))  # noqa: PTH120
    from inside import keeper  # type: ignore[import-not-found]  # mypy knows it as proctor.inside

    del sys.path[0]
    sys.path[:0] = [site for site in [os.environ.get("PROCTOR_SITE", "")] if site]
    sys.path.append(os.getcwd())  # noqa: PTH109 - the assignment's own modules; last, so that they hide none
    keeper.serve(int(sys.argv[1]))


if __name__ == "__main__":
    main()
