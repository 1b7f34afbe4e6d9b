"""What was written in a run as logs of inspect_ai, read back by inspect_ai itself where it is installed."""

import json
from importlib.util import find_spec

import pytest
from lab_project import run as run_notebook
from lab_project import write_notebook

ANSWERS = """
import pandas
rows = [
    {"seed": seed, "arm": arm, "kind": "near", "item": item, "strategy": "cot", "plan": 0.5,
     "question": f"What is {item}?", "text": f"It is {item + seed}.",
     "verdict": ["correct", "wrong", "unparsed"][item]}
    for seed in (0, 1) for arm in ("before, all", "after") for item in range(3)
]
run.table("answers", lambda: pandas.DataFrame(rows))
run.table("curves", lambda: pandas.DataFrame({"step": [1]}))
run.finish()
"""


@pytest.fixture
def logs(root, say):
    write_notebook(root, "08_siked", ANSWERS)
    assert run_notebook(root, "08_siked")["08_siked"].status == "done"
    code, out, err = say("export", "08", "--out", "logs")
    assert code == 0, err
    assert "12 samples in 4 logs: inspect view --log-dir logs" in out
    return sorted((root / "logs").glob("*.json"))


def test_every_training_is_a_log_with_what_was_asked_written_and_judged(logs):
    read = [json.loads(path.read_text()) for path in logs]
    assert [log["eval"]["model"] for log in read].count("workbench/before, all") == 2
    assert len({log["eval"]["eval_id"] for log in read}) == 4
    for log in read:
        seed = log["eval"]["metadata"]["seed"]
        assert [one["id"] for one in log["samples"]] == ["near/0", "near/1", "near/2"]
        assert [one["output"]["completion"] for one in log["samples"]] == [
            f"It is {n + seed}." for n in range(3)
        ]
        assert [one["scores"]["verdict"]["value"] for one in log["samples"]] == ["C", "I", "N"]
        (share,) = [one for one in log["results"]["scores"] if one["name"] == "verdict"]
        assert share["metrics"]["accuracy"]["value"] == pytest.approx(1 / 3)


def test_a_table_without_answers_is_named(root, say, logs):
    for words, said in [
        (["--table", "curves"], "The table curves holds"),
        (["--table", "none"], "has no table 'none': there are answers, curves."),
    ]:
        code, _, err = say("export", "08", *words)
        assert (code, said in err) == (2, True)


@pytest.mark.skipif(not find_spec("inspect_ai"), reason="needs inspect_ai, which is installed apart")
def test_inspect_reads_the_logs(logs):
    from inspect_ai.log import list_eval_logs, read_eval_log

    assert len(list_eval_logs(str(logs[0].parent))) == 4
    for path in logs:
        log = read_eval_log(str(path))
        assert (log.status, len(log.samples)) == ("success", 3)
        assert log.samples[0].scores["verdict"].value == "C"
        assert log.samples[0].input == "What is 0?"


def test_a_run_is_written_in_every_format_and_named(root, say, logs):
    folder = next((root / "runs/08_siked").glob("*/run.json")).parent.relative_to(root)
    for form, written in {
        "csv": f"{folder}/csv/datapackage.json",
        "json": f"{folder}/08_siked-{folder.name}.json",
        "latex": f"{folder}/latex/document.tex",
        "parquet": f"{folder}/parquet",
    }.items():
        code, out, err = say("export", "08", "--to", form)
        assert (code, out.strip()) == (0, f"✓ {written}"), err
        assert (root / written).exists()
    code, out, _ = say("export", "08", "--to", "bibtex")
    assert (code, out.startswith("@software{small-model-workbench,")) == (0, True)
    assert say("export", "08", "--to", "bibtex", "--out", "refs.bib")[1].strip() == "✓ refs.bib"
    assert (root / "refs.bib").read_text() == out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["08", "--to", "xls"], "--to xls: choose one of csv, json, latex, parquet, bibtex, inspect,"),
        (["08", "--to", "csv", "--table", "answers"], "--table is for --to inspect alone"),
        (["08", "--to", "csv", "--out", "notebooks/08_siked.ipynb"], "Cannot write"),
        (["01", "--to", "csv"], "let it finish first"),
    ],
)
def test_a_mistake_is_one_sentence(root, run, say, words, said):
    write_notebook(root, "08_siked", ANSWERS)
    run_notebook(root, "08_siked")
    code, out, err = say("export", *words)
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert said in err
