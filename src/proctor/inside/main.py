"""The first process in the sandbox: starts the student's processes, and never runs a line of theirs.

Started as a file, with the descriptor of its socket as the only argument. As process 1 of its own process namespace
no signal of a student's reaches it, and when it ends all others end with it.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location


def main() -> None:
    """Serve the socket until the other end is closed."""
    _find_inside()
    from inside import keeper  # type: ignore[import-not-found]  # mypy knows it as proctor.inside

    sys.path[:0] = [site for site in [os.environ.get("PROCTOR_SITE", "")] if site]
    sys.path.append(os.getcwd())  # noqa: PTH109 - the assignment's own modules; last, so that they hide none
    keeper.serve(int(sys.argv[1]))


def _find_inside() -> None:
    """Make the folder of this file a package; the one above it is not to be looked into."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs 10 ms here
    file = os.path.join(folder, "__init__.py")  # noqa: PTH118
    spec = spec_from_file_location("inside", file, submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise ImportError(file)
    sys.modules["inside"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["inside"])


if __name__ == "__main__":
    main()
