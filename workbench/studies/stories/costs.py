"""What a story costs: tokens, seconds, and money where the price and the tokens are known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def costs(sets: Mapping[str, tuple[str, pd.DataFrame]], prices: Mapping[str, float]) -> pd.DataFrame:
    """What a story costs each generator, over all of its sets.

    Args:
        sets: name → who wrote it, and its stories.
        prices: name of a generator → dollars for a million tokens, read or written; 0 where none is known.

    Returns:
        Columns generator, stories, words, prompt tokens, tokens, seconds (each a story), dollars (a thousand
        stories); NaN where it is not known.
    """
    rows = []
    for generator in dict.fromkeys(name for name, _ in sets.values()):
        frame = pd.concat([frame for name, frame in sets.values() if name == generator], ignore_index=True)
        read, written = (
            float(frame[name].mean()) if name in frame else np.nan for name in ("prompt_tokens", "tokens")
        )
        price = prices.get(generator) or np.nan
        rows.append(
            {
                "generator": generator,
                "stories": len(frame),
                "words": float(frame["story"].str.split().str.len().mean()),
                "prompt tokens": read,
                "tokens": written,
                "seconds": float(frame["seconds"].mean()),
                "dollars": (read + written) * price / 1000,
            }
        )
    return pd.DataFrame(rows)
