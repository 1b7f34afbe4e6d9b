"""The folder that a project commits: pages, their index, and what they are drawn from, without models."""

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import workbench
from workbench import files
from workbench.errors import UserError
from workbench.lab.history import is_placebo, state
from workbench.lab.record import read_run
from workbench.lab.report import publish
from workbench.lab.report.size import megabytes
from workbench.sanitize import sanitize

MOST = 4_000_000  # bytes of all that is kept beside what pages need
_NEEDED = ("run.json", "claims.json", "notebook.ipynb")  # by a page
_WANTED = ("metrics.jsonl", "tables/*.parquet")  # by whoever looks closer


def check(folders: Iterable[Path]) -> None:
    """Check that runs can be published.

    Raises:
        UserError: One is not finished, or has no executed notebook to show.
    """
    for folder in folders:
        name, status = f"{folder.parent.name}/{folder.name}", state(folder)
        if status != "done":
            raise UserError(f"{name} cannot be published: it is {status}, and only finished runs are shown.")
        if not (folder / "notebook.ipynb").is_file():
            raise UserError(
                f"{name} cannot be published: it was not run by `workbench run`, so shows nothing."
            )


def write(folders: Sequence[Path], reports: Path) -> dict[str, int]:
    """Write pages, index, README.md and runs/ of finished runs in place of what was published before.

    Returns:
        What was left out for want of room: notebook/key/file, and its bytes.

    Raises:
        UserError: Two of the runs have one page, one cannot be shown, or the folder cannot be written.
    """
    check(folders)
    folders = sorted(folders, key=lambda folder: (read_run(folder)["notebook"], is_placebo(folder)))
    publish.one_each(folders)
    runs = reports / "runs"
    with files.explain_write_error(runs):
        reports.mkdir(parents=True, exist_ok=True)
        files.recover_folder(runs)
    earlier = [reports / page for old in runs.glob("*") for page in publish.page_names(old.name)]
    with files.atomic_folder(runs) as new:
        left_out = _keep(folders, new)
    kept = [runs / read_run(folder)["notebook"] / folder.name for folder in folders]
    for folder in kept:
        publish.publish(folder, reports, again=True)
    publish.index(kept, reports, [folder for folder in kept if is_placebo(folder)])
    for page in {*earlier} - {publish.page_of(folder, reports) for folder in kept}:
        page.unlink(missing_ok=True)
    files.atomic_write(reports / "README.md", _readme([*map(read_run, kept)], left_out).encode())
    return left_out


def _keep(folders: Sequence[Path], new: Path) -> dict[str, int]:
    """Copy what pages need, then as many other files as there is room for, small ones first."""
    room = MOST
    wanted = []
    for folder in folders:
        target = new / read_run(folder)["notebook"] / folder.name
        target.mkdir(parents=True)
        for name in filter(lambda name: (folder / name).is_file(), _NEEDED):
            _copy(folder / name, target / name)
        wanted += [
            (path, target / path.relative_to(folder)) for name in _WANTED for path in folder.glob(name)
        ]
    left_out = {}
    for path, target in sorted(wanted, key=lambda pair: (pair[0].stat().st_size, pair[1])):
        size = path.stat().st_size
        if path.is_symlink() or size > room:
            left_out[target.relative_to(new).as_posix()] = size
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
            room -= size
    return left_out


def _copy(path: Path, target: Path) -> None:
    """Copy a file, a notebook without the line breaks in its data."""
    if path.suffix == ".ipynb":
        text = json.dumps(files.read_json(path, 2**28, False), ensure_ascii=False, separators=(",", ":"))
        target.write_bytes(files.encoded(text))
    else:
        shutil.copyfile(path, target)


def _readme(records: list[dict[str, Any]], left_out: dict[str, int]) -> str:
    real = all(record["params"].get("profile") == "real-laptop" for record in records)
    command, length = ("real", "two hours") if real else ("reproduce", "an evening")
    lines = [
        "# Reports",
        "",
        f"Open `index.html`: nothing to install, no network. Published on {datetime.now(UTC):%d %B %Y} by"
        f" workbench {workbench.__version__}.",
        "",
        "| page | run | parameters set | computed | in | commit |",
        "|---|---|---|---|---|---|",
        *map(_row, records),
        "",
        f"`make {command}` computes all of it again and publishes it: {length} on two cores, which may be"
        " stopped and given again. `runs/` keeps what the pages are drawn from (records, claims, tables,"
        " metrics, executed notebooks with the models that live figures run), and `workbench report runs/*"
        " --out .` here draws the pages anew.",
    ]
    if left_out:
        named = ", ".join(f"`{name}` ({megabytes(size)})" for name, size in sorted(left_out.items()))
        lines += ["", f"Left out of `runs/` for want of room (pages do not need it): {named}."]
    return "\n".join(lines) + "\n"


def _row(record: dict[str, Any]) -> str:
    page = publish.page_names(record["notebook"])[record["params"].get("placebo") is True]
    given = ", ".join(f"{name}={record['params'][name]}" for name in record["set"]) or "none"
    seconds, commit = record["seconds"], str(record["environment"].get("git") or "unknown")
    code, _, changes = commit.partition("+")
    cells = (
        f"[{record['notebook']}]({page})",
        f"`{record['key']}`",
        given,
        (record["finished"] or "")[:10],
        "" if seconds is None else f"{seconds / 60:.1f} min",
        f"`{code[:12]}`{' with changes' if changes else ''}",
    )
    return f"| {' | '.join(sanitize(cell, 200).replace('|', '&#124;') for cell in cells)} |"
