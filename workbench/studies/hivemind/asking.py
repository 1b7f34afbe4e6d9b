"""Models are asked: for an answer, at several temperatures, for a list, and for one with probabilities."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.corpora.loaders.generations import COLUMNS
from workbench.engine.sampling.sampler import Sampler, SamplingParams, prompt_for
from workbench.errors import UserError
from workbench.studies.hivemind.verbalized import (
    LISTED,
    PLAIN,
    SUFFIX,
    at,
    chat_prompt,
    draw,
    own_name,
    plain_prompt,
    read_list,
    read_plain,
    short_prompt,
)

LEAST_READ = 0.5  # share of a model's lists that can be read, without which they are left out
LEAST_PROMPTS = 0.75  # likewise, share of prompts to which two or more can be


def every_way(
    sampler: Sampler,
    name: str,
    prompts: pd.DataFrame,
    sampling: SamplingParams,
    seed: int | str,
    *,
    heats: Sequence[float] = (),
    lists: bool = False,
    verbalized: bool = False,
) -> pd.DataFrame:
    """Answers of a given model, under its name, and under others that say how else it was asked.

    Args:
        sampler, name, prompts, sampling, seed: as of `ask`.
        heats: other temperatures.
        lists: whether it is asked for plain lists; single answers are then asked to be as short as theirs.
        verbalized: whether it is asked for lists with probabilities; where it is asked for no others, it must
            write some.

    Raises:
        UserError: it did not.
    """
    framed = prompts.assign(prompt=list(map(short_prompt, prompts["prompt"]))) if lists else prompts
    tables = [ask(sampler, name, framed, sampling, seed)]
    for heat in heats:
        if heat != sampling.temperature:
            heated = replace(sampling, temperature=heat)
            tables.append(ask(sampler, name + at(heat), framed, heated, seed))
    if lists:
        own = dict(zip(prompts["prompt_id"], prompts["prompt"], strict=True))
        tables = [table.assign(prompt=table["prompt_id"].map(own)) for table in tables]
    if lists:
        tables.append(ask_lists(sampler, name, prompts, sampling, seed, shares=False))
    if verbalized:
        tables.append(ask_lists(sampler, name, prompts, sampling, seed))
        if not lists:
            _check_lists(tables[-1], name)
    return pd.concat(tables)


def ask(
    sampler: Sampler, name: str, prompts: pd.DataFrame, sampling: SamplingParams, seed: int | str
) -> pd.DataFrame:
    """Answers of one model to each prompt: the columns of `generations`.

    Each model has random numbers of its own, from `seed` and its name: with common ones, models that are
    alike would draw alike.
    """
    framed = [prompt_for(sampler, prompt) for prompt in prompts["prompt"]]
    replies = sampler.sample(framed, replace(sampling, seed=zlib.crc32(f"{seed}/{name}".encode())))
    answers = [
        (row.prompt_id, row.prompt, row.category, name, number, reply.text.strip(), reply.finish_reason)
        for row, completions in zip(prompts.itertuples(), replies, strict=True)
        for number, reply in enumerate(completions)
    ]
    return pd.DataFrame(answers, columns=COLUMNS)


def ask_lists(
    sampler: Sampler,
    name: str,
    prompts: pd.DataFrame,
    sampling: SamplingParams,
    seed: int | str,
    *,
    shares: bool = True,
) -> pd.DataFrame:
    """As `ask`, but each answer is drawn from a list that a given model wrote; "" where it wrote none.

    Args:
        sampler, name, prompts, sampling, seed: as of `ask`.
        shares: whether the list is asked for with probabilities, as published; else answers count alike.
    """
    name = name + (SUFFIX if shares else PLAIN)
    asking = chat_prompt if shares else plain_prompt
    read = read_list if shares else read_plain
    framed = prompts.assign(prompt=list(map(asking, prompts["prompt"])))
    longer = replace(sampling, max_tokens=sampling.max_tokens * LISTED)
    written = ask(sampler, name, framed, longer, seed)
    rng = np.random.default_rng(zlib.crc32(f"{seed}/{name}".encode()))
    drawn = [draw(read(text), rng) for text in written["text"]]
    return written.assign(prompt=prompts["prompt"].repeat(sampling.n).to_numpy(), text=drawn)


def _check_lists(drawn: pd.DataFrame, name: str) -> None:
    """Refuses a model of which no list could be read.

    Args:
        drawn: of `ask_lists`.
        name: of the model.

    Raises:
        UserError: it wrote none.
    """
    if not (drawn["text"] != "").any():
        raise UserError(
            f"{name} wrote no list of answers with probabilities: leave verbalized out, or name models that "
            "follow instructions."
        )


def came_back(written: pd.DataFrame) -> pd.DataFrame:
    """How much of what given models wrote is an answer, a row a model and way of asking it.

    Returns:
        Columns model, replies, read (share of replies that hold an answer), prompts (share of prompts with
        two or more, without which nothing can be compared), words (of an answer, mean), cut (share that were
        cut off) and compared (whether enough was read to compare it).
    """
    rows = []
    for name, part in written.groupby("model", sort=False):
        read = part["text"].str.strip() != ""
        enough = (read.groupby(part["prompt_id"]).sum() >= min(2, len(part))).mean()
        words = part.loc[read, "text"].str.split().str.len().mean()
        row = {"model": name, "replies": len(part), "read": read.mean(), "prompts": enough, "words": words}
        compared = own_name(name) == name or (read.mean() >= LEAST_READ and enough >= LEAST_PROMPTS)
        rows.append(row | {"cut": (part["finish"] == "length").mean(), "compared": compared})
    return pd.DataFrame(rows)


def comparable(written: pd.DataFrame, lists: bool = True) -> pd.DataFrame:
    """Answers without those drawn from lists of which too few could be read (`came_back`), if `lists`."""
    if not lists:
        return written
    kept = came_back(written).query("compared")["model"]
    return written[written["model"].isin(kept)].reset_index(drop=True)
