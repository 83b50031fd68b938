"""Chapters keep their form: short cells, no typed numbers, and nothing that an assignment asks for."""

from __future__ import annotations

import ast
import builtins
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from proctor.author import read_assignment

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.md"))
LONGEST = 25  # lines of a cell that readers see
FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$")
PROGRAMS = ("{code-cell}", "{glue:", "python")  # fences whose contents are no prose
EXERCISES = (3, 6)  # fewest and most in a chapter

# Numbers that may be typed wherever they stand: a digit alone counts, names a unit or is a constant of a definition;
# digits joined by hyphens are the name of a network by its sizes.
FREE = re.compile(r"\d|\d+(-\d+)+")
NUMBER = re.compile(r"(?<![\w.−-])\d+(?:-\d+)+(?![\w-])|(?<![\w.])\d+(?:[.,]\d+)*")
# What else is typed, by chapter, and why it may be. What stands in an exercise is given data and needs no entry.
TYPED = {
    "why-one-layer-is-not-enough": {
        "28": "pixels of a side, asserted in the opening cell",
        "20": "the bound of a search, in the cell below",
        "32": "templates of the small CNN, asserted",
        "13": "pixels of a template, asserted",
        "36": "places of a template, asserted",
    },
    "the-chain-rule": {},
    "backpropagation-by-hand": {
        "256": "units of a layer, to speak of one",
        "1000": "given data of a question",
        "64": "widths in a figure, asserted beside it",
        "30": "layers, given data of a question",
        "16": "layers, in the cell above",
        "1970": "a year",
    },
    "pytorch-components": {
        "70": "billions of parameters, given data of a comparison",
    },
    "training-loops": {"1,797": "pictures of the small set, asserted"},
    "depth": {},
    "optimizers": {},
}


@dataclass(frozen=True)
class Cell:
    """A code cell of a chapter."""

    source: str
    tags: frozenset[str]
    line: int  # where it begins, counted from 1

    @property
    def is_seen(self) -> bool:
        """Whether readers see it, folded or not."""
        return "remove-cell" not in self.tags


def blocks(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the fenced blocks of a chapter that hold no others: first line, what the fence says, and the contents."""
    opened: tuple[str, str, int] | None = None
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if opened and line.strip() == opened[0]:
            yield opened[2], opened[1], inside
            opened = None
        elif opened:
            inside.append(line)
        elif (match := FENCE.match(line)) and any(word in match[2] for word in PROGRAMS):
            opened, inside = (match[1], match[2], number), []


@cache
def cells(path: Path) -> tuple[Cell, ...]:
    """Return the code cells of a chapter, in order."""
    return tuple(_cell(lines, number) for number, fence, lines in blocks(path) if "{code-cell}" in fence)


def _cell(lines: list[str], number: int) -> Cell:
    if lines[:1] == ["---"]:
        end = lines.index("---", 1)
        options, lines = lines[1:end], lines[end + 1 :]
    else:
        count = next((at for at, line in enumerate(lines) if not line.startswith(":")), len(lines))
        options, lines = lines[:count], lines[count:]
    tags = next((re.findall(r"[\w-]+", line.partition("tags:")[2]) for line in options if "tags:" in line), [])
    return Cell("\n".join(lines).strip("\n"), frozenset(tags), number)


def prose(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a chapter that are prose, by number: without cells, exercises, formulas, code and glue."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    hidden = set(range(1, text[: text.index("\n---\n", 4)].count("\n") + 3))
    for number, _, inside in blocks(path):
        hidden |= set(range(number, number + len(inside) + 2))
    is_given = False
    for number, line in enumerate(lines, start=1):
        is_given |= "{exercise-start}" in line
        if is_given or line.startswith((":", "(", "#", "|---")):
            hidden.add(number)
        is_given &= "{exercise-end}" not in line
    shown = "\n".join("" if number in hidden else line for number, line in enumerate(lines, start=1))
    for pattern in (r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"\{[\w:-]+\}`[^`]*`", r"`[^`\n]*`"):
        shown = re.sub(pattern, lambda match: "\n" * match[0].count("\n"), shown, flags=re.DOTALL)
    return [(number, line) for number, line in enumerate(shown.split("\n"), start=1) if line.strip()]


def typed(path: Path) -> list[tuple[int, str]]:
    """Return the numbers that somebody typed into the prose of a chapter, with their lines.

    A solution may repeat what its exercise gives.
    """
    text = path.read_text(encoding="utf-8")
    given = {number for task in part(text, "exercise") for number in NUMBER.findall(task[1])}
    solved = {at for start, task in part(text, "solution") for at in range(start, start + task.count("\n") + 1)}
    found = [(at, number) for at, line in prose(path) if "**Time:**" not in line for number in NUMBER.findall(line)]
    return [each for each in found if not FREE.fullmatch(each[1]) and not (each[0] in solved and each[1] in given)]


def part(text: str, kind: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each exercise, or of each solution."""
    for match in re.finditer(rf"\{{{kind}-start\}}.*?\{{{kind}-end\}}", text, re.DOTALL):
        yield text[: match.start()].count("\n") + 1, match[0]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request: pytest.FixtureRequest) -> Path:
    """Each chapter."""
    path: Path = request.param
    return path


