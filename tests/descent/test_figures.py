"""Figures read on every ground and for every eye: computed, not looked at."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from numpy.typing import NDArray

mpl.use("agg")

import matplotlib.pyplot as plt

from descent import figures
from descent.errors import SettingError
from descent.figures import COLORS, MARKERS, image_row, use_style

Color = NDArray[np.float64]  # (3,) red, green, blue in [0, 1], as written in #rrggbb
DARK_PAGES = ("#121212", "#14181e")  # sphinx-book-theme, pydata-sphinx-theme
TEXT_KEYS = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
FRAME_KEYS = ("axes.edgecolor", "xtick.color", "ytick.color")


def rgb(color: str) -> Color:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def linear(color: Color) -> Color:
    """Undo the gamma of sRGB (IEC 61966-2-1)."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    dark, light = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def as_is(color: Color) -> Color:
    return color


def dimmed(color: Color) -> Color:
    """Apply what the book's theme does to every image on a dark page: brightness(0.8), then contrast(1.2)."""
    return np.clip((color * 0.8 - 0.5) * 1.2 + 0.5, 0, 1)


# Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0, on linear red, green and blue.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(color: Color, vision: str) -> Color:
    """Return what an eye sees of a colour, in CIE L*a*b* under D65."""
    seen = np.clip(VISION[vision] @ linear(color), 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    t = to_xyz @ seen / to_xyz.sum(1)
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    """Use the style in one test, and give the old one back."""
    with mpl.rc_context():
        use_style()
        yield
        plt.close("all")


def test_no_grey_would_read_on_both_pages() -> None:
    """Why figures bring their own ground."""
    for page in DARK_PAGES:
        greys = (np.full(3, level / 255) for level in range(256))
        assert max(min(contrast(grey, rgb("#ffffff")), contrast(grey, rgb(page))) for grey in greys) < 4.5


@pytest.mark.parametrize("shown", [as_is, dimmed])
def test_text_reads_on_the_figures_own_ground(shown: object) -> None:
    assert callable(shown)
    for ground in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
        for key in TEXT_KEYS:
            assert contrast(shown(rgb(mpl.rcParams[key])), shown(rgb(mpl.rcParams[ground]))) >= 4.5, key


@pytest.mark.parametrize("shown", [as_is, dimmed])
def test_lines_and_frames_stand_out_from_the_ground(shown: object) -> None:
    assert callable(shown)
    ground = shown(rgb(mpl.rcParams["axes.facecolor"]))
    for color in (*COLORS, *(mpl.rcParams[key] for key in FRAME_KEYS)):
        assert contrast(shown(rgb(color)), ground) >= 3, color


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_every_eye(vision: str) -> None:
    """By 15 at least, where a difference of 2.3 is just noticeable (Mahy, Van Eycken and Oosterlinck, 1994)."""
    for one, other in itertools.combinations(COLORS, 2):
        assert np.linalg.norm(lab(rgb(one), vision) - lab(rgb(other), vision)) >= 15, (one, other)


def test_the_measure_of_difference_sees_what_a_colour_blind_eye_confuses() -> None:
    red, green = rgb("#a04000"), rgb("#5f6a00")
    assert np.linalg.norm(lab(red, "normal") - lab(green, "normal")) > 30
    assert np.linalg.norm(lab(red, "deuteranopia") - lab(green, "deuteranopia")) < 15


def test_lines_differ_without_colour() -> None:
    _, axes = plt.subplots()
    lines = [axes.plot([0, 1], [i, i])[0] for i in range(len(COLORS))]
    assert [line.get_color() for line in lines] == list(COLORS)
    assert len({str(line._dash_pattern) for line in lines}) == len(COLORS)
    assert len(set(MARKERS)) == len(COLORS)


def svg() -> bytes:
    _, axes = plt.subplots()
    axes.plot([0, 1], [1, 0], label="loss")
    axes.legend()
    file = io.BytesIO()
    plt.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert svg() == svg()


def test_the_style_can_be_used_twice() -> None:
    before = dict(mpl.rcParams)
    use_style()
    assert dict(mpl.rcParams) == before


NOTEBOOK = [
    "from descent import figures\nfigures.use_style()",
    "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nNone",
]


def test_a_notebook_shows_svg_without_a_date(tmp_path: object) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in NOTEBOOK])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    backend = os.environ.pop("MPLBACKEND", None)  # the kernel chooses its own
    try:
        NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    (shown,) = notebook.cells[1].outputs
    assert "image/png" not in shown.data
    assert "<svg" in shown.data["image/svg+xml"]
    assert "<dc:date>" not in shown.data["image/svg+xml"]


# image_row


def shown_images() -> list[NDArray[np.float64]]:
    return [np.asarray(place.images[0].get_array()) for place in plt.gcf().axes if place.images]


def test_images_stand_in_a_row_on_one_scale() -> None:
    images = torch.linspace(0.2, 0.4, 3 * 4).reshape(3, 1, 2, 2)
    image_row(images, titles=[7, 1, "cat"])
    places = plt.gcf().axes
    assert len(places) == 3
    assert [place.get_title() for place in places] == ["7", "1", "cat"]
    assert [place.images[0].get_clim() for place in places] == [(0.0, 1.0)] * 3
    assert np.array_equal(shown_images()[2].squeeze(), images[2, 0].numpy())


@pytest.mark.parametrize("shape", [(2, 1, 5, 5), (2, 3, 5, 5), (2, 5, 5)])
def test_grey_and_coloured_images_are_drawn(shape: tuple[int, ...]) -> None:
    image_row(torch.rand(shape, requires_grad=True))
    assert [image.shape[:2] for image in shown_images()] == [(5, 5)] * 2
    svg_file = io.BytesIO()
    plt.savefig(svg_file, format="svg")
    assert svg_file.getvalue().count(b"<image") == 2


def test_more_images_than_columns_begin_another_row() -> None:
    image_row(torch.rand(5, 4, 4), columns=3)
    assert len(plt.gcf().axes) == 6
    assert len(shown_images()) == 5
    assert not any(place.axison for place in plt.gcf().axes)


@pytest.mark.parametrize(
    ("shape", "titles"), [((5, 5), 0), ((2, 2, 5, 5), 0), ((0, 1, 5, 5), 0), ((2, 5, 5), 3), ((1, 1, 1, 5, 5), 0)]
)
def test_what_cannot_be_drawn_is_refused(shape: tuple[int, ...], titles: int) -> None:
    with pytest.raises(SettingError) as caught:
        image_row(torch.zeros(shape), titles=["t"] * titles)
    assert caught.value.what == f"images of shape {shape} with {titles} titles cannot be drawn in a row"
    assert "pass (N, C, H, W)" in caught.value.todo


def test_every_public_name_is_documented() -> None:
    assert set(figures.__all__) == {"COLORS", "MARKERS", "image_row", "use_style"}
