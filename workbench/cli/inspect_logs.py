"""What models wrote in a run, as logs for the viewer of inspect_ai.

Logs are inspect_ai's JSON (version 2, https://inspect.aisi.org.uk/eval-logs.html), which `inspect view` and
`inspect_ai.log.read_eval_log` read; nothing need be installed to write them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import files
from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# What the columns of a run's tables are called, see CONTRIBUTING.
_ASKED, _WRITTEN = ("question", "prompt", "beginning"), ("reply", "text", "story", "answer")
_ITEM, _TARGET = ("item", "id", "prompt_id"), ("target", "gold")
_GROUPS = ("task", "test", "arm", "model", "route", "seed")  # a log each
_OTHER = ("sample", "steps", "length", "layers", "is_shuffled")  # numbers that judge nothing
_VERDICTS = {"correct": "C", "wrong": "I"}


def write(folder: Path, described: Mapping[str, Any], target: Path, table: str) -> tuple[int, int]:
    """Write logs, one for each model, task and training.

    Args:
        folder: Of the run.
        described: Its record.
        target: The folder of the logs.
        table: Of the run; empty: the first with what was written.

    Returns:
        How many samples, in how many logs.

    Raises:
        UserError: There is no such table, or none with what was written.
    """
    name, frame = _written(folder, table)
    groups = [column for column in _GROUPS if column in frame]
    parts = frame.groupby(groups, sort=False, dropna=False) if groups else [((), frame)]
    n = 0
    for values, some in parts:
        log = inspect_log(described, name, dict(zip(groups, values, strict=True)), some)
        stem = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", str(value)).strip("-") for value in values) or name
        # Only files that begin with a time are logs to `inspect view`.
        name_of_log = f"{log['eval']['created'][:19].replace(':', '-')}+00-00_{stem}_{log['eval']['eval_id']}"
        text = json.dumps(log, ensure_ascii=False, indent=1)
        files.atomic_write(target / f"{name_of_log}.json", files.encoded(text))
        n += 1
    return len(frame), n


def _written(folder: Path, asked: str) -> "tuple[str, pd.DataFrame]":
    """The table of a run that holds what was asked and what models wrote."""
    names = sorted(path.stem for path in (folder / "tables").glob("[!.]*.parquet"))
    if asked and asked not in names:
        raise UserError(f"The run has no table {asked!r}: there are {', '.join(names) or 'none'}.")
    for name in [asked] if asked else names:
        frame = files.read_table(folder / "tables" / f"{name}.parquet")
        if len(frame) and all(_first(frame, wanted) for wanted in (_ASKED, _WRITTEN, _ITEM)):
            return name, frame
    which = f"The table {asked}" if asked else f"No table of {folder.parent.name}/{folder.name}"
    raise UserError(f"{which} holds what models were asked and wrote (columns such as question and reply).")


def _first(frame: "pd.DataFrame", names: Sequence[str]) -> str | None:
    texts = [name for name in names if name in frame]
    return texts[0] if texts else None


def inspect_log(
    run: Mapping[str, Any], table: str, group: Mapping[str, Any], frame: "pd.DataFrame"
) -> dict[str, Any]:
    """A log of inspect_ai as plain JSON.

    Args:
        run: its record.
        group: what all rows have in common: task, arm, model, seed …
        frame: an answer a row; several of one item are its epochs, or one answer by several rules.
    """
    from workbench.lab.digests import digest

    said = [str(group[name]) for name in ("arm", "model", "route") if name in group]
    model = " ".join(said) or str(run["params"].get("model", "unknown"))
    task = str(group.get("task") or group.get("test") or run["notebook"])
    created = run["finished"] or run["started"]
    identity = digest(f"{run['notebook']}/{run['key']}/{table}/{sorted(group.items())}".encode())[:22]
    samples = list(_samples(frame, f"workbench/{model}", created))
    common = {"run": f"{run['notebook']}/{run['key']}", "table": table, **group}
    return files.plain({
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": digest(f"{run['notebook']}/{run['key']}".encode())[:22],
            "created": created,
            "task": task,
            "task_id": identity,
            "dataset": {"name": task, "samples": len({one["id"] for one in samples})},
            "model": f"workbench/{model}",
            "config": {"epochs": max(one["epoch"] for one in samples)},
            "packages": {"small-model-workbench": run["workbench"]},
            "metadata": common,
        },
        "plan": {"name": "workbench", "steps": []},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": _means(samples),
        },
        "stats": {"started_at": run["started"], "completed_at": created},
        "samples": samples,
    })  # fmt: skip


def _samples(frame: "pd.DataFrame", model: str, created: str) -> Iterator[dict[str, Any]]:
    asked, written, item, target = (_first(frame, names) for names in (_ASKED, _WRITTEN, _ITEM, _TARGET))
    measured = [
        name
        for name in frame
        if name not in (item, *_GROUPS, *_OTHER) and frame[name].dtype.kind in "fbi"
    ]  # fmt: skip
    described = [name for name in frame if name not in (asked, written, item, target, *_GROUPS, *measured)]
    kinds = ["kind"] if "kind" in frame and item == "item" else []  # items are numbered within a kind
    names = frame[[*kinds, item]].astype(str).agg("/".join, axis=1)
    rules = ["rule"] if "rule" in frame else []
    keys = frame[rules].astype(str).agg("/".join, axis=1) if rules else names.map(lambda _: "")
    epochs = frame.groupby([names, keys]).cumcount() + 1
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for name, epoch, row in zip(names, epochs, frame.to_dict("records"), strict=True):
        answer = str(row[written])
        sample = known.setdefault((name, epoch), {
            "id": name,
            "epoch": int(epoch),
            "input": str(row[asked]),
            "target": str(row[target]) if target else "",
            "messages": [
                {"role": "user", "content": str(row[asked])},
                {"role": "assistant", "content": answer, "source": "generate"},
            ],
            "output": {
                "model": model,
                "choices": [{"message": {"role": "assistant", "content": answer}, "stop_reason": "stop"}],
                "completion": answer,
            },
            "scores": {},
            "metadata": {key: row[key] for key in described if key not in rules},
            "started_at": created,
            "completed_at": created,
        })  # fmt: skip
        behind = f" ({row['rule']})" if rules and row["rule"] != "none" else ""
        values: dict[str, Any]
        values = {name: float(row[name]) for name in measured if row[name] == row[name]}
        if "verdict" in row:
            values["verdict"] = _VERDICTS.get(str(row["verdict"]), "N")  # N: no answer
        sample["scores"] |= {
            f"{name}{behind}": {"value": value, "answer": answer} for name, value in values.items()
        }
    yield from known.values()


def _means(samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The mean of every score, of verdicts the share that is correct."""
    names = dict.fromkeys(name for one in samples for name in one["scores"])
    means = []
    for name in names:
        values = [one["scores"][name]["value"] for one in samples if name in one["scores"]]
        numbers = [value if isinstance(value, float) else float(value == "C") for value in values]
        metric = "accuracy" if isinstance(values[0], str) else "mean"
        mean = sum(numbers) / len(numbers)
        means.append({
            "name": name,
            "scorer": "workbench",
            "scored_samples": len(values),
            "unscored_samples": len(samples) - len(values),
            "metrics": {metric: {"name": metric, "value": mean}},
        })  # fmt: skip
    return means
