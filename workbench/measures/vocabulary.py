"""Words of a text, and how much of a word list texts use."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "don’t" and "don't" are the same one word."""
    return _WORD.findall(text.lower().replace("’", "'"))


def coverage(texts: Iterable[str], word_list: Iterable[str]) -> float:
    """Share of `word_list` that occurs as a word anywhere in `texts`.

    Raises:
        ValueError: the word list is empty.
    """
    wanted = {word.lower() for word in word_list}
    if not wanted:
        raise ValueError("coverage needs a word list that is not empty")
    seen = {word for text in texts for word in words(text)}
    return len(wanted & seen) / len(wanted)
