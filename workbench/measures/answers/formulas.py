"""The formula in an answer, as LaTeX for math-verify: √2/2, x = ±3, (1, 2), [0, 1), and no words."""

import re

from workbench.measures.answers.spelling import latex, plain

_LONGEST = 1500  # characters
_COMPUTED = re.compile(r"[\\^√π±∞≤≥≠<>∪∩∈_|]|[0-9]!|[0-9(][xyzni]\b|\b[xyzn]\b\s*[-+*/=]|[-+*/=]\s*[xyzn]\b")
_DELIMITED = re.compile(r"(?<!\\)\$\$?([^$]+?)(?<!\\)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_EITHER = re.compile(r"(?<=[)\]}0-9])\s*(?:or|and)\s*(?=[(\[\\{0-9])")  # (11,7)or(7,11)
_BETWEEN = re.compile(r"[\s,;]*(?:and|or)?[\s,;]*")
_FUNCTION = r"(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|lg|exp|sqrt|gcd|lcm|cis|pi"
_ENGLISH = (
    r"is|of|or|so|we|it|in|to|at|as|by|if|be|do|an|no|on|he|up|us|my|me|the|and|for|are|was|cm|mm|km|kg|mg|ft"
    r"|am|pm|ml|oz|lb|hr"
)
_WORD = re.compile(
    rf"(?<![\\A-Za-z])(?!(?:{_FUNCTION})(?![A-Za-z]))"
    rf"(?:(?=[A-Z]*[a-z])[A-Za-z]{{3,}}|(?:{_ENGLISH})(?![A-Za-z]))"
)
_NAMED = re.compile(
    r"\\(?:begin|end|operatorname\*?|mathbb|mathcal|mathrm|text[a-z]*|mbox)\s*\{[^{}]*\}(?:\{[clr|]+\})?"
)
_NO_FORMULA = re.compile(r"\s*(?:[0-9]+[-/.:][0-9]+[-/.:][0-9]+|[^A-Za-z0-9\\∞π∅]*)\s*")
_DECORATION = " \t\n*_`.;:"


def formula_in(text: str, any_number: bool = False) -> str:
    """The formula that an answer is, or begins with before words follow; "" where it is none.

    Args:
        text: an answer as it is written.
        any_number: a plain number is one, too.
    """
    if len(text) > _LONGEST or not (any_number or _COMPUTED.search(plain(text))):
        return ""
    if found := list(_DELIMITED.finditer(text)):
        first, *others = found
        parts, end = [_content(first)], first.end()
        for other in others:
            if not _BETWEEN.fullmatch(text[end : other.start()]):
                break
            parts, end = [*parts, _content(other)], other.end()
        text = ", ".join(parts)
    else:
        text = _before_words(text)
    return latex(text.replace("$", "").strip(_DECORATION).rstrip(",")) if text and is_formula(text) else ""


def last_formula(text: str) -> str:
    """The last formula between dollars or brackets in a text without a marker; "" without one."""
    found = list(_DELIMITED.finditer(text[-2 * _LONGEST :]))
    content = _content(found[-1]) if found else ""
    return latex(content) if content and is_formula(content) else ""


def is_formula(text: str) -> bool:
    """Whether a text may be a formula: no words but functions and those in `\\text{}`, and no date."""
    bare = _NAMED.sub(" ", text)
    return len(text) <= _LONGEST and not _WORD.search(bare) and not _NO_FORMULA.fullmatch(text)


def _content(match: re.Match[str]) -> str:
    return _EITHER.sub(", ", next(filter(None, match.groups())).strip())


def _before_words(text: str) -> str:
    """A text up to its first word; "" where that word adds to what stands before it ("5^2 or 6")."""
    text = text.strip(_DECORATION).replace(r"\$", "")
    bare = _NAMED.sub(lambda named: " " * len(named[0]), text)
    word = _WORD.search(bare)
    if word is None:
        return text
    adds = re.match(r"(?i)(?:and|or|to|plus|minus|times|of)\b", text[word.start() :])
    return "" if adds else text[: word.start()].rstrip(" (,;:")
