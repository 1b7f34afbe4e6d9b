"""The ledger of several runs: on the index, in the terminal, and as files for others."""

import csv
import io
import json
import math
import re

import pytest
from example_run import HOSTILE, IMAGE, SCRIPT

from workbench.claims import Claim, Gate
from workbench.errors import UserError
from workbench.lab import history, ledger, ledger_files
from workbench.lab.report import claims as report_claims
from workbench.lab.report import pictures
from workbench.lab.report.index import write_index

FLOOR = Gate("accuracy of the base", 0.1, low=0.2, high=0.8)


def claim(name="c", effect=0.2, low=0.1, high=0.3, n=12, **about):
    about = {"over": "trainings", "trainings": n, "unit": "points"} | about
    return Claim(name, f"It does {name}.", "Figure 4.", effect, low, high, n, **about)


def write_run(root, notebook, *claims, key="abc0", started="2026-11-30T10:00:00+00:00", **changes):
    """A finished run's folder with claims, as the lab writes one."""
    folder = root / "runs" / notebook / key
    folder.mkdir(parents=True)
    run = {"schema": 1, "notebook": notebook, "key": key, "title": f"On {notebook}", "status": "done"}
    (folder / "run.json").write_text(json.dumps(run | {"started": started} | changes))
    (folder / "notebook.ipynb").write_text(json.dumps({"cells": [], "metadata": {}}))
    for made in claims:
        ledger.write_claim(folder, made)
    return folder


@pytest.fixture
def runs(root):
    """Three studies, one of them without a headline, and two placebo runs."""
    first = [claim("small", low=0.001, high=0.4), claim("led", published=0.5, headline=True)]
    gated = claim("gated", gates=(FLOOR,), trainings=2, headline=True)
    older = claim("older", 0.05, -0.1, 0.2, over="stories", trainings=None)
    many = [claim(f"no{number}", 0.0, -0.1, 0.1) for number in range(9)]
    chance = [
        claim("up"),
        claim("down", -0.2, -0.3, -0.1),
        claim("none", 0, -1, 1),
        claim("x", gates=(FLOOR,)),
    ]
    late = "2026-11-30T12:00:00+00:00"
    placebo = {"params": {"placebo": True}, "started": late}
    return {
        "first": write_run(root, "01_study", *first),
        "gated": write_run(root, "02_gated", gated, *many),
        "older": write_run(root, "03_older", older),
        "placebos": [
            write_run(root, "01_study", *chance, key="p1", **placebo),
            write_run(root, "02_gated", claim("seen", trainings=1), key="p2", **placebo),
        ],
    }


def page(path):
    return path.read_text(encoding="utf-8")


