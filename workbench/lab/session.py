"""The notebook that a kernel runs outside `workbench run`, and whether its cells are those of the file."""

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.lab.key import Code
from workbench.lab.modules import parse
from workbench.lab.project import Notebook, find_notebook, read_notebook

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


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


class Session:
    """The cells that a kernel has executed, held against those that a run was planned with."""

    def __init__(self, notebook: Notebook, namespace: Mapping[str, Any]) -> None:
        self._notebook = notebook
        self._history = _history(namespace)
        self._code = Code(notebook.code())
        self._planned = {self._code.shape(source) for source in notebook.code()}
        self._used = {
            node.id
            for text in notebook.code()
            for node in ast.walk(parse(text))
            if isinstance(node, ast.Name)
        }
        self._n_before = len(self._history())
        self._n_checked = 0

    def check(self) -> None:
        """Check that what the notebook computes now is what its run was planned with.

        The cell that runs must be one of the planned cells, and so must the last that set each name which
        they use; other cells, which only look at something, do no harm.

        Raises:
            UserError: The notebook was edited since, or not saved before.
        """
        executed = self._history()
        if len(executed) == self._n_checked:
            return
        setters = {name: n for n, source in enumerate(executed) for name in _names_set(parse(source))}
        numbers = {n for name, n in setters.items() if name in self._used and not self._is_parameter(name, n)}
        for number in sorted({*numbers, len(executed) - 1} - {-1}):
            if self._code.shape(executed[number]) not in self._planned:
                raise UserError(self._sentence(executed[number]))
        self._n_checked = len(executed)

    def _is_parameter(self, name: str, number: int) -> bool:
        """Whether a cell set a parameter before the run was opened, which knows its value."""
        return number < self._n_before and name in self._notebook.model.model_fields

    def _sentence(self, source: str) -> str:
        begin = next((line.strip()[:60] for line in source.splitlines() if line.strip()), "")
        return (
            f"The cell that begins with `{begin}` is not in {self._notebook.path.name} as it was when its"
            " run was opened: save the notebook and run it from the first cell; edited code gets its own run."
        )


def _history(namespace: Mapping[str, Any]) -> Callable[[], list[str]]:
    """What gives the cells executed so far, as they were written, the one that runs now last."""
    shell = namespace["get_ipython"]() if callable(namespace.get("get_ipython")) else None
    manager = getattr(shell, "history_manager", None)
    # Element 0 is empty: IPython counts cells from 1.
    return lambda: list(getattr(manager, "input_hist_raw", None) or namespace.get("In", [""]))[1:]


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
    names, waiting = set(), list(tree.body)
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


def _root(node: ast.AST) -> set[str]:
    """The name that an assignment to an attribute or an item changes."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
