"""Grade nbgrader courses with tests that students can neither see nor fool."""

__version__ = "0.1.0"
