"""The process that compares answers in LaTeX with math-verify; `latex` starts it, ends it, starts it anew.

Reads lines [gold, given] in JSON, writes one line for each: "same", "different", "gold" or "given" (which of
the two cannot be read). Started by its path, so that it imports no more than it needs.
"""

import contextlib
import json
import logging
import resource
import signal
import sys

from math_verify import LatexExtractionConfig, parse, verify
from sympy import nan, zoo

MEMORY = 2 << 30  # bytes; sympy would take all there is for 10^{10^{10}}
ORPHANED = 60  # seconds after which a comparison ends itself, should nobody be left to end it
UNDEFINED = (nan, zoo)
CONFIG = [LatexExtractionConfig(boxed_match_priority=0)]


def compare(gold: str, given: str) -> str:
    """What math-verify says of the two, each the content of a box."""
    right, said = (
        parse(f"\\boxed{{{text}}}", CONFIG, fallback_mode="no_fallback", parsing_timeout=None)
        for text in (gold, given)
    )
    if not right or right[0] in UNDEFINED:
        return "gold"
    if not said or said[0] in UNDEFINED:
        return "given"
    try:
        same = verify(right, said, timeout_seconds=None, raise_on_error=True)
    except Exception:  # sympy's, of any kind: what cannot be compared is not known to be wrong
        return "given"
    return "same" if same else "different"


def main() -> None:
    """Answers until the input ends."""
    logging.disable()
    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    replies, sys.stdout = sys.stdout, sys.stderr  # what the libraries print is no reply
    print('"ready"', file=replies, flush=True)
    for line in sys.stdin:
        signal.alarm(ORPHANED)
        print(json.dumps(compare(*json.loads(line))), file=replies, flush=True)
        signal.alarm(0)


if __name__ == "__main__":
    main()
