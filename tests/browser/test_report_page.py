"""The report as a reader opens it: from disk, without network, in light and dark."""

import json

import pytest
from example_run import HOSTILE, write_example_run
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.lab.report.index import write_index
from workbench.lab.report.page import write_report
from workbench.sanitize import sanitize

pytestmark = pytest.mark.browser

LOSS = "#figure-larger-models-reach-lower-loss"
MAP = "#figure-three-topics-stand-apart"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(write_example_run(folder / "runs"), folder / "02_tiny_models.html")


@pytest.fixture
def opened(page, report):
    page.goto(report.as_uri())
    page.wait_for_selector("html.ready", timeout=30_000)
    return page


def test_every_chart_is_drawn_and_nothing_complains(opened):
    charts = opened.locator("figure.chart")
    assert charts.count() == 6
    for index in range(charts.count()):
        drawing = charts.nth(index).locator(".live svg.marks, .live canvas.marks")
        assert drawing.bounding_box()["width"] > 300
        assert charts.nth(index).locator("img").get_attribute("alt")
        assert not charts.nth(index).locator("img").is_visible()
    assert opened.complaints == []


def test_hovering_shows_the_values_of_a_point(opened):
    opened.locator(f"{LOSS} .mark-symbol path").nth(3).hover(force=True)
    shown = opened.locator("#tooltip").inner_text()
    assert "0.1M" in shown
    assert "step" in shown
    opened.mouse.move(5, 5)
    assert not opened.locator("#tooltip").is_visible()


def test_hostile_text_in_a_tooltip_is_text(opened):
    seen = []
    for index in range(7):
        opened.locator(f"{MAP} .mark-symbol.role-mark path").nth(index).hover(force=True)
        seen.append(opened.locator("#tooltip dd").first.inner_text())
    assert sanitize(HOSTILE[1]) in seen
    assert set(seen) <= set(map(sanitize, HOSTILE))
    assert opened.locator("#tooltip img, #tooltip script, #tooltip svg").count() == 0
    assert opened.evaluate("window.hacked") is None


def test_a_brush_keeps_colour_inside_and_greys_the_rest(opened):
    greyed = f"{MAP} .mark-symbol.role-mark path[fill='#8a8a86']"
    assert opened.locator(greyed).count() == 0
    opened.locator(MAP).scroll_into_view_if_needed()
    box = opened.locator(f"{MAP} .live svg").bounding_box()
    opened.mouse.move(box["x"] + 80, box["y"] + 60)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 300, box["y"] + 220, steps=5)
    opened.mouse.up()
    opened.wait_for_function("selector => document.querySelectorAll(selector).length > 50", arg=greyed)
    assert opened.locator(greyed).count() < 180


