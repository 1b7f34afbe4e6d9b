"""What a notebook says in JupyterLab: what begins, what runs before it, what went wrong, what came out."""

import re
from datetime import datetime, timedelta

import pytest
from lab_project import run, write_notebook

import workbench
from workbench import files
from workbench.errors import UserError
from workbench.lab import outlook, project, record
from workbench.lab.report import in_jupyter

PROFILES = """\
from typing import Literal
profile: Literal["quick", "laptop", "mine"] = "quick"  # 40 s, 12 min, as long as it takes
seed: int = 0"""
CLAIM = """\
from workbench.claims import Claim
run.claim(Claim("grows", "It <b>grows</b>.", "yes", 0.2, 0.1, 0.3, 9, "stories", headline=True))
run.finish()"""


def planned(root, name, **values):
    return project.plan(project.find_notebook(root, name), values)


@pytest.mark.parametrize(
    ("parameters", "minutes", "profile", "time"),
    [
        (PROFILES, 99, "quick", "40 s"),
        (PROFILES, 99, "laptop", "12 min"),
        (PROFILES, 99, "mine", None),
        ('profile: str = "quick"', 0.5, "quick", "30 s"),
        ('profile: str = "quick"', 3, "quick", "3 min"),
        ('profile: str = "quick"', 3, "slow", None),
        ('profile: str = "quick"', None, "quick", None),
    ],
)
def test_the_expected_time_is_the_profiles(root, parameters, minutes, profile, time):
    write_notebook(root, "02_timed", parameters=parameters, minutes=minutes)
    assert outlook.expected_time(planned(root, "02", profile=profile)) == time


def test_the_start_says_what_is_there_and_what_comes_first(root, capsys):
    write_notebook(root, "02_middle", "run.finish()", needs=["01_study"], minutes=2)
    write_notebook(root, "03_last", needs=["02_middle"], parameters=PROFILES)
    opened = workbench.start("03_last", {"profile": "laptop", "seed": 0})
    needs = "It needs 01_study and 02_middle (about 2 min), which will run first.\n"
    assert capsys.readouterr().out == f"New run {opened.key}, about 12 min. {needs}"
    opened.close()
    run(root, "02_middle")
    workbench.start("03_last", {"profile": "laptop", "seed": 0}).finish()
    said = f"Run {opened.key} was begun before and not finished: it goes on with what it has kept.\n"
    assert capsys.readouterr().out.startswith(said)
    workbench.start("03_last", {"profile": "laptop", "seed": 0}).close()
    pattern = rf"Run {opened.key}, finished at \d\d:\d\d: reading its tables\.\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)


def test_a_run_of_another_day_is_dated(root, capsys):
    opened = workbench.start("01_study", {"seed": 0})
    opened.finish()
    path, then = opened.folder / "run.json", datetime.now().astimezone() - timedelta(days=40)
    files.write_json(path, files.read_json(path) | {"finished": then.isoformat()})
    workbench.start("01_study", {"seed": 0}).close()
    assert f"finished on {then.day} {then:%B %Y} at {then:%H:%M}" in capsys.readouterr().out


def test_a_run_that_is_needed_shows_a_bar_and_no_output(root, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    write_notebook(root, "02_later", needs=["01_study"])
    opened = workbench.start("02_later", {"seed": 3})
    assert opened.input("01_study").seed == 3
    opened.close()
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert re.search(r"01_study: 100%\|.*\| 2/2 cells", err)
    assert "\x1b[3" not in out + err


def test_of_a_needed_run_that_fails_the_output_is_shown(root, capfd):
    write_notebook(root, "02_bad", 'print("so far")', "1 / 0")
    write_notebook(root, "03_later", needs=["02_bad"])
    opened = workbench.start("03_later", {"seed": 0})
    with pytest.raises(UserError, match="02_bad, which this notebook needs, did not finish: see above"):
        opened.input("02_bad")
    opened.close()
    out = capfd.readouterr().out
    assert "ZeroDivisionError" in out
    assert "cell 3/4" not in out


def test_a_mistake_in_a_notebook_is_one_sentence_in_red(root):
    from IPython.core.interactiveshell import InteractiveShell

    shell, shown = InteractiveShell(), []
    shell._showtraceback = lambda kind, value, lines: shown.extend(lines)
    shell.run_cell("from workbench.errors import UserError\nraise UserError('Give a number.')")
    assert shown == ["\x1b[31mGive a number.\x1b[0m"]


def test_a_mistake_under_the_runner_is_still_the_users(root):
    write_notebook(
        root, "02_bad", "from workbench.errors import UserError\nraise UserError('Give a number.')"
    )
    job = run(root, "02_bad")["02_bad"]
    assert (job.status, job.error, job.failure) == ("failed", "Give a number.", None)


def test_the_end_draws_the_ledger_and_writes_the_report(root, monkeypatch):
    path = write_notebook(root, "02_claims", CLAIM)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    shown, namespace = [], {"seed": 0, "In": [""]}
    monkeypatch.setattr(in_jupyter, "publish_display_data", shown.append)
    for source in project.find_notebook(root, "02").code():
        namespace["In"].append(source)
        exec(source, namespace)
    ledger, link = shown
    assert "It &lt;b&gt;grows&lt;/b&gt;." in ledger["text/html"]
    assert "<b>" not in ledger["text/html"]
    assert 'class="ledger"' in ledger["text/html"]
    assert ledger["text/plain"].startswith("reproduced: ")
    assert 'href="../runs/reports/02_claims.html"' in link["text/html"]
    assert namespace["run"].key in (root / "runs" / "reports" / "02_claims.html").read_text()
    assert record.is_done(namespace["run"].folder)


def test_the_end_without_a_front_end_is_text_and_writes_no_page(root, capsys):
    write_notebook(root, "02_claims", CLAIM)
    namespace = {"seed": 0, "In": [""]}
    for source in project.find_notebook(root, "02").code():
        exec(source, namespace)
    assert "reproduced: It <b>grows</b>." in capsys.readouterr().out
    assert not (root / "runs" / "reports").exists()
