"""`workbench init`: a folder of the user's own, with the notebooks that come with the workbench."""

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

import workbench
from workbench.cli.console import out, short_path
from workbench.errors import UserError

PACKAGE = Path(workbench.__file__).parent
ASSETS = PACKAGE / "assets"
_MAY_BE_THERE = {".git", ".venv"}
_STUDIES = '"""Studies of this project: a package each."""\n'
_CONFTEST = '"""pytest imports `studies` from the folder that this file is in."""\n'


def init(
    folder: Annotated[Path, typer.Argument(help="A folder that is new or empty, such as my-lab.")],
) -> None:
    """Make a folder of your own: the notebooks, a place for studies of yours, a README.

    What is there already is never changed, by this or a later version: give a new folder to have its
    notebooks.
    """
    from workbench.files import explain_write_error

    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder.name} is a file: name a new folder, such as my-lab.")
    with explain_write_error(folder / "notebooks"):
        if folder.exists() and {path.name for path in folder.iterdir()} - _MAY_BE_THERE:
            raise UserError(f"{folder.name} is not empty: name a new folder, such as my-lab.")
        n = _write(folder)
    out.print(f"{folder.name} holds {n} notebooks, and a place for studies of your own. Go on with:\n")
    if folder != Path.cwd():
        out.print(f"  cd {shlex.quote(short_path(folder))}", soft_wrap=True)
    out.print("  workbench run 03    # a small model's attention heads, in about a minute")
    out.print("  workbench lab       # the notebooks in JupyterLab")


def prepare_studies(root: Path) -> None:
    """Make a project's folder for studies, if it has none, and let pytest import what is in it."""
    for path, text in ((root / "studies/__init__.py", _STUDIES), (root / "conftest.py", _CONFTEST)):
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def render(template: Path, **values: str) -> str:
    """Fill a template of `assets/`."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)


def _write(folder: Path) -> int:
    notebooks = _shipped_notebooks()
    (folder / "notebooks").mkdir(parents=True)
    for path in notebooks:
        shutil.copyfile(path, folder / "notebooks" / path.name)
    prepare_studies(folder)
    shutil.copyfile(ASSETS / "project" / "gitignore", folder / ".gitignore")
    last = int(notebooks[-1].stem.partition("_")[0])
    about = {"name": folder.name, "version": workbench.__version__, "free": str(last + 1)}
    (folder / "README.md").write_text(render(ASSETS / "project/README.md.jinja", **about), encoding="utf-8")
    return len(notebooks)


def _shipped_notebooks() -> list[Path]:
    """The numbered notebooks that come with the workbench: in the package, or beside it in a checkout."""
    inside = PACKAGE / "notebooks"
    return sorted((inside if inside.is_dir() else PACKAGE.parent / "notebooks").glob("[0-9]*.ipynb"))
