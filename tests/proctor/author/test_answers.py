"""What `answers.md` says, and each rule about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proctor.author import read_answers
from proctor.errors import AuthoringError

WRONG = "## Wrong: forgets the bias\nloses: forward-values\nsays: is the bias added\n"
LAST = "        return dz * x\nsteepest = 3\n```\n"

# rule, what is replaced, by what, the line that is blamed, words of the message
CHANGES = [
    (
        "answers-title",
        "# Answers: dense",
        "# Answers: conv",
        "# Answers: conv",
        "write one line '# Answers: dense', at the top",
    ),
    ("answers-title", "# Answers: dense\n", "", "", "there is no title"),
    ("answers-title", LAST, f"{LAST}\n# More\n", "# More", "the title is 'More'"),
    (
        "answer-heading",
        "## Right: the long way",
        "## Correct: the long way",
        "## Correct",
        "'Correct: the long way' heads no answer",
    ),
    ("answer-heading", "## Right: the long way", "### Right: the long way", "### Right", "write '## Wrong: title' or"),
    (
        "answer-heading",
        "What students get wrong.",
        "```{code-cell} forward\na = 1\n```",
        "```{code-cell} forward\na",
        "the cell belongs to no answer",
    ),
    (
        "answer-key",
        "loses: forward-values",
        "loses forward-values",
        "loses forward",
        "'loses forward-values' is no line of an answer",
    ),
    (
        "answer-key",
        "says: is",
        "say: is",
        "say: is",
        "'say: is the bias added' is no line of an answer; did you mean 'says'?",
    ),
    ("answer-key", "says: is", "says: no\nsays: is", "says: is", "stands twice"),
    ("answer-key", LAST, f"{LAST}differs: late\n", "differs: late", "below the heading and above the cells"),
    (
        "answer-key",
        "differs: it does not, but a row may say so",
        "differs:",
        "## Wrong: forgets",
        "'differs:' gives no reason",
    ),
    (
        "answer-wrong",
        "loses: forward-values\n",
        "",
        "## Wrong: forgets",
        "the wrong answer has no 'loses:'; name the tests",
    ),
    (
        "answer-wrong",
        "says: is the bias added\n",
        "",
        "## Wrong: forgets",
        "the wrong answer has no 'says:'; quote what",
    ),
    (
        "answer-right",
        "## Right: the long way\n",
        "## Right: the long way\nloses: forward-values\n",
        "## Right",
        "has 'loses:'",
    ),
    (
        "answer-right",
        "## Right: the long way\n",
        "## Right: the long way\nsays: no\n",
        "## Right",
        "has 'says:'; delete it",
    ),
    (
        "answer-loses",
        "loses: forward-values",
        "loses: forward-value",
        "## Wrong: forgets",
        "'forward-value' is no cell; did you mean 'forward-values'?",
    ),
    ("answer-loses", "loses: forward-values", "loses: why-bias", "## Wrong: forgets", "'why-bias' is a written cell"),
    (
        "answer-loses",
        "loses: forward-values",
        "loses: forward-values, forward-values",
        "## Wrong",
        "names a test twice",
    ),
    (
        "answer-title",
        "## Right: the long way",
        "## Right: forgets the bias",
        "## Right",
        "is also the answer at line 5",
    ),
    (
        "answer-cell",
        "```{code-cell} backward",
        "```{code-cell} back",
        "```{code-cell} back",
        "'back' is no solution cell; did you mean 'backward'?",
    ),
    (
        "answer-cell",
        "```{code-cell} backward",
        "```{code-cell} demo",
        "```{code-cell} demo",
        "'demo' is no solution cell",
    ),
    (
        "answer-cell",
        "```{code-cell} backward",
        "```{code-cell} forward",
        "```{code-cell} forward\nclass",
        "'forward' is replaced above already",
    ),
    ("answer-cell", LAST, f"{LAST}\n## Right: none\n", "## Right: none", "'none' has no cell"),
    (
        "syntax",
        "    return z + b",
        "    return (z + b",
        "    return (z",
        "the answer is not Python: '(' was never closed",
    ),
    (
        "syntax",
        "    return z + b",
        "    return z + b\nreturn",
        "\nreturn",
        "the answer is not Python: 'return' outside function",
    ),
    (
        "same-as-reference",
        "    return x * w\n",
        "    'Words.'\n    return x * w + b  # words\n",
        "```{code-cell} forward\n",
        "the answer for 'forward' is the reference itself",
    ),
    ("unclosed-fence", LAST, LAST[:-4], "```{code-cell} backward", "the fence is never closed"),
]


@pytest.mark.parametrize(("rule", "old", "new", "blamed", "words"), CHANGES)
def test_each_broken_rule_is_named_with_its_line(
    desk: Any, rule: str, old: str, new: str, blamed: str, words: str
) -> None:
    text = desk.change(desk.answers, old, new)
    line = text[: text.index(blamed)].count("\n") + 1 + blamed.startswith("\n")
    found = desk.problems_of_answers(text)
    assert any((each.rule, each.line) == (rule, line) and words in str(each) for each in found), (line, found)


def test_rows_say_what_they_replace_and_what_that_costs(desk: Any) -> None:
    wrong, right = desk.read_answers()
    assert (wrong.kind, wrong.title, wrong.line) == ("wrong", "forgets the bias", 5)
    assert (wrong.loses, wrong.says) == (("forward-values",), "is the bias added")
    assert wrong.differs == "it does not, but a row may say so"
    assert wrong.replaces == {"forward": "def dense(x, w, b):\n    return x * w"}
    assert (right.kind, right.title, right.loses, right.says, right.differs) == ("right", "the long way", (), "", "")
    assert list(right.replaces) == ["forward", "backward"]


def test_all_problems_come_at_once(desk: Any) -> None:
    text = desk.change(desk.answers, WRONG, "## Wrong: forgets the bias\nloses: nothing\n")
    text = desk.change(text, "## Right: the long way", "## Left: the long way")
    assert [problem.rule for problem in desk.problems_of_answers(text)] == [
        "answer-loses",
        "answer-wrong",
        "answer-heading",
    ]


def test_a_missing_file_is_named(desk: Any, tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match=r"1: missing-file: '.*answers\.md' cannot be opened; write answers\.md"):
        read_answers(tmp_path, desk.read())


def test_a_file_without_rows_is_refused(desk: Any) -> None:
    (problem,) = desk.problems_of_answers("# Answers: dense\n")
    assert (problem.rule, problem.what) == ("answer-heading", "there are no answers")
