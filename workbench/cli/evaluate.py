"""The command `workbench evaluate`: the field's own benchmarks, of a model or of a run's before and after."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from workbench import files
from workbench.cli.candidates import Candidate, candidates
from workbench.cli.console import err, out, short_path
from workbench.errors import UserError
from workbench.sanitize import sanitize
from workbench.sources import located, parse, parts_of

if TYPE_CHECKING:
    from workbench.engine.benchmark_names import Benchmark
    from workbench.engine.benchmarks import Asking
    from workbench.engine.named import check_model, is_on_cpu

COMMAND = "evaluate"
_DEFAULTS = {"limit": None, "shots": None, "max_new_tokens": None, "data": "", "batch": 4, "device": "auto"}


def evaluate(
    model: Annotated[str, typer.Argument(help="A folder, hub id or GGUF file; or a run that trains models.")],
    tasks: Annotated[
        str, typer.Option(help="Tasks of lm-evaluation-harness with commas between them, or .yaml files.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="Questions of each task. Default: all.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=PATH", help="A file or folder of the task's data, in place of the hub's."),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=0, help="Worked examples before a question. Default: the task's.")
    ] = None,
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Default: where the model has a chat template.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Of a run: which of its models (08: SIKeD, 11: RLP).")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of the longest reply. Default: the task's.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Prompts at a time.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Ask a model, or a run's models before and after training, the benchmarks of lm-evaluation-harness.

    The figures are kept as a run, runs/evaluate/KEY; what is there is not computed again.

    `workbench compare` takes two such runs and pairs their questions.
    """
    from workbench.engine import benchmark_names as benchmarks
    from workbench.engine.benchmarks import Asking

    benchmarks.version()
    asked_of = candidates(model, arm or [])
    on_cpu = is_on_cpu(device)
    for one in asked_of:
        check_model(one.source, on_cpu, chat is True)
    asked = benchmarks.find([name.strip() for name in tasks.split(",") if name.strip()])
    if not asked:
        raise UserError("--tasks names no task: give one, such as gsm8k or arc_easy.")
    given = _given(data or [])
    benchmarks.check_data(asked, given)
    rows = {one.name: _rows(one, given[one.name], shots) for one in asked if one.name in given}
    asking = Asking(limit, shots, bool(chat), max_new_tokens, batch)
    params = {"tasks": tasks, "limit": limit, "shots": shots, "max_new_tokens": max_new_tokens}
    params |= {"data": ", ".join(data or []), "batch": batch, "device": device}
    folders = [_evaluated(one, asked, asking, chat, rows, given, params) for one in asked_of]
    _show(asked_of, folders)


# ------------------------------------------------------------------------------- what is read
def _content(source: str) -> str:
    """Digest of a model's files; a hub's model is fetched first."""
    from workbench.engine.hub import downloaded
    from workbench.lab import digests

    path = Path(located(source)).expanduser()
    if not path.exists():
        path = downloaded(source)
    if path.is_file():
        return digests.digest("".join(map(digests.digest_path, parts_of(path))).encode())
    return digests.digest_path(path)


def _given(pairs: Sequence[str]) -> dict[str, str]:
    """Paths of data by task."""
    given: dict[str, str] = {}
    for pair in pairs:
        task, sign, path = pair.partition("=")
        if not (sign and task and path):
            raise UserError(f"--data takes TASK=PATH, such as gsm8k=FOLDER, not {pair!r}.")
        if task in given:
            raise UserError(f"--data names {task} twice: give one file or folder.")
        given[task] = path
    return given


def _rows(benchmark: "Benchmark", path: str, shots: int | None) -> dict[str, list[dict[str, Any]]]:
    """The rows that a task asks, and those that it takes worked examples from, by split."""
    from workbench.corpora.loaders.rows import TABLES, of_one

    (source, *others) = parse(path, ())
    if others:
        raise UserError(f"--data {benchmark.name} takes one file or folder, not {path!r}.")
    asked, shown = benchmark.splits(shots)
    is_file = Path(source.name).expanduser().is_file()
    if is_file and shown not in (None, asked):
        raise UserError(
            f"{benchmark.name} shows worked examples of its split {shown} before a question of {asked}, and "
            f"{path} is one file: give the folder of both, or --shots 0."
        )
    rows = {}
    for split in dict.fromkeys(filter(None, (asked, shown))):
        one = source if is_file else replace(source, split=split)
        rows[split] = [row for _, row in of_one(one, formats=TABLES) if isinstance(row, dict)]
        if not rows[split]:
            raise UserError(f"{path} holds no rows of the split {split} for {benchmark.name}.")
    return rows


