"""The pages that students get back, written by nbgrader from the autograded notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log

from proctor.course import Course
from proctor.errors import EngineError
from proctor.gradebook import programs_first
from proctor.record import read_config

__all__ = ["write_feedback"]


def write_feedback(course: Course, assignment: str, students: Sequence[str]) -> None:
    """Write the feedback pages of students, in place of earlier ones.

    Raises:
        CourseError: nbgrader's configuration cannot be read.
        EngineError: nbgrader failed.
    """
    config = read_config(course)
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.assignment_id = assignment
    config.BaseConverter.force = True
    for student in students:
        config.CourseDirectory.student_id = student
        converter = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
        with programs_first():
            result = capture_log(converter)
        if not result["success"]:
            raise EngineError(
                "the feedback could not be written",
                where=f"student {student!r}: {str(result['error']).strip().splitlines()[-1]}",
                todo=f"run 'nbgrader generate_feedback {assignment} --force' to see all that it says",
            )
