"""What neurons say about TinyStories' claims: shares by size, and claims over trainings or stories."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.statistics import Interval, bootstrap_difference
from workbench.measures.summaries import summarise, summarise_shares
from workbench.studies.common.evidence import over_seeds
from workbench.studies.neurons.directions import mean_of_sets
from workbench.studies.neurons.search import (
    CHOSEN_BY,
    DRAWS,
    INTERPRETABLE,
    VERB,
    best_labels,
    champions,
)
from workbench.studies.neurons.trainings import INTERPRETABLE_SHARE, measure_of
from workbench.studies.neurons.value_vectors import above_chance, by_chance

GUESSED = "Labels are the workbench's guesses, by rules and word lists: nobody has labelled these texts."
HEADLINE = "the-neuron-fires-there-only"
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


def shares(surveyed: pd.DataFrame, measured: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share of interpretable units by model and kind: columns model, kind, value, low, high, n.

    n counts units; with `measured`, of `trainings.search`, trainings.
    """
    if measured is not None and len(measured):
        return summarise(measured[measured["measure"] == INTERPRETABLE_SHARE], ["model", "kind"], "value")
    rows = []
    for (model, kind), part in surveyed.groupby(["model", "kind"], sort=False):
        share = _interval(*share_draws(part, kind), len(best_labels(part, kind)))
        rows.append({"model": model, "kind": kind, **share.row()})
    return pd.DataFrame(rows)


def by_training(measured: pd.DataFrame) -> pd.DataFrame:
    """Hits and AUC of the largest model's best units, over trainings: measure, kind, value, low, high, n."""
    largest = measured[measured["model"] == measured["model"].unique()[-1]]
    rows = largest[largest["measure"].str.startswith(("hits: ", "AUC: "))]
    return summarise(rows, ["measure", "kind"], "value")


def agreement_by_layer(agreed: pd.DataFrame) -> pd.DataFrame:
    """Share of agreeing neurons with Wilson's interval: columns layer, value, low, high, n, chance.

    Chance is `by_chance` within the layer: frequent tokens agree by chance more often.
    """
    table = summarise_shares(agreed.sort_values("layer"), ["layer"], "agrees")
    return table.assign(chance=[by_chance(part) for _, part in agreed.groupby("layer")])


@dataclass(frozen=True)
class _Lead:
    """A claim that the best neuron tells a label better than the best control."""

    name: str
    column: str  #: "hits" or "confirm", the AUC
    says: str  #: with {model} and {label}
    paper: str


_FIRES = (
    "Where the best neuron of the {model} model is strongest, “{label}” holds more often than where random "
    "directions, untrained neurons or shuffled labels are."
)
_TELLS = (
    "A single neuron of the {model} model tells “{label}” from all else better than random directions, "
    "untrained neurons and shuffled labels would lead one to expect."
)
_INTRODUCED = "The neuron's strongest activations are first mentions of the main character (no figure given)"
_VERBS = "One neuron fires at verbs (no figure given)"
_UNITS = {  # column: unit, smallest effect of interest, its reason, figure
    "hits": (
        "share of the strongest tokens above the best control",
        0.1,
        "one in ten: less would not show in a list of the ten strongest contexts, as the paper has it",
        "Which neurons answer?",
    ),
    "confirm": (
        "AUC above the best control",
        0.02,
        "a fifth of the distance from the threshold of interpretable units to a perfect one",
        "Which labels have a neuron of their own?",
    ),
}


def _leads(question: str) -> list[tuple[str, _Lead]]:
    """The label and the claim of each search; the first one leads."""
    leads = [
        (question, _Lead(HEADLINE, "hits", _FIRES, _INTRODUCED)),
        (question, _Lead("a-neuron-tells-the-label", "confirm", _TELLS, _INTRODUCED)),
    ]
    if question != VERB:
        leads += [
            (VERB, _Lead("the-verb-neuron-fires-there-only", "hits", _FIRES, _VERBS)),
            (VERB, _Lead("a-neuron-tells-verbs", "confirm", _TELLS, _VERBS)),
        ]
    return leads


