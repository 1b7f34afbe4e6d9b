"""The process that draws: reads Vega-Lite specifications from stdin and answers with PNGs on stdout.

A message is its length in four bytes and JSON; an answer one letter (P: picture, E: error), its length, its
bytes. It needs nothing but vl-convert and Pillow, and ends when its parent does.
"""

import os
import struct
import sys
from io import BytesIO

import vl_convert
from PIL import Image

COLOURS = 256  # of a picture, as many as a palette holds


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    Image.MAX_IMAGE_PIXELS = None  # a picture of our own is no bomb
    while len(head := sys.stdin.buffer.read(4)) == 4:
        spec = sys.stdin.buffer.read(struct.unpack(">I", head)[0]).decode("ascii")
        try:
            picture = vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=2, allowed_base_urls=[])
            kind, answer = b"P", _compressed(picture)
        except Exception as error:
            kind, answer = b"E", _sentence(error).encode("utf-8", "replace")
        answers.write(kind + struct.pack(">I", len(answer)) + answer)
        answers.flush()


def _sentence(error: Exception) -> str:
    """The line that says what was wrong, without JavaScript's trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("at ")] or [type(error).__name__]
    return lines[min(1, len(lines) - 1)][:200]


def _compressed(png: bytes) -> bytes:
    """Return the picture on white in a palette, which is a quarter to half of what vl-convert packs."""
    drawn = Image.open(BytesIO(png)).convert("RGBA")
    opaque = Image.new("RGB", drawn.size, "white")
    opaque.paste(drawn, mask=drawn)
    # Rare colours count as much as common ones: a ring around one point stays red.
    covering = Image.Quantize.MAXCOVERAGE
    few = opaque.quantize(COLOURS, method=covering, kmeans=1, dither=Image.Dither.NONE)
    packed = BytesIO()
    few.save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main()
