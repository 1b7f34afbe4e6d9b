"""Arithmetic of a text, read exactly: 3 + 4 * 2, (29/3) * (5/4), 2^3, 20% * 50, 27(1/3)."""

import ast
import operator
import re
from dataclasses import dataclass, field
from fractions import Fraction

from workbench.measures.answers.numerals import read_digits

_LONGEST = 200  # characters: more is no arithmetic, and deep nesting costs
_LARGEST = 4000  # bits of a power
_NUMBER = re.compile(
    r"(?:(?P<whole>[0-9]+) {1,2}(?P<part>[1-9][0-9]?/[0-9]+)(?![0-9/])"
    r"|(?P<digits>[0-9]{1,3}(?: [0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:[,.'][0-9]+)*|\.[0-9]+))"
    r"(?P<percent> ?%)?"
)
_UNIT = re.compile("⟦ ?([^⟧]*)⟧")
_DATE = re.compile(r"(?<![0-9/])[0-9]{1,2}/[0-9]{1,2}/(?:19|20)[0-9]{2}(?![0-9])")
_SINGLE = re.compile(r"-? ?[0-9 ,.']*?(?:[.,]([0-9]+))? ?%?")
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}
_PARTS = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Pow, *_OPERATIONS)


@dataclass
class Expression:
    """Numbers and what is done with them."""

    text: str  #: as written
    units: set[str] = field(default_factory=set)  #: words behind numbers, in the singular
    n_units: int = 0  #: numbers that have one
    tree: ast.expr = field(init=False)  #: with a name for each number
    numbers: dict[str, Fraction] = field(default_factory=dict)  #: by name
    percents: set[str] = field(default_factory=set)  #: names of those with a sign of percent
    comma: bool | None = None  #: whether decimals stand behind a comma; None where nothing tells

    @property
    def operates(self) -> bool:
        """Whether something is done, so that there is something to get wrong."""
        return isinstance(self.tree, ast.BinOp)

    def equals(self, right: "Expression", endless: bool = False) -> bool | None:
        """Whether it is what the right side says, rounded as that is; None where that cannot be known.

        Args:
            endless: the right side goes on ("3.33...").
        """
        if len({self.comma, right.comma} - {None}) > 1:
            return None
        try:
            value, said = _value(self.tree, self.numbers), _value(right.tree, right.numbers)
        except ZeroDivisionError:
            return False  # nothing equals x / 0
        if value is None or said is None:
            return None
        decimals = (_SINGLE.fullmatch(right.text) or [None, None])[1]
        slack = Fraction(2 if endless else 1, 2 * 10 ** len(decimals)) if decimals else 0
        if not (self.percents or right.percents):
            return abs(value - said) <= slack
        if abs(value - said) <= (slack / 100 if right.percents else slack):
            return True
        # "3 / 4 * 100 = 75%" is meant so, "1.2 * 100% = 120" may be.
        value, said = _value(self.tree, self.without_percent()), _value(right.tree, right.without_percent())
        if value is None or said is None:
            return None
        if abs(value - said) > slack:
            return False
        return True if not self.percents and not right.operates else None

    def without_percent(self) -> dict[str, Fraction]:
        """The numbers by name, 20 for 20%."""
        return {name: value * (100 if name in self.percents else 1) for name, value in self.numbers.items()}


def read_expression(text: str) -> Expression | None:
    """The expression that a text is; None where it is no arithmetic ("3 -") or may be read in two ways.

    Args:
        text: in one spelling; units stand in ⟦ ⟧.
    """
    written = text.strip()
    if len(written) > _LONGEST or _DATE.search(written):
        return None
    units = [singular(unit) for unit in _UNIT.findall(written)]
    read = Expression(re.sub("[⟦⟧]", "", written), set(units), len(units))
    source = _NUMBER.sub(lambda number: _name(number, read), _UNIT.sub("", written))
    source = source.replace("^", "**").replace("[", "(").replace("]", ")")
    if re.search(r"/ ?n[0-9]+\(| / ?n[0-9]+/n|nan", source):  # 6/2(3) is 9 or 1
        return None
    source = re.sub(r"(?<=[0-9)])\(", "*(", source)
    try:
        read.tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    readable = all(_readable(part, read) for part in ast.walk(read.tree))
    return read if readable else None


def singular(unit: str) -> str:
    """A unit without the ending of its plural."""
    unit = unit.lower().strip()
    return {"feet": "foot", "inches": "inch"}.get(unit, re.sub(r"(?<=x|h)es$|(?<!s)s$", "", unit))


def _name(number: re.Match[str], read: Expression) -> str:
    """The name that stands for a number; "nan" for one that says nothing, as 1.2.3."""
    name = f"n{len(read.numbers)}"
    if number["whole"]:
        top, bottom = map(int, number["part"].split("/"))
        value = int(number["whole"]) + Fraction(top, bottom) if bottom else None
    else:
        value = _digits(number["digits"], read)
    if value is None:
        return "nan"
    if number["percent"]:
        read.percents.add(name)
        value /= 100
    read.numbers[name] = Fraction(value)
    return name


def _digits(digits: str, read: Expression) -> Fraction | None:
    """The value of digits; 2,5 is 2.5 where no other number of the expression speaks against it."""
    value = read_digits(digits)
    comma = None
    if value is None and re.fullmatch("[0-9]+,[0-9]{1,2}|0,[0-9]+", digits):
        value, comma = Fraction(digits.replace(",", ".")), True
    elif "," in digits or "." in digits:
        comma = digits.rfind(",") > digits.rfind(".") > 0
    if comma is not None and read.comma not in (None, comma):
        return None
    read.comma = comma if read.comma is None else read.comma
    return value


def _readable(part: ast.AST, read: Expression) -> bool:
    """Whether it is arithmetic with numbers, and no share is added to a number, as in "100 - 20%"."""
    if isinstance(part, ast.Name):
        return part.id in read.numbers
    if not isinstance(part, ast.BinOp) or not isinstance(part.op, (ast.Add, ast.Sub)):
        return isinstance(part, _PARTS)
    shares = any(isinstance(side, ast.Name) and side.id in read.percents for side in (part.left, part.right))
    return not shares or read.percents == read.numbers.keys()


def _value(node: ast.expr, numbers: dict[str, Fraction]) -> Fraction | None:
    if isinstance(node, ast.Name):
        return numbers[node.id]
    assert isinstance(node, ast.BinOp | ast.UnaryOp)  # nothing else is `_readable`
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.operand,)
    values = [value for part in parts if (value := _value(part, numbers)) is not None]
    if len(values) < len(parts):
        return None
    if isinstance(node.op, ast.Pow):
        base, power = values
        if (
            power.denominator != 1
            or abs(power) * max(map(int.bit_length, base.as_integer_ratio())) > _LARGEST
        ):
            return None
        return base ** int(power)
    return _OPERATIONS[type(node.op)](*values)
