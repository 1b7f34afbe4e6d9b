"""`workbench new`: a study that runs as it stands, to be made another."""

import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.console import out
from workbench.cli.init import ASSETS, prepare_studies, render
from workbench.errors import UserError

_NAME = re.compile(r"[0-9]{2,3}_[a-z][a-z0-9_]*")
_MODULES = ("__init__", "check", "defaults", "method", "experiment", "results", "views")
_LONGEST = 60


def new(
    name: Annotated[str, typer.Argument(help="A number that is free and a name, such as 15_my_study.")],
) -> None:
    """Write a study of your own: a notebook, its modules and a test. It runs as it stands, in seconds."""
    from workbench.lab import project

    root = project.find_root()
    check_name(name, [path.stem for path in project.notebook_paths(root)])
    files = study_files(root, name)
    there = [path for path in files if path.exists()]
    if there:
        raise UserError(f"{there[0].relative_to(root)} is there already: choose another name than {name}.")
    _write(root, files)
    for path in files:
        out.print(f"  {path.relative_to(root)}")
    out.print(f"\nRun it with `workbench run {name.partition('_')[0]}`, then change method.py.")


def check_name(name: str, taken: list[str]) -> None:
    """Whether a study can be called so.

    Args:
        name: Such as 15_my_study.
        taken: The names of the notebooks that are there.

    Raises:
        UserError: It cannot; the sentence gives one that will do.
    """
    numbers = {int(number) for stem in taken if (number := stem.partition("_")[0]).isdecimal()}
    free = f"{max(numbers, default=0) + 1:02}"
    parts = re.fullmatch(r"([0-9]*)[_\s-]*(.*)", name, re.DOTALL)
    assert parts is not None  # anything fits
    number, word = parts.groups()
    near = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") or "my_study"
    if near[0].isdecimal() or keyword.iskeyword(near):
        near = f"study_{near}"
    is_free = bool(number) and len(number) <= 3 and int(number) not in numbers
    near = f"{number.zfill(2) if is_free else free}_{near[: _LONGEST - 4]}"
    if not number:
        raise UserError(f"{name} has no number: give a free one before it, as in {near}.")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or keyword.iskeyword(word):
        raise UserError(
            f"{name} cannot name a study, whose modules Python imports: two or three digits, then small "
            f"letters, digits and underscores, as in {near}."
        )
    for stem in taken:
        if stem.partition("_")[0].isdecimal() and int(stem.partition("_")[0]) == int(number):
            raise UserError(f"The number {number} is taken by {stem}: {near} is free.")
        if stem.partition("_")[2] == word:
            raise UserError(f"The name {word} is taken by {stem}: choose another one.")


def study_files(root: Path, name: str) -> dict[Path, str]:
    """The files of a study and their text.

    In the workbench's own repository it is one among `workbench/studies/`, elsewhere in `studies/`.
    """
    stem, word = name, name.partition("_")[2]
    inside = (root / "workbench" / "studies").is_dir()
    package = f"workbench.studies.{word}" if inside else f"studies.{word}"
    values = {
        "stem": stem,
        "title": word.replace("_", " ").capitalize(),
        "package": package,
        # Imports are sorted into libraries and what is the project's own.
        "after_libraries": "\n" if inside else "",
        "before_study": "" if inside else "\n",
    }
    tests = root / "tests" / ("studies" if inside else "") / word
    folder = root.joinpath(*package.split("."))
    templates = {folder / f"{module}.py": f"{module}.py" for module in _MODULES}
    templates[tests / f"test_{word}.py"] = "test.py"
    templates[root / "notebooks" / f"{stem}.ipynb"] = "notebook.ipynb"
    return {path: render(ASSETS / "study" / f"{name}.jinja", **values) for path, name in templates.items()}


def _write(root: Path, files: dict[Path, str]) -> None:
    from workbench.files import explain_write_error

    with explain_write_error(root / "studies"):
        if not (root / "workbench" / "studies").is_dir():
            prepare_studies(root)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
