"""Tensors and arrays that lie, and honest ones that look odd."""

from __future__ import annotations

from .entry import Attack

__all__ = ["ATTACKS"]

SUBCLASS = """\
class Lying(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True

    __eq__ = lambda self, other: True
    __bool__ = lambda self: True

def scale(X):
    return torch.zeros(X.shape).as_subclass(Lying)
"""


def _attack(name: str, does: str, **rest: object) -> Attack:
    return Attack(f"tensor-{name}", does=does, assignment="tensor", **{"row": "lying values", **rest})  # type: ignore[arg-type]


WRONG = "def scale(X):\n    return 3.0 * torch.arange(1, len(X) + 1)\n"
WRONG_LOST = {"scale-hidden": "failed: scale is wrong for numbers that no one has seen"}

ATTACKS = [
    _attack(
        "subclass",
        "returns a subclass of Tensor whose __torch_function__ says True to everything",
        cells={"scale": SUBCLASS},
        loses={
            "scale-seen": "failed: 'Z' holds __main__.Lying, which cannot be judged",
            "scale-hidden": "failed: 'Z' holds __main__.Lying, which cannot be judged",
        },
    ),
    _attack(
        "methods",
        "hangs methods of its own on a true tensor",
        cells={
            "scale": "def scale(X):\n"
            "    Z = torch.zeros(len(X))\n"
            "    Z.numpy = Z.detach = Z.cpu = Z.tolist = Z.__eq__ = lambda *_: 3 * X\n"
            "    return Z"
        },
        loses={"scale-seen": "failed: scale([1, 2])", "scale-hidden": "failed: scale is wrong for numbers"},
    ),
    _attack(
        "array-protocol",
        "returns an object with __array__ and __array_interface__",
        cells={
            "halve": "class Lying:\n"
            "    __array_priority__ = 99\n"
            "    __array__ = lambda self, *_, **__: np.array([1.0, 3.0])\n"
            "    __array_ufunc__ = __array_function__ = lambda self, *_, **__: True\n"
            "    __eq__ = __le__ = lambda self, other: True\n\n"
            "def halve(a):\n    return Lying()"
        },
        loses={"halve-cases": "failed: 'half' holds __main__.Lying, which cannot be judged"},
    ),
    _attack(
        "array-subclass",
        "returns a subclass of ndarray, and a matrix inside a list",
        cells={
            "halve": "class Lying(np.ndarray):\n"
            "    __array_ufunc__ = __array_function__ = lambda self, *_, **__: True\n\n"
            "def halve(a):\n    return np.zeros(a.shape).view(Lying)"
        },
        loses={"halve-cases": "failed: 'half' holds __main__.Lying, which cannot be judged"},
    ),
    _attack(
        "array-objects",
        "returns an array of objects",
        cells={"halve": "def halve(a):\n    return np.array([1.0, 3.0], dtype=object)"},
        loses={"halve-cases": "failed: 'half' holds "},
    ),
    _attack(
        "patched",
        "replaces allclose, equal, numpy.testing and all of descent.checks",
        row="patched machinery",
        cells={
            "scale": "import descent.checks, descent.differences, descent.plain, numpy.testing\n\n"
            f"{WRONG}\n"
            "yes = lambda *_, **__: True\n"
            "torch.allclose = torch.equal = torch.isclose = np.allclose = np.isclose = yes\n"
            "torch.Tensor.__eq__ = torch.Tensor.allclose = torch.Tensor.equal = yes\n"
            "for module in (descent.checks, descent.differences, descent.plain, numpy.testing):\n"
            "    for name in dir(module):\n"
            "        if callable(getattr(module, name)) and not name.startswith('_'):\n"
            "            setattr(module, name, yes)\n"
            "check_close = check_equal = yes"
        },
        loses=WRONG_LOST,
    ),
    _attack(
        "endless",
        "returns a tensor of 2**40 entries in 4 bytes of memory",
        row="too much of everything",
        cells={"scale": "def scale(X):\n    return torch.zeros(1).expand(2**40)"},
        loses={"scale-seen": "failed: 'Z' holds", "scale-hidden": "failed: 'Z' holds"},
    ),
    _attack(
        "huge",
        "returns a tensor of 1.2 GB",
        row="too much of everything",
        cells={"scale": "def scale(X):\n    return torch.zeros(300_000_000)"},
        loses={"scale-seen": "failed: 'Z' holds", "scale-hidden": "failed: 'Z' holds"},
    ),
    _attack(
        "kinds",
        "returns tensors without numbers: sparse, on the meta device",
        cells={
            "scale": "def scale(X):\n    return torch.zeros(2, device='meta') if X[0] else torch.zeros(2).to_sparse()"
        },
        loses={"scale-seen": "failed: 'Z' holds", "scale-hidden": "failed: 'Z' holds"},
    ),
    _attack(
        "nan",
        "diverges to NaN",
        row="honest: diverges to NaN",
        cells={"scale": "def scale(X):\n    return 3 * X * torch.nan"},
        loses={
            "scale-seen": "failed: scale([1, 2])[0] is NaN, expected 3",
            "scale-hidden": "failed: scale is wrong for numbers",
        },
    ),
    _attack(
        "honest",
        "returns parameters, tensors with a graph, views that overlap, and warns on the way",
        row="honest: another style",
        cells={
            "scale": "import warnings\n\n"
            "class Scale(torch.nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.by = torch.nn.Parameter(torch.tensor(3.0))\n\n"
            "    def forward(self, X):\n"
            "        warnings.warn('old')\n"
            "        return self.by * X\n\n"
            "scale = Scale()",
            "halve": "def halve(a):\n    return np.stack([a, a])[0, ::-1][::-1] / 2",
        },
    ),
]
