"""Which neurons tell a label: hits and AUC of each, selected on half of the stories, confirmed on the other.

The hits of a unit: of its strongest tokens, as many as have the label, the share that have it. The area under
the ROC curve (AUC): the chance that a token with the label has the higher activation of two. Both are exact,
over all tokens of the stories searched. A neuron is worth no more than what else could have been picked:
random directions of the same layer, neurons of an untrained model, and labels of another story.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens, label_tokens
from workbench.corpora.stories.labels import Spans
from workbench.measures.roc import aucs, midranks, resampled_aucs, resampled_hits
from workbench.studies.neurons.units import (
    Half,
    activations,
    check_label,
    random_directions,
    shuffled,
    split_halves,
    untrained,
    usable,
)
from workbench.studies.tiny_models.ladder import Fitted

INTERPRETABLE = 0.9  # held-out AUC of a unit's best label from which on it counts as interpretable
VERB = "verb"  # the paper's other neuron
DRAWS = 200  # bootstrap samples of stories
CHOSEN_BY = {"hits": "hits_select", "confirm": "select"}  # what is judged, and what chooses the unit for it
_SHOWN = 8  # units of a layer and label that get an interval


# ------------------------------------------------------------------------------- the survey
def survey(
    model: PreTrainedModel,
    texts: LabelledTokens,
    *,
    seed: int,
    question: str,
    kinds: Sequence[str] = ("neuron", "random direction", "shuffled labels"),
    resampled: bool = True,
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """AUC and hits of every unit of every layer for every label that can be searched for.

    Args:
        model: any transformers causal language model that `anatomy` can read.
        texts: labelled texts; every second one selects.
        seed: of random directions, shuffles and the bootstrap, which draws the same stories for all models.
        question: the label that gets `hits`, beside `VERB`.
        kinds: "neuron", or controls by which the neurons' place is taken.
        resampled: whether bootstrap samples and intervals over stories are made.
        layers: that are searched; None for all.

    Returns:
        Columns kind, layer, unit, label, fires ("present", or "absent": low where the label is), select,
        confirm (AUC on either half, in the direction that the first half chose), best (whether it is the
        unit's best label on the first half); hits_select and hits (on either half, in that direction) for the
        question and `VERB`; low and high (interval of confirm over its stories) for a unit's best label and
        a layer's best units for every label; hits_low, hits_high and hits_draws (bootstrap samples) for a
        layer's best units for the question and for `VERB`, and draws for these and a unit's best label.

    Raises:
        UserError: the question is no label that the texts have, or as `stream`.
    """
    columns, frames = check_label(texts, question), []
    true, mixed = split_halves(texts), split_halves(texts, np.random.default_rng(seed))
    asked = [label for label in columns if label in (question, VERB)]
    for layer, values in activations(model, texts, layers):
        neurons = _ranks(values, true)
        for kind in kinds:
            is_mix = kind == "random direction"
            ranks = _ranks(random_directions(values, seed + layer), true) if is_mix else neurons
            halves = mixed if kind == "shuffled labels" else true
            scored = _score(ranks, halves, columns, asked)
            if resampled:
                scored = _with_intervals(scored, ranks[1], halves[1], columns, asked, seed)
            frames.append(scored.assign(kind=kind, layer=layer))
    return pd.concat(frames, ignore_index=True)


def survey_all(
    fitted: Fitted,
    names: Sequence[str],
    labelled: Sequence[tuple[str, Spans]],
    question: str,
    seed: int,
    *,
    resampled: bool = True,
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """`survey` of the named models and of untrained ones of the same shapes, with a column model."""
    frames = []
    for name in names:
        model, tokenizer = fitted[name]
        texts = label_tokens(model, tokenizer, labelled)
        options = {"seed": seed, "question": question, "resampled": resampled, "layers": layers}
        trained = survey(model, texts, **options)
        random = survey(untrained(model, seed), texts, kinds=("neuron",), **options)
        frames += [trained.assign(model=name), random.assign(model=name, kind="untrained neuron")]
    return pd.concat(frames, ignore_index=True)


def placebo(fitted: Fitted, seed: int) -> Fitted:
    """Untrained models in the place of trained ones, other ones than those that `survey_all` puts beside."""
    return {name: (untrained(model, seed + 10_000), tokenizer) for name, (model, tokenizer) in fitted.items()}


def _ranks(values: np.ndarray, halves: Sequence[Half]) -> list[np.ndarray]:
    """`midranks` of the units' values `[units, tokens]` on either half."""
    return [midranks(values[:, half.tokens]) for half in halves]


def _score(
    ranks: Sequence[np.ndarray], halves: Sequence[Half], columns: Mapping[str, int], asked: Sequence[str]
) -> pd.DataFrame:
    """The rows of `survey` for the units of one layer, of `_ranks`; `columns` of the labels."""
    # a shuffled label may be on no token: then it tells nothing
    select, confirm = (
        np.nan_to_num(aucs(rank, half.masks[:, list(columns.values())]), nan=0.5)
        for rank, half in zip(ranks, halves, strict=True)
    )
    sign = np.where(select < 0.5, -1, 1)
    select, confirm = 0.5 + sign * (select - 0.5), 0.5 + sign * (confirm - 0.5)
    hits = np.full((2, *select.shape), np.nan)
    for label in asked:
        at = list(columns).index(label)
        for side, (rank, half) in enumerate(zip(ranks, halves, strict=True)):
            hits[side, :, at] = hits_of(rank * sign[:, [at]], half.masks[:, columns[label]])
    units, labels = np.indices(select.shape)
    scores = {
        "unit": units,
        "label": np.array(list(columns))[labels],
        "fires": np.where(sign > 0, "present", "absent"),
        "select": select,
        "confirm": confirm,
        "best": select == select.max(1, keepdims=True),
        "hits_select": hits[0],
        "hits": hits[1],
    }
    return pd.DataFrame({name: column.ravel() for name, column in scores.items()})


def hits_of(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of each row's highest scores, as many as the mask has items, the share that are the mask's: `[rows]`.

    0 where the mask has none. Of tied scores at the end of the list any may be taken.
    """
    count = int(mask.sum())
    if not 0 < count < len(mask):
        return np.full(len(scores), float(count > 0))
    strongest = np.argpartition(scores, len(mask) - count, axis=1)[:, -count:]
    return mask[strongest].mean(1)


def resampled_stories(half: Half, seed: int) -> np.ndarray:
    """How often each story of a half is drawn in each bootstrap sample: `[DRAWS, stories]`."""
    n_stories = half.story[-1] + 1
    return np.random.default_rng(seed).multinomial(n_stories, np.full(n_stories, 1 / n_stories), DRAWS)


def _with_intervals(
    frame: pd.DataFrame,
    ranks: np.ndarray,
    half: Half,
    columns: Mapping[str, int],
    asked: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    """Bootstrap samples and bounds, where `survey` says that they are; `frame` has units before labels."""
    weights = resampled_stories(half, seed)
    draws, hits_draws = (np.full(len(frame), None, dtype=object) for _ in range(2))
    for label, part in frame.groupby("label", sort=False):
        leaders = part["select"].nlargest(_SHOWN).index
        if label in asked:
            leaders = leaders.union(part.nlargest(_SHOWN, ["hits_select", "select"]).index)
        chosen = part.loc[part.index[part["best"]].union(leaders)]
        sign = np.where(chosen["fires"] == "present", 1, -1)[:, None]
        signed, mask = ranks[chosen["unit"]] * sign, half.masks[:, columns[label]]
        resampled = resampled_aucs(signed, mask, half.story, weights).astype(np.float32)
        for row, index in enumerate(chosen.index):
            draws[index] = resampled[row]
            if label in asked and index in leaders:
                hits_draws[index] = resampled_hits(signed[row], mask, half.story, weights)
    low, high = _bounds(draws)
    draws[~(frame["best"] | frame["label"].isin(asked))] = None  # they fill the disk
    hits_low, hits_high = _bounds(hits_draws)
    bounds = {"low": low, "high": high, "hits_low": hits_low, "hits_high": hits_high}
    return frame.assign(**bounds, draws=draws, hits_draws=hits_draws)


def _bounds(draws: np.ndarray) -> np.ndarray:
    bounds = np.full((2, len(draws)), np.nan)
    known = [index for index, row in enumerate(draws) if row is not None]
    if known:
        bounds[:, known] = np.quantile(np.stack(list(draws[known])), (0.025, 0.975), axis=1)
    return bounds


def chance_of_best(
    model: PreTrainedModel,
    texts: LabelledTokens,
    *,
    seed: int,
    shuffles: int,
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """How good the best of all neurons is by chance: columns label, shuffle, best.

    The highest AUC (in either direction) on the first half over all neurons of the layers, with every story's
    labels replaced by another story's, `shuffles` times. A neuron that beats the 95th percentile of this is
    significant after correction for all neurons (Westfall & Young 1993).
    """
    rng, labels, selects = np.random.default_rng(seed), usable(texts), split_halves(texts)[0].tokens
    columns = list(labels.values())
    masks = [np.concatenate(shuffled(texts.labels[0::2], rng))[:, columns] for _ in range(shuffles)]
    stacked = np.stack(masks, 1).reshape(int(selects.sum()), -1)  # [tokens, shuffles x labels]
    best = np.zeros(stacked.shape[1])
    for _, values in activations(model, texts, layers):
        scores = np.abs(aucs(midranks(values[:, selects]), stacked) - 0.5) + 0.5
        best = np.fmax(best, np.nan_to_num(scores, nan=0.5).max(0))
    shuffle = np.repeat(np.arange(shuffles), len(labels))
    return pd.DataFrame({"label": list(labels) * shuffles, "shuffle": shuffle, "best": best})


def ranked(
    surveyed: pd.DataFrame, label: str, chance: pd.DataFrame | None = None, *, by: str = "select"
) -> pd.DataFrame:
    """Units by their AUC (or, by="hits_select", their hits) on the first half for a label, best first.

    With `chance` there is the adjusted p of each AUC: the share of shuffles (and the true labels as one more)
    in which the best neuron was as good.
    """
    units = surveyed[surveyed["label"] == label].sort_values(
        list(dict.fromkeys([by, "select"])), ascending=False, kind="stable"
    )
    if chance is not None:
        best = np.sort(chance.loc[chance["label"] == label, "best"])
        as_good = len(best) - np.searchsorted(best, units["select"], side="left")
        units = units.assign(p=(1 + as_good) / (1 + len(best)))
    return units.reset_index(drop=True)


def champions(surveyed: pd.DataFrame, label: str, *, by: str = "select") -> pd.DataFrame:
    """The best unit of each kind for a label, by the first half: the rows of `survey`, kind as index."""
    return ranked(surveyed, label, by=by).groupby("kind", sort=False).first()


def best_labels(surveyed: pd.DataFrame, kind: str = "neuron") -> pd.DataFrame:
    """Every unit's best label by the first half: the rows of `survey`, (layer, unit) as index."""
    best = surveyed[(surveyed["kind"] == kind) & surveyed["best"]]
    return best.drop_duplicates(["layer", "unit"]).set_index(["layer", "unit"])
