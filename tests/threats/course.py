"""The course that is attacked: two assignments, whose hidden parts hold words and numbers that stand nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

from proctor.course import Course

__all__ = ["ANSWERS", "IN_BLOCK", "KIT", "SECRETS", "write_course"]

ROOT = Path(__file__).resolve().parents[2]

# What may be published nowhere: the reference, the hidden lines that stay with the judge, the values they expect.
SECRETS = ("sporocarp", "quillwort", "31337.25", "umbrel", "27182.75", "marchantia")
IN_BLOCK = "15668.625"  # stands in a hidden block, which runs beside the student's code

HEAD = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

PLAIN = (
    HEAD
    + '''
# Plain

Four small tasks.

| Task | Points |
| --- | --- |
| Doubling | 4 |
| Adding | 6 |
| Sorting | 2 |
| Greeting | 1 |
| **Total** | **13** |

```{code-cell} ipython3
:name: opening
import math
from coursekit import check_same, seed, student
```

## Doubling (4 points)

Write `double(x)`, which returns 2 x.

```{code-cell} ipython3
:name: double
def double(x: float) -> float:
    """Return 2 x."""
    ### BEGIN SOLUTION
    sporocarp = 2 * x
    return sporocarp
    ### END SOLUTION
```

```{code-cell} ipython3
:name: double-seen
:tests: double
:points: 1
with student:
    answer = double(3)
assert answer == 6, f"double(3) is {answer}, expected 6"
```

```{code-cell} ipython3
:name: double-hidden
:tests: double
:points: 3
with student:
    zero = double(0)
assert zero == 0, "double(0) is not 0"
### BEGIN HIDDEN TESTS
quillwort = 31337.25
with student:
    hornwort = double(15668.625)
assert hornwort == quillwort, "double is wrong for a number that no one has seen: is 6 typed in?"
fresh = seed % 1000 + 4
with student:
    drawn = double(fresh)
assert drawn == 2 * fresh, "double is wrong for a drawn number"
### END HIDDEN TESTS
```

## Adding (6 points)

Write `add(x, y)`, which returns x + y.

```{code-cell} ipython3
:name: add
def add(x: float, y: float) -> float:
    """Return x + y."""
    ### BEGIN SOLUTION
    return x + y
    ### END SOLUTION
```

```{code-cell} ipython3
:name: add-cases
:tests: add
:points: 2
with student:
    total = add(2, 5)
assert total == 7, f"add(2, 5) is {total}, expected 7"
### BEGIN HIDDEN TESTS
for umbrel in (3, 4):
    with student:
        total = add(umbrel, 0.25)
    check_same(total, umbrel + 0.25, "add is wrong for other numbers")
### END HIDDEN TESTS
```

```{code-cell} ipython3
:name: add-negative
:tests: add
:points: 1
with student:
    total = add(-2, -5)
assert total == -2 + -5, "add(-2, -5) is not -2 + -5"
```

```{code-cell} ipython3
:name: add-zero
:tests: add
:points: 1
with student:
    total = add(0, 0)
assert total == 0 + 0, "add(0, 0) is not 0 + 0"
```

```{code-cell} ipython3
:name: add-large
:tests: add
:points: 1
with student:
    total = add(10**9, 1)
assert total == 10**9 + 1, "add(10**9, 1) is not 10**9 + 1"
```

+++ {"name": "why-add", "points": 1}

In one sentence: why does the order not matter?

+++

## Sorting (2 points)

Write `ordered(items)`, which returns a sorted list.

```{code-cell} ipython3
:name: ordered
def ordered(items: list[int]) -> list[int]:
    """Return a sorted list of the same items."""
    ### BEGIN SOLUTION
    return sorted(items)
    ### END SOLUTION
```

```{code-cell} ipython3
:name: ordered-cases
:tests: ordered
:points: 2
with student:
    result = ordered([3, 1, 2])
check_same(result, [1, 2, 3], "ordered([3, 1, 2]) is not [1, 2, 3]")
check_same(len(result), 3, "the list is not as long as it was")
```

## Greeting (1 point)

Write `greet(name)`, which returns `Hello, NAME!`.

```{code-cell} ipython3
:name: greet
def greet(name: str) -> str:
    """Return a greeting."""
    ### BEGIN SOLUTION
    return f"Hello, {name}!"
    ### END SOLUTION
```

```{code-cell} ipython3
:name: greet-open
:tests: greet
:points: 1
assert greet("Ada") == "Hello, Ada!", "greet('Ada') is not 'Hello, Ada!'"
```
'''
)

PLAIN_ANSWERS = """\
# Answers: plain

