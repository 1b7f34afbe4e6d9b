"""The gradient map as its reader has it: clicks on bars and points answer, in a report without a kernel."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from example_run import IMAGE, SCRIPT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.lab.report.page import write_report
from workbench.studies.prismatic.gradient_map import linked_map

pytestmark = pytest.mark.browser

DOTS = ".mark-symbol.role-mark path"
BARS = ".mark-rect.role-mark path"


def make_map():
    random = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 2], [12, 6, 3])
    points = pd.DataFrame(
        {
            "x": 4.0 * cluster + random.normal(size=21),
            "y": random.normal(size=21),
            "cluster": cluster,
            "template": "market/sum",
            "text": [f"Example {place}. {SCRIPT}{IMAGE}" for place in range(21)],
            "contribution": np.linspace(2, 4, 21),
        }
    )
    clusters = pd.DataFrame({"cluster": [0, 1, 2], "size": [12, 6, 3], "density": [0.9, 0.6, 0.4]})
    return linked_map(points, clusters.assign(exemplar=["Centre A.", "Centre B.", "Centre C."]))


@pytest.fixture
def opened(page, tmp_path):
    data, metadata = make_map()._repr_mimebundle_()
    shown = new_output("display_data", data=data, metadata=metadata)
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"schema": 1, "notebook": "map", "title": "Map"}))
    (run / "notebook.ipynb").write_text(
        nbformat.writes(new_notebook(cells=[new_code_cell("x", outputs=[shown])]))
    )
    page.goto(write_report(run, tmp_path / "r.html").as_uri())
    page.wait_for_selector("html.ready", timeout=30_000)
    return page


def told(page):
    return " ".join(page.locator(".live .mark-text.role-mark text").all_text_contents())


def test_a_point_shows_its_text_and_a_bar_its_cluster(opened):
    assert "Example 20." in told(opened)  # the one that adds most is chosen at first
    assert "Centre C." in told(opened)

    opened.locator(DOTS).nth(3).click(force=True)
    opened.wait_for_function("() => document.querySelector('.live').textContent.includes('Example 3.')")
    assert "Example 20." not in told(opened)
    assert "Centre A." in told(opened)

    faint = f"{DOTS}[opacity='0.07']"
    assert opened.locator(faint).count() == 0
    opened.locator(BARS).nth(1).click(force=True)
    opened.wait_for_function("selector => document.querySelectorAll(selector).length === 15", arg=faint)
    assert "Example 3." in told(opened)
    assert opened.evaluate("window.hacked") is None
    assert opened.complaints == []


def test_a_click_into_the_open_chooses_the_nearest_point(opened):
    opened.locator(".live svg").scroll_into_view_if_needed()
    boxes = [opened.locator(DOTS).nth(place).bounding_box() for place in range(21)]
    dots = np.array([(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes])
    corner = dots.min(0)
    nearest = np.linalg.norm(dots - corner, axis=1).argmin()
    opened.mouse.click(*corner)
    opened.wait_for_function(
        "text => document.querySelector('.live').textContent.includes(text)", arg=f"Example {nearest}."
    )
    assert told(opened).count("Example ") == 1


def test_the_nearest_points_tooltip_names_its_template(opened):
    opened.locator(".live svg").scroll_into_view_if_needed()
    box = opened.locator(DOTS).nth(5).bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    opened.wait_for_selector("#tooltip:visible")
    shown = opened.locator("#tooltip").inner_text()
    assert "market/sum" in shown
    assert "undefined" not in shown
