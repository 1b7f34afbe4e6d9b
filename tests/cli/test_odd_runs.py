"""Runs of others: copied, shared to be read, forged; and names that look like something else."""

import os
import shutil
import stat
from io import StringIO

import pandas
import pytest
from lab_project import run, write_notebook
from rich.console import Console

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.errors import UserError
from workbench.lab import history, project, record, sweep, terminal

KEY = "sk-" + "a1B2" * 6


def finished(root, claim=True, started=None, **values):
    """A finished run with an executed notebook, made without a kernel."""
    opened = workbench.start("01_study", {"seed": 0} | values)
    if claim:
        opened.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
    opened.table("answers", lambda: pandas.DataFrame({"item": [1, 2], "score": [0.0, opened.seed]}))
    shutil.copy(root / "notebooks" / "01_study.ipynb", opened.folder / "notebook.ipynb")
    opened.finish()
    if started:
        forge(opened.folder, started=started)
    return opened.folder


def forge(folder, **fields):
    path = folder / "run.json"
    files.write_json(path, files.read_json(path) | fields)


def test_the_newest_run_is_the_one_that_was_started_last_whatever_was_copied_when(root, say):
    older = finished(root, seed=1, started="2026-01-01T00:00:00.000+00:00")
    newer = finished(root, seed=2, started="2026-01-01T09:30:00.000+09:00")  # half an hour later
    newest = finished(root, seed=3, started="2026-01-01T00:30:00.001+00:00")
    for number, folder in enumerate((newest, newer, older), 1):
        os.utime(folder / "run.json", (number, number))
    forge(older, started=record.read_run(older)["started"])  # written last of all
    assert history.all_runs(root / "runs") == [newest, newer, older]
    assert f"01_study/{newest.name}" in say("show", "01")[1]
    assert "seed: 2 → 3" in say("show", "01", "--why")[1]
    assert say("report")[0] == 0
    assert newest.name in (root / "runs" / "reports" / "01_study.html").read_text()
    leftovers = history.leftovers(root / "runs", root / "runs" / "reports", older=True)
    assert leftovers == {newer: "older run", older: "older run"}
    assert history.newest_done(root / "runs") == [newest]


def test_an_odd_folder_is_listed_with_its_reason_and_left_out_elsewhere(root, say):
    good = finished(root)
    for name, text in {"schema": '{"schema": 1}', "half": '{"schema": 1, "no', "none": "null"}.items():
        (good.parent / name).mkdir()
        (good.parent / name / "run.json").write_text(text)
    broken = finished(root, seed=1)
    (broken / "claims.json").write_text('[{"name": "gro')
    code, out, err = say("list")
    assert (code, out.count("unreadable")) == (0, 4)
    assert len(err.strip().splitlines()) == 4
    assert f"runs/01_study/schema: {good.parent}/schema/run.json is not the record of a run (notebook:" in err
    code, out, err = say("report")
    assert (code, err.count("is left out: ")) == (0, 4)
    assert good.name in (root / "runs" / "reports" / "01_study.html").read_text()
    for words in (["show", broken.name], ["report", broken.name], ["compare", broken.name, good.name]):
        code, _, err = say(*words)
        assert (code, len(err.strip().splitlines())) == (2, 1), err
        assert "claims.json is not valid JSON" in err
    assert say("run", "01")[0] == 0
    code, out, _ = say("clean", "--older", "--yes")
    assert (code, "Nothing to clean" in out) == (0, True)
    assert len(list(good.parent.glob("*/run.json"))) == 5


def test_a_record_without_key_or_times_is_still_read(root, say):
    folder = finished(root)
    whole = files.read_json(folder / "run.json")
    for name in ("key", "started", "finished", "seconds", "environment", "drawn", "set", "title", "error"):
        files.write_json(folder / "run.json", {n: value for n, value in whole.items() if n != name})
        for words in (["list"], ["show", "01"], ["report"], ["show", "01", "--why"]):
            assert say(*words)[0] == 0, (name, words)


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "a/b", "javascript:alert(1)", "..", "", "a\nb", "a\x1b[2Jb"]
)
def test_a_record_cannot_name_a_page_elsewhere(root, say, name):
    finished(root)
    forged = finished(root, seed=1)
    forge(forged, notebook=name)
    before = {path for path in root.rglob("*") if "runs" not in path.parts}
    assert say("report", str(forged))[0] == 2
    assert say("report", "--out", str(root / "pages"))[0] == 0
    after = {path for path in root.rglob("*") if "runs" not in path.parts} - before
    assert {path.name for path in after} == {"pages", "index.html", "01_study.html"}
    assert "javascript:" not in (root / "pages" / "index.html").read_text()


