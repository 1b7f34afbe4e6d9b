"""Two runs or sets of runs side by side: what is paired, what is refused, and what terminal and page say."""

import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from example_run import unpacked
from lab_project import write_notebook

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.cli import app
from workbench.errors import UserError
from workbench.lab import record
from workbench.measures.paired import compare


def answers(shift=0.0, items=40, models=("small", "large"), samples=2, start=0, seed=0):
    """Every item answered by every model, some times over; `shift` is added to each score."""
    rng = np.random.default_rng(5)
    hard = rng.normal(size=items)
    noise = np.random.default_rng(seed + 100)
    rows = [
        {
            "item": start + item,
            "model": model,
            "sample": sample,
            "score": 10 * hard[item] + shift + 0.1 * noise.normal(),
            "verdict": ["wrong", "right"][int(noise.random() < 0.5 + 0.4 * (shift > 0))],
        }
        for item in range(items)
        for model in models
        for sample in range(samples)
    ]
    return pd.DataFrame(rows)


def test_the_difference_is_paired_by_item_and_split_by_the_design():
    found = compare({"A": answers()}, {"B": answers(0.3, seed=1)})
    scores = {each.condition: each for each in found.differences if each.measure == "score"}
    assert found.items == ["item"]
    assert found.n == 40
    assert list(scores) == ["small", "large"]
    for each in scores.values():
        assert each.over_items.low <= 0.3 <= each.over_items.high
        assert each.over_items.high - each.over_items.low < 0.2, (
            "items differ by 10: unpaired this would be 9"
        )
        assert each.over_items.n == 40, "samples of an item are no items of their own"
        assert each.over_runs is None
    shares = {each.measure for each in found.differences} - {"score"}
    assert shares == {"verdict = right", "verdict = wrong"}


def test_the_order_of_the_rows_does_not_matter_and_sides_swap_with_the_sign():
    a, b = answers(), answers(0.3, seed=1)
    there = compare({"A": a}, {"B": b}).differences[0]
    shuffled = compare({"A": a.sample(frac=1, random_state=0)}, {"B": b.sample(frac=1, random_state=1)})
    back = compare({"A": b}, {"B": a}).differences[0]
    same = next(each for each in shuffled.differences if each.condition == there.condition)
    assert same.over_items.value == pytest.approx(there.over_items.value)
    assert back.over_items.value == pytest.approx(-there.over_items.value)
    assert back.first == pytest.approx(there.second)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (answers(items=30), "30 are common, 10 (30, 31, 32, …) only in A, none only in B"),
        (answers(items=39, start=2), "38 are common, 2 (0, 1) only in A, 1 (40) only in B"),
        (answers().assign(item=lambda t: t["item"].astype(str)), "0 are common"),
    ],
)
def test_other_items_are_refused_with_how_many_and_which(other, said):
    with pytest.raises(UserError, match=re.escape(said)):
        compare({"A": answers()}, {"B": other})


def test_the_same_number_with_another_question_is_another_item():
    a = answers().assign(question=lambda t: "What is " + t["item"].astype(str))
    b = a.assign(question=lambda t: t["question"].where(t["item"] != 7, "Who is 7"))
    with pytest.raises(UserError, match=r"39 are common, 1 \(7 · What is 7\) only in A, 1 \(7 · Who is 7\)"):
        compare({"A": a}, {"B": b})
    assert compare({"A": a}, {"B": b}, ["item"]).n == 40


def test_conditions_of_one_side_alone_are_left_out_and_named():
    found = compare(
        {"A": answers(models=("small", "large"))}, {"B": answers(models=("small", "huge"), seed=1)}
    )
    assert {each.condition for each in found.differences} == {"small"}
    assert found.left_out == ["large", "huge"]


def test_a_text_that_names_the_run_is_no_condition():
    found = compare({"A": answers(models=("tiny",))}, {"B": answers(0.3, models=("big",), seed=1)})
    assert {each.condition for each in found.differences} == {""}
    assert found.labels == ["model: tiny → big"]


