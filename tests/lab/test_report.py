"""The report and the index: everything from the run folder, nothing loaded, nothing executed."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from example_run import CLAIMS, HOSTILE, IMAGE, RUN, SCRIPT, unpacked, write_example_run
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.errors import UserError
from workbench.lab.ledger import read_claims
from workbench.lab.report.blocks import blocks, json_script
from workbench.lab.report.claims import rows, tally
from workbench.lab.report.index import write_index
from workbench.lab.report.markdown import mathematics, render
from workbench.lab.report.page import rerun_command, write_report
from workbench.lab.report.pictures import interval, number

URL_ATTRIBUTES = {"src", "srcset", "data", "action", "formaction", "poster", "background"}


class Page(HTMLParser):
    """What a browser would make of a page: elements, texts of scripts, handlers, addresses."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.text, self.ids = [], [], "", set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids.update(value for name, value in attrs if name == "id")
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self.scripts and self.in_script():
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text += data

    def in_script(self):
        return self.cdata_elem == "script"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(write_example_run(folder / "runs"), folder / "02_tiny_models.html")


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def policy(page):
    return next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))


def small_run(tmp_path, cells, **changes):
    folder = tmp_path / "small" / "abc"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"schema": 1, "notebook": "small", **changes}))
    (folder / "notebook.ipynb").write_text(json.dumps(new_notebook(cells=cells)))
    return folder


def running(page):
    """The scripts of a page that a browser runs, in the order of the page."""
    return [text for attrs, text in page.scripts if attrs.get("type") in (None, "module")]


def test_the_policy_names_exactly_the_scripts_that_run(page):
    (bundle,) = [unpacked(text) for attrs, text in page.scripts if attrs.get("id") == "bundle"]
    kinds = {"module", "application/gzip", "application/json", None}
    assert {attrs.get("type") for attrs, _ in page.scripts} == kinds
    code = [*running(page), bundle]
    assert len(code) == 4  # the theme, the charts, what every page has, and Vega
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert re.findall(r"'sha256-([^']+)'", policy(page)) == hashes
    assert policy(page).startswith("default-src 'none';")
    assert "unsafe-eval" not in policy(page)
    assert "script-src 'unsafe-inline'" not in policy(page)


def test_the_page_loads_nothing_and_handles_no_event(page):
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in URL_ATTRIBUTES & attributes.keys():
            assert attributes[name].startswith("data:image/")
        assert "javascript:" not in (attributes.get("href") or "")
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
    (icon,) = [attrs for tag, attrs in page.elements if tag == "link"]
    assert icon["rel"] == "icon"
    assert icon["href"].startswith("data:image/svg+xml,")


def test_hostile_text_is_shown_as_text(page):
    text = page.text
    assert text.count(SCRIPT) >= 4
    assert IMAGE in text
    assert r"right\u202eto left" in text
    assert r"nul \x00 end" in text
    assert "more characters]" in text
    assert not set("\x00\x1b\u202e") & set(text)


def test_noise_and_foreign_html_are_left_out(page):
    assert "31.2it/s" not in page.text
    assert "HBox" not in page.text
    assert "trained 4 models" in page.text
    assert "10%" not in page.text
    assert "a foreign object" in page.text
    assert "<b>raw" not in page.text


def test_figures_are_numbered_and_each_chart_has_alt_text_data_and_specification(page):
    assert re.findall(r"Figure \d", page.text) == [f"Figure {n}" for n in range(1, 8)]
    assert "Table 1" in page.text
    pictures = [attrs for tag, attrs in page.elements if tag == "img"]
    assert len(pictures) == 6
    assert all(picture["alt"] for picture in pictures)
    specs = [json.loads(unpacked(text)) for attrs, text in page.scripts if attrs.get("class") == "spec"]
    assert len(specs) == 6
    assert all("title" not in spec and spec["description"] for spec in specs)
    assert "The first 50 of 180 rows." in page.text


def test_claims_link_to_figures_that_are_there(page):
    links = [attrs["href"] for tag, attrs in page.elements if attrs.get("class") == "see"]
    # The headline comes first, wherever it was made.
    assert links == ["#figure-grammar-saturates-before-consistency", "#figure-depth-buys-steps-of-reasoning"]
    assert {link[1:] for link in links} <= page.ids


def test_the_page_says_how_to_rerun_and_from_what(page):
    assert "workbench run 02_tiny_models -p profile=laptop -p 'prompt=Once upon a time'" in page.text
    assert "9c0ffee12345" in page.text
    assert "packages · torch" in page.text
    assert RUN["key"] in page.text


