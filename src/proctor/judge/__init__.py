"""The judge: runs hidden tests in a process that the student's code never sees."""

from proctor.judge.process import Judge
from proctor.judge.split import is_sealed
from proctor.judge.trial import Said, points

__all__ = ["Judge", "Said", "is_sealed", "points"]
