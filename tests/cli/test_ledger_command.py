"""workbench ledger: what it prints, writes, and refuses."""

import csv
import io
import json

import pandas
import pytest

import workbench
from workbench import files
from workbench.claims import Claim, Gate
from workbench.lab.ledger_files import COLUMNS

FLOOR = Gate("accuracy of the base", 0.1, low=0.2, high=0.8)


def finished(root, *claims, seed=0, **changes):
    opened = workbench.start("01_study", {"seed": seed})
    for claim in claims:
        opened.claim(claim)
    (opened.folder / "notebook.ipynb").write_bytes((root / "notebooks" / "01_study.ipynb").read_bytes())
    opened.close()  # `finish` would print the claims
    path = opened.folder / "run.json"
    files.write_json(path, files.read_json(path) | {"status": "done"} | changes)
    return opened.folder


def claim(name, effect=0.2, low=0.1, high=0.3, **about):
    return Claim(name, f"It does {name}.", "yes", effect, low, high, 12, "stories", **about)


CLAIMS = [
    claim("open", 0.1, -0.1, 0.3, unit="bits"),
    claim("gated", gates=(FLOOR,)),
    claim("led", headline=True, published=0.4, trainings=2),
]


def test_the_ledger_is_printed_headline_first_with_counts(root, say):
    folder = finished(root, *CLAIMS)
    code, out, err = say("ledger")
    assert (code, err) == (0, "")
    assert out.index("It does led.") < out.index("It does open.") < out.index("It does gated.")
    for words in (
        f"01_study    {folder.name}",
        "✓ seen in 2 trainings  It does led.",
        "+0.200 (+0.100 to +0.300), n = 12 stories, 2 trainings; published +0.400",
        "○ not resolved at this scale  It does open.",
        "Smallest detectable effect: 0.280.",
        "– not testable here  It does gated.",
        "accuracy of the base: 0.1, wanted from 0.2 to 0.8.",
        "3 claims: 1 seen in few trainings · 1 not resolved at this scale · 1 not testable here",
    ):
        assert words in out
    assert "Placebo" not in out
    assert "correction" not in out


def test_what_does_not_survive_correction_is_said(root, say):
    finished(root, claim("barely", low=0.001, high=0.4), *(claim(f"no{i}", 0, -1, 1) for i in range(9)))
    out = say("ledger")[1]
    assert out.count("Does not survive correction for 10 claims.") == 1
    assert "1 of these effects would not survive correction for 10 claims." in out


def test_placebo_runs_are_counted_apart(root, say):
    finished(root, *CLAIMS)
    late = {"params": {"placebo": True}, "started": "2090-01-01T00:00:00+00:00"}
    placebo = finished(root, claim("chance"), claim("none", 0, -1, 1), seed=1, **late)
    out = say("ledger")[1]
    assert "It does chance." not in out
    assert "Placebo (1 run): 1 of 2 claims came out reproduced or seen in few trainings (50 %)" in out
    assert "Placebo" not in say("ledger", "01_study/" + next(iter(finished_keys(root) - {placebo.name})))[1]
    assert "0 claims\nPlacebo (1 run): 1 of 2" in say("ledger", placebo.name)[1]


def finished_keys(root):
    return {path.parent.name for path in (root / "runs").glob("*/*/run.json")}


def test_the_terminal_gets_the_text_alone(root, say):
    finished(root, *CLAIMS)
    rows = list(csv.DictReader(io.StringIO(say("ledger", "--to", "csv")[1])))
    assert [row["name"] for row in rows] == ["led", "open", "gated"]
    objects = json.loads(say("ledger", "01", "--to", "json")[1])
    assert [entry["name"] for entry in objects] == ["led", "open", "gated"]
    latex = say("ledger", "--to", "latex")[1]
    assert latex.startswith("% \\usepackage")
    assert latex.endswith("\\end{longtable}\n")


def test_a_file_is_written_whole_and_named(root, say):
    finished(root, *CLAIMS)
    for form, name in {
        "csv": "l.csv",
        "json": "new/l.json",
        "latex": "l.tex",
        "parquet": "l.parquet",
    }.items():
        code, out, _ = say("ledger", "--to", form, "--out", name)
        assert (code, out.strip()) == (0, f"✓ {name}")
    assert (root / "l.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert list(pandas.read_parquet(root / "l.parquet")["name"]) == ["led", "open", "gated"]
    assert not list(root.glob(".*.new"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ledger", "09_none"], "There is no run 09_none"),
        (["ledger", "--to", "csv", "--out", "notebooks"], "Cannot write"),
        (["ledger", "--to", "json", "--out", "notebooks/01_study.ipynb/l.json"], "Cannot write"),
        (["ledger", "--to", "xls"], "--to xls: choose one of csv, json, latex, parquet."),
        (["ledger", "--to", "parquet"], "give --out FILE"),
        (["ledger", "--out", "l.csv"], "Say as what l.csv is to be written: --to csv, json, latex, parquet."),
    ],
)
def test_a_mistake_is_one_sentence(root, say, words, said):
    finished(root, *CLAIMS)
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert (root / "notebooks").is_dir()
    assert not list(root.glob("**/.*.new"))


def test_without_a_finished_run_there_is_no_ledger(root, say):
    code, out, err = say("ledger")
    assert (code, out) == (2, "")
    assert "There is no finished run, so no ledger: `workbench run --all` makes them." in err
    folder = finished(root, *CLAIMS, status="failed")
    assert "There is no finished run" in say("ledger")[2]
    code, _, err = say("ledger", folder.name)
    assert code == 2
    assert f"01_study/{folder.name} is not a finished run (failed): it has no ledger yet." in err


def test_a_run_that_cannot_be_read_is_left_out_with_its_reason(root, say):
    good = finished(root, *CLAIMS)
    odd = finished(root, seed=1)
    (odd / "claims.json").write_text("[{")
    code, out, err = say("ledger")
    assert code == 0
    assert good.name in out
    assert f"{odd.name} is left out: " in err


def test_hostile_words_do_not_steer_the_terminal(root, say):
    words = "\x1b[2J\u202e[/bold]:smile:"
    finished(root, Claim(words, words, words, 0.1, -0.1, 0.3, 5, words, gates=(Gate(words, 1, low=2),)))
    out = say("ledger")[1]
    assert "\\x1b[2J\\u202e[/bold]:smile:" in out
    assert not set("\x1b\u202e") & set(out)


def test_a_folder_of_runs_is_its_newest_finished_one(root, say):
    finished(root, claim("old"))
    finished(root, claim("new"), seed=1)
    code, out, _ = say("ledger", "runs/01_study")
    assert code == 0
    assert "It does new." in out
    assert "It does old." not in out
