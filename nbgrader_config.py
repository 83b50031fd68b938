"""The course for nbgrader, with proctor plugged in; read by every `nbgrader` command and by the formgrader.

Works by hand from this folder: nbgrader generate_assignment, autograde, generate_feedback, export, formgrader.
"""

from pathlib import Path

from nbgrader import preprocessors as stock

from proctor.author import NameOpenTasks
from proctor.autograde import install

c = get_config()  # noqa: F821 - traitlets puts it there

c.CourseDirectory.course_id = "graded-descent"
c.CourseDirectory.root = str(Path(__file__).resolve().parent)

# As nbgrader has it, but each stub names its open task.
c.GenerateAssignment.preprocessors = [
    stock.IncludeHeaderFooter,
    stock.InstantiateTests,
    stock.LockCells,
    NameOpenTasks,
    stock.ClearOutput,
    stock.CheckCellMetadata,
    stock.ComputeChecksums,
    stock.SaveCells,
    stock.ClearHiddenTests,
    stock.ClearMarkScheme,
    stock.ComputeChecksums,
    stock.CheckCellMetadata,
]

# `nbgrader autograde`, the formgrader's button and nbgrader's API grade as `proctor grade` does.
install()