def test_parts_that_number_their_items_anew_are_kept_apart():
    def parts(shift):
        sums = pd.DataFrame({"item": range(8), "part": "sums", "value": np.arange(8.0)})
        words = pd.DataFrame({"item": range(3), "part": "words", "value": 100.0 + shift + np.arange(3) % 2})
        return pd.concat([sums, words])

    found = {each.condition: each for each in compare({"A": parts(0)}, {"B": parts(1)}).differences}
    assert found["words"].over_items.value == pytest.approx(1)
    assert found["words"].over_items.n == 3
    assert found["sums"].over_items.value == 0


def test_a_score_that_is_constant_in_each_run_is_a_measure():
    a = pd.DataFrame({"id": list("abcdefgh"), "right": True, "score": 1.0, "level": 3})
    b = a.assign(right=False, score=0.0)
    found = {each.measure: each.over_items.value for each in compare({"A": a}, {"B": b}).differences}
    assert found == {"right": -1, "score": -1}


def test_what_agrees_everywhere_is_named_and_not_listed():
    one = answers(models=("m",), samples=1)
    found = compare({"A": one}, {"B": one})
    assert found.differences == []
    assert found.identical == ["score", "verdict = right", "verdict = wrong"]


def test_missing_values_leave_their_pair_out():
    a, b = answers(models=("m",), samples=1), answers(0.3, models=("m",), samples=1, seed=1)
    a.loc[a["item"] < 4, "score"] = np.nan
    b.loc[b["item"] == 10, "score"] = np.nan
    score = compare({"A": a}, {"B": b}).differences[0]
    assert score.over_items.n == 35
    assert score.second - score.first == pytest.approx(score.over_items.value)


def test_with_several_runs_a_side_there_is_an_interval_over_runs_too():
    a = {f"A{n}": answers(0.0 + n, seed=n) for n in range(3)}
    b = {f"B{n}": answers(0.5 + n, seed=9 + n) for n in range(3)}
    score = compare(a, b).differences[0]
    assert score.over_items.low <= 0.5 <= score.over_items.high
    assert score.over_items.low > 0, "these runs differ on items like these"
    assert score.over_runs.low < 0 < score.over_runs.high, "runs of a side differ by more than the sides"
    assert score.over_runs.n == 3
    assert score.over_runs.value == pytest.approx(score.over_items.value)


@pytest.fixture
def project(root, monkeypatch, capfd):
    """A project with a notebook; gives `made(…)`, a finished run, and `say(…)`, a command."""
    write_notebook(
        root, "01_study", parameters="seed: int = 0\nwidth: int = 64", title="A study of </script> widths"
    )
    write_notebook(root, "02_other")

    def made(notebook="01_study", table=None, logged=True, done=True, **params):
        values = {"01_study": {"seed": 0, "width": 64}, "02_other": {"seed": 0}}[notebook] | params
        run = workbench.start(notebook, values)
        for step in range(30 * logged):
            for model in ("small", "large"):
                run.log(model=model, step=step, loss=3 / (step + 1) + values.get("width", 0) / 1000, rate=0.1)
        if table is not None:
            run.table("answers", lambda: table)
        run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
        shutil.copy(root / "notebooks" / f"{notebook}.ipynb", run.folder / "notebook.ipynb")
        run.finish() if done else run.close()
        capfd.readouterr()
        return run.folder

    def say(*words):
        monkeypatch.setattr(sys, "argv", ["workbench", *map(str, words)])
        monkeypatch.setattr(app.out, "_width", 120)
        with pytest.raises(SystemExit) as ended:
            app.main()
        return (ended.value.code or 0, *capfd.readouterr())

    return made, say


def test_terminal_and_page_say_what_differs(root, project):
    made, say = project
    a, b = made(table=answers()), made(table=answers(0.3, seed=1), width=128)
    code, out, err = say("compare", a.name[:6], f"01_study/{b.name}")
    assert (code, err) == (0, "")
    assert re.search(r"width +64 +128", out)
    assert not re.search(r"^ +seed", out, re.MULTILINE), "what agrees is not listed"
    assert re.search(r"loss · small +0\.164 +0\.228 +\+0\.064", out)
    assert "Alike at every step: rate" in out
    assert "answers, paired by item: 40 items in common" in out
    page = root / out.strip().splitlines()[-1].removeprefix("Page: ")
    assert page.parent == root / "runs" / "reports"
    html = page.read_text(encoding="utf-8")
    assert html.count("</script> widths") == 0, "titles are escaped"
    assert "script-src &#39;sha256-" in html
    assert not re.search(
        r"""(?:src|href)=["'](?!#|data:)""", html.split("<body")[1].split('<script type="module"')[0]
    )
    specs = [json.loads(unpacked(text)) for text in re.findall(r'class="spec">(.*?)</script>', html)]
    assert len(specs) == 1
    rows = [row for rows in specs[0]["datasets"].values() for row in rows]
    assert {(row["side"], row["series"]) for row in rows} == {
        (s, m) for s in "AB" for m in ("small", "large")
    }


