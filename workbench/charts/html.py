"""Views as HTML for JupyterLab: everything escaped, and marked as data in which a dollar is no formula."""

from html import escape
from typing import Any

from workbench.charts import theme
from workbench.charts.values import LARGEST_INTEGER

SOFT = "var(--jp-content-font-color2, #666666)"  # colour of what is read second
_LINE = "var(--jp-border-color1, #999999)"
DATA = "mathjax_ignore tex2jax_ignore"  # classes: "$5 and … $6" is no mathematics


def heading(record: dict[str, Any]) -> str:
    """A view's title and sentence."""
    style = "font-size:1.1em;font-weight:600;margin:4px 0 2px"
    return (
        f"<div style='{style}'>{escape(record['title'])}</div>"
        f"<div style='max-width:70ch;color:{SOFT};margin-bottom:8px'>{escape(record['sentence'])}</div>"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def header(name: str, first: Any) -> str:
    """The head of a column, to the side where its first value stands."""
    return f"<th style='text-align:{'right' if _is_number(first) else 'left'}'>{escape(name)}</th>"


def _written(value: float) -> str:
    """Whole numbers as they are: they may be years or the ids of a table with gaps."""
    whole = isinstance(value, int) or (value.is_integer() and abs(value) <= LARGEST_INTEGER)
    return f"{value:.0f}" if whole else f"{value:.4g}"


def cell(value: Any) -> str:
    """A cell of a table."""
    if _is_number(value):
        return f"<td style='text-align:right'>{_written(value)}</td>"
    text = "" if value is None else escape(str(value))
    return f"<td style='text-align:left;white-space:pre-wrap;max-width:60ch' dir='auto'>{text}</td>"


def marked(text: str, kind: str, kinds: list[str]) -> str:
    """A marked piece of a text, in the colour and line of its kind."""
    number = theme.mark_looks(kinds)[kinds.index(kind)]
    line = ["solid", "dashed", "dotted", "double"][number % 4]
    color = theme.PALETTE[number]
    style = f"background:{color}33;color:inherit;border-bottom:2px {line} {color}"
    return f"<mark style='{style}' title='{escape(kind)}'>{escape(text)}</mark>"


def card(item: dict[str, Any], kinds: list[str]) -> str:
    """A text under its label."""
    text = "".join(marked(text, kind, kinds) if kind else escape(text) for text, kind in item["pieces"])
    return (
        f"<div style='border-top:2px solid {_LINE};padding-top:6px'><b>{escape(item['label'])}</b>"
        f"<div dir='auto' style='white-space:pre-wrap;overflow-wrap:anywhere'>{text}</div></div>"
    )
