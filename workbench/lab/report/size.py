"""How large a page is, and which of its figures make it so."""

import re
from html import unescape
from pathlib import Path

LIMIT = 1_500_000  # bytes of a page that can be committed and sent
LIVE_LIMIT = 3_500_000  # of one that carries models

_FIGURE = re.compile(rb'<figure id="[^"]*".*?</figure>', re.DOTALL)
_NAME = re.compile(rb'class="label"[^>]*>([^<]*)</a> <span class="name">([^<]*)<')


def figures(page: bytes) -> list[tuple[str, int]]:
    """The figures of a page with their bytes, the largest first."""
    sizes = []
    for figure in _FIGURE.findall(page):
        match = _NAME.search(figure)
        name = " ".join(unescape(part.decode()) for part in match.groups()) if match else "a figure"
        sizes.append((name, len(figure)))
    return sorted(sizes, key=lambda pair: -pair[1])


def limit_of(page: bytes) -> int:
    """Bytes that a page may have."""
    return LIVE_LIMIT if b'class="view playground"' in page else LIMIT


def warning(path: Path) -> str | None:
    """What is to be said of a page over its limit, in one sentence; None of any other."""
    page = path.read_bytes()
    limit = limit_of(page)
    if len(page) <= limit:
        return None
    largest = ", ".join(f"{name} ({megabytes(size)})" for name, size in figures(page)[:3])
    which = f"the largest figures are {largest}" if largest else "it has no figure"
    return f"The page {path.name} has {megabytes(len(page))}, its limit is {megabytes(limit)}: {which}."


def megabytes(size: int) -> str:
    """Bytes as a person says them."""
    return f"{size / 1e6:.2f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
