"""What `nbgrader_config.py` plugs into nbgrader's own autograde.

They act the same whether `nbgrader autograde` is typed by hand, started by `proctor` or by the formgrader's button.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import DeduplicateIds, Execute, NbGraderPreprocessor
from nbgrader.utils import is_grade, is_locked
from traitlets import default

from proctor.course import Course, secret_seed

__all__ = ["CalmTests", "OrdinaryCopies", "SeededExecute"]

GIVEN_LIMIT = 120  # s for one cell of the instructor's own; importing torch took 12 on a machine that was busy


class OrdinaryCopies(DeduplicateIds):  # type: ignore[misc]  # nbgrader is untyped
    """Make a copied test cell an ordinary cell of the student's, which is run and not graded.

    nbgrader 0.9.6 leaves an empty `nbgrader` entry in its metadata, and stops at it when it looks for missing cells.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Take the entry away where nbgrader emptied it."""
        cell, resources = super().preprocess_cell(cell, resources, index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


class SeededExecute(Execute):  # type: ignore[misc]  # nbgrader is untyped
    """Run a submission with the assignment's secret seed in its kernel's environment, as `DESCENT_SEED`.

    What the instructor wrote to be run first is not on the student's clock: it imports torch, perhaps from a cold disk.
    nbgrader's own environment stays as it is, so that the formgrader's server never carries one assignment's seed
    into another.
    """

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any], km: Any = None
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Look up the seed, then run the notebook.

        Raises:
            CourseError: `proctor release` never drew a seed for this assignment.
        """
        course = Course(Path.cwd())  # nbgrader changes to the course's folder before it converts anything
        self._seed = secret_seed(course, resources["nbgrader"]["assignment"])
        with tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True) as folder:
            self._sockets = f"{folder}/kernel"
            ran: tuple[NotebookNode, dict[str, Any]] = super().preprocess(nb, resources, km)
        return ran

    @default("timeout_func")
    def _limit_by_cell(self) -> Callable[[NotebookNode], int]:
        return lambda cell: max(self.timeout, GIVEN_LIMIT) if is_locked(cell) and not is_grade(cell) else self.timeout

    def start_new_kernel(self, **options: Any) -> None:
        """Start the kernel with the seed, and meet it in a folder: another may take a port that was found free."""
        if sys.platform != "win32":
            self.km.transport, self.km.ip = "ipc", self._sockets
        super().start_new_kernel(env={**os.environ, "DESCENT_SEED": str(self._seed)}, **options)


class CalmTests(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader is untyped
    """Show what a test cell wrote to stderr as ordinary output: a warning or a progress bar costs no points."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], _index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Rename the stream in graded code; errors stay errors."""
        if cell.cell_type == "code" and is_grade(cell):
            for output in cell.outputs:
                if output.output_type == "stream":
                    output.name = "stdout"
        return cell, resources
