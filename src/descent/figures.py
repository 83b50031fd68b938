"""How figures look, so that they read on a light page, on a dark page and for colour-blind readers.

The goal is one image for both themes of the book, for JupyterLab, Colab and print.
On a transparent ground that cannot be had: against white and against the book's dark page (#121212, #14181e) no single
colour of text reaches a contrast of 4.5 with both; the best grey stops at 4.2.
Two images per figure would double every page, and a notebook would still show only one of them.
So a figure brings its own white ground, which vanishes on a light page and is a card on a dark one.

The colours are those of Okabe and Ito that keep a contrast of 3 against white, and a brown; orange, sky blue and yellow
do not.
Every line also has its own dashes and every marker its own form, so nothing rests on colour alone.

Source: Okabe and Ito, "Color universal design" (2008); Web Content Accessibility Guidelines 2.2, 1.4.3 and 1.4.11.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from cycler import cycler
from torch import Tensor

from descent.errors import SettingError

__all__ = ["COLORS", "MARKERS", "image_row", "use_style"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#5B3A00")
"""Blue, vermilion, green, black, purple, brown."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""One for each colour, for scatter plots."""

_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (9, 3)), (0, (3, 1.5, 1, 1.5, 1, 1.5)))
_GROUND, _TEXT, _FRAME, _GRID = "#ffffff", "#1f2328", "#57606a", "#d8dee4"
_WIDTH = 6.4  # inches; about the width of the book's text

_STYLE: Mapping[Any, Any] = {
    "figure.figsize": (_WIDTH, 3.6),
    "figure.dpi": 144,  # of pictures inside an SVG, and of PNGs
    "figure.facecolor": _GROUND,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": _GROUND,
    "svg.hashsalt": "descent",  # the same figure gives the same bytes
    "font.size": 11,
    "text.color": _TEXT,
    "axes.facecolor": _GROUND,
    "axes.edgecolor": _FRAME,
    "axes.labelcolor": _TEXT,
    "axes.titlecolor": _TEXT,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=_DASHES),
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _FRAME,
    "ytick.color": _FRAME,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.handlelength": 3.5,  # long enough to show the dashes
    "image.cmap": "cividis",  # Nuñez, Anderton and Renslow (2018): the same for colour-blind eyes
}


def _draw_as_svg() -> None:
    """Make a notebook show figures as SVG, without the date, which would change at every run."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    from matplotlib_inline.config import InlineBackend  # there wherever IPython is

    backend = InlineBackend.instance(parent=shell)
    options: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Date": None}}
    backend.print_figure_kwargs = options
    backend.figure_formats = {"svg"}


def use_style() -> None:
    """Give all figures drawn from now on the style of the book; in a notebook they become SVG."""
    plt.rcParams.update(_STYLE)
    _draw_as_svg()


def image_row(images: Tensor, *, titles: Sequence[object] = (), columns: int = 10) -> None:
    """Draw images side by side, all on one scale from 0 (black) to 1 (white).

    Args:
        images: (N, C, H, W) with C 1 or 3, or (N, H, W), with values in [0, 1].
        titles: one for each image, or none at all.
        columns: images in a row; what is left over begins another row.

    Raises:
        SettingError: the images have another shape, or the titles another number.
    """
    pixels = torch.as_tensor(images).detach().cpu()
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not len(pixels) or len(titles) not in (0, len(pixels)):
        raise SettingError(
            f"images of shape {tuple(images.shape)} with {len(titles)} titles cannot be drawn in a row",
            where="image_row",
            todo="pass (N, C, H, W) with C 1 or 3, or (N, H, W), and N titles or none",
        )
    width = min(len(pixels), columns)
    rows, side = math.ceil(len(pixels) / width), min(1.3, _WIDTH / width)  # inches
    size = (width * side, rows * (side + 0.25 * bool(titles)))
    _, axes = plt.subplots(rows, width, squeeze=False, figsize=size)
    for place in axes.flat:
        place.set_axis_off()
    for place, image in zip(axes.flat, pixels.permute(0, 2, 3, 1).numpy(), strict=False):
        place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for place, title in zip(axes.flat, titles, strict=False):
        place.set_title(str(title), fontsize=10 if width < 8 else 8)
