"""Which neurons tell a label: the AUC of each, selected on half of the stories, confirmed on the other half.

The area under the ROC curve is the chance that a token with the label has the higher activation of two. It
is computed exactly, over all tokens of the stories searched; a few layers' activations are in memory at a
time. A neuron is worth no more than what else could have been picked: random directions of the same layer,
neurons of an untrained model, and labels that belong to another story.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens, label_tokens
from workbench.corpora.stories.labels import Spans
from workbench.engine import models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.measures.roc import aucs, midranks, resampled_aucs, resampled_hits
from workbench.studies.neurons.method import token_values
from workbench.studies.tiny_models.ladder import Fitted

INTERPRETABLE = 0.9  # held-out AUC of a unit's best label from which on it counts as interpretable
VERB = "verb"  # the paper's other neuron
LEAST = 10  # tokens with a label that each half must have
DRAWS = 200  # bootstrap samples of stories
_MEMORY = 1 << 28  # bytes of activations held at once, if one layer needs no more
_SHOWN = 8  # units of a layer and label that get an interval


# ------------------------------------------------------------------------------- units and labels
def activations(model: PreTrainedModel, texts: LabelledTokens) -> Iterator[tuple[int, np.ndarray]]:
    """Layer by layer the neurons' activations over all tokens of all texts: float32 `[neurons, tokens]`.

    One pass over the texts serves as many layers as `_MEMORY` allows.
    """
    parts = anatomy(model)
    starts = np.cumsum([0, *(len(row) - texts.first for row in texts.rows)])
    step = max(1, _MEMORY // (4 * parts.n_neurons * sum(map(len, texts.rows))))
    for first in range(0, parts.n_layers, step):
        layers = range(first, min(first + step, parts.n_layers))
        values = {layer: np.empty((parts.n_neurons, starts[-1]), dtype=np.float32) for layer in layers}

        def keep(value: Tensor, point: HookPoint, batch: Batch, values: dict = values) -> None:
            for index, row in zip(batch.index, token_values(value, batch, texts.first), strict=True):
                values[point.layer][:, starts[index] : starts[index + 1]] = row.T.cpu().numpy()

        for _ in stream(model, texts.rows, {f"neuron.{layer}": keep for layer in layers}):
            pass
        for layer in layers:
            yield layer, values.pop(layer)


def random_directions(values: np.ndarray, seed: int) -> np.ndarray:
    """As many random directions of a layer's activations as it has neurons.

    A direction is a sum of all neurons, brought to one scale, with normally distributed weights: all that the
    layer knows is in them, but none lies on an axis that the activation function singles out.
    """
    scale = values.std(1, keepdims=True)
    mixing = np.random.default_rng(seed).normal(size=(len(values), len(values))).astype(np.float32)
    return mixing @ (values / np.where(scale > 0, scale, 1))


def shuffled(labels: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Each story with the labels of another one, at the same positions, cut or filled up with none."""
    mixed = [np.zeros_like(flags) for flags in labels]
    for flags, index in zip(mixed, rng.permutation(len(labels)), strict=True):
        flags[: len(labels[index])] = labels[index][: len(flags)]
    return mixed


@dataclass(frozen=True)
class _Half:
    """Half of the stories: which tokens are theirs, labels `[tokens, labels]`, and each token's story."""

    tokens: np.ndarray
    masks: np.ndarray
    story: np.ndarray


def _halves(texts: LabelledTokens, rng: np.random.Generator | None = None) -> list[_Half]:
    """Every second story selects, the others confirm; with `rng` under shuffled labels."""
    lengths = np.array([len(flags) for flags in texts.labels])
    halves = []
    for side in (0, 1):
        labels = texts.labels[side::2]
        masks = np.concatenate(shuffled(labels, rng) if rng else labels)
        tokens = np.repeat(np.arange(len(texts)) % 2 == side, lengths)
        halves.append(_Half(tokens, masks, np.repeat(np.arange(len(labels)), lengths[side::2])))
    return halves


def usable(texts: LabelledTokens) -> dict[str, int]:
    """Labels that enough tokens of both halves have, and their columns."""
    counts = np.min([half.masks.sum(0) for half in _halves(texts)], axis=0)
    return {name: column for column, name in enumerate(texts.names) if counts[column] >= LEAST}


def check_label(texts: LabelledTokens, label: str) -> dict[str, int]:
    """`usable`, if the label is among them.

    Raises:
        UserError: it is no label, or too few tokens of these texts have it.
    """
    labels = usable(texts)
    if label not in labels:
        reason = "too few tokens have it" if label in texts.names else "it is no label"
        known = "; ".join(labels) or "none"
        raise UserError(f"'{label}' cannot be searched for, {reason}: there are {known}.")
    return labels


