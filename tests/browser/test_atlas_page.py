"""The atlas as its reader has it: in a report without a kernel, and in JupyterLab with Python behind it."""

import json
from pathlib import Path

import nbformat
import pytest
from example_atlas import make_atlas
from example_run import IMAGE, SCRIPT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.lab.report.page import write_report

pytestmark = pytest.mark.browser

TESTS = Path(__file__).parents[1]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
HOSTILE = f"{SCRIPT}{IMAGE}"


def write(folder, *atlases):
    outputs = [new_output("display_data", data=atlas._repr_mimebundle_()[0]) for atlas in atlases]
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"schema": 1, "notebook": "heads", "title": "Heads"}))
    (run / "notebook.ipynb").write_text(json.dumps(new_notebook(cells=[new_code_cell("x", outputs=outputs)])))
    return write_report(run, folder / "r.html").as_uri()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HEADLESS", "1")
        return write(tmp_path_factory.mktemp("report"), make_atlas(hostile=HOSTILE))


@pytest.fixture
def opened(page, report):
    page.goto(report)
    page.wait_for_selector(".wb-atlas .card h4")
    return page


def cell(page, name):
    return page.locator(f'.wb-atlas button[data-cell="{name}"]')


def title(page):
    return page.locator(".wb-atlas h4").inner_text()


def test_in_a_report_a_click_shows_another_card_and_arrows_move(opened):
    before = opened.locator(".wb-atlas .texts").inner_text()
    cell(opened, "1.1").click()
    assert title(opened).startswith("L1 H1")
    assert opened.locator(".wb-atlas .texts").inner_text() != before
    assert "without L1 H1" in opened.locator(".wb-atlas .texts").inner_text()
    for key, name in [("ArrowDown", "2.1"), ("ArrowRight", "2.2"), ("ArrowUp", "1.2"), ("ArrowLeft", "1.1")]:
        opened.keyboard.press(key)
        assert cell(opened, name).get_attribute("aria-pressed") == "true"
        assert title(opened).startswith(f"L{name[0]} H{name[2]}")
    cell(opened, "0.0").focus()
    opened.keyboard.press("ArrowUp")  # at the edge nothing moves
    assert title(opened).startswith("L1 H1")
    opened.keyboard.press("Enter")
    assert title(opened).startswith("L0 H0")
    assert opened.complaints == []


def test_hostile_text_is_shown_as_text_and_nothing_runs(opened):
    assert HOSTILE in title(opened)
    assert HOSTILE in opened.locator(".wb-atlas .told").last.inner_text()
    assert HOSTILE in opened.locator(".wb-atlas .head .tokens").inner_text()
    assert HOSTILE in opened.locator(".wb-atlas .tip").inner_text()
    assert opened.locator(".wb-atlas :is(img, script)").count() == 0
    assert opened.evaluate("window.hacked") is None
    assert opened.complaints == []


def test_a_token_shows_what_it_looks_at_and_a_click_holds_it(opened):
    record = json.loads(opened.locator("script.record").text_content())
    attention = record["cards"][record["chosen"]]["attention"]
    token = opened.locator(".wb-atlas .head .token").nth(9)
    assert token.inner_text() == attention["tokens"][9].strip() == "Lucy"
    token.hover()
    reads = opened.locator(".wb-atlas .reads")
    assert reads.inner_text() == "“Lucy” looks at"
    shown = [float(text) for text in opened.locator(".targets li > :last-child").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(attention["scales"][9], rel=0.05)
    opened.locator(".head .token").nth(20).hover()
    assert reads.inner_text() != "“Lucy” looks at"
    token.click()
    opened.locator(".head .token").nth(4).hover()
    assert reads.inner_text().startswith("“Lucy” → “there” ")
    cell(opened, "0.0").click()  # the next head is seen from the same token
    assert reads.inner_text() == "“Lucy” looks at · pinned"
    opened.locator(".head .token").nth(9).click()
    side = opened.locator(".wb-atlas canvas").bounding_box()["width"] / len(attention["tokens"])
    opened.locator(".wb-atlas canvas").hover(position={"x": 4.5 * side, "y": 20.5 * side})
    assert reads.inner_text().startswith(f"“{attention['tokens'][20].strip()}” → “there” ")


def test_without_the_first_token_the_rest_gets_the_shades(opened):
    sink = next(
        button for button in opened.locator(".wb-atlas .grid button").all()
        if "first token" in button.get_attribute("aria-label")
    )  # fmt: skip
    sink.click()
    opened.locator(".head .token").nth(40).hover()

    def darkness():
        pixels = (
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 === 3)"
        )
        values = opened.locator(".wb-atlas canvas").evaluate(f"c => [...({pixels})(c)]")
        size = int(len(values) ** 0.5)
        return sum(values[row * size] for row in range(size)), sum(
            values[row * size + column] for row in range(size) for column in range(1, row + 1)
        )

    first, rest = darkness()
    assert first > 0
    opened.get_by_label("without the first token").check()
    assert darkness()[0] == 0
    assert darkness()[1] > 2 * rest
    assert "Once" not in opened.locator(".targets").inner_text()


