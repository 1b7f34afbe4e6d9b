"""The chart of values with intervals: lying, standing, in panels and groups, with gaps, of any size."""

import itertools

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from example_run import IN_FRAMES, SCRIPT

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, panels
from workbench.charts.theme import series
from workbench.charts.view import Chart
from workbench.sanitize import sanitize


def grid(**levels):
    frame = pd.DataFrame(list(itertools.product(*levels.values())), columns=list(levels))
    value = np.random.default_rng(0).uniform(0.2, 0.8, len(frame))
    return frame.assign(value=value, low=value - 0.1, high=value + 0.1, n=30)


def drawn(chart):
    """The specification, once the picture is known to be drawn."""
    view = Chart(chart, "Values", "What is seen.")
    assert view.bundle()[0]["image/png"]
    return view.spec


def layer(spec, mark):
    """The encodings of the layer of this mark."""
    (encoding,) = [part["encoding"] for part in spec["layer"] if part["mark"]["type"] == mark]
    return encoding


def test_lying_intervals_are_rows_in_the_order_of_the_frame():
    spec = drawn(intervals(grid(arm=["b", "a", "c"]), "arm", "right answers", form=".1%", tooltip=["arm"]))
    rule, point = layer(spec, "rule"), layer(spec, "point")
    assert (rule["x"]["field"], rule["x2"]["field"], point["x"]["field"]) == ("low", "high", "value")
    assert point["y"]["sort"] == ["b", "a", "c"]
    assert point["x"]["title"] == "right answers"
    assert point["x"]["axis"]["format"] == "%"
    assert [tip["field"] for tip in point["tooltip"]] == ["arm", "value", "low", "high", "n"]
    assert {tip.get("format") for tip in point["tooltip"][1:4]} == {".1%"}


def test_standing_intervals_lie_along_an_axis_and_may_be_joined():
    frame = grid(arm=["a", "b"], round=[1, 2, 3])
    chart = intervals(
        frame, alt.X("round:Q", title="round"), "score", look=series("arm", "grown by"), mark="line"
    )
    spec = drawn(chart)
    rule, line = layer(spec, "rule"), layer(spec, "line")
    assert (rule["y"]["field"], rule["y2"]["field"], line["x"]["title"]) == ("low", "high", "round")
    assert rule["stroke"]["legend"] is None
    assert line["strokeDash"]["field"] == line["color"]["field"] == "arm"
    assert len(vl_convert.vegalite_to_vega(spec, vl_version="6.4")["legends"]) == 1


def test_a_band_stands_in_the_colours_of_its_lines():
    frame = grid(arm=["a", "b"], share=[0.0, 0.5, 1.0])
    spec = drawn(intervals(frame, alt.X("share:Q"), "score", look=series("arm"), mark="line", drawn="band"))
    assert layer(spec, "errorband")["fill"]["field"] == "arm"


def test_intervals_may_be_left_to_the_tooltips():
    spec = drawn(intervals(grid(arm=["a"], k=[1, 2]), alt.X("k:Q"), "score", mark="line", drawn="nothing"))
    assert [part["mark"]["type"] for part in spec["layer"]] == ["line"]


def test_values_alone_are_drawn_without_bounds():
    frame = grid(arm=["a", "b"], k=[1, 2])[["arm", "k", "value"]]
    spec = drawn(intervals(frame, alt.X("k:Q"), "score", names=["value"], look=series("arm"), mark="line"))
    assert [part["mark"]["type"] for part in spec["layer"]] == ["line"]


def test_panels_share_one_frame():
    frame = grid(arm=["a", "b"], kind=["easy", "hard"])
    chart = intervals(frame, "arm", "share", references=[0.5], labels=".0%").properties(width=200)
    spec = drawn(panels(chart, "kind", ["hard", "easy"], columns=1, independent=["x"]))
    assert spec["facet"]["sort"] == ["hard", "easy"]
    assert spec["resolve"]["scale"] == {"x": "independent"}
    assert len(spec["datasets"]) == 1
    assert [part["mark"]["type"] for part in spec["spec"]["layer"]] == ["rule", "rule", "point", "text"]


def test_groups_have_one_legend_and_may_stand_aside():
    frame = grid(model=["a", "b"], kind=["neuron", "control"])
    look = {**looks("kind", order=["neuron", "control"]), "yOffset": alt.YOffset("kind:N")}
    spec = drawn(intervals(frame, "model", "share", look=look))
    rule, point = layer(spec, "rule"), layer(spec, "point")
    assert rule["yOffset"] == point["yOffset"]
    assert point["shape"]["scale"]["domain"] == point["color"]["scale"]["domain"] == ["neuron", "control"]
    assert rule["stroke"]["scale"]["domain"][:2] == ["neuron", "control"]
    (legend,) = vl_convert.vegalite_to_vega(spec, vl_version="6.4")["legends"]
    assert {"fill", "shape"} < set(legend)


@pytest.mark.parametrize("along", ["arm", alt.X("arm:O")])
@pytest.mark.parametrize("interval", ["rules", "band"])
def test_a_value_without_an_interval_is_a_bare_point(along, interval):
    frame = grid(arm=["a", "b"])
    frame.loc[1, ["low", "high"]] = np.nan
    spec = drawn(intervals(frame, along, "score", labels=".2f", drawn=interval))
    (rows,) = spec["datasets"].values()
    assert [row["low"] is None for row in rows] == [False, True]
    assert rows[1]["value"] is not None


def test_a_frame_without_any_interval_or_count_is_drawn():
    frame = grid(arm=["a", "b"]).assign(low=np.nan, high=np.nan).drop(columns="n")
    tooltip = layer(drawn(intervals(frame, "arm", "score")), "point")["tooltip"]
    assert [tip["field"] for tip in tooltip] == ["arm", "value", "low", "high"]


def test_hostile_names_are_escaped_alike_in_the_order_and_in_the_rows():
    names = [*IN_FRAMES, "x" * 1000]
    frame = grid(arm=names)
    spec = drawn(intervals(frame, "arm", "score", look=looks("arm", order=names[:7])))
    (rows,) = spec["datasets"].values()
    assert [row["arm"] for row in rows] == layer(spec, "point")["y"]["sort"]
    assert layer(spec, "point")["color"]["scale"]["domain"][0] == sanitize(SCRIPT)


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_any_number_of_rows_is_drawn_in_steps_of_one_height(rows):
    frame = grid(arm=[f"arm {number}" for number in range(rows)])
    assert drawn(intervals(frame, "arm", "score", step=26))["height"] == 26 * max(1, rows)


def test_of_too_many_rows_the_first_in_the_order_of_the_picture_are_drawn():
    frame = grid(arm=[f"arm {number}" for number in range(5001)])
    chart = Chart(intervals(frame, "arm", "score", order=frame["arm"][::-1]), "Crowded", "S.")
    (rows,) = chart.spec["datasets"].values()
    assert [row["arm"] for row in rows] == [f"arm {number}" for number in range(4851, 5001)]
    assert layer(chart.spec, "point")["y"]["sort"] == [row["arm"] for row in rows][::-1]
    assert chart.record["sentence"].endswith(
        "Drawn are the first 150 of 5,001 (arm); the other 4,851 are in the run's tables."
    )
