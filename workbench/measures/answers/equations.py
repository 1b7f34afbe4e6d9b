"""Equations inside a text, and whether each is true: `3 + 4 = 7` of "So 3 + 4 = 7 apples are left."."""

import ast
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

_LONGEST = 200  # characters of one side: more is no arithmetic, and deep nesting costs
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_NUMBER = r"\d[\d,]*(?:\.\d+)?|\.\d+"
_CHAIN = re.compile(rf"(?:(?:{_NUMBER})|[-+*/()=\s])+")
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-", "$": " ", "€": " ", "£": " "})
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}
_PARTS = (ast.BinOp, ast.UnaryOp, ast.Constant, *_OPERATIONS)


@dataclass(frozen=True)
class Equation:
    """`left = right` as written, the left side with an operation, and whether it is true."""

    left: str
    right: str
    true: bool


def equations(text: str) -> list[Equation]:
    """Every equation between numbers in a text, in order.

    Of a chain `a = b = c` each neighbouring pair is one. Where the right side has decimals, the left one is
    rounded to them (10 / 3 = 3.33 is true). Calculator marks (`<<3+4=7>>`), currency signs and thousands'
    commas do not count. What is no arithmetic is passed over.
    """
    plain = re.sub(r"(?<=[\d)\s])[xX](?=[\d(\s])", "*", _CALCULATOR.sub("", text)).translate(_SIGNS)
    return [equation for chain in _CHAIN.findall(plain) if "=" in chain for equation in _of_chain(chain)]


def _of_chain(chain: str) -> Iterator[Equation]:
    for left, right in pairwise(side.strip() for side in chain.split("=")):
        trees = _tree(left), _tree(right)
        if None in trees or not isinstance(trees[0], ast.BinOp):
            continue
        try:
            decimals = re.fullmatch(r"-?[\d,]*\.(\d+)", right)
            slack = Fraction(1, 2 * 10 ** len(decimals[1])) if decimals else 0
            true = abs(_value(trees[0]) - _value(trees[1])) <= slack
        except ZeroDivisionError:
            true = False  # nothing equals x / 0
        yield Equation(left, right, true)


def _tree(side: str) -> ast.expr | None:
    """The expression, or None where the text is no arithmetic ("27(1/3)", "3 -")."""
    plain = re.sub(r"(?<![\d.])0+(?=\d)", "", side.replace(",", ""))  # 007 is a number, though not Python's
    try:
        tree = ast.parse(plain, mode="eval").body if len(plain) <= _LONGEST else None
    except SyntaxError:
        return None
    return tree if tree and all(isinstance(part, _PARTS) for part in ast.walk(tree)) else None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.operand,)
    return _OPERATIONS[type(node.op)](*map(_value, parts))
