"""Charts of any values, frames and number of groups; labels cut between letters; the drawing process."""

import base64
import json
from decimal import Decimal

import altair as alt
import numpy as np
import pandas as pd
import pytest

from workbench.charts import still
from workbench.charts.intervals import intervals
from workbench.charts.labels import short_labels, shorten, text_width
from workbench.charts.parts import looks, panels
from workbench.charts.theme import series
from workbench.charts.values import plain
from workbench.charts.view import VEGALITE, Chart, Table, Texts, menu

FACE = "\U0001f600"


ODD = [
    None, pd.NA, pd.NaT, float("nan"), float("inf"), -float("inf"), 2**70, -(2**63), 10**5000,
    Decimal("1.5"), Decimal("NaN"), b"\xff\x00bytes", np.float16(0.1), np.float64("nan"), np.int64(5),
    np.bool_(True), 1 + 2j, np.datetime64("2026-01-02"), np.timedelta64(3, "s"),
    pd.Timestamp("2026-01-02", tz="UTC"), [1, {"a": 2}], pd.Timestamp("2026-01-02").date(),
    pd.Timedelta("3s"), {"a": 1}, {1}, object(), np.array([1, 2]), "\ud800",
]  # fmt: skip


def columns_of_every_type():
    return pd.DataFrame({
        "odd": pd.Series(ODD, dtype=object),
        "half": np.arange(len(ODD), dtype=np.float16),
        "kind": pd.Categorical(["a", "b"] * (len(ODD) // 2)),
        "flag": pd.array([True, None] * (len(ODD) // 2), dtype="boolean"),
        "whole": pd.array([2**62, None] * (len(ODD) // 2), dtype="Int64"),
        "took": pd.to_timedelta(range(len(ODD)), unit="s"),
        "when": pd.date_range("2026-01-01", periods=len(ODD), tz="UTC"),
    })  # fmt: skip


@pytest.mark.parametrize("name", list(columns_of_every_type()))
@pytest.mark.parametrize("channel", ["x", "y", "color", "tooltip", "row"])
def test_a_column_of_any_type_is_drawn_on_any_channel(name, channel):
    kinds = {"row": ["N"], "tooltip": ["N", "Q"]}.get(channel, ["N", "O", "Q"])
    for kind in kinds:
        chart = alt.Chart(columns_of_every_type()).mark_point().encode(**{channel: f"{name}:{kind}"})
        assert "image/png" in Chart(chart, "T", "S").bundle()[0]


@pytest.mark.parametrize("name", ["", "a\nb", "a\tb", "\r", "a.b[0]", "it's", "日本", "constructor"])
def test_a_column_of_any_name_is_drawn(name):
    frame = pd.DataFrame({name: [1, 2], "_": [3, 4]})
    place = alt.X(field=name, type="quantitative")
    chart = alt.Chart(frame).mark_point().encode(x=place, tooltip=[alt.Tooltip(field=name)])
    assert Chart(chart, "T", "S").bundle()[0]["image/png"]


def test_what_a_chart_computes_or_repeats_counts_as_numbers():
    frame = pd.DataFrame({"x": [1, 2], "y": [3, 4]})
    computed = alt.Chart(frame).transform_calculate(z="datum.x * 2").mark_point().encode(x="z:Q")
    repeated = alt.Chart(frame).mark_point().encode(x=alt.X(alt.repeat("column"), type="quantitative"))
    for chart in (computed, repeated.repeat(column=["x", "y"])):
        view = Chart(chart, "T", "S.")
        assert view.record["sentence"].strip() == "S."
        assert view.bundle()[0]["image/png"]


def test_frames_of_any_shape_are_drawn():
    frame = pd.DataFrame(
        [[1, 2, 3]] * 2, columns=["x", "x", 3], index=pd.MultiIndex.from_tuples([(1, 2), (1, 2)])
    )
    assert Chart(alt.Chart(frame).mark_point().encode(x="x:Q"), "T", "S").bundle()[0]["image/png"]
    wide = frame.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), axis=1)
    chart = alt.Chart(wide).mark_point().encode(x=alt.X("a / 1:Q"), y="b / 1:Q")
    assert Chart(chart, "T", "S").bundle()[0]["image/png"]
    assert Table(frame, "T", "S").record["columns"] == ["x", "x", "3"]


@pytest.mark.parametrize("name", ["a.b", "a[0]", "it's", 'say "x"', "back\\slash", "constructor", "nul \x00"])
def test_a_column_of_any_name_is_drawn_and_keeps_its_title(name):
    frame = pd.DataFrame({name: [1, 2], "y": [1, 2]})
    chart = Chart(
        alt.Chart(frame).mark_point().encode(x=alt.X(field=name, type="quantitative"), y="y:Q"), "T", "S"
    )
    assert chart.bundle()[0]["image/png"]
    (rows,) = chart.spec["datasets"].values()
    assert rows[0][chart.spec["encoding"]["x"]["field"]] == 1


def test_what_is_plain_once_stays_so():
    for value in [*ODD, "x" * 1000, "constructor", "a\x00b\ufffe", FACE * 300]:
        once = plain(value)
        json.dumps(once, allow_nan=False).encode("utf-8")
        assert plain(once) == once
    assert plain(2**53 + 1) == "9007199254740993"
    assert plain(2**53) == 2**53


def test_ids_and_years_stand_as_they_are():
    ids = pd.DataFrame({"year": [2021, 2022], "id": [1212345678901234567, 2], "gap": [1234567.0, np.nan]})
    cells = Table(ids, "T", "S").bundle()[0]["text/html"]
    for written in (">2021<", ">1212345678901234567<", ">1234567<"):
        assert written in cells
    assert "," not in cells.partition("<table>")[2]


def test_a_table_of_many_columns_and_many_texts_are_cut_with_a_note():
    wide = Table(pd.DataFrame([range(500)]), "T", "S.").record
    assert len(wide["columns"]) == 40
    assert wide["sentence"] == "S. … and 460 other columns are in the run's tables."
    many = Texts([{"label": str(n), "text": "t"} for n in range(500)], "T", "S.").record
    assert len(many["items"]) == 60
    assert many["sentence"].endswith("The other 440 are in the run's tables.")


@pytest.mark.parametrize(
    "view", [Table(pd.DataFrame({"a": ["$5 and $6"]}), "T", "S"), Texts([], "$5 and $6", "S")]
)
def test_a_dollar_in_data_begins_no_formula(view):
    assert view.bundle()[0]["text/html"].startswith("<div class='mathjax_ignore tex2jax_ignore'>")


# ------------------------------------------------------------------------------- labels and numbers of groups
def test_a_label_is_cut_between_letters():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    for text in (FACE * 30, family * 20, "e\u0301" * 60, "\U0001f1e9\U0001f1ea" * 30, "中" * 30):
        for columns in range(4, 30):
            label = shorten(text, columns)
            assert text_width(label) <= columns
            assert label.endswith("…")
            assert not label[:-1].endswith("\u200d")
            assert (len(label) - 1) % {"e\u0301" * 60: 2, "\U0001f1e9\U0001f1ea" * 30: 2}.get(text, 1) == 0
    assert shorten("short", 10) == "short"


def test_labels_that_would_read_alike_keep_their_ends():
    names = [f"{'organisation/a-model-of-a-long-name'}-{size}B" for size in (1, 7)]
    assert [label[-3:] for label in short_labels(names, 20).values()] == ["-1B", "-7B"]


@pytest.mark.parametrize("count", [8, 21])
def test_more_groups_than_colours_differ_in_shape_and_dash(count):
    frame = pd.DataFrame(
        {"model": [f"m{n:02}" for n in range(count)] * 2, "x": [0] * count + [1] * count, "y": 1}
    )
    line = alt.Chart(frame).mark_line(point=True).encode(x="x:Q", y="y:Q", **series("model"))
    dashes = Chart(line, "T", "S").spec["encoding"]["strokeDash"]["scale"]
    pairs = {(n % 7, tuple(dash)) for n, dash in enumerate(dashes["range"][:count])}
    assert len(pairs) == count


def test_of_too_many_panels_and_groups_the_first_are_drawn():
    frame = pd.DataFrame({"model": [f"m{n:03}" for n in range(100)], "x": 1, "y": 1})
    chart = alt.Chart(frame).mark_point().encode(x="x:Q", y="y:Q", **looks("model"))
    assert "first 21 of 100 (model); the other 79" in Chart(chart, "T", "S.").record["sentence"]
    chart = panels(intervals(frame, alt.X("x:Q"), "y", names=["y"]), "model")
    spec = Chart(chart, "T", "S.").spec
    assert spec["columns"] == 4
    assert len({row["model"] for rows in spec["datasets"].values() for row in rows}) == 24


def test_long_lines_are_thinned_and_keep_their_ends():
    frame = pd.DataFrame({"arm": ["a", "b"] * 10_000, "x": range(20_000), "y": 1.0})
    chart = Chart(alt.Chart(frame).mark_line().encode(x="x:Q", y="y:Q", color="arm:N"), "T", "S.")
    (rows,) = chart.spec["datasets"].values()
    assert len(rows) <= 5000
    assert {row["x"] for row in rows} >= {19_998, 19_999}
    assert "5,000 of 20,000 rows, evenly spaced" in chart.record["sentence"]


def test_a_menu_shows_short_visible_names_and_gives_the_names_themselves():
    long = "x" * 500
    chosen = menu([long, "nul \x00"], "not among them")
    assert chosen.value == long
    assert [label for label, _ in chosen.options] == ["x" * 99 + "…", r"nul \x00"]


# ------------------------------------------------------------------------------- the drawing process
def chart():
    return Chart(alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x:Q"), "Point", "S.")


@pytest.fixture
def dying_child(monkeypatch, tmp_path):
    """Let the next drawing process run other code."""

    def become(code):
        script = tmp_path / "child.py"
        script.write_text(code, encoding="utf-8")
        still._stop_all()
        still._running.clear()
        monkeypatch.setattr(still, "_CHILD", script)

    yield become
    still._stop_all()
    still._running.clear()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.abort()", "the drawing process died"),
        ("import sys, time; sys.stdin.buffer.read(4); time.sleep(60)", "it took longer than 1 s"),
        ("import sys; sys.stdout.buffer.write(b'E\\0\\0\\0\\5never'); sys.stdout.flush(); input()", "never"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_one_sentence(dying_child, monkeypatch, capsys, code, reason):
    monkeypatch.setattr(still, "SECONDS", 1)
    dying_child(code)
    data, metadata = chart().bundle()
    assert set(data) == {"application/vnd.workbench.view+json", VEGALITE, "text/plain"}
    assert metadata == {}
    assert capsys.readouterr().out == (
        f"The still picture of 'Point' is missing ({reason}); the live figure and its data are there.\n"
    )


def test_the_next_picture_is_drawn_after_one_that_failed(dying_child, monkeypatch):
    real = still._CHILD
    dying_child("import os; os.abort()")
    assert "image/png" not in chart().bundle()[0]
    monkeypatch.setattr(still, "_CHILD", real)
    picture = base64.b64decode(chart().bundle()[0]["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert "image/png" in chart().bundle()[0]
    assert len(still._running) == 1  # one process for all


def test_an_interrupted_picture_is_not_taken_for_the_next_one(monkeypatch):
    def interrupted(child, message):
        child.stdin.write(len(message).to_bytes(4, "big") + message)
        child.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(still, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            chart().bundle()
    assert not still._running
    assert "image/png" in chart().bundle()[0]
