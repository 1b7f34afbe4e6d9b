"""The answer rules of lm-evaluation-harness for GSM8K (version 3), to print beside ours: texts, not values.

Known to differ from `grading.grade`: "flexible" finds "$29.00" wrong for 29, reads "2/3" as 3, and takes the
text's last number whatever it is about; "strict" takes the first "####", also of a recited example.
"""

import re
from typing import Literal

from workbench.measures.answers.grading import Verdict

Rule = Literal["strict", "strict-cot", "flexible"]

_PATTERNS: dict[str, re.Pattern[str]] = {
    "strict": re.compile(r"#### (-?[0-9.,]+)"),
    "strict-cot": re.compile(r"The answer is (-?[0-9.,]+)."),
    "flexible": re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+"),
}


def extracted(completion: str, rule: Rule) -> str | None:
    """The text that a rule takes for the answer: the first match if strict, else the last; None without one.

    Raises:
        ValueError: another rule.
    """
    if rule not in _PATTERNS:
        raise ValueError(f"the rule must be {', '.join(_PATTERNS)}, not {rule!r}")
    matches = _PATTERNS[rule].findall(completion)
    if not matches:
        return None
    return matches[-1] if rule == "flexible" else matches[0]


def grade(completion: str, gold: str, rule: Rule = "flexible") -> Verdict:
    """The verdict of a rule: equal texts once "$", ",", case, a last "." and all up to "#### " are gone.

    Args:
        gold: the right answer as the data has it, also a whole solution of GSM8K.
        rule: "strict" wants "#### N", "strict-cot" "The answer is N.", "flexible" any number.

    Raises:
        ValueError: another rule.
    """
    given = extracted(completion, rule)
    if given is None:
        return "unparsed"
    return "correct" if _bare(given) == _bare(gold) else "wrong"


def _bare(text: str) -> str:
    text = re.sub(r"(?s).*#### ", "", re.sub(r"[,$]", "", text))
    return text.removesuffix("\n").removesuffix(".").lower()
