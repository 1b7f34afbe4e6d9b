"""Views in a real JupyterLab: charts draw without network, a slider moves Python and the picture."""

import nbformat
import pytest
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
    drawn = page.locator(".vega-embed svg.marks, .vega-embed canvas.marks")
    drawn.nth(1).wait_for()
    page.wait_for_timeout(500)
    assert drawn.count() == 2
    assert page.get_by_text("Python sees Bars: 3").is_visible()
    picture = "document.querySelector('.widget-output .vega-embed canvas')?.toDataURL()"
    before = page.evaluate(picture)
    page.locator(".widget-slider").scroll_into_view_if_needed()

    opened.press("ArrowRight")
    page.wait_for_function(f"before => {picture} && {picture} !== before", arg=before)
    opened.run_cell(-1)
    page.get_by_text("Python sees Bars: 4").wait_for()

    assert page.evaluate("window.hacked") is None
    assert page.complaints == []