def test_the_page_stays_small_and_is_utf8(report):
    assert report.stat().st_size < 900_000
    report.read_bytes().decode("utf-8")


def test_the_report_depends_on_nothing_but_the_run_folder(report, tmp_path):
    folder = write_example_run(tmp_path / "moved" / "elsewhere")
    again = write_report(folder, tmp_path / "again.html")
    assert again.read_bytes() == report.read_bytes()
    assert str(tmp_path).encode() not in again.read_bytes()


def test_without_charts_no_chart_script_is_in_the_page(tmp_path):
    folder = small_run(tmp_path, [new_markdown_cell("# A title\n\nSome prose.")])
    page = Page(write_report(folder, tmp_path / "r.html").read_text())
    assert len(running(page)) == len(page.scripts) == 2
    assert not any("vega" in script.lower() for script in running(page))
    assert policy(page).count("sha256-") == 2
    assert "A title" in page.text


def test_what_the_last_section_says_of_claims_stands_above_the_ledger(tmp_path):
    cells = [new_markdown_cell("# T"), new_code_cell("made = 1"), new_markdown_cell("## Claims\n\nIn pairs.")]
    folder = small_run(tmp_path, cells)
    (folder / "claims.json").write_text(json.dumps(CLAIMS))
    html = write_report(folder, tmp_path / "r.html").read_text()
    assert html.count("Claims</") == 0  # neither a heading nor a line of the contents
    assert (
        html.index("Claimed and seen</h2>") < html.index("In pairs.") < html.index('<table class="ledger">')
    )
    (folder / "claims.json").unlink()
    assert "Claims</h2>" in write_report(folder, tmp_path / "r.html").read_text()


def test_a_parameter_that_was_left_open_says_what_it_became(tmp_path):
    params = {"profile": "quick", "n_texts": None, "data": None, "seed": 3}
    folder = small_run(tmp_path, [], params=params, effective={"n_texts": 8000})
    words = " ".join(Page(write_report(folder, tmp_path / "r.html").read_text()).text.split())
    assert "n_texts8,000 (quick) datanone seed3" in words  # a term and its value


def test_code_without_a_figure_stands_once_at_the_end(tmp_path):
    folder = small_run(
        tmp_path, [new_code_cell("first = 1"), new_markdown_cell("Prose."), new_code_cell("last = 2")]
    )
    html = write_report(folder, tmp_path / "r.html").read_text()
    assert html.count("<summary>Code</summary>") == 0
    words = Page(html).text
    assert words.index("Prose.") < words.index("first = 1") < words.index("last = 2")


def test_a_failed_run_shows_its_error(tmp_path):
    error = new_output(
        "error", ename="ValueError", evalue=f"bad {SCRIPT}", traceback=["\x1b[31mTraceback\x1b[0m"]
    )
    folder = small_run(tmp_path, [new_code_cell("1/0", outputs=[error])], status="failed", title="T")
    html = write_report(folder, tmp_path / "r.html").read_text()
    assert "This run failed." in html
    assert "Stopped here: ValueError" in html
    assert "Traceback</pre>" in html
    assert "<code>1/0" in html.replace(
        '<span class="mi">1</span><span class="o">/</span><span class="mi">0</span>', "1/0"
    )
    assert SCRIPT not in html


def test_a_run_that_failed_outside_its_cells_shows_why(tmp_path):
    folder = small_run(tmp_path, [], status="failed", title="T", error=f"The kernel died. {SCRIPT}")
    html = write_report(folder, tmp_path / "r.html").read_text()
    assert "The kernel died. &lt;/script&gt;" in html


def test_a_broken_run_folder_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match=r"run\.json"):
        write_report(tmp_path, tmp_path / "r.html")


def test_code_goes_below_the_figure_it_made_and_code_without_output_is_joined():
    view = {
        "kind": "table",
        "title": "T",
        "sentence": "S",
        "columns": ["a"],
        "rows": [[1.5], [22.25]],
        "count": 2,
    }
    shown = new_output("display_data", data={"application/vnd.workbench.view+json": view})
    cells = [new_code_cell("a = 1"), new_code_cell("b = 2"), new_code_cell("show()", outputs=[shown])]
    found, _ = blocks(new_notebook(cells=cells))
    assert [block["type"] for block in found] == ["table"]
    assert found[0]["code"]["lines"] == 3
    assert [cells[0]["text"] for cells in found[0]["rows"]] == ["1.50", "22.25"]


