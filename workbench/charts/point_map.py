"""The map of points: search, zoom, lasso, and one card that follows what is selected.

JupyterLab and the report draw it with the same JavaScript, with all texts on board, so that no answer waits
for Python; of a large map a page carries a sample, and JupyterLab everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import altair as alt
import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from workbench.charts import jupyter
from workbench.charts.jupyter import WIDGET, headless, widget_view
from workbench.charts.labels import shorten
from workbench.charts.values import plain
from workbench.charts.view import Bundle, Chart, Table, View
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["MAX_POINTS", "PointMap", "Sheets"]

MAX_POINTS = 8000  # that a page carries, with their texts
MAX_TEXT = 800  # characters of one text
_HERE = Path(__file__).parent

Save = Callable[[np.ndarray], str]
"""Numbers of the selected points → a sentence that says where they are."""


@dataclass(frozen=True)
class Sheets:
    """Several maps in one, of which one is shown: a row each, with a value for every column."""

    title: str  #: what a row is, such as "request"
    names: Sequence[str]  #: of the rows, top to bottom; different ones
    values: pd.DataFrame  #: a row a name, a column each of what the rows are compared by
    measure: str  #: names the values
    limits: tuple[float, float]  #: between which colours change


class _Map(anywidget.AnyWidget):
    """The front end: all it needs is in `record`; `selected` are the numbers of the selected points."""

    _esm = (_HERE / "point_map.js").read_text(encoding="utf-8")
    _css = (_HERE / "point_map.css").read_text(encoding="utf-8")
    record = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Int().tag(sync=True)
    selected = traitlets.List().tag(sync=True)


class PointMap(View):
    """Points with texts, grouped, on a map that the reader searches, zooms and selects from.

    Args:
        points: a row a point: x, y, title, text and group (a row of `groups`, by number); where there are
            some, kind (a shape each), value (their colour, in place of the group's), sheet (a row of
            `sheets`, by number) and beside (number of the point that is read beside it). Further columns are
            facts of the card, by their names.
        title: names what is shown.
        sentence: how to read it and what is seen.
        groups: a row a group, in order: name; where there are some, size, note (a few words beside it) and
            rank (0 for the first colour; by order when it is not there).
        axes: what it means that points are near each other.
        group: what a group is, such as "cluster".
        kind: what a kind is.
        value: names the values.
        beside: what the text beside is.
        chosen: number of the point whose card is open first.
        sheets: rows to choose a map from.
        save: what a button in JupyterLab does with the points that are selected.

    Raises:
        UserError: there are no points.
    """

    def __init__(
        self,
        points: pd.DataFrame,
        title: str,
        sentence: str,
        *,
        groups: pd.DataFrame,
        axes: str,
        group: str = "group",
        kind: str = "kind",
        value: str = "value",
        beside: str = "beside it",
        chosen: int = 0,
        sheets: Sheets | None = None,
        save: Save | None = None,
    ) -> None:
        if points.empty:
            raise UserError(f"'{title}' has no points to show: give a table with one row or more.")
        titles = {"group": group, "kind": kind, "value": value, "beside": beside}
        super().__init__("map", title, sentence, axes=sanitize(axes, 200))
        self.record |= {f"{name}_title": sanitize(said, 60) for name, said in titles.items()}
        self.record |= {"groups": _groups(groups), "sheets": _sheets(sheets) if sheets else None}
        self.points, self.chosen, self.save = points, chosen, save
        kept = _kept(points, chosen)
        if len(kept) < len(points):
            self.record["sentence"] += (
                f" A page carries {len(kept):,} of the {len(points):,} points, drawn at random; "
                "all are shown in JupyterLab."
            )
        self.record |= _written(points, kept, chosen)

    @cached_property
    def map(self) -> _Map:
        """The map as a widget, with every point; `selected` holds the numbers of those that are selected."""
        record = self.record
        if len(self.points) > len(record["points"]["id"]):
            record = record | _written(self.points, np.arange(len(self.points)), self.chosen)
        return _Map(record=record, chosen=record["chosen"])

    @cached_property
    def widget(self) -> ipywidgets.Widget:
        """The map, and below it the button that saves a selection where there is something to do so."""
        save = self.save
        if save is None:
            return self.map
        button, said = ipywidgets.Button(description="Save selection"), ipywidgets.Label()

        def write(_: ipywidgets.Button) -> None:
            try:
                said.value = save(np.asarray(self.map.selected, dtype=int))
            except UserError as error:
                said.value = str(error)

        button.on_click(write)
        return ipywidgets.VBox([self.map, ipywidgets.HBox([button, said])])

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and, for front ends without widgets, an escaped table and a still picture."""
        data, metadata = super().bundle(png=png)
        columns = [name for name in ("title", "group", "value", "text") if name in self.points]
        shown = Table(self.points[columns], self.record["title"], self.record["sentence"], limit=30)
        data["text/html"] = shown.bundle()[0]["text/html"]
        if png and not jupyter.draws():
            still, about = self._still().bundle()
            data |= {"image/png": still["image/png"]} if "image/png" in still else {}
            metadata |= about
        return data, metadata

    def _still(self) -> Chart:
        rows = self.points
        if "sheet" in rows:
            rows = rows[rows["sheet"] == rows["sheet"].iloc[self.chosen]]
        hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
        name, kind = ("value", "Q") if "value" in rows else ("group", "N")
        chart = alt.Chart(rows[["x", "y", name]]).mark_point()
        chart = chart.encode(
            alt.X("x:Q", axis=hidden, title=None).scale(zero=False),
            alt.Y("y:Q", axis=hidden, title=None).scale(zero=False),
            alt.Color(f"{name}:{kind}", legend=None),
        )
        return Chart(chart, self.record["title"], self.record["sentence"])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.bundle()
        if not headless():
            data[WIDGET] = widget_view(self.widget)
        return data, metadata


