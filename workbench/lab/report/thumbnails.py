"""The still picture of a figure, small enough for a card of the index."""

import base64
import io
from typing import Any

MOST_PIXELS = 40_000_000  # of a picture that is read
MOST_BYTES = 30_000  # of a small one
_WIDTH, _TALLEST = 620, 0.78  # pixels, of which a card shows half; height over width, below which it is cut
_COLOURS = (64, 24, 8)  # of the palette: fewer where the picture would be too large
_BLANK = 250  # of a grey that counts as paper
_SCALE, _TITLE, _LINE = 2, 24, 17  # pixels a unit of the drawing, and units of a title and of a line below it


def thumbnail(png: str, spec: dict[str, Any]) -> str:
    """A figure's PNG as a smaller one without its title, both in base 64; empty where it cannot be read.

    Args:
        png: as a notebook keeps it.
        spec: the Vega-Lite specification it was drawn from, which says how many lines its title has.
    """
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(base64.b64decode(png)))
        if picture.width * picture.height > MOST_PIXELS:
            return ""
        picture = _small(_untitled(picture.convert("RGB"), _title_height(spec)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    for colours in _COLOURS:
        packed = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
        if packed.tell() <= MOST_BYTES:
            return base64.b64encode(packed.getvalue()).decode()
    return ""


def _title_height(spec: dict[str, Any]) -> int:
    title = spec.get("title")
    if not isinstance(title, dict):
        return 0
    text, below = map(title.get, ("text", "subtitle"))
    lines = [line for line in (below if isinstance(below, list) else [below]) if line]
    return _SCALE * (_TITLE * (len(text) if isinstance(text, list) else 1) + _LINE * len(lines))


def _untitled(picture: Any, height: int) -> Any:
    """The picture below its title, from the first blank line where that should end; without margins."""
    from PIL import Image, ImageOps

    inked = [255 if grey > 255 - _BLANK else 0 for grey in range(256)]
    dark = ImageOps.invert(picture.convert("L")).point(inked)
    if height:
        rows = dark.resize((1, dark.height), Image.Resampling.BOX).get_flattened_data()
        ends = range(height, min(dark.height, height + 4 * _LINE))
        top = next((y for y in ends if not any(rows[y : y + 6])), 0)
        picture, dark = (image.crop((0, top, image.width, image.height)) for image in (picture, dark))
    return picture.crop(dark.getbbox()) if dark.getbbox() else picture


def _small(picture: Any) -> Any:
    from PIL import Image

    picture = picture.crop((0, 0, picture.width, min(picture.height, round(picture.width * _TALLEST))))
    width = min(_WIDTH, picture.width)
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Image.Resampling.LANCZOS)
