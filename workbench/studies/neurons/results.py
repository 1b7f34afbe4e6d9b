"""What the neurons of a ladder say about TinyStories' claims: shares by size, and claims with intervals."""

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.measures.statistics import Interval, bootstrap_difference
from workbench.measures.summaries import summarise_shares
from workbench.studies.neurons.search import DRAWS, INTERPRETABLE, VERB, best_labels, champions

_MIXES = 5  # resamples of units for every resample of stories


def share_draws(surveyed: pd.DataFrame, kind: str, seed: int = 0) -> tuple[float, np.ndarray]:
    """Share of a model's units whose best label is told with a held-out AUC of `INTERPRETABLE` or more.

    Args:
        surveyed: of `search.survey`, of one model.
        kind: of units.
        seed: of the resampling of units.

    Returns:
        The share, and its values on resampled stories and units `[5 * DRAWS]`: the units drawn stand for
        those that another training of the model could give.
    """
    best = best_labels(surveyed, kind)
    above = np.stack(best["draws"].tolist()) >= INTERPRETABLE  # [units, DRAWS]
    drawn = np.random.default_rng(seed).integers(len(best), size=(DRAWS, _MIXES, len(best)))
    shares = [above[units, draw].mean(1) for draw, units in enumerate(drawn)]
    return float((best["confirm"] >= INTERPRETABLE).mean()), np.concatenate(shares)


def shares(surveyed: pd.DataFrame) -> pd.DataFrame:
    """Share of interpretable units by model and kind: columns model, kind, value, low, high, n (units)."""
    rows = []
    for (model, kind), part in surveyed.groupby(["model", "kind"], sort=False):
        share = _interval(*share_draws(part, kind), len(best_labels(part, kind)))
        rows.append({"model": model, "kind": kind, **share.row()})
    return pd.DataFrame(rows)


def agreement_by_layer(agreed: pd.DataFrame) -> pd.DataFrame:
    """Share of agreeing neurons with Wilson's interval: columns layer, value, low, high, n, chance.

    Chance is `by_chance` within the layer: frequent tokens agree by chance more often.
    """
    table = summarise_shares(agreed.sort_values("layer"), ["layer"], "agrees")
    return table.assign(chance=[by_chance(part) for _, part in agreed.groupby("layer")])


def by_chance(agreed: pd.DataFrame) -> float:
    """The mean agreement of neurons' favourite tokens with the tokens that follow, paired at random."""
    says, follows = (agreed[column].value_counts() for column in ("says", "follows"))
    return float((says * follows).sum()) / len(agreed) ** 2


def claims(surveyed: pd.DataFrame, agreed: pd.DataFrame, question: str, n_stories: int) -> list[Claim]:
    """The claims that the models at hand can test.

    Args:
        surveyed: of `search.survey` for every model (column model, smallest first) and its controls.
        agreed: of `value_vectors.agreement`, for the last model.
        question: the label that was searched for.
        n_stories: that confirmed.
    """
    names = surveyed["model"].unique()
    largest = surveyed[surveyed["model"] == names[-1]]
    made = [_fires(largest, question, n_stories), _tells(largest, question, n_stories)]
    if question != VERB and VERB in set(largest["label"]):
        made.append(_verbs(largest, n_stories))
    if len(names) > 1:
        made.append(_smaller_is_clearer(surveyed, names[0], names[-1]))
    if agreed["layer"].nunique() > 1:
        made.append(_later_agrees(agreed, names[-1]))
    return made


def _name(surveyed: pd.DataFrame) -> str:
    return str(surveyed["model"].iloc[0])


def _fires(surveyed: pd.DataFrame, question: str, n_stories: int) -> Claim:
    return Claim.of(
        _lead(champions(surveyed, question), "hits", "hits_draws", n_stories),
        name="the-neuron-fires-there-only",
        says=f"Where the best neuron of the {_name(surveyed)} model is strongest, “{question}” holds more "
        "often than where random directions, untrained neurons or shuffled labels are.",
        paper="The neuron's strongest activations are first mentions of the main character (no figure given)",
        over="stories",
        unit="share of the strongest tokens above the best control",
        view="Which neurons answer?",
        headline=True,
    )


def _tells(surveyed: pd.DataFrame, question: str, n_stories: int) -> Claim:
    return Claim.of(
        _lead(champions(surveyed, question), "confirm", "draws", n_stories),
        name="a-neuron-tells-the-label",
        says=f"A single neuron of the {_name(surveyed)} model tells “{question}” from all else better than "
        "random directions, untrained neurons and shuffled labels let one expect.",
        paper="One neuron fires where the main character's name comes up first (no figure given)",
        over="stories",
        unit="AUC above the best control",
        view="Which neurons answer?",
    )


def _verbs(surveyed: pd.DataFrame, n_stories: int) -> Claim:
    return Claim.of(
        _lead(champions(surveyed, VERB), "confirm", "draws", n_stories),
        name="a-neuron-tells-verbs",
        says=f"A single neuron of the {_name(surveyed)} model tells verbs from all else better than "
        "random directions, untrained neurons and shuffled labels let one expect.",
        paper="One neuron fires at verbs (no figure given)",
        over="stories",
        unit="AUC above the best control",
        view="Which labels have a neuron of their own?",
    )


def _lead(best: pd.DataFrame, column: str, draws: str, n: int) -> Interval:
    """How far the neuron is above the best control, which is chosen anew in every resample."""
    controls = best.drop(index="neuron")
    value = best.loc["neuron", column] - controls[column].max()
    resampled = best.loc["neuron", draws] - np.stack(controls[draws].tolist()).max(0)
    return _interval(value, resampled, n)


def _smaller_is_clearer(surveyed: pd.DataFrame, small: str, large: str) -> Claim:
    excess, draws = [], []
    for name in (small, large):
        model = surveyed[surveyed["model"] == name]
        neurons, neuron_draws = share_draws(model, "neuron", 0)
        directions, direction_draws = share_draws(model, "random direction", 1)
        excess.append(neurons - directions)
        draws.append(neuron_draws - direction_draws)
    n_neurons = len(best_labels(surveyed[surveyed["model"] == small]))
    return Claim.of(
        _interval(excess[0] - excess[1], draws[0] - draws[1], n_neurons),
        name="smaller-models-are-clearer",
        says=f"A larger share of neurons is interpretable in the {small} model than in the {large} "
        "model, beyond what random directions give.",
        paper="Neurons of small models have clear roles, those of GPT-2 XL have none (by eye)",
        over="neurons",
        trainings=1,
        unit="share of neurons",
        view="How many neurons are interpretable?",
    )


def _later_agrees(agreed: pd.DataFrame, name: str) -> Claim:
    """Agreement above chance in the later half of the layers minus that in the earlier half."""
    chance = agreed.groupby("layer")[["says", "follows"]].apply(by_chance)
    above = agreed["agrees"] - agreed["layer"].map(chance)
    later = agreed["layer"] >= (agreed["layer"].max() + 1) / 2
    return Claim.of(
        bootstrap_difference(above[later], above[~later]),
        name="later-layers-agree",
        says=f"In the later layers of the {name} model, more neurons raise the token that follows their "
        "strongest trigger than in the earlier ones.",
        paper="Agreement is near 0 in the lower layers and rises to a few percent in the upper ones (Geva "
        "et al. 2020)",
        over="neurons",
        unit="share of neurons above chance",
        view="Do neurons write what comes next?",
    )


def _interval(value: float, draws: np.ndarray, n: int) -> Interval:
    """A value with the percentile interval of its resamples, widened where it would not hold the value."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)), n)
