"""What 03 claims about the units that several trainings share; see `universality`."""

import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.studies.attention_heads.universality import UNTRAINED
from workbench.studies.common.evidence import Evidence, over_seeds

VIEW = "The same units in another training?"
LEARNT = 0.75  # a model has learnt if its loss is at most this part of that of guessing any token alike
DELTA = 0.1  # of the shares
DELTA_REASON = "one unit in ten; with fewer, what is said about one training does not carry over"
_LABELS = "share of matched neurons, beyond pairs drawn at random"
_COSTS = "rank correlation, beyond other heads of the layer"


def learnt(compared: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The comparisons of models that have learnt (`LEARNT`), and which have not: their names and seeds."""
    losses = compared.groupby(["model", "seed"], sort=False)["loss"].first()
    failed = set(losses.index[~(losses <= LEARNT)])
    sides = (compared[["model", "seed"]], compared[["other", "other_seed"]])
    out = [[tuple(pair) in failed for pair in side.itertuples(index=False, name=None)] for side in sides]
    kept = compared[~pd.Series(out[0], compared.index) & ~pd.Series(out[1], compared.index)]
    return kept, [f"{name}, seed {seed}" for name, seed in sorted(failed)]


def claims(compared: pd.DataFrame, model: str, *, placebo: bool = False) -> list[Claim]:
    """Over the trainings of one model that have learnt: what a seed is worth is its mean over all others.

    There are none where fewer than two have.

    Args:
        compared: of `universality.compare_models`.
        model: whose trainings.
        placebo: leaves out what a placebo does not make equal.
    """
    compared, _ = learnt(compared)
    own = compared[(compared["model"] == model) & compared["other"].isin([model, UNTRAINED])]
    if not (own["other"] == model).any():
        return []
    gates = (Gate("largest loss of a model, over that of guessing", float(own["loss"].max()), high=LEARNT),)
    by_kind = dict(tuple(own.groupby("kind")))
    made = [_more_matched(by_kind[kind], kind, gates) for kind in ("head", "neuron")]
    if placebo:
        return made
    labels = "Neurons that match another training's answer to the same label as their matches."
    made += _beyond_chance(by_kind["neuron"], "same_label", "matches-share-labels", labels, _LABELS, gates)
    costs = "Heads cost as much as their matches in another training, beyond what the layer says."
    return made + _beyond_chance(by_kind["head"], "costs", "matches-cost-alike", costs, _COSTS, gates)


def _more_matched(part: pd.DataFrame, kind: str, gates: tuple[Gate, ...]) -> Claim:
    untrained = part[part["other"] == UNTRAINED].set_index("seed")["matched"]
    trained = part[part["other"] != UNTRAINED]
    effects = trained.assign(effect=trained["matched"] - trained["seed"].map(untrained))
    return _evidence(effects).claim(
        name=f"universal-{kind}s",
        says=f"More {kind}s of a model have a match in another training than in a model never trained.",
        paper="1 to 5 % of GPT-2's neurons are universal across five seeds (Gurnee et al. 2024, abstract)",
        unit="share matched, beyond an untrained model",
        view=VIEW,
        gates=gates,
        delta=DELTA,
        delta_reason=DELTA_REASON,
    )


def _beyond_chance(
    part: pd.DataFrame, column: str, name: str, says: str, unit: str, gates: tuple[Gate, ...]
) -> list[Claim]:
    """The claim that a column, already taken beyond chance, is above zero; none without a value."""
    trained = part[part["other"] != UNTRAINED].assign(effect=lambda frame: frame[column])
    effects = trained.dropna(subset=["effect"])
    if effects.empty:
        return []
    return [_evidence(effects).claim(name=name, says=says, paper=BEYOND, unit=unit, view=VIEW, gates=gates)]


def _evidence(effects: pd.DataFrame) -> Evidence:
    """Over seeds, or over pairs of trainings, either direction being the same pair."""
    pairs = [
        "{} {}".format(*sorted(pair)) for pair in zip(effects["seed"], effects["other_seed"], strict=True)
    ]
    return over_seeds(effects[["seed", "effect"]].assign(pair=pairs), items="pairs of trainings")
