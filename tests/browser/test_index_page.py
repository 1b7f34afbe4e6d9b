"""The index as a reader opens it: the headlines in one plot, on a desk and on a phone, in light and dark."""

import json

import pytest
from example_run import CLAIMS, RUN

from workbench.lab.report.index import write_index

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


def test_cards_come_first_then_the_plot_which_leads_to_the_folded_claims(page, index):
    page.goto(index.as_uri())
    places = [page.locator(name).first.bounding_box()["y"] for name in (".card", ".forest", "#ledger")]
    assert places == sorted(places)
    assert not page.locator("[id='05_lego'] table.ledger").is_visible()
    page.locator(".forest th > a").nth(2).click()
    assert page.url.endswith("#05_lego")
    page.locator("[id='05_lego'] table.ledger").wait_for()
    label = page.locator(".forest .plot").first.get_attribute("aria-label")
    assert label.startswith("ours +31.2 points, 95 % interval from +22.4 to +40.3; published +38.0")
    assert page.complaints == []


def test_a_link_from_elsewhere_opens_the_claims_it_leads_to(page, index):
    page.goto(f"{index.as_uri()}#05_lego")
    page.locator("[id='05_lego'] table.ledger").wait_for()
    assert not page.locator("[id='01_stories'] table.ledger").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_stand_out_from_the_paper(page, index, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(index.as_uri())
    page.locator("details.claims summary").first.click()
    words = page.evaluate(
        CONTRAST, ".forest .told *, .forest .says, .ledger .verdict, .ledger .why, .legend, .card *"
    )
    assert min(words) > 4.5
    assert min(page.evaluate(CONTRAST, ".forest .span, .forest .published")) > 3


def test_studies_and_claims_are_filtered_by_verdict_and_by_words(page, index):
    page.goto(index.as_uri())
    cards, claims = page.locator(".card"), page.locator("tr.claim")
    headline = next(claim for claim in CLAIMS if claim.get("headline"))
    page.locator(".filter button", has_text="opposite").click()
    assert [row.is_visible() for row in claims.all()].count(True) == 3
    assert not any(card.is_visible() for card in cards.all())
    assert page.locator(".filter output").inner_text() == "0 of 3 headlines, 3 of 12 claims"
    page.locator(".filter button", has_text="opposite").click()
    assert all(card.is_visible() for card in cards.all())
    page.locator(".filter input").fill(f"05_lego {headline['says'].split()[0]}")
    shown = [card.inner_text() for card in cards.all() if card.is_visible()]
    assert len(shown) == 1
    assert "05_lego" in shown[0]
    page.locator(".filter input").fill("")
    assert not claims.first.is_visible()  # folded again
    assert page.complaints == []
