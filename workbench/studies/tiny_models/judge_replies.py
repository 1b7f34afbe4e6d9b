"""Reads the numbers out of a judge's free text, or says why it cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAKES_SENSE = "plot_makes_sense"
AGES = {"3": "A", "4-5": "B", "6-7": "C", "8-9": "D", "10-12": "E", "13-16": "F"}
_LABELS = r"(?:grammar|creativity|consistency|plot|age)"
_NUMBER = r"(?<![\d.,])(\d+(?:[.,]\d+)?)(?![\d.,]*\d)"
_OUT_OF = r"\s*\W{0,3}(?:/|\bout of\b)\s*(\d+)(?!\d)"
_NO_LABEL = rf"(?:(?!\b{_LABELS})[^\d\n])"  # so that "grammar and creativity: 8" grades neither for the other
_MARKUP = r"[\s*_`\"'|:=()\[\]–—-]*"
_QUALIFIER = r"(?: with the \w+)?(?: score| grade| rating)?"
_RANGE = r"\s*(?:-|–|—|to|or)\s*\d"


def read_verdict(
    reply: str, scores: Sequence[str], plot_makes_sense: bool
) -> tuple[dict[str, float | str | None], list[str]]:
    """Scores (0-10), whether the plot makes sense (0, 0.5 or 1) and the age group (A-F) of a reply.

    What is said last counts, since judges think aloud first; thoughts up to `</think>` are left out.

    Args:
        reply: free text such as "Grammar: 8/10", "**Creativity** 7 out of 10", "Age group: B (4-5)".
        scores: names of the scores to find.
        plot_makes_sense: whether to look for the answer to that too.

    Returns:
        Values by name (NaN or None where missing), and one reason for each that is missing.
    """
    text = reply.rpartition("</think>")[2]
    verdict: dict[str, float | str | None] = {}
    problems = []
    readers = {name: lambda text, name=name: _score(text, name) for name in scores}
    readers |= {MAKES_SENSE: _makes_sense} if plot_makes_sense else {}
    for name, read in {**readers, "age": _age}.items():
        try:
            verdict[name] = read(text)
        except ValueError as problem:
            verdict[name] = None if name == "age" else float("nan")
            problems.append(str(problem))
    return verdict, problems if text.strip() else ["the reply is empty"]


def _score(text: str, name: str) -> float:
    label = rf"\b{name}\b"
    step = rf"{_NO_LABEL}{{0,80}}?(?:\n{_MARKUP}(?:score|grade|rating)?{_MARKUP})?"
    not_of_another = rf"(?!\s*(?:points? )?(?:for|in|on) (?:the |its )?{_LABELS})"
    forms = [  # from the clearest to the least clear
        rf"{label}{step}{_NUMBER}{_OUT_OF}{not_of_another}",
        rf"{_NUMBER}{_OUT_OF} (?:points? )?(?:for|in|on) (?:the |its )?{label}",
        rf"{label}{_QUALIFIER}{_MARKUP}(?:\([^\d\n()]*\))?{_MARKUP}{_NUMBER}()",
    ]
    for form in forms:
        matches = list(re.finditer(form, text, re.IGNORECASE))
        if matches:
            return _checked(name, matches[-1], text)
    raise ValueError(f"no {name} score was found")


def _checked(name: str, match: re.Match[str], text: str) -> float:
    number, top = float(match[1].replace(",", ".")), match[2]
    before = text[: match.start(1)]
    if re.match(_RANGE, text[match.end(1) :]) or re.search(r"\d\s*(?:-|–|—|to|or)\s*$", before):
        raise ValueError(f"{name} is a range, not a number")
    if top and top != "10":
        raise ValueError(f"{name} is out of {top}, not out of 10")
    if re.search(r"[:=]\W*[-−]$", before):
        raise ValueError(f"{name} is below 0")
    if number > 10:
        raise ValueError(f"{name} is {number:g}, above 10")
    return number


def _makes_sense(text: str) -> float:
    form = r"\bplot\b[^\n:?]{0,60}[:?]\W*(yes|no|partly|partially|somewhat|mostly)\b"
    answers = re.findall(form, text, re.IGNORECASE)
    if not answers:
        raise ValueError("whether the plot makes sense was not answered by yes, partly or no")
    return {"yes": 1.0, "no": 0.0}.get(answers[-1].lower(), 0.5)


def _age(text: str) -> str:
    lines = re.findall(r"\bage\b([^\n]*(?:\n\W*[A-F]\b[^\n]*)?)", text, re.IGNORECASE)
    for line in reversed(lines):
        # not the article of "A young child"
        letters = set(re.findall(r"(?<![\w'])([A-F])(?![\w']| [a-z]{3})", line))
        if len(letters) > 1:
            raise ValueError(f"the age group is not one: {', '.join(sorted(letters))}")
        if letters:
            return letters.pop()
        years = re.search(r"\d+(?:\s*[-–]\s*\d+)?", line)
        group = years and AGES.get(re.sub(r"\s", "", years[0]).replace("–", "-"))
        if group:
            return group
    raise ValueError("no age group from A to F was found")
