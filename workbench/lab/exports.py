"""A run's parameters, claims, metrics and tables as CSV, JSON, LaTeX or parquet: titled, with units."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import files
from workbench.lab import digests, latex, ledger, ledger_files
from workbench.lab.record import read_run
from workbench.sanitize import redact, redact_keys, sanitize

if TYPE_CHECKING:
    import pandas as pd

_UNITS = {
    "loss": "nats per token",
    "nats_per_token": "nats per token",
    "bits_per_byte": "bits per byte",
    "tokens": "tokens",
    "tokens_per_second": "tokens per second",
    "seconds": "seconds",
    "time": "seconds since 1970",
    "share": "share, 0 to 1",
    "accuracy": "share, 0 to 1",
    "low": "lower end of the 95 % interval",
    "high": "upper end of the 95 % interval",
}
_OF_CLAIMS = dict.fromkeys(("effect", "published", "detectable"), "in the claim's unit")
_ROWS = 40  # of a table in LaTeX
_OTHERS = ("parameters", "claims", "metrics", "document")  # what a table may be named like
_TYPES = {"i": "integer", "u": "integer", "f": "number", "b": "boolean", "M": "datetime"}


@dataclass(frozen=True)
class Sheet:
    """One table of a run, as it is exported."""

    name: str  #: That of its file
    title: str
    frame: "pd.DataFrame"
    units: dict[str, str] = field(default_factory=dict)  #: By column; what is a word or a count has none

    @property
    def short_name(self) -> str:
        """Its name without the folder, unless something else of the export is named so."""
        folder, _, name = self.name.rpartition("/")
        return f"{folder}-{name}" if folder and name in _OTHERS else name

    @property
    def heads(self) -> list[str]:
        """The columns, each with its unit where its name does not say it."""
        units = {name: unit for name, unit in self.units.items() if unit != name.replace("_", " ")}
        return [f"{name} ({units[name]})" if name in units else str(name) for name in self.frame]

    @property
    def fields(self) -> list[dict[str, str]]:
        """The columns as a Table Schema (Frictionless) has them."""
        kinds = {name: _TYPES.get(self.frame[name].dtype.kind, "string") for name in self.frame}
        return [
            {"name": str(name), "type": kind} | ({"unit": self.units[name]} if name in self.units else {})
            for name, kind in kinds.items()
        ]


# ------------------------------------------------------------------------------- what there is
def sheets(folder: Path) -> Iterator[Sheet]:
    """The parameters, claims, metrics and tables of a run, one after the other; keys in texts are blanked.

    Raises:
        UserError: A file of the run cannot be read.
    """
    import pandas

    run, title = _run(folder), _title(folder)
    rows = [{"parameter": name, "value": json.dumps(value)} for name, value in run["params"].items()]
    yield _sheet("parameters", f"Parameters of {title}", pandas.DataFrame(rows))
    claims = [ledger_files.record(line) for line in ledger.lines([folder])]
    frame = pandas.DataFrame(claims, columns=list(ledger_files.COLUMNS))
    sheet = _sheet("claims", f"Claims of {title}", frame)
    yield replace(sheet, units=sheet.units | _OF_CLAIMS)
    if metrics := _metrics(folder):
        yield _sheet("metrics", f"What was logged in {title}", pandas.DataFrame(metrics))
    for path in sorted((folder / "tables").glob("[!.]*.parquet")):
        words = path.stem.replace("_", " ").replace("-", " ")
        yield _sheet(path.stem, f"{words.capitalize()}, of {title}", files.read_table(path), "tables/")


def _run(folder: Path) -> dict[str, Any]:
    """The record, without the passwords and keys that parameters may hold."""
    run = read_run(folder)
    return run | {"params": digests.map_texts(run["params"], redact)}


def _title(folder: Path) -> str:
    run = read_run(folder)
    return f"{sanitize(run['title'], 200) or run['notebook']} ({run['notebook']}, run {run['key']})"


def _sheet(name: str, title: str, frame: "pd.DataFrame", within: str = "") -> Sheet:
    texts = {column: frame[column].map(_text) for column in frame if frame[column].dtype.kind == "O"}
    frame = frame.assign(**{str(column): values for column, values in texts.items()})
    units = {name: _unit(name) for name in map(str, frame)}
    return Sheet(within + name, title, frame, {name: unit for name, unit in units.items() if unit})


def _text(value: Any) -> Any:
    """A cell of a column of texts: lists and the like as JSON."""
    if isinstance(value, str):
        return redact_keys(value)
    if hasattr(value, "tolist") or isinstance(value, list | dict | tuple):
        return redact_keys(json.dumps(files.plain(value), ensure_ascii=False))
    return value


def _unit(name: str) -> str:
    if name in _UNITS:
        return _UNITS[name]
    unit = re.search(r"(?:^|_)(nats|bits|seconds)$", name)
    return unit[1] if unit else ""


def _metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; one that a kill has cut is left out."""
    path = folder / "metrics.jsonl"
    rows = []
    for text in files.read_bytes(path).decode("utf-8", "replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(text)
        except ValueError:
            continue
        rows += [digests.map_texts(row, sanitize)] if isinstance(row, dict) else []
    return rows


# ------------------------------------------------------------------------------- as files
def write(folder: Path, form: str, target: Path) -> Path:
    """Write a run in one of `FORMS`.

    Args:
        folder: Of the run.
        form: csv, json, latex or parquet.
        target: A folder; of JSON the file.

    Returns:
        What to open first.

    Raises:
        UserError: A file of the run cannot be read, or the target not be written.
    """
    return FORMS[form](folder, target)


def _csv(folder: Path, target: Path) -> Path:
    """A file a table, and datapackage.json, which says what they are (https://datapackage.org)."""
    resources = []
    for sheet in sheets(folder):
        texts = [name for name in sheet.frame if sheet.frame[name].dtype.kind == "O"]
        frame = sheet.frame.assign(**{name: sheet.frame[name].map(_spreadsheet) for name in texts})
        frame = frame.rename(columns=_spreadsheet)
        files.atomic_write(target / f"{sheet.name}.csv", files.encoded(frame.to_csv(index=False)))
        resources.append({
            "name": sheet.name.lower().replace("/", "-"),
            "path": f"{sheet.name}.csv",
            "title": sheet.title,
            "format": "csv",
            "schema": {"fields": sheet.fields},
        })  # fmt: skip
    files.write_json(target / "datapackage.json", _about(folder) | {"resources": resources})
    return target / "datapackage.json"


def _spreadsheet(value: Any) -> Any:
    """A text that hides nothing, and that no spreadsheet computes."""
    return ledger_files.cell(sanitize(value)) if isinstance(value, str) else value


def _json(folder: Path, target: Path) -> Path:
    """One file: about the run, then each table with its title, its columns and its rows."""
    tables = {
        sheet.name: {
            "title": sheet.title,
            "fields": sheet.fields,
            "rows": [dict(zip(sheet.frame, row, strict=True)) for row in sheet.frame.itertuples(index=False)],
        }
        for sheet in sheets(folder)
    }
    files.write_json(target, _about(folder) | {"tables": tables})
    return target


def _latex(folder: Path, target: Path) -> Path:
    """A file a table, to be put into a paper, and document.tex, which holds all and compiles as it stands."""
    inputs = []
    for sheet in sheets(folder):
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", sheet.short_name)
        if sheet.name == "claims":
            text = ledger_files.as_latex(ledger.lines([folder]))
        else:
            text = _latex_table(sheet, f"tab:{name}")
        files.atomic_write(target / f"{name}.tex", text.encode())
        inputs.append(rf"\input{{{name}}}")
    head = [
        r"\documentclass{article}",
        latex.PACKAGES,
        r"\usepackage[a4paper,landscape,margin=1.5cm]{geometry}",
        rf"\title{{{latex.latex(_title(folder))}}}\date{{}}",
        r"\begin{document}\maketitle\footnotesize",
    ]
    lines = [*head, *inputs, r"\end{document}", ""]
    files.atomic_write(target / "document.tex", "\n".join(lines).encode())
    return target / "document.tex"


def _latex_table(sheet: Sheet, label: str) -> str:
    if sheet.name == "metrics":
        sheet = _last_metrics(sheet)
    caption = sheet.title
    if len(sheet.frame) > _ROWS:
        caption = f"{caption}: the first {_ROWS} of {len(sheet.frame):,} rows"
    sheet = replace(sheet, frame=sheet.frame.head(_ROWS))
    return latex.table(sheet.frame, sheet.heads, sanitize(caption), label)


def _last_metrics(sheet: Sheet) -> Sheet:
    """What each training logged last, a column a training: the lines have too many values for a page."""
    frame = sheet.frame.drop(columns="time", errors="ignore")
    groups = [name for name in frame if frame[name].dtype.kind == "O" or name == "seed"]
    names = frame[groups].astype(str).agg(", ".join, axis=1) if groups else frame.index.map(lambda _: "value")
    last = frame.drop(columns=groups).assign(name=list(names)).groupby("name", sort=False).last().T
    heads = replace(sheet, frame=last.T).heads
    shown = last.set_axis(heads, axis=0).rename_axis("last logged", axis=0).reset_index()
    return Sheet(sheet.name, f"{sheet.title}: the last of each training", shown)


def _parquet(folder: Path, target: Path) -> Path:
    for sheet in sheets(folder):
        write_parquet(sheet, target / f"{sheet.name}.parquet")
    return target


def write_parquet(sheet: Sheet, path: Path) -> None:
    """Write a table, with its title in the file's metadata and its units in the columns'."""
    import pyarrow
    import pyarrow.parquet

    arrow = pyarrow.Table.from_pandas(sheet.frame, preserve_index=False)
    columns = [
        column.with_metadata({"unit": sheet.units[column.name]}) if column.name in sheet.units else column
        for column in arrow.schema
    ]
    about = {**(arrow.schema.metadata or {}), b"title": sheet.title.encode()}
    with files.atomic_file(path) as new:
        pyarrow.parquet.write_table(arrow.cast(pyarrow.schema(columns, about)), new)


def _about(folder: Path) -> dict[str, Any]:
    run = _run(folder)
    kept = ("notebook", "key", "params", "seed", "inputs", "revisions", "workbench", "started", "finished")
    name = f"{run['notebook']}-{run['key']}".lower()
    return {"name": name, "title": _title(folder)} | {name: run.get(name) for name in kept}


FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "csv": _csv, "json": _json, "latex": _latex, "parquet": _parquet
}  # fmt: skip
