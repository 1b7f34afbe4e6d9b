"""A study notebook as its reader has it: opened in JupyterLab, run, and its widgets moved."""

from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def smaller(name, folder, **sizes):
    """A copy of a notebook with other values in its parameters cell."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    cell = next(c for c in notebook.cells if c.cell_type == "code")
    for parameter, value in sizes.items():
        assert f"{parameter}: int | None = None" in cell.source
        cell.source = cell.source.replace(
            f"{parameter}: int | None = None", f"{parameter}: int | None = {value}"
        )
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def test_stories_run_and_the_reader_gets_another_story(lab, tmp_path):
    opened = lab.open(smaller("01_stories", tmp_path, n_stories=60, n_compared=200))
    opened.run_all(90)
    page = opened.page

    assert opened.errors() == []
    assert page.locator(".vega-embed svg.marks, .vega-embed canvas.marks").count() >= 3
    story = page.locator(".widget-output").last
    before = story.inner_text()
    assert "✓ kite" in before

    opened.press("ArrowRight")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.widget-output')].at(-1).innerText !== before", arg=before
    )
    assert "✓ kite" in story.inner_text()  # another story, with what was asked for
    assert page.complaints == []
