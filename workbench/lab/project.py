"""A project on disk: its notebooks, what each declares and needs, and the key of a run of one."""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError, nearest
from workbench.lab.digests import canonical, digest
from workbench.lab.hub import planned_revisions
from workbench.lab.key import drawn_digest, key_parts
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from pydantic import BaseModel


_CONDITION = re.compile(r"(?P<parameter>\w+) ?(?P<sign>!?=) ?(?P<patterns>.+)")


@dataclass(frozen=True)
class Notebook:
    """One notebook as it stands on disk, read as plain JSON."""

    path: Path
    cells: list[dict[str, Any]]
    metadata: dict[str, Any]
    beside: Path | None = None  #: The folder of a copy that is not among the project's notebooks

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.path.parent.parent

    @property
    def folders(self) -> list[Path]:
        """Where the modules of the user's own lie that the notebook may import."""
        return [self.root, self.path.parent, *filter(None, [self.beside]), self.root / "src"]

    @cached_property
    def model(self) -> "type[BaseModel]":
        """The pydantic model that the parameters cell declares."""
        from workbench.lab.params import model_of

        tagged = [cell for cell in self.cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
        return model_of(source_of(tagged[0]) if tagged else "", self.name)

    @cached_property
    def key_parts(self) -> dict[str, Any]:
        """What its code contributes to the key of its runs."""
        return key_parts(self.code(), self.folders)

    @cached_property
    def drawn(self) -> str:
        """What an executed copy shows, prose and pictures included, as a digest."""
        cells = [(cell["cell_type"], source_of(cell)) for cell in self.cells]
        return drawn_digest(cells, self.folders)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let the modules of the user's own be imported, as the notebook itself does."""
        before = list(sys.path)
        sys.path += [str(folder) for folder in self.folders]
        importlib.invalidate_caches()  # one may have been written a moment ago
        try:
            yield
        finally:
            sys.path[:] = before

    def code(self) -> list[str]:
        """The source of every code cell."""
        return [source_of(cell) for cell in self.cells if cell["cell_type"] == "code"]


@dataclass(frozen=True)
class Plan:
    """A run before it runs: validated parameters, the parts that its key is made of, its inputs' keys."""

    notebook: Notebook
    params: "BaseModel"
    parts: dict[str, Any]

    @property
    def key(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the parts."""
        return digest(canonical(self.parts))[:12]

    @property
    def folder(self) -> Path:
        """Where this run lives."""
        return runs_folder(self.notebook.root) / self.notebook.name / self.key


def find_root(start: Path | None = None) -> Path:
    """The nearest folder, here or above, that holds `notebooks/`.

    Raises:
        UserError: There is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir():
            return folder
    raise UserError(
        f"No notebooks/ folder in {here} or above it: change to the project's folder, or make one with"
        " `workbench init my-lab`."
    )


def runs_folder(root: Path | None = None) -> Path:
    """`$WORKBENCH_RUNS`, which needs no project around it, or runs/ in the project."""
    return Path(os.environ.get("WORKBENCH_RUNS") or (root or find_root()) / "runs").absolute()


def notebook_paths(root: Path) -> list[Path]:
    """Every notebook of the project, in the order of their names."""
    return sorted(path for path in (root / "notebooks").glob("*.ipynb") if not path.name.startswith("."))


def find_notebook(root: Path, asked: str) -> Notebook:
    """Find a notebook by name (02_tiny_models), number (02), words (tiny_models) or path.

    Raises:
        UserError: No notebook, or more than one, answers to it; the near name is given.
    """
    paths = notebook_paths(root)
    as_path = os.path.realpath(asked)
    for wanted in (
        lambda path: os.path.realpath(path) == as_path or path.stem == asked,
        lambda path: asked in (path.stem.partition("_")[0], path.stem.partition("_")[2]),
    ):
        matches = [path for path in paths if wanted(path)]
        if len(matches) == 1:
            return read_notebook(matches[0])
        if matches:
            several = " and ".join(path.stem for path in matches)
            raise UserError(f"{asked} may be {several}: give the whole name.")
    names = [path.stem for path in paths]
    near = nearest(asked, [*names, *(name.partition("_")[2] for name in names)])
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}."
    raise UserError(f"There is no notebook {asked} in {root.name}/notebooks: {hint}")


def read_notebook(path: Path) -> Notebook:
    """Read a notebook file without nbformat, which takes longer to import than a cached run takes.

    Raises:
        UserError: The file is not a notebook, or has a name that a run cannot have.
    """
    from workbench.lab.schema import is_name, read_cells

    if not is_name(path.stem) or path.stem == "reports":  # that folder holds the pages
        raise UserError(f"{sanitize(path.name)} cannot name its runs: rename the notebook.")
    content = read_cells(path, follow=True)
    return Notebook(path, content["cells"], content.get("metadata", {}).get("workbench", {}))


def source_of(cell: Mapping[str, Any]) -> str:
    """A cell's source, which a notebook keeps as text or as a list of lines."""
    return joined(cell.get("source", ""))


def joined(text: str | list[str]) -> str:
    """A text of a notebook file, which may be a list of its lines."""
    return text if isinstance(text, str) else "".join(text)


def plan(notebook: Notebook, values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Plan:
    """Validate parameters and work out the key, with the keys of everything the notebook needs.

    Args:
        values: The parameters given, of the right types already.
        above: The notebooks that led here, to notice a circle.

    Raises:
        UserError: A parameter is unknown or invalid, or the needs form a circle.
    """
    from workbench.lab.params import check, content

    params = check(notebook.model, values, notebook.name)
    inputs = {need.notebook.name: need.key for need in needed(notebook, params, above)}
    parts = notebook.key_parts | {"parameters": content(params), "inputs": inputs}
    commits = planned_revisions(params)
    parts |= {"revisions": commits} if commits else {}
    return Plan(notebook, params, parts)


def needed(notebook: Notebook, params: "BaseModel", above: tuple[str, ...] = ()) -> list[Plan]:
    """The plans of what a notebook needs; set parameters that those notebooks also declare flow up."""
    if notebook.name in above:
        raise UserError(f"Notebooks need each other in a circle: {' → '.join((*above, notebook.name))}.")
    above = (*above, notebook.name)
    return [plan(upstream, shared, above) for upstream, shared in needs(notebook, params)]


def needs(notebook: Notebook, params: "BaseModel") -> list[tuple[Notebook, dict[str, Any]]]:
    """What a notebook needs with these parameters: notebooks, and the values that flow up to each."""
    from workbench.lab.params import changed

    upstreams = []
    for need in notebook.metadata.get("needs", ()):
        if (name := _wanted(need, params, notebook.name)) is not None:
            upstream = find_notebook(notebook.root, name)
            known = upstream.model.model_fields.keys() - {"placebo"}  # what is compared, not what it needs
            upstreams.append((upstream, {k: v for k, v in changed(params).items() if k in known}))
    return upstreams


def _wanted(need: str, params: "BaseModel", notebook: str) -> str | None:
    """The notebook that a need names, if these parameters need it.

    Args:
        need: Such as 01_stories, or 02_tiny_models if model=ladder,tiny:*, or
            02_tiny_models if profile=laptop and model!=tiny:*.
    """
    from workbench.lab.schema import is_name

    name, _, conditions = need.partition(" if ")
    matches = [_CONDITION.fullmatch(part) for part in conditions.split(" and ")] if conditions else []
    known = type(params).model_fields
    if not is_name(name) or any(match is None or match["parameter"] not in known for match in matches):
        form = "NOTEBOOK, or NOTEBOOK if PARAMETER=VALUE,VALUE, or with !=, or two of these with `and`"
        raise UserError(f"{notebook} needs `{sanitize(need)}`: write {form}.")
    return name if all(_holds(match, params) for match in matches if match) else None


def _holds(condition: re.Match[str], params: "BaseModel") -> bool:
    value = str(getattr(params, condition["parameter"]))
    fits = any(fnmatchcase(value, pattern.strip()) for pattern in condition["patterns"].split(","))
    return fits == (condition["sign"] == "=")