# ------------------------------------------------------------------------------- the survey
def survey(
    model: PreTrainedModel,
    texts: LabelledTokens,
    *,
    seed: int,
    question: str,
    kinds: Sequence[str] = ("neuron", "random direction", "shuffled labels"),
) -> pd.DataFrame:
    """AUC of every unit of every layer for every label that can be searched for.

    Args:
        model: any transformers causal language model that `anatomy` can read.
        texts: labelled texts; every second one selects.
        seed: of random directions, shuffles and the bootstrap, which draws the same stories for all models.
        question: the label whose best units get `hits`.
        kinds: "neuron", or controls by which the neurons' place is taken.

    Returns:
        Columns kind, layer, unit, label, fires ("present", or "absent": low where the label is), select,
        confirm (AUC on either half, in the direction that the first half chose), best (whether it is the
        unit's best label on the first half); low and high (interval of confirm over its stories) for a unit's
        best label and a layer's best units for every label; hits, hits_low and hits_high
        (`measures.roc.resampled_hits`) for a layer's best units for the question; draws and hits_draws, the
        bootstrap samples, for a unit's best label and a layer's best units for the question and for `VERB`.

    Raises:
        UserError: the question is no label that the texts have, or as `stream`.
    """
    columns, frames = check_label(texts, question), []
    true, mixed = _halves(texts), _halves(texts, np.random.default_rng(seed))
    for layer, values in activations(model, texts):
        neurons = _ranks(values, true)
        for kind in kinds:
            is_mix = kind == "random direction"
            ranks = _ranks(random_directions(values, seed + layer), true) if is_mix else neurons
            halves = mixed if kind == "shuffled labels" else true
            scored = _score(ranks, halves, columns, question, seed)
            frames.append(scored.assign(kind=kind, layer=layer))
    return pd.concat(frames, ignore_index=True)


def survey_all(
    fitted: Fitted, names: Sequence[str], labelled: Sequence[tuple[str, Spans]], question: str, seed: int
) -> pd.DataFrame:
    """`survey` of the named models and of untrained ones of the same shapes, with a column model."""
    frames = []
    for name in names:
        model, tokenizer = fitted[name]
        texts, options = label_tokens(model, tokenizer, labelled), {"seed": seed, "question": question}
        trained = survey(model, texts, **options)
        random = survey(untrained(model, seed), texts, kinds=("neuron",), **options)
        frames += [trained.assign(model=name), random.assign(model=name, kind="untrained neuron")]
    return pd.concat(frames, ignore_index=True)


def placebo(fitted: Fitted, seed: int) -> Fitted:
    """Untrained models in the place of trained ones, other ones than those that `survey_all` puts beside."""
    return {name: (untrained(model, seed + 10_000), tokenizer) for name, (model, tokenizer) in fitted.items()}


