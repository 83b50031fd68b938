"""Rendered shapes: what they promise, their geometry, and that colour and place tell nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from descent.data import rendered, shapes
from descent.errors import SettingError

NAMES = tuple(rendered._FORMS)
STREAM = [9, 3, 7, 1, 4, 6, 0, 8, 2, 6, 8, 0]  # the labels of seed 0


def test_pictures_come_as_float32_with_levels_as_in_a_photograph() -> None:
    some = shapes(300, seed=3)
    assert some.images.shape == (300, 3, 32, 32)
    assert some.images.dtype == torch.float32
    assert some.labels.shape == (300,)
    assert some.labels.dtype == torch.int64
    assert 0 <= some.images.min() <= some.images.max() <= 1
    assert torch.equal(some.images, (some.images * 255).round() / 255)
    assert some.classes == NAMES
    assert len(NAMES) == 10
    assert some.source == "rendered shapes"


def test_the_seed_decides_everything() -> None:
    first, again, other = shapes(40, seed=3), shapes(40, seed=3), shapes(40, seed=4)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)
    assert not torch.equal(first.labels, other.labels)


def test_fewer_pictures_are_the_first_of_more() -> None:
    few, many = shapes(5, seed=3), shapes(2 * rendered._BLOCK + 5, seed=3)
    assert torch.equal(few.images, many.images[:5])
    assert torch.equal(few.labels, many.labels[:5])
    assert not torch.equal(many.images[:5], many.images[-5:])  # each block is drawn anew


def test_the_stream_of_labels_is_the_same_on_every_machine() -> None:
    """Graded seeds rest on it; NumPy guarantees the bits that it is made of."""
    assert shapes(12, seed=0).labels.tolist() == STREAM


def test_a_global_seed_changes_nothing_and_is_not_changed() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert torch.equal(shapes(5, seed=3).images, shapes(5, seed=3).images)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


@pytest.mark.parametrize(("n", "seed"), [(0, 1), (-3, 1), (5, -1)])
def test_an_impossible_request_is_refused(n: int, seed: int) -> None:
    with pytest.raises(
        SettingError, match=rf"shapes\({n}, seed={seed}\) cannot be rendered(.|\n)*at least one picture"
    ):
        shapes(n, seed=seed)


# geometry

FINE = (np.arange(400, dtype=np.float32) + 0.5) / 160 - 1.25  # from -1.25 to 1.25 radii


def distances(name: str, *, turn: float = 0.0, grid: NDArray[np.float32] = FINE) -> NDArray[np.float32]:
    """Return the signed distances to one form, its axes turned by this many radians."""
    x, y = np.meshgrid(grid, grid)
    c, s = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    return rendered._FORMS[name]((x * c + y * s)[None], (y * c - x * s)[None])[0]


def area_of_two_discs_in_common(a: float, b: float, d: float) -> float:
    """Return the area of the lens where discs of radius a and b at distance d overlap."""
    alpha, beta = math.acos((d * d + a * a - b * b) / (2 * d * a)), math.acos((d * d + b * b - a * a) / (2 * d * b))
    return a * a * (alpha - math.sin(2 * alpha) / 2) + b * b * (beta - math.sin(2 * beta) / 2)


AREAS: dict[str, float] = {
    "circle": math.pi,
    "ring": math.pi * (1 - 0.6**2),
    "semicircle": math.pi / 2,
    "crescent": math.pi - area_of_two_discs_in_common(1.0, 0.8, 0.5),
    "triangle": 3 * math.sin(2 * math.pi / 3) / 2,
    "square": 2.0,
    "cross": (4 * 2 * 0.32 - 4 * 0.32**2) / (1 + 0.32**2),
    "star": 5 * 0.45 * math.sin(math.pi / 5),
}


@pytest.mark.parametrize("name", AREAS)
def test_a_form_has_the_area_that_geometry_gives_it(name: str) -> None:
    measured = float((distances(name) < 0).mean()) * 2.5**2
    assert measured == pytest.approx(AREAS[name], rel=0.01)  # 160 samples per radius leave about half a per cent


@pytest.mark.parametrize("name", NAMES)
def test_a_form_fills_its_circle_and_no_more(name: str) -> None:
    x, y = np.meshgrid(FINE, FINE)
    farthest = np.hypot(x, y)[distances(name) < 0].max()
    assert 0.97 < farthest <= 1.001  # a sharp corner falls between samples


@pytest.mark.parametrize("name", NAMES)
def test_the_distance_grows_no_faster_than_the_way(name: str) -> None:
    """Else edges would be drawn too sharp or too soft."""
    far = distances(name)
    steps = max(np.abs(np.diff(far, axis=axis)).max() for axis in (0, 1))
    assert steps <= (FINE[1] - FINE[0]) * 1.001


def form(name: str, turn: float) -> NDArray[np.bool_]:
    """Return one form as a mask (100, 100), its centre of mass in the middle and its area 3,600."""
    inside = distances(name, turn=turn, grid=FINE[::3]) < 0
    rows, columns = np.nonzero(inside)
    steps = (np.arange(100) - 49.5) * math.sqrt(len(rows) / 3600)
    last = len(inside) - 1
    picked = (np.clip(np.rint(steps + axis.mean()), 0, last).astype(int) for axis in (rows, columns))
    return inside[np.ix_(*picked)]


def test_no_form_can_be_turned_into_another() -> None:
    """Centred and scaled to one area, two forms differ in at least 12 % of their union, however they are turned."""
    turned = {name: [form(name, turn) for turn in np.linspace(0, 2 * np.pi, 48, endpoint=False)] for name in NAMES}
    for name, other in itertools.combinations(NAMES, 2):
        still = turned[name][0]
        overlap = max(float((still & moved).sum() / (still | moved).sum()) for moved in turned[other])
        assert overlap < 0.88, f"{name} and {other}"


# what tells nothing


@pytest.fixture(scope="module")
def many() -> tuple[torch.Tensor, torch.Tensor]:
    some = shapes(6000, seed=11)
    return some.images, some.labels


def test_classes_are_equally_likely(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    counts = many[1].bincount(minlength=10)
    spread = math.sqrt(6000 * 0.1 * 0.9)
    assert (counts - 600).abs().max() < 5 * spread


@pytest.mark.parametrize(
    ("what", "measure"),
    [
        ("colour", lambda images: images.mean((2, 3))),
        ("brightness of each place", lambda images: torch.nn.functional.avg_pool2d(images.mean(1), 8).flatten(1)),
    ],
)
def test_neither_colour_nor_place_tells_the_class(
    many: tuple[torch.Tensor, torch.Tensor], what: str, measure: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """The mean of each class lies within five standard errors of the mean of all."""
    images, labels = many
    values = measure(images)
    for label in range(10):
        own = values[labels == label]
        error = values.std(0) / math.sqrt(len(own))
        assert ((own.mean(0) - values.mean(0)).abs() < 5 * error).all(), f"{what} of {NAMES[label]}"


def test_a_linear_model_stays_near_chance(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Least squares with a ridge, solved exactly, on 2 x 2 pixels at a time."""
    images, labels = many
    X = torch.nn.functional.avg_pool2d(images, 2).flatten(1).double() - 0.5  # (6000, 768)
    Y = torch.nn.functional.one_hot(labels).double()
    train, test = slice(0, 5000), slice(5000, None)
    W = torch.linalg.solve(X[train].T @ X[train] + 100 * torch.eye(768), X[train].T @ Y[train])
    accuracy = ((X[test] @ W).argmax(1) == labels[test]).double().mean()
    assert accuracy < 0.2


def test_the_form_stands_out_from_its_ground() -> None:
    """Every picture holds light and dark: brightness spreads by more than noise and clutter alone would give."""
    images = shapes(500, seed=5).images.mean(1)
    spread = images.flatten(1).quantile(0.97, dim=1) - images.flatten(1).quantile(0.03, dim=1)
    assert spread.min() > 0.15