def test_no_cell_that_readers_see_is_long(chapter: Path) -> None:
    long = {each.line: each.source.count("\n") + 1 for each in cells(chapter) if each.is_seen}
    assert {line: count for line, count in long.items() if count > LONGEST} == {}


def test_no_number_is_typed_in_prose(chapter: Path) -> None:
    allowed = TYPED[chapter.stem]
    assert [(line, number) for line, number in typed(chapter) if number not in allowed] == []
    assert set(allowed) <= {number for _, number in typed(chapter)}, "a reason is left without its number"


def test_a_typed_number_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "---\na: 10\n---\n\n# Ten 10\n\n$x = 11$ and {glue:text}`n_12` of 2-13-1, 9.\n\n"
        "```{code-cell} ipython3\nx = 14\n```\n\n```{exercise-start} A\n```\n15 apples.\n```{exercise-end}\n```\n"
        "It reached 97.5 % after 1,600 updates; $y$\n$$\n16\n$$\n",
        encoding="utf-8",
    )
    assert typed(path) == [(18, "97.5"), (18, "1,600")]


def test_two_cells_that_readers_see_never_touch(chapter: Path) -> None:
    lines = chapter.read_text(encoding="utf-8").split("\n")
    for before, after in pairwise(cells(chapter)):
        between = lines[before.line : after.line - 1]
        says_something = any(line.strip() for line in between[between.index("```") + 1 :])
        assert says_something or not (before.is_seen and after.is_seen), f"cell in line {after.line}"


def test_a_chapter_opens_with_its_card_and_closes_with_what_was_learned(chapter: Path) -> None:
    text = chapter.read_text(encoding="utf-8")
    card = text[text.index("{admonition} Before you start") :].partition("\n```\n")[0]
    for item in ("The question", "You need", "Difficulty", "Time", "Data", "Afterwards"):
        assert f"**{item}:**" in card
    assert re.search(r"the cells ran in \{glue:text\}`\w+_seconds` s", card)
    assert re.search(r"^You can now \*\*\w+\*\*", text, re.MULTILINE)


def test_a_section_can_be_begun_with_what_the_card_says(chapter: Path) -> None:
    """A section uses names of its own, of the opening cells, and of what the card names: sections, or all before."""
    text = chapter.read_text(encoding="utf-8")
    told = re.search(r"\*\*How to read:\*\*(.*?)\n- \*\*", text, re.DOTALL)
    assert told is not None
    heads = [text[: match.start()].count("\n") + 1 for match in re.finditer(r"^## ", text, re.MULTILINE)]
    named = [text[: text.index(f"\n({label})=\n")].count("\n") + 3 for label in re.findall(r"`([\w-]+)`", told[1])]
    first = {0, *(bisect(heads, line) for line in named)}
    sections: dict[int, list[Cell]] = {}
    for cell in cells(chapter):
        sections.setdefault(bisect(heads, cell.line), []).append(cell)
    for number, inside in sections.items():
        known = [*sections] if "run the cells in order" in told[1] else [*first, number]
        made = {name for at in known if at <= number for cell in sections[at] for name in names(cell.source, ast.Store)}
        for cell in inside:
            if cell.is_seen:
                assert names(cell.source, ast.Load) - made - set(dir(builtins)) == set(), f"cell in line {cell.line}"


