"""Outputs from a hostile process come out valid, small and without active content."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.ansi import ansi2html
from nbformat.v4 import new_code_cell, new_notebook

from proctor.record.sanitize import CELL_LIMIT, COUNT, clean_outputs, size
from proctor.record.text import COLOURS, clean_text


def _pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("pages.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _pages()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()


def shown(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind.replace("__", "/"): text for kind, text in data.items()}}


def html(text: str) -> str:
    """Return what becomes of an HTML output."""
    return "".join(output["data"]["text/html"] for output in clean_outputs([shown(text__html=text)]))


def page(outputs: list[dict[str, Any]]) -> str:
    """Return the body of the page that nbconvert makes of a cell with these outputs."""
    cell = new_code_cell("x", outputs=[nbformat.from_dict(output) for output in outputs])
    exporter = HTMLExporter(template_name="basic")
    return str(exporter.from_notebook_node(new_notebook(cells=[cell]))[0])


def test_ordinary_outputs_stay() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["loss 0.5\n", "loss 0.4\n"]},
        {"output_type": "stream", "name": "stderr", "text": "\x1b[31ma warning\x1b[0m\n"},
        {"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": {"text/plain": "tensor(1.)"}},
        {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<Figure>", "image/png": f"{PNG}\n"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["a", "\x1b[31mb\x1b[0m"]},
    ]
    assert clean_outputs(outputs) == [
        {"output_type": "stream", "name": "stdout", "text": "loss 0.5\nloss 0.4\n"},
        {"output_type": "stream", "name": "stderr", "text": "\x1b[31ma warning\x1b[0m\n"},
        {
            "output_type": "execute_result",
            "execution_count": None,
            "metadata": {},
            "data": {"text/plain": "tensor(1.)"},
        },
        {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<Figure>", "image/png": PNG}},
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["a", "\x1b[31mb\x1b[0m"]},
    ]


def test_a_table_keeps_its_look() -> None:
    table = '<table border="1" class="dataframe"><tr style="text-align: right;"><th colspan="2">a</th></tr></table>'
    cleaned = html(table)
    for part in ('border="1"', 'class="dataframe"', "text-align:right", 'colspan="2"', ">a</th>"):
        assert part in cleaned


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>x",
        "<img src=x onerror=alert(1)>x",
        "<img src='http://evil.example/p.png'>x",
        "<img src='//evil.example/p.png'>x",
        "<img src='data:image/svg+xml;base64,PHN2Zz4='>x",
        "<img src='data:text/html,<script>alert(1)</script>'>x",
        "<img srcset='http://evil.example/p.png 1x'>x",
        "<svg onload=alert(1)>x</svg>y",
        "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>x",
        "<iframe src='http://evil.example'></iframe>x",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' &#106;avascript:alert(1)'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<a href='../../formgrader'>x</a>",
        "<div style=\"background:url('http://evil.example')\">x</div>",
        "<div style='position:fixed;top:0'>x</div>",
        "<div style='color:expression(alert(1))'>x</div>",
        "<style>body{display:none}</style>x",
        "<form action='http://evil.example'><input><button>x</button></form>",
        "<meta http-equiv=refresh content=0>x",
        "<base href='http://evil.example/'>x",
        "<link rel=stylesheet href='http://evil.example/x.css'>x",
        "<!-- <script>alert(1)</script> -->x",
        "<noscript><p title='</noscript><script>alert(1)</script>'></noscript>x",
        "<div id=notebook class='container nbgrader_cell'>x</div>",
        "<td colspan=999999999>x</td>",
        "<object data='http://evil.example'></object>x",
        "</div></div></body><script>alert(1)</script>x",
    ],
)
def test_active_html_is_disarmed(hostile: str) -> None:
    cleaned = html(hostile)
    assert pages.active(cleaned) == []
    for trace in ("evil.example", "position", " id=", "nbgrader_cell", "999999", "formgrader"):
        assert trace not in cleaned
    assert "x" in pages.text(cleaned) or "y" in pages.text(cleaned)


def test_a_drawing_is_shown_where_its_scripts_do_not_run() -> None:
    drawing = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"
    (output,) = clean_outputs([shown(**{"image__svg+xml": drawing, "text__plain": "<Figure>"})])
    assert output["data"]["text/html"].startswith('<img alt="a drawing" src="data:image/svg+xml;base64,')
    assert pages.active(output["data"]["text/html"]) == []
    (output,) = clean_outputs([shown(**{"image__svg+xml": drawing, "image__png": PNG})])
    assert set(output["data"]) == {"image/png"}


@pytest.mark.parametrize(
    "data",
    [
        {"application/javascript": "alert(1)"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}},
        {"application/json": {"a": 1}},
        {"application/pdf": "JVBERi0="},
        {"image/png": '" onerror="alert(1)'},
        {"image/png": base64.b64encode(b"GIF89a").decode()},
        {"image/jpeg": PNG},
        {"text/html": {"a": 1}},
        {"text/plain": 5},
        {"text/html": "<script>alert(1)</script>"},
    ],
)
def test_what_is_not_what_it_claims_to_be_is_dropped(data: dict[str, Any]) -> None:
    assert clean_outputs([{"output_type": "display_data", "data": data, "metadata": {}}]) == []


@pytest.mark.parametrize(
    "junk",
    [
        None,
        5,
        "text",
        [],
        {},
        {"output_type": "update_display_data", "data": {"text/plain": "x"}},
        {"output_type": ["stream"]},
        {"output_type": "display_data", "data": [1]},
    ],
)
def test_what_is_no_output_is_dropped(junk: Any) -> None:
    assert clean_outputs([junk]) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["stream", "error", "display_data", "execute_result", "other"])
MIMES = st.sampled_from(
    ["text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", "image/svg+xml", "x/y"]
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"output_type": KINDS},
            optional={
                "name": JSON,
                "text": JSON,
                "ename": JSON,
                "evalue": JSON,
                "traceback": JSON,
                "data": JSON | st.dictionaries(MIMES, JSON, max_size=3),
                "metadata": JSON,
                "execution_count": JSON,
                "transient": JSON,
            },
        )
        | JSON,
        max_size=4,
    )
)
@settings(max_examples=150, deadline=None, database=None)
def test_whatever_comes_in_what_goes_out_is_valid(outputs: list[Any]) -> None:
    cleaned = clean_outputs(outputs)
    nbformat.validate(new_notebook(cells=[new_code_cell("x", outputs=cleaned)]))


def test_rendered_outputs_do_nothing_that_innocent_ones_do_not() -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    kinds = ("text/html", "text/markdown", "text/latex", "text/plain")
    outputs = [
        *({"output_type": "display_data", "data": {kind: hostile}, "metadata": {}} for kind in kinds),
        {"output_type": "stream", "name": "stdout", "text": hostile},
        {"output_type": "error", "ename": hostile, "evalue": hostile, "traceback": [hostile]},
    ]
    assert pages.active(page(clean_outputs(outputs))) == pages.active(page([]))
    assert pages.active(page(outputs)) != pages.active(page([]))


@pytest.mark.parametrize("unit", ["<div>", "<div></x>", "<div><table><tr><td></div>", "<svg><b></b>"])
def test_html_nested_beyond_reason_is_dropped(unit: str) -> None:
    """The library that cleans it would take minutes; the plain text beside it is still shown."""
    (output,) = clean_outputs([shown(text__html=unit * 200_000, text__plain="Table")], cap=50 << 20)
    assert output["data"] == {"text/plain": "Table"}


def test_a_large_table_is_not_nested() -> None:
    rows = "<tr><td>1<td>2</tr><p>x<br>" * 2000
    assert "<td>1</td>" in html(f"<div><table>{rows}</table></div>")


def test_long_text_is_cut_and_says_how_much() -> None:
    (output,) = clean_outputs([{"output_type": "stream", "name": "stdout", "text": "é" * 100}], cap=51)
    assert output["text"] == "é" * 25 + "\n… cut: 150 more bytes\n"


def test_all_outputs_of_a_cell_share_one_limit() -> None:
    line = {"output_type": "stream", "name": "stdout", "text": "x" * (CELL_LIMIT // 2 + 1)}
    cleaned = clean_outputs([line, line, line, line])
    assert sum(map(size, cleaned)) < CELL_LIMIT + 200
    assert "… cut: 2 more outputs" in cleaned[-1]["text"]


def test_an_image_too_large_is_replaced_by_a_line() -> None:
    image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(CELL_LIMIT)).decode()
    (output,) = clean_outputs([shown(image__png=image)])
    assert output["text"] == f"… cut: {len(image)} more bytes\n"


def test_only_so_many_outputs_are_kept() -> None:
    line = {"output_type": "stream", "name": "stdout", "text": "x\n"}
    cleaned = clean_outputs([line] * (COUNT + 7))
    assert len(cleaned) == COUNT + 1
    assert cleaned[-1]["text"] == "… cut: 7 more outputs\n"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\x1b[31mb\x1b[0mc", "a\x1b[31mb\x1b[0mc"),
        ("\x1b[38;5;196mx\x1b[48;2;1;2;3my", "\x1b[38;5;196mx\x1b[48;2;1;2;3my"),
        ("a\x1b[2J\x1b[1;1Hb", "ab"),
        ("a\x1b]0;title\x07b\x1b]8;;http://evil.example\x1b\\c", "abc"),
        ("a\x1b[38mb\x1b[48mc", "abc"),
        ("a\x1b[1;38mb", "ab"),
        ("a\x1bcb\x1b", "ab"),
        ("a\x00\x07\x08b\x9bc\x7f", "abc"),
        ("tab\tline\r\n", "tab\tline\r\n"),
        ("\udc80", "\ufffd"),
    ],
)
def test_of_terminal_codes_only_colours_stay(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(
    st.lists(st.sampled_from(["\x1b[", "38", "48", "5", "2", ";", "m", "0", "255", "999", "x", "\x1b"])).map("".join)
)
@settings(max_examples=300, deadline=None, database=None)
def test_nbconvert_can_colour_every_clean_text(raw: str) -> None:
    """It fails on some codes itself, and with it the feedback of the submission."""
    ansi2html(clean_text(raw))


def test_only_so_many_colours_are_kept() -> None:
    assert clean_text("\x1b[1mx" * (COLOURS + 5)).count("\x1b") == COLOURS