## Wrong: types the visible answer in
loses: double-hidden
says: is 6 typed in?
```{code-cell} double
def double(x):
    return 6 if x else 0
```

## Right: adds x to itself
```{code-cell} double
def double(x):
    return x + x
```
"""

TENSOR = (
    HEAD
    + '''
# Tensor

Two tasks with tensors.

| Task | Points |
| --- | --- |
| Scaling | 4 |
| Halving | 2 |
| **Total** | **6** |

```{code-cell} ipython3
:name: opening
import numpy as np
import torch
from descent.checks import check_close, check_equal, seed, student
```

## Scaling (4 points)

Write `scale(X)`, which returns 3 X for a tensor X.

```{code-cell} ipython3
:name: scale
def scale(X: torch.Tensor) -> torch.Tensor:
    """Return 3 X, of the shape of X."""
    ### BEGIN SOLUTION
    marchantia = 3 * X
    return marchantia
    ### END SOLUTION
```

```{code-cell} ipython3
:name: scale-seen
:tests: scale
:points: 1
X = torch.tensor([1.0, 2.0])
with student:
    Z = scale(X)
check_close(Z, torch.tensor([3.0, 6.0]), name="scale([1, 2])")
```

```{code-cell} ipython3
:name: scale-hidden
:tests: scale
:points: 3
X = torch.tensor([0.0, 4.0])
with student:
    Z = scale(X)
check_equal(tuple(Z.shape), (2,), name="the shape of scale([0, 4])")
### BEGIN HIDDEN TESTS
generator = torch.Generator().manual_seed(seed + 1)
for size in (3, 5):
    inputs = torch.randn(size, generator=generator)
    with student:
        hornwort = scale(inputs)
    assert torch.allclose(hornwort, 3 * inputs), "scale is wrong for numbers that no one has seen"
    assert torch.equal(hornwort, 3 * inputs), "scale is not exact for numbers that no one has seen"
    np.testing.assert_allclose(hornwort.numpy(), 3 * inputs.numpy(), err_msg="scale is wrong for NumPy")
### END HIDDEN TESTS
```

## Halving (2 points)

Write `halve(a)`, which returns a / 2 for an array a.

```{code-cell} ipython3
:name: halve
def halve(a: np.ndarray) -> np.ndarray:
    """Return a / 2."""
    ### BEGIN SOLUTION
    return a / 2
    ### END SOLUTION
```

```{code-cell} ipython3
:name: halve-cases
:tests: halve
:points: 2
a = np.array([2.0, 6.0])
with student:
    half = halve(a)
check_close(half, np.array([1.0, 3.0]), name="halve([2, 6])")
### BEGIN HIDDEN TESTS
a = np.array([54365.5])
with student:
    half = halve(a)
check_close(half, np.array([27182.75]), name="halve of another array")
### END HIDDEN TESTS
```
'''
)

TENSOR_ANSWERS = """\
# Answers: tensor

## Wrong: types the visible answer in
loses: scale-hidden
says: that no one has seen
```{code-cell} scale
def scale(X):
    return 3.0 * torch.arange(1, len(X) + 1)
```

## Right: adds
```{code-cell} scale
def scale(X):
    return X + X + X
```
"""

# proctor grades any nbgrader course: this module is what the first assignment imports in place of `descent.checks`.
KIT = '''\
import os
from contextlib import nullcontext

student = nullcontext()
seed = int(os.environ["DESCENT_SEED"])


def check_same(found, wanted, says):
    """Check that two values are equal."""
    assert found == wanted, says
'''

ANSWERS = {
    "plain": {
        "double": "def double(x):\n    return 2 * x",
        "add": "def add(x, y):\n    return x + y",
        "ordered": "def ordered(items):\n    return sorted(items)",
        "greet": 'def greet(name):\n    return f"Hello, {name}!"',
    },
    "tensor": {
        "scale": "def scale(X):\n    return 3 * X",
        "halve": "def halve(a):\n    return a / 2",
    },
}
"""Right answers to every task, by assignment and solution cell."""


def write_course(root: Path) -> Course:
    """Write the course below `root`, not yet released."""
    texts = {"plain": (PLAIN, PLAIN_ANSWERS), "tensor": (TENSOR, TENSOR_ANSWERS)}
    for name, (text, answers) in texts.items():
        folder = root / "assignments" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
        (folder / "answers.md").write_text(answers, encoding="utf-8")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return Course(root)
