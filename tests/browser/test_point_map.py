"""The map of points as its reader has it: keys, search, zoom, lasso, one card, with no kernel behind it."""

import csv
import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from example_run import IMAGE, SCRIPT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.charts.point_map import PointMap, Sheets
from workbench.lab.report.page import write_report

pytestmark = pytest.mark.browser

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def make_map(sheets=False):
    """Nine points on a grid, three groups in columns; with sheets, three more on a second one."""
    grid = [(x, y) for x in range(3) for y in range(3)]
    points = pd.DataFrame(grid, columns=["x", "y"]).assign(title="sum", group=np.repeat([0, 1, 2], 3))
    points["text"] = [f"Point {x}{y}. All hold these words. {SCRIPT}{IMAGE}" for x, y in grid]
    points["beside"] = [0] * 9
    options = {}
    if sheets:
        second = pd.DataFrame(
            {"x": [0, 1, 2], "y": 0, "title": "=1+1", "group": 1, "text": "Elsewhere kites."}
        )
        points = pd.concat([points.assign(sheet=0), second.assign(sheet=1)], ignore_index=True)
        likeness = pd.DataFrame({"one": [0.2, 0.9], "two": [0.4, np.nan]})
        options["sheets"] = Sheets("prompt", ["First prompt", "Second prompt"], likeness, "likeness", (0, 1))
    else:
        points["value"] = np.arange(9) / 10
    groups = pd.DataFrame({"name": ["left", "middle", "right"]})
    return PointMap(points, "Map", "Read it.", groups=groups, axes="Near is alike.", chosen=4, **options)


def written(view, folder):
    """The page of a run that shows one view."""
    data, metadata = view._repr_mimebundle_()
    shown = new_output("display_data", data=data, metadata=metadata)
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"schema": 1, "notebook": "map", "title": "Map"}))
    cells = [new_code_cell("x", outputs=[shown])]
    (run / "notebook.ipynb").write_text(nbformat.writes(new_notebook(cells=cells)))
    return write_report(run, folder / "r.html").as_uri()


@pytest.fixture
def opened(page, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")

    def open_page(**options):
        page.goto(written(make_map(**options), tmp_path))
        page.wait_for_selector(".wb-map canvas")
        page.wait_for_function("document.querySelector('.wb-map canvas').width > 300")
        return page

    return open_page


def card(page):
    return page.locator(".wb-map .card .text").first.inner_text()


def said(page):
    return page.locator(".wb-map .said").inner_text()


def at(page, x, y):
    """Where a point of the grid stands in the window."""
    box = page.locator(".wb-map canvas").bounding_box()
    width, height = box["width"] - 52, box["height"] - 52
    return box["x"] + 26 + x / 2 * width, box["y"] + 26 + (1 - y / 2) * height


def test_arrow_keys_go_to_the_nearest_point_and_enter_opens_its_card(opened):
    page = opened()
    assert card(page).startswith("Point 11.")
    page.locator(".wb-map canvas").focus()
    page.keyboard.press("ArrowRight")
    assert "Point 21." in said(page)
    assert card(page).startswith("Point 11.")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # there is none above
    assert "Point 22." in said(page)
    page.keyboard.press("Enter")
    assert card(page).startswith("Point 22.")
    assert page.locator(".wb-map .said").get_attribute("aria-live") == "polite"
    assert page.evaluate("window.hacked") is None
    assert page.complaints == []


def test_the_card_follows_a_click_and_reads_another_text_beside_it(opened):
    page = opened()
    page.locator(".wb-map canvas").scroll_into_view_if_needed()
    page.mouse.click(*at(page, 0, 2))
    assert card(page).startswith("Point 02.")
    both = page.locator(".wb-map .card .text")
    assert both.nth(1).inner_text().startswith("Point 00.")
    assert both.nth(0).locator("mark").first.inner_text().startswith("All hold these words.")


def test_a_group_a_search_and_a_lasso_select_and_the_one_card_stays_with_the_selection(opened):
    page = opened()
    status = page.locator(".wb-map .status")
    right = page.locator(".wb-map .list button", has_text="right")
    right.click()
    assert status.inner_text() == "3 of 9 selected."
    assert card(page).startswith("Point 22.")  # the one of the group that adds most
    assert right.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Next point").click()
    assert card(page).startswith("Point 20.")  # round, within the group
    page.get_by_role("searchbox").fill("point 21")
    assert status.inner_text() == "1 of 9 selected."
    assert card(page).startswith("Point 21.")

    page.get_by_role("button", name="Clear").click()
    assert status.inner_text() == ""
    page.locator(".wb-map canvas").scroll_into_view_if_needed()
    page.get_by_role("button", name="Lasso").click()
    left, top = at(page, 0, 2)
    page.mouse.move(left - 15, top - 15)
    page.mouse.down()
    for corner in (
        (left + 15, top - 15),
        (left + 15, at(page, 0, 1)[1] + 15),
        (left - 15, at(page, 0, 1)[1] + 15),
    ):
        page.mouse.move(*corner, steps=3)
    page.mouse.up()
    assert status.inner_text() == "2 of 9 selected."
    assert card(page).startswith("Point 02.")
    page.locator(".wb-map canvas").focus()
    page.keyboard.press("Escape")
    assert status.inner_text() == ""


def test_the_selection_is_saved_as_a_table_that_runs_no_formula(opened):
    page = opened(sheets=True)
    page.get_by_role("option").nth(1).click()
    page.locator(".wb-map .list button", has_text="middle").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of the selection").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["number"] for row in rows] == ["9", "10", "11"]
    assert {(row["prompt"], row["title"], row["group"]) for row in rows} == {
        ("Second prompt", "'=1+1", "middle")
    }


def test_the_wheel_zooms_a_map_that_has_the_keyboard_and_a_drag_moves_it(opened):
    page = opened()
    page.locator(".wb-map canvas").scroll_into_view_if_needed()
    page.mouse.move(*at(page, 1, 1))
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(100)
    page.evaluate("before => scrollTo(0, before)", before)
    page.mouse.click(*at(page, 0, 0))
    assert card(page).startswith("Point 00.")  # not zoomed: it stands where it stood
    page.mouse.move(*at(page, 1, 1))
    page.mouse.wheel(0, -500)
    page.wait_for_timeout(100)
    x, y = at(page, 1, 1)
    page.mouse.click(x, y)
    assert card(page).startswith("Point 11.")
    page.mouse.click(*at(page, 0, 0))  # now out of the window
    assert card(page).startswith("Point 11.")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y, steps=4)
    page.mouse.up()
    page.mouse.click(x + 90, y)
    assert card(page).startswith("Point 11.")
    page.get_by_role("button", name="Whole map").click()
    page.mouse.click(*at(page, 0, 0))
    assert card(page).startswith("Point 00.")


