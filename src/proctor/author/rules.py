"""The rules that an assignment keeps, one line each, and the collector of what breaks them.

A rule's name stands in every message, so that an author can look it up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from proctor.errors import AuthoringError
from proctor.model import Problem

__all__ = ["RULES", "Findings", "near"]

RULES: Mapping[str, str] = {
    # the file
    "missing-file": "the folder NAME holds NAME.md and answers.md",
    "unreadable-file": "files are UTF-8 text",
    "front-matter": "the file opens with the front matter of a MyST notebook for the kernel python3",
    "title": "the file has one heading of level 1, above everything else",
    "unclosed-fence": "every fence is closed",
    "unknown-fence": "a fence in braces that looks like `{code-cell}` is spelt so",
    "nested-cell": "cells stand at the margin, not in a list, a quote or an indented block",
    "cell-language": "code cells are `{code-cell} ipython3`",
    "empty-cell": "every named cell holds something",
    "opening-cell": "the first code cell is the locked cell `opening`, which imports what the notebook needs",
    # keys
    "key-form": "keys stand right below the fence, one `:key: value` to a line; a question's keys are one JSON object",
    "unknown-key": "a code cell has the keys name, tests, points and slow; a question has name and points",
    "repeated-key": "a key stands once in a cell",
    "missing-name": "every code cell and every question has a name",
    "name-form": "names are lowercase words and digits joined by single dashes",
    "duplicate-name": "no two cells share a name",
    "points-form": "points are a number from 0 to 1000",
    "missing-points": "every test and every question has points",
    "points-without-tests": "a code cell with points says what it tests",
    "test-without-tests": "a code cell with hidden tests says what it tests",
    "tests-form": "`:tests:` lists different names, with commas between",
    "unknown-cell": "names of cells refer to cells that exist",
    "tests-no-solution": "tests judge solution cells",
    "tests-below": "a test stands below what it tests",
    "slow-form": "`:slow:` is true or not there",
    "slow-place": "only tests are slow",
    # markers
    "marker-form": "a marker is exactly `### BEGIN SOLUTION` (or END, or HIDDEN TESTS) on a line of its own",
    "marker-place": "solution markers stand in solution cells and questions, hidden tests in tests",
    "marker-order": "regions are opened, closed, and do not overlap",
    "empty-region": "a region holds at least one statement",
    "nbgrader-word": "no cell holds words that nbgrader itself acts upon",
    "release-syntax": "what students receive is correct Python",
    # code
    "syntax": "code is correct Python; given and solution cells may hold magics",
    "suspect-code": "code compiles without a warning",
    "magic-in-test": "tests are plain Python",
    "star-import": "imports name what they import",
    "name-before-use": "a name is bound before a cell reads it; what a test binds, no other cell sees",
    # tasks
    "task-heading": "a task is a heading of level 2 that ends in `(N points)`",
    "duplicate-task": "no two tasks share a title",
    "task-points": "the points of a task are the sum of its cells",
    "outside-task": "tests and questions stand below a task's heading",
    "heading-in-question": "a question ends, with `+++`, before the next heading",
    "rubric-missing": "there is a table with the columns Task and Points",
    "rubric-twice": "there is one rubric table",
    "rubric-row": "the rubric has one row for each task, with the heading's words",
    "rubric-points": "the rubric's points are those of the headings",
    "rubric-order": "the rubric lists the tasks in their order",
    "rubric-total": "the rubric's last row is the total",
    # tests
    "cannot-fail": "a test asserts something",
    "assert-message": "every assert says what is wrong",
    "forgotten-assert": "a test does not throw a comparison's result away",
    "value-at-end": "a test does not end in a value, which nbgrader would read as a score",
    "reads-nothing": "a test reads something that the student wrote",
    "rebinds": "tests bind names of their own, so that they leave no trace in the student's notebook",
    "dynamic-names": "tests bind and read names in the open",
    "await-in-test": "tests do not wait with await",
    "global-setting": "a test changes no setting of a whole process",
    # with student:
    "student-name": "`student` is imported in the opening cell and used for nothing but `with student:`",
    "block-form": "a block is exactly `with student:`",
    "block-place": "a block stands in a test, at its top level or in its for, if, try or with",
    "block-jump": "a block has no jump, deletion or global declaration that reaches out of it",
    "block-judges": "a block compares nothing; asserts and checks stand outside",
    "block-around": "what stands around a block holds for both processes",
    "foreign-exception": "around a block, tests expect built-in exceptions, which cross as what they are",
    "secret-in-block": "a block does not read `seed`, which the student's code could then know",
    "outside-block": "with blocks or hidden tests, the student's names are read in blocks only",
    "judge-cannot-see": "outside blocks, a test reads its own names and the opening cell's",
    "changes-outer": "a block changes nothing that was made outside it",
    "changes-between": "what a block made, and a later block reads, is not changed in between",
    "cannot-cross": "a block reads plain data, arrays and tensors from outside it",
    "stays-inside": "what is read outside a block came back by plain assignment, as plain data",
    "lost-in-crossing": "outside a block, nothing is asked of a value that its copy cannot answer",
    # answers.md
    "answers-title": "answers.md opens with `# Answers: NAME`",
    "answer-heading": "each row is a heading `## Wrong: title` or `## Right: title`",
    "answer-key": "a row has the lines loses, says and differs, once each, above its cells",
    "answer-wrong": "a wrong answer says what it loses and what the student reads",
    "answer-right": "a right answer loses nothing and says nothing",
    "answer-loses": "`loses:` lists different test cells",
    "answer-title": "no two rows share a title",
    "answer-cell": "a row has at least one cell, each replaces one solution cell, and none twice",
    "same-as-reference": "an answer differs from the reference",
}


class Findings:
    """Collects problems in one file, to raise them all at once."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)
        self._problems: set[Problem] = set()

    def add(self, line: int, rule: str, what: str, todo: str) -> None:
        """Note a problem; the same one twice counts once."""
        assert rule in RULES, rule
        self._problems.add(Problem(self.file, line, rule, what, todo))

    def has(self, lines: Iterable[int]) -> bool:
        """Return whether any problem stands on these lines."""
        return not {problem.line for problem in self._problems}.isdisjoint(lines)

    def settle(self) -> None:
        """Raise AuthoringError with every problem, in the order of the file; do nothing if there is none."""
        if self._problems:
            raise AuthoringError(sorted(self._problems, key=lambda problem: (problem.line, problem.rule, problem.what)))


def near(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'forward'?" for a near miss, otherwise nothing."""
    spelt = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(word.lower(), spelt, n=1)
    return f"; did you mean '{spelt[close[0]]}'?" if close else ""