_DRAWN = ("x", "y", "title", "text", "group", "kind", "value", "sheet", "beside")


def _kept(points: pd.DataFrame, chosen: int) -> np.ndarray:
    """Numbers of the points that a page carries: all, or some at random with those read beside them."""
    if len(points) <= MAX_POINTS:
        return np.arange(len(points))
    drawn = np.random.default_rng(0).choice(len(points), MAX_POINTS // 2, replace=False)
    drawn = np.append(drawn, chosen)
    beside = points["beside"].iloc[drawn].dropna().astype(int) if "beside" in points else []
    return np.unique([*drawn, *beside])


def _written(points: pd.DataFrame, kept: np.ndarray, chosen: int) -> dict[str, Any]:
    """The columns of the points as JSON, numbers in as many digits as a screen shows."""
    rows = points.iloc[kept]
    at = {int(number): position for position, number in enumerate(kept)}
    columns: dict[str, Any] = {
        "id": [int(number) for number in kept],
        "x": _scaled(rows["x"]),
        "y": _scaled(rows["y"]),
        "title": [sanitize(shorten(str(text), 80)) for text in rows["title"]],
        "text": [sanitize(str(text), MAX_TEXT) for text in rows["text"]],
        "group": [int(group) for group in rows["group"]],
    }
    kinds: Sequence[Any] = []
    if "kind" in points:
        numbers, kinds = pd.factorize(points["kind"])
        columns["kind"] = numbers[kept].tolist()
    if "value" in points:
        columns["value"] = _numbers(rows["value"])
    if "sheet" in points:
        columns["sheet"] = [int(sheet) for sheet in rows["sheet"]]
    if "beside" in points:
        columns["beside"] = [at.get(int(number)) if pd.notna(number) else None for number in rows["beside"]]
    facts = [[sanitize(name, 60), [plain(one) for one in rows[name]]] for name in rows if name not in _DRAWN]
    return {
        "points": columns,
        "kinds": [sanitize(str(name), 60) for name in kinds],
        "facts": facts,
        "chosen": at[int(chosen)],
    }


def _scaled(values: pd.Series) -> list[float]:
    """Between 0 and 1; what is no number stands in the middle."""
    numbers = pd.to_numeric(values, errors="coerce").replace([np.inf, -np.inf], np.nan)
    low, high = numbers.min(), numbers.max()
    spread = high - low if high > low else 1.0
    return ((numbers - low) / spread).fillna(0.5).round(4).tolist()


def _numbers(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.astype(float)]


def _groups(groups: pd.DataFrame) -> list[dict[str, Any]]:
    ranks = groups["rank"] if "rank" in groups else range(len(groups))
    written = []
    for rank, row in zip(ranks, groups.to_dict("records"), strict=True):
        one = {"name": sanitize(str(row["name"]), 80), "rank": int(rank)}
        one |= {"size": int(row["size"])} if "size" in row else {}
        written.append(one | ({"note": sanitize(row["note"], 40)} if "note" in row else {}))
    return written


def _sheets(sheets: Sheets) -> dict[str, Any]:
    return {
        "title": sanitize(sheets.title, 60),
        "names": [sanitize(shorten(name, 90)) for name in sheets.names],
        "columns": [sanitize(shorten(str(name), 40)) for name in sheets.values.columns],
        "values": [_numbers(row) for _, row in sheets.values.iterrows()],
        "measure": sanitize(sheets.measure, 80),
        "low": float(sheets.limits[0]),
        "high": float(sheets.limits[1]),
    }
