"""Views: bundles that notebooks accept, text that can do no harm, and data that stays small."""

import base64
import json
import re
from pathlib import Path

import altair as alt
import ipywidgets
import nbformat
import numpy as np
import pandas as pd
import pytest
from example_run import HOSTILE, IMAGE, SCRIPT, facet_chart, grades_chart
from nbformat.v4 import new_code_cell, new_notebook, new_output

import workbench
from workbench.charts import jupyter, theme
from workbench.charts.theme import series
from workbench.charts.view import (
    MIME,
    VEGALITE,
    WIDGET,
    Chart,
    Explorer,
    MarkedText,
    Table,
    Texts,
    label_controls,
    menu,
)
from workbench.errors import UserError
from workbench.sanitize import sanitize


def points(frame, **encodings):
    return alt.Chart(frame).mark_point().encode(x="x:Q", y="y:Q", **encodings)


@pytest.fixture
def frame():
    return pd.DataFrame({"x": [1, 2, 3], "y": [1.5, np.nan, 2.5], "text": [SCRIPT, IMAGE, "a" * 10_000]})


def test_visible_escapes_what_cannot_be_seen_and_keeps_what_can():
    assert sanitize("a\x00b\x1b[31m\u202ec\ud800\U000e0041") == r"a\x00b\x1b[31m\u202ec\ud800\U000e0041"
    assert sanitize("two\nlines\tand שלום 👩‍🚀 café") == "two\nlines\tand שלום 👩‍🚀 café"
    assert sanitize("x" * 12, limit=10) == "x" * 10 + "… [2 more characters]"


