"""Answers of several models to the same prompts, from files.

Three kinds are read, known by the fields of the first row:

- plain rows (.jsonl, .json, .csv, .parquet): prompt, model, text, and where there, prompt_id, category,
  sample and finish ("stop" or "length");
- NoveltyBench's scores (.jsonl): id, prompt, model and a list of generations;
- MCTB's creative tasks (.json): a model's responses by setting. A list of ideas is as many answers, a list
  of sentences is one story. Its stories name no prompt: they go round eight of them in order.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import lowered, question_of
from workbench.corpora.loaders.formats import LONGEST_JSON, decoded, opened, suffix
from workbench.corpora.loaders.rows import Malformed
from workbench.errors import UserError
from workbench.sources import Source

COLUMNS = ["prompt_id", "prompt", "category", "model", "sample", "text", "finish"]
STORY_PROMPTS = 8  # of MCTB's story task
_SENTENCES = 6  # a story has five; lists of ideas are longer
_FINISHES = ("stop", "length")


def load_generations(spec: str) -> pd.DataFrame:
    """The answers of one file or several.

    Args:
        spec: paths with commas between them (see `workbench.sources`).

    Returns:
        Columns prompt_id, prompt, category, model, sample, text (may be empty), finish; rows as in the files.

    Raises:
        UserError: nothing there, a format that is not known, a malformed row (with its number), or one
            answer twice.
    """
    located = [answer for source in rows.parsed(spec, ()) for answer in _answers(source)]
    frame = pd.DataFrame([answer for _, answer in located], columns=COLUMNS)
    _check_prompts(frame, [where for where, _ in located])
    unnumbered = frame["sample"].isna()
    keys = ["prompt_id", "model"]
    frame.loc[unnumbered, "sample"] = frame[unnumbered].groupby(keys).cumcount()
    repeated = frame.duplicated([*keys, "sample"])
    if repeated.any():
        raise UserError(
            f"{located[int(repeated.argmax())][0]} is a second answer of the same model, prompt and sample: "
            "number the samples, or leave the column out."
        )
    return frame.astype({"sample": int})


def usable_answers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The answers to prompts that all models answered, and what was noticed.

    Empty answers are left out and answers that were cut off are kept; both are counted, as are prompts with
    a single answer of some model, which have no repetition.

    Raises:
        UserError: no prompt was answered by all models, or every answer is empty.
    """
    from workbench.measures.summaries import common_prompts

    empty = frame["text"].str.strip() == ""
    full = frame[~empty]
    if full.empty:
        raise UserError("Every answer is empty: there is nothing to compare.")
    common, left_out = common_prompts(full["model"], full["prompt_id"])
    kept = full[full["prompt_id"].isin(common)].reset_index(drop=True)
    single = int((kept.groupby(["model", "prompt_id"]).size() < 2).sum())
    counted = {
        "empty answers left out": int(empty.sum()),
        "answers that were cut off": int((kept["finish"] == "length").sum()),
        "prompts of a model with one answer only (no repetition)": single,
    }
    n_models = kept["model"].nunique()
    notes = [f"{len(kept):,} answers of {n_models} models to {len(common)} prompts"]
    notes += [f"{count:,} {what}" for what, count in counted.items() if count]
    notes += [f"{count} prompts of {model} that not all models answered" for model, count in left_out.items()
              if count]  # fmt: skip
    return kept, notes


def _check_prompts(frame: pd.DataFrame, places: list[str]) -> None:
    """Refuses two prompts under one id, and one prompt under two: each would be counted wrongly."""
    for name, other, fault in (
        ("prompt_id", "prompt", "another prompt under the id"),
        ("prompt", "prompt_id", "another id for the prompt"),
    ):
        first = frame.groupby(name, sort=False)[other].transform("first")
        differs = first != frame[other]
        if differs.any():
            at = int(differs.argmax())
            raise UserError(
                f"{places[at]} has {fault} {frame[name][at]!r:.60}: give every prompt one id of its own."
            )


