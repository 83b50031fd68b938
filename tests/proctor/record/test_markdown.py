"""A student's Markdown, rendered by nbconvert as feedback and formgrader render it, does nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown import markdown2html_mistune

from proctor.record.markdown import JOINER, LIMIT, clean_markdown, without_tags


def _pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("pages.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = _pages()

HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt\n>alert(1)</sCrIpT >",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img\tsrc=x\nonerror=alert(1)//",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<b onmouseover=alert(1)>b</b>",
    "<b\x00 onmouseover=alert(1)>b</b>",
    "<br onclick=alert(1)>",
    "<br/onclick=alert(1)/>",
    "<details open ontoggle=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "<style>body{display:none}</style>",
    "<form action=http://evil.example><input name=x></form>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<!-- comment --><script>alert(1)</script>",
    "<!-- --!><script>alert(1)</script> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php <script>alert(1)</script> ?>",
    "<!DOCTYPE html SYSTEM 'http://evil.example'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](\njavascript:alert(1))",
    "> [x](\n> javascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](<javascript:alert(1)>)",
    "[x](<  javascript:alert(1)>)",
    "[x](javascript&colon;alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](&#x6Aavascript:alert(1))",
    "[x](&amp;#106;avascript:alert(1))",
    "[x](&amp;amp;#106;avascript:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](java&NewLine;script:alert(1))",
    "[x](javascript\\:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](\u00a0javascript:alert(1))",
    "[x](\u2060javascript:alert(1))",
    "[x](" + " " * 300 + "javascript:alert(1))",
    "[x](" + "&#32;" * 300 + "javascript:alert(1))",
    "[y]\n\n[y]:" + " " * 300 + "javascript:alert(1)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:http://x)",
    "[![x](y)](javascript:alert(1))",
    "[a [b] c](javascript:alert(1))",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "[y]\n\n[y]:\n  javascript:alert(1)\n  'title'",
    "[y]\n\n> [y]:\n> javascript:alert(1)",
    "[y]\n\n[y]: <javascript:alert(1)>",
    "[y]\n\n  [y]: &#106;avascript:alert(1)",
    "[x](http://ok.example 'a\" onmouseover=\"alert(1)')",
    "[x](http://ok.example/\"onmouseover=\"alert(1))",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<x@y.example\"onclick=alert(1)>",
    "![x](http://evil.example/pixel.png)",
    "![x](//evil.example/pixel.png)",
    "![x][y]\n\n[y]: http://evil.example/pixel.png",
    "![y]\n\n[y]: http://evil.example/pixel.png",
    "!\\[x](http://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![x](attachment:missing.png)",
    "![x\" onerror=\"alert(1)](y)",
    "$<script>alert(1)</script>$",
    "$$<img src=x onerror=alert(1)>$$",
    "$x$<script>alert(1)</script>$y$",
    "\\(<script>alert(1)</script>\\)",
    "\\begin{equation}<script>alert(1)</script>\\end{equation}",
    "\\begin{<script>}x\\end{<script>}",
    "`<script>alert(1)</script>`",
    "`` ` ``<script>alert(1)</script>",
    "```\n<script>alert(1)</script>\n```",
    "```html\n<script>alert(1)</script>\n```",
    "```<script>\nx\n```",
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "~~~ mermaid\nclick A href \"javascript:alert(1)\"\n~~~",
    "    <script>alert(1)</script>",
    "- <script>alert(1)</script>\n- x",
    "| a | b |\n| - | - |\n| <script>alert(1)</script> | [x](javascript:alert(1)) |",
    "# <script>alert(1)</script>",
    "# x\" onmouseover=\"alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "*<script>*alert(1)</script>",
    "\\<script>alert(1)</script>",
    "\\\\<script>alert(1)</script>",
    "<div><p>\n\n<script>alert(1)</script>\n\n</div>",
]  # fmt: skip


@pytest.mark.parametrize("sample", HOSTILE)
def test_nothing_of_a_hostile_sample_acts(sample: str) -> None:
    assert pages.active(markdown2html_mistune(clean_markdown(sample))) == []


def test_the_reader_sees_what_acts_without_cleaning() -> None:
    """The check above can fail: nearly every sample acts when it is not cleaned."""
    acting = [
        sample for sample in HOSTILE if "attachment:" not in sample and pages.active(markdown2html_mistune(sample))
    ]
    assert len(acting) > 50


PIECES = st.sampled_from(
    ["<", ">", "script", "/", "!", "--", "[", "]", "(", ")", ":", "javascript:", "java", "script:", "&#106;", "&colon;",
     "&Tab;", "\n", " ", "\t", "`", "```", "$", "\\", '"', "'", "img ", "src=x ", "onerror=alert(1)", "http://e.example",
     "&amp;", "b", "br", "*", "_", "|", "#", "- ", "> ", "x", "mermaid", "\u2060", "[y]: ", "data:", "~~~",
     "<b>", "</b>", "<!--"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=24).map("".join))
@settings(max_examples=400, deadline=None, database=None)
@example("[](<\njavascript:>)")
def test_no_combination_of_pieces_acts(sample: str) -> None:
    assert pages.active(markdown2html_mistune(clean_markdown(sample))) == []


@pytest.mark.parametrize(
    "honest",
    [
        "In words: **addition** commutes, so `a < b` is not the point.",
        "If $a<b$ then $x<y$; see https://pytorch.org.",
        "x<sub>1</sub> and 2<sup>3</sup><br>and <b>bold</b>",
        "| a | b |\n| - | - |\n| 1 | 2 |",
        "```\nif a <b: print('<')\n```",
        "[docs](https://pytorch.org/docs) and [above](#top) and [file](notes.txt)",
        "Größe 你好 🙂",
    ],
)
def test_honest_text_looks_the_same(honest: str) -> None:
    before, after = (markdown2html_mistune(source) for source in (honest, clean_markdown(honest)))
    assert after.replace(JOINER, "") == before


def test_a_tag_is_shown_as_it_was_written() -> None:
    assert pages.text(markdown2html_mistune(clean_markdown("<script>alert(1)</script>"))).replace(JOINER, "") == (
        "<script>alert(1)</script>\n"
    )


def test_a_remote_image_becomes_a_link() -> None:
    page = markdown2html_mistune(clean_markdown("![a plot](https://evil.example/p.png)"))
    assert '<a href="https://evil.example/p.png">a plot</a>' in page


@pytest.mark.parametrize("command", ["href", "class", "cssId", "style", "require", "url"])
def test_mathjax_gets_no_command_that_makes_links(command: str) -> None:
    assert f"\\{command}" not in clean_markdown(f"$\\{command}{{javascript:alert(1)}}{{x}}$")
    assert f"\\{command}" not in without_tags(f"$\\{command}{{javascript:alert(1)}}{{x}}$")


def test_formulas_stay() -> None:
    formula = r"$\frac{\partial L}{\partial w} < \hat{y} \cdot \text{class}$"
    assert clean_markdown(formula) == formula


def test_long_text_is_cut_and_says_so() -> None:
    cleaned = clean_markdown("ü" * LIMIT)
    assert len(cleaned.encode()) < LIMIT + 100
    assert f"… cut: {LIMIT} more bytes" in cleaned


def test_half_characters_can_be_written() -> None:
    assert clean_markdown("a\ud800b\x00c") == "a\ufffdbc"