def untrained(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A model of the same shape with random weights."""
    return models.build(model.config, seed + 1).to(model.device)


def _ranks(values: np.ndarray, halves: Sequence[_Half]) -> list[np.ndarray]:
    """`midranks` of the units' values `[units, tokens]` on either half."""
    return [midranks(values[:, half.tokens]) for half in halves]


def _score(
    ranks: Sequence[np.ndarray],
    halves: Sequence[_Half],
    columns: Mapping[str, int],
    question: str,
    seed: int,
) -> pd.DataFrame:
    """The rows of `survey` for the units of one layer, of `_ranks`; `columns` of the labels."""
    # a shuffled label may be on no token: then it tells nothing
    select, confirm = (
        np.nan_to_num(aucs(rank, half.masks[:, list(columns.values())]), nan=0.5)
        for rank, half in zip(ranks, halves, strict=True)
    )
    sign = np.where(select < 0.5, -1, 1)
    select, confirm = 0.5 + sign * (select - 0.5), 0.5 + sign * (confirm - 0.5)
    units, labels = np.indices(select.shape)
    scores = {
        "unit": units,
        "label": np.array(list(columns))[labels],
        "fires": np.where(sign > 0, "present", "absent"),
        "select": select,
        "confirm": confirm,
        "best": select == select.max(1, keepdims=True),
    }
    frame = pd.DataFrame({name: column.ravel() for name, column in scores.items()})
    return _with_intervals(frame, ranks[1], halves[1], columns, question, seed)


def _with_intervals(
    frame: pd.DataFrame, ranks: np.ndarray, half: _Half, columns: Mapping[str, int], question: str, seed: int
) -> pd.DataFrame:
    """Bootstrap samples and bounds, where `survey` says that they are; `frame` has units before labels."""
    n_stories = half.story[-1] + 1
    chances, once = np.full(n_stories, 1 / n_stories), np.ones((1, n_stories), dtype=int)
    weights = np.random.default_rng(seed).multinomial(n_stories, chances, size=DRAWS)
    draws, hits_draws = (np.full(len(frame), None, dtype=object) for _ in range(2))
    hits = np.full(len(frame), np.nan)
    for label, part in frame.groupby("label", sort=False):
        leaders = part["select"].nlargest(_SHOWN).index
        chosen = part.loc[part.index[part["best"]].union(leaders)]
        sign = np.where(chosen["fires"] == "present", 1, -1)[:, None]
        signed, mask = ranks[chosen["unit"]] * sign, half.masks[:, columns[label]]
        resampled = resampled_aucs(signed, mask, half.story, weights).astype(np.float32)
        for row, index in enumerate(chosen.index):
            draws[index] = resampled[row]
            if label == question and index in leaders:
                hits[index] = resampled_hits(signed[row], mask, half.story, once)[0]
                hits_draws[index] = resampled_hits(signed[row], mask, half.story, weights)
    low, high = _bounds(draws)
    asked = frame["label"].isin([question, VERB])
    draws[~(frame["best"] | asked)] = None  # they fill the disk
    hits_low, hits_high = _bounds(hits_draws)
    bounds = {"low": low, "high": high, "hits": hits, "hits_low": hits_low, "hits_high": hits_high}
    return frame.assign(**bounds, draws=draws, hits_draws=hits_draws)


def _bounds(draws: np.ndarray) -> np.ndarray:
    bounds = np.full((2, len(draws)), np.nan)
    known = [index for index, row in enumerate(draws) if row is not None]
    if known:
        bounds[:, known] = np.quantile(np.stack(draws[known]), (0.025, 0.975), axis=1)
    return bounds


def chance_of_best(
    model: PreTrainedModel, texts: LabelledTokens, *, seed: int, shuffles: int
) -> pd.DataFrame:
    """How good the best of all neurons is by chance: columns label, shuffle, best.

    The highest AUC (in either direction) on the first half over all neurons of all layers, with every story's
    labels replaced by another story's, `shuffles` times. A neuron that beats the 95th percentile of this is
    significant after correction for all neurons (Westfall & Young 1993).
    """
    rng, labels, selects = np.random.default_rng(seed), usable(texts), _halves(texts)[0].tokens
    columns = list(labels.values())
    masks = [np.concatenate(shuffled(texts.labels[0::2], rng))[:, columns] for _ in range(shuffles)]
    stacked = np.stack(masks, 1).reshape(int(selects.sum()), -1)  # [tokens, shuffles x labels]
    best = np.zeros(stacked.shape[1])
    for _, values in activations(model, texts):
        scores = np.abs(aucs(midranks(values[:, selects]), stacked) - 0.5) + 0.5
        best = np.fmax(best, np.nan_to_num(scores, nan=0.5).max(0))
    shuffle = np.repeat(np.arange(shuffles), len(labels))
    return pd.DataFrame({"label": list(labels) * shuffles, "shuffle": shuffle, "best": best})


def ranked(surveyed: pd.DataFrame, label: str, chance: pd.DataFrame | None = None) -> pd.DataFrame:
    """Units by their AUC on the first half for a label, best first; with `chance` the adjusted p of each.

    p is the share of shuffles (and the true labels as one more) in which the best neuron was as good.
    """
    units = surveyed[surveyed["label"] == label].sort_values("select", ascending=False, kind="stable")
    if chance is not None:
        best = np.sort(chance.loc[chance["label"] == label, "best"])
        as_good = len(best) - np.searchsorted(best, units["select"], side="left")
        units = units.assign(p=(1 + as_good) / (1 + len(best)))
    return units.reset_index(drop=True)


def champions(surveyed: pd.DataFrame, label: str) -> pd.DataFrame:
    """The best unit of each kind for a label, by the first half: the rows of `survey`, kind as index."""
    return ranked(surveyed, label).groupby("kind", sort=False).first()


def best_labels(surveyed: pd.DataFrame, kind: str = "neuron") -> pd.DataFrame:
    """Every unit's best label by the first half: the rows of `survey`, (layer, unit) as index."""
    best = surveyed[(surveyed["kind"] == kind) & surveyed["best"]]
    return best.drop_duplicates(["layer", "unit"]).set_index(["layer", "unit"])
