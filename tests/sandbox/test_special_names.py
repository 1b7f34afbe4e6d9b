"""Classes with special methods: Monty's answer is CPython's, or the program counts as unsupported."""

import contextlib
import io

import pytest

from workbench import sandbox

# Special method, its body, expressions that use it.
METHODS = [
    ("__bool__(self)", "return False", ["1 if A() else 2", "int(any([A()]))", "int(not A())"]),
    ("__len__(self)", "return 0", ["1 if A() else 2", "len(A())"]),
    ("__format__(self, spec)", "return 'x'", ["f'{A()}'", "format(A(), '>5')", "'{}'.format(A())"]),
    ("__setattr__(self, name, value)", "object.__setattr__(self, name, 9)", ["A().v"]),
    ("__getattr__(self, name)", "return 4", ["A().missing"]),
    ("__ne__(self, other)", "return False", ["int(A() != 1)", "int(A() == 1)"]),
    ("__lt__(self, other)", "return True", ["int(A() < A())", "sorted([A(1), A(2)])[0].v"]),
    ("__iadd__(self, other)", "return 50", ["add_in_place(A())"]),
    ("__class_getitem__(cls, item)", "return 4", ["A[1]"]),
    ("__new__(cls, *given)", "return 4", ["A()"]),
    ("__set_name__(self, owner, name)", "self.v = name", ["Holder.held.v"]),
    ("__iter__(self)", "return iter([1, 2])", ["sum(A())", "int(2 in A())", "extend([], A())"]),
    ("__getitem__(self, index)", "return [5, 6][index]", ["A()[1]", "sum(A())", "int(6 in A())"]),
    ("__index__(self)", "return 1", ["[5, 6][A()]", "'a' * A()", "len(range(A()))"]),
    ("__float__(self)", "return 4.0", ["float(A())", "math.sqrt(A())"]),
    ("__call__(self, x=1)", "return x + 1", ["A()()", "max([1, 2], key=A())"]),
    ("__add__(self, other)", "return 7", ["A() + 1", "A() + A()", "add_in_place(A())"]),
    ("__radd__(self, other)", "return 7", ["1 + A()", "sum([A()])"]),
    ("__eq__(self, other)", "return True", ["int(A() == 1)", "[2, A()].index(7)", "int((1, A()) == (1, 2))"]),
    ("__hash__(self)", "return 7", ["hash(A())", "len({A(): 1})"]),
    ("__str__(self)", "return 'x'", ["str(A())", "f'{A()}'", "'%s' % A()"]),
    ("__repr__(self)", "return 'x'", ["repr(A())", "str([A()])", "str({1: A()})"]),
    ("__contains__(self, item)", "return item == 5", ["int(5 in A())", "int(4 in A())"]),
    ("__divmod__(self, other)", "return (4, 5)", ["divmod(A(), 2)[1]"]),
    ("__round__(self, digits=None)", "return 4", ["round(A())", "round(A(), 2)"]),
    ("__floor__(self)", "return 4", ["math.floor(A())"]),
]
FRAME = """
import math
class A:
    def __init__(self, v=3): self.v = v
    def {method}: {body}
class Holder:
    held = A()
def extend(rows, more):
    rows += more
    return len(rows)
def add_in_place(a):
    a += 1
    return a
ans = {used}
"""
PROGRAMS = [
    FRAME.format(method=method, body=body, used=use) for method, body, uses in METHODS for use in uses
]
PROGRAMS += [
    "class A: pass\nA.__bool__ = lambda self: False\nans = 1 if A() else 2",
    "class A: pass\nsetattr(A, '__len__', lambda self: 0)\nans = 1 if A() else 2",
    "class A:\n    __len__ = lambda self: 0\nans = 1 if A() else 2",
]


def in_cpython(program):
    names = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    return names["ans"]


def test_a_value_is_cpythons_or_none():
    outcomes = sandbox.run(PROGRAMS)
    for program, outcome in zip(PROGRAMS, outcomes, strict=True):
        assert outcome.status in ("ok", "unsupported"), (program, outcome)
        if outcome.status == "ok":
            assert outcome.value == in_cpython(program), program
        else:
            assert outcome.reason


def test_what_monty_honours_stays_supported():
    used = {"__add__", "__radd__", "__eq__", "__str__", "__repr__", "__contains__", "__divmod__", "__floor__"}
    kept = [program for program in PROGRAMS if any(name in program for name in used)]
    plain = "class A:\n    def __init__(self, v): self.v = v\nif __name__ == '__main__': ans = A(5).v"
    outcomes = sandbox.run([*kept, plain])
    assert [outcome.status for outcome in outcomes] == ["ok"] * len(outcomes)


@pytest.mark.parametrize("name", ["__bool__", "__len__", "__format__"])
def test_the_reason_names_the_method(name):
    (outcome,) = sandbox.run([f"class A:\n    def {name}(self, *given): return 0\nans = 1"])
    assert outcome == sandbox.Outcome("unsupported", reason=f"Monty does not honour {name}")
