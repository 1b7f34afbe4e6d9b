"""What the parameters that a run leaves open become: sizes of the profile, which the study knows.

Beside the modules of a study that a notebook imports, `studies/<name>/defaults.py` may hold a function
`defaults(params)`: name to value for the parameters that are None. It is imported by that name, so that the
lab knows no study, and it is no part of a run's key.
"""

import ast
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.lab.modules import parse
from workbench.lab.project import Notebook
from workbench.lab.record import note_effective

if TYPE_CHECKING:
    from pydantic import BaseModel

_STUDY = re.compile(r"(?:\w+\.)*studies\.(?!common\b)\w+")


def defaults(notebook: Notebook, params: "BaseModel") -> dict[str, Any]:
    """Name to value for each parameter that is None and becomes something; empty where no study says it.

    The study's modules are imported, which may take seconds.
    """
    study = next(_studies(notebook), None)
    if study is None:
        return {}
    with notebook.importable():
        try:
            module = importlib.import_module(f"{study}.defaults")
        except ModuleNotFoundError as error:
            if f"{study}.defaults".startswith(error.name or "-"):
                return {}
            raise
        values = module.defaults(params)
    return {name: value for name, value in values.items() if getattr(params, name) is None}


def note_defaults(folder: Path, notebook: Notebook | None, params: "BaseModel") -> None:
    """Note in a run's record what the parameters became that were left open."""
    with suppress(Exception):  # a study that cannot say it must not cost the run
        note_effective(folder, defaults(notebook, params) if notebook else {})


def spelled(record: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a run as they are shown: what was left open says what it became, 8,000 (quick)."""
    params, became = record["params"], record.get("effective") or {}
    profile = f" ({params['profile']})" if "profile" in params else ""
    return {
        name: f"{amount(became[name])}{profile}" if value is None and name in became else text(value)
        for name, value in params.items()
    }


def text(value: Any) -> str:
    """A parameter's value as `-p` reads it: none, true, 3, [1, 2]."""
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def amount(value: Any) -> str:
    """A value that a study has chosen: 8,000."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else text(value)


def _studies(notebook: Notebook) -> Iterator[str]:
    """The packages of studies that a notebook imports, its own first."""
    for tree in map(parse, notebook.code()):
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from (match[0] for match in map(_STUDY.match, names) if match)
