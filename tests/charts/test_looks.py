"""Colours by role, legends and panels that fit a page, and classes that the eye passes over."""

import altair as alt
import pandas as pd
import pytest

from workbench.charts.atlas import Atlas, Card, Cell
from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, panels
from workbench.charts.theme import (
    CONTROL,
    IMPOSSIBLE,
    PALETTE,
    QUIET,
    RIGHT,
    TREATED,
    WRONG,
    mark_looks,
    series,
)
from workbench.charts.view import Chart, Texts


def frame(panels=2, groups=2, rows=2):
    names = [f"a group of a rather long name {number}" for number in range(groups)]
    parts = [(f"panel {p}", name, x) for p in range(panels) for name in names for x in range(rows)]
    return pd.DataFrame(parts, columns=["panel", "group", "x"]).assign(value=0.5, low=0.4, high=0.6)


@pytest.mark.parametrize(
    "kinds", [["right", "wrong"], ["cannot be true", "not a sentence"], ["a", "b", "true"]]
)
def test_a_kind_of_mark_has_the_colour_of_its_role_and_no_other_kind_has_it(kinds):
    roles = {"right": RIGHT, "true": RIGHT, "wrong": WRONG, "cannot be true": IMPOSSIBLE}
    numbers = mark_looks(kinds)
    assert len(set(numbers)) == len(kinds)
    for kind, number in zip(kinds, numbers, strict=True):
        assert (PALETTE[number] == roles[kind]) if kind in roles else (PALETTE[number] not in roles.values())
    assert Texts([{"label": "t", "text": "xyz", "marks": [(0, 1, kinds[0])]}], "T", "S").record["looks"] == (
        mark_looks(kinds[:1])
    )


@pytest.mark.parametrize("look", [looks, series])
def test_values_without_a_role_take_the_colours_that_are_left(look):
    order = ["ours", "theirs", "another", "a fourth"]
    scale = look("arm", None, order, {"ours": TREATED, "theirs": CONTROL})["color"].to_dict()["scale"]
    assert scale["domain"] == order
    assert scale["range"] == [TREATED, CONTROL, *(color for color in PALETTE if color != TREATED)][:4]


@pytest.mark.parametrize(("groups", "columns"), [(2, None), (9, 2)])
def test_a_legend_of_panels_stands_below_in_columns_that_fit(groups, columns):
    rows = frame(groups=groups)
    chart = intervals(rows, alt.X("x:Q"), "v", look=looks("group")).properties(width=200)
    spec = Chart(panels(chart, "panel", columns=2), "T", "S").spec
    assert spec["config"]["legend"]["orient"] == "bottom"
    assert spec["config"]["legend"].get("columns") == columns


@pytest.mark.parametrize(
    ("count", "columns", "width"), [(2, 2, 200), (3, None, 133), (4, 2, 200), (7, 1, 200), (1, 2, 200)]
)
def test_panels_leave_no_place_where_axes_of_nothing_would_stand(count, columns, width):
    chart = intervals(frame(count), alt.X("x:Q"), "v").properties(width=200)
    spec = panels(chart, "panel", columns=2).to_dict()
    assert spec.get("columns") == columns
    assert spec["spec"]["width"] == width


def test_without_any_interval_none_is_drawn():
    rows = frame().assign(low=float("nan"), high=float("nan"))
    assert len(Chart(intervals(rows, "group", "v"), "T", "S").spec["layer"]) == 1


def test_the_quiet_class_of_an_atlas_is_named_in_its_record():
    cells = [Cell("0.0", 0, 0, "L0 H0", 1, 0.5, "tip")]
    names = {"rows": ["layer 0"], "columns": ["H0"], "classes": ["clear", "unclear"]}
    made = Atlas(lambda: cells, lambda cell: Card(cell), "T", "S", quiet="unclear", **names)
    assert made.record["quiet"] == 1
    assert Atlas(lambda: cells, lambda cell: Card(cell), "T", "S", **names).record["quiet"] == -1


def test_quiet_is_no_colour_of_the_palette():
    assert QUIET not in PALETTE