def test_the_last_line_of_a_step_counts_and_a_torn_one_does_not(project):
    made, say = project
    a, b = made(), made(width=128)
    for folder in (a, b):
        files.append_line(folder / "metrics.jsonl", json.dumps({"model": "small", "step": 29, "loss": 7.5}))
    with open(a / "metrics.jsonl", "a") as lines:
        lines.write('{"model": "small", "st')
    assert re.search(r"loss · small +7\.50 +7\.50 +0\b", say("compare", a.name, b.name)[1])


def test_the_only_series_of_each_run_is_one_whatever_it_is_called(root, project):
    made, say = project
    a, b = made(logged=False), made(logged=False, width=128)
    for folder, name, value in ((a, "2x64", 1.0), (b, "2x128", 0.5)):
        for step in range(3):
            line = {"model": name, "step": step, "loss": value / (step + 1)}
            files.append_line(folder / "metrics.jsonl", json.dumps(line))
        files.append_line(folder / "metrics.jsonl", json.dumps({"model": name, "grammar": value}))
    out = say("compare", a.name, b.name)[1]
    assert re.search(r"^ +loss +0\.333 +0\.167 +−0\.167", out, re.MULTILINE)
    assert re.search(r"^ +grammar +1\.00 +0\.500 +−0\.500", out, re.MULTILINE)
    html = (root / out.strip().splitlines()[-1].removeprefix("Page: ")).read_text(encoding="utf-8")
    assert len(re.findall(r'class="spec">', html)) == 1, "one number a run is no curve"


def test_other_items_are_refused_but_the_curves_are_shown(project):
    made, say = project
    a, b = made(table=answers()), made(table=answers(items=30), width=128)
    code, out, _ = say("compare", a.name, b.name)
    assert code == 0
    assert (
        "answers is not compared: the items (item) differ: 30 are common, 10 (30, 31, 32, …) only in A" in out
    )
    assert "loss · small" in out