def test_only_our_own_scripts_run(opened):
    kinds = opened.evaluate(
        "[...document.scripts].map(script => script.type).filter(type => !/json|gzip/.test(type))"
    )
    assert kinds == ["", "", "module", "module"]  # the theme, Vega, the charts, what every page has
    assert opened.evaluate("window.hacked") is None
    assert opened.complaints == []
    opened.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 4";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='window.hacked = 5'>");
    }""")
    opened.wait_for_timeout(100)
    assert opened.evaluate("window.hacked") is None
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)


def test_charts_follow_the_readers_colours_and_paper_stays_light(opened):
    label = f"{LOSS} .mark-text.role-axis-label text"
    assert opened.locator(label).first.get_attribute("fill") == "#222222"
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_function(
        "selector => document.querySelector(selector)?.getAttribute('fill') === '#e7e4dd'", arg=label
    )
    lines = opened.locator(f"{LOSS} .mark-line path").evaluate_all(
        "paths => paths.map(p => p.getAttribute('stroke'))"
    )
    assert "#4aa3df" in lines
    opened.emulate_media(media="print", color_scheme="dark")
    assert opened.locator(f"{LOSS} img").is_visible()
    assert not opened.locator(f"{LOSS} .live").is_visible()
    assert opened.complaints == []


def test_data_is_downloaded_with_formulas_defused(opened, tmp_path):
    with opened.expect_download() as started:
        opened.locator(f"{MAP} button", has_text="CSV").click()
    started.value.save_as(tmp_path / "map.csv")
    lines = (tmp_path / "map.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Topic,story,first principal component,second principal component"
    assert len(lines) == 181
    assert any("'=HYPERLINK" in line for line in lines)
    with opened.expect_download() as started:
        opened.locator(f"{MAP} button", has_text="SVG").click()
    started.value.save_as(tmp_path / "map.svg")
    assert (tmp_path / "map.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_phone_needs_no_sideways_scrolling(browser, report):
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 800})
    phone = context.new_page()
    phone.goto(report.as_uri())
    phone.wait_for_selector("html.ready")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_index_leads_to_the_figure(page, report):
    index = write_index([report.parent / "runs/02_tiny_models/3fa9c1d2b7e0"], report.parent / "index.html")
    page.goto(index.as_uri())
    assert page.locator(".ledger svg.plot").count() == 3
    page.locator("a.see").first.click()
    page.wait_for_selector("html.ready")
    assert page.url.endswith("02_tiny_models.html#figure-grammar-saturates-before-consistency")
    assert page.evaluate("window.hacked") is None
    assert page.complaints == []


def test_the_theme_is_chosen_kept_and_followed_by_the_charts(opened):
    label = f"{LOSS} .mark-text.role-axis-label text"
    opened.locator(".themes button", has_text="dark").click()
    opened.wait_for_function(
        "selector => document.querySelector(selector)?.getAttribute('fill') === '#e7e4dd'", arg=label
    )
    opened.reload()
    opened.wait_for_selector("html.ready")
    assert opened.locator(".themes [aria-pressed=true]").inner_text() == "dark"
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 26)"
    opened.locator(".themes button", has_text="auto").click()
    assert opened.evaluate("localStorage.length") == 0
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    assert opened.complaints == []


def test_the_contents_mark_the_section_that_is_read(opened):
    current = opened.locator("nav.contents [aria-current]")
    opened.locator("#claims").evaluate("section => section.scrollIntoView()")
    opened.wait_for_function("() => document.querySelector('[aria-current]')?.hash === '#claims'")
    opened.evaluate("scrollTo(0, document.body.scrollHeight)")
    opened.wait_for_function("() => document.querySelector('[aria-current]')?.hash === '#about'")
    assert current.count() == 1


def test_code_is_copied_as_it_is(opened):
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.locator(".copied:has(.command) .copy").click()
    opened.locator(".copy", has_text="Copied").wait_for()
    copied = opened.evaluate("navigator.clipboard.readText()")
    assert copied == "workbench run 02_tiny_models -p profile=laptop -p 'prompt=Once upon a time'"


def test_a_wide_table_is_scrolled_within_itself_and_keeps_its_first_column(page, tmp_path):
    columns = [f"measure number {number}" for number in range(30)]
    view = {"kind": "table", "title": "W", "sentence": "S", "columns": ["cell", *columns]}
    view |= {"rows": [["L0 H0", *[1234.5] * 30]], "count": 1}
    output = new_output("display_data", data={"application/vnd.workbench.view+json": view})
    folder = tmp_path / "small" / "abc"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"schema": 1, "notebook": "small"}))
    (folder / "notebook.ipynb").write_text(
        json.dumps(new_notebook(cells=[new_code_cell("1", outputs=[output])]))
    )
    page.goto(write_report(folder, tmp_path / "small.html").as_uri())
    table = page.locator(".scroll")
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")
    first = page.locator(".data td").first
    before = first.bounding_box()["x"]
    table.evaluate("box => box.scrollTo(400, 0)")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.locator(".data th").nth(2).bounding_box()["height"] > 30  # its words wrap