def test_a_run_of_another_notebook_does_not_take_its_page(root, say):
    good = finished(root)
    write_notebook(root, "02_other")
    shutil.copytree(good, root / "runs" / "02_other" / "forged")
    forge(root / "runs" / "02_other" / "forged", started="2099-01-01T00:00:00+00:00", key="forged")
    code, _, err = say("report")
    assert (code, "is of 01_study, not of 02_other" in err) == (0, True)
    assert good.name in (root / "runs" / "reports" / "01_study.html").read_text()


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.txt", "tables", "artifacts", "claims.json", "deep/x"])
def test_nothing_is_written_through_a_link(root, name):
    opened = workbench.start("01_study", {"seed": 1})
    opened.close()
    outside = root / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept without a line's end")
    (opened.folder / name).parent.mkdir(exist_ok=True)
    (opened.folder / name).symlink_to(outside if name in ("tables", "artifacts") else outside / "kept")
    with pytest.raises(UserError, match="is a link or a pipe"):
        workbench.start("01_study", {"seed": 1})
    job = run(root, "01", seed="1")["01_study"]
    assert (job.status, "is a link or a pipe" in job.error) == ("failed", True)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept without a line's end"


def test_an_odd_folder_at_the_key_of_a_run_fails_that_run_alone(root, say):
    write_notebook(root, "02_other")
    odd = project.plan(project.find_notebook(root, "01"), {}).folder
    odd.mkdir(parents=True)
    (odd / "run.json").write_text("[]")
    code, out, err = say("run", "--all")
    assert code == 2
    assert "01_study: " in err
    assert "02_other" in out
    assert (root / "runs" / "reports" / "02_other.html").exists()


def test_a_shared_folder_that_is_only_read_serves_every_reader(root, say, monkeypatch):
    folders = [finished(root), finished(root, seed=1)]
    at_work = workbench.start("01_study", {"seed": 2})
    at_work.close()
    shared = root / "shared"
    shutil.move(root / "runs", shared)
    monkeypatch.setenv("WORKBENCH_RUNS", str(shared))
    paths = [shared, *shared.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    for path in paths:
        path.chmod(path.stat().st_mode & ~stat.S_IWUSR & ~stat.S_IWGRP & ~stat.S_IWOTH)
    monkeypatch.setattr("filelock.BaseFileLock.acquire", refuse)  # root may write anywhere
    (root / "notebooks" / "01_study.ipynb").write_text(
        (root / "notebooks" / "01_study.ipynb").read_text().replace("The work", "The labour")
    )
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)
    a, b = (folder.name for folder in folders)
    for words in (
        ["list"],
        ["show", a],
        ["show", a, "--why"],
        ["compare", a, b],
        ["report", "--out", "pages"],
    ):
        code, _, err = say(*words)
        assert (code, err) == (0, ""), words
    assert (root / "pages" / "01_study.html").exists()
    for path in paths:
        path.chmod(modes[path])


@pytest.mark.parametrize("value", ["[/INST]", "[bold]x[/]", "[/]", ":smile:", "\x1b[2J", "a\nb", "\u202eab"])
def test_values_that_look_like_markup_are_shown_as_they_are(root, say, value):
    write_notebook(root, "01_study", parameters="text: str = 'a'\nseed: int = 0")
    study = project.find_notebook(root, "01")
    grid = sweep.plan_sweep(study, {"text": f"b,{value}"}, yes=False)
    for job in grid.points:
        job.status = "done"
    buffer = StringIO()
    terminal.show_results(sweep.results(grid), Console(file=buffer, width=100))
    opened = workbench.start("01_study", {"text": value, "seed": 0})
    opened.claim(Claim(value, value, value, 0.2, 0.1, 0.3, 5, "stories"))
    opened.log(step=1, **{value: 1.0})
    opened.finish()
    shown = "".join(say(*words)[1] for words in (["list"], ["show", "01"], ["show", "01", "--why"]))
    for text in (buffer.getvalue(), shown):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert value.splitlines()[0].replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") in text


def test_no_key_is_kept_wherever_it_was_said(root, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "q7-very-own-key-93")
    words = f"{KEY} and q7-very-own-key-93"
    write_notebook(
        root,
        "01_study",
        "from workbench.claims import Claim",
        f'run.log(step=1, loss=1.0, said="{words}")',
        f'run.claim(Claim("c", "{words}", "{words}", 1.0, 0.5, 2.0, 3, "stories"))\nprint("{words}")',
        f'raise ValueError("{words}")',
        parameters="seed: int = 0\nmodel: str = 'none'",
    )
    job = run(root, "01", model=f"openai:http://host/v1?key={KEY}#m")["01_study"]
    assert job.status == "failed"
    kept = {path: path.read_bytes() for path in job.folder.rglob("*") if path.is_file()}
    assert {"run.json", "claims.json", "metrics.jsonl", "notebook.ipynb", "log.txt"} <= {p.name for p in kept}
    for path, data in kept.items():
        assert KEY.encode() not in data, path
        assert b"q7-very-own-key-93" not in data, path
