"""Each rule about the file, its keys, markers and tasks: one change to a good file, one problem with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proctor.author import read_assignment
from proctor.errors import AuthoringError

FRONT = "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
OPENING = "```{code-cell} ipython3\n:name: opening"
DEMO = "```{code-cell} ipython3\n:name: demo\n"
RUBRIC = "| Forward pass | one product | 3 |\n| Backward pass | one slope | 2.5 |\n| **Total** | | **5.5** |\n"

# rule, what is replaced, by what, the line that is blamed, words of the message
CHANGES = [
    ("front-matter", "    format_name: myst\n", "", "---", "'jupytext.text_representation.format_name' is None"),
    ("front-matter", "  name: python3", "  name: ir", "---", "'kernelspec.name' is 'ir', expected 'python3'"),
    ("front-matter", "  name: python3", "  name: [", "  name: [", "not YAML"),
    ("title", "# Dense layers\n", "", "---", "no heading of level 1"),
    ("title", "# Dense layers\n", "A word.\n\n# Dense layers\n", "# Dense layers", "not the first line"),
    ("title", "## Forward pass (3 points)", "# More\n\n## Forward pass (3 points)", "# More", "a second title"),
    (
        "unclosed-fence",
        'check_close(steep, 3.0, name="steepest")\nwith raises(TypeError):\n    with student:\n'
        '        layer.slope("x")\n```\n\n+++ {"name": "why-sum", "points": 1}\n\nWhy is there a sum?',
        "check_close(steep, 3.0, name='steepest')",
        "```{code-cell} ipython3\n:name: backward-values",
        "never closed",
    ),
    ("unknown-fence", DEMO, "```{code_cell} ipython3\n:name: demo\n", "```{code_cell} ipython3", "write '{code-cell}'"),
    (
        "nested-cell",
        "Now the other way.",
        "- Now\n  ```{code-cell} ipython3\n  a = 1\n  ```",
        "  ```{code-cell} ipython3",
        "indented",
    ),
    (
        "nested-cell",
        "Now the other way.",
        "Now\n\n    ```{code-cell} ipython3\n    a = 1\n    ```",
        "    ```{code-cell} ipython3",
        "indented",
    ),
    (
        "nested-cell",
        "Now the other way.",
        '> +++ {"name": "quoted", "points": 1}',
        '> +++ {"name": "quoted", "points": 1}',
        "indented",
    ),
    ("cell-language", DEMO, "```{code-cell} python\n:name: demo\n", "```{code-cell} python", "is 'python'"),
    ("empty-cell", "line = [dense(step, GAIN, 0.0) for step in range(3)]\n", "", DEMO, "'demo' is empty"),
    ("empty-cell", "Why is there a sum?\n", "", '+++ {"name": "why-sum"', "'why-sum' has no words"),
    (
        "opening-cell",
        ":name: opening",
        ":name: imports",
        "import math",
        "the first code cell is the given cell 'imports'",
    ),
    ("key-form", ":points: 2\n", ":points 2\n", ":points 2", "':points 2' is not a key with a value"),
    ("key-form", ":points: 2\n", ":points: [\n", ":points: [", "':points: [' is not a key with a value"),
    ("key-form", ":name: demo\n", "---\nname: demo\n---\n", "---\nname: demo", "'---' is no code"),
    ("key-form", ":name: demo\n", "\n:name: demo\n", ":name: demo", "':name: demo' is no code"),
    (
        "key-form",
        '{"name": "why-sum", "points": 1}',
        '{"name": "why-sum", points: 1}',
        '+++ {"name": "why-sum"',
        "not JSON",
    ),
    ("key-form", '{"name": "why-sum", "points": 1}', '["why-sum"]', '+++ ["why-sum"]', "no JSON object"),
    (
        "unknown-key",
        ":slow: true",
        ":slwo: true",
        "```{code-cell} ipython3\n:name: backward-values",
        "'slwo' is not a key here; did you mean 'slow'?; use name, tests, points and slow",
    ),
    (
        "unknown-key",
        '"points": 1}\n\nWhy is there a sum',
        '"points": 1, "tags": []}\n\nWhy is there a sum',
        '+++ {"name": "why-sum"',
        "'tags' is not a key here; use name and points",
    ),
    (
        "repeated-key",
        ":points: 2\n",
        ":points: 2\n:points: 2\n",
        "```{code-cell} ipython3\n:name: forward-values",
        "'points' stands twice",
    ),
    (
        "repeated-key",
        '{"name": "why-sum", "points": 1}',
        '{"name": "why-sum", "points": 1, "points": 1}',
        '+++ {"name": "why-sum"',
        "'points' stands twice",
    ),
    (
        "missing-name",
        DEMO,
        "```{code-cell} ipython3\n",
        "```{code-cell} ipython3\n\nline",
        "this code cell has no name",
    ),
    (
        "missing-name",
        '{"name": "why-sum", "points": 1}',
        '{"points": 1}',
        '+++ {"points": 1}',
        "this question has no name",
    ),
    (
        "name-form",
        ":name: demo",
        ":name: The_demo",
        "```{code-cell} ipython3\n:name: The_demo",
        "'The_demo' has another form",
    ),
    ("name-form", ":name: demo", ":name: on", "```{code-cell} ipython3\n:name: on", "True has another form"),
    ("name-form", ":name: demo", f":name: {'d' * 65}", "```{code-cell} ipython3\n:name: ddd", "64 characters at most"),
    ("duplicate-name", ":name: demo", ":name: why-bias", "line = [", "also the name of the cell at line 66"),
    (
        "points-form",
        ":points: 2\n",
        ":points: -2\n",
        "```{code-cell} ipython3\n:name: forward-values",
        "the points of the test 'forward-values' are -2",
    ),
    ("points-form", ":points: 2\n", ":points: two\n", "```{code-cell} ipython3\n:name: forward-values", "'two'"),
    (
        "points-form",
        ":points: 2\n",
        ":points: 1001\n",
        "```{code-cell} ipython3\n:name: forward-values",
        "from 0 to 1000",
    ),
    ("points-form", ":points: 2\n", ":points: .nan\n", "```{code-cell} ipython3\n:name: forward-values", "nan"),
    ("points-form", ":points: 2\n", ":points: true\n", "```{code-cell} ipython3\n:name: forward-values", "True"),
    ("points-form", '"why-sum", "points": 1', '"why-sum", "points": "1"', '+++ {"name": "why-sum"', "'1'"),
    (
        "missing-points",
        ":points: 2\n",
        "",
        "```{code-cell} ipython3\n:name: forward-values",
        "the test 'forward-values' has no points",
    ),
    (
        "missing-points",
        '"why-sum", "points": 1',
        '"why-sum"',
        '+++ {"name": "why-sum"',
        "the question 'why-sum' has no points",
    ),
    ("points-without-tests", ":name: demo\n", ":name: demo\n:points: 1\n", DEMO, "'demo' has points and tests nothing"),
    (
        "points-without-tests",
        ":name: forward\n",
        ":name: forward\n:points: 1\n",
        "```{code-cell} ipython3\n:name: forward\n",
        "'forward' has points and tests nothing",
    ),
    (
        "test-without-tests",
        ":tests: forward\n",
        "",
        "```{code-cell} ipython3\n:name: forward-values",
        "'forward-values' has hidden tests and no ':tests:'",
    ),
    (
        "tests-form",
        ":tests: backward, forward",
        ":tests: backward,, forward",
        "```{code-cell} ipython3\n:name: backward-values",
        "':tests:' is 'backward,, forward'",
    ),
    (
        "tests-form",
        ":tests: backward, forward",
        ":tests: [backward, forward]",
        "```{code-cell} ipython3\n:name: backward-values",
        "':tests:' is ['backward', 'forward']",
    ),
    (
        "tests-form",
        ":tests: backward, forward",
        ":tests: backward, backward",
        "```{code-cell} ipython3\n:name: backward-values",
        "is 'backward, backward'",
    ),
    (
        "unknown-cell",
        ":tests: forward\n",
        ":tests: forwards\n",
        "x, w, b = 2.0",
        "names 'forwards', which is no cell; did you mean 'forward'?",
    ),
    (
        "tests-no-solution",
        ":tests: backward, forward",
        ":tests: backward, demo",
        "with student:\n    layer",
        "names 'demo', which is a given cell",
    ),
    (
        "tests-below",
        ":tests: forward\n",
        ":tests: forward, backward\n",
        "x, w, b = 2.0",
        "names 'backward', which stands below it",
    ),
    (
        "slow-form",
        ":slow: true",
        ":slow: yes please",
        "```{code-cell} ipython3\n:name: backward-values",
        "':slow:' is 'yes please'",
    ),
    ("slow-place", ":name: demo\n", ":name: demo\n:slow: true\n", DEMO, "'demo' is slow and no test"),
    (
        "marker-form",
        "    ### BEGIN SOLUTION\n    return x * w + b",
        "    ## BEGIN SOLUTION\n    return x * w + b",
        "    ## BEGIN SOLUTION",
        "'## BEGIN SOLUTION' looks like a marker and is none",
    ),
    (
        "marker-form",
        "    return x * w + b\n",
        "    return x * w + b  ### END SOLUTION\n",
        "    return x * w + b  ###",
        "on a line of its own",
    ),
    (
        "marker-form",
        "### BEGIN HIDDEN TESTS\n",
        "### BEGIN HIDDEN TEST\n",
        "### BEGIN HIDDEN TEST",
        "looks like a marker",
    ),
    (
        "marker-form",
        "    ### BEGIN SOLUTION\n    return x * w + b\n    ### END SOLUTION",
        '    z = """\n    ### BEGIN SOLUTION\n    """ + f"{x * w + b}"\n    ### END SOLUTION',
        "    ### BEGIN SOLUTION",
        "stands in a string",
    ),
    (
        "marker-place",
        "line = [",
        "### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS\n### BEGIN SOLUTION\nc = 1\n### END SOLUTION\nline = [",
        "### BEGIN HIDDEN TESTS\n###",
        "'### BEGIN HIDDEN TESTS' in the solution cell 'demo'",
    ),
    (
        "marker-place",
        "slope = layer.slope(2.0, 5.0)\n",
        "slope = layer.slope(2.0, 5.0)\n    ### BEGIN SOLUTION\n    more = 1\n    ### END SOLUTION\n",
        "    ### BEGIN SOLUTION\n    more",
        "in the test cell 'backward-values'",
    ),
    (
        "marker-place",
        "Now the other way.",
        "### BEGIN SOLUTION\nAnswer.\n### END SOLUTION",
        "### BEGIN SOLUTION\nAnswer",
        "'### BEGIN SOLUTION' in plain text",
    ),
    (
        "marker-order",
        "the origin.\n### END SOLUTION\n",
        "the origin.\n### END HIDDEN TESTS\n",
        "### END HIDDEN TESTS\n\n+++",
        "'### END HIDDEN TESTS' inside a region SOLUTION, open since line",
    ),
    (
        "marker-order",
        "        return x * dz\n        ### END SOLUTION\n",
        "        return x * dz\n",
        "### BEGIN SOLUTION\nsteepest",
        "inside a region SOLUTION, open since line",
    ),
    (
        "marker-order",
        "steepest = 3.0\n### END SOLUTION",
        "steepest = 3.0",
        "### BEGIN SOLUTION\nsteepest",
        "'### BEGIN SOLUTION' is never ended",
    ),
    (
        "marker-order",
        "    ### BEGIN SOLUTION\n    return x * w + b",
        "    return x * w + b",
        "    ### END SOLUTION\n```",
        "'### END SOLUTION' ends nothing",
    ),
    (
        "marker-order",
        "Why is there a bias?\n",
        "### BEGIN HIDDEN TESTS\nWhy is there a bias?\n",
        "### BEGIN SOLUTION\nA line",
        "inside a region HIDDEN TESTS",
    ),
    (
        "empty-region",
        "    return x * w + b\n",
        "    # return x * w + b\n",
        "    ### BEGIN SOLUTION\n    #",
        "the region SOLUTION of the solution cell 'forward' is empty",
    ),
    ("nbgrader-word", "line = [", "### AUTOTEST dense(1, 2, 3)\nline = [", "### AUTOTEST", "nbgrader takes 'AUTOTEST'"),
    ("nbgrader-word", "Why is there a sum?", "BEGIN MARK SCHEME", "BEGIN MARK SCHEME", "use another word"),
    (
        "release-syntax",
        "steepest = 3.0\n### END SOLUTION",
        "if True:\n### END SOLUTION\n    steepest = 3.0",
        "    steepest = 3.0",
        "what students receive of 'backward' is not Python",
    ),
    (
        "release-syntax",
        "z = dense(x, w, b)\nassert z == 7.0",
        "### BEGIN HIDDEN TESTS\n    z = dense(x, w, b)\n    ### END HIDDEN TESTS\nassert z == 7.0",
        "assert z == 7.0",
        "what students receive of 'forward-values'",
    ),
    (
        "task-heading",
        "## Forward pass (3 points)",
        "## Forward pass (3 pts)",
        "## Forward pass (3 pts)",
        "is nearly the heading of a task",
    ),
    ("task-heading", "## Forward pass (3 points)", "## Forward pass: 3 points", "## Forward pass: 3 points", "nearly"),
    ("task-heading", "## Forward pass (3 points)", "### Forward pass (3 points)", "### Forward pass", "nearly"),
    ("task-heading", "Now the other way.", "## Extra (1 points)", "## Extra (1 points)", "(1 point)"),
    (
        "duplicate-task",
        "## Backward pass (2.5 points)",
        "## Forward pass (2.5 points)",
        "## Forward pass (2.5",
        "'Forward pass' is also the task at line",
    ),
    (
        "task-points",
        ":points: 2\n",
        ":points: 2.25\n",
        "## Forward pass",
        "has 3 points, and its cells have 3.25 in all",
    ),
    (
        "outside-task",
        "## Backward pass (2.5 points)",
        "## Backward pass",
        "Why is there a sum?",
        "'why-sum' stands in no task",
    ),
    (
        "heading-in-question",
        "\n+++\n\nNow the other way.\n",
        "",
        "## Backward pass",
        "the heading 'Backward pass (2.5 points)' belongs to the question 'why-bias'",
    ),
    (
        "rubric-missing",
        "| Task | What | Points |",
        "| Tasks | What | Points |",
        "# Dense layers",
        "no table has the header | Task | Points |",
    ),
    (
        "rubric-twice",
        "Now the other way.",
        "| Task | Points |\n|---|---|\n| Forward pass | 3 |",
        "| Task | Points |",
        "the rubric stands at line",
    ),
    (
        "rubric-row",
        "| Forward pass | one product | 3 |\n",
        "",
        "## Forward pass",
        "the rubric has no row for 'Forward pass'",
    ),
    (
        "rubric-row",
        "| Forward pass | one product | 3 |",
        "| Forwards pass | one product | 3 |",
        "| Forwards pass",
        "no task is called 'Forwards pass'; did you mean 'Forward pass'?",
    ),
    (
        "rubric-row",
        "| Forward pass | one product | 3 |",
        "| Forward pass | | 3 |\n| Forward pass | one product | 3 |",
        "| Forward pass | one",
        "stands in the rubric twice",
    ),
    (
        "rubric-points",
        "| one product | 3 |",
        "| one product | 4 |",
        "| Forward pass",
        "has '4' points here and 3 in its heading",
    ),
    ("rubric-points", "| one product | 3 |", "| one product | three |", "| Forward pass", "has 'three' points here"),
    (
        "rubric-order",
        RUBRIC,
        "\n".join([*(RUBRIC.splitlines()[index] for index in (1, 0, 2)), ""]),
        "| Task | What",
        "not in the order of the tasks",
    ),
    ("rubric-total", "**5.5**", "**6**", "| **Total**", "the total is '**6**', and the tasks have 5.5 points in all"),
    ("rubric-total", "| **Total** | | **5.5** |", "| Total | | 5.5 |", "| Total", "write | **Total** | **5.5** |"),
    ("rubric-total", "| **Total** | | **5.5** |\n", "", "| Backward pass", "does not end in its total"),
]