# ------------------------------------------------------------------------------- asking and keeping
def _evaluated(
    candidate: Candidate,
    asked: "Sequence[Benchmark]",
    asking: "Asking",
    chat: bool | None,
    rows: Mapping[str, Any],
    given: Mapping[str, str],
    params: Mapping[str, Any],
) -> Path:
    """The folder with a model's figures, computed now or before."""
    from workbench.engine import benchmark_names, loading
    from workbench.engine.tokens import converses
    from workbench.lab import command_runs, digests

    if chat is None:
        chat = converses(loading.read_config(candidate.source)[1])
    asking = replace(asking, chat=chat)
    source = short_path(Path(candidate.source)) if Path(candidate.source).exists() else candidate.source
    shown = {"model": source, **params, "chat": chat}
    changed = [name for name, value in shown.items() if name not in _DEFAULTS or value != _DEFAULTS[name]]
    parts = {name: value for name, value in shown.items() if name not in ("model", "tasks", "data")}
    parts |= {"model": {"sha256": _content(candidate.source)}, "lm-eval": benchmark_names.version()}
    parts |= {f"task {one.name}": {"sha256": digests.digest_path(one.file)} for one in asked}
    parts |= {f"data {name}": {"sha256": digests.digest_path(_path(path))} for name, path in given.items()}
    title = f"{candidate.name}: {', '.join(one.name for one in asked)}"
    run = command_runs.opened(COMMAND, title, shown, changed, parts, candidate.inputs)
    with run as (folder, is_there):
        if not is_there:
            out.print(loading.describe(candidate.source, str(params["device"])), soft_wrap=True)
            if chat:
                out.print("Prompts stand in its chat template (--no-chat leaves it out).")
            _ask(folder, candidate.source, asked, asking, rows, str(params["device"]))
    return folder


def _path(given: str) -> Path:
    return Path(parse(given, ())[0].name).expanduser()


def _ask(
    folder: Path,
    source: str,
    asked: "Sequence[Benchmark]",
    asking: "Asking",
    rows: Mapping[str, Any],
    device: str,
) -> None:
    """Leaves results.json, samples.jsonl and tables/answers.parquet; each task is kept as it ends."""
    import pandas

    from workbench.engine import benchmarks, loading

    outcomes, loaded = [], None
    for one in asked:
        piece = folder / "artifacts" / f"{re.sub(r'[^A-Za-z0-9._-]', '-', one.name)}.json"
        if not piece.exists():
            loaded = loaded or loading.load(source, device)
            outcome = benchmarks.ask(*loaded, one, asking, rows.get(one.name))
            files.write_json(piece, vars(outcome))
        outcomes.append(files.read_json(piece, 2**32))
    answers = pandas.DataFrame([row for outcome in outcomes for row in outcome["answers"]])
    files.cached_table(folder / "tables" / "answers.parquet", lambda: answers)
    lines = (json.dumps(row, ensure_ascii=False) for outcome in outcomes for row in outcome["samples"])
    files.atomic_write(folder / "samples.jsonl", files.encoded("".join(f"{line}\n" for line in lines)))
    results = {
        name: [entry for outcome in outcomes for entry in outcome[name]] for name in ("figures", "notes")
    }
    files.write_json(folder / "results.json", results)


# ------------------------------------------------------------------------------- showing
def figures_table(named: Sequence[tuple[str, Path]]) -> Table | None:
    """The figures of runs of this command, each with the name of its model; None where there are none."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("model", "task", "metric", "rule", "value", "stderr", "n", "version"):
        is_number = column in ("value", "stderr", "n")
        justify = "right" if is_number else "left"
        table.add_column(column, justify=justify, no_wrap=is_number, overflow="fold")
    for name, folder in named:
        for row in _results(folder)["figures"]:
            numbers = ["–" if row[key] is None else f"{row[key]:.4f}" for key in ("value", "stderr")]
            words = (name, row["task"], row["metric"], row["rule"], *numbers, f"{row['n']:,}", row["version"])
            table.add_row(*(sanitize(word, 120) for word in words))
    return table if table.row_count else None


def _results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    return files.read_json(path, 2**24, follow=False) if path.exists() else {"figures": [], "notes": []}


def _show(asked_of: Sequence[Candidate], folders: Sequence[Path]) -> None:
    names = [one.name for one in asked_of]
    out.print(figures_table(list(zip(names, folders, strict=True))) or "The tasks have no figures.")
    for name, folder in zip(names[1:], folders[1:], strict=True):
        if folder != folders[0]:
            for line in _differences(folders[0], folder):
                out.print(Text(f"{name} − {names[0]}: {line}"), soft_wrap=True)
    for name, folder in zip(names, folders, strict=True):
        for note in _results(folder)["notes"]:
            err.print(Text(f"{name}: {note}", style="yellow"), soft_wrap=True)
        out.print(Text(f"{name}: {short_path(folder)}", style="dim"), soft_wrap=True)


def _differences(before: Path, after: Path) -> Iterator[str]:
    """A line for each metric of items: the mean paired difference with its 95 % interval."""
    from workbench.measures.statistics import paired_difference

    first, second = (files.read_table(folder / "tables" / "answers.parquet") for folder in (before, after))
    both = first.merge(second, on=["task", "rule", "item"], suffixes=(" before", " after"))
    metrics = [name.removesuffix(" after") for name in both if name.endswith(" after")]
    metrics = [name for name in metrics if both[f"{name} after"].dtype.kind in "fib"]
    for (task, rule), some in both.groupby(["task", "rule"], sort=False):
        for name in metrics:
            pair = some[[f"{name} after", f"{name} before"]].dropna()
            if len(pair):
                said = paired_difference(*(pair[column] for column in pair))
                has_interval = said.low == said.low  # few that are all alike have none
                interval = f"[{said.low:+.4f}, {said.high:+.4f}]" if has_interval else "(all alike)"
                yield f"{task} {name} ({rule}) {said.value:+.4f} {interval}, n = {said.n}"