def test_a_sheet_is_chosen_by_keys_and_a_search_says_what_other_sheets_hold(opened):
    page = opened(sheets=True)
    options = page.get_by_role("option")
    assert options.nth(0).get_attribute("aria-selected") == "true"
    assert options.nth(0).get_attribute("aria-label") == "First prompt; one: 0.2, two: 0.4"
    page.get_by_role("searchbox").fill("kites")
    assert page.locator(".wb-map .status").inner_text() == "0 of 9 selected; 3 elsewhere match these words."
    options.nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert options.nth(1).get_attribute("aria-selected") == "true"
    assert page.locator(".wb-map .status").inner_text() == "3 of 3 selected."
    assert card(page) == "Elsewhere kites."
    assert page.complaints == []


def test_a_phone_in_the_dark_sees_all_of_it(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    page.goto(written(make_map(sheets=True), tmp_path))
    page.wait_for_selector(".wb-map canvas")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".wb-map canvas").scroll_into_view_if_needed()
    page.touchscreen.tap(*at(page, 2, 0))
    assert card(page).startswith("Point 20.")
    ink = page.evaluate("getComputedStyle(document.querySelector('.wb-map .quiet, .wb-map .c0')).color")
    assert ink == "rgb(74, 163, 223)"
    context.close()


def test_in_jupyterlab_python_hears_what_is_selected_and_opened(lab, tmp_path):
    source = (
        "import pandas as pd\nfrom workbench.charts.point_map import PointMap\n"
        "points = pd.DataFrame({'x': [0, 1, 2], 'y': [0, 1, 0], 'title': 'sum', 'group': [0, 0, 1]})\n"
        "points['text'] = ['Point a.', 'Point b.', 'Point c.']\n"
        "groups = pd.DataFrame({'name': ['left', 'right']})\n"
        "save = lambda chosen: f'{chosen.tolist()}'\n"
        "shown = PointMap(points, 'Map', 'Read it.', groups=groups, axes='', save=save)\n"
        "shown"
    )
    cells = [new_code_cell(source), new_code_cell("shown.map.chosen")]
    path = tmp_path / "map.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    opened = lab.open(path)
    opened.run_cell(0)
    page = opened.page
    page.wait_for_selector(".wb-map canvas", timeout=60_000)
    page.locator(".wb-map .list button", has_text="right").click()
    assert card(page) == "Point c."
    page.get_by_role("button", name="Save selection").click()
    page.wait_for_function("document.querySelector('.jp-Notebook').innerText.includes('[2]')")
    opened.run_cell(1)
    page.wait_for_function(
        "[...document.querySelectorAll('.jp-OutputArea-output')].some(each => each.innerText.trim() === '2')"
    )
    assert page.complaints == []
