"""Live models: a figure in which the reader types, switches off and steers, with no kernel behind it.

The models go into the record as blocks (`engine.live.block`); JupyterLab and the report run them with the
same JavaScript, so that no answer waits for Python.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import anywidget
import traitlets

from workbench.charts.view import WIDGET, Bundle, Texts, View, headless
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["SCRIPTS", "Live", "live_or_why_not"]

_HERE = Path(__file__).parent
SCRIPTS = (_HERE / "live.js", _HERE / "live_view.js")
"""The runtime and the figure; one module together."""

Part = Literal["heads", "neurons"]


class _Widget(anywidget.AnyWidget):
    """The front end: all it needs is in `record`."""

    _esm = "\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    _css = (_HERE / "live_view.css").read_text(encoding="utf-8")
    record = traitlets.Dict().tag(sync=True)


class Live(View):
    """Models that go on with the reader's beginning, side by side, word by word.

    Args:
        models: blocks by the name that each is shown under; the first is the one whose heads and neurons the
            parts are about.
        title: names what is shown.
        sentence: how to use it and what is seen.
        text: the beginning that stands there first.
        parts: what can be changed: "heads" switched off, a neuron of "neurons" switched off or pushed.
        state: of the controls at first, by name, such as {"layer": 2, "neuron": 17}.

    Raises:
        UserError: there is no model.
    """

    def __init__(
        self,
        models: Mapping[str, dict[str, Any]],
        title: str,
        sentence: str,
        *,
        text: str,
        parts: Sequence[Part] = (),
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if not models:
            raise UserError(f"'{title}' has no model to show: train one, or leave the figure out.")
        super().__init__(
            "playground",
            title,
            sentence,
            models=[{"name": sanitize(name, 60), "block": block} for name, block in models.items()],
            text=text,
            parts=list(parts),
            state=dict(state or {}),
        )

    @cached_property
    def widget(self) -> _Widget:
        """The figure as a widget."""
        return _Widget(record=self.record)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.bundle()
        if not headless():
            data[WIDGET] = self.widget._repr_mimebundle_()[0][WIDGET]  # anywidget's bundle has metadata
        return data, metadata


def live_or_why_not(
    blocks: Callable[[], Mapping[str, dict[str, Any]]], title: str, sentence: str, **options: Any
) -> View:
    """Live models, or under the same title the sentence that says why a page cannot run them.

    Args:
        blocks: makes what `Live` takes as models; a UserError from it is what is said.
        **options: as for `Live`.
    """
    try:
        return Live(blocks(), title, sentence, **options)
    except UserError as reason:
        return Texts([], title, f"There is no live model here. {reason}")