def test_a_strip_says_its_numbers_to_mouse_and_keyboard(opened):
    strip = opened.locator(".wb-atlas .strip").first
    strip.locator(".token").nth(3).hover()
    assert strip.locator(".readout").inner_text().startswith("“time”")
    assert strip.locator(".readout").inner_text().endswith("nats")
    strip.locator(".token").first.focus()
    assert strip.locator(".readout").inner_text().strip() == "“Once” –"
    opened.keyboard.press("ArrowRight")
    assert strip.locator(".readout").inner_text().startswith("“upon”")


def test_the_matrix_follows_the_pages_colours(opened):
    pixel = "c => c.getContext('2d').getImageData(0, 0, 1, 1).data.join()"
    canvas = opened.locator(".wb-atlas canvas")
    assert canvas.evaluate(pixel) == "0,114,178,255"
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_function(f"() => ({pixel})(document.querySelector('canvas')) === '74,163,223,255'")


def test_a_phone_needs_no_sideways_scrolling(browser, report):
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 800})
    phone = context.new_page()
    phone.goto(report)
    phone.wait_for_selector(".wb-atlas .card h4")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_card_that_was_not_saved_is_said_to_be_missing(page, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_HEADLESS", raising=False)
    page.goto(write(tmp_path, make_atlas()))
    page.wait_for_selector(".wb-atlas .card h4")
    cell(page, "0.0").click()
    assert "run the notebook to see this one" in page.locator(".wb-atlas .status").inner_text()
    assert page.locator(".wb-atlas .card h4").count() == 0
    assert page.complaints == []


def test_without_javascript_the_cells_stand_in_a_table(browser, report):
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator("figure.atlas table.data tbody tr").count() == 16
    assert page.locator("figure.atlas table.data").is_visible()
    context.close()


LIVE = f"""\
import sys
sys.path.insert(0, {str(TESTS)!r})
from example_atlas import make_atlas
toy = make_atlas(hostile={HOSTILE!r})
made = toy.card
def card(name, threshold):
    if name == "0.3":
        raise ValueError("no card for this head")
    return made(name, threshold)
toy.card = card
toy
"""


def test_in_jupyterlab_python_makes_the_card_of_the_clicked_cell(lab, tmp_path):
    asking = "print('Python sees', toy.map.chosen, toy.map.card['facts'][2][1])"
    cells = [new_code_cell(LIVE), new_code_cell(asking)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), tmp_path / "atlas.ipynb")
    opened = lab.open(tmp_path / "atlas.ipynb")
    opened.run_all(60)
    page = opened.page
    assert opened.errors() == []

    cell(page, "2.1").click()
    page.locator(".wb-atlas h4", has_text="L2 H1").wait_for()
    distance = page.locator(".wb-atlas .pairs-list dd").nth(2).inner_text()
    opened.run_cell(-1)
    page.get_by_text(f"Python sees 2.1 {distance}").wait_for()

    cell(page, "2.1").focus()
    page.keyboard.press("ArrowUp")  # JupyterLab must not take the key for the notebook
    page.locator(".wb-atlas h4", has_text="L1 H1").wait_for()

    cell(page, "0.3").click()
    page.locator(".wb-atlas .status", has_text="ValueError: no card for this head").wait_for()
    assert page.locator(".wb-atlas h4").count() == 0
    cell(page, "1.1").click()
    page.locator(".wb-atlas h4", has_text="L1 H1").wait_for()
    assert page.locator(".wb-atlas .status").inner_text() == ""

    counts = page.locator(".wb-atlas .legend").inner_text()
    opened.press("End")
    page.wait_for_function(
        "before => document.querySelector('.wb-atlas .legend').innerText !== before", arg=counts
    )
    assert page.locator(".wb-atlas .grid .glyph.c3").count() == 16  # at threshold 1 all heads are diffuse
    assert page.locator(".wb-atlas .pairs-list dd").first.inner_text() == "diffuse"
    assert page.locator(".wb-atlas :is(img, script)").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.complaints == []
