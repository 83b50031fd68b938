"""nbgrader's own `autograde` with our stages inside: the command, the formgrader's button and the API alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any, NoReturn, cast

import nbgrader.apps.api
import nbgrader.apps.autogradeapp
import nbgrader.converters
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
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
        folders = sorted(Path(path) for path in glob(pattern) if Path(path).is_dir())  # noqa: PTH207 - skips hidden ones
        excluded = set(filter(None, self.coursedir.student_id_exclude.split(",")))
        self.assignments: dict[str, list[str]] = {str(path): [] for path in folders if path.parent.name not in excluded}
        if not self.assignments:
            self._refuse(f"No submissions were matched by '{pattern}'")

    def convert_notebooks(self) -> None:
        """Grade all that was found; raise NbGraderException in the end if any could not be judged."""
        course = self._course()
        self._refuse_strangers()
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
            self._refuse(
                f"{len(lost)} not judged: {', '.join(lost)}; the log above says why, and nobody has a zero for it"
            )

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
        """Return the course; what proctor does otherwise than it is told would be a surprise, and is refused."""
        usual = CourseDirectory(root=self.coursedir.root)
        for name in (*(f"{step}_directory" for step in FOLDERS), "directory_structure", "db_url"):
            if getattr(self.coursedir, name) != getattr(usual, name):
                self._refuse(
                    f"CourseDirectory.{name} is not {getattr(usual, name)!r}: proctor knows nbgrader's own only"
                )
        if self.coursedir.notebook_id != "*":
            self._refuse("CourseDirectory.notebook_id is set: proctor grades all notebooks of a submission together")
        if self.config.Execute.get("enabled", True) is False:
            self._refuse("Execute.enabled is False: points would rest on outputs that students can write themselves")
        if self.pre_convert_hook or self.post_convert_hook:
            self._refuse("a convert hook is set: proctor converts nothing, and calls none")
        return Course(Path(self.coursedir.root).resolve())

    def _refuse_strangers(self) -> None:
        """Refuse students whom the gradebook does not know, where they are not to be added."""
        if self.create_student:
            return
        with Gradebook(self.coursedir.db_url, self.coursedir.course_id) as gradebook:
            known = {student.id for student in gradebook.students}
        for student in (Path(folder).parent.name for folder in self.assignments):
            if student not in known:
                self._refuse(f"No student with ID '{student}' exists in the database")

    def _refuse(self, message: str) -> NoReturn:
        self.log.error(message)
        raise NbGraderException(message)


def _in_thread(work: Callable[[], Coroutine[Any, Any, tuple[Result, ...]]]) -> tuple[Result, ...]:
    """Run in an event loop of its own: the formgrader's server is inside one already. An interrupt ends it too."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    done: Future[tuple[Result, ...]] = Future()

    async def task() -> tuple[Result, ...]:
        begun.set_result((asyncio.get_running_loop(), cast(asyncio.Task[Any], asyncio.current_task())))
        return await work()

    def call() -> None:
        try:
            done.set_result(asyncio.run(task()))
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        return done.result()
    except KeyboardInterrupt:
        loop, running = begun.result()
        loop.call_soon_threadsafe(running.cancel)
        raise
    finally:
        thread.join()


def install() -> None:
    """Put `SealedAutograde` wherever nbgrader looks for `Autograde`; called by `nbgrader_config.py`."""
    for module in (nbgrader.converters, nbgrader.apps.api, nbgrader.apps.autogradeapp):
        module.Autograde = SealedAutograde
