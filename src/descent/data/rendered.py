"""Pictures of ten shapes, rendered from a seed: as many new labelled images as one likes, without a file.

The goal is a task in which only *form* tells the class: colours, brightness, place, size and angle are drawn from the
same distributions for every class, and every picture carries clutter and noise.
So a linear model, which can only add up pixels, stays close to chance, and a network that looks for edges and corners
wherever they are does well.

Each form is a signed distance: negative inside, positive outside, in units of the form's radius.
Turned into pixels and clipped at half a pixel to either side of the edge, the distance is the anti-aliasing.

All chance comes from the raw bits of a PCG64 generator, whose stream NumPy guarantees for ever (its distributions may
change between versions), and the finished pixels are rounded to 256 levels, as in a photograph.
So labels are the same on every machine, and pixels too, but for one that a last digit of a sine may push over a level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from descent.data.sets import ImageSet
from descent.errors import SettingError

__all__ = ["shapes"]

Grid = NDArray[np.float32]  # (n, 32, 32): one value for each pixel of each picture
Distance = Callable[[Grid, Grid], Grid]  # x and y in the form's own axes -> signed distance, all in radii
Column = NDArray[np.float32]  # (n, 1, 1): one value for each picture

_SIDE = 32  # pixels
_BLOCK = 256  # pictures drawn from one generator: `shapes(n)` begins every longer `shapes(m)`
_RADIUS = (8.0, 12.0)  # pixels, from the centre to the farthest point of a form
_STROKES = 2  # bits of clutter behind each form
_STROKE_LENGTH = (2.0, 6.0)  # pixels, half of it
_STROKE_WIDTH = (0.5, 1.2)  # pixels, half of it
_DARK, _LIGHT = (0.05, 0.40), (0.60, 0.95)  # brightness of form and ground, or the other way round
_TINT = 0.25  # how far a colour channel may lie from the brightness
_NOISE = 0.08  # each pixel moves by at most this much; triangular, so the deviation is this / sqrt(6)


class _Chance:
    """Numbers drawn from the raw bits of one generator, the same on every platform."""

    def __init__(self, seed: int, block: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=(block,)))

    def uniform(self, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
        """Return float32 numbers from low to high, of this shape."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return (low + (high - low) * (raw >> np.uint64(11)) * 2.0**-53).reshape(shape).astype(np.float32)

    def below(self, bound: int, count: int) -> NDArray[np.int64]:
        """Return `count` whole numbers from 0 to `bound` - 1."""
        raw = self._bits.random_raw(count)
        return ((raw >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)

    def noise(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the sum of two uniform bytes, shifted and scaled to (-1, 1)."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8").view(np.uint16)[:count]
        total = (raw & np.uint16(255)) + (raw >> np.uint16(8))
        return (total.astype(np.float32).reshape(shape) - np.float32(255)) / np.float32(256)


def _disc(radius: float, x0: float = 0.0) -> Distance:
    """Return the distance to a disc around (x0, 0)."""
    return lambda x, y: np.hypot(x - np.float32(x0), y) - np.float32(radius)


def _outline(*corners: tuple[float, float]) -> Distance:
    """Return the distance to the polygon with these corners, turned so that the farthest lies at radius 1.

    Source: the nearest point on each edge gives the size, the number of edges crossed gives the sign; Haines, "Point
    in polygon strategies", Graphics Gems IV (1994).
    """
    points = np.array(corners, dtype=np.float32)
    points /= np.hypot(*points.T).max()

    def distance(x: Grid, y: Grid) -> Grid:
        nearest, inside = np.full_like(x, np.inf), np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
            ux, uy, px, py = bx - ax, by - ay, x - ax, y - ay
            along = np.clip((px * ux + py * uy) / (ux * ux + uy * uy), 0, 1)
            nearest = np.minimum(nearest, (px - along * ux) ** 2 + (py - along * uy) ** 2)
            if uy:
                inside ^= ((ay > y) != (by > y)) & (px < py * (ux / uy))
        size: Grid = np.sqrt(nearest)
        return np.where(inside, -size, size)

    return distance


def _regular(count: int, *, inner: float | None = None) -> Distance:
    """Return the distance to a regular polygon, or with `inner` to a star whose notches have that radius."""
    radii = [1.0] * count if inner is None else [1.0, inner] * count
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return _outline(*[(r * float(np.cos(a)), r * float(np.sin(a))) for r, a in zip(radii, angles, strict=True)])


def _both(first: Distance, second: Distance) -> Distance:
    """Return the distance to what two forms have in common."""
    return lambda x, y: np.maximum(first(x, y), second(x, y))


def _without(first: Distance, second: Distance) -> Distance:
    """Return the distance to the first form with the second cut out."""
    return lambda x, y: np.maximum(first(x, y), -second(x, y))


def _heart() -> Distance:
    """Return the distance to a heart, from the usual curve x = 16 sin³ t."""
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _outline(*zip((16 * np.sin(t) ** 3).tolist(), (y + 1.5).tolist(), strict=True))


_A = 0.32  # half the width of the arms of the cross
_FORMS: Mapping[str, Distance] = {
    "circle": _disc(1.0),
    "ring": _without(_disc(1.0), _disc(0.6)),
    "semicircle": _both(_disc(1.0), lambda x, _: x),
    "crescent": _without(_disc(1.0), _disc(0.8, x0=0.5)),
    "triangle": _regular(3),
    "square": _regular(4),
    "cross": _outline(
        *[(1, _A), (_A, _A), (_A, 1), (-_A, 1), (-_A, _A), (-1, _A)],
        *[(-1, -_A), (-_A, -_A), (-_A, -1), (_A, -1), (_A, -_A), (1, -_A)],
    ),
    "star": _regular(5, inner=0.45),
    "arrow": _outline((1, 0), (0.1, 0.75), (0.1, 0.3), (-1, 0.3), (-1, -0.3), (0.1, -0.3), (0.1, -0.75)),
    "heart": _heart(),
}


def _coverage(distance: Grid) -> Grid:
    """Return how much of each pixel is covered, in [0, 1], for signed distances in pixels."""
    covered: Grid = np.clip(np.float32(0.5) - distance, 0, 1)
    return covered


def _pixels(chance: _Chance, n: int, *, margin: Column) -> tuple[Grid, Grid]:
    """Return the pixels' x and y, in pixels from a centre drawn at least `margin` from the border, axes turned."""
    place = chance.uniform((2, n, 1, 1), -1, 1) * (_SIDE / 2 - margin)
    turn = chance.uniform((n, 1, 1), 0, 2 * np.pi).astype(np.float64)
    cos, sin = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    steps = np.arange(_SIDE, dtype=np.float32) - np.float32((_SIDE - 1) / 2)
    x, y = steps[None, None, :] - place[0], steps[None, :, None] - place[1]
    return x * cos + y * sin, y * cos - x * sin


def _forms(chance: _Chance, labels: NDArray[np.int64]) -> Grid:
    """Return how much of each pixel the labelled forms cover."""
    n = len(labels)
    radius = chance.uniform((n, 1, 1), *_RADIUS)
    x, y = (grid / radius for grid in _pixels(chance, n, margin=0.9 * radius))
    covered = np.empty((n, _SIDE, _SIDE), dtype=np.float32)
    for label, distance in enumerate(_FORMS.values()):
        own = labels == label
        covered[own] = _coverage(distance(x[own], y[own]) * radius[own])
    return covered


def _strokes(chance: _Chance, n: int) -> Grid:
    """Return how much of each pixel one short thick line covers."""
    length = chance.uniform((n, 1, 1), *_STROKE_LENGTH)
    x, y = _pixels(chance, n, margin=np.zeros((n, 1, 1), dtype=np.float32))
    distance = np.hypot(np.maximum(np.abs(x) - length, 0), y)
    return _coverage(distance - chance.uniform((n, 1, 1), *_STROKE_WIDTH))


def _colours(chance: _Chance, brightness: Column) -> NDArray[np.float32]:
    """Return one colour (n, 3, 1, 1) around each brightness (n, 1, 1)."""
    tint = chance.uniform((len(brightness), 3, 1, 1), -_TINT, _TINT)
    mean: NDArray[np.float32] = tint.mean(axis=1, keepdims=True)
    return brightness[:, None] + tint - mean


def _paint(canvas: NDArray[np.float32], covered: Grid, colour: NDArray[np.float32]) -> None:
    """Lay a colour (n, 3, 1, 1) over the covered part of a canvas (n, 3, 32, 32)."""
    canvas += covered[:, None] * (colour - canvas)


def _block(seed: int, block: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first n pictures (n, 3, 32, 32) and labels (n,) of one block."""
    chance = _Chance(seed, block)
    labels = chance.below(len(_FORMS), _BLOCK)
    dark, light = chance.uniform((_BLOCK, 1, 1), *_DARK), chance.uniform((_BLOCK, 1, 1), *_LIGHT)
    swap = chance.uniform((_BLOCK, 1, 1), 0, 1) < 0.5
    canvas = np.zeros((_BLOCK, 3, _SIDE, _SIDE), dtype=np.float32)
    canvas += _colours(chance, np.where(swap, light, dark))
    for _ in range(_STROKES):
        _paint(canvas, _strokes(chance, _BLOCK), _colours(chance, chance.uniform((_BLOCK, 1, 1), 0.05, 0.95)))
    _paint(canvas, _forms(chance, labels), _colours(chance, np.where(swap, dark, light)))
    canvas += np.float32(_NOISE) * chance.noise(canvas.shape)
    levels: NDArray[np.float32] = np.rint(np.clip(canvas, 0, 1) * np.float32(255))
    return levels[:n] / np.float32(255), labels[:n]


def shapes(n: int, *, seed: int) -> ImageSet:
    """Render n labelled pictures of ten shapes, 3x32x32, each class equally likely.

    The pictures depend on the seed alone: `shapes(100, seed=s)` holds the first 100 pictures of `shapes(1000, seed=s)`.

    Raises:
        SettingError: `n` is less than 1, or `seed` less than 0.
    """
    if n < 1 or seed < 0:
        raise SettingError(
            f"shapes({n}, seed={seed}) cannot be rendered",
            todo="ask for at least one picture, with a seed from 0 upwards",
        )
    blocks = [_block(seed, start // _BLOCK, min(_BLOCK, n - start)) for start in range(0, n, _BLOCK)]
    images, labels = (torch.from_numpy(np.concatenate(part)) for part in zip(*blocks, strict=True))
    return ImageSet(images, labels, classes=tuple(_FORMS), source="rendered shapes")
