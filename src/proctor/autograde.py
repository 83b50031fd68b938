"""nbgrader's own `autograde` with our stages inside: the command, the formgrader's button and the API alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import nbgrader.apps.api
import nbgrader.apps.autogradeapp
import nbgrader.converters
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from traitlets import Bool, Unicode

from proctor.course import Course
from proctor.errors import ProctorError
from proctor.plan import plan_for
from proctor.schedule import Result, grade_class

__all__ = ["SealedAutograde", "install"]

FOLDERS = ("source", "release", "submitted", "autograded", "feedback")


class SealedAutograde(Autograde):  # type: ignore[misc]  # nbgrader is untyped
    """Takes the place of nbgrader's `Autograde`: no file of a student's is copied, and no code of theirs runs here."""

    trusted = Bool(False, help="Run students' code without a sandbox where none can be had.").tag(config=True)
    device = Unicode("auto", help="Where models train: auto, cpu, cuda or cuda:1.").tag(config=True)

    def init_notebooks(self) -> None:
        """Find the submissions; what is in them is for intake to say."""
        pattern = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        folders = sorted(path for path in Path("/").glob(pattern.lstrip("/")) if path.is_dir())
        excluded = set(filter(None, self.coursedir.student_id_exclude.split(",")))
        self.assignments: dict[str, list[str]] = {str(path): [] for path in folders if path.parent.name not in excluded}
        if not self.assignments:
            message = f"No submissions were matched by '{pattern}'"
            self.log.error(message)
            raise NbGraderException(message)

    def convert_notebooks(self) -> None:
        """Grade all that was found; raise NbGraderException in the end if any could not be judged."""
        course = self._course()
        by_assignment: dict[str, list[str]] = {}
        for folder in map(Path, self.assignments):
            by_assignment.setdefault(folder.name, []).append(folder.parent.name)
        lost: list[str] = []
        for name, students in by_assignment.items():
            try:
                results = _in_thread(partial(self._grade, course, name, students))
            except ProctorError as error:
                self.log.error("%s", error)
                raise NbGraderException(str(error)) from error
            lost += [result.verdict.student for result in results if result.verdict.state == "not judged"]
        if lost:
            message = f"{len(lost)} not judged: {', '.join(lost)}; the log above says why, and nobody has a zero for it"
            self.log.error(message)
            raise NbGraderException(message)

    async def _grade(self, course: Course, name: str, students: list[str]) -> tuple[Result, ...]:
        plan = plan_for(course, name, device=self.device, trusted=self.trusted)
        return await grade_class(course, plan, students, jobs=1, force=self.force, tell=self._tell)

    def _tell(self, result: Result) -> None:
        verdict = result.verdict
        if verdict.state == "not judged":
            self.log.error("%s not judged: %s", verdict.student, verdict.reason)
        elif not result.graded:
            self.log.info("%s unchanged: %g of %g points", verdict.student, verdict.score, verdict.max_score)
        else:
            self.log.info("%s %s: %g of %g points", verdict.student, verdict.state, verdict.score, verdict.max_score)

    def _course(self) -> Course:
        """Return the course; its folders must have nbgrader's usual names, since ours are the same."""
        odd = [name for name in FOLDERS if getattr(self.coursedir, f"{name}_directory") != name]
        if odd:
            message = f"CourseDirectory.{odd[0]}_directory is not '{odd[0]}': proctor knows nbgrader's own names only"
            self.log.error(message)
            raise NbGraderException(message)
        return Course(Path(self.coursedir.root).resolve())


def _in_thread(work: Callable[[], Coroutine[Any, Any, tuple[Result, ...]]]) -> tuple[Result, ...]:
    """Run in an event loop of its own: the formgrader's server is inside one already."""
    done: list[tuple[Result, ...] | BaseException] = []

    def call() -> None:
        try:
            done.append(asyncio.run(work()))
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]


def install() -> None:
    """Put `SealedAutograde` wherever nbgrader looks for `Autograde`; called by `nbgrader_config.py`."""
    for module in (nbgrader.converters, nbgrader.apps.api, nbgrader.apps.autogradeapp):
        module.Autograde = SealedAutograde
