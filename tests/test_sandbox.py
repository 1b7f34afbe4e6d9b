"""Programs that a model wrote: what they answer, how they fail, and what they cannot reach."""

from decimal import Decimal

import pytest

from workbench import sandbox
from workbench.sandbox.outcomes import MAX_PRINTED

ANSWERS = {
    "ans = 3": 3,
    "ans = 7 / 2": Decimal("3.5"),
    "ans = 0.1 + 0.2": Decimal("0.30000000000000004"),
    "ans = 0": 0,
    "ans = -12": -12,
    "ans = 2 ** 200": 2**200,
    "from decimal import Decimal\nans = Decimal('1.10')": Decimal("1.10"),
    "ans = 1e-7": Decimal("1e-7"),
    "ans = 'B'": "B",
    r"""ans = 'it\'s "here"\n\u00e9'""": 'it\'s "here"\né',
    "def solve(a, b):\n    return a * b\nans = solve(6, 7)": 42,
    "import math\nans = math.ceil(7 / 2)": 4,
    "ans = sum(i * i for i in range(10))": 285,
    "def down(n):\n    return 0 if n == 0 else 1 + down(n - 1)\nans = down(900)": 900,
}


@pytest.mark.parametrize("program", ANSWERS)
def test_answers_are_exact(program):
    (outcome,) = sandbox.run([program])
    assert outcome == sandbox.Outcome("ok", ANSWERS[program])
    assert type(outcome.value) is type(ANSWERS[program])


# Each with the outcomes that are right for it. First the 25 kinds of the specification, then as many more.
HOSTILE = {
    "endless loop": ("while True: pass", {"timeout"}),
    "list of 16 GB": ("ans = [0] * 2_000_000_000", {"memory"}),
    "growing list": ("x = []\nwhile True: x.append('a' * 1000)", {"memory"}),
    "range as a list": ("ans = list(range(10**18))", {"memory"}),
    "tower of powers": ("ans = 10 ** 10 ** 8", {"memory"}),
    "pow": ("ans = pow(7, 10**9)", {"memory"}),
    "string of 10 GB": ("ans = 'a' * 10**10", {"memory"}),
    "endless recursion": ("def f(): return f()\nf()", {"runtime error"}),
    "nested brackets": ("ans = " + "(" * 9000 + "1" + ")" * 9000, {"syntax"}),
    "open": ("ans = open('/etc/passwd').read()", {"runtime error"}),
    "subclasses": ("ans = ().__class__.__base__.__subclasses__()", {"unsupported"}),
    "print for ever": ("while True: print('a' * 1000)", {"memory"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_program_costs_only_itself(name, capfd):
    program, expected = HOSTILE[name]
    seconds = 0.3 if expected == {"timeout"} else 10
    before, hostile, after = sandbox.run(["ans = 1", program, "ans = 2"], seconds=seconds)
    assert (before.value, after.value) == (1, 2)
    assert hostile.status in expected, hostile
    assert hostile.value is None
    assert hostile.reason
    assert len(hostile.printed) <= MAX_PRINTED
    assert "\n" not in hostile.reason
