"""Benchmarks of lm-evaluation-harness (Gao et al., doi 10.5281/zenodo.10256836; the extra `lm-eval`).

Prompts, stop words, answer rules and figures are the harness's own, read by its `hf` backend from our model
and tokenizer. Data may be given as rows in place of the hub's.
"""

# Its libraries are optional, and may not be where types are checked.
# pyright: reportMissingImports=false
from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engine.benchmark_names import Benchmark, folders_of
from workbench.errors import UserError, reason
from workbench.files import plain

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows of each split by its name."""


@dataclass(frozen=True)
class Asking:
    """How benchmarks are asked.

    Attributes:
        limit: questions of each task, from its beginning; None: all.
        shots: worked examples before a question; None: as many as the task has by itself.
        chat: whether prompts stand in the model's chat template, each example a turn.
        max_new_tokens: longest reply; None: the task's own.
        batch_size: prompts at a time; 1 for models in which rows of a batch touch each other.
    """

    limit: int | None = None
    shots: int | None = None
    chat: bool = False
    max_new_tokens: int | None = None
    batch_size: int = 4


@dataclass(frozen=True)
class Outcome:
    """What a model got in one benchmark.

    Attributes:
        figures: task, metric, rule (the harness's filter), value, stderr (None where there is none), n,
            version of the task.
        answers: task, item, rule, question, reply, target, and a column for each metric of an item.
        samples: as the harness logs them, and the task.
        notes: what a reader of the figures should know.
    """

    figures: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    notes: list[str]


# ------------------------------------------------------------------------------- asking
def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    benchmark: Benchmark,
    asking: Asking,
    rows: Rows | None = None,
) -> Outcome:
    """Have a model take a benchmark; the same model and data give the same figures (replies are greedy).

    Args:
        rows: data in place of those that the task reads, by split, with the fields that it reads.

    Raises:
        UserError: the data lack a field, a reply does not fit into the context, a task runs programs that the
            model writes, or the harness fails at something else.
    """
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    from workbench.engine import templates
    from workbench.engine.models import context_length
    from workbench.engine.traits import traits

    if asking.chat:  # one that asks for today's date would give other prompts tomorrow
        tokenizer.chat_template = templates.dated(tokenizer.get_chat_template())
    size = asking.batch_size if traits(model).ignores_batch_mates else 1
    with _quiet():
        lm = HFLM(
            pretrained=model, tokenizer=tokenizer, batch_size=size, max_length=context_length(model, 2048)
        )
        with _explained(benchmark, rows):
            tasks = _tasks(benchmark, asking, rows)
            _check_room(tasks, lm, asking)
            found = simple_evaluate(
                lm,
                tasks=list(tasks.values()),
                num_fewshot=asking.shots,
                limit=asking.limit,
                apply_chat_template=asking.chat,
                fewshot_as_multiturn=asking.chat,
                task_manager=_manager([]),
                bootstrap_iters=1000,
            )
    samples = [{"task": name, **one} for name, some in found["samples"].items() for one in some]
    return Outcome(
        _figures(found), _answers(samples, tasks), plain(samples), _notes(samples, tasks, lm, size, asking)
    )


def _manager(folders: Sequence[Path]) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=list(map(str, folders)) or None, include_defaults=False)


def _tasks(benchmark: Benchmark, asking: Asking, rows: Rows | None) -> dict[str, Any]:
    """The harness's tasks, by name."""
    changed: dict[str, Any] = {} if asking.shots is None else {"num_fewshot": asking.shots}
    if rows is not None:
        changed |= _given(benchmark, asking, rows)
    if benchmark.is_group:
        tasks = _manager(sorted(folders_of(benchmark))).load([benchmark.name])["tasks"]
    else:
        from lm_eval.tasks._yaml_loader import load_yaml

        settings = load_yaml(benchmark.file, resolve_func=True)
        tasks = _manager([]).load([{**settings, **changed}])["tasks"]
    for task in tasks.values():
        if getattr(task, "UNSAFE_CODE", False):
            raise UserError(
                f"{benchmark.name} runs programs that the model writes, which is not done here: leave it out."
            )
        if asking.max_new_tokens is not None and task.OUTPUT_TYPE == "generate_until":
            task.set_config("generation_kwargs", {"max_gen_toks": asking.max_new_tokens}, update=True)
    return tasks


def _given(benchmark: Benchmark, asking: Asking, rows: Rows) -> dict[str, Any]:
    """The settings of a task that reads given rows."""
    from datasets import Dataset, DatasetDict

    data = DatasetDict({split: Dataset.from_list(list(some)) for split, some in rows.items()})
    asked, shown = benchmark.splits(asking.shots)
    settings = dict.fromkeys((*_SPLITS, "dataset_name", "dataset_kwargs"))
    settings |= {"test_split": asked, "fewshot_split": shown, "training_split": shown}
    return settings | {"custom_dataset": lambda **_: data}


def _check_room(tasks: Mapping[str, Any], lm: Any, asking: Asking) -> None:
    for name, task in tasks.items():
        if task.OUTPUT_TYPE == "generate_until":
            longest = (task.config.generation_kwargs or {}).get("max_gen_toks", lm.max_gen_toks)
            if longest >= lm.max_length:
                raise UserError(
                    f"A reply in {name} may have {longest} tokens, and the model's context holds "
                    f"{lm.max_length}: give --max-new-tokens, such as {max(1, lm.max_length // 4)}."
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Leaves out what the harness logs: what matters of it is in the notes."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "transformers")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _explained(benchmark: Benchmark, rows: Rows | None) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a task is a program of many authors, which may raise anything
        fields = sorted({field for some in (rows or {}).values() for row in some[:1] for field in row})
        hint = f"; the given rows have {', '.join(fields)}" if fields else ""
        said = f"{type(error).__name__}: {reason(error)}"
        raise UserError(f"{benchmark.name} cannot be asked ({said}{hint}).") from error


# ------------------------------------------------------------------------------- what came out
def _figures(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts = {name: n["effective"] for name, n in found["n-samples"].items()}
    rows = []
    for name, values in found["results"].items():
        members = found.get("group_subtasks", {}).get(name) or [name]
        n = counts.get(name) or sum(counts.get(member, 0) for member in members)
        for key, value in values.items():
            metric, comma, rule = key.partition(",")
            if comma and not metric.endswith("_stderr") and isinstance(value, int | float):
                error = values.get(f"{metric}_stderr,{rule}")
                rows.append({
                    "task": name,
                    "metric": metric,
                    "rule": rule,
                    "value": float(value),
                    "stderr": float(error) if isinstance(error, int | float) else None,
                    "n": n,
                    "version": str(found["versions"].get(name, "")),
                })  # fmt: skip
    return plain(rows)


def _answers(samples: Sequence[Mapping[str, Any]], tasks: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for one in samples:
        task = tasks[one["task"]]
        values = {name: one[name] for name in one["metrics"] if isinstance(one[name], int | float)}
        rows.append({
            "task": one["task"],
            "item": int(one["doc_id"]),
            "rule": str(one["filter"]),
            "question": str(task.doc_to_text(one["doc"])),
            "reply": _reply(one, task),
            "target": _target(one, task),
            **{name: float(value) for name, value in values.items()},
        })  # fmt: skip
    return plain(rows)


def _reply(one: Mapping[str, Any], task: Any) -> str:
    """What the model wrote, or of several choices the one that it finds likeliest."""
    if task.OUTPUT_TYPE == "generate_until":
        return str(one["resps"][0][0])
    if task.OUTPUT_TYPE == "multiple_choice":
        logs = [float(each[0]) for each in one["filtered_resps"]]
        best = max(range(len(logs)), key=logs.__getitem__)
        choices = task.doc_to_choice(one["doc"])
        return str(choices[best]) if best < len(choices) else ""
    return ""


def _target(one: Mapping[str, Any], task: Any) -> str:
    if task.OUTPUT_TYPE == "multiple_choice" and isinstance(one["target"], int):
        return str(task.doc_to_choice(one["doc"])[one["target"]])
    return str(one["target"])


def _notes(
    samples: Sequence[Mapping[str, Any]], tasks: Mapping[str, Any], lm: Any, size: int, asking: Asking
) -> list[str]:
    notes = []
    cut = 0
    prompts = {one["prompt_hash"]: one for one in samples}
    for one in prompts.values():
        task = tasks[one["task"]]
        parts = one["arguments"][0]
        behind = lm.max_gen_toks
        if task.OUTPUT_TYPE == "generate_until":
            behind = parts[1].get("max_gen_toks", behind)
        else:
            behind = len(lm.tok_encode(parts[1])) if len(parts) > 1 else 0
        cut += len(lm.tok_encode(parts[0])) + behind > lm.max_length
    if cut:
        notes.append(
            f"{cut} of {len(prompts)} prompts were longer than the model's context of {lm.max_length:,} "
            "tokens: their beginnings were cut off, and the figures are not the benchmark's."
        )
    if size < asking.batch_size:
        notes.append("Rows of a batch touch each other in this model: prompts were read one at a time.")
    return notes
