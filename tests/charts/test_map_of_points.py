"""The map of points: what its record holds, how large maps are cut, and what a selection is saved as."""

import json

import numpy as np
import pandas as pd
import pytest
from example_run import IMAGE, SCRIPT

from workbench.charts import point_map
from workbench.charts.point_map import PointMap, Sheets
from workbench.charts.view import MIME, WIDGET
from workbench.errors import UserError
from workbench.lab.report.blocks import blocks
from workbench.sanitize import sanitize


def make_map(n=30, save=None, **columns):
    random = np.random.default_rng(0)
    points = pd.DataFrame({"x": random.normal(size=n), "y": random.normal(size=n), "title": "a sum"})
    points = points.assign(text=[f"Problem {i}." for i in range(n)], group=np.arange(n) % 3)
    points = points.assign(**columns)
    groups = pd.DataFrame({"name": ["a", "b", "c"]})
    return PointMap(points, "Map", "Read it.", groups=groups, axes="Near is alike.", chosen=n - 1, save=save)


def test_every_text_is_visible_and_every_number_json():
    values = [np.nan, np.inf, *range(28)]
    record = make_map(text=f"{SCRIPT}{IMAGE}\u202e", value=values, x=[np.nan] * 30, seed=np.arange(30)).record
    assert set(record["points"]["text"]) == {sanitize(f"{SCRIPT}{IMAGE}\u202e")}
    assert record["points"]["value"][:3] == [None, None, 0.0]
    assert set(record["points"]["x"]) == {0.5}
    assert record["facts"] == [["seed", list(range(30))]]


def test_a_page_carries_a_sample_with_what_is_read_beside_it_and_jupyterlab_all(monkeypatch):
    monkeypatch.setattr(point_map, "MAX_POINTS", 20)
    shown = make_map(100, beside=(np.arange(100) + 50) % 100)
    points = shown.record["points"]
    assert 10 <= len(points["id"]) <= 22
    assert points["id"][shown.record["chosen"]] == 99
    assert points["beside"][shown.record["chosen"]] == points["id"].index(49)
    assert f"{len(points['id'])} of the 100 points" in shown.record["sentence"]
    assert shown.map.record["points"]["id"] == list(range(100))
    assert shown.map.chosen == 99
    assert shown.record["points"] == make_map(100, beside=(np.arange(100) + 50) % 100).record["points"]


def test_a_front_end_gets_the_widget_and_everyone_else_a_table_and_a_picture(monkeypatch):
    monkeypatch.delenv("WORKBENCH_HEADLESS", raising=False)
    data, metadata = make_map(text=SCRIPT)._repr_mimebundle_()
    assert WIDGET in data
    assert data["image/png"]
    assert "Map" in metadata["image/png"]["alt"]
    assert SCRIPT not in data["text/html"]
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    assert WIDGET not in make_map()._repr_mimebundle_()[0]


def test_a_button_saves_the_selection_and_says_where_or_why_not():
    def save(chosen):
        if not len(chosen):
            raise UserError("Nothing is selected.")
        return f"{chosen.tolist()} are saved."

    shown = make_map(save=save)
    button, said = shown.widget.children[1].children
    button.click()
    assert said.value == "Nothing is selected."
    shown.map.selected = [3, 7]
    button.click()
    assert said.value == "[3, 7] are saved."


def test_sheets_are_written_with_their_values():
    values = pd.DataFrame({"one": [0.5, np.nan], "two": [1.0, 0.25]})
    sheets = Sheets("prompt", ["p", "q"], values, "likeness", (0, 1.2))
    points = pd.DataFrame({"x": [0, 1], "y": [0, 1], "title": "m", "text": "t", "group": 0, "sheet": [0, 1]})
    groups = pd.DataFrame({"name": ["g"]})
    record = PointMap(points, "T", "S", groups=groups, axes="", sheets=sheets).record
    assert record["sheets"]["values"] == [[0.5, 1.0], [None, 0.25]]
    assert (record["sheets"]["columns"], record["sheets"]["high"]) == (["one", "two"], 1.2)
    assert record["points"]["sheet"] == [0, 1]


def test_a_report_shows_what_somebody_hid_in_a_kept_map():
    record = make_map().record
    record["points"]["text"][0] = "a\u202eb"
    output = {"output_type": "display_data", "data": {MIME: record}}
    (block,), _ = blocks({"cells": [{"cell_type": "code", "outputs": [output]}]})
    assert json.loads(block["json"])["points"]["text"][0] == sanitize("a\u202eb")
    assert "\u202e" not in str(block["table"])


def test_without_points_there_is_no_map():
    with pytest.raises(UserError, match="no points"):
        make_map(0)