@pytest.mark.parametrize(("rule", "old", "new", "blamed", "words"), CHANGES)
def test_each_broken_rule_is_named_with_its_line(
    desk: Any, rule: str, old: str, new: str, blamed: str, words: str
) -> None:
    text = desk.change(desk.sample, old, new)
    line = text[: text.index(blamed)].count("\n") + 1
    found = [problem for problem in desk.problems(text) if problem.rule == rule]
    assert any(problem.line == line and words in str(problem) for problem in found), (line, desk.problems(text))


def test_the_sample_keeps_every_rule(desk: Any) -> None:
    assert desk.problems(desk.sample) == ()
    assert desk.problems_of_answers(desk.answers) == ()


def test_a_file_without_front_matter_is_told_what_to_write(desk: Any) -> None:
    (problem,) = desk.problems(desk.sample[desk.sample.index("# Dense layers") :])
    assert (problem.line, problem.rule) == (1, "front-matter")
    assert problem.what == "the file does not open with front matter"


def test_a_file_without_code_is_told_to_begin_with_the_imports(desk: Any) -> None:
    text = desk.sample[: desk.sample.index("| Task")]
    found = {problem.rule: problem for problem in desk.problems(text)}
    assert found.keys() == {"opening-cell", "rubric-missing"}
    assert str(found["opening-cell"]).endswith(
        "there is no code cell; begin with the imports, in a cell named 'opening'"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match=r":1: missing-file: '.*dense\.md' cannot be opened; write dense\.md"):
        read_assignment(tmp_path / "dense")


