"""The process that draws: reads Vega-Lite specifications from stdin and answers with PNGs on stdout.

A message is its length in four bytes and JSON; an answer one letter (P: picture, E: error), its length, its
bytes. It needs nothing but vl-convert, and ends when its parent does.
"""

import os
import struct
import sys
import zlib

import vl_convert


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
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
    """Return the same PNG at under half its size: vl-convert packs it fast, not small."""
    chunks, packed, position = [], b"", 8
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        kind, body = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        if kind == b"IDAT":
            packed += body
        else:
            chunks.append((kind, body))
        position += 12 + length
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(packed), 9)))
    pieces = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return png[:8] + b"".join(pieces)


if __name__ == "__main__":
    main()