def claims(
    surveyed: pd.DataFrame,
    agreed: pd.DataFrame,
    question: str,
    n_stories: int,
    measured: pd.DataFrame | None = None,
    *,
    directions: pd.DataFrame | None = None,
    guessed: bool = False,
    placebo: bool = False,
) -> list[Claim]:
    """The claims that the models at hand can test: over trainings if there are enough of them.

    Args:
        surveyed: of `search.survey_all` for every model that is looked at (column model, smallest first).
        agreed: of `value_vectors.agreement`, for the last of them.
        question: the label that was searched for.
        n_stories: that confirmed.
        measured: of `trainings.search`, those that have learnt; None where no ladder is read. With fewer than
            `FEWEST_TRAININGS` of the largest model the claims are about the model that is looked at.
        directions: of `directions.best_directions`, for the last of the models that are looked at: several
            sets of random directions in the place of the one that was surveyed.
        guessed: whether labels are the workbench's guesses at texts that were given, which claims then say.
        placebo: leaves out what compares sizes, since untrained models differ in size too.
    """
    names = surveyed["model"].unique()
    largest = surveyed[surveyed["model"] == names[-1]]
    searched = [lead for lead in _leads(question) if lead[0] in set(largest["label"])]
    decides = None if measured is None else _of_largest(measured)
    if decides is None:
        made = [_over_stories(largest, label, lead, n_stories, directions) for label, lead in searched]
    else:
        made = [_over_trainings(decides, label, lead) for label, lead in searched]
    made = [replace(claim, says=f"{claim.says} {GUESSED}") for claim in made] if guessed else made
    if not placebo:
        made += _sizes(surveyed, None if decides is None else measured)
    if agreed["layer"].nunique() > 1:
        made.append(_later_agrees(agreed, names[-1], decides))
    return made


