"""Views: small objects with one mimebundle, alive in JupyterLab and static everywhere else.

A view says in one sentence what is to be seen. Its bundle holds our own record (read by the report), a
picture that JupyterLab draws without network or extension, and plain text. Strings of the data are made
visible and escaped: they are written by models and strangers.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

import ipywidgets
import pandas as pd

from workbench.charts import html, jupyter
from workbench.charts.jupyter import WIDGET, headless, widget_view
from workbench.charts.labels import shorten
from workbench.charts.still import NoPicture, draw_png
from workbench.charts.theme import mark_looks
from workbench.charts.values import MAX_TEXT, plain
from workbench.charts.vegalite import specification
from workbench.sanitize import sanitize

__all__ = ["Chart", "Explorer", "MarkedText", "Table", "Texts", "View", "label_controls", "menu", "with_rows"]

MIME = "application/vnd.workbench.view+json"
VEGALITE = "application/vnd.vegalite.v5+json"  # the newest that JupyterLab 4.6 draws by itself

MAX_COLUMNS, MAX_CARDS = 40, 60  # of a table, of texts side by side
MAX_OPTION = 100  # columns of a menu's line

Bundle = tuple[dict[str, Any], dict[str, Any]]


class View:
    """A title, a sentence and a mimebundle; Chart, Table and Texts are the three kinds."""

    def __init__(self, kind: str, title: str, sentence: str, **details: Any) -> None:
        self.record = {"kind": kind, "title": sanitize(title), "sentence": sanitize(sentence), **details}

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return (data, metadata) as IPython's display protocol wants them.

        Args:
            png: draw the fallback picture too, where the kind has one.
        """
        del png
        return {MIME: self.record, "text/plain": repr(self)}, {}

    def __repr__(self) -> str:
        return f"{self.record['title']}. {self.record['sentence']}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        return self.bundle()


class Chart(View):
    """An Altair chart with a title, a sentence on what it shows, and alternative text.

    Args:
        chart: any Altair chart; the axes should carry titles with units.
        title: names what is shown; claims link to the figure by this title.
        sentence: how to read it and what is seen.
        alt: text for those who cannot see the picture; title and sentence when None.

    Raises:
        UserError: something that would have to be loaded (URL data, images, links).
    """

    def __init__(self, chart: Any, title: str, sentence: str, alt: str | None = None) -> None:
        super().__init__("chart", title, sentence, alt=sanitize(alt or f"{title}. {sentence}"))
        self.spec = specification(chart, self.record)

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record, the Vega-Lite specification and, if asked for, the PNG where it can be drawn.

        JupyterLab gets the specification in the colours of its theme, and no PNG, which it would not show.
        """
        data, metadata = super().bundle()
        if jupyter.draws():
            data[VEGALITE], metadata[VEGALITE] = jupyter.themed(self.spec), jupyter.OPTIONS
            return data, metadata
        data[VEGALITE] = self.spec
        try:
            picture = draw_png(self.spec) if png else None
        except NoPicture as reason:
            picture = None
            print(sanitize(
                f"The still picture of '{self.record['title']}' is missing ({reason}); "
                "the live figure and its data are there."
            ))  # fmt: skip
        if picture is not None:
            data["image/png"] = base64.b64encode(picture).decode("ascii")
            metadata["image/png"] = {"alt": self.record["alt"]}
        return data, metadata


class Table(View):
    """The first rows of a data frame.

    Args:
        frame: its columns are shown, its index is not.
        title: names what is shown.
        sentence: how to read it and what is seen.
        limit: number of rows shown; a note says how many there are.
    """

    def __init__(self, frame: pd.DataFrame, title: str, sentence: str, limit: int = 50) -> None:
        shown = frame.iloc[:limit, :MAX_COLUMNS]
        rows = [[plain(value) for value in row] for row in shown.itertuples(index=False, name=None)]
        columns = [sanitize(name, MAX_TEXT) for name in shown.columns]
        if frame.shape[1] > MAX_COLUMNS:
            sentence += f" … and {frame.shape[1] - MAX_COLUMNS:,} other columns are in the run's tables."
        super().__init__("table", title, sentence, columns=columns, rows=rows, count=len(frame))

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and an escaped HTML table for JupyterLab."""
        data, metadata = super().bundle(png=png)
        first = self.record["rows"][0] if self.record["rows"] else [None] * len(self.record["columns"])
        head = "".join(map(html.header, self.record["columns"], first))
        body = "".join(f"<tr>{''.join(map(html.cell, row))}</tr>" for row in self.record["rows"])
        hidden = self.record["count"] - len(self.record["rows"])
        note = f"<p style='color:{html.SOFT}'>{hidden:,} more rows</p>" if hidden else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        data["text/html"] = f"<div class='{html.DATA}'>{html.heading(self.record)}{table}{note}</div>"
        return data, metadata


