"""ledger: every claim beside what was seen, in the terminal or as a file."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from workbench import files
from workbench.cli.console import out, pass_over, short_path
from workbench.errors import UserError
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from workbench.lab.ledger import Line

_STYLES = {"reproduced": "green", "opposite": "red", "none": "blue"}


def ledger(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Or folders of runs, such as reports/runs/*. Default: all."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="Write it as csv, json, latex or parquet.")
    ] = "",
    target: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: the terminal, for text.")
    ] = None,
) -> None:
    """Print the ledger: what was claimed, what we saw, the verdicts; or write it for other programs.

    Placebo runs are no part of it: what came out reproduced in them is counted at the end.
    """
    from workbench.lab import ledger as _ledger
    from workbench.lab import ledger_files

    if to and to not in ledger_files.FORMS:
        raise UserError(f"--to {to}: choose one of {', '.join(ledger_files.FORMS)}.")
    if target and not to:
        raise UserError(f"Say as what {target} is to be written: --to {', '.join(ledger_files.FORMS)}.")
    if to == "parquet" and not target:
        raise UserError("A terminal cannot show parquet: give --out FILE.")
    shown, placebos = _chosen(runs or [])
    lines = _ledger.lines(shown)
    if to and target:
        files.atomic_write(target, ledger_files.FORMS[to](lines))
        out.print(Text.assemble("✓ ", (short_path(target), "bold")), soft_wrap=True)
    elif to:
        out.file.write(ledger_files.FORMS[to](lines).decode())  # as it is: no line broken, no text styled
    else:
        _print(lines)
        _print_counts(lines)
        _print_placebo(len(placebos), *_ledger.placebo_rate(placebos))


def _chosen(asked: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The finished runs that the ledger is of, and the placebo runs beside them.

    Raises:
        UserError: There is none, or one that was asked for is unknown or not finished.
    """
    from workbench.lab import history, project

    folder = project.runs_folder()
    known = history.all_runs(folder)
    if not asked:
        for run in known:
            if (reason := history.problem(run)) and history.state(run) in ("done", "unreadable"):
                pass_over(run, reason)
        shown, placebos = history.newest_done(folder), history.placebos(folder)
    else:
        folders = history.find_runs(known, asked)
        for run in folders:
            if (state := history.state(run)) != "done":
                name = f"{run.parent.name}/{run.name}"
                raise UserError(f"{name} is not a finished run ({state}): it has no ledger yet.")
        shown = [run for run in folders if not history.is_placebo(run)]
        placebos = [run for run in folders if history.is_placebo(run)]
    if not shown and not placebos:
        raise UserError("There is no finished run, so no ledger: `workbench run --all` makes them.")
    return shown, placebos


def _print(lines: "Sequence[Line]") -> None:
    tested = sum(line.claim.is_tested for line in lines)
    for (notebook, title, key), claims in groupby(lines, lambda line: (line.notebook, line.title, line.key)):
        out.print(Text.assemble("\n", (notebook, "bold"), f"  {sanitize(title, 300)}  ", (key, "dim")))
        for line in claims:
            _print_claim(line, tested)


def _print_claim(line: "Line", tested: int) -> None:
    from workbench.lab.ledger import is_doubtful
    from workbench.lab.report import claims

    shown = claims.row(line.claim, None, tested if is_doubtful(line.claim, line.survives) else 0)
    tone = shown["tone"].split()
    style = f"{_STYLES.get(tone[0], 'dim')}{'' if 'seen' in tone else ' bold'}"
    beyond = Text("  beyond the paper" if shown["beyond"] else "", style="dim italic")
    name = Text(shown["says"] or shown["name"], style="bold" if shown["headline"] else "")
    out.print(
        _indented(2, Text.assemble((f"{shown['symbol']} {shown['verdict']}", style), "  ", name, beyond))
    )
    n = ", ".join(filter(None, [f"n = {shown['n']}", shown["trainings"]]))
    published = f"; published {shown['published']}" if shown["published"] else ""
    figures = f"{shown['effect']} ({shown['range']}), {n}{published}"
    for said in filter(None, [figures, shown["size"], *shown["notes"], shown["too_small"]]):
        out.print(_indented(6, Text(said, style="dim")))


def _indented(columns: int, text: Text) -> Padding:
    return Padding(text, (0, 0, 0, columns))


def _print_counts(lines: "Sequence[Line]") -> None:
    from workbench.lab.ledger import count_verdicts, is_doubtful

    counted = count_verdicts(line.claim for line in lines).items()
    verdicts = " · ".join(f"{count} {verdict}" for verdict, count in counted if count)
    out.print(Text(f"\n{_count(len(lines), 'claim')}{': ' if lines else ''}{verdicts}"))
    if doubtful := sum(is_doubtful(line.claim, line.survives) for line in lines):
        tested = sum(line.claim.is_tested for line in lines)
        out.print(f"{doubtful} of these effects would not survive correction for {_count(tested, 'claim')}.")


def _print_placebo(runs: int, reproduced: int, tested: int) -> None:
    if tested:
        rate = f"{100 * reproduced / tested:.0f} %"
        said = f"{reproduced} of {_count(tested, 'claim')} came out reproduced or seen in few trainings"
        out.print(Text(f"Placebo ({_count(runs, 'run')}): {said} ({rate}); chance alone may give up to 5 %."))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
