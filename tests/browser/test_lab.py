"""Views in a real JupyterLab: charts draw without network, a slider moves Python and the picture."""

import shutil

import nbformat
import pytest
from lab_project import write_notebook
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.browser

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
IMPORTS = """\
import altair as alt
import ipywidgets
import pandas as pd
from workbench.charts.view import Chart, Explorer, Table, Texts
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
"""
CHART = """\
frame = pd.DataFrame({"x": range(5), "y": [3, 1, 2, 5, 4], "text": [HOSTILE] * 5})
points = alt.Chart(frame).mark_point().encode(x="x:Q", y="y:Q", tooltip="text")
Chart(points, "Five points", f"A sentence with {HOSTILE}.")
"""
EXPLORER = """\
def draw(rows):
    bars = pd.DataFrame({"row": range(rows), "value": range(1, rows + 1)})
    chart = alt.Chart(bars).mark_bar().encode(x="row:O", y="value:Q")
    return Chart(chart, f"Bars: {rows}", "As many as the slider says.")

explorer = Explorer(draw, rows=ipywidgets.IntSlider(3, 1, 9))
explorer
"""
TEXTS = """\
display(Table(pd.DataFrame({"text": [HOSTILE]}), "A table", HOSTILE))
display(Texts([{"label": HOSTILE, "text": HOSTILE, "marks": [(0, 9, HOSTILE)]}], HOSTILE, "Marked."))
"""


def test_charts_draw_and_a_slider_redraws(lab, tmp_path):
    cells = [new_code_cell(source) for source in (IMPORTS, CHART, EXPLORER, TEXTS)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    notebook.cells.append(new_code_cell("print('Python sees', explorer.view.record['title'])"))
    nbformat.write(notebook, tmp_path / "views.ipynb")
    opened = lab.open(tmp_path / "views.ipynb")
    opened.run_all(30)
    page = opened.page

    assert opened.errors() == []
    drawn = page.locator(".vega-embed svg.marks")
    drawn.nth(1).wait_for()
    page.wait_for_timeout(500)
    assert drawn.count() == 2
    assert page.get_by_text("Python sees Bars: 3").is_visible()
    picture = "document.querySelector('.widget-output .vega-embed svg')?.outerHTML"
    before = page.evaluate(picture)
    page.locator(".widget-slider").scroll_into_view_if_needed()

    title = page.locator(".vega-embed text", has_text="Five points").first
    ink = "element => getComputedStyle(element).fill"
    assert title.evaluate(ink) == "rgb(34, 34, 34)"
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    assert title.evaluate(ink) == "rgb(231, 228, 221)"

    opened.press("ArrowRight")
    page.wait_for_function(f"before => {picture} && {picture} !== before", arg=before)
    opened.run_cell(-1)
    page.get_by_text("Python sees Bars: 4").wait_for()

    assert page.evaluate("window.hacked") is None
    assert page.complaints == []


CLAIM = """\
from workbench.claims import Claim
claim = run.claim(Claim("grows", HOSTILE, "yes", 0.2, 0.1, 0.3, 9, "stories", headline=True))
run.finish()
""".replace("HOSTILE", repr("It <b onclick='window.hacked = 1'>grows</b>."))


def test_a_run_begins_with_a_line_and_ends_with_its_ledger_and_report(lab, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    first = write_notebook(made, "01_first", "run.finish()")
    second = write_notebook(made, "02_second", 'run.input("01_first")', CLAIM, "1 + 1", needs=["01_first"])
    shutil.copyfile(first, tmp_path / "notebooks" / first.name)
    opened = lab.open(second)
    opened.run_all(90)
    page = opened.page
    page.get_by_text("It needs 01_first, which will run first.").wait_for()
    page.locator(".wb-ledger .verdict.reproduced").last.wait_for(timeout=60_000)
    assert "<b onclick=" in page.locator(".wb-ledger .says").inner_text()
    link = page.get_by_role("link", name="runs/reports/02_second.html")
    link.wait_for(timeout=60_000)
    assert "▸" not in page.locator(".jp-Notebook").inner_text()
    assert page.locator(".wb-ledger .interval, .wb-ledger .plot").count() == 1

    page.evaluate(
        "jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource('seed: int = 7')"
    )
    opened.run_cell(0)
    opened.run_cell(-1)
    page.get_by_text("seed has changed since the run was opened").wait_for()
    page.evaluate(
        "jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource('seed = -7')"
    )
    opened.run_cell(0)
    opened.run_cell(1)
    mistake = page.get_by_text("seed=-7 does not fit")
    mistake.wait_for()
    assert page.get_by_text("Traceback").count() == 0

    link.click()
    page.locator(".jp-HTMLViewer iframe").wait_for()
    assert page.evaluate("window.hacked") is None


def test_a_notebook_that_was_run_and_saved_is_as_it_was_and_shows_its_figures_again(lab, tmp_path):
    cells = [new_code_cell(source) for source in (IMPORTS, CHART, EXPLORER)]
    about = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=about), tmp_path / "01_views.ipynb")
    opened = lab.open(tmp_path / "01_views.ipynb")
    opened.run_all(30)
    opened.page.locator(".widget-output .vega-embed").wait_for()
    opened.save()
    saved = tmp_path / "notebooks" / "01_views.ipynb"
    assert saved.read_bytes() == (tmp_path / "01_views.ipynb").read_bytes()
    opened.page.context.close()

    page = lab.open(tmp_path / "01_views.ipynb").page
    page.locator(".vega-embed").nth(1).wait_for()
    assert page.locator(".vega-embed").count() == 2  # the second in place of the widget
    assert page.locator(".widget-output").count() == 0
    assert page.get_by_text("not found").count() == 0
