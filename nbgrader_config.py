"""The course for nbgrader, with proctor plugged in; read by every `nbgrader` command and by the formgrader.

Works by hand from this folder: nbgrader generate_assignment, autograde, generate_feedback, export, formgrader.
"""

from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader import preprocessors as stock

from proctor.author import NameOpenTasks
from proctor.plugin import CalmTests, OrdinaryCopies, SeededExecute

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

# As nbgrader has it, but a copied test cell does not end the run.
c.Autograde.sanitize_preprocessors = [
    stock.ClearOutput,
    OrdinaryCopies,
    stock.OverwriteKernelspec,
    stock.OverwriteCells,
    stock.CheckCellMetadata,
]

# As nbgrader has it, but the kernel knows the assignment's secret seed, and stderr costs no points.
c.Autograde.autograde_preprocessors = [
    SeededExecute,
    CalmTests,
    stock.IgnorePattern,
    ClearMetadataPreprocessor,
    stock.LimitOutput,
    stock.SaveAutoGrades,
    stock.AssignLatePenalties,
    stock.CheckCellMetadata,
]

c.Execute.timeout = 60  # s for one cell; the slowest reference cell may take 15
c.OverwriteCells.add_missing_cells = True  # a deleted test cell is put back and graded
