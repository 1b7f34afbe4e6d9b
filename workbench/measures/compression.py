"""Compression ratio: how much of a set of texts repeats itself."""

import lzma
import zlib
from collections.abc import Sequence
from typing import Literal


def compression_ratio(texts: Sequence[str], method: Literal["zlib", "lzma"] = "lzma") -> float:
    """Bytes of the texts, one after the other, over bytes compressed: higher = more repetition.

    Two cautions (Shaib et al. 2024, arXiv 2403.00553, use gzip): the ratio grows with the amount of text,
    so compare sets of equal size (`samples.blocks`); and zlib sees only 32 KiB back, so that its
    ratio depends on the order of the texts, while lzma sees the whole set.

    Raises:
        ValueError: the texts hold no byte, or the method is neither zlib nor lzma.
    """
    raw = "\n".join(texts).encode("utf-8", errors="surrogatepass")
    if not raw:
        raise ValueError("compression needs at least one text that is not empty")
    if method == "zlib":
        return len(raw) / len(zlib.compress(raw, level=9))
    if method == "lzma":
        # Raw stream: no header or checksum, which would weigh on small sets.
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        return len(raw) / len(lzma.compress(raw, format=lzma.FORMAT_RAW, filters=filters))
    raise ValueError(f"unknown compression method {method!r}: zlib or lzma")
