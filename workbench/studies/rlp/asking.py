"""What every model of 11_rlp is asked: questions to reply to, and texts whose next tokens it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Chain, Count
from workbench.engine.sampling.sampler import SamplingParams, fits
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import framed
from workbench.measures.answers.extraction import extract
from workbench.studies.rlp.data import Embedded, FileTexts, Item, kind_of
from workbench.studies.rlp.method import InformationGain, Position, Thinking, rows_of, score
from workbench.studies.rlp.problems import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

AT_ONCE = 256  # replies that are drawn side by side


def prompt_for(tokenizer: PreTrainedTokenizerFast, item: Item, opening: str = "") -> str:
    """What the model behind a tokenizer reads before its reply, which begins with `opening`."""
    return "".join(framed(tokenizer, item.question, opening))


def fitting(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, items: Sequence[Item], longest: int
) -> list[Item]:
    """The items whose question leaves room for `longest` tokens of a reply."""
    sampler = TransformersSampler(model, tokenizer)
    return [item for item in items if fits(sampler, prompt_for(tokenizer, item), longest)]


def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    source: Embedded | FileTexts,
    items: Sequence[Item],
    *,
    draws: int,
    seed: int,
    opening: str = "",
    temperature: float = 1.0,
) -> pd.DataFrame:
    """Replies to questions.

    Args:
        draws: replies to each, at the temperature.
        opening: with which every reply has to begin.

    Returns:
        A row a reply: item (index into `items`), kind (see `kind_of`), length (operations), thinks, useful
        (share of the steps that stand in the thought, in their order; NaN without one), question, reply
        (the text from the question on), right, answer (what counts as the same: the last word, the whole
        reply where names are asked for, the final answer to a given problem).
    """
    completions = TransformersSampler(model, tokenizer, AT_ONCE).sample(
        [prompt_for(tokenizer, item, opening) for item in items],
        SamplingParams(
            n=draws, max_tokens=source.longest_reply, stop=source.stop, seed=seed, temperature=temperature
        ),
    )
    rows = [
        {"item": index, **grade(item, opening + reply.text, source, ended=reply.finish_reason == "stop")}
        for index, (item, replies) in enumerate(zip(items, completions, strict=True))
        for reply in replies
    ]
    return pd.DataFrame(rows)


def grade(item: Item, reply: str, source: Embedded | FileTexts, ended: bool) -> dict[str, Any]:
    """The columns of `ask` for one reply."""
    thinks = reply.lstrip().startswith(source.thinking.opening.strip())
    row = {"kind": kind_of(item), "length": 0, "thinks": thinks, "useful": np.nan, "answer": reply.strip()}
    if isinstance(item, Chain | Count):
        thought, _, _ = reply.partition(thoughts.CLOSING)
        words = thought.removeprefix(thoughts.OPENING).split()
        right = [word == step for word, step in zip(words, item.steps, strict=False)]
        row |= {"length": len(item.steps), "answer": (reply.split() or [""])[-1]}
        row |= {"useful": sum(right) / len(item.steps)} if thinks else {}
    elif isinstance(item, Problem):
        row |= {"answer": extract(reply).text}
    right = item.right(reply) and (ended or isinstance(item, Problem))
    return row | {"question": item.question, "reply": reply, "right": right}


def predictions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    positions: Sequence[Position],
    thinking: Thinking,
    *,
    draws: int,
    seed: int,
    temperature: float = 1.0,
) -> pd.DataFrame:
    """How well a text's next tokens are predicted, with thoughts and without.

    Args:
        draws: thoughts at each position, at the temperature.

    Returns:
        A row a position: item, nats (without a thought), nats_with (the mean over thoughts), right,
        right_with (share of thoughts after which the most likely tokens are the true ones), length (mean
        tokens of a thought).
    """
    rows = rows_of(tokenizer, positions, thinking)
    groups = TransformersSampler(model, tokenizer, AT_ONCE).sample(
        [row["prompt"] for row in rows],
        SamplingParams(
            n=draws,
            max_tokens=thinking.max_tokens,
            stop=(thinking.closing,),
            seed=seed,
            temperature=temperature,
        ),
    )
    objective = InformationGain(model, tokenizer, thinking)
    thought_through = [
        objective.after(thought, row) for row, group in zip(rows, groups, strict=True) for thought in group
    ]
    nats, right = score(model, [(row["context"], row["target"]) for row in rows])
    with_nats, with_right = score(model, thought_through)
    return pd.DataFrame({
        "item": range(len(rows)),
        "nats": nats,
        "nats_with": with_nats.reshape(-1, draws).mean(1),
        "right": right,
        "right_with": with_right.reshape(-1, draws).mean(1),
        "length": [np.mean([len(thought.tokens) for thought in group]) for group in groups],
    })  # fmt: skip
