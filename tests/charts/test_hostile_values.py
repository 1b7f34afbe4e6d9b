"""Hostile names and odd numbers through every view of all studies: each is drawn, none ends a run."""

import contextlib
import io
import json
import warnings

import pytest
from view_inputs import VIEWS, Inputs

from workbench.charts.view import VEGALITE

FACE = "\U0001f600"
FEW = [
    "constructor",
    "a" * 39 + FACE * 5,
    "esc \x1b[31m nul \x00",
    "no character \ufffe\uffff\ufdd0",
    "a.b['c']",
    "$5 and $6",
    "中文" * 60,
    "</script><script>alert(1)</script>",
]
MORE = [
    "__proto__", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "isPrototypeOf",
    "length", "push", "null", "NaN", "undefined", "true", "-", "1", "1e999", "Infinity", "-0", "0x10",
    "[object Object]", "", " ", "\n", "\t", "\u00a0", "\r\n", "a\rb", "\u2028\u2029", "\ufeffbom",
    "\u202eback", "\u200b", "x" * 1000, "word " * 500, FACE * 300,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40, "\U0001f1e9\U0001f1ea" * 40, "e\u0301" * 200,
    "\u0e33" * 50, "عربي نص طويل", "हिन्दी पाठ", "\U000e0041", "\U0001fffe", "\U0010ffff",
    r"\u0000 \x41 \n", "C:\\new\\table", "\\", "\\\\", "'single'", '"double"', "`tick`", "datum.x",
    "{{x}} ${y}", "signal: 'x'", "%s %d {0}", "&amp; &#0; &lt;", "]]>", "<!--",
    "<svg onload=alert(1)>", "<img src=x>", "]]", "javascript:alert(1)", "data:text/html,x",
    "http://example.invalid/x.png", "//example.invalid", "=1+1", "@x", "..", "../../x", "/", "#",
    "?a=b", ":", ";", ",", "|", "*", "(", ")", "[", "]", "{", "}", "<", ">", "~", "^", "\\frac{1}{2}",
    "$$x$$", "`code`", "**bold**", "_", "__", "a:Q", "a:N", "mean(x)", "count()", "x" * 39 + "\u0301",
]  # fmt: skip


def drawn(name, inputs):
    """(what is wrong, or "", and the bundle's size); whatever a view prints is swallowed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data, _ = VIEWS[name](inputs)._repr_mimebundle_()
    except Exception as error:
        return f"{type(error).__name__}: {error}", 0
    if VEGALITE in data and "image/png" not in data:
        return "no picture", 0
    return "", len(json.dumps(data, ensure_ascii=False).encode())


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_draws_hostile_names(name):
    assert drawn(name, Inputs(FEW))[0] == ""


@pytest.mark.parametrize("numbers", ["empty", "nan"])
@pytest.mark.parametrize("name", VIEWS)
def test_every_view_goes_on_without_rows_and_without_numbers(name, numbers):
    assert drawn(name, Inputs(["first", "second", "third"], numbers))[0] == ""


@pytest.mark.long
def test_a_hundred_hostile_values_through_every_view(capsys):
    values = list(dict.fromkeys([*FEW, *MORE]))[:100]
    assert len(values) == 100
    wrong = {}
    for name in VIEWS:
        for group in (values[start : start + 20] for start in range(0, 100, 20)):
            problem, _ = drawn(name, Inputs(group))
            wrong |= {(name, group[0]): problem} if problem else {}
    missing = sum(problem == "no picture" for problem in wrong.values())
    with capsys.disabled():
        print(
            f"\n{len(values)} hostile values x {len(VIEWS)} views: {missing} pictures missing, "
            f"{len(wrong) - missing} exceptions, 0 aborts (this process goes on)"
        )
    assert not wrong


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 2, 12, 50, 500])
@pytest.mark.parametrize("numbers", ["spread", "constant"])
def test_every_view_draws_any_number_of_names(count, numbers, capsys):
    results = {name: drawn(name, Inputs([f"name {n}" for n in range(count)], numbers)) for name in VIEWS}
    largest = max(results, key=lambda name: results[name][1])
    with capsys.disabled():
        print(f"\n{count} names, {numbers}: the largest view is {largest}, {results[largest][1]:,} bytes")
    assert {name: problem for name, (problem, _) in results.items() if problem} == {}
    assert results[largest][1] < 6_000_000
