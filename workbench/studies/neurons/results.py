"""What the neurons of a ladder say about TinyStories' claims: shares by size, and claims with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.measures.statistics import bootstrap_difference
from workbench.studies.neurons.search import DRAWS, INTERPRETABLE, best_labels, champions
from workbench.studies.neurons.value_vectors import by_chance

_MIXES = 5  # resamples of units for every resample of stories


def share_draws(surveyed: pd.DataFrame, kind: str, seed: int = 0) -> tuple[float, np.ndarray]:
    """Share of a model's units whose best label is told with a held-out AUC of `INTERPRETABLE` or more.

    Args:
        surveyed: of `neuron_search.survey`, of one model.
        kind: of units.
        seed: of the resampling of units.

    Returns:
        The share, and its values on resampled stories and units `[5 * DRAWS]`: the units drawn stand for
        those that another training of the model could give.
    """
    best = surveyed[(surveyed["kind"] == kind) & surveyed["best"]].drop_duplicates(["layer", "unit"])
    above = np.stack(best["draws"].tolist()) >= INTERPRETABLE  # [units, DRAWS]
    drawn = np.random.default_rng(seed).integers(len(best), size=(DRAWS, _MIXES, len(best)))
    shares = [above[units, draw].mean(1) for draw, units in enumerate(drawn)]
    return float((best["confirm"] >= INTERPRETABLE).mean()), np.concatenate(shares)


def shares(surveyed: pd.DataFrame) -> pd.DataFrame:
    """Share of interpretable units by model and kind: columns model, kind, value, low, high, n (units)."""
    rows = []
    for (model, kind), part in surveyed.groupby(["model", "kind"], sort=False):
        value, draws = share_draws(part, kind)
        found = _effect(value, draws, len(part.drop_duplicates(["layer", "unit"])))
        rows.append((model, kind, *found.values()))
    return pd.DataFrame(rows, columns=["model", "kind", "value", "low", "high", "n"])


def claims(
    surveyed: pd.DataFrame, agreed: pd.DataFrame, question: str, n_stories: int
) -> list[dict[str, Any]]:
    """The claims that the models at hand can test, as `run.claim` takes them.

    Args:
        surveyed: of `neuron_search.survey` for every model (column model, smallest first) and its controls.
        agreed: of `neuron_writes.agreement`, for the last model.
        question: the label that was searched for.
        n_stories: that confirmed.
    """
    names = list(dict.fromkeys(surveyed["model"]))
    best = champions(surveyed[surveyed["model"] == names[-1]], question)
    found = [
        {
            "name": "a-neuron-tells-the-label",
            "says": f"A single neuron of the {names[-1]} model tells “{question}” from all else better than "
            "random directions, an untrained model's neurons and shuffled labels let one expect.",
            "paper": "One neuron fires where the main character's name comes up first (no figure given)",
            "unit": "AUC above the best control",
            "view": "Which neurons answer?",
            **_lead(best, "confirm", "draws", n_stories),
        },
        {
            "name": "the-neuron-fires-there-only",
            "says": f"Where that neuron is strongest, “{question}” holds more often than for any control.",
            "paper": "The neuron's strongest activations are first mentions of the main character",
            "unit": "share of the strongest tokens above the best control",
            "view": "Which neurons answer?",
            **_lead(best, "hits", "hits_draws", n_stories),
        },
    ]
    if len(names) > 1:
        found.append(_smaller_is_clearer(surveyed, names))
    if agreed["layer"].nunique() > 1:
        found.append(_later_agrees(agreed, names[-1]))
    return found


def _lead(best: pd.DataFrame, column: str, draws: str, n: int) -> dict[str, Any]:
    """How far the neuron is above the best control, which is found anew in every resample."""
    controls = best.drop(index="neuron")
    value = best.loc["neuron", column] - controls[column].max()
    resampled = best.loc["neuron", draws] - np.stack(controls[draws].tolist()).max(0)
    return _effect(value, resampled, n)


def _smaller_is_clearer(surveyed: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    excess, draws = [], []
    n_neurons = len(best_labels(surveyed[surveyed["model"] == names[0]]))
    for name in (names[0], names[-1]):
        part = surveyed[surveyed["model"] == name]
        pairs = [share_draws(part, kind, seed) for seed, kind in enumerate(("neuron", "random direction"))]
        excess.append(pairs[0][0] - pairs[1][0])
        draws.append(pairs[0][1] - pairs[1][1])
    return {
        "name": "smaller-models-are-clearer",
        "says": f"A larger share of neurons is interpretable in the {names[0]} model than in the {names[-1]} "
        "model, beyond what random directions give.",
        "paper": "Neurons of small models have clear roles, those of GPT-2 XL have none (by eye)",
        "unit": "share of neurons",
        "view": "How many neurons are interpretable?",
        **_effect(excess[0] - excess[1], draws[0] - draws[1], n_neurons),
    }


def _later_agrees(agreed: pd.DataFrame, name: str) -> dict[str, Any]:
    """Agreement above chance in the later half of the layers minus that in the earlier half."""
    chance = agreed.groupby("layer")[["says", "follows"]].apply(by_chance)
    above = agreed["agrees"] - agreed["layer"].map(chance)
    later = agreed["layer"] >= (agreed["layer"].max() + 1) / 2
    difference = bootstrap_difference(above[later], above[~later])
    return {
        "name": "later-layers-agree",
        "says": f"In the later layers of the {name} model, more neurons raise the token that follows their "
        "strongest trigger than in the earlier ones.",
        "paper": "Agreement is near 0 in the lower layers and rises to a few percent in the upper ones (Geva "
        "et al. 2020)",
        "unit": "share of neurons above chance",
        "view": "Do neurons write what comes next?",
        "effect": difference.value,
        "low": difference.low,
        "high": difference.high,
        "n": difference.n,
    }


def _effect(value: float, draws: np.ndarray, n: int) -> dict[str, Any]:
    """A value with the percentile interval of its resamples, widened where it would not hold the value."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"effect": value, "low": min(value, float(low)), "high": max(value, float(high)), "n": n}
