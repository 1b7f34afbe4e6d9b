"""The notebook that a kernel runs outside `workbench run`, and whether its cells are those of the file."""

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.lab.key import Code
from workbench.lab.modules import PACKAGE, parse
from workbench.lab.project import Notebook, find_notebook, read_notebook, source_of

_SAYS_SO = re.compile(r"\bstart\(|\brun\.(?:input|table|rows|artifact|log|claim|finish)\(")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTED: dict[str, str] = {}  # by file: what the modules of this process were in the key of their first run


def running_notebook(root: Path, asked: str, namespace: Mapping[str, Any]) -> Notebook:
    """The notebook whose cells run: the file that JupyterLab or an editor has open, else the one asked for.

    A copy that still asks for the notebook it was made from is a notebook of its own, with runs of its own.

    Args:
        asked: The name that the start cell gives.
        namespace: The kernel's `globals()`.

    Raises:
        UserError: There is no such notebook.
    """
    study = find_notebook(root, asked)
    executed = _history(namespace)()
    for path in _open_files(namespace):
        try:
            opened = read_notebook(path)
        except UserError:
            continue
        if executed and path != study.path.resolve() and _holds(opened, executed[-1]):
            here, there = (f"{file.parent.name}/{file.name}" for file in (path, study.path))
            print(f"{here} is not {there}, for which it asks: it has runs of its own.")
            return replace(opened, path=root / "notebooks" / path.name, beside=path.parent)
    return study


def check_modules(notebook: Notebook) -> None:
    """Check that modules which a kernel imported for an earlier run are still as their files are.

    Raises:
        UserError: One was edited: the kernel would compute with what it was, under the key of what it is.
    """
    for file, digest in _module_files(notebook):
        if _IMPORTED.get(file, digest) != digest:
            raise UserError(
                f"{Path(file).name} was edited after this kernel had imported it: restart the kernel, and run"
                " the notebook from the top."
            )


class Session:
    """The cells that a kernel has executed, held against those that a run was planned with.

    Attributes:
        file: The notebook file that a front end has open; None without one.
    """

    def __init__(self, notebook: Notebook, namespace: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._notebook, self._namespace = notebook, namespace
        self._values = deepcopy(dict(values))
        self._history = _history(namespace)
        self.file = next(_open_files(namespace), None)
        self._code = Code(notebook.code())
        self._planned = {self._code.shape(source) for source in notebook.code()}
        computing = [  # all but the parameters cell
            source_of(cell)
            for cell in notebook.cells
            if cell["cell_type"] == "code" and "parameters" not in cell.get("metadata", {}).get("tags", [])
        ]
        self._computing = {self._code.shape(source) for source in computing}
        self._reused = set(_setters(computing))
        self._used = {
            node.id
            for text in notebook.code()
            for node in ast.walk(parse(text))
            if isinstance(node, ast.Name)
        }
        self._n_before = len(self._history())
        self._n_checked = 0
        self._events = getattr(_shell(namespace), "events", None)
        if self._events is not None:
            self._events.register("pre_run_cell", self._warn)

    def end(self) -> None:
        """Say no more when cells run, and note which modules the kernel has by now."""
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        for file, digest in _module_files(self._notebook):
            if file in files:
                _IMPORTED.setdefault(file, digest)
        if self._events is not None:
            self._events.unregister("pre_run_cell", self._warn)
            self._events = None

    def check_parameters(self) -> None:
        """Check that the parameters are those that the run was opened with.

        Raises:
            UserError: One was set to another value since.
        """
        if sentence := self._changed():
            raise UserError(sentence)

    def check(self) -> None:
        """Check that what the notebook computes now is what its run was planned with.

        The cell that runs must be one of the planned cells, and so must the last that set each name which
        they use; other cells, which only look at something, do no harm.

        Raises:
            UserError: The notebook was edited since, or not saved before, or a parameter was set anew.
        """
        self.check_parameters()
        executed = self._history()
        if len(executed) == self._n_checked:
            return
        setters = _setters(executed)
        numbers = {n for name, n in setters.items() if name in self._used and not self._is_parameter(name, n)}
        for number in sorted({*numbers, len(executed) - 1} - {-1}):
            if self._code.shape(executed[number]) not in self._planned:
                raise UserError(self._sentence(executed[number]))
        self._n_checked = len(executed)

    def _is_parameter(self, name: str, number: int) -> bool:
        """Whether a cell set a parameter before the run was opened, which knows its value."""
        return number < self._n_before and name in self._notebook.model.model_fields

    def _changed(self) -> str | None:
        """What to do where a parameter has another value than the run; None where none has."""
        names = [
            name
            for name, value in self._values.items()
            if not _same(self._namespace.get(name), value) and not self._is_reused(name)
        ]
        if not names:
            return None
        return (
            f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} changed since the run was opened:"
            " run the cell with `workbench.start` again, and then those after it."
        )

    def _is_reused(self, name: str) -> bool:
        """Whether a cell of the notebook set a parameter's name to something else, as far as is known."""
        executed = self._history()
        number = _setters(executed).get(name)
        if number is None:  # no history is kept
            return name in self._reused
        return self._code.shape(executed[number]) in self._computing

    def _warn(self, info: Any) -> None:
        """Say above what a cell shows that it is of other parameters, unless it opens a run or will fail."""
        if not _SAYS_SO.search(info.raw_cell or "") and (sentence := self._changed()):
            print(sentence, file=sys.stderr)

    def _sentence(self, source: str) -> str:
        begin = next((line.strip()[:60] for line in source.splitlines() if line.strip()), "")
        return (
            f"The cell that begins with `{begin}` is not in {self._notebook.path.name} as it was when its"
            " run was opened: save the notebook and run it from the first cell; edited code gets its own run."
        )


