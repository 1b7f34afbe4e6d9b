"""Prose and tables of a page: formulas, links and numbers say and do what they are meant to."""

import re

import pytest

from workbench.lab.report.blocks import VIEW, blocks
from workbench.lab.report.markdown import mathematics, render
from workbench.sanitize import safe_link


@pytest.mark.parametrize(
    "latex",
    [
        r"\style{position:fixed;top:0;left:0}{x}",
        r"\class{verdict reproduced}{reproduced}",
        r"\href{javascript:alert(1)}{x}",
        r"\hspace{-500em}x",
        r"\rule{900em}{900em}",
        r"\color{red}{x}",
        r"\mbox{<script>alert(1)</script>}",
        r"\style{a}{\class{b}{\href{c}{\frac{1}{2}}}}",
    ],
)
def test_a_formula_has_no_style_no_class_and_no_address_and_covers_nothing(latex):
    html = mathematics(latex, "inline")
    assert not re.search(r"\b(style|class|href|id|on\w+)=", html)
    assert "<script" not in html
    assert not re.search(r'="-?\d{2,}', html)


@pytest.mark.parametrize(
    ("latex", "kept"),
    [
        (r"\frac{a}{b}", "<mfrac>"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "<mtable>"),
        (r"a\,b", 'width="0.167em"'),
        (r"\left(x\right)", 'stretchy="true"'),
        (r"\boxed{3}", 'notation="box"'),
        (r"\sum_{i=1}^n \mathbb{R}", "<msubsup>"),
        (r"\color{red}{x}", 'mathcolor="red"'),
    ],
)
def test_a_formula_keeps_what_belongs_to_it(latex, kept):
    assert kept in mathematics(latex, "inline")


@pytest.mark.parametrize("latex", ["{" * 4000, "x" * 5000, r"\frac", r"\begin{nothing}"])
def test_what_is_no_formula_stands_as_code_or_harmlessly(latex):
    assert re.match(r"<(code|math)", mathematics(latex, "block"))


@pytest.mark.parametrize(
    "address",
    [
        "//example.invalid", "/\\example.invalid", "\\\\example.invalid", "javascript:alert(1)",
        "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", " javascript:x", "&#106;avascript:x", "vbscript:x",
        "data:text/html,x", "file:///etc/passwd", "blob:x", "a:b", "https:///x", "http:x", "mailto:", "",
        "ht\ttp://x", "x\u202ey", "&#x2f;/example.invalid",
    ],
)  # fmt: skip
def test_an_address_that_could_do_more_is_no_link(address):
    assert safe_link(address) is None
    html = render(f"[text](<{address}>)" if address else "[text]()", str)[0]
    assert not re.search(r'href="([\w\s]*:|//|[\\/]*\\)', html)  # an encoded backslash is part of a name


@pytest.mark.parametrize(
    "address",
    ["https://example.org/a?b=c:d#e", "HTTP://x.y", "mailto:a@b.c", "#here", "a/b.html#c", "../x", "x?y=a:b"],
)
def test_an_address_that_leads_somewhere_is_a_link(address):
    assert safe_link(address) == address
    assert f'href="{address}"' in render(f"[text]({address})", str)[0]


def shown(record, **data):
    output = {"output_type": "display_data", "data": {VIEW: record, **data}}
    return blocks({"cells": [{"cell_type": "code", "outputs": [output]}]})[0][0]


def test_ids_and_years_stand_in_a_page_as_they_are():
    rows = [[2021, "1212345678901234567", 1234567.0, 0.5], [2022, "2", None, 0.25]]
    columns = list("abcd")
    record = {"kind": "table", "title": "T", "sentence": "S", "columns": columns, "rows": rows, "count": 2}
    written = [[cell["text"] for cell in row] for row in shown(record)["rows"]]
    assert written == [["2021", "1212345678901234567", "1234567", "0.50"], ["2022", "2", "–", "0.25"]]


def test_a_figure_without_a_still_picture_is_a_figure():
    record = {"kind": "chart", "title": "T", "sentence": "S"}
    block = shown(record, **{"application/vnd.vegalite.v5+json": {"datasets": {"d": [{"a": 1}]}}})
    assert block["png"] == ""
    assert block["table"] is None  # no encoding says what its columns are
