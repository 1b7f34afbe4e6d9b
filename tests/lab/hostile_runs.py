"""Run folders that strangers may leave among our own: every file of one damaged, forged, or replaced."""

import itertools
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet

Change = Callable[[Path, Path], None]  # of a run folder; the other folder is one that nobody may write in

FILES = ("run.json", "claims.json", "notebook.ipynb", "metrics.jsonl", "tables/answers.parquet")
STEERING = "\x1b[2J\x1b]0;title\x07\u202e"
BYTES = {
    "empty": b"",
    "half": None,
    "not UTF-8": b"\xff\xfe\x00{",
    "NUL": b"\x00" * 100,
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "a number": b"3",
    "a text": b'"x"',
    "a list of numbers": b"[1, 2, null]",
    "schema alone": b'{"schema": 1}',
    "schema and notebook": b'{"schema": 1, "notebook": "01_study"}',
    "deep": b"[" * 100_000,
    "deep and whole": b'{"schema": 1, "notebook": "01_study", "x": ' + b"[" * 900 + b"]" * 900 + b"}",
    "long integer": b'{"schema": 1, "n": ' + b"9" * 5000 + b"}",
    "NaN": b'{"schema": NaN, "cells": NaN}',
    "merge": b'<<<<<<< HEAD\n{"schema": 1}\n=======\n',
}
VALUES = {
    "null": None,
    "an integer beyond floats": 10**400,
    "a path": "../../outside/x",
    "an absolute path": "/tmp/x",
    "a script": "javascript:alert(1)",
    "steering": STEERING,
    "half a surrogate pair": "\ud800",
    "markup": "[/INST][bold]",
    "html": "</script><script>alert(1)</script>",
    "a list": [],
    "an object": {},
    "a list of lists": [[1, [2]]],
    "an object in a list": [{"a": {"b": None}}],
    "true": True,
    "minus one": -1,
    "infinity": 1e999,
    "a long text": "x" * 300_000,
    "another schema": 2,
    "a far time": "9999-12-31T23:59:59.999+00:00",
    "an early time": "0001-01-01T00:00:00+00:00",
}
VIEW = "application/vnd.workbench.view+json"
FIELDS = {
    "run.json": "schema notebook key title status params set seed inputs parts drawn environment started"
    " finished seconds error params/seed inputs/01_study parts/code parts/parameters"
    " parts/inputs environment/git",
    "claims.json": "0 0/name 0/says 0/paper 0/effect 0/low 0/high 0/n 0/unit 0/view",
    "notebook.ipynb": "cells metadata cells/0 cells/1/source cells/1/cell_type cells/1/metadata"
    " cells/1/metadata/tags cells/3/outputs cells/3/outputs/0 cells/3/outputs/0/data"
    " cells/3/outputs/0/data/VIEW cells/3/outputs/0/data/VIEW/kind cells/3/outputs/0/data/VIEW/rows"
    " cells/3/outputs/0/data/VIEW/title"
    " cells/3/outputs/1/text cells/3/outputs/1/name cells/3/outputs/1/output_type metadata/workbench",
    "metrics.jsonl": "step loss model time",
}
NAMES = [
    "k\x1b[2Jk",
    "k\nk",
    "[/INST]",
    "-rf",
    "k" * 200,
    "\u202ekey",
    "k k",
    "k'\"$(id)",
    "ключ",
    "k%00",
    "k.html",
]


def hostile(seed: int, count: int) -> list[tuple[str, str, Change]]:
    """Some of all that can be done to a run folder: what, the folder's name or "", and what does it."""
    groups = [list(_bytes()), list(_kinds()), list(_tables()), list(_names()), list(_fields())]
    chooser = random.Random(seed)
    for group in groups:
        chooser.shuffle(group)
    mixed = [case for row in itertools.zip_longest(*groups) for case in row if case is not None]
    return mixed[:count]