def test_a_file_in_another_encoding_is_named_with_the_line(desk: Any) -> None:
    (desk.folder / "dense.md").write_bytes("---\n# Schichten für viele\n".encode("latin-1"))
    with pytest.raises(AuthoringError, match=r":2: unreadable-file: the file is not UTF-8; save it as UTF-8"):
        read_assignment(desk.folder)


def test_a_byte_order_mark_makes_no_difference(desk: Any) -> None:
    (desk.folder / "dense.md").write_bytes(desk.sample.encode("utf-8-sig"))
    assert read_assignment(desk.folder).cells == desk.read().cells


def test_line_ends_of_windows_make_no_difference(desk: Any) -> None:
    (desk.folder / "dense.md").write_bytes(desk.sample.replace("\n", "\r\n").encode())
    assert read_assignment(desk.folder).cells == desk.read().cells


def test_all_problems_come_at_once_in_the_order_of_the_file(desk: Any) -> None:
    text = desk.sample
    for old, new in [
        ("**5.5**", "**5**"),
        (":points: 2\n", ":points: 2.5\n"),
        ("    return x * w + b\n", "    return x * w + b\n    ## end solution\n"),
        ('assert z == 7.0, f"z is {z}, expected 7.0"', "assert z == 7.0"),
        (":name: demo\n\n", ""),
        ("steepest = 3.0\n", 'steepest = 3.0\npattern = "\\d"\n'),
        (":slow: true", ":quick: true"),
    ]:
        text = desk.change(text, old, new)
    problems = desk.problems(text)
    assert [problem.rule for problem in problems] == [
        "rubric-total",
        "task-points",
        "marker-form",
        "assert-message",
        "missing-name",
        "suspect-code",
        "unknown-key",
    ]
    with pytest.raises(AuthoringError, match=r"^7 problems in the assignment:\n  .*dense\.md:20: rubric-total: "):
        desk.read(text)