def test_json_in_a_script_element_cannot_end_it():
    value = {"a": SCRIPT, "b": "\u2028\u2029&", "c": float("nan"), "d": "<!--"}
    text = str(json_script(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {**value, "c": None}


@pytest.mark.parametrize(
    "text", [*HOSTILE, "<svg/onload=alert(1)>", "[x](JaVaScRiPt:alert(1))", "<a href='x'>y</a>"]
)
def test_markdown_lets_no_html_through(text):
    html, _ = render(f"# {text}\n\n{text}\n\n- $\\text{{{text}}}$\n", lambda wish: wish)
    page = Page(str(html))
    assert {tag for tag, _ in page.elements} <= {
        "h2",
        "p",
        "ul",
        "li",
        "math",
        "mrow",
        "mtext",
        "code",
        "mo",
        "mi",
        "span",
    }
    assert all(
        set(attributes) <= {"id", "xmlns", "display", "stretchy", "class"} for _, attributes in page.elements
    )


def test_formulas_become_mathml_and_broken_ones_stay_readable():
    assert "<mfrac>" in mathematics(r"\frac{a}{b}", "inline")
    assert "&lt;" in mathematics("a < b", "inline")
    assert mathematics(r"a < \frac", "inline") == r"<code>a &lt; \frac</code>"
    assert "href" not in mathematics(r"\href{javascript:alert(1)}{x}", "inline")


def test_intervals_are_drawn_on_the_side_of_zero_on_which_they_lie():
    left, right = re.search(r'span" d="M([\d.]+) \S+H([\d.]+)', interval(0.3, 0.2, 0.5)).groups()
    assert 84 < float(left) < float(right) <= 168
    left, right = re.search(r'span" d="M([\d.]+) \S+H([\d.]+)', interval(-3e6, -5e6, 1e6)).groups()
    assert 0 <= float(left) < 84 < float(right)
    assert interval(float("nan"), 0, 1) == ""


def test_numbers_are_signed_and_short():
    shown = [number(value) for value in (0.04100, -0.32, 31.24, 12345.6, 0, 1e-9, float("nan"))]
    assert shown == ["+0.0410", "−0.320", "+31.2", "+12,346", "0", "+1e−09", "–"]


def test_every_verdict_has_a_word_and_a_symbol(tmp_path):
    # The verdict follows from the interval and the gates, whatever a file says.
    claims = [entry | {"verdict": "reproduced"} for entry in CLAIMS]
    (tmp_path / "claims.json").write_text(json.dumps(claims))
    shown = rows(read_claims(tmp_path), lambda claim: None)
    assert [entry["symbol"] for entry in shown] == ["✓", "○", "✕", "–"]
    assert [(entry["name"], entry["count"], entry["tone"]) for entry in tally(shown)] == [
        ("seen in few trainings", 1, "reproduced seen"),
        ("opposite", 1, "opposite"),
        ("not resolved at this scale", 1, "unresolved"),
        ("not testable here", 1, "untestable"),
    ]


def test_the_rerun_command_quotes_what_a_shell_would_change():
    params = {"a": [1, True], "b": None, "c": "x=null; rm -rf ~"}
    run = {"notebook": "n", "params": params, "set": ["b", "c"]}
    assert rerun_command(run) == "workbench run n -p b=none -p 'c=x=null; rm -rf ~'"
    assert rerun_command(run | {"set": []}) == "workbench run n"
    assert rerun_command(run | {"set": ["a"]}) == "workbench run n -p 'a=[1, true]'"


def test_the_index_holds_every_claim_and_links_only_pages_that_exist(report, tmp_path):
    runs = [
        report.parent / "runs" / RUN["notebook"] / RUN["key"],
        write_example_run(tmp_path, notebook="01_stories", title="Stories", key="0" * 12),
    ]
    page = Page(write_index(runs, report.parent / "index.html").read_text(encoding="utf-8"))
    for claim in CLAIMS:
        assert page.text.count(claim["says"]) == (
            6 if claim.get("headline") else 2
        )  # on a card and in the plot, too
    links = [attrs["href"] for tag, attrs in page.elements if attrs.get("class") == "see"]
    assert len(links) == 4
    assert all(link.startswith("02_tiny_models.html") for link in links)
    assert len(running(page)) == len(page.scripts) == 3  # the theme, what every page has, the filter
    assert page.text.index("Stories") < page.text.index("Tiny models")
    pictures = [attrs["src"] for tag, attrs in page.elements if tag == "img"]
    assert all(picture.startswith("data:image/svg+xml;base64,") for picture in pictures)


def test_the_index_without_runs_says_what_to_do(tmp_path):
    assert "workbench run --all" in write_index([], tmp_path / "index.html").read_text()
