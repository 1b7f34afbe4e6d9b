"""Charts as JupyterLab draws them, in the colours of its theme, which may change while they are there."""

import os
from typing import Any

import ipywidgets

WIDGET = "application/vnd.jupyter.widget-view+json"

ON_DARK = {
    "#0072b2": "#4aa3df", "#d55e00": "#f0803c", "#009e73": "#2fbf93", "#cc79a7": "#e295c0",
    "#e69f00": "#f0b429", "#56b4e9": "#9ad3f5", "#222222": "#e7e4dd", "#666666": "#a9a59c",
    "#e6e6e3": "#34373a", "#8a8a86": "#7d7a73", "#b3aea5": "#5f5d58",
}  # fmt: skip
"""The colours of charts/theme.py, lightened until each stands out from a dark page; as in report.js."""

OPTIONS = {"embed_options": {"renderer": "svg"}}
"""Colours that follow the page are CSS, which a canvas does not know."""


def headless() -> bool:
    """Whether no front end is there to draw widgets."""
    return os.environ.get("WORKBENCH_HEADLESS") == "1"


def widget_view(widget: ipywidgets.Widget) -> Any:
    """What a front end draws a widget from."""
    shown: Any = widget._repr_mimebundle_()
    return (shown[0] if isinstance(shown, tuple) else shown)[WIDGET]  # anywidget's has metadata


def draws() -> bool:
    """Whether a Jupyter server started this kernel: its front ends draw Vega-Lite and need no picture."""
    return bool(os.environ.get("JPY_SESSION_NAME")) and not headless()


def themed(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification in colours that are those of a light page on a light one, and of a dark on a dark."""
    colored = _colored(spec)
    return {**colored, "config": {**colored.get("config", {}), "background": "transparent"}}


def _colored(node: Any) -> Any:
    if isinstance(node, str):
        dark = ON_DARK.get(node.lower())
        return f"light-dark({node}, {dark})" if dark else node
    if isinstance(node, list):
        return [_colored(child) for child in node]
    if isinstance(node, dict):
        return {name: child if name == "datasets" else _colored(child) for name, child in node.items()}
    return node
