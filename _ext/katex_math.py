"""Render formulas with KaTeX when the book is built, so that readers load no mathematics script.

One Node process answers one request a line. A formula that KaTeX refuses is a Sphinx warning with file and line,
which `-W` makes an error. HTML for the eye and MathML for screen readers go into the page together.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

log = logging.getLogger(__name__)

KATEX = Path("node_modules/katex/dist")  # below the folder that holds package.json
SERVER = """
const katex = require(process.argv[1]);
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  const {tex, display, macros} = JSON.parse(line);
  const options = {displayMode: display, throwOnError: true, strict: 'error', trust: false,
                   output: 'htmlAndMathml', macros};
  let answer;
  try { answer = {html: katex.renderToString(tex, options)}; } catch (e) { answer = {error: String(e.message)}; }
  process.stdout.write(JSON.stringify(answer) + '\\n');
});
"""
# Sphinx numbers a block as a whole; KaTeX would number each of its rows again.
NUMBERED = re.compile(r"\\(begin|end)\{(align|gather|equation)\}")


class Renderer:
    """A Node process that turns TeX into HTML; formulas met twice are rendered once."""

    def __init__(self, katex_js: Path, macros: dict[str, str]) -> None:
        node = shutil.which("node")
        if node is None or not katex_js.is_file():
            missing = "Node" if node is None else str(katex_js)
            raise ExtensionError(f"formulas cannot be rendered: {missing} is missing; run `make setup`")
        self.macros = macros
        self.done: dict[tuple[str, bool], dict[str, str]] = {}
        self.process = subprocess.Popen(
            [node, "-e", SERVER, str(katex_js.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __call__(self, tex: str, *, display: bool) -> dict[str, str]:
        """Return `{"html": …}` or `{"error": …}` for one formula."""
        key = (tex, display)
        if key not in self.done:
            stdin, stdout = self.process.stdin, self.process.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(json.dumps({"tex": tex, "display": display, "macros": self.macros}) + "\n")
            stdin.flush()
            line = stdout.readline()
            if not line:
                raise ExtensionError(f"the formula renderer stopped at {tex!r}; run the build again")
            self.done[key] = json.loads(line)
        return self.done[key]

    def close(self) -> None:
        """End the process and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)


def render(translator: Any, node: nodes.Node, tex: str, *, display: bool) -> str:
    """Return the HTML of one formula; warn with its place in the text if KaTeX refuses it."""
    app = translator.builder.app
    if not hasattr(app, "katex_renderer"):
        app.katex_renderer = Renderer(Path(app.confdir) / KATEX / "katex.js", dict(app.config.katex_macros))
    answer = app.katex_renderer(tex, display=display)
    if "error" in answer:
        log.warning("KaTeX: %s in %r", answer["error"], tex, location=node, type="katex")
        return f"<code>{translator.encode(tex)}</code>"
    return str(answer["html"])


def visit_inline(translator: Any, node: nodes.Element) -> None:
    """Write one formula inside a sentence."""
    opening = translator.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    translator.body.append(opening + render(translator, node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.Element) -> None:
    """Write one displayed formula, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    tex = NUMBERED.sub(r"\\\1{\2*}", node.astext())
    if r"\begin{" not in tex and (r"\\" in tex or "&" in tex):
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    translator.body.append(render(translator, node, tex, display=True) + "</div>")
    raise nodes.SkipNode


def publish_styles(app: Sphinx, _config: Any) -> None:
    """Put KaTeX's style sheet and fonts where Sphinx copies static files from."""
    source = Path(app.confdir) / KATEX
    if not source.is_dir():
        raise ExtensionError(f"formulas cannot be styled: {source} is missing; run `make setup`")
    target = Path(app.outdir).parent / "vendor" / "katex"
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    # Only woff2: every browser that can show the book reads it, and the other formats triple the weight.
    css = (source / "katex.min.css").read_text(encoding="utf-8")
    css = re.sub(r',url\(fonts/[\w-]+\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)', "", css)
    (target / "katex.min.css").write_text(css, encoding="utf-8")
    for font in (source / "fonts").glob("*.woff2"):
        shutil.copyfile(font, target / "fonts" / font.name)
    app.config.html_static_path.append(str(target.parent))
    app.add_css_file("katex/katex.min.css")


def stop_renderer(app: Sphinx, _error: Exception | None) -> None:
    """End the Node process with the build."""
    if hasattr(app, "katex_renderer"):
        app.katex_renderer.close()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("katex", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    app.add_config_value("katex_macros", {}, "html")
    app.connect("config-inited", publish_styles)
    app.connect("build-finished", stop_renderer)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
