"""A notebook as plain blocks for a page: prose, folded code, figures, tables, texts, output, errors."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from workbench.files import plain
from workbench.lab.digests import map_texts
from workbench.lab.project import joined
from workbench.lab.report import tidy
from workbench.lab.report.markdown import Heading, render, slug
from workbench.sanitize import sanitize

VIEW = "application/vnd.workbench.view+json"
VEGALITE = "application/vnd.vegalite.v5+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
FIGURES = ("chart", "table", "texts", "atlas", "playground", "map")
WHOLE = ("atlas", "playground", "map")  # figures whose texts are not cut
# Of a record, what the page needs.
MAP = (
    "points", "groups", "kinds", "facts", "sheets", "chosen", "axes", "group_title", "kind_title",
    "value_title", "beside_title",
)  # fmt: skip
PLAYGROUND = ("models", "text", "parts", "state", "writes", "examples", "task")
MAX_LINE = 1000  # characters of one line of output
MAX_OUTPUT = 20_000  # characters of one output
_MARKS = 6  # ways to mark a text
MAX_ROWS = 50  # rows shown under a chart; the download holds all

_LARGEST = 2**53  # beyond it floats skip integers

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")

Block = dict[str, Any]


def blocks(notebook: dict[str, Any]) -> tuple[list[Block], list[Heading]]:
    """What a page shows of an executed notebook (nbformat 4 JSON), in order, and its headings.

    Returns:
        Blocks with a `type` and what that type's template needs; (level, id, text) of every heading.
    """
    new_id = unique_ids()
    content: list[Block] = []
    headings: list[Heading] = []
    for cell in notebook.get("cells", []):
        source = joined(cell.get("source", ""))
        if cell.get("cell_type") == "markdown":
            html, own = render(source, new_id)
            headings += own
            content.append({"type": "prose", "html": html})
        elif cell.get("cell_type") == "code":
            if source.strip():
                code = Markup(highlight(sanitize(source), PythonLexer(), HtmlFormatter(nowrap=True)))
                content.append({"type": "code", "html": code, "lines": source.strip().count("\n") + 1})
            content += _outputs(cell.get("outputs", []))
    content = _fold(content)
    _number(content, new_id)
    return content, headings


def unique_ids() -> Callable[[str], str]:
    """Return a function that makes a wished id unique by a number where it was given before."""
    given: dict[str, int] = {}

    def new_id(wish: str) -> str:
        given[wish] = given.get(wish, 0) + 1
        return wish if given[wish] == 1 else f"{wish}-{given[wish]}"

    return new_id


def json_script(value: Any) -> Markup:
    """Return JSON that can stand inside a script element: no character that HTML could read."""
    text = json.dumps(plain(value), ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def packed(text: str) -> Markup:
    """Return a text in a third of its size for a script element, from which report.js unpacks it."""
    return Markup(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode())


def _fold(content: Iterable[Block]) -> list[Block]:
    """Join code with code and output with output; code just before a figure goes below it."""
    folded: list[Block] = []
    for block in content:
        last = folded[-1] if folded else {"type": None}
        if block["type"] == last["type"] == "code":
            last["html"] += Markup("\n") + block["html"]
            last["lines"] += block["lines"]
        elif block["type"] == last["type"] == "text" and block["stream"] and last["stream"]:
            last["text"] += block["text"]
        elif block["type"] in FIGURES and last["type"] == "code":
            folded[-1] = {**block, "code": last}
        else:
            folded.append(block)
    for block in folded:
        if block["type"] == "text":
            block["text"] = _readable(block["text"])
    return [block for block in folded if block.get("text") != ""]


def _number(content: list[Block], new_id: Callable[[str], str]) -> None:
    counts = {"Figure": 0, "Table": 0}
    for block in content:
        if block["type"] in FIGURES:
            label = "Table" if block["type"] == "table" else "Figure"
            counts[label] += 1
            block["label"] = f"{label} {counts[label]}"
            block["id"] = new_id(figure_id(block["title"]))


def figure_id(title: str) -> str:
    """Return the id under which a page holds the figure of this title; claims link to it."""
    return f"figure-{slug(title)}"


def _outputs(outputs: Iterable[dict[str, Any]]) -> list[Block]:
    shown = []
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream" and output.get("name") == "stdout":
            shown.append({"type": "text", "stream": True, "text": joined(output.get("text", ""))})
        elif kind == "error":
            shown.append(_error(output))
        elif kind in ("display_data", "execute_result"):
            shown += _display(output.get("data", {}))
    return shown


def _display(data: dict[str, Any]) -> list[Block]:
    """Show our own views; of everything else a PNG or plain text, and of other widgets nothing."""
    record = data.get(VIEW)
    if isinstance(record, dict) and record.get("kind") in FIGURES:
        return [_view(record, data)]
    if WIDGET in data:
        return []
    if "image/png" in data:
        return [{"type": "picture", "png": _base64(data["image/png"])}]
    text = joined(data.get("text/plain", ""))
    return [{"type": "text", "stream": False, "text": text}] if text else []


def _view(record: dict[str, Any], data: dict[str, Any]) -> Block:
    block = {
        "controls": None,
        "code": None,
        "title": "",
        "sentence": "",
        **map_texts(record, partial(sanitize, limit=None if record["kind"] in WHOLE else MAX_OUTPUT)),
        "type": record["kind"],
        "table": None,
        "layout": "",
    }
    if block["type"] == "table":
        block["json"] = json_script({"columns": block["columns"], "rows": block["rows"]})
        block["rows"] = _formatted(block["rows"])
    if block["type"] == "chart":
        spec = map_texts(data.get(VEGALITE, {}), partial(sanitize, limit=MAX_OUTPUT))
        spec = {key: value for key, value in spec.items() if key not in _UNWANTED}
        block["alt"] = block.get("alt") or f"{block['title']}. {block['sentence']}"
        layout = tidy.layout(spec)
        if layout["columns"]:
            block["layout"], block["table"] = json_script(layout), _shown(spec, layout)
        block["spec"] = packed(json_script({**spec, "description": block["alt"]}))
        block["png"] = _base64(data.get("image/png", ""))
    if block["type"] == "atlas":
        block |= _atlas(block)
    if block["type"] == "texts":
        # Runs kept before colours had roles have none.
        block.setdefault("looks", [number % _MARKS for number in range(len(block["kinds"]))])
    if block["type"] == "map":
        block["json"] = json_script({name: block[name] for name in MAP if name in block})
        points, groups = block["points"], block["groups"]
        named = [groups[group]["name"] for group in points["group"]]
        rows = zip(points["title"], named, points["text"], strict=True)
        names = ("title", block["group_title"], "text")
        block["table"] = _dataset([dict(zip(names, row, strict=True)) for row in rows])
    if block["type"] == "playground":
        block["json"] = json_script({name: record[name] for name in PLAYGROUND if name in record})
    return block


def _atlas(record: Block) -> Block:
    names = ("rows", "columns", "classes", "quiet", "size_name", "cells", "chosen", "cards")
    size, classes = record["size_name"], record["classes"]
    rows = [
        {"cell": c["label"], "class": classes[c["class"]], size: c["size"], "what it says": c["tip"]}
        for c in record["cells"]
    ]
    return {
        "json": json_script({name: record[name] for name in names if name in record}),
        "table": _dataset(rows),
    }


# The page prints the title itself; `usermeta` could change how the page draws.
_UNWANTED = {"title", "usermeta", "$schema"}


def _dataset(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[row.get(name) for name in columns] for row in rows[:MAX_ROWS]]
    return {"columns": columns, "rows": _formatted(shown), "count": len(rows)}


def _shown(spec: dict[str, Any], layout: dict[str, Any]) -> dict[str, Any]:
    """The first rows of a chart's data."""
    rows = list(tidy.rows(spec, layout))
    return {"columns": layout["columns"], "rows": _formatted(rows[:MAX_ROWS]), "count": len(rows)}


