"""Every error that `proctor` raises on purpose.

    ProctorError
    ├── AuthoringError      an assignment file breaks the grammar; carries every problem found
    ├── CourseError         the course folder, its configuration or its gradebook is not usable
    ├── SubmissionError     what a student handed in cannot be judged
    └── EngineError         our own fault: a kernel, a process or a disk failed; never costs a student points

Each message says what happened, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.model import Problem

__all__ = ["AuthoringError", "CourseError", "EngineError", "ProctorError", "SubmissionError"]


class ProctorError(Exception):
    """An error with three parts, printed one to a line.

    Args:
        what: what happened, in a few words.
        where: file, line, cell or student.
        todo: what the reader of the message can do about it.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)  # the one positional argument, so that the error can be pickled between processes

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.todo:
            lines.append(f"  to do:  {self.todo}")
        return "\n".join(lines)


class AuthoringError(ProctorError):
    """An assignment file breaks the grammar.

    Args:
        problems: every problem found, in the order of the file; never empty.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the assignment:\n{listing}")


class CourseError(ProctorError):
    """The course folder, its configuration or its gradebook is not usable."""


class SubmissionError(ProctorError):
    """What a student handed in cannot be judged; the submission is kept and marked as not judged."""


class EngineError(ProctorError):
    """Our own fault; the submission is not judged and may be tried again."""
