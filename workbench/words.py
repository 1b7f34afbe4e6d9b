"""Words of a text, as measures and the embedded encoder count them."""

import re
import unicodedata

import regex

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
# Scripts that write no spaces between words: every character is taken as one, as in sacrebleu's "zh".
_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々〆ー"
_ANY_WORD = regex.compile(
    rf"(?V1)[{_SPACELESS}--\p{{N}}]\p{{M}}*|[\p{{L}}\p{{N}}\p{{M}}--[{_SPACELESS}--\p{{N}}]]+"
    rf"(?:'[\p{{L}}\p{{N}}\p{{M}}--[{_SPACELESS}--\p{{N}}]]+)*"
)
JOINERS = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # invisible, within words


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "don’t" and "don't" are the same one word.

    Combining marks belong to their word, however it is composed (NFC). Scripts without spaces are cut by
    character.
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    text = unicodedata.normalize("NFC", JOINERS.sub("", text)).lower()
    return _ANY_WORD.findall(text.replace("’", "'"))
