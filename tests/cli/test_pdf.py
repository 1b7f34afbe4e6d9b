"""`workbench report --pdf`: printed by the browser that is there, or one sentence why not."""

import shutil

import pytest
from lab_project import write_notebook

import workbench
from workbench.claims import Claim
from workbench.errors import UserError
from workbench.lab.report import pdf


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with a finished run, made without a kernel."""
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "01_rows", "1 + 1", parameters="n: int = 3  # rows")
    run = workbench.start("01_rows", {"n": 3})
    run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
    shutil.copy(tmp_path / "notebooks" / "01_rows.ipynb", run.folder / "notebook.ipynb")
    run.finish()
    return tmp_path


def test_without_a_browser_nothing_is_drawn_and_a_sentence_says_what_to_do(root, say, monkeypatch):
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    code, out, err = say("report", "01", "--pdf")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "neither is installed" in err
    assert out == ""
    assert not (root / "runs" / "reports").exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 3", "ended with 3"), ("exit 0", "ended with 0"), ("sleep 9", "longer than 1 s")],
)
def test_a_page_that_cannot_be_printed_is_one_sentence(root, say, monkeypatch, tmp_path, script, reason):
    broken = tmp_path / "broken-browser"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setattr(pdf, "BROWSERS", (str(broken),))
    monkeypatch.setattr(pdf, "SECONDS", 1)
    code, out, err = say("report", "01", "--pdf")
    assert code == 2
    assert f"01_rows.html could not be printed ({'it took ' if 'longer' in reason else ''}" in " ".join(
        err.split()
    )
    assert reason in " ".join(err.split())
    assert "✓ runs/reports/01_rows.html" in out  # the page itself is there
    assert not (root / "runs" / "reports" / "01_rows.pdf").exists()


def test_a_browser_that_does_not_start_is_a_sentence(tmp_path):
    (tmp_path / "page.html").write_text("<p>Words.</p>")
    with pytest.raises(UserError, match="could not be printed"):
        pdf.print_page(tmp_path / "page.html", str(tmp_path / "none"))


@pytest.mark.skipif(pdf.find_browser() is None, reason="chromium is not installed")
def test_a_page_is_printed_beside_itself(root, say):
    assert "✓ runs/reports/01_rows.pdf" in say("report", "01", "--pdf")[1]
    printed = (root / "runs" / "reports" / "01_rows.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert printed.rstrip().endswith(b"%%EOF")
