"""The index as a reader opens it: the headlines in one plot, on a desk and on a phone, in light and dark."""

import json

import pytest
from example_run import CLAIMS, RUN

from workbench.lab.report.page import write_index

pytestmark = pytest.mark.browser

ZEROS = (
    """() => [...document.querySelectorAll(".forest .zero")].map(line => line.getBoundingClientRect().x)"""
)
CONTRAST = """selector => {
  const luminance = colour => {
    const channels = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255);
    const [r, g, b] = channels.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll(selector)].map(element => {
    const style = getComputedStyle(element);
    const ink = luminance(element instanceof SVGElement ? style.stroke : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    runs = []
    for name in ("01_stories", "02_tiny_models", "05_lego"):
        runs.append(folder / "runs" / name / RUN["key"])
        runs[-1].mkdir(parents=True)
        run = RUN | {"notebook": name, "title": f"A rather long title of the study {name}"}
        (runs[-1] / "run.json").write_text(json.dumps(run))
        (runs[-1] / "claims.json").write_text(json.dumps(CLAIMS))
    return write_index(runs, folder / "index.html")


@pytest.mark.parametrize("width", [1280, 700, 390])
def test_the_plot_has_one_zero_line_and_needs_no_sideways_scrolling(browser, index, width):
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(index.as_uri())
    zeros = page.evaluate(ZEROS)
    assert len(zeros) == 3
    assert max(zeros) - min(zeros) < 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for row in page.locator(".forest .plot").all():
        assert row.bounding_box()["width"] > 200
    context.close()


def test_the_plot_comes_first_and_leads_to_the_studies(page, index):
    page.goto(index.as_uri())
    plot, ledger = (page.locator(f"table.{name}").first.bounding_box()["y"] for name in ("forest", "ledger"))
    assert plot < ledger
    page.locator(".forest a").nth(2).click()
    assert page.url.endswith("#05_lego")
    label = page.locator(".forest .plot").first.get_attribute("aria-label")
    assert label.startswith("ours +31.2 points, 95 % interval from +22.4 to +40.3; published +38.0")
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_stand_out_from_the_paper(page, index, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(index.as_uri())
    words = page.evaluate(CONTRAST, ".forest .told *, .forest .says, .ledger .verdict, .ledger .why, .legend")
    assert min(words) > 4.5
    assert min(page.evaluate(CONTRAST, ".forest .span, .forest .published")) > 3
