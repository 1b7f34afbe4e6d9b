"""The links from each page of a folder to the one before it and the one after it."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from workbench.files import atomic_write

_TURN = re.compile(rb'<nav class="turn"[^>]*>.*?</nav>', re.DOTALL)
_TITLE = re.compile(rb"<h1>(.*?)</h1>", re.DOTALL)


def link(pages: Sequence[Path]) -> None:
    """Link pages to their neighbours where they are not linked yet; what a page says else stays as it is.

    Args:
        pages: in their order; all in one folder.

    Raises:
        UserError: A page cannot be written.
    """
    written = [page.read_bytes() for page in pages]
    titles = [match[1].decode() if (match := _TITLE.search(page)) else "" for page in written]
    for number, (path, page) in enumerate(zip(pages, written, strict=True)):
        links = [
            Markup('<a rel="{0}" href="{1}">{2}</a>').format(rel, quote(pages[other].name), Markup(title))
            for rel, other in (("prev", number - 1), ("next", number + 1))
            if 0 <= other < len(pages) and (title := titles[other])
        ]
        turn = f'<nav class="turn" aria-label="Other reports">{"".join(links)}</nav>'.encode()
        linked = _TURN.sub(lambda match, turn=turn: turn, page, count=1)
        if linked != page:
            atomic_write(path, linked)
