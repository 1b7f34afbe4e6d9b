"""One odd run folder breaks no command, writes nowhere else, and keeps nobody waiting."""

import os
import shutil
import signal
import sys
import time
from contextlib import closing, suppress

import pandas
import pytest
from hostile_runs import hostile
from lab_project import write_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.cli import app
from workbench.errors import UserError
from workbench.lab import history

VIEW = {
    "kind": "table",
    "title": "Answers",
    "sentence": "All of them.",
    "columns": ["item"],
    "rows": [[1.5]],
    "count": 1,
}
COMMANDS = [
    ["list"],
    ["show", "{path}"],
    ["show", "01_study"],
    ["show", "{path}", "--why"],
    ["show", "01_study", "--why"],
    ["report", "--out", "pages"],
    ["report", "{path}", "--out", "pages"],
    ["compare", "{good}", "{path}"],
    ["compare", "{path}", "{good}"],
    ["compare", "01_study:seed=0", "01_study:seed=7"],
    ["clean"],
    ["clean", "--older"],
    ["run", "01_study"],
]
SECONDS = 20


class Hung(BaseException):
    """A command did not end."""


def _hang(*_):
    raise Hung


@pytest.fixture
def project(root, monkeypatch):
    """A project with a good run, and a place that nobody may write in."""
    write_notebook(root, "01_study")
    monkeypatch.setattr(app.out, "_width", 120)
    monkeypatch.setattr("typer.confirm", lambda _: False)
    (root / "outside").mkdir()
    (root / "outside" / "secret.json").write_text('{"schema": 1, "notebook": "01_study"}')
    return root


def finished(root, seed):
    """A finished run with everything that a run folder may hold."""
    run = workbench.start("01_study", {"seed": seed})
    run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories", view="Answers"))
    run.table("answers", lambda: pandas.DataFrame({"item": [1, 2, 3], "score": [0.1, 0.2, 0.3 + seed]}))
    run.log(step=1, loss=1.0 + seed, model="small")
    run.artifact("a").parent.mkdir(exist_ok=True)
    shown = [
        new_output("display_data", data={"application/vnd.workbench.view+json": VIEW, "text/plain": "x"}),
        new_output("stream", name="stdout", text="words"),
    ]
    cells = [
        new_markdown_cell("# A study"),
        new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        new_markdown_cell("## More"),
        new_code_cell("table", outputs=shown),
    ]
    files.write_json(run.folder / "notebook.ipynb", new_notebook(cells=cells))
    (run.folder / "log.txt").write_text("words\n")
    run.finish()
    described = files.read_json(run.folder / "run.json")
    files.write_json(run.folder / "run.json", described | {"drawn": None, "inputs": {"01_study": "none"}})
    return run.folder


def everything(root):
    """All files but those of runs and pages, with their contents; and where pages lie."""
    kept = {}
    for parent, folders, names in os.walk(root):
        if parent == str(root):
            folders[:] = [name for name in folders if name not in ("runs", "pages")]
        kept |= {
            os.path.join(parent, name): os.stat(os.path.join(parent, name)).st_mtime_ns for name in names
        }
    folders = (root / "pages", root / "runs" / "reports")
    pages = [path for folder in folders for path in folder.rglob("*")]
    return kept, [path for path in pages if path.parent not in folders]


def outcome(work):
    """Do a piece of work in this process: what came of it, in words; "" where it ended as it should."""
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(SECONDS)
    try:
        work()
    except SystemExit as ended:
        return "" if ended.code in (None, 0, 1, 2) else f"exit {ended.code}"
    except Hung:
        return "hang"
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    return ""


def give(words):
    """Give a command in this process."""
    sys.argv = ["workbench", *words]
    return outcome(app.main)


def write_again(folder):
    """Open the very run that lies there, and write in it."""

    def work():
        with suppress(UserError), closing(workbench.start("01_study", {"seed": 7})) as run:
            run.log(step=2, loss=1.0)
            run.claim(Claim("more", "More.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
            run.table("other", lambda: pandas.DataFrame({"x": [1]}))
            run.finish()

    return outcome(work)


def attack(project, good, pristine, case, capfd):
    """Put one hostile folder among the runs and give every command; the troubles."""
    what, name, change = case
    folder = good.parent / (name or pristine.name)
    shutil.copytree(pristine, folder)
    change(folder, project / "outside")
    before, troubles = everything(project), []
    for words in COMMANDS:
        given = [word.format(path=folder, good=good) for word in words]
        trouble = give(given)
        out, err = capfd.readouterr()
        shown = out + err
        if "Traceback" in shown or "\x1b" in shown or "\u202e" in shown:
            trouble = trouble or f"said {shown[-300:]!r}"
        troubles += [f"{what}: {' '.join(words)}: {trouble}"] if trouble else []
    for page in project.glob("pages/*.html"):
        if 'href="javascript:' in page.read_text(errors="replace"):
            troubles.append(f"{what}: a link to a script in {page.name}")
    if not name and (trouble := write_again(folder)):
        troubles.append(f"{what}: start: {trouble}")
    if everything(project) != before:
        troubles.append(f"{what}: written outside")
    for lock in folder.parent.glob(".*.lock"):
        files.remove(lock)
    files.remove(folder)
    shutil.rmtree(project / "pages", ignore_errors=True)
    return troubles


def attack_all(project, count, capfd):
    good, pristine = finished(project, 0), finished(project, 7)
    kept = project.parent / "pristine" / pristine.name
    shutil.copytree(pristine, kept, dirs_exist_ok=True)
    shutil.rmtree(pristine)
    began = time.monotonic()
    cases = hostile(0, count)
    troubles = [trouble for case in cases for trouble in attack(project, good, kept, case, capfd)]
    kinds = {kind: sum(kind in trouble for trouble in troubles) for kind in ("traceback", "outside", "hang")}
    with capfd.disabled():
        print(
            f"\n{len(cases)} hostile run folders x {len(COMMANDS) + 1} commands: {kinds}, "
            f"{len(troubles)} troubles, {time.monotonic() - began:.0f} s"
        )
    return troubles


def test_odd_run_folders_break_no_command(project, capfd):
    assert attack_all(project, 15, capfd) == []


@pytest.mark.long
def test_two_hundred_odd_run_folders_break_no_command(project, capfd):
    assert attack_all(project, 200, capfd) == []
    assert history.all_runs(project / "runs")