def _of_largest(measured: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of the largest model, if enough trainings of it have learnt."""
    rows = measured[measured["model"] == measured["model"].unique()[-1]] if len(measured) else measured
    return rows if rows["seed"].nunique() >= FEWEST_TRAININGS else None


def _sizes(surveyed: pd.DataFrame, measured: pd.DataFrame | None) -> list[Claim]:
    """The claim about the smallest model and the largest one, if there are two."""
    names = (surveyed if measured is None else measured)["model"].unique()
    if len(names) < 2:
        return []
    if measured is None:
        return [_smaller_is_clearer(surveyed, names[0], names[-1])]
    return [_clearer_by_training(measured, names[0], names[-1])]


def _over_stories(
    surveyed: pd.DataFrame, label: str, lead: _Lead, n_stories: int, directions: pd.DataFrame | None
) -> Claim:
    draws = {"hits": "hits_draws", "confirm": "draws"}[lead.column]
    best = champions(surveyed, label, by=CHOSEN_BY[lead.column])
    values, drawn = best[lead.column].to_dict(), best[draws].to_dict()
    if lead.column == "hits" and directions is not None:
        values["random direction"], drawn["random direction"] = mean_of_sets(directions, label)
    controls = [kind for kind in values if kind != "neuron"]
    rival = max(values[kind] for kind in controls)
    # the best control is chosen anew in every resample
    resampled = drawn["neuron"] - np.stack([drawn[kind] for kind in controls]).max(0)
    estimate = _interval(values["neuron"] - rival, resampled, n_stories)
    about = _about(lead, label, str(surveyed["model"].iloc[0]), rival)
    return Claim.of(estimate, over="stories", **about)


def _over_trainings(measured: pd.DataFrame, label: str, lead: _Lead) -> Claim:
    rows = measured[measured["measure"] == measure_of(lead.column, label)]
    table = rows.pivot(index="seed", columns="kind", values="value")
    rival = table.drop(columns="neuron").max(axis=1)
    effects = (table["neuron"] - rival).rename("effect").reset_index()
    about = _about(lead, label, str(measured["model"].iloc[0]), float(rival.mean()))
    return over_seeds(effects).claim(**about)


def _about(lead: _Lead, label: str, model: str, rival: float) -> dict[str, Any]:
    unit, delta, reason, view = _UNITS[lead.column]
    named = {"hits": "hits of the best control", "confirm": "AUC of the best control"}[lead.column]
    return {
        "name": lead.name,
        "says": lead.says.format(model=model, label=label),
        "paper": lead.paper,
        "unit": unit,
        "view": view,
        "delta": delta,
        "delta_reason": reason,
        "gates": (Gate(named, rival, high=1 - delta),),
        "headline": lead.name == HEADLINE,
    }


_CLEARER: dict[str, Any] = {
    "name": "smaller-models-are-clearer",
    "paper": "Neurons of small models have clear roles, those of GPT-2 XL have none (by eye)",
    "unit": "share of neurons",
    "view": "How many neurons are interpretable?",
    "delta": 0.05,
    "delta_reason": "one neuron in twenty",
}
_CLEARER_SAYS = (
    "A larger share of neurons is interpretable in the {} model than in the {} model, beyond what "
    "random directions give."
)


def _clearer_by_training(measured: pd.DataFrame, small: str, large: str) -> Claim:
    """By seed, of which both models have learnt."""
    rows = measured[measured["measure"] == INTERPRETABLE_SHARE]
    table = rows.pivot(index="seed", columns=["model", "kind"], values="value")
    excess = {name: table[name, "neuron"] - table[name, "random direction"] for name in (small, large)}
    effects = (excess[small] - excess[large]).rename("effect").reset_index()
    says = _CLEARER_SAYS.format(small, large)
    return over_seeds(effects, items="trainings").claim(says=says, **_CLEARER)


def _smaller_is_clearer(surveyed: pd.DataFrame, small: str, large: str) -> Claim:
    excess, draws = [], []
    for name in (small, large):
        model = surveyed[surveyed["model"] == name]
        neurons, neuron_draws = share_draws(model, "neuron", 0)
        directions, direction_draws = share_draws(model, "random direction", 1)
        excess.append(neurons - directions)
        draws.append(neuron_draws - direction_draws)
    n_neurons = len(best_labels(surveyed[surveyed["model"] == small]))
    estimate = _interval(excess[0] - excess[1], draws[0] - draws[1], n_neurons)
    says = _CLEARER_SAYS.format(small, large)
    return Claim.of(estimate, over="neurons", trainings=1, says=says, **_CLEARER)


def _later_agrees(agreed: pd.DataFrame, name: str, measured: pd.DataFrame | None) -> Claim:
    """Agreement above chance in the later half of the layers minus that in the earlier half."""
    model = name if measured is None else measured["model"].iloc[0]
    about = {
        "name": "later-layers-agree",
        "says": f"In the later layers of the {model} model, more neurons raise the token that follows "
        "their strongest trigger than in the earlier ones.",
        "paper": "Agreement is near 0 in the lower layers and rises to a few percent in the upper ones (Geva "
        "et al. 2020)",
        "unit": "share of neurons above chance",
        "view": "Do neurons write what comes next?",
        "delta": 0.02,
        "delta_reason": "the few percent that the paper found in the upper layers",
    }
    if measured is None:
        above, later = above_chance(agreed)
        return Claim.of(bootstrap_difference(above[later], above[~later]), over="neurons", **about)
    rows = measured[measured["measure"] == "agreement"].pivot(index="seed", columns="kind", values="value")
    effects = rows["neurons of later layers"] - rows["neurons of earlier layers"]
    return over_seeds(effects.rename("effect").reset_index()).claim(**about)


def _interval(value: float, draws: np.ndarray, n: int) -> Interval:
    """A value with the percentile interval of its resamples, widened where it would not hold the value."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)), n)
