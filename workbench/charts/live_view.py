"""Live models: a figure in which the reader types, switches off and steers, with no kernel behind it.

The models go into the record as blocks (`engine.live.block`); JupyterLab and the report run them with the
same JavaScript, so that no answer waits for Python.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import anywidget
import traitlets

from workbench.charts.jupyter import WIDGET, headless, widget_view
from workbench.charts.view import Bundle, Texts, View
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["SCRIPTS", "Example", "Live", "Task", "live_or_why_not"]

_HERE = Path(__file__).parent
SCRIPTS = (_HERE / "live.js", _HERE / "live_view.js")
"""The runtime and the figure; one module together."""

Part = Literal["heads", "neurons", "layers"]


@dataclass(frozen=True)
class Example:
    """A text to try at a touch."""

    label: str  #: on its button
    text: str
    hint: str = ""  #: what is to be said of it, such as the right answer
    shares: Mapping[str, float] = field(
        default_factory=dict
    )  #: of next words, drawn as strokes beside the models'


@dataclass(frozen=True)
class Task:
    """A closed language in which answers are read behind words, and what is true of them.

    Without clauses a text is a value and moves from there. A clause is three words: a move, a value or the
    name of one, and the name of what the move leads to; clauses stand in any order.
    """

    classes: Sequence[Sequence[str]]  #: words that can stand for each other
    asked: Sequence[str]  #: words behind which an answer is read
    answers: Sequence[str]  #: that can be given
    moves: Mapping[str, Mapping[str, str]]  #: from a value, by each move, to a value
    clauses: bool = False


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
        text: the beginning that stands there first; None for the first example.
        parts: what can be changed: "heads" switched off, a neuron of "neurons" switched off or pushed;
            "layers" shows what the model would say after each of its layers.
        state: of the controls at first, by name, such as {"layer": 2, "neuron": 17}.
        writes: whether the models go on with the text; else they are asked for the next word alone.
        examples: texts to try; the first stands there first.
        task: of which each text is a string of words.

    Raises:
        UserError: there is no model.
    """

    def __init__(
        self,
        models: Mapping[str, dict[str, Any]],
        title: str,
        sentence: str,
        *,
        text: str | None = None,
        parts: Sequence[Part] = (),
        state: Mapping[str, Any] | None = None,
        writes: bool = True,
        examples: Sequence[Example] = (),
        task: Task | None = None,
    ) -> None:
        if not models:
            raise UserError(f"'{title}' has no model to show: train one, or leave the figure out.")
        super().__init__(
            "playground",
            title,
            sentence,
            models=[{"name": sanitize(name, 60), "block": block} for name, block in models.items()],
            text=examples[0].text if text is None else text,
            parts=list(parts),
            state=dict(state or {}),
            writes=writes,
            examples=[asdict(example) for example in examples],
            task=task and asdict(task),
        )

    @cached_property
    def widget(self) -> _Widget:
        """The figure as a widget."""
        return _Widget(record=self.record)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.bundle()
        if not headless():
            data[WIDGET] = widget_view(self.widget)
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
