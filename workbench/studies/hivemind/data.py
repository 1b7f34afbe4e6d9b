"""The answers that 10_hivemind compares: of the embedded models, of any samplers, or from files.

Each answer gets a class (what it means) and, where an oracle knows, whether it is valid; each similarity its
two ends: answers to different prompts, and answers that say the same in other words.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora import open_ended
from workbench.corpora.loaders import rows
from workbench.corpora.loaders.generations import COLUMNS, load_generations, usable_answers
from workbench.engine import loading
from workbench.engine.encoders import encode
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import Sampler, SamplingParams, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.measures import similarity
from workbench.measures.equivalence import equivalence_classes, rouge_same
from workbench.studies.hivemind.models import LONGEST, Sizes, train_all

PEOPLE = "people"  # the name under which the people's own answers stand beside the models'
INVALID = "not valid"
_LONG = 512  # tokens of an answer by a sampler that the user names


@dataclass(frozen=True)
class AnswerSet:
    """What is compared.

    Attributes:
        frame: columns prompt_id, prompt, category, model, sample, text, finish, valid, meaning (the class;
            INVALID where the oracle says so). Embedded models come with rows of PEOPLE.
        vectors: unit rows, one a row of the frame.
        floor: mean cosine of answers to different prompts.
        ceiling: mean cosine of answers that say the same in other words.
        n_meanings: valid meanings of each prompt; empty where nobody knows.
        notes: what was noticed.
    """

    frame: pd.DataFrame
    vectors: np.ndarray
    floor: float
    ceiling: float
    n_meanings: Mapping[str, int]
    notes: list[str]

    @property
    def own(self) -> np.ndarray:
        """Which rows are of models, bool."""
        return (self.frame["model"] != PEOPLE).to_numpy()

    @property
    def models(self) -> list[str]:
        """Names in their order."""
        return list(dict.fromkeys(self.frame.loc[self.own, "model"]))


def is_embedded(params: Any) -> bool:
    """Whether the answers are those of the embedded models to the embedded requests."""
    return params.generations == params.models == params.prompts == "embedded"


# ------------------------------------------------------------------------------- collecting
def generations(folder: Path, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Answers from the files of `generations`, the samplers of `models`, or the embedded models.

    Args:
        folder: of the embedded models and of what each model has answered, so that a killed call goes on.
        sizes: how many answers, and what to train.
        params: generations, models, prompts, temperature, top_p, min_p, seed, device.

    Returns:
        Columns prompt_id, prompt, category, model, sample, text, finish.

    Raises:
        UserError: files and samplers are both given, or what they name cannot be read.
    """
    if params.generations != "embedded":
        if params.models != "embedded" or params.prompts != "embedded":
            raise UserError("Give either generations, or models and prompts to sample from.")
        return load_generations(params.generations)
    asked = prompts(params)
    own = params.models == "embedded"
    places = (
        train_all(folder / "models", sizes, params)
        if own
        else _named([spec.strip() for spec in params.models.split(",") if spec.strip()])
    )
    sampling = SamplingParams(
        n=sizes.samples,
        max_tokens=LONGEST if own else _LONG,
        temperature=params.temperature,
        top_p=params.top_p,
        min_p=params.min_p,
    )
    frames = []
    for number, (name, place) in enumerate(places.items()):
        frames.append(
            cached_table(
                folder / f"answers-{number}.parquet",
                lambda name=name, place=place: ask(
                    _opened(place, own, params.device), name, asked, sampling, params.seed
                ),
            )
        )
    return pd.concat(frames, ignore_index=True)


def _named(specs: list[str]) -> dict[str, str]:
    """Samplers by the last part of a folder, id or address, or by the whole where two share it."""
    short = [spec.rstrip("/").replace("#", "/").rpartition("/")[2] for spec in specs]
    return dict(zip(short if len(set(short)) == len(set(specs)) else specs, specs, strict=True))


def _opened(place: Path | str, own: bool, device: str) -> Sampler:
    if own:
        return TransformersSampler(*loading.load(place, device), batch_size=256)
    return sampler(str(place), device)


def prompts(params: Any) -> pd.DataFrame:
    """What is asked: columns prompt_id, prompt, category. A file is text (one a line) or rows with prompt.

    What stands there twice is asked once.

    Raises:
        UserError: the file has no prompts, a row has none, or two have one id.
    """
    if params.prompts == "embedded":
        found = [(each.id, each.prompt, each.kind) for each in open_ended.requests(params.seed)]
    elif params.prompts.endswith(".txt"):
        (path,), _ = rows.find(params.prompts, (".txt",))
        with rows.opened(path) as file:
            found = [(line, line, "") for line in map(str.strip, file) if line]
    else:
        found = []
        for where, row in rows.of_source(params.prompts):
            prompt = row.get("prompt") if isinstance(row, dict) else row
            if not isinstance(prompt, str) or not prompt.strip():
                raise UserError(f"{where} has no prompt.")
            known = row if isinstance(row, dict) else {}
            own = prompt if known.get("id") is None else str(known["id"])
            found.append((own, prompt, str(known.get("category") or "")))
    if not found:
        raise UserError(f"{params.prompts} holds no prompt.")
    asked = pd.DataFrame(found, columns=["prompt_id", "prompt", "category"]).drop_duplicates()
    again = asked.loc[asked["prompt_id"].duplicated(), "prompt_id"]
    if len(again):
        raise UserError(f"{params.prompts} has two prompts with the id {again.iloc[0]}: give each its own.")
    return asked