# ------------------------------------------------------------------------------- reading
def _answers(source: Source) -> Iterator[tuple[str, list[Any]]]:
    path = Path(source.name).expanduser()
    tables = _tables(path)
    if tables is not None:
        yield from _mctb(tables, path)
        return
    where = ""
    for where, entries in rows.of_one(source, formats=rows.TABLES):
        with rows.checked(where, entries):
            answers = _of_row(lowered(entries))
        yield from ((where, answer) for answer in answers)
    if not where:
        raise UserError(f"{path} holds no answer.")


def _of_row(row: dict[str, Any]) -> list[list[Any]]:
    listed = "generations" in row
    needed = ("prompt", "model", "generations" if listed else "text")
    if missing := [name for name in needed if row.get(name) is None]:
        raise Malformed(f"has no {' and no '.join(missing)}; a row needs {', '.join(needed)}")
    texts = row["generations"] if listed else [row["text"]]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in [row["prompt"], *texts]):
        raise Malformed("has a prompt or an answer that is no text")
    prompt = question_of(row, ("prompt",), used=("text",))
    if not prompt:
        raise Malformed("has an empty prompt")
    named = row.get("id" if listed else "prompt_id")  # the id of a plain row may be the answer's
    prompt_id = prompt if named in (None, "") else rows.name_of(named, "a prompt_id")
    finish = row.get("finish") or "stop"
    if finish not in _FINISHES:
        raise Malformed(f"has finish {finish!r:.40}, which is not one of {', '.join(_FINISHES)}")
    sample = None if listed else _sample(row.get("sample"))
    common = [prompt_id, prompt, str(row.get("category") or ""), rows.name_of(row["model"], "a model")]
    return [[*common, sample, text, finish] for text in texts]


def _sample(value: Any) -> int | None:
    """A whole number, however a table writes it ("3", 3.0, "3.0")."""
    if value is None or value == "":
        return None
    match = re.fullmatch(r"\s*(\d{1,9})(?:\.0*)?\s*", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise Malformed(f"has sample {value!r:.40}, which is no whole number")
    return int(match[1])


# ------------------------------------------------------------------------------- MCTB
def _tables(path: Path) -> list[dict[str, Any]] | None:
    """MCTB's tables, one a prompt or one for all; None if the file is something else."""
    if not path.is_file() or suffix(path) != ".json":
        return None
    with opened(path) as file:
        try:
            content = decoded(file.read(LONGEST_JSON))
        except (ValueError, RecursionError):
            return None  # `rows` says where
    tables = content if isinstance(content, list) else [content]
    return tables if tables and all(map(_is_table, tables)) else None


def _is_table(table: Any) -> bool:
    models = [value for name, value in table.items() if name != "config"] if isinstance(table, dict) else []
    return bool(models) and all(isinstance(settings, dict) for settings in models)


def _mctb(tables: list[dict[str, Any]], path: Path) -> Iterator[tuple[str, list[Any]]]:
    for number, table in enumerate(tables, 1):
        config = table.get("config")
        thing = config.get("object_prompt") if isinstance(config, dict) else None
        for model, settings in table.items():
            if model == "config":
                continue
            for setting, responses in settings.items():
                where = f"{path} prompt {number}, {model:.40}, {setting:.40}"
                yield from ((where, answer) for answer in _responses(responses, thing, model, where))


def _responses(responses: Any, thing: Any, model: str, where: str) -> Iterator[list[Any]]:
    if not isinstance(responses, list):
        raise UserError(f"{where}: responses must be a list.")
    for number, response in enumerate(responses):
        if not (isinstance(response, list) and all(isinstance(part, str) for part in response)):
            raise UserError(f"{where}, response {number + 1} is no list of texts.")
        if thing:
            prompt = f"Name unusual uses for: {thing}"
            yield from ([prompt, prompt, "ideas", model, None, idea, "stop"] for idea in response)
        elif len(response) <= _SENTENCES:
            prompt = f"Write a story of five sentences (prompt {number % STORY_PROMPTS + 1})"
            yield [prompt, prompt, "story", model, None, " ".join(response), "stop"]
        else:
            raise UserError(f"{where}, response {number + 1}: ideas need a config with object_prompt.")
