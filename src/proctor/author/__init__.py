"""From one authored text to an nbgrader assignment: `NAME.md` and `answers.md` in, notebooks out."""

from proctor.author.answers import read_answers
from proctor.author.assignment import read_assignment
from proctor.author.notebook import build_notebook, write_source
from proctor.author.reach import reached_tests, used_cells
from proctor.author.stubs import NameOpenTasks
from proctor.author.student_view import open_task_stub

__all__ = [
    "NameOpenTasks",
    "build_notebook",
    "open_task_stub",
    "reached_tests",
    "read_answers",
    "read_assignment",
    "used_cells",
    "write_source",
]