def ask(
    sampler: Sampler, name: str, asked: pd.DataFrame, sampling: SamplingParams, seed: int | str
) -> pd.DataFrame:
    """Answers of one model to each prompt: the columns of `generations`.

    Each model has random numbers of its own, from `seed` and its name: with common ones, models that are
    alike would draw alike.
    """
    prompts = [prompt_for(sampler, prompt) for prompt in asked["prompt"]]
    replies = sampler.sample(prompts, replace(sampling, seed=zlib.crc32(f"{seed}/{name}".encode())))
    found = [
        (row.prompt_id, row.prompt, row.category, name, number, each.text.strip(), each.finish_reason)
        for row, own in zip(asked.itertuples(), replies, strict=True)
        for number, each in enumerate(own)
    ]
    return pd.DataFrame(found, columns=COLUMNS)


# ------------------------------------------------------------------------------- classes and ends
def answers(found: pd.DataFrame, sizes: Sizes, params: Any) -> AnswerSet:
    """What was collected, made ready to be compared.

    Answers from outside have no oracle: they are all valid, and their classes are those of `rouge_same`
    over all models; where there are more than `sizes.samples` of a model to a prompt, so many are drawn.
    """
    frame, notes = usable_answers(found)
    requests = {each.id: each for each in open_ended.requests(params.seed)}
    if is_embedded(params):
        people = _people(list(requests.values()), sizes.samples, params.seed)
        frame = judged(pd.concat([frame, people], ignore_index=True), requests)
        pairs = [pair for each in requests.values() for pair in open_ended.paraphrases(each, 10, params.seed)]
        n_meanings = {each.id: len(open_ended.meanings(each)) for each in requests.values()}
    else:
        frame, drawn = _sampled(frame, sizes.samples, params.seed)
        notes += drawn
        frame, pairs, n_meanings = _classed(frame), [], {}
    # One call for all: the embedded encoder's axes come from the texts it is given.
    everything = [*frame["text"], *(text for pair in pairs for text in pair)]
    vectors = encode(everything, params.encoder, params.device)
    own, others = vectors[: len(frame)], vectors[len(frame) :]
    low = similarity.floor(own, frame["prompt_id"])
    if pairs:
        high = similarity.ceiling(others[::2], others[1::2])
    else:
        high = similarity.ceiling_of_classes(
            own, list(zip(frame["prompt_id"], frame["meaning"], strict=True))
        )
    if np.isnan(low):
        low = 0.0
        notes.append("there is one prompt only, so that 0 stands for a cosine of 0")
    if not high > low:
        high = 1.0
        notes.append("no two answers say the same in other words, so that 1 stands for copies")
    return AnswerSet(frame, own, low, high, n_meanings, notes)


def judged(frame: pd.DataFrame, requests: Mapping[str, open_ended.Request]) -> pd.DataFrame:
    """Answers to embedded requests with the oracle's verdict: adds valid and meaning."""
    found = [
        open_ended.grade(requests[prompt], text)
        for prompt, text in zip(frame["prompt_id"], frame["text"], strict=True)
    ]
    return frame.assign(
        valid=[each.valid for each in found], meaning=[each.meaning or INVALID for each in found]
    )


def _people(asked: list[open_ended.Request], n: int, seed: int) -> pd.DataFrame:
    found = [
        (each.id, each.prompt, each.kind, PEOPLE, number, answer.text, "stop")
        for each in asked
        for number, answer in enumerate(open_ended.answers(each, n, seed + 1))
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def _sampled(frame: pd.DataFrame, n: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    shuffled = frame.sample(frac=1, random_state=seed)
    few = shuffled.groupby(["prompt_id", "model"], sort=False).head(n).sort_index()
    notes = [f"{n} answers of each model to each prompt drawn"] if len(few) < len(frame) else []
    return few.reset_index(drop=True), notes


def _classed(frame: pd.DataFrame) -> pd.DataFrame:
    meaning = pd.Series("", index=frame.index)
    for _, part in frame.groupby("prompt_id", sort=False):
        labels = equivalence_classes(part["text"].tolist(), rouge_same())
        firsts = part["text"].groupby(labels).first()
        meaning[part.index] = [f"{label + 1}: {firsts[label][:40].strip()}" for label in labels]
    return frame.assign(valid=True, meaning=meaning)


def agreement(first: pd.Series, second: pd.Series) -> float:
    """Chance that an answer of each side means the same, from counts by meaning; NaN if a side has none."""
    if first.empty or second.empty:
        return float("nan")
    return float((first / first.sum()).mul(second / second.sum(), fill_value=0).sum())
