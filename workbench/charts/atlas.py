"""The atlas: a clickable map (layer by head, layer by neuron) whose chosen cell shows a card.

A card holds scores, an attention head over a text, tokens coloured by numbers, and texts side by side. In
JupyterLab Python makes the card of the cell that was clicked. Without a front end (WORKBENCH_HEADLESS=1) the
cards of all cells go into the record, and the report draws them with the same JavaScript, with no kernel.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import pandas as pd
import traitlets
from tqdm.auto import tqdm

from workbench.charts import theme
from workbench.charts.card import Attention, Card, Strip, card_record
from workbench.charts.jupyter import WIDGET, headless, widget_view
from workbench.charts.view import Bundle, Table, View, label_controls
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["Atlas", "Attention", "Card", "Cell", "Strip"]

DRAWING = "drawing…"
MAX_CARDS, MAX_BYTES = 1500, 40_000_000  # that a page carries

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """One clickable cell: its place, and the class (colour and shape) and importance (size) of its glyph."""

    id: str  #: what `card` is called with, such as "2.3"
    row: int  #: index into the atlas' rows
    column: int  #: index into the atlas' columns
    label: str  #: short name, such as "L2 H3"
    class_: int  #: index into the atlas' classes
    size: float  #: importance from 0 to 1; the glyph's area grows with it
    tip: str  #: one line shown on hover and focus


class _Map(anywidget.AnyWidget):
    """The front end: shows `record` and `card`, sets `chosen` on a click."""

    _esm = (_HERE / "atlas.js").read_text(encoding="utf-8")
    _css = (_HERE / "atlas.css").read_text(encoding="utf-8")
    record = traitlets.Dict().tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)


class Atlas(View):
    """A map of cells and the card of the chosen one; controls draw both again.

    Args:
        cells: called with the controls' values by name; returns all cells.
        card: called with a cell's id and the controls' values by name; returns its card.
        title: names what is shown.
        sentence: how to read it and what is seen.
        rows: labels of the rows, top to bottom.
        columns: labels of the columns, left to right.
        classes: names of the classes, at most seven.
        quiet: the class of those that belong to none, which is drawn so that the eye passes over it.
        size_name: what the size of a glyph stands for.
        most_cards: that a page carries, of the largest cells; None for as many as it can.
        **controls: ipywidgets with a `value`.

    Raises:
        UserError: there are no cells, or attention over no text, too long a text or with NaN.
        ValueError: a cell lies outside the map, or names a class that is not there.
    """

    _lock = threading.RLock()  # JupyterLab answers two widgets on two threads; two atlases may share a model

    def __init__(
        self,
        cells: Callable[..., list[Cell]],
        card: Callable[..., Card],
        title: str,
        sentence: str,
        *,
        rows: Sequence[str],
        columns: Sequence[str],
        classes: Sequence[str],
        quiet: str | None = None,
        size_name: str = "importance",
        most_cards: int | None = None,
        **controls: ipywidgets.ValueWidget,
    ) -> None:
        names = {"rows": rows, "columns": columns, "classes": classes}
        names = {name: [sanitize(label, 60) for label in labels] for name, labels in names.items()}
        super().__init__("atlas", title, sentence, size_name=sanitize(size_name, 60), **names)
        if len(classes) > len(theme.PALETTE):
            raise ValueError(f"{len(classes)} classes, but only {len(theme.PALETTE)} colours and shapes.")
        self.record["quiet"] = list(classes).index(quiet) if quiet and quiet in classes else -1
        self.cells, self.card, self.controls = cells, card, controls
        self.record["cells"] = self._cells()
        self.record["chosen"] = _largest(self.record["cells"])
        wanted = [self.record["chosen"]]
        if headless():
            wanted = _most_important(self.record["cells"], most_cards or MAX_CARDS)
        self.record["cards"] = self._cards(wanted)
        left_out = len(self.record["cells"]) - len(self.record["cards"])
        if headless() and left_out:
            self.record["sentence"] += (
                f" A page carries the cards of the {len(self.record['cards']):,} most important cells; "
                f"those of the {left_out:,} others are drawn in JupyterLab."
            )
        self.record["controls"] = label_controls(controls)

    def _values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def _cells(self) -> list[dict[str, Any]]:
        return _written(self.cells(**self._values()), self.record)

    def _cards(self, names: list[str]) -> dict[str, Any]:
        """The cards of these cells, as far as a page can carry them; the first is always among them."""
        cards, size = {}, 0
        for name in tqdm(names, desc="cards", unit="card", disable=len(names) < 2):
            cards[name] = self._card(name)
            size += len(json.dumps(cards[name]))
            if size > MAX_BYTES:
                break
        return {cell["id"]: cards[cell["id"]] for cell in self.record["cells"] if cell["id"] in cards}

    def _card(self, name: str) -> dict[str, Any]:
        return {"id": name, **card_record(self.card(name, **self._values()))}

    @cached_property
    def map(self) -> _Map:
        """The map and card as a widget: `chosen` is the id of a cell, `card` what is shown of it."""
        shown = {name: value for name, value in self.record.items() if name not in ("cards", "controls")}
        chosen = shown["chosen"]
        made = _Map(record=shown, card=self.record["cards"][chosen], chosen=chosen)
        made.observe(self._redraw, "chosen")
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        return made

    @cached_property
    def widget(self) -> ipywidgets.VBox:
        """The controls above the map."""
        row = ipywidgets.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"})
        return ipywidgets.VBox([row, self.map] if self.controls else [self.map])

    def _redraw(self, change: dict[str, Any]) -> None:
        """Answer a click or a moved control; what goes wrong becomes a sentence above the card."""
        shown, moved = self.map, change["owner"] is not self.map
        with self._lock:
            if not moved and shown.chosen == shown.card.get("id"):
                shown.status = ""
                return
            shown.status = DRAWING
            new: dict[str, Any] = {"status": ""}
            try:
                if moved:
                    cells = self._cells()
                    new["record"] = {**shown.record, "cells": cells}
                    new["chosen"] = shown.chosen if _has(cells, shown.chosen) else _largest(cells)
                new["card"] = {}
                new["card"] = self._card(new.get("chosen", shown.chosen))
            except Exception as error:  # a callback's traceback would be lost in the server's log
                new["status"] = _sentence(error)
            with shown.hold_sync():
                # `chosen` last: setting it calls this function again, which then finds the card drawn.
                for name in ("record", "card", "status", "chosen"):
                    setattr(shown, name, new.get(name, getattr(shown, name)))

    def bundle(self, *, png: bool = True) -> Bundle:
        """Return the record and, for front ends without widgets, an escaped table of the cells."""
        data, metadata = super().bundle(png=png)
        rows = [
            {"cell": c["label"], "class": self.record["classes"][c["class"]], "size": c["size"], "": c["tip"]}
            for c in self.record["cells"]
        ]
        frame = pd.DataFrame(rows).rename(columns={"size": self.record["size_name"]})
        table = Table(frame, self.record["title"], self.record["sentence"], limit=100)
        data["text/html"] = table.bundle()[0]["text/html"]
        return data, metadata

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.bundle()
        if not headless():
            data[WIDGET] = widget_view(self.widget)
        return data, metadata


def _written(cells: Sequence[Cell], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Check the cells against the map and return them as JSON."""
    if not cells:
        raise UserError(f"'{record['title']}' has no cells to show: widen what the controls let through.")
    limits = {name: len(record[name]) for name in ("rows", "columns", "classes")}
    for cell in cells:
        places = zip((cell.row, cell.column, cell.class_), limits.items(), strict=True)
        for index, (name, limit) in places:
            if not 0 <= index < limit:
                raise ValueError(f"Cell '{cell.label}': {index} is not one of {limit} {name}.")
        if not -1e-6 <= cell.size <= 1 + 1e-6:
            raise ValueError(f"Cell '{cell.label}': size {cell.size} does not lie between 0 and 1.")
    if len({c.id for c in cells}) < len(cells) or len({(c.row, c.column) for c in cells}) < len(cells):
        raise ValueError("Two cells have the same id or the same place.")
    return [
        {
            "id": cell.id,
            "row": int(cell.row),
            "column": int(cell.column),
            "label": sanitize(cell.label, 60),
            "class": int(cell.class_),
            "size": round(min(max(float(cell.size), 0.0), 1.0), 4),
            "tip": sanitize(cell.tip, 300),
        }
        for cell in cells
    ]


def _largest(cells: list[dict[str, Any]]) -> str:
    return max(cells, key=lambda cell: cell["size"])["id"]


def _most_important(cells: list[dict[str, Any]], most: int) -> list[str]:
    """The cells whose cards a page carries, the one that is chosen first."""
    largest = sorted(cells, key=lambda cell: cell["size"], reverse=True)
    return [cell["id"] for cell in largest[:most]]


def _has(cells: list[dict[str, Any]], name: str) -> bool:
    return any(cell["id"] == name for cell in cells)


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return sanitize(text if isinstance(error, UserError) else f"{type(error).__name__}: {text}", 300)
