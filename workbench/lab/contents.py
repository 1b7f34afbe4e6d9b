"""Notebooks of a project in JupyterLab: the file holds what its author wrote, its outputs lie among the runs.

So git sees what was edited and nothing else, and whoever opens the notebook again sees its figures. A widget
needs the kernel that made it: what is kept is the picture beside it.
"""

import shutil
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from workbench.errors import UserError
from workbench.files import atomic_write
from workbench.lab.project import runs_folder

OUTPUTS = ".outputs"  # the folder among the runs
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ENVIRONMENT = ("kernelspec", "language_info")  # what this machine calls its Python
_SESSION = ("collapsed", "execution", "scrolled")  # of a cell: how it last ran and looked


class ProjectContents(AsyncLargeFileManager):
    """Jupyter's manager of files, which keeps the outputs of the notebooks in notebooks/ apart."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file as Jupyter does; of a notebook, first take away what is not its author's."""
        if model.get("type") == "notebook" and model.get("content") and self._outputs(path):
            tidy(model["content"])
        return await super().save(model, path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename a file or folder, and what is kept of its outputs; a notebook that leaves takes them in."""
        kept = self._outputs(old_path)
        leaves = kept is not None and self._outputs(new_path) is None and kept.is_file()
        notebook = await self._read_notebook(self._get_os_path(old_path)) if leaves else None
        await super().rename_file(old_path, new_path)
        new = self._outputs(new_path)
        if notebook is not None:
            await self._save_notebook(self._get_os_path(new_path), notebook)
            _remove(kept)
        elif kept and new and kept.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            _remove(new)  # of a notebook that was deleted elsewhere
            kept.replace(new)

    async def delete_file(self, path: str) -> None:
        """Delete a file or folder, and what is kept of its outputs."""
        await super().delete_file(path)
        _remove(self._outputs(path))

    async def _read_notebook(self, os_path: str, *args: Any, **options: Any) -> Any:
        answer = await super()._read_notebook(os_path, *args, **options)
        kept = self._outputs_of(os_path)
        if kept and kept.is_file():
            try:
                put_back(answer[0] if isinstance(answer, tuple) else answer, nbformat.read(kept, 4))
            except Exception as error:  # of a file that anything may have happened to
                self.log.warning("The outputs of %s cannot be read (%s).", os_path, error)
        return answer

    async def _save_notebook(self, os_path: str, nb: Any, *args: Any, **options: Any) -> None:
        kept = self._outputs_of(os_path)
        if kept:
            try:
                atomic_write(kept, nbformat.writes(nb).encode())
            except UserError as error:
                self.log.warning("The outputs of %s are not kept. %s", os_path, error)
            metadata: dict[str, Any] = {}
            with suppress(Exception):  # there may be no file yet, or one that something else broke
                metadata = nbformat.read(os_path, 4).metadata
            nb = without_outputs(nb, metadata)
        await super()._save_notebook(os_path, nb, *args, **options)

    def _outputs(self, path: str) -> Path | None:
        return self._outputs_of(self._get_os_path(path))

    def _outputs_of(self, os_path: str) -> Path | None:
        """Where the outputs of a notebook lie, or those of a folder's; None of what is not in notebooks/."""
        path, root = Path(os_path), Path(self.root_dir)
        folder = root / "notebooks"
        if path == folder or not path.is_relative_to(folder):
            return None
        return runs_folder(root) / OUTPUTS / path.relative_to(folder)


def _remove(kept: Path | None) -> None:
    if kept is not None and kept.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
    elif kept is not None:
        with suppress(OSError):
            kept.unlink()


def tidy(content: dict[str, Any]) -> None:
    """Take away, in place, what a notebook that JupyterLab sends is not to be opened with again."""
    content["metadata"].pop("widgets", None)
    for cell in content["cells"]:
        for name in _SESSION:
            cell["metadata"].pop(name, None)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if len(data) > 1:
                data.pop(_WIDGET, None)


def without_outputs(notebook: Any, metadata: dict[str, Any]) -> Any:
    """A copy of a notebook as it is committed.

    Args:
        notebook: As it is now.
        metadata: That of the file which is there, whose kernel stays as its author wrote it.
    """
    notebook = deepcopy(notebook)
    for name in _ENVIRONMENT:
        if name in metadata:
            notebook.metadata[name] = metadata[name]
    if "language_info" not in metadata:
        notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def put_back(notebook: Any, kept: Any) -> None:
    """Give a notebook, in place, the outputs that are kept of cells with the same code, and its kernel.

    A cell whose outputs are in the file was run elsewhere since, as in VS Code: it keeps them. Notebooks
    of before nbformat 4.5 have no ids; of these it is the cell in the same place.
    """
    for name in _ENVIRONMENT:
        if name in kept.metadata:
            notebook.metadata[name] = kept.metadata[name]
    by_id = {cell.get("id", n): cell for n, cell in enumerate(kept.cells) if cell.cell_type == "code"}
    for n, cell in enumerate(notebook.cells):
        earlier = by_id.get(cell.get("id", n))
        is_open = cell.cell_type == "code" and not cell.outputs
        if is_open and earlier is not None and earlier.source == cell.source:
            cell.outputs, cell.execution_count = earlier.outputs, earlier.execution_count
