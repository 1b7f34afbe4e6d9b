"""Markdown of notebooks as HTML that can do no harm: raw HTML escaped, nothing loaded, maths as MathML."""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any
from xml.etree import ElementTree

import mistune
from latex2mathml.converter import convert_to_element
from markupsafe import Markup

from workbench.lab.report.typography import smart
from workbench.sanitize import safe_link, sanitize

Heading = tuple[int, str, str]  # level in the notebook, id, text


def slug(text: str) -> str:
    """Return an id for a heading or figure: lower case, words joined by hyphens."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:80] or "untitled"


MAX_FORMULA = 4000  # characters; longer ones stand as code

# Neither a style nor a class or an address: these could cover the page, or look like a verdict of ours.
_ELEMENTS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "msub", "msup", "msubsup",
    "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none", "mfrac", "msqrt", "mroot",
    "mtable", "mtr", "mtd", "mpadded", "mphantom", "menclose",
}  # fmt: skip
_WORDS = {
    "xmlns", "display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "form",
    "accent", "accentunder", "separator", "symmetric", "largeop", "movablelimits", "columnalign",
    "rowalign", "columnlines", "rowlines", "notation", "mathcolor",
}  # fmt: skip
_LENGTHS = {
    "width", "height", "depth", "lspace", "rspace", "minsize", "maxsize", "linethickness", "columnspacing",
    "rowspacing",
}  # fmt: skip
_EM = {"em": 1.0, "ex": 0.5, "px": 1 / 16, "pt": 1 / 12, "mm": 0.24, "cm": 2.4, "in": 6.0, "": 1.0}
_SMALLEST, _LARGEST = -0.5, 10.0  # em: what is longer would cover its neighbours


def mathematics(latex: str, display: str) -> str:
    """LaTeX as MathML ("inline" or "block"), or as escaped code where it cannot be read."""
    try:
        if len(latex) > MAX_FORMULA:
            raise ValueError
        tree = convert_to_element(latex, display=display)
        for node in tree.iter():
            _make_harmless(node)
        return ElementTree.tostring(tree, encoding="unicode")
    except Exception:  # the library has no common base for its errors
        return f"<code>{escape(latex)}</code>"


def _make_harmless(node: ElementTree.Element) -> None:
    """Leave an element of MathML what belongs to a formula."""
    # The library writes entities into the text and expects them to stand unescaped, `<script>` too.
    node.text = unescape(node.text) if node.text else node.text
    node.tag = node.tag if node.tag in _ELEMENTS else "mrow"
    for name, value in list(node.attrib.items()):
        is_word = name in _WORDS and re.fullmatch(r"[\w #:/.+-]{0,60}", value)
        if not (is_word or (name in _LENGTHS and _is_short(value))):
            del node.attrib[name]


def _is_short(length: str) -> bool:
    parts = re.fullmatch(r"([+-]?\d{1,6}(?:\.\d{0,6})?|[+-]?\.\d{1,6})([a-z]{0,2})", length)
    return bool(parts) and parts[2] in _EM and _SMALLEST <= float(parts[1]) * _EM[parts[2]] <= _LARGEST


class _Renderer(mistune.HTMLRenderer):
    def __init__(self, new_id: Callable[[str], str]) -> None:
        super().__init__(escape=True)
        self.new_id = new_id
        self.headings: list[Heading] = []

    def text(self, text: str) -> str:
        return super().text(smart(text))

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        plain = unescape(re.sub(r"<[^>]+>", "", text))
        name = self.new_id(slug(plain))
        self.headings.append((level, name, plain))
        level = max(level, 2)  # the page has one title
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        link = safe_link(url)
        return text if link is None else f'<a href="{escape(link)}" rel="noreferrer noopener">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"data:image/(png|jpeg|gif|webp);base64,", url):
            return f'<img src="{escape(url)}" alt="{escape(text)}">'
        return f"<em>[image: {escape(text) or 'without description'}]</em>"

    def inline_math(self, text: str) -> str:
        formula = mathematics(text, "inline")
        return f'<span class="long">{formula}</span>' if len(text) > 40 else formula

    def block_math(self, text: str) -> str:
        return f'<div class="formula">{mathematics(text, "block")}</div>\n'


def render(source: str, new_id: Callable[[str], str]) -> tuple[Markup, list[Heading]]:
    """Markdown with `$…$` and `$$…$$` formulas and pipe tables as HTML, and its headings.

    Args:
        new_id: makes an id that is unique in the page from a wished one.
    """
    renderer = _Renderer(new_id)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["math", "table", "strikethrough"])
    # The plugin registers its own two renderers over ours; ours are put back.
    renderer.register("inline_math", lambda self, text: self.inline_math(text))
    renderer.register("block_math", lambda self, text: self.block_math(text))
    html = markdown(sanitize(source))
    return Markup(html), renderer.headings