def test_a_chart_bundle_is_valid_in_a_notebook_and_holds_a_picture(frame):
    data, metadata = Chart(points(frame, tooltip="text"), "Title", "What is seen.")._repr_mimebundle_()
    assert set(data) == {MIME, VEGALITE, "image/png", "text/plain"}
    assert data["text/plain"] == "Title. What is seen."
    assert metadata["image/png"]["alt"] == "Title. What is seen."
    picture = base64.b64decode(data["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert picture.endswith(b"IEND\xaeB`\x82")
    output = new_output("display_data", data=data, metadata=metadata)
    nbformat.validate(new_notebook(cells=[new_code_cell(outputs=[output])]))


def test_chart_data_is_json_with_missing_numbers_and_short_text(frame):
    rows = next(iter(Chart(points(frame), "T", "S").spec["datasets"].values()))
    assert rows[1]["y"] is None
    assert len(rows[2]["text"]) < 500
    assert rows[2]["text"].endswith("more characters]")
    json.dumps(rows, allow_nan=False)


def test_of_too_many_rows_a_sample_is_drawn_and_the_sentence_says_so():
    rows = pd.DataFrame({"x": range(20_000), "y": range(20_000)})
    crowded = Chart(points(rows), "Crowded", "S.")
    assert crowded.record["sentence"] == "S. The picture shows 5,000 of 20,000 rows, drawn at random."
    assert len(next(iter(crowded.spec["datasets"].values()))) == 5000
    full = Chart(points(rows.head(5000)), "Full", "S.")
    assert full.record["sentence"] == "S."
    assert len(next(iter(full.spec["datasets"].values()))) == 5000


@pytest.mark.parametrize(
    "chart",
    [
        points("https://example.invalid/data.csv"),
        alt.Chart(pd.DataFrame({"x": [1], "u": ["u"]})).mark_image().encode(x="x:Q", url="u:N"),
        points(pd.DataFrame({"x": [1], "y": [1], "u": ["javascript:alert(1)"]}), href="u:N"),
        points(pd.DataFrame({"x": [1], "y": [1], "image": [IMAGE]})),
    ],
)
def test_charts_that_would_load_or_open_something_are_refused(chart):
    with pytest.raises(UserError, match="'Loader'"):
        Chart(chart, "Loader", "S")


def test_a_vertical_axis_is_named_above_it_except_beside_facets():
    assert grades_chart().spec["config"]["axisLeft"]["titleAngle"] == 0
    assert "axisLeft" not in facet_chart().spec["config"]


def test_series_differ_by_colour_dash_and_shape():
    channels = series("model", "Model")
    assert set(channels) == {"color", "strokeDash", "shape"}
    spec = Chart(points(pd.DataFrame({"x": [1], "y": [2], "model": ["m"]}), **channels), "T", "S").spec
    assert spec["encoding"]["strokeDash"]["field"] == spec["encoding"]["shape"]["field"] == "model"


@pytest.mark.parametrize(
    "view",
    [
        Table(pd.DataFrame({SCRIPT: HOSTILE[:5]}), SCRIPT, IMAGE),
        Texts([{"label": SCRIPT, "text": "\n".join(HOSTILE), "marks": [(0, 5, IMAGE)]}], SCRIPT, IMAGE),
    ],
)
def test_html_for_jupyterlab_escapes_everything(view):
    data, _ = view._repr_mimebundle_()
    html = data["text/html"]
    assert "<script" not in html
    assert "<img" not in html
    assert "<svg" not in html
    assert "&lt;script&gt;" in html
    html.encode("utf-8")
    assert not set("\x00\x1b\u202e") & set(html)


def test_a_table_says_how_many_rows_it_leaves_out():
    view = Table(pd.DataFrame({"n": range(60)}), "T", "S", limit=50)
    assert len(view.record["rows"]) == 50
    assert "10 more rows" in view.bundle()[0]["text/html"]


def test_marks_cut_a_text_and_overlaps_give_way_to_the_first():
    marks = [(4, 9, "b"), (0, 5, "a"), (12, 99, "c")]
    item = Texts([{"label": "l", "text": "0123456789abcdef", "marks": marks}], "T", "S").record["items"][0]
    assert item["pieces"][:4] == [("01234", "a"), ("5678", "b"), ("9ab", None), ("cdef", "c")]
    assert "".join(text for text, _ in item["pieces"]) == "0123456789abcdef"


def test_a_long_text_is_cut_with_a_note():
    pieces = Texts([{"label": "l", "text": "a" * 9000}], "T", "S").record["items"][0]["pieces"]
    assert pieces == [("a" * 4000 + "… [5,000 more characters]", None)]


def explorer():
    def draw(rows):
        if rows == 9:
            raise ValueError(f"nine is too many {IMAGE}")
        return Table(pd.DataFrame({"n": range(rows)}), f"{rows} rows", "S")

    return Explorer(draw, rows=ipywidgets.IntSlider(3, 1, 9))


def test_an_explorer_redraws_and_keeps_its_first_view_as_the_twin(monkeypatch):
    monkeypatch.delenv("WORKBENCH_HEADLESS", raising=False)
    seen = explorer()
    seen.controls["rows"].value = 5
    assert seen.view.record["title"] == "5 rows"
    assert seen.output.outputs[0]["data"][MIME]["title"] == "5 rows"
    assert seen.status.value == ""
    data, _ = seen._repr_mimebundle_()
    assert WIDGET in data
    assert data[MIME]["title"] == "3 rows"
    assert data[MIME]["controls"] == {"rows": "3"}


def test_an_explorer_shows_what_went_wrong_and_keeps_the_last_picture():
    seen = explorer()
    seen.controls["rows"].value = 9
    assert seen.status.value.startswith("ValueError: nine is too many")
    assert seen.view.record["title"] == "3 rows"
    seen.controls["rows"].value = 4
    assert seen.status.value == ""


def test_without_a_front_end_an_explorer_is_its_twin(monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    data, _ = explorer()._repr_mimebundle_()
    assert WIDGET not in data
    assert data[MIME]["title"] == "3 rows"


@pytest.mark.notebook
def test_papermill_accepts_every_view(tmp_path, monkeypatch):
    import papermill

    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    source = (
        "import pandas as pd, altair as alt, ipywidgets\n"
        "from workbench.charts.view import Chart, Explorer\n"
        "def draw(n):\n"
        "    chart = alt.Chart(pd.DataFrame({'x': range(n)})).mark_tick().encode(x='x:Q')\n"
        "    return Chart(chart, 'Ticks', 'As many as asked for.')\n"
        "display(draw(3))\n"
        "Explorer(draw, n=ipywidgets.IntSlider(3))"
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=[new_code_cell(source)], metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "in.ipynb")
    papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False)
    outputs = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].outputs
    kinds = [output.data[MIME]["kind"] for output in outputs if "data" in output]
    assert kinds == ["chart", "chart"]


def test_a_marked_text_marks_the_pieces_that_have_a_kind():
    text = MarkedText()
    for piece, kind in (("Tom ", None), ("kite", "asked for"), (".", None)):
        text.add(piece, kind)
    (card,) = Texts([text.item("story")], "T", "S").record["items"]
    assert card["pieces"] == [("Tom ", None), ("kite", "asked for"), (".", None)]


def test_a_menu_offers_different_options_once_and_texts_become_one():
    assert (menu(["b", "a", "b"]).options, menu(["b", "a"]).value, menu(["b", "a"], "a").value) == (
        ("b", "a"),
        "b",
        "a",
    )
    assert menu([]).value is None
    explorer = Explorer(lambda arm: Texts([], "T", arm), arm=pd.Series(["y", "x", "y"]))
    assert explorer.controls["arm"].options == ("y", "x")
    assert explorer.view.record["sentence"] == "y"


def test_jupyterlab_gets_a_chart_in_the_colours_of_its_theme_and_no_png(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "01_stories.ipynb")
    frame = pd.DataFrame({"x": [1, 2], "colour": ["#222222", "#0072B2"]})
    points = alt.Chart(frame).mark_point(color=theme.INK).encode(x="x:Q", text="colour:N")
    chart = Chart(points, "Title", "Sentence.")
    data, metadata = chart.bundle()
    spec = data[VEGALITE]
    assert "image/png" not in data
    assert metadata[VEGALITE] == {"embed_options": {"renderer": "svg"}}
    assert spec["config"]["background"] == "transparent"
    assert spec["config"]["title"]["color"] == spec["mark"]["color"] == "light-dark(#222222, #e7e4dd)"
    assert spec["datasets"] == chart.spec["datasets"]
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    assert chart.bundle(png=False)[0][VEGALITE] == chart.spec


def test_a_dark_page_has_the_same_colours_in_jupyterlab_and_in_a_report():
    script = (Path(workbench.__file__).parent / "lab" / "report" / "report.js").read_text()
    listed = script.partition("ON_DARK = {")[2].partition("}")[0]
    assert dict(re.findall(r'"(#\w{6})": "(#\w{6})"', listed)) == jupyter.ON_DARK


def test_no_label_of_a_control_is_cut():
    controls = {"least_share": ipywidgets.FloatSlider(0.5), "off": menu(["mean", "zero"])}
    controls["off"].description = "switched off by"
    assert label_controls(controls) == {"least share": "0.5", "switched off by": "mean"}
    assert {control.style.description_width for control in controls.values()} == {"initial"}
