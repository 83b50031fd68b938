"""Run the notebooks that have changed, as many at once as there are cores, into the cache that the build reads.

    python tools/run_chapters.py CACHE NOTEBOOK…

The build itself runs one chapter after the other, and most of its time goes there.
What fails here is left out of the cache: the build runs it again and says what is wrong, where it says all that is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

READER = {"name": "myst_nb_md", "type": "plugin"}  # as the build reads a notebook
CONFIG = Path(__file__).resolve().parent.parent / "_config.yml"


def run(cache_folder: Path, notebooks: Sequence[Path]) -> list[Path]:
    """Run what the cache does not hold; return what was run without an error."""
    cache = get_cache(str(cache_folder))
    paths = [str(notebook.resolve()) for notebook in notebooks]
    records = [cache.add_nb_to_project(path, read_data=READER) for path in paths]
    logger = logging.getLogger(__name__)
    logger.setLevel(logging.WARNING)
    limit = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["execute"]["timeout"]  # s for a cell
    executor = load_executor("local-parallel", cache, logger)
    done = executor.run_and_cache(filter_pks=[record.pk for record in records], timeout=limit)
    return [Path(path) for path in done.succeeded]


if __name__ == "__main__":
    run(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
