"""Parts of the pages: citations, typography, one table a chart, small pictures, links between pages."""

import base64
import re

import pytest

from workbench.claims import BEYOND, Claim
from workbench.lab.ledger import count_verdicts
from workbench.lab.report import tidy, turns
from workbench.lab.report.citations import linked, papers
from workbench.lab.report.claims import rows
from workbench.lab.report.thumbnails import MOST_BYTES, TALLEST, thumbnail
from workbench.lab.report.typography import smart

PROSE = [
    "By [Eldan & Li 2023](https://arxiv.org/abs/2305.07759), as [here](https://example.org/x) and in",
    "[Olsson et al. 2022](https://arxiv.org/abs/2209.11895); [no](javascript:alert(1)).",
]


def claim(name="a", effect=0.2, low=0.1, high=0.3, paper="It rises (Figure 4)", **about):
    return Claim(name, f"It does {name}.", paper, effect, low, high, 12, "trainings", **about)


# ------------------------------------------------------------------------------- claims
def test_a_claim_that_no_paper_makes_is_beyond_it_and_confirmed_not_reproduced():
    made = [
        claim("a"),
        claim("b", paper=BEYOND),
        claim("c", paper=" "),
        claim("d", trainings=2, paper=BEYOND),
    ]
    assert [one.is_beyond for one in made] == [False, True, True, True]
    assert [one.verdict_text for one in made] == [
        "reproduced",
        "confirmed",
        "confirmed",
        "seen in 2 trainings",
    ]
    counted = {name: count for name, count in count_verdicts(made).items() if count}
    assert counted == {"reproduced": 1, "confirmed": 2, "seen in few trainings": 1}
    shown = rows(made, lambda made: None)
    assert [(row["beyond"], str(row["paper"])) for row in shown][:2] == [
        (False, "It rises (Figure 4)"),
        (True, ""),
    ]
    assert "Beyond the paper" in repr(made[1])


@pytest.mark.parametrize(
    ("published", "size"),
    [
        (0.2, "same size"),
        (0.1, "same size"),
        (0.9, "smaller"),
        (0.05, "larger"),
        (-0.4, "larger"),
        (None, ""),
    ],
)
def test_the_size_is_told_by_the_interval_apart_from_the_direction(published, size):
    made = claim(published=published)
    assert (made.verdict, made.size) == ("reproduced", size)


def test_without_an_interval_no_size_is_compared():
    assert claim(low=float("nan"), published=0.2).size == ""
    assert claim(published=float("nan")).size == ""


# ------------------------------------------------------------------------------- citations
def test_what_a_paper_says_links_to_the_paper_it_names_or_else_to_the_studys():
    known = papers(PROSE)
    assert list(known) == ["Eldan & Li 2023", "Olsson et al. 2022"]
    own = str(linked("Loss falls with size", known))
    assert own.startswith("Loss falls with size <a ")
    assert own.endswith(
        'href="https://arxiv.org/abs/2305.07759" rel="noreferrer noopener">Eldan &amp; Li 2023</a>'
    )
    named = str(linked("Heads copy (Olsson et al. 2022)", known))
    assert "2209.11895" in named
    assert "2305.07759" not in named
    assert "<a" not in linked("Forgetting (McCloskey and Cohen 1989)", known)  # a paper without a link
    assert 'href="https://arxiv.org/abs/2405.15071"' in linked("learnt (2405.15071)", {})


def test_hostile_words_of_a_paper_stay_words():
    known = papers(["[<img src=x> 2023](https://arxiv.org/abs/1)", '[a](https://arxiv.org/"onload="x)'])
    shown = str(linked("<script>alert(1)</script> <img src=x> 2023", known))
    assert "<script" not in shown
    assert "<img" not in shown
    assert 'onload="x"' not in str(linked("a", known))


# ------------------------------------------------------------------------------- typography
@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ('He said "no".', "He said “no”."),
        ('("so")', "(“so”)"),
        ("the people's, the heads'", "the people’s, the heads’"),
        ("a 'word' here", "a ‘word’ here"),
        ("from -0.5 to -.2", "from −0.5 to −.2"),
        ("rho .39 [-.08, .61]", "rho .39 [−.08,\u00a0.61]"),
        ("95 % of 1-2", "95\u202f% of 1-2"),
        ("well-known", "well-known"),
    ],
)
def test_prose_is_set_as_in_print(typed, printed):
    assert smart(typed) == printed


