"""What bases of word problems read: number facts, and which templates are whose."""

from functools import cache
from itertools import product

from workbench.corpora.problems import draw, templates

LARGEST = 20  # of every number in a problem


def facts(largest: int) -> list[str]:
    """Every sum, difference, product and exact quotient of whole numbers up to `largest`, as text."""
    return [
        f"{a} {sign} {b} = {result}."
        for a, b in product(range(largest + 1), repeat=2)
        for sign, result in zip("+-*/", (a + b, a - b, a * b, -1 if not b or a % b else a // b), strict=True)
        if 0 <= result <= largest
    ]


@cache
def _n_steps(template: str) -> int:
    return len(draw(1, 0, templates=[template])[0].steps)


def one_step() -> list[str]:
    """Templates of one step, which bases read."""
    return [name for name in templates() if _n_steps(name) == 1]


def two_steps(held_out: bool = False) -> list[str]:
    """Templates of two steps, the kind that students learn."""
    return [name for name in templates(held_out) if _n_steps(name) == 2]
