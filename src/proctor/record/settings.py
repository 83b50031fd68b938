"""What the course's `nbgrader_config.py` says, read as nbgrader reads it."""

from __future__ import annotations

from pathlib import Path

from jupyter_core.paths import jupyter_config_path
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from proctor.course import CONFIG, Course
from proctor.errors import CourseError

__all__ = ["converter", "read_config"]


def read_config(course: Course) -> Config:
    """Return nbgrader's configuration: that of the machine and of the user, then that of the course.

    Raises:
        CourseError: a configuration file cannot be read.
    """
    config = Config()
    for folder in [*reversed(jupyter_config_path()), str(course.root)]:
        if not Path(folder, CONFIG).is_file():
            continue
        try:
            config.merge(PyFileConfigLoader(CONFIG, path=folder).load_config())
        except Exception as error:  # the file is a program and may raise anything
            raise CourseError(
                f"nbgrader's configuration cannot be read: {type(error).__name__}: {error}",
                where=f"'{Path(folder, CONFIG)}'",
                todo="correct the file; 'nbgrader list' shows whether nbgrader can read it",
            ) from error
    return config


def converter(course: Course, config: Config) -> Autograde:
    """Return nbgrader's autograder, of which only the settings and the file modes are used; it runs nothing here."""
    folders = CourseDirectory(config=config)
    folders.root = str(course.root)
    return Autograde(coursedir=folders, config=config)
