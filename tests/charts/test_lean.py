"""Chart data and still pictures: small, and nothing that is drawn is missing or moved."""

import base64
from io import BytesIO

import altair as alt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workbench.charts.lean import lean
from workbench.charts.view import Chart


def rows_of(chart):
    (rows,) = Chart(chart, "T", "S").spec["datasets"].values()
    return rows


def column(values):
    return [row["x"] for row in rows_of(alt.Chart(pd.DataFrame({"x": values})).mark_point().encode(x="x:Q"))]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.123456789, 1.98765432], [0.1235, 1.988]),
        ([1e-9 / 3, 2 / 3], [3.333e-10, 0.6667]),  # a logarithmic axis shows both
        ([1000.123456, 1000.123789], [1000.123456, 1000.123789]),  # a narrow range keeps what it spans
        ([1000.1234567, 1000.2234567], [1000.1235, 1000.2235]),
        ([12345.0, 98765.4321], [12345.0, 98770.0]),  # a step stays whole
        ([-123456.789, 5.4321], [-123500.0, 5.432]),
        ([0.123456789] * 2, [0.123456789] * 2),
        ([2**53, 1], [2**53, 1]),
        ([True, False], [True, False]),
    ],
)
def test_numbers_keep_the_digits_that_can_be_seen(values, kept):
    assert column(values) == kept


def test_no_point_is_moved_by_more_than_a_pixel():
    values = np.random.default_rng(0).normal(size=500) * 10.0 ** np.random.default_rng(1).integers(-3, 3, 500)
    moved = np.abs(np.array(column(list(values))) - values)
    assert moved.max() <= 0.0006 * np.ptp(values)
    assert (moved <= 0.0006 * np.abs(values)).all()


FRAME = pd.DataFrame(
    {"a": [1.5, 2.5], "b": [2, 3], "c": ["x", "y"], "unused": ["long text"] * 2, "d": [1, 2]}
)


def test_columns_that_nothing_names_are_left_out_and_all_others_stay():
    chart = (
        alt.Chart(FRAME)
        .transform_calculate(sum="datum.a + datum['b']")
        .mark_point()
        .encode(x="sum:Q", y="d:Q", tooltip=["c"])
    )
    assert set(rows_of(chart)[0]) == {"a", "b", "c", "d"}


def test_a_tooltip_of_all_data_keeps_all_columns():
    chart = alt.Chart(FRAME).mark_point(tooltip={"content": "data"}).encode(x="a:Q")
    assert set(rows_of(chart)[0]) == set(FRAME.columns)


def test_rows_are_counted_where_no_column_is_drawn():
    assert len(rows_of(alt.Chart(FRAME).mark_bar().encode(x="count()"))) == 2


def test_a_selection_finds_its_row_again():
    rows = [{"x": 0.123456789, "y": 1.0}, {"x": 0.987654321, "y": 2.0}]
    spec = {
        "params": [{"name": "chosen", "select": {"type": "point"}, "value": [{"x": 0.123456789}]}],
        "encoding": {"x": {"field": "x"}, "y": {"field": "y"}},
        "datasets": {"d": rows},
    }  # fmt: skip
    lean(spec)
    assert spec["datasets"]["d"] == rows


def test_a_still_picture_has_a_palette_white_paper_and_its_rare_colours():
    frame = pd.DataFrame({"x": range(400), "z": np.linspace(0, 1, 400)})
    ramp = alt.Chart(frame).mark_rect().encode(x="x:O", color="z:Q")
    ring = (
        alt.Chart(frame[:1])
        .mark_point(color="#d55e00", size=300, filled=False, strokeWidth=4)
        .encode(x="x:O")
    )
    png = base64.b64decode(Chart(ramp + ring, "T", "S").bundle()[0]["image/png"])
    picture = Image.open(BytesIO(png))
    assert picture.mode == "P"
    colours = np.array([colour for _, colour in picture.convert("RGB").getcolors()])
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(colours - [0xD5, 0x5E, 0x00]).max(axis=1).min() <= 12
    assert len(colours) > 128
