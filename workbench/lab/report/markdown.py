"""Markdown of notebooks as HTML that can do no harm: raw HTML escaped, nothing loaded, maths as MathML."""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any
from xml.etree import ElementTree

import mistune
from latex2mathml.converter import convert_to_element
from markupsafe import Markup

from workbench.sanitize import sanitize

Heading = tuple[int, str, str]  # level in the notebook, id, text


def slug(text: str) -> str:
    """Return an id for a heading or figure: lower case, words joined by hyphens."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:80] or "untitled"


def mathematics(latex: str, display: str) -> str:
    """LaTeX as MathML ("inline" or "block"), or as escaped code where it cannot be read."""
    try:
        tree = convert_to_element(latex, display=display)
    except Exception:  # the library has no common base for its errors
        return f"<code>{escape(latex)}</code>"
    for node in tree.iter():
        # The library writes entities into the text and expects them to stand unescaped, `<script>` too.
        node.text = unescape(node.text) if node.text else node.text
        for name in [name for name in node.attrib if name == "href" or name.startswith("on")]:
            del node.attrib[name]
    return ElementTree.tostring(tree, encoding="unicode")


class _Renderer(mistune.HTMLRenderer):
    def __init__(self, new_id: Callable[[str], str]) -> None:
        super().__init__(escape=True)
        self.new_id = new_id
        self.headings: list[Heading] = []

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        plain = unescape(re.sub(r"<[^>]+>", "", text))
        name = self.new_id(slug(plain))
        self.headings.append((level, name, plain))
        level = max(level, 2)  # the page has one title
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not re.match(r"(https?:|mailto:|#|[\w./-]+(#|$))", url):
            return text
        return f'<a href="{self.safe_url(url)}" rel="noreferrer noopener">{text}</a>'

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
