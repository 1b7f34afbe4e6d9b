"""Compression ratio: how much of a set of texts repeats itself."""

import lzma
from collections.abc import Sequence

# Raw stream: no header or checksum, which would weigh on small sets.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes of the texts, one after the other, over bytes compressed by LZMA: higher = more repetition.

    The ratio grows with the amount of text, so compare sets of equal size (`samples.blocks`). Shaib et al.
    2024 (arXiv 2403.00553) use gzip, which sees only 32 KiB back and so depends on the order of the texts.

    Raises:
        ValueError: the texts hold no byte.
    """
    raw = "\n".join(texts).encode("utf-8", errors="surrogatepass")
    if not raw:
        raise ValueError("compression needs at least one text that is not empty")
    return len(raw) / len(lzma.compress(raw, format=lzma.FORMAT_RAW, filters=_FILTERS))