class Texts(View):
    """Texts side by side, with marked spans.

    Args:
        items: dicts with `label`, `text` and, where wanted, `marks`: (start, end, kind) in characters.
            Where marks overlap, the one that starts first wins.
        title: names what is shown.
        sentence: how to read it and what is seen.
        limit: number of characters kept of one text.
    """

    def __init__(
        self, items: Sequence[Mapping[str, Any]], title: str, sentence: str, limit: int = 4000
    ) -> None:
        shown = items[:MAX_CARDS]
        if len(items) > MAX_CARDS:
            sentence += f" The other {len(items) - MAX_CARDS:,} are in the run's tables."
        cards = [{"label": sanitize(item["label"], 200), "pieces": _pieces(item, limit)} for item in shown]
        kinds = sorted({kind for card in cards for _, kind in card["pieces"] if kind})
        super().__init__("texts", title, sentence, items=cards, kinds=kinds, looks=mark_looks(kinds))

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and escaped HTML cards for JupyterLab."""
        data, metadata = super().bundle(png=png)
        kinds = self.record["kinds"]
        cards = "".join(html.card(item, kinds) for item in self.record["items"])
        legend = "".join(html.marked(kind, kind, kinds) + " &nbsp; " for kind in kinds)
        columns = "display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:14px"
        data["text/html"] = (
            f"<div class='{html.DATA}'>{html.heading(self.record)}"
            f"<div style='margin-bottom:8px'>{legend}</div>"
            f"<div style='{columns};max-width:1000px'>{cards}</div></div>"
        )
        return data, metadata


def with_rows(draw: "Callable[..., View | Explorer]") -> "Callable[..., View | Explorer]":
    """A decorator for views of tables: where the first has no rows, a sentence says so."""

    @wraps(draw)
    def view(*args: Any, **options: Any) -> "View | Explorer":
        tables = [value for value in args if isinstance(value, pd.DataFrame)]
        if tables and tables[0].empty:
            title = (draw.__doc__ or draw.__name__).partition(".")[0]
            return Texts([], title, "There is nothing to show: the table behind this figure has no rows.")
        return draw(*args, **options)

    return view


class MarkedText:
    """A text that is put together piece by piece, some pieces marked; `item` is what `Texts` takes."""

    def __init__(self) -> None:
        self.text = ""
        self.marks: list[tuple[int, int, str]] = []

    def add(self, piece: str, kind: str | None = None) -> None:
        """Append a piece, marked where a kind is given."""
        if kind is not None:
            self.marks.append((len(self.text), len(self.text) + len(piece), kind))
        self.text += piece

    def item(self, label: str) -> dict[str, Any]:
        """The text under its label."""
        return {"label": label, "text": self.text, "marks": self.marks}


def label_controls(controls: Mapping[str, Any]) -> dict[str, str]:
    """Spell out what each control sets, by its description or else its name; their values by these labels."""
    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.style.description_width = "initial"  # no label is cut
        width = 480 if isinstance(control, ipywidgets.Textarea) else 230 + 8 * len(control.description)
        control.layout.width = control.layout.width or f"{width}px"
    return {control.description: written(control.value) for control in controls.values()}


def menu(options: Iterable[str], value: str | None = None) -> ipywidgets.Dropdown:
    """The different options to choose from, in their order; the first is chosen unless `value` is one.

    What is read of an option is visible and short; its value is the option itself.
    """
    names = list(dict.fromkeys(options))
    chosen = value if value in names else next(iter(names), None)
    shown = [
        (sanitize(shorten(name, MAX_OPTION)), name) if isinstance(name, str) else (str(name), name)
        for name in names
    ]
    changed = any(label != name for label, name in shown)
    return ipywidgets.Dropdown(options=shown if changed else names, value=chosen)


class Explorer:
    """Controls above a view that is drawn again whenever one of them changes.

    Without a front end (WORKBENCH_HEADLESS=1, or a report) the view drawn from the controls' first values
    stands alone.

    Args:
        draw: called with the controls' values by name; returns a Chart, Table or Texts.
        **controls: ipywidgets with a `value`, or texts to choose from in a `menu`.
    """

    def __init__(self, draw: Callable[..., View], **controls: ipywidgets.ValueWidget | Iterable[str]) -> None:
        self.draw = draw
        self.controls: dict[str, Any] = {
            name: control if isinstance(control, ipywidgets.ValueWidget) else menu(control)
            for name, control in controls.items()
        }
        self.view = draw(**self._values())
        self.twin = self.view
        self.twin.record["controls"] = label_controls(self.controls)
        self.status = ipywidgets.Label("", layout={"min_height": "22px"})
        self.output = ipywidgets.Output()
        self._show(self.view)
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        row = ipywidgets.HBox([*self.controls.values(), self.status], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([row, self.output])

    def _values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def _show(self, view: View) -> None:
        # Set directly: capturing by `with output:` loses pictures drawn on the kernel's other threads.
        data, metadata = view.bundle(png=False)
        self.output.outputs = ({"output_type": "display_data", "data": data, "metadata": metadata},)

    def _redraw(self, _change: Any) -> None:
        self.status.value = "drawing…"
        try:
            self.view = self.draw(**self._values())
            self._show(self.view)
            self.status.value = ""
        except Exception as error:  # a callback's traceback would be lost in the server's log
            self.status.value = sanitize(f"{type(error).__name__}: {error}", 300)

    def __repr__(self) -> str:
        return repr(self.view)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.twin.bundle()
        if not headless():
            data[WIDGET] = widget_view(self.widget)
        return data, metadata


def written(value: Any) -> str:
    """A control's value as its reader would write it: several chosen options with commas between them."""
    return sanitize(", ".join(map(str, value)) if isinstance(value, list | tuple) else value, 80)


def _pieces(item: Mapping[str, Any], limit: int) -> list[tuple[str, str | None]]:
    """Cut a text at its marks: (piece, kind) with kind None between marks."""
    text, pieces, position = str(item["text"]), [], 0
    for start, end, kind in sorted(item.get("marks", []), key=lambda mark: (mark[0], -mark[1])):
        start, end = max(start, position), min(end, limit)
        if start >= end:
            continue
        pieces += [(text[position:start], None), (text[start:end], sanitize(kind, 60))]
        position = end
    pieces.append((text[position:], None))
    cut = [(sanitize(piece), kind) for piece, kind in pieces[:-1] if piece]
    return [*cut, (sanitize(pieces[-1][0], max(limit - position, 0)), None)]
