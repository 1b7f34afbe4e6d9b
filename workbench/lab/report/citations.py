"""The papers that a notebook names, and links to them in what its claims say of a paper."""

import re
from collections.abc import Iterable
from html import unescape

from markupsafe import Markup, escape

from workbench.sanitize import safe_link

_LINK = re.compile(r"\[([^\[\]]{1,100})\]\((https://[^\s()]{1,200})\)")
_PAPERS = re.compile(r"https://(?:[\w-]+\.)*(?:arxiv|doi|openreview|aclanthology)\.(?:org|net)/")
_ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def papers(sources: Iterable[str]) -> dict[str, str]:
    """The links to papers in Markdown, in their order: what is linked ("Olsson et al. 2022"), and where to.

    Args:
        sources: of a notebook's cells of prose.
    """
    links: dict[str, str] = {}
    for name, url in (pair for source in sources for pair in _LINK.findall(source)):
        if _PAPERS.match(url) and (link := safe_link(url)):
            links.setdefault(" ".join(name.replace("(", "").replace(")", "").split()), link)
    return links


def linked(text: str, known: dict[str, str]) -> Markup:
    """What a claim says of a paper, with links: to each paper that it names, else to the notebook's first.

    Args:
        text: escaped here.
        known: of `papers`; an arXiv number is linked in any case.
    """
    links = {name: url for name, url in known.items() if re.search(r"[^\W\d]", name)}
    links |= {number: f"https://arxiv.org/abs/{number}" for number in _ARXIV.findall(text)}
    pieces, named = [], False
    pattern = "|".join(re.escape(name) for name in sorted(links, key=len, reverse=True))
    for piece in re.split(f"({pattern})", text) if pattern else [text]:
        pieces.append(_anchor(piece, links[piece]) if piece in links else escape(piece))
        named = named or piece in links
    if links and not named and not _YEAR.search(text):
        name, url = next(iter(links.items()))
        pieces += [" ", _anchor(name, url)]
    return Markup("").join(pieces)


def _anchor(text: str, url: str) -> Markup:
    return Markup('<a class="cite" href="{}" rel="noreferrer noopener">{}</a>').format(unescape(url), text)