def text(html):
    """The words of a piece of HTML."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def part(html, start, end):
    return html[html.index(start) : html.index(end, html.index(start))]


def test_an_older_file_without_the_new_fields_is_still_read(tmp_path):
    old = {"name": "a", "says": "b", "paper": "c", "effect": 0.2, "low": 0.1, "high": 0.3, "n": 5, "unit": "",
           "verdict": "reproduced", "view": None}  # fmt: skip
    (tmp_path / "claims.json").write_text(json.dumps([old]))
    (read,) = ledger.read_claims(tmp_path)
    assert (read.over, read.trainings, read.gates, read.delta, read.headline) == (
        "items",
        None,
        (),
        None,
        False,
    )
    assert read.verdict_text == "reproduced"


def test_every_field_survives_the_file(tmp_path):
    gates = (FLOOR, Gate("rivals", math.nan, high=0.5), Gate("reliability", 0.9, low=0.8))
    made = claim(gates=gates, delta=0.1, delta_reason="a tenth", published=0.5, headline=True, view="V")
    ledger.write_claim(tmp_path, made)
    (read,) = ledger.read_claims(tmp_path)
    assert repr(read) == repr(made)
    assert [str(gate) for gate in read.gates] == [str(gate) for gate in gates]
    assert (read.delta_reason, read.published, read.headline) == ("a tenth", 0.5, True)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"gates": [{"name": "x", "value": 1}]}, 'The gate "x" has no bounds'),
        ({"delta": -1}, "is not a list of claims .*delta"),
        ({"headline": "yes"}, "is not a list of claims .*headline"),
        ({"trainings": -1}, "is not a list of claims .*trainings"),
    ],
)
def test_a_forged_claim_is_a_sentence(tmp_path, entry, said):
    (tmp_path / "claims.json").write_text(json.dumps([{"name": "a"} | entry]))
    with pytest.raises(UserError, match=said):
        ledger.read_claims(tmp_path)


def test_lines_are_by_study_headline_first_and_corrected_for_all(runs):
    lines = ledger.lines([runs["older"], runs["gated"], runs["first"]])
    assert [line.claim.name for line in lines[:3]] == ["led", "small", "gated"]
    assert [line.notebook for line in lines] == ["01_study"] * 2 + ["02_gated"] * 10 + ["03_older"]
    small = lines[1]
    assert small.claim.p < 0.05
    assert ledger.is_doubtful(small.claim, small.survives)  # the second of twelve that are tested
    assert ledger.lines([runs["first"]])[1].survives  # of two it is none to doubt
    assert not ledger.is_doubtful(lines[-1].claim, lines[-1].survives)  # it found nothing to doubt


def test_placebo_runs_are_counted_and_are_no_runs_of_the_ledger(runs, root):
    assert history.newest_done(root / "runs") == [runs["first"], runs["gated"], runs["older"]]
    assert history.placebos(root / "runs") == runs["placebos"]
    assert ledger.placebo_rate(runs["placebos"]) == (2, 4)  # one in one training; one not tested
    assert ledger.placebo_rate([]) == (0, 0)


def test_the_index_opens_with_a_plot_of_the_headlines(runs, root):
    shown = [runs["first"], runs["gated"], runs["older"]]
    html = page(write_index(shown, root / "index.html", runs["placebos"]))
    plot = part(html, '<table class="forest">', "</table>")
    assert html.index('class="forest"') < html.index('class="ledger"')
    assert plot.count("<tr>") == 3  # the head, and two of three studies have a headline
    assert plot.count('role="img"') == 2
    assert (
        'aria-label="ours +0.200 points, 95 % interval from +0.100 to +0.300; published +0.500 points"'
        in plot
    )
    assert 'aria-label="ours +0.200 points, 95 % interval from +0.100 to +0.300, not testable here"' in plot
    first, second = text(plot).split("It does gated.")
    assert "✓ reproduced +0.200 points +0.100 to +0.300 ◇ in the paper +0.500 n = 12 trainings" in first
    assert "↓ smaller than in the paper" in first
    assert "– not testable here" in second
    assert "accuracy of the base: 0.1, wanted from 0.2 to 0.8." in second
    assert "It does older." in text(html)
    assert "It does older." not in text(plot)


def test_the_index_counts_the_placebo_and_is_silent_without_one(runs, root):
    shown = [runs["first"], runs["gated"]]
    html = page(write_index(shown, root / "index.html", runs["placebos"]))
    words = text(part(html, 'class="facts placebo"', "</p>"))
    assert (
        "in 2 runs that compared a control with a second control, 2 of 4 claims came out reproduced or seen "
        "in few trainings (50 %" in words
    )
    assert "It does up." not in html
    assert "Placebo" not in page(write_index(shown, root / "index.html"))
    untested = write_run(root, "04_none", claim(gates=(FLOOR,)), params={"placebo": True})
    assert "Placebo" not in page(write_index(shown, root / "index.html", [untested]))


def test_an_index_without_headlines_has_no_plot(runs, root):
    html = page(write_index([runs["older"]], root / "index.html"))
    assert 'class="forest"' not in html
    assert "How to read this" in html


def test_a_row_of_the_ledger_says_what_its_verdict_rests_on():
    unresolved = claim(
        "a", 0.05, -0.1, 0.2, n=200, over="questions", trainings=3, delta=0.02, delta_reason="So."
    )
    row = report_claims.row(unresolved, None)
    assert (row["n"], row["trainings"]) == ("200 questions", "3 trainings")
    assert row["notes"] == [f"Smallest detectable effect: {unresolved.detectable:.3g}."]
    assert row["too_small"] == "Less than ±0.0200 is no effect: So."
    assert report_claims.row(claim(trainings=12), None)["trainings"] == ""  # n says it already
    doubted = report_claims.row(claim(), None, tested=1200)
    assert doubted["notes"] == ["Does not survive correction for 1,200 claims."]
    gated = report_claims.row(claim(gates=(FLOOR, Gate("reliability", 0.5, low=0.8))), None)
    assert gated["notes"] == [
        "Not met: accuracy of the base: 0.1, wanted from 0.2 to 0.8.",
        "Not met: reliability: 0.5, wanted at least 0.8.",
    ]
    assert report_claims.row(claim("a", math.nan), None)["effect"] == "–"
    assert report_claims.row(claim(trainings=2), None)["tone"] == "reproduced seen"


def test_only_effects_are_marked_by_the_correction():
    made = [claim("doubtful", low=0.001, high=0.4), *(claim(f"no{i}", 0, -1, 1) for i in range(20))]
    rows = report_claims.rows(made, lambda made: None)
    assert rows[0]["notes"] == ["Does not survive correction for 21 claims."]
    assert all("correction" not in note for row in rows[1:] for note in row["notes"])
    assert report_claims.rows(made[:1], lambda made: None)[0]["notes"] == []
    assert report_claims.rows(made[:1], lambda made: None, made)[0]["notes"] == rows[0]["notes"]


def test_the_plot_stands_on_the_side_of_zero_on_which_its_figures_lie():
    drawn = pictures.plot(claim("a", -0.2, -0.3, -0.1, published=0.1))
    left, right = map(float, re.search(r'span" d="M([\d.]+) \S+H([\d.]+)', drawn).groups())
    diamond = float(re.search(r'published" d="M([\d.]+)', drawn)[1])
    assert 0 < left < right < 140 < diamond < 280
    far = pictures.plot(claim("a", published=-9.0))  # its scale would hide our interval
    left, right = map(float, re.search(r'span" d="M([\d.]+) \S+H([\d.]+)', far).groups())
    assert right - left > 60
    arrow = re.search(r'published" d="(M[^"]+)"', far)[1]
    assert float(arrow[1:].split()[0]) < 10
    assert "published −9.00 points" in far


def test_the_plot_shows_what_is_known():
    unknown = {"effect": math.nan, "low": math.nan, "high": math.nan}
    assert pictures.plot(claim(**unknown)) == ""
    paper_alone = pictures.plot(claim(**unknown, published=0.3))
    assert "published" in paper_alone
    assert 'class="span"' not in paper_alone
    assert 'aria-label="no interval; published +0.300 points"' in paper_alone
    band = re.search(r'band" x="([\d.]+)" y="0" width="([\d.]+)"', pictures.plot(claim(delta=0.1)))
    assert float(band[1]) + float(band[2]) / 2 == pytest.approx(140)
    assert pictures.plot(claim("zero", 0.0, 0.0, 0.0))
    for huge in (1e308, -1e308, 5e-324):
        assert "nan" not in pictures.plot(claim("huge", huge, huge, huge, published=huge, delta=abs(huge)))


@pytest.mark.parametrize("words", [*HOSTILE, "\\end{tabular} 5 % & more #_^~{$", "=1+1", "a\nb\tc"])
def test_hostile_words_in_any_field_stay_words(root, words):
    gates = (Gate(words, 0.1, low=0.5),)
    about = {
        "over": words,
        "unit": words,
        "delta_reason": words,
        "delta": 9.0,
        "gates": gates,
        "headline": True,
    }
    hostile = Claim(words, words, words, 0.2, 0.1, 0.3, 5, published=0.1, **about)
    run = write_run(root, "01_study", hostile, claim(), title=words)
    html = page(write_index([run], root / "index.html"))
    for raw in (SCRIPT, IMAGE, "<svg onload"):
        assert raw not in html
    assert not set("\x00\x1b\u202e\ud800") & set(html)
    lines = ledger.lines([run])
    for written in (ledger_files.as_csv(lines), ledger_files.as_json(lines), ledger_files.as_latex(lines)):
        assert not set("\x00\x1b\u202e\ud800") & set(written)
    assert_tabular(ledger_files.as_latex(lines))


def assert_tabular(latex):
    """What LaTeX would complain of: braces that do not match, cells too many or few, a sign of its own."""
    packages, note, *lines = latex.strip().splitlines()
    assert packages.startswith("% \\usepackage")
    assert note.startswith("% ")
    assert lines[0].startswith(r"\begin{longtable}")
    assert lines[-1] == r"\end{longtable}"
    bare = re.sub(r"\\[&%$#_{}]", "", "\n".join(lines))  # what is escaped is only a sign
    depth = 0
    for sign in bare:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert not set("#~|<>") & set("".join(bare.splitlines()[1:]))
    for line in lines[1:-1]:
        cells = re.sub(r"\\[&%$#_{}]", "", line)
        if not re.match(r"\\(caption|toprule|endhead|midrule|bottomrule|multicolumn)", cells):
            assert cells.endswith(r" \\")
            assert cells.count("&") == 8
        assert "%" not in cells
        assert "_" not in cells


def test_the_files_hold_what_is_known_of_every_claim(runs):
    lines = ledger.lines([runs["first"], runs["gated"], runs["older"]])
    rows = list(csv.DictReader(io.StringIO(ledger_files.as_csv(lines))))
    objects = json.loads(ledger_files.as_json(lines))
    assert len(rows) == len(objects) == 13
    led = objects[0]
    assert tuple(led) == tuple(rows[0]) == ledger_files.COLUMNS
    assert led | {"p": 0, "detectable": 0} == {
        "notebook": "01_study", "name": "led", "says": "It does led.", "effect": 0.2, "low": 0.1, "high": 0.3,
        "unit": "points", "n": 12, "over": "trainings", "trainings": 12, "verdict": "reproduced",
        "detectable": 0, "p": 0, "survives": True, "size": "smaller",
        "beyond": False,
        "published": 0.5,
        "paper": "Figure 4.", "headline": True, "key": "abc0",
    }  # fmt: skip
    assert led["p"] == pytest.approx(lines[0].claim.p)
    assert led["detectable"] == pytest.approx(lines[0].claim.detectable)
    assert [row["survives"] for row in rows[:3]] == ["true", "false", ""]  # the third is not tested
    assert rows[2]["verdict"] == "not testable here"
    assert (rows[-1]["trainings"], rows[-1]["published"]) == ("", "")
    for row, known in zip(rows, objects, strict=True):
        assert float(row["low"]) == known["low"]
    latex = ledger_files.as_latex(lines)
    assert_tabular(latex)
    assert latex.count(r"\multicolumn") == 3
    assert r"\textbf{02\_gated, run abc0}" in latex
    assert r"$^{\ast}$" in latex


def test_negative_numbers_stay_numbers_and_formulas_become_words(root):
    run = write_run(root, "01_study", claim("=cmd()", -0.2, -0.3, -0.1, over="@sum"))
    (row,) = csv.DictReader(io.StringIO(ledger_files.as_csv(ledger.lines([run]))))
    assert (row["effect"], row["name"], row["over"]) == ("-0.2", "'=cmd()", "'@sum")
