"""Views: small objects with one mimebundle, alive in JupyterLab and static everywhere else.

A view says in one sentence what is to be seen. Its bundle holds our own record (read by the report), a
picture that JupyterLab draws without network or extension, and plain text. Strings of the data are made
visible and escaped: they are written by models and strangers.
"""

import base64
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from workbench.charts import theme
from workbench.charts.still import NoPicture, draw_png
from workbench.charts.values import plain
from workbench.charts.vegalite import specification
from workbench.sanitize import sanitize

__all__ = ["Chart", "Explorer", "MarkedText", "Table", "Texts", "View", "menu"]

MIME = "application/vnd.workbench.view+json"
VEGALITE = "application/vnd.vegalite.v5+json"  # the newest that JupyterLab 4.6 draws by itself
WIDGET = "application/vnd.jupyter.widget-view+json"

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
        """Return the record, the Vega-Lite specification and, if asked for, the PNG where it can be drawn."""
        data, metadata = super().bundle()
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
        rows = [[plain(value) for value in row] for row in frame.head(limit).itertuples(index=False)]
        columns = [sanitize(name) for name in frame.columns]
        super().__init__("table", title, sentence, columns=columns, rows=rows, count=len(frame))

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and an escaped HTML table for JupyterLab."""
        data, metadata = super().bundle(png=png)
        first = self.record["rows"][0] if self.record["rows"] else [None] * len(self.record["columns"])
        head = "".join(map(_header, self.record["columns"], first))
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.record["rows"])
        hidden = self.record["count"] - len(self.record["rows"])
        note = f"<p style='color:#777'>{hidden:,} more rows</p>" if hidden else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        data["text/html"] = _html_heading(self.record) + table + note
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
        cards = [{"label": sanitize(item["label"], 200), "pieces": _pieces(item, limit)} for item in items]
        kinds = sorted({kind for card in cards for _, kind in card["pieces"] if kind})
        super().__init__("texts", title, sentence, items=cards, kinds=kinds)

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and escaped HTML cards for JupyterLab."""
        data, metadata = super().bundle(png=png)
        kinds = self.record["kinds"]
        cards = "".join(_card(item, kinds) for item in self.record["items"])
        legend = "".join(_marked(kind, kind, kinds) + " &nbsp; " for kind in kinds)
        columns = "display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:14px"
        data["text/html"] = (
            f"{_html_heading(self.record)}<div style='margin-bottom:8px'>{legend}</div>"
            f"<div style='{columns};max-width:1000px'>{cards}</div>"
        )
        return data, metadata


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


def menu(options: Iterable[str], value: str | None = None) -> ipywidgets.Dropdown:
    """The different options to choose from, in their order; the first is chosen when `value` is None."""
    names = list(dict.fromkeys(options))
    return ipywidgets.Dropdown(options=names, value=next(iter(names), None) if value is None else value)


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
        controls = {
            name: control if isinstance(control, ipywidgets.ValueWidget) else menu(control)
            for name, control in controls.items()
        }
        self.controls = controls
        self.view = draw(**self._values())
        self.twin = self.view
        self.twin.record["controls"] = {name: sanitize(value, 80) for name, value in self._values().items()}
        self.status = ipywidgets.Label("", layout={"min_height": "22px"})
        self.output = ipywidgets.Output()
        self._show(self.view)
        for name, control in controls.items():
            control.description = control.description or name.replace("_", " ")
            control.observe(self._redraw, "value")
        row = ipywidgets.HBox([*controls.values(), self.status], layout={"flex_flow": "row wrap"})
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
        if os.environ.get("WORKBENCH_HEADLESS") != "1":
            data[WIDGET] = self.widget._repr_mimebundle_()[WIDGET]
        return data, metadata


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


def _html_heading(record: dict[str, Any]) -> str:
    style = "font-size:1.1em;font-weight:600;margin:4px 0 2px"
    return (
        f"<div style='{style}'>{escape(record['title'])}</div>"
        f"<div style='max-width:70ch;color:#777;margin-bottom:8px'>{escape(record['sentence'])}</div>"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _header(name: str, first: Any) -> str:
    return f"<th style='text-align:{'right' if _is_number(first) else 'left'}'>{escape(name)}</th>"


def _cell(value: Any) -> str:
    if _is_number(value):
        return f"<td style='text-align:right'>{value:{'.4g' if isinstance(value, float) else ','}}</td>"
    text = "" if value is None else escape(str(value))
    return f"<td style='text-align:left;white-space:pre-wrap;max-width:60ch' dir='auto'>{text}</td>"


def _marked(text: str, kind: str, kinds: list[str]) -> str:
    number = kinds.index(kind)
    line = ["solid", "dashed", "dotted", "double"][number % 4]
    color = theme.PALETTE[number % len(theme.PALETTE)]
    style = f"background:{color}33;color:inherit;border-bottom:2px {line} {color}"
    return f"<mark style='{style}' title='{escape(kind)}'>{escape(text)}</mark>"


def _card(item: dict[str, Any], kinds: list[str]) -> str:
    text = "".join(_marked(text, kind, kinds) if kind else escape(text) for text, kind in item["pieces"])
    return (
        f"<div style='border-top:2px solid #999;padding-top:6px'><b>{escape(item['label'])}</b>"
        f"<div dir='auto' style='white-space:pre-wrap;overflow-wrap:anywhere'>{text}</div></div>"
    )
