"""The judge: runs hidden tests in a process that the student's code never sees."""

from proctor.judge.process import Judge
from proctor.judge.split import hides, is_sealed
from proctor.judge.trial import Said, Trial, points

__all__ = ["Judge", "Said", "Trial", "hides", "is_sealed", "points"]
