"""Record what was judged: the only writer of grades.

`record` writes `autograded/` and the gradebook, `Store` keeps the verdict itself, `take_back` leaves no half grade of
work that was not judged. Whatever comes from a student's process is cleaned on its way to a file.
"""

from __future__ import annotations

from proctor.record.notebook import autograded_notebook
from proctor.record.sanitize import clean_markdown, clean_outputs
from proctor.record.settings import read_config
from proctor.record.store import Kept, Store, verdict_from_json, verdict_to_json
from proctor.record.write import record, take_back

__all__ = [
    "Kept",
    "Store",
    "autograded_notebook",
    "clean_markdown",
    "clean_outputs",
    "read_config",
    "record",
    "take_back",
    "verdict_from_json",
    "verdict_to_json",
]
