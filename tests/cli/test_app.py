"""The command line: what it prints, what it exits with, and what it does not import."""

import json
import re
import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest
from lab_project import child, write_notebook

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.lab import history, record

LATER = "2090-01-01T00:00:00.000+00:00"
HEAVY = {"torch", "pandas", "papermill", "nbformat", "numpy", "transformers", "altair", "vl_convert"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "01_rows", "1 + 1", parameters="n: int = 3  # rows\nseed: int = 0")
    write_notebook(
        tmp_path, "02_read", parameters="n: int = 3\nk: int = 2", needs=["01_rows"], title="Reading"
    )
    return tmp_path


def finished(root, name, **values):
    """A finished run with an executed notebook and a page, made without a kernel."""
    defaults = {"01_rows": {"n": 3, "seed": 0}, "02_read": {"n": 3, "k": 2}}[name]
    with redirect_stdout(StringIO()):
        run = workbench.start(name, defaults | values)
        run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
        shutil.copy(root / "notebooks" / f"{name}.ipynb", run.folder / "notebook.ipynb")
        run.finish()
    return run.folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "01", "-p", "sed=1"], "01_rows has no parameter sed: did you mean seed?"),
        (["run", "--all", "-p", "kk=1"], "did you mean k?"),
        (["run", "01", "-p", "seed=abc"], "seed=abc does not fit `seed: int`"),
        (["run", "02", "-p", "n=1.5"], "n=1.5 does not fit"),
        (["run", "01", "-p", "seed"], "write -p name=value"),
        (["run", "01_row"], "did you mean 01_rows?"),
        (["run", "01", "--jobs", "many"], "--jobs many: give the number of notebooks side by side"),
        (["run"], "Name a notebook (01_rows, 02_read) or give --all"),
        (["show", "09_none"], "There is no run 09_none"),
        (["report"], "There is no finished run to report"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_code_2(root, say, words, said):
    code, out, err = say(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not (root / "runs").exists(), "nothing was started"


def test_outside_a_project_the_command_says_where_to_go(tmp_path, monkeypatch, say):
    (tmp_path / "empty").mkdir()
    shutil.rmtree(tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = say("run", "--all")
    assert (code, "change to the project's folder" in err) == (2, True)


@pytest.mark.parametrize("asked", ["01_rows", "01", "rows", "notebooks/01_rows.ipynb"])
def test_a_notebook_has_four_names(root, say, asked):
    finished(root, "01_rows")
    code, out, _ = say("run", asked)
    assert code == 0
    assert "01_rows" in out
    assert "cached" in out


def modules_of(root, *words):
    """Names of the modules that a command imports, from a process of its own."""
    code = (
        "import sys, json; from workbench.cli.app import main\n"
        f"sys.argv = ['workbench', *{list(words)!r}]\n"
        "try: main()\nexcept SystemExit as ended: print(ended.code)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    out, err = child(root, "-c", code).communicate()
    return set(json.loads(out.splitlines()[-1])), out, err


def test_help_and_a_cached_run_import_nothing_heavy(root, say):
    finished(root, "01_rows")
    finished(root, "02_read")
    assert say("run", "--all")[0] == 0  # writes the pages
    modules, out, _ = modules_of(root, "run", "--all")
    assert out.count("cached") == 2
    assert modules & HEAVY == set()
    assert modules_of(root, "--help")[0] & (HEAVY | {"pydantic", "filelock", "workbench.lab"}) == set()
    assert modules_of(root, "run", "01", "-p", "sed=1")[0] & HEAVY == set()


def test_run_writes_pages_and_index_and_ends_with_its_path(root, say):
    _, out, err = say("run", "--all", "-p", "n=4")
    assert out.strip().endswith("Report: runs/reports/index.html"), err
    assert out.startswith("Report (grows as notebooks finish): runs/reports/index.html\n")
    pages = {path.name for path in (root / "runs" / "reports").iterdir()}
    assert pages == {"01_rows.html", "02_read.html", "index.html"}
    newest = history.find_run(history.all_runs(root / "runs"), "01")
    assert newest.name in (root / "runs" / "reports" / "01_rows.html").read_text()


def test_a_failing_cell_exits_1_and_shows_its_lines(root, say):
    write_notebook(root, "03_fail", "x = 1\nx / 0")
    code, out, _ = say("run", "03")
    assert code == 1
    for words in ("cell 3 of 3 failed", "x / 0", "ZeroDivisionError: division by zero", "notebook.ipynb"):
        assert words in out


def test_after_a_failure_no_claims_of_other_notebooks_are_counted(root, say):
    finished(root, "01_rows")
    assert "1 claim: 1 reproduced" in say("run", "01")[1]
    write_notebook(root, "03_fail", "1 / 0", needs=["01_rows"])
    code, out, _ = say("run", "03")
    assert (code, "claim" in out) == (1, False)
    write_notebook(root, "03_fail", "1 / 1", needs=["01_rows"])
    code, out, _ = say("run", "03")
    assert (code, "claim" in out) == (0, False), "those of what it needs are no news"


def test_a_log_has_the_time_before_each_line_and_the_list_says_what_runs_took(root, say):
    lines = say("run", "01")[1].splitlines()
    stamped = [line for line in lines if re.match(r"\d\d:\d\d:\d\d [▸✓] 01_rows  ", line)]
    assert len(stamped) >= 2
    took = re.search(r"done in (\S+ s)", stamped[-1])[1]
    assert took.split()[0].replace(".", "").isdigit()
    assert re.search(r"took +claims", say("list")[1])
    assert re.search(r"✓ done +\d+ \w+ \d\d:\d\d +[\d.]+ s", say("list")[1])


def test_a_mistake_found_in_the_kernel_exits_2_with_its_sentence(root, say):
    write_notebook(root, "03_user", 'run.table("none")')
    code, _, err = say("run", "03")
    assert code == 2
    assert "run 03_user again" in err
    assert len(err.strip().splitlines()) == 1


def test_the_page_shows_the_run_that_was_asked_for_last(root, say):
    first, second = finished(root, "01_rows"), finished(root, "01_rows", n=4)
    for folder, words in ((first, []), (second, ["-p", "n=4"]), (first, [])):
        assert say("run", "01", *words)[0] == 0
        assert folder.name in (root / "runs" / "reports" / "01_rows.html").read_text()


def test_on_a_narrow_terminal_the_list_keeps_what_was_set_on_one_line(root, say):
    finished(root, "01_rows", n=4)
    for width, shows_start in ((80, False), (120, True)):
        lines = say("list", width=width)[1].splitlines()
        assert ("started" in lines[0]) is shows_start
        assert len(lines) == 2
        assert "n=4" in lines[1]


def test_list_and_show_say_what_was_run(root, say):
    finished(root, "01_rows")
    changed = finished(root, "01_rows", n=4)
    code, out, _ = say("list")
    assert code == 0
    assert out.count("01_rows") == 2
    assert "n=4" in out
    assert "1 of 1" in out
    code, out, _ = say("show", changed.name[:6])
    assert "It grows." in out
    assert "reproduced" in out
    code, out, _ = say("show", "01", "--why")
    assert "parameter n: 3 → 4" in out


def test_a_failed_run_is_shown_by_its_key_or_where_nothing_else_is_there(root, say):
    failed = finished(root, "01_rows", n=5)
    record.mark(failed, "failed", "ValueError: broken")
    files.write_json(failed / "run.json", files.read_json(failed / "run.json") | {"status": "failed"})
    code, out, err = say("show", "01")
    assert (code, failed.name in out, "No run of 01_rows has finished" in err) == (0, True, True)
    files.write_json(failed / "run.json", files.read_json(failed / "run.json") | {"started": LATER})
    done = finished(root, "01_rows")
    code, out, err = say("show", "01")
    assert (code, done.name in out) == (0, True)
    assert f"A newer run failed: `workbench show {failed.name}` shows it." in err
    code, out, err = say("show", failed.name)
    assert (code, err, "broken" in out) == (0, "", True)


def test_why_looks_at_the_run_before_and_never_at_a_later_one(root, say):
    first, second, third = (finished(root, "01_rows", n=n) for n in (3, 4, 5))
    assert "parameter n: 3 → 4" in say("show", second.name, "--why")[1]
    assert f"Since 01_rows/{second.name}, the run before it" in say("show", third.name, "--why")[1]
    assert "No run of its notebook was started before" in say("show", first.name, "--why")[1]


def test_a_run_of_a_stranger_cannot_steer_the_terminal(root, say):
    folder = finished(root, "01_rows", n=4)
    steering = "\x1b[2J\u202e"
    files.write_json(folder / "run.json", files.read_json(folder / "run.json") | {"params": {"n": steering}})
    claims = files.read_json(folder / "claims.json")
    files.write_json(folder / "claims.json", [claims[0] | {"says": steering}])
    for words in (["list"], ["show", "01"]):
        code, out, _ = say(*words)
        assert code == 0
        assert "\\x1b[2J\\u202e" in "".join(out.split())
        assert not set(steering[:1] + steering[-1]) & set(out)


def test_a_moved_run_folder_is_shown_and_reported_by_its_path(root, say):
    folder = finished(root, "01_rows")
    moved = root / "sent" / "01_rows" / folder.name
    shutil.move(folder, moved)
    assert folder.name in say("show", str(moved))[1]
    moved = moved.rename(root / "sent" / "renamed")
    assert say("report", str(moved), "--out", "shared")[0] == 0
    assert "It grows." in (root / "shared" / "index.html").read_text()
    assert folder.name in (root / "shared" / "01_rows.html").read_text()


def test_report_takes_the_newest_run_that_has_something_to_show(root, say):
    folder = finished(root, "01_rows")
    workbench.start("01_rows", {"n": 9, "seed": 0}).close()
    assert say("report", "01")[0] == 0
    assert folder.name in (root / "runs" / "reports" / "01_rows.html").read_text()


def test_a_newer_run_is_listed_but_not_touched(root, say):
    folder = finished(root, "01_rows")
    newer = files.read_json(folder / "run.json") | {"schema": record.SCHEMA + 1}
    files.write_json(folder / "run.json", newer)
    assert "newer" in say("list")[1]
    for words in (["show", "01"], ["run", "01"]):
        code, _, err = say(*words)
        assert code == 2
        assert "newer workbench" in err
    assert files.read_json(folder / "run.json") == newer


def test_clean_says_what_it_deletes_and_keeps_the_rest(root, say, monkeypatch):
    old, new = finished(root, "01_rows"), finished(root, "01_rows", n=4)
    failed = finished(root, "01_rows", n=5)
    record.mark(failed, "failed", "broken")
    orphan = new / "tables" / ".x.parquet.7.part.parquet"
    page = root / "runs" / "reports" / ".01_rows.html.7.part.html"
    for half in (orphan, page):
        half.parent.mkdir(parents=True)
        half.write_bytes(b"half")
    monkeypatch.setattr("typer.confirm", lambda _: False)
    out = say("clean")[1]
    assert failed.name in out
    assert orphan.name in out
    assert page.name in out
    assert old.name not in out
    assert failed.exists()
    say("clean", "--yes")
    assert (old.exists(), new.exists()) == (True, True)
    assert [path for path in (failed, orphan, page) if path.exists()] == []
    say("clean", "--yes", "--older")
    assert (old.exists(), new.exists()) == (False, True)
    assert "Nothing to clean" in say("clean", "--older")[1]


def test_a_run_at_work_is_never_cleaned(root, say):
    working = workbench.start("01_rows", {"n": 3, "seed": 0})
    assert "running" in say("list")[1]
    say("clean", "--yes")
    assert working.folder.exists()
    working.close()
    assert "unfinished" in say("list")[1]
    say("clean", "--yes")
    assert not working.folder.exists()


def test_a_run_that_goes_on_while_clean_asks_is_kept(root, say, monkeypatch):
    failed = finished(root, "01_rows")
    record.mark(failed, "failed", "broken")
    working = []
    monkeypatch.setattr(
        "typer.confirm", lambda _: working.append(workbench.start("01_rows", {"n": 3, "seed": 0})) or True
    )
    assert "Deleted 0" in say("clean")[1]
    assert working[0].folder == failed
    assert failed.exists()
    working[0].close()


def test_doctor_says_what_to_do_about_what_is_missing(root, monkeypatch, say):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("WORKBENCH_DATA", str(root / "nowhere"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    code, out, _ = say("doctor")
    assert code == 0
    for words in (
        "python",
        "torch",
        "threads",
        "bf16",
        "transformers",
        "jupyterlab",
        "vllm",
        "ray",
        "chromium",
    ):
        assert words in out
    assert "not reachable" in out
    assert "there is no such folder" in out
