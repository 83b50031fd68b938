"""nbgrader's ClearSolutions, with stubs that say which task is open."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions
from nbgrader.utils import is_grade, is_solution

from proctor.author.markers import regions
from proctor.author.student_view import open_question, open_task_stub
from proctor.model import Cell

__all__ = ["NameOpenTasks"]


class NameOpenTasks(ClearSolutions):  # type: ignore[misc]  # nbgrader is untyped
    """Takes the place of `ClearSolutions` among the preprocessors of `GenerateAssignment`.

    Where the original writes `# YOUR CODE HERE`, this writes a line that names the task; and where it would replace a
    whole written question, this keeps the question. Other cells it leaves to the original.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], cell_index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Open one cell for an answer; raise RuntimeError for a solution in a cell that is not marked as one."""
        if (
            is_solution(cell)
            and cell.cell_type == "code"
            and resources["language"] == "python"
            and regions(cell.source)
        ):
            name = cell.metadata.nbgrader.grade_id
            cell.source = open_task_stub(Cell("solution", cell.source, 1, name))
        elif is_solution(cell) and is_grade(cell) and cell.cell_type == "markdown":
            cell.source = open_question(cell.source)
        else:
            cell, resources = super().preprocess_cell(cell, resources, cell_index)
        return cell, resources