def _module_files(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Where the modules behind a notebook may lie, with their digests in its key."""
    for name, digest in notebook.key_parts["code"].items():
        yield from ((str(folder / name), digest) for folder in {notebook.root, PACKAGE.parent})


def _history(namespace: Mapping[str, Any]) -> Callable[[], list[str]]:
    """What gives the cells executed so far, as they were written, the one that runs now last."""
    manager = getattr(_shell(namespace), "history_manager", None)
    # Element 0 is empty: IPython counts cells from 1.
    return lambda: list(getattr(manager, "input_hist_raw", None) or namespace.get("In", [""]))[1:]


def _shell(namespace: Mapping[str, Any]) -> Any:
    """The IPython that runs the notebook; None where another thing does."""
    return namespace["get_ipython"]() if callable(namespace.get("get_ipython")) else None


def _open_files(namespace: Mapping[str, Any]) -> Iterator[Path]:
    """The notebook files that VS Code, JupyterLab or the Jupyter server say this kernel belongs to."""
    texts = [namespace.get(name) for name in ("__vsc_ipynb_file__", "__session__")]
    for text in (*texts, os.environ.get("JPY_SESSION_NAME")):
        if isinstance(text, str) and text.endswith(".ipynb") and os.path.isfile(text):
            yield Path(text).resolve()


def _holds(notebook: Notebook, source: str) -> bool:
    code = Code(notebook.code())
    return code.shape(source) in map(code.shape, notebook.code())


def _names_set(tree: ast.Module) -> set[str]:
    """Names that a cell sets or changes outside functions and classes."""
    names = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, _SCOPES):
            names.add(node.name)
            continue
        if isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
            names |= _root(node)
        elif isinstance(node, ast.Call) and any(option.arg == "inplace" for option in node.keywords):
            names |= _root(node.func)
        if not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return names


def _same(value: Any, other: Any) -> bool:
    """Whether two values are equal, of which one may be a table."""
    return type(value) is type(other) and bool(value == other)


def _setters(executed: Sequence[str]) -> dict[str, int]:
    """The number of the cell that set each name last."""
    return {name: n for n, source in enumerate(executed) for name in _names_set(parse(source))}


def _root(node: ast.AST) -> set[str]:
    """The name that an assignment to an attribute or an item changes."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
