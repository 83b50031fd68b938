"""A small assignment that keeps every rule, and the problems of a text that differs from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from proctor.author import read_answers, read_assignment
from proctor.errors import AuthoringError
from proctor.model import Assignment, Problem, Row

SAMPLE = '''---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Dense layers

One unit, by hand.

| Task | What | Points |
|---|---|---:|
| Forward pass | one product | 3 |
| Backward pass | one slope | 2.5 |
| **Total** | | **5.5** |

```{code-cell} ipython3
:name: opening
import math

import torch
from torch import nn
from torch.nn import functional as F

from descent.checks import check_close, raises, seed, student

GAIN = 2.0
```

## Forward pass (3 points)

Write `dense(x, w, b)`.

```{code-cell} ipython3
:name: forward
def dense(x: float, w: float, b: float) -> float:
    """Return z = x w + b."""
    ### BEGIN SOLUTION
    return x * w + b
    ### END SOLUTION
```

```{code-cell} ipython3
:name: forward-values
:tests: forward
:points: 2
x, w, b = 2.0, 3.0, 1.0
with student:
    z = dense(x, w, b)
assert z == 7.0, f"z is {z}, expected 7.0"
### BEGIN HIDDEN TESTS
far = 10.0 * GAIN + seed
with student:
    z = dense(far, w, b)
assert math.isclose(z, far * w + b), f"z is {z}: is the bias added?"
### END HIDDEN TESTS
```

+++ {"name": "why-bias", "points": 1}

Why is there a bias?

### BEGIN SOLUTION
A line need not pass through the origin.
### END SOLUTION

+++

Now the other way.

## Backward pass (2.5 points)

```{code-cell} ipython3
:name: demo

line = [dense(step, GAIN, 0.0) for step in range(3)]
```

```{code-cell} ipython3
:name: backward
class Layer:
    """One unit."""

    def slope(self, x: float, dz: float) -> float:
        """Return dL/dw."""
        ### BEGIN SOLUTION
        return x * dz
        ### END SOLUTION


### BEGIN SOLUTION
steepest = 3.0
### END SOLUTION
```

```{code-cell} ipython3
:name: backward-values
:tests: backward, forward
:points: 1.5
:slow: true
with student:
    layer = Layer()
    slope = layer.slope(2.0, 5.0)
    steep = steepest
check_close(slope, 10.0, name="slope")
check_close(steep, 3.0, name="steepest")
with raises(TypeError):
    with student:
        layer.slope("x")
```

+++ {"name": "why-sum", "points": 1}

Why is there a sum?
'''

ANSWERS = '''# Answers: dense

What students get wrong.

## Wrong: forgets the bias
loses: forward-values
says: is the bias added
differs: it does not, but a row may say so
```{code-cell} forward
def dense(x, w, b):
    return x * w
```

## Right: the long way

```{code-cell} forward
def dense(x, w, b):
    """Return z."""
    z = x * w
    return z + b
```

```{code-cell} backward
class Layer:
    def slope(self, x, dz):
        return dz * x
steepest = 3
```
'''

TEST = SAMPLE[SAMPLE.index("x, w, b = 2.0") : SAMPLE.index("### END HIDDEN TESTS\n")] + "### END HIDDEN TESTS\n"


@dataclass(frozen=True)
class Desk:
    """Where an author writes an assignment."""

    folder: Path

    sample = SAMPLE
    answers = ANSWERS

    def read(self, text: str = SAMPLE) -> Assignment:
        """Read an assignment of this text."""
        (self.folder / "dense.md").write_text(text, encoding="utf-8")
        return read_assignment(self.folder)

    def read_answers(self, text: str = ANSWERS) -> tuple[Row, ...]:
        """Read answers of this text to the sample."""
        assignment = self.read()
        (self.folder / "answers.md").write_text(text, encoding="utf-8")
        return read_answers(self.folder, assignment)

    def problems(self, text: str) -> Sequence[Problem]:
        """Return what is wrong with an assignment of this text."""
        return self._problems(self.read, text)

    def problems_of_answers(self, text: str) -> Sequence[Problem]:
        """Return what is wrong with answers of this text."""
        return self._problems(self.read_answers, text)

    def _problems(self, read: Callable[[str], object], text: str) -> Sequence[Problem]:
        try:
            read(text)
        except AuthoringError as error:
            return error.problems
        return ()

    @staticmethod
    def change(text: str, old: str, new: str) -> str:
        """Replace what stands in the text once."""
        assert text.count(old) == 1, f"{old!r} stands in the text {text.count(old)} times"
        return text.replace(old, new)

    def with_test(self, code: str) -> str:
        """Return the sample with other code in its first test."""
        return self.change(SAMPLE, TEST, code)


def new_desk(place: Path) -> Desk:
    """Set a desk up in an empty folder."""
    (place / "dense").mkdir()
    return Desk(place / "dense")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return new_desk(tmp_path)


@pytest.fixture(scope="session")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk whose folder no test may rely on."""
    return new_desk(tmp_path_factory.mktemp("shared"))