def names(source: str, use: type[ast.expr_context]) -> set[str]:
    """Return the names that a cell makes, or those that it reads."""
    nodes = list(ast.walk(ast.parse(source)))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, use)}
    if use is ast.Store:
        found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        found |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        found |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
        found |= {node.asname or node.name.partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return found


def test_every_exercise_has_a_folded_solution(chapter: Path) -> None:
    text = chapter.read_text(encoding="utf-8")
    asked = re.findall(r"\{exercise-start\}.*\n:label: ([\w-]+)", text)
    assert re.findall(r"\{solution-start\} ([\w-]+)\n:class: dropdown", text) == asked
    assert EXERCISES[0] <= len(asked) <= EXERCISES[1]


def test_a_glued_name_belongs_to_one_chapter() -> None:
    said = [(name, path.stem) for path in CHAPTERS for name in set(used(path))]
    shared = Counter(name for name, _ in said)
    assert {name for name, count in shared.items() if count > 1} == set()


def used(path: Path) -> list[str]:
    """Return the names of what is glued into a chapter."""
    return re.findall(r"\{glue:(?:text|md)\}[` ](\w+)", path.read_text(encoding="utf-8"))


# -- chapters and assignments do not give each other away ----------------------------------------------------------


def functions(source: str) -> Iterator[tuple[str, str]]:
    """Yield name and form of each function of a source: its tree without docstring, types and names of its own."""
    for node in ast.walk(ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE))):
        if isinstance(node, ast.FunctionDef):
            yield node.name, form(node)


def form(node: ast.FunctionDef) -> str:
    """Return the tree of a function's body with its arguments and variables numbered in the order they occur."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    names: dict[str, str] = {}
    own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    own |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for each in (part for statement in body for part in ast.walk(statement)):
        if isinstance(each, ast.Name) and each.id in own:
            each.id = names.setdefault(each.id, f"n{len(names)}")
        if isinstance(each, ast.AnnAssign | ast.arg):
            each.annotation = ast.Constant(None)  # type: ignore[assignment]
    return "\n".join(map(ast.dump, body))


def solved() -> dict[str, str]:
    """Return what assignments ask for: form -> name; forms too short to tell anything are left out."""
    found = {}
    for path in sorted((ROOT / "assignments").glob("*/answers.md")):
        for cell in read_assignment(path.parent).of_kind("solution"):
            found.update({shape: name for name, shape in functions(cell.source) if tells(shape)})
    return found


def tells(shape: str) -> bool:
    """Return whether a form is more than one plain statement, which may stand anywhere by chance."""
    return shape.count("(") > 25


def shown() -> dict[str, str]:
    """Return what readers and students can see: form -> where."""
    found = {}
    for path in CHAPTERS:
        for cell in cells(path):
            found.update({shape: f"{path.stem}: {name}" for name, shape in functions(cell.source)})
    for path in sorted((ROOT / "src" / "descent").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        found.update({shape: f"{path.name}: {name}" for name, shape in functions(source)})
    return found


def test_no_chapter_and_no_module_holds_a_function_that_an_assignment_asks_for() -> None:
    wanted, seen = solved(), shown()
    assert len(wanted) > 5
    assert len(seen) > 50
    assert {seen[shape]: name for shape, name in wanted.items() if shape in seen} == {}


def test_a_copy_under_other_names_is_found() -> None:
    mine = 'def f(x: int, y: int) -> int:\n    """Add."""\n    total = x + y\n    return total * x'
    yours = "def g(a, b):\n    s = a + b\n    return s * a"
    other = "def g(a, b):\n    s = a + b\n    return s * b"
    (one,), (two,), (three,) = functions(mine), functions(yours), functions(other)
    assert one[1] == two[1] != three[1]