def test_sets_are_made_by_commas_and_by_the_value_of_a_parameter(project):
    made, say = project
    runs = {
        (w, s): made(table=answers(w / 200 + s, seed=w + s), width=w, seed=s).name
        for w in (64, 128)
        for s in (0, 1)
    }
    commas = say("compare", f"{runs[64, 0]},{runs[64, 1]}", f"{runs[128, 0]},{runs[128, 1]}")[1]
    values = say("compare", "01_study:width=64", "01:width=128")[1]
    for out in (commas, values):
        assert "95 %, runs drawn" in out
        assert re.search(r"width +64 +128", out)
    figure = re.compile(r"^ +large .*$", re.MULTILINE)
    assert figure.findall(commas) == figure.findall(values)
    assert "width=128  seed=1" in values or "seed=1  width=128" in values


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["01_study", "nine"], "There is no run nine"),
        (["{a}", "{a}"], "is named twice"),
        (["{a}", ""], "One side names no run"),
        ([", ,", "{a}"], "One side names no run"),
        (["{a},{b}", "{b}"], "is named twice"),
        (["{a}", "{open}"], "only finished runs are compared"),
        (["{a}", "{other}"], "no logged metric and no table with items in common"),
        (["{a}", "01:width=65"], "There is no finished run 01:width=65"),
        (["{a}", "{b}", "--item", "layer,head"], "No table of these runs has the columns layer and head"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(root, project, words, said):
    made, say = project
    named = {
        "a": made(logged=False, table=answers()).name,
        "b": made(logged=False, table=answers(), width=128).name,
        "open": made(done=False, width=32).name,
        "other": made("02_other", logged=False).name,
    }
    code, out, err = say("compare", *(word.format(**named) for word in words))
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not (root / "runs" / "reports").exists()


def test_a_column_can_be_named_that_tells_the_items(project):
    made, say = project
    a, b = (
        answers(shift, seed=seed).rename(columns={"item": "puzzle"}) for shift, seed in ((0, 0), (0.3, 1))
    )
    runs = made(table=a).name, made(table=b, width=128).name
    assert "No column names items, or none is measured: answers" in say("compare", *runs)[1]
    assert "answers, paired by puzzle: 40 items in common" in say("compare", *runs, "--item", "puzzle")[1]


def test_a_runs_folder_copied_elsewhere_lists_shows_compares_and_reports(
    root, project, tmp_path_factory, monkeypatch
):
    made, say = project
    a, b = made(table=answers()), made(table=answers(0.3, seed=1), width=128)
    there = say("compare", a.name, b.name, "--out", "here.html")[1]
    away = tmp_path_factory.mktemp("away")
    shutil.copytree(root / "runs", away / "brought")
    shutil.rmtree(root / "runs")
    shutil.rmtree(root / "notebooks")
    monkeypatch.chdir(away)
    monkeypatch.setenv("WORKBENCH_RUNS", "brought")
    assert say("list")[1].count("done") == 2
    assert "width" in say("show", a.name)[1]
    assert "parameter width: 64 → 128" in say("show", b.name, "--why")[1]
    assert say("compare", a.name, b.name, "--out", "here.html")[1] == there
    monkeypatch.delenv("WORKBENCH_RUNS")
    paths = [away / "brought" / "01_study" / folder.name for folder in (a, b)]
    assert say("compare", *paths, "--out", "here.html")[1] == there
    monkeypatch.setenv("WORKBENCH_RUNS", "brought")
    assert say("report")[0] == 0
    assert "It grows." in (away / "brought" / "reports" / "index.html").read_text()
    assert (away / "here.html").read_bytes() == (root / "here.html").read_bytes()


def test_a_run_of_a_newer_workbench_is_refused(project):
    made, say = project
    a, b = made(), made(width=128)
    files.write_json(b / "run.json", files.read_json(b / "run.json") | {"schema": record.SCHEMA + 1})
    code, _, err = say("compare", a.name, b.name)
    assert (code, "newer workbench" in err) == (2, True)


def test_a_run_of_a_stranger_cannot_steer_terminal_or_page(root, project):
    made, say = project
    steering = "\x1b[2J\u202e"
    table = answers(models=("small", f"<img src=x onerror=1>{steering}"))
    a, b = made(table=table), made(table=table.assign(score=0.5), width=128)
    described = files.read_json(b / "run.json")
    described["params"]["width"] = f"<script>{steering}"
    files.write_json(b / "run.json", described)
    files.append_line(b / "metrics.jsonl", json.dumps({"step": 1, steering: 1.0, "model": "<script>"}))
    code, out, _ = say("compare", a.name, b.name, "--out", "page.html")
    assert code == 0
    html = (root / "page.html").read_text(encoding="utf-8")
    for text in (out, html):
        assert not set("\x1b\u202e") & set(text)
        assert "\\x1b[2J\\u202e" in text
    assert "<script>\\x1b" not in html
    assert "<img src=x" not in html


def test_two_seeds_that_share_no_item_still_show_their_parameters_and_claims(project):
    made, say = project
    a, b = (made(table=answers(start=100 * seed), logged=False, seed=seed) for seed in (0, 1))
    code, out, err = say("compare", a.name, b.name)
    assert (code, err) == (0, "")
    assert re.search(r"seed +0 +1", out)
    assert "answers is not compared: the items (item) differ: 0 are common" in out
    assert re.search(r"\n  grows +\n  A +✓ reproduced +\+0\.200 +\+0\.100 to \+0\.300 +5 stories", out)
    assert list((a.parents[1] / "reports").glob("compare-*.html"))


def test_a_notebook_stands_for_its_newest_finished_run(project):
    made, say = project
    done, newest = made(seed=0), made(seed=1)
    record.mark(made(seed=2, done=False), "failed", "broken")
    assert f"A  01_study/{newest.name}" in say("compare", "01", done.name)[1]
