"""A study notebook as its reader has it: opened in JupyterLab, run, and its widgets moved."""

import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest

from workbench.engine import loading
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.reference import reference
from workbench.studies.attention_heads import ablation, data

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


def with_runs(lab, project):
    """Give the laboratory the notebooks and the runs of a project, so that inputs are there."""
    shutil.copytree(project / "notebooks", lab.root / "notebooks", dirs_exist_ok=True)
    shutil.copytree(project / "runs", lab.root / "runs")


def loss_without(head, text):
    """Mean surprise of a text with a head at its mean, computed apart from the notebook."""
    model, tokenizer = loading.load("starter", "cpu")
    n = data.SIZES["quick"].texts
    labelled = data.labelled_texts([], n, 0, exact=True, given=True)
    texts, _, _, rest = data.read_texts(model, tokenizer, labelled, n)
    means = reference(model, rest, ["head.*"], seed=0)
    ids = tokenizer(text or data.opening(texts)).input_ids
    with ablate_heads(model, [head], "mean", means):
        return np.nanmean(ablation.token_losses(model, ids))


@pytest.mark.notebook
def test_a_click_on_a_head_switches_it_off(lab, project):
    with_runs(lab, project)
    opened = lab.open(NOTEBOOKS / "03_attention_heads.ipynb")
    opened.run_all(300)
    page = opened.page
    assert opened.errors() == []
    heads = page.locator(".wb-atlas")
    heads.scroll_into_view_if_needed()
    title, without = heads.locator("h4").first, heads.locator(".texts .told").nth(1)
    before = (title.inner_text(), without.inner_text())

    heads.locator('button[data-cell="2.2"]').click()
    page.wait_for_function(
        "() => document.querySelector('.wb-atlas h4').innerText.startsWith('Layer 2, head 2')"
    )

    assert title.inner_text() != before[0]
    assert without.inner_text() != before[1]
    shown = heads.locator("dt:text-is('off (mean): loss of this text, nats') + dd").inner_text()
    assert shown.endswith(f"→ {loss_without((2, 2), '').item():.3f}")
    assert page.complaints == []