def _formatted(rows: list[list[Any]]) -> list[tuple[Block, ...]]:
    """Write the values of each column alike: the same number of decimals, four digits that count.

    Whole numbers stay as they are: they may be years or the ids of a table with gaps.
    """
    columns = []
    for values in zip(*rows, strict=False):
        values = _whole(values)
        floats = [f"{value:.4g}" for value in values if isinstance(value, float)]
        plain_floats = all("e" not in text for text in floats)
        decimals = max((len(text.partition(".")[2]) for text in floats), default=0) if plain_floats else None
        columns.append([_written(value, decimals) for value in values])
    return list(zip(*columns, strict=True))


def _whole(values: tuple[Any, ...]) -> list[Any]:
    """A column of numbers without fractions as integers, a gap in which had made it floats."""
    floats = [value for value in values if isinstance(value, float)]
    whole = all(value.is_integer() and abs(value) <= _LARGEST for value in floats)
    return [int(value) if whole and isinstance(value, float) else value for value in values]


def _written(value: Any, decimals: int | None) -> Block:
    if value is None or isinstance(value, bool):
        return {"number": False, "text": {None: "–", True: "yes", False: "no"}[value]}
    if isinstance(value, int | float):
        if isinstance(value, int):
            text = str(value)
        else:
            text = f"{value:.4g}" if decimals is None else f"{value:,.{decimals}f}"
        return {"number": True, "text": text.replace("-", "−")}
    return {"number": False, "text": str(value)}


def _error(output: dict[str, Any]) -> Block:
    return {
        "type": "error",
        "name": sanitize(output.get("ename", "Error"), 200),
        "message": _readable(str(output.get("evalue", ""))),
        "trace": _readable("\n".join(output.get("traceback", []))),
    }


def _readable(text: str) -> str:
    """Strip terminal codes, keep what a line showed last, cut long lines and long texts."""
    lines = (line.rsplit("\r", 1)[-1] for line in _ANSI.sub("", text).replace("\r\n", "\n").split("\n"))
    return sanitize("\n".join(sanitize(line, MAX_LINE) for line in lines).strip("\n"), MAX_OUTPUT)


def _base64(png: str | list[str]) -> str:
    return re.sub(r"[^A-Za-z0-9+/=]", "", joined(png))
