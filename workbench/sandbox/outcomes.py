"""What can become of a program, and how its `ans` is read."""

import ast
import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

STATUSES = (
    "ok",
    "wrong type",  # ran, but ans is missing, or neither a finite number nor text, or too long
    "syntax",
    "unsupported",  # Python that the sandbox does not know: says something of the tool, not of the model
    "runtime error",
    "timeout",
    "memory",  # filled its memory, or printed more than MAX_PRINTED
    "crash",  # the worker died
    "not run",  # no sandbox here, or the program is longer than MAX_PROGRAM
)

NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)  # on every clock of a sandbox
MAX_ANSWER = 1_000  # digits or characters of ans
MAX_PRINTED = 20_000  # characters
MAX_PROGRAM = 20_000  # characters
SHOWN = MAX_ANSWER + 100  # of the repr of ans; more is too long whatever it is

# As repr writes them: Decimal('1.5'), Fraction(1, 2), np.float64(1.5); sympy writes 1/2 and 1.50000000000000.
WRAPPED = re.compile(r"Decimal\('(.*)'\)|np\.\w+\((.*)\)")
INTEGER = re.compile(r"-?[0-9]+")
DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?")
ESCAPE = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
QUOTED = re.compile(rf"'(?:[^'\\]|{ESCAPE})*'|\"(?:[^\"\\]|{ESCAPE})*\"")
FRACTION = re.compile(r"Fraction\((-?[0-9]+), (0*[1-9][0-9]*)\)|(-?[0-9]+)/(0*[1-9][0-9]*)")


@dataclass(frozen=True)
class Outcome:
    """What became of one program."""

    status: str  #: one of STATUSES
    #: of `ans` where the status is "ok", else None: int, Fraction or Decimal (a float becomes the Decimal of
    #: its shortest repr, so 0.1 + 0.2 is 0.30000000000000004), or text.
    value: int | Fraction | Decimal | str | None = None
    printed: str = ""  #: standard output, at most MAX_PRINTED characters
    reason: str = ""  #: one line on what went wrong; empty where nothing did


def read(shown: str, printed: str) -> Outcome:
    """The outcome of a program that ran to its end.

    Args:
        shown: repr of its `ans`, cut after SHOWN characters; it may be of a class with a repr of its own.
    """
    if len(shown) > MAX_ANSWER:
        return Outcome("wrong type", None, printed, f"ans is longer than {MAX_ANSWER:,} characters")
    wrapped = WRAPPED.fullmatch(shown)
    text = (wrapped[1] or wrapped[2] or "") if wrapped else shown
    if INTEGER.fullmatch(text):
        return Outcome("ok", int(text), printed)
    if DECIMAL.fullmatch(text) and abs(Decimal(text).adjusted()) <= MAX_ANSWER:
        return Outcome("ok", Decimal(text), printed)
    if match := FRACTION.fullmatch(text):
        return Outcome("ok", Fraction(int(match[1] or match[3]), int(match[2] or match[4])), printed)
    if QUOTED.fullmatch(text):
        try:
            # A lone surrogate would break the first file it is written to.
            return Outcome("ok", ast.literal_eval(text).encode("utf-8", "replace").decode(), printed)
        except (SyntaxError, ValueError):
            pass
    reason = f"ans is {one_line(shown)}, which is neither a finite number nor text"
    return Outcome("wrong type", None, printed, reason)


def one_line(text: str) -> str:
    """The text with every run of blanks as one, so that it fits a line."""
    return " ".join(text.split())[:200]