def _bytes() -> Iterator[tuple[str, str, Change]]:
    for (what, data), name in itertools.product(BYTES.items(), FILES):

        def change(folder: Path, outside: Path, data: bytes | None = data, name: str = name) -> None:
            whole = (folder / name).read_bytes()
            (folder / name).write_bytes(whole[: len(whole) // 2] if data is None else data)

        yield f"{name}: {what}", "", change


def _kinds() -> Iterator[tuple[str, str, Change]]:
    """Something else where a file or a folder should be."""
    for kind, name in itertools.product(
        _REPLACED, [*FILES, "log.txt", "tables", "artifacts", ".notebook.part.ipynb"]
    ):

        def change(folder: Path, outside: Path, kind: str = kind, name: str = name) -> None:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            _REPLACED[kind](path, outside)

        yield f"{name}: {kind}", "", change
    for role, kind in itertools.product(("runner", "writer"), ("a link out", "a pipe", "a folder")):

        def lock(folder: Path, outside: Path, kind: str = kind, role: str = role) -> None:
            _REPLACED[kind](folder.parent / f".{folder.name}.{role}.lock", outside)
            _set(folder / "run.json", ["status"], "running")

        yield f"{role}.lock: {kind}", "", lock


def _sparse(path: Path, outside: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(5 * 2**30)


_REPLACED: dict[str, Callable[[Path, Path], Any]] = {
    "a link out": lambda path, outside: path.symlink_to(outside / "secret.json"),
    "a link to a folder": lambda path, outside: path.symlink_to(outside),
    "a link to nothing": lambda path, outside: path.symlink_to(outside / "none"),
    "a link to itself": lambda path, outside: path.symlink_to(path),
    "a link to zeros": lambda path, outside: path.symlink_to("/dev/zero"),
    "a pipe": lambda path, outside: os.mkfifo(path),
    "a folder": lambda path, outside: path.mkdir(),
    "five gigabytes": _sparse,
    "not readable": lambda path, outside: (path.write_text("{}"), path.chmod(0)),
}


def _tables() -> Iterator[tuple[str, str, Change]]:
    frames = {
        "numbers as names": pandas.DataFrame({0: [1], 1: [2]}),
        "no rows": pandas.DataFrame({"item": [], "score": []}),
        "lists": pandas.DataFrame({"item": [[1], [2]], "score": [{"a": 1}, {"b": 2}]}),
        "bytes": pandas.DataFrame({"item": [b"\xff", b"a"], "score": [1, 2]}),
        "infinities": pandas.DataFrame({"item": [1, 2], "score": [float("inf"), float("nan")]}),
        "steering": pandas.DataFrame({"item": [STEERING, "[/b]"], STEERING: [1.0, 2.0]}),
        "times": pandas.DataFrame(
            {"item": [1, 2], "score": pandas.to_datetime(["1700-01-01", "2200-01-01"])}
        ),
        "the same item twice": pandas.DataFrame({"item": [1, 1], "score": [1.0, 2.0]}),
    }
    for what, frame in frames.items():

        def change(folder: Path, outside: Path, frame: pandas.DataFrame = frame) -> None:
            table = pyarrow.Table.from_pandas(frame.rename(columns=str), preserve_index=False)
            pyarrow.parquet.write_table(table, folder / "tables" / "answers.parquet")

        yield f"a table of {what}", "", change

    def bomb(folder: Path, outside: Path) -> None:
        rows = pyarrow.table(
            {name: pyarrow.repeat("x", 10_000_000).dictionary_encode() for name in "abcdefghijk"}
        )
        pyarrow.parquet.write_table(rows, folder / "tables" / "answers.parquet")

    yield "a table of 110 million values", "", bomb

    def names(folder: Path, outside: Path) -> None:
        shutil.copy(folder / "tables" / "answers.parquet", folder / "tables" / f"{STEERING}.parquet")

    yield "a table with a steering name", "", names


def _names() -> Iterator[tuple[str, str, Change]]:
    for name in NAMES:
        yield f"a folder called {name!r}", name, lambda folder, outside: None


def _fields() -> Iterator[tuple[str, str, Change]]:
    for name, fields in FIELDS.items():
        for field, (what, value) in itertools.product(fields.split(), {**VALUES, "absent": ...}.items()):
            steps = [VIEW if step == "VIEW" else step for step in field.split("/")]
            yield f"{name}: {field} is {what}", "", partial(_set_in, name=name, steps=steps, value=value)


def _set_in(folder: Path, outside: Path, name: str, steps: list[str], value: Any) -> None:
    _set(folder / name, steps, value)


def _set(path: Path, steps: list[str], value: Any) -> None:
    content = json.loads(path.read_text().splitlines()[0] if path.suffix == ".jsonl" else path.read_text())
    inner = content
    for step in steps[:-1]:
        inner = inner[int(step) if isinstance(inner, list) else step]
    last: Any = int(steps[-1]) if isinstance(inner, list) else steps[-1]
    if value is ...:
        inner.pop(last, None) if isinstance(inner, dict) else inner.pop(last)
    else:
        inner[last] = value
    path.write_text(json.dumps(content) + "\n")
