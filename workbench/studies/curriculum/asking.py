"""What the models of 06_curriculum are asked: facts, walks, and questions that need a fact and a step."""

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from workbench.corpora import walks
from workbench.engine.batches import padded
from workbench.engine.models import evaluating
from workbench.engine.tokens import encode, encode_pairs
from workbench.studies.curriculum.data import Task

_AT_ONCE = 256  # questions


def completed(model: PreTrainedModel, task: Task, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Whether the most likely continuation of each beginning is the rest, bool `[pairs]`."""
    encoded = encode_pairs(task.tokenizer, pairs)
    # what follows an answer cannot change it
    ids = padded([prompt + rest for prompt, rest in encoded], task.words.begin).numpy()
    rows = zip(most_likely(model, ids), encoded, strict=True)
    return np.array([row[len(prompt) - 1 :][: len(rest)].tolist() == rest for row, (prompt, rest) in rows])


def places_named(model: PreTrainedModel, task: Task, asked: walks.Walks) -> np.ndarray:
    """The place that a model names after each step of the walks, `[walks, steps]`; −1 for no place."""
    tokens = most_likely(model, walks.tokens(asked, task.words))[:, 2:]
    is_place = tokens[..., None] == task.words.places
    return np.where(is_place.any(-1), is_place.argmax(-1), -1)


def combined(model: PreTrainedModel, task: Task) -> pd.DataFrame:
    """The questions that need a home and a step, and their two parts asked apart.

    Of a combined question counts which of the places is the most likely, so that a model to which such a
    question is new is not wrong for beginning with another word.

    Returns:
        Columns kind (of `homes.KINDS`), item (running within its kind), home and step (whether the part is
        known), right, stays (whether the home itself is named as if nobody had gone anywhere), and luck: how
        often the same answer is right of the other ways from this home.
    """
    asked = task.questions
    starts, ways, ends = np.array([(question.home.place, question.way, question.end) for question in asked]).T
    step = places_named(model, task, walks.Walks(starts, ways[:, None], ends[:, None]))[:, 0] == ends
    named = _place_after(model, task, [question.pair()[0] for question in asked])
    other_ways = (task.town.leads[:, starts] == named).sum(0) - (named == ends)
    rows = pd.DataFrame({
        "kind": [question.kind for question in asked],
        "home": completed(model, task, [question.home.fact().pair() for question in asked]),
        "step": step,
        "right": named == ends,
        "stays": named == starts,
        "luck": other_ways / (len(task.town.leads) - 1),
    })  # fmt: skip
    return rows.assign(item=rows.groupby("kind").cumcount())


def _place_after(model: PreTrainedModel, task: Task, prompts: list[str]) -> np.ndarray:
    """The number of the place that is most likely to follow each prompt."""
    encoded = encode(task.tokenizer, prompts)
    lasts = np.array([len(prompt) for prompt in encoded]) - 1
    ids = padded(encoded, task.words.begin).numpy()
    return most_likely(model, ids, task.words.places)[np.arange(len(ids)), lasts]


@torch.inference_mode()
def most_likely(model: PreTrainedModel, ids: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """The most likely token after each, `[rows, tokens]`; of `among` its number there."""
    chosen = slice(None) if among is None else torch.from_numpy(among).to(model.device)
    batches = torch.from_numpy(ids).long().split(_AT_ONCE)
    with evaluating(model):
        logits = (model(part.to(model.device), use_cache=False).logits for part in batches)
        tokens = [part[..., chosen].argmax(-1).cpu() for part in logits]
    return torch.cat(tokens).numpy()
