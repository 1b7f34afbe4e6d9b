"""The same search in several trainings of the ladder: one number a training, for claims over trainings.

Eldan & Li 2023 looked at one training of each model. Otherwise than published: a neuron that another training
does not have is luck, so that every model of 02's ladder is searched like the model of the figures, by the
same stories and with controls of its own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens, label_tokens
from workbench.corpora.stories.labels import Spans
from workbench.engine import loading
from workbench.errors import UserError
from workbench.studies.common.profiles import is_ladder
from workbench.studies.neurons import value_vectors
from workbench.studies.neurons.directions import best_directions
from workbench.studies.neurons.method import extremes
from workbench.studies.neurons.search import (
    CHOSEN_BY,
    INTERPRETABLE,
    VERB,
    best_labels,
    champions,
    survey_all,
)
from workbench.studies.neurons.units import untrained
from workbench.studies.tiny_models.ladder import ASIDE, Rung, trained

Training = tuple[int, str]  # the seed and the name of a model
Row = tuple[str, str, float]  # kind, measure, value
LEARNT = 0.5  # of an untrained model's loss: a model that is not below it has not learnt, and is left out
INTERPRETABLE_SHARE = "share interpretable"
_TITLES = {"hits": "hits", "confirm": "AUC"}
_LOSS_TEXTS = 8


def measure_of(column: str, label: str) -> str:
    """The name of a label's hits ("hits") or AUC ("confirm") in the table of trainings."""
    return f"{_TITLES[column]}: {label}"


def reads_ladder(params: Any, n_stories: int) -> bool:
    """Whether models of 02_tiny_models are searched: in place of the starter, or beside it."""
    return is_ladder(params.model) or (params.model == "starter" and n_stories > 0)


def available(folder: Path, rungs: Sequence[Rung]) -> list[Training]:
    """Seed and name of every finished model of the ladder that differs from the others in size.

    Raises:
        UserError: there is none.
    """
    seeds = sorted(int(path.name.removeprefix("seed-")) for path in folder.glob("seed-*"))
    names = [rung.name for rung in rungs if rung.name not in ASIDE]
    models = [(seed, name) for seed in seeds for name in names if trained(folder, name, seed).exists()]
    if not models:
        raise UserError("02_tiny_models holds no finished model: run it again, then this notebook.")
    return models


def search(
    folder: Path,
    chosen: Sequence[Training],
    labelled: Sequence[tuple[str, Spans]],
    question: str,
    *,
    seed: int,
    device: str,
    placebo: bool = False,
) -> pd.DataFrame:
    """What the best units of some models tell: columns seed, model, kind, measure, value.

    Measures are the hits and the AUC of the best unit of each kind for the question and for `VERB` (the hits
    of random directions are the mean over several sets, see `directions`), the share of units that are
    interpretable, how far neurons' agreement with their triggers is above chance (kind "neurons of later
    layers", "neurons of earlier layers"), and the loss (kind "trained", "untrained").

    Args:
        folder: of the models, the artifact of 02_tiny_models.
        chosen: seed and name of each.
        labelled: stories that are searched, the same for all.
        question: the label.
        seed: of random directions, shuffles and untrained models; that of a training is added.
        device: a torch device, or auto.
        placebo: whether untrained models take the place of the trained ones.
    """
    frames = []
    for training, name in chosen:
        model, tokenizer = loading.load(trained(folder, name, training), device)
        own = seed + 1_000 * training
        subject = untrained(model, own + 10_000) if placebo else model
        texts = label_tokens(model, tokenizer, labelled)
        surveyed = survey_all({name: (subject, tokenizer)}, [name], labelled, question, own, resampled=False)
        rows = [
            *_best_units(surveyed, subject, texts, question, own),
            *_interpretable(surveyed),
            *_agreement(subject, texts),
        ]
        losses = {"trained": _loss(model, texts), "untrained": _loss(untrained(model, own), texts)}
        rows += [(kind, "loss", value) for kind, value in losses.items()]
        frame = pd.DataFrame(rows, columns=["kind", "measure", "value"])
        frames.append(frame.assign(seed=training, model=name))
    return pd.concat(frames, ignore_index=True)


def _best_units(
    surveyed: pd.DataFrame, model: PreTrainedModel, texts: LabelledTokens, question: str, seed: int
) -> Iterator[Row]:
    """Hits and AUC of the best unit of each kind; the hits of random directions are those of several sets."""
    directions = best_directions(model, texts, (question, VERB), seed=seed)
    mean_hits = directions.groupby("label")["hits"].mean()
    for label in (question, VERB):
        for column, chosen_by in CHOSEN_BY.items():
            values = champions(surveyed, label, by=chosen_by)[column].to_dict()
            if column == "hits" and label in mean_hits:
                values["random direction"] = mean_hits[label]
            yield from ((kind, measure_of(column, label), value) for kind, value in values.items())


def _interpretable(surveyed: pd.DataFrame) -> Iterator[Row]:
    for kind in surveyed["kind"].unique():
        share = (best_labels(surveyed, kind)["confirm"] >= INTERPRETABLE).mean()
        yield kind, INTERPRETABLE_SHARE, float(share)


def _agreement(model: PreTrainedModel, texts: LabelledTokens) -> Iterator[Row]:
    contexts = extremes(model, texts, k=1).contexts()
    agreed = value_vectors.agreement(contexts, value_vectors.writes(model, 1), texts)
    above, later = value_vectors.above_chance(agreed)
    for half, part in (("later", above[later]), ("earlier", above[~later])):
        yield f"neurons of {half} layers", "agreement", float(part.mean())


def _loss(model: PreTrainedModel, texts: LabelledTokens) -> float:
    which = range(min(_LOSS_TEXTS, len(texts)))
    return float(np.concatenate(value_vectors.losses(model, texts, which)).mean())


def split_learnt(measured: pd.DataFrame) -> tuple[pd.DataFrame, list[Training]]:
    """The rows of models that have learnt something, and those that have not, which are left out.

    The rule: a model's loss is below `LEARNT` times that of an untrained one.
    """
    losses = measured[measured["measure"] == "loss"].pivot(
        index=["seed", "model"], columns="kind", values="value"
    )
    learnt = losses["trained"] < LEARNT * losses["untrained"]
    failed = [(int(seed), str(model)) for seed, model in losses.index[~learnt]]
    kept = [key not in failed for key in zip(measured["seed"], measured["model"], strict=True)]
    return measured[kept].reset_index(drop=True), failed


def note(measured: pd.DataFrame, failed: Sequence[Training]) -> str:
    """How many trainings of each model are searched, and which are left out and why."""
    counts = measured.groupby("model", sort=False)["seed"].nunique()
    kept = ", ".join(f"{count} of {name}" for name, count in counts.items())
    line = f"Trainings searched: {kept or 'none'}."
    if failed:
        names = ", ".join(f"{name} of seed {seed}" for seed, name in failed)
        line += f" Left out, since their loss is not below half of an untrained model's: {names}."
    return line
