"""The picture on a card of the index: a figure without its words, which nobody could read at that size."""

import base64
import re
from typing import Any

import vl_convert

MOST_BYTES, MOST_PIXELS = 60_000, 4_000_000  # of a picture; a page is a million pixels
TALLEST = 0.62  # height over width, below which a picture is cut
_FRAME = re.compile(r'width="([\d.]+)" height="([\d.]+)" viewBox="[^"]*"')
_SPOKEN = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')  # a card's picture is an ornament


def thumbnail(spec: dict[str, Any]) -> str:
    """A Vega-Lite specification as the address of a small wordless picture; empty where there is none."""
    try:
        vega = _wordless(vl_convert.vegalite_to_vega(spec, vl_version="6.4"))
        svg = vl_convert.vega_to_svg(vega, allowed_base_urls=[])
        frame = _FRAME.search(svg)
        if not frame or float(frame[1]) * float(frame[2]) > MOST_PIXELS:
            return ""
        svg = _SPOKEN.sub("", svg.replace(frame[0], _cut(float(frame[1]), float(frame[2])), 1))
        if len(svg) <= MOST_BYTES:
            return _address("svg+xml", svg.encode())
        png = vl_convert.vega_to_png(vega, allowed_base_urls=[])
    except ValueError:
        return ""
    return _address("png", png) if len(png) <= MOST_BYTES else ""


def _wordless(group: dict[str, Any]) -> dict[str, Any]:
    """A Vega group, or another mark, without titles, legends, texts and what stands along its axes."""
    kept = {name: value for name, value in group.items() if name not in ("title", "legends")}
    if "axes" in group:
        bare = {"labels": False, "ticks": False, "title": None, "encode": {}}
        kept["axes"] = [axis | bare for axis in group["axes"]]
    if "marks" in group:
        kept["marks"] = [_wordless(mark) for mark in group["marks"] if mark.get("type") != "text"]
    return kept


def _cut(width: float, height: float) -> str:
    """The frame of a picture of that size without what is too far down."""
    height = min(height, width * TALLEST)
    return f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'


def _address(kind: str, picture: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
