"""The runs that are there: which, in what state, and why one has the key it has."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.files import orphans
from workbench.lab.ledger import read_claims
from workbench.lab.record import NewerRunError, is_locked, read_run, when

UNFINISHED = "unfinished"
REPORTS = "reports"  #: The folder of pages among the folders of notebooks' runs


def all_runs(runs: Path) -> list[Path]:
    """Every run folder under `runs`: notebooks by name, the run first that was started last."""
    found = [path.parent for path in sorted(runs.glob("*/*/run.json")) if path.parent.name[0] != "."]
    folders = [folder for folder in found if folder.parent.name != REPORTS]
    newest_first = sorted(folders, key=when, reverse=True)
    return sorted(newest_first, key=lambda folder: folder.parent.name)


def find_run(known: list[Path], asked: str) -> Path:
    """Find a run by notebook (its newest finished one), key, start of a key, notebook/key, or folder.

    Where no run of the notebook has finished, it is the newest of all.

    Raises:
        UserError: No run, or more than one, answers to it.
    """
    if is_run(asked):
        return Path(asked)
    notebook, _, key = asked.rpartition("/")
    by_notebook = [folder for folder in known if asked in names(folder.parent.name)]
    within = [f for f in known if not notebook or notebook in names(f.parent.name)]
    whole = [folder for folder in within if folder.name == key]  # its copies may begin so, too
    by_key = whole or [folder for folder in within if folder.name.startswith(key)]
    if by_notebook:
        studies = [folder for folder in by_notebook if problem(folder) or not is_placebo(folder)]
        # Where none is finished, a file that cannot be read says so to whoever asks for it.
        return next(filter(is_sound, studies), (studies or by_notebook)[0])
    if len(by_key) == 1:
        return by_key[0]
    if by_key:
        raise UserError(f"{asked} fits {len(by_key)} runs: give more of the key (see `workbench list`).")
    raise UserError(f"There is no run {asked}: `workbench list` shows what is there.")


def find_runs(known: list[Path], asked: Iterable[str]) -> list[Path]:
    """The runs named, each once; of a folder that holds runs the newest finished one and newest placebo.

    Raises:
        UserError: As `find_run`.
    """
    folders = []
    for name in asked:
        holds_runs = os.path.isdir(name) and not is_run(name)
        within = newest_within(Path(name).absolute()) if holds_runs else []
        folders += within or [find_run(known, name)]
    return list(dict.fromkeys(folders))


def newer(known: list[Path], folder: Path) -> Path | None:
    """The newest run of a notebook, where it was started after this one and has not finished."""
    newest = next((other for other in known if other.parent.name == folder.parent.name), folder)
    return newest if when(newest) > when(folder) and state(newest) != "done" else None


def is_run(asked: str) -> bool:
    """Whether a word is the path of a run folder, which may have been moved and have no project around it."""
    return os.path.isfile(os.path.join(asked, "run.json"))


def newest_done(runs: Path) -> list[Path]:
    """The newest finished run of each notebook that has an executed notebook to show, placebos left out."""
    return _newest(folder for folder in executed(runs) if is_sound(folder) and not is_placebo(folder))


def newest_placebos(runs: Path) -> list[Path]:
    """The newest finished placebo of each notebook that has an executed notebook to show."""
    return _newest(folder for folder in executed(runs) if is_sound(folder) and is_placebo(folder))


def newest_within(notebook: Path) -> list[Path]:
    """Of one folder of runs the newest finished one and the newest placebo, wherever it was moved to."""
    both = [*newest_done(notebook.parent), *newest_placebos(notebook.parent)]
    return [folder for folder in both if folder.parent.name == notebook.name]


def is_sound(folder: Path) -> bool:
    """Whether a run is finished and as it should be."""
    return problem(folder) is None and state(folder) == "done"


def _newest(newest_first: Iterable[Path]) -> list[Path]:
    newest: dict[str, Path] = {}
    for folder in newest_first:
        newest.setdefault(folder.parent.name, folder)
    return list(newest.values())


def placebos(runs: Path) -> list[Path]:
    """The finished runs in which the treated arms were second controls, in the order of `all_runs`."""
    return [folder for folder in all_runs(runs) if is_sound(folder) and is_placebo(folder)]


def is_placebo(folder: Path) -> bool:
    """Whether a run trained its treated arms as second controls: its claims are counted apart."""
    return read_run(folder)["params"].get("placebo") is True


def problem(folder: Path) -> str | None:
    """Why a run that lies among others is passed over, in one sentence; None where it is as it should be."""
    try:
        name = read_run(folder)["notebook"]
        read_claims(folder)
    except UserError as error:
        return str(error)
    if name != folder.parent.name:
        return f"{folder / 'run.json'} is of {name}, not of {folder.parent.name}, in whose folder it lies."
    return None


def executed(runs: Path) -> list[Path]:
    """The runs that have an executed notebook to show, in the order of `all_runs`."""
    return [folder for folder in all_runs(runs) if (folder / "notebook.ipynb").is_file()]


def state(folder: Path) -> str:
    """done, failed, running, unfinished (Ctrl-C, a kill); newer or unreadable if it cannot be read."""
    try:
        record = read_run(folder)
    except NewerRunError:
        return "newer"
    except UserError:
        return "unreadable"
    stopped = (record["error"] or "").startswith("interrupted")
    if stopped or (record["status"] == "running" and not is_locked(folder)):
        return UNFINISHED
    return str(record["status"])


def leftovers(runs: Path, reports: Path, older: bool) -> dict[Path, str]:
    """What `clean` may delete, with the reasons: runs that did not finish, orphaned temporary files.

    Args:
        older: Also the finished runs that a newer run of the same notebook follows.
    """
    known = all_runs(runs)
    done = {folder: is_placebo(folder) for folder in known if is_sound(folder)}
    keep = {(folder.parent.name, done[folder]): folder for folder in reversed(done)}
    reasons = dict.fromkeys(orphans(reports), "orphaned temporary file")
    for folder in known:
        status = state(folder)
        if status in ("failed", UNFINISHED):
            reasons[folder] = f"{status} run"
        elif folder in done and older and keep[folder.parent.name, done[folder]] != folder:
            reasons[folder] = "older run"
        elif status == "done":
            reasons |= dict.fromkeys(orphans(folder), "orphaned temporary file")
    return reasons


def why(folder: Path, runs: Path) -> tuple[Path | None, list[str]]:
    """What changed in the parts of the key against the run of the same notebook that was started before.

    Returns:
        The run before (None where there is none), and one line for each part that differs.
    """
    after = read_run(folder)
    others = [o for o in all_runs(runs) if o.parent.name == folder.parent.name and o.name != folder.name]
    others = [o for o in others if when(o) <= when(folder) and state(o) not in ("newer", "unreadable")]
    return (others[0], differences(read_run(others[0]), after)) if others else (None, [])


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line for each part of the key that differs between two records."""
    lines = []
    if before["parts"]["notebook"] != after["parts"]["notebook"]:
        lines.append("the notebook's own cells changed")
    nouns = {"parameters": "parameter", "revisions": "revision", "inputs": "input", "code": "code"}
    for part, noun in nouns.items():
        old, new = before["parts"][part], after["parts"][part]
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                lines.append(f"{noun} {name}: {_text(before, old, name)} → {_text(after, new, name)}")
    return lines


def _text(record: Mapping[str, Any], part: Mapping[str, Any], name: str) -> str:
    if name not in part:
        return "absent"
    value = part[name]
    if mark := content_mark(value):
        return f"{record['params'].get(name)}{mark}"
    return value if isinstance(value, str) else json.dumps(value)


def content_mark(value: Any) -> str:
    """What tells the content of a file that a parameter names, where the key has it: (content 0123abcd)."""
    content = value.get("sha256") if isinstance(value, dict) else None
    return f" (content {content[:8]})" if isinstance(content, str) else ""


def names(notebook: str) -> tuple[str, str, str]:
    """What a notebook can be called: 02_tiny_models, 02, tiny_models."""
    number, _, word = notebook.partition("_")
    return notebook, number, word