# ------------------------------------------------------------------------------- data
def test_panels_of_a_chart_are_one_table_with_the_names_that_the_chart_shows():
    def panel(data, title):
        x = {"field": "value", "type": "quantitative", "title": f"share of {title}"}
        tips = [{"field": name} for name in ("arm", "value", "low", "high")]
        dots = {"x": x, "y": {"field": "arm", "type": "nominal", "title": "trained on"}, "tooltip": tips}
        zero = {"mark": "rule", "encoding": {"x": {"datum": 0}}}
        unit = {"mark": "point", "encoding": dots}
        return {"data": {"name": data}, "title": title, "layer": [zero, unit]}

    row = {"arm": "text", "high": 0.3, "jitter": 4, "low": 0.1, "value": 0.2}
    spec = {
        "title": "The figure",
        "vconcat": [panel("d1", "chains"), panel("d2", "counts")],
        "datasets": {"d1": [row], "d2": [row | {"arm": "code"}], "d3": [{"end": 1, "start": 0}]},
    }
    table = tidy.layout(spec)
    assert table["columns"] == ["panel", "trained on", "value", "low", "high"]
    assert list(tidy.rows(spec, table)) == [
        ["chains", "text", 0.2, 0.1, 0.3],
        ["counts", "code", 0.2, 0.1, 0.3],
    ]


def test_a_line_to_look_along_is_no_data():
    line = {
        "mark": "line",
        "data": {"name": "line"},
        "encoding": {"x": {"field": "x", "type": "quantitative"}},
    }
    steps = {"field": "x", "type": "quantitative", "title": "steps"}
    encoding = {"x": steps, "tooltip": {"field": "x"}}
    point = {"mark": "point", "data": {"name": "dots"}, "encoding": encoding}
    spec = {"layer": [line, point], "datasets": {"line": [{"x": 0}, {"x": 9}], "dots": [{"x": 3}]}}
    table = tidy.layout(spec)
    assert table["columns"] == ["steps"]
    assert list(tidy.rows(spec, table)) == [[3]]


# ------------------------------------------------------------------------------- pictures
def drawing(mark="point", n=3):
    rows = [{"title": f"a {number % 3}", "type": "text", "y": number / 7} for number in range(n)]
    x, y = {"field": "title", "title": "letters"}, {"field": "y", "type": "quantitative", "title": "height"}
    dots = {"mark": mark, "encoding": {"x": x, "y": y, "color": {"field": "title", "title": "colours"}}}
    note = {"mark": {"type": "text", "text": "a note"}, "encoding": {"y": y}}
    return {"title": "A drawing", "data": {"values": rows}, "layer": [dots, note], "width": 90, "height": 300}


def read_picture(address, kind):
    head = f"data:image/{kind};base64,"
    assert address.startswith(head)
    return base64.b64decode(address.removeprefix(head), validate=True)


def test_a_picture_on_a_card_keeps_its_marks_and_loses_its_words():
    picture = read_picture(thumbnail(drawing()), "svg+xml").decode()
    assert picture.count("<path") >= 3
    assert "<text" not in picture
    assert not any(
        word in picture for word in ("A drawing", "letters", "height:", "colours", "a note", "a 1")
    )
    width, height = map(float, re.search(r'width="([\d.]+)" height="([\d.]+)"', picture).groups())
    assert height == pytest.approx(TALLEST * width, rel=1e-3)


def test_a_picture_of_thousands_of_points_becomes_pixels():
    address = thumbnail(drawing(n=4000))
    assert read_picture(address, "png").startswith(b"\x89PNG")
    assert len(address) < 2 * MOST_BYTES


@pytest.mark.parametrize(
    "spec", [{}, {"mark": 3}, drawing(mark="no such mark"), drawing() | {"width": 40_000, "height": 9_000}]
)
def test_what_cannot_be_drawn_or_is_a_wall_has_no_picture(spec):
    assert thumbnail(spec) == ""


# ------------------------------------------------------------------------------- pages
def test_pages_lead_to_their_neighbours_and_are_else_left_alone(tmp_path):
    pages = [tmp_path / f"0{number}_study.html" for number in range(3)]
    for number, page in enumerate(pages):
        page.write_text(f'<h1>Study &lt;{number}&gt;</h1><nav class="turn" aria-label="x"></nav><p>end</p>')
    turns.link(pages[:2])
    turns.link(pages)
    first, middle, last = (page.read_text() for page in pages)
    assert 'rel="prev"' not in first
    assert '<a rel="next" href="01_study.html">Study &lt;1&gt;</a>' in first
    assert '<a rel="prev" href="00_study.html">Study &lt;0&gt;</a>' in middle
    assert '<a rel="next" href="02_study.html">' in middle
    assert 'rel="next"' not in last
    assert last.endswith("<p>end</p>")
    before = [page.stat().st_mtime_ns for page in pages]
    turns.link(pages)
    assert [page.stat().st_mtime_ns for page in pages] == before
