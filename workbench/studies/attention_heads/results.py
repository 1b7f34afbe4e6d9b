"""What 03 claims: both kinds of heads, what their range is for, and induction where it was trained."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.measures.statistics import Interval, bootstrap_mean, spearman
from workbench.studies.attention_heads import induction
from workbench.studies.attention_heads.data import LABELLED
from workbench.studies.attention_heads.experiment import SCALED, UNSCALED
from workbench.studies.attention_heads.method import INDEX, NOT_POSITIONAL, POSITIONAL, wide
from workbench.studies.attention_heads.range_results import range_claims
from workbench.studies.attention_heads.trainings import CHOSEN_ON, CONFIRMED_ON, LADDER
from workbench.studies.common.evidence import compare, over_seeds

SEMANTIC, DISTANCE, KINDS = "semantic-head", "distance-head", "two-kinds"
GUESSED = "Names and nouns are told by word lists and capitals: nobody has labelled these texts."
THIS_MODEL = induction.THIS_MODEL
BY_TRAINING = "What each training says"  # the view
_VIEW = "Two kinds of heads?"
_UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)


def claims(
    measured: pd.DataFrame,
    trials: pd.DataFrame,
    lost: pd.DataFrame | None,
    induction_heads: pd.DataFrame,
    *,
    guessed: bool = False,
    placebo: bool = False,
) -> list[Claim]:
    """The claims that can be tested; in a placebo run those alone that compare what a placebo makes equal.

    Args:
        measured: measures of the heads of `THIS_MODEL`, of 02's trainings (`LADDER`), if there are any, and
            of the models of one layer: columns model, seed, half and those of `method.measure_heads`.
        trials: what `ablation.AblationEval` gave of `THIS_MODEL`.
        lost: what it gave of 02's trainings (`Trainings.ablate`); None where there are none.
        induction_heads: of `induction.score_all`, both arms of the control.
        guessed: whether names and nouns are guesses at texts that were given, which claims then say.
        placebo: whether the arms, and the quarters of heads, differ by chance only.
    """
    effects = head_effects(measured)
    given = lost is None
    told_by = THIS_MODEL if given else LADDER
    compared = [*range_claims(trials.assign(seed=0) if given else lost, given=given), *_unscaled(effects)]
    trained = induction.REPEATS in set(induction_heads["model"])
    compared += [_induction(induction_heads)] if trained else []
    if placebo:
        return compared
    given_only = [] if trained else [_has_induction(induction_heads)]
    heads = _heads(effects, told_by)
    if guessed:
        names = (SEMANTIC, KINDS)
        heads = [replace(c, says=f"{c.says} {GUESSED}") if c.name in names else c for c in heads]
    return [*heads, *_one_layer(effects), *compared, *given_only]


# ------------------------------------------------------------------------------- by model
def head_effects(measured: pd.DataFrame) -> pd.DataFrame:
    """What each model's heads say for the claims about them.

    The head is chosen on one half of the texts, and its effect is from the other. Columns model, seed, name
    (of the claim), head, value, low, high, n (texts, or heads for `KINDS`), labelled (share of texts with
    names or nouns).
    """
    rows = []
    for (model, seed), part in measured.groupby(["model", "seed"], sort=False):
        chosen = wide(part[part["half"] == CHOSEN_ON]).set_index(INDEX)
        confirmed = part[part["half"] == CONFIRMED_ON].set_index([*INDEX, "measure"])
        counts = confirmed.groupby("measure")["n"].max()
        labelled = counts[["name_lift", "noun_lift"]].max() / counts["distance"]
        for name, effect in _EFFECTS.items():
            head, interval = effect(chosen, confirmed)
            rows.append({"model": model, "seed": seed, "name": name, "head": head, "labelled": labelled})
            rows[-1] |= interval.row()
    return pd.DataFrame(rows)


def _semantic(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> tuple[str, Interval]:
    """Attention to far names or nouns beyond the shuffled control, of the head that gives them most among
    those that offset does not explain.
    """
    free = chosen[chosen["positional"] < NOT_POSITIONAL * POSITIONAL]
    lifts = (free if len(free) else chosen)[["name_lift", "noun_lift"]].stack().dropna()
    if lifts.empty:
        return "", _UNKNOWN
    *head, lift = lifts.idxmax()
    control = confirmed.loc[(*head, f"shuffled_{lift}")]
    return _name(head), _difference(confirmed.loc[(*head, lift)], control)


def _distance(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> tuple[str, Interval]:
    """Share that offset explains of the head of which it explains most, beyond `POSITIONAL`."""
    head = chosen["positional"].idxmax()
    row = confirmed.loc[(*head, "positional")]
    value, low, high = (row[name] - POSITIONAL for name in ("value", "low", "high"))
    return _name(head), Interval(value, low, high, int(row["n"]))


def _kinds(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> tuple[str, Interval]:
    """Rank correlation, turned round, of what offset explains and of attention to names or nouns."""
    heads = wide(confirmed.reset_index())
    lifts = heads[["name_lift", "noun_lift"]].max(axis=1)
    if lifts.notna().sum() < 3:
        return "", _UNKNOWN
    rho = spearman(heads["positional"], lifts)
    return "", Interval(-rho.value, -rho.high, -rho.low, rho.n)


_EFFECTS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], tuple[str, Interval]]] = {
    SEMANTIC: _semantic,
    DISTANCE: _distance,
    KINDS: _kinds,
}


def _name(head: tuple[int, int] | list[int]) -> str:
    return "layer {}, head {}".format(*head)


def _difference(first: pd.Series, second: pd.Series) -> Interval:
    """first - second, their intervals taken as independent: half-widths add up in squares."""
    below = np.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = np.hypot(first["high"] - first["value"], second["value"] - second["low"])
    gap = first["value"] - second["value"]
    return Interval(gap, gap - below, gap + above, int(min(first["n"], second["n"])))


# ------------------------------------------------------------------------------- claims
_ABOUT: dict[str, dict[str, Any]] = {
    SEMANTIC: {
        "says": "A head that offset does not explain{which} attends more to far names or nouns than to as "
        "many tokens in random places.",
        "paper": "Some heads attend to a name or a noun wherever it stands (no figure given)",
        "unit": "times chance, beyond the shuffled control",
        "delta": 0.25,
        "delta_reason": "of a head that gives names a quarter more than chance nobody would say that it "
        "looks for them",
    },
    DISTANCE: {
        "says": "Relative offset explains more than half of the most positional head{which}, measured on "
        "other texts than it was fitted and chosen on.",
        "paper": "Some heads attend at a fixed distance (no figure given; one half is our threshold)",
        "unit": f"share of variance, beyond {POSITIONAL}",
        "delta": 0.05,
        "delta_reason": "a twentieth of the variance more or less leaves a head as positional as it was",
    },
    KINDS: {
        "says": "The more of a head offset explains, the less it attends to names or nouns (rank correlation "
        "over the heads, sign reversed).",
        "paper": "Distance heads and semantic heads are two groups",
        "unit": "rank correlation, negative",
        "delta": 0.1,
        "delta_reason": "a hundredth of the variance of ranks",
    },
}
_ONE_LAYER = {SEMANTIC: "one-layer-semantic", DISTANCE: "one-layer-distance"}


def _heads(effects: pd.DataFrame, told_by: str) -> list[Claim]:
    rows, made = effects[effects["model"] == told_by], []
    for name in _EFFECTS:
        view = _VIEW if told_by == THIS_MODEL else BY_TRAINING
        about = {"name": name, "headline": name == SEMANTIC, "view": view}
        made.append(_claim(rows[rows["name"] == name], name, given=told_by == THIS_MODEL, **about))
    return made


def _one_layer(effects: pd.DataFrame) -> list[Claim]:
    """Both kinds in the models of one layer with unscaled attention, as the paper's were."""
    rows, made = effects[effects["model"] == UNSCALED], []
    for name, own_name in _ONE_LAYER.items():
        part = rows[rows["name"] == name]
        if len(part):
            claim = _claim(part, name, given=False, name=own_name, view=BY_TRAINING)
            says = claim.says
            made.append(replace(claim, says=f"In models of one layer, {says[0].lower()}{says[1:]}"))
    return made


def _claim(rows: pd.DataFrame, kind: str, *, given: bool, **about: Any) -> Claim:
    """The claim that one effect of a given model, or of all trainings of a model, decides."""
    about |= _ABOUT[kind]
    first, single = rows.iloc[0], len(rows) == 1
    about["says"] = about["says"].format(which=f" ({first['head']})" if single and first["head"] else "")
    if kind != DISTANCE:
        share = float(rows["labelled"].mean())
        about["gates"] = (Gate("share of texts whose names or nouns are known", share, low=LABELLED),)
    if not single:
        effects = rows[["seed"]].assign(effect=rows["value"].astype(float))
        if effects["effect"].notna().any():
            return over_seeds(effects, items="trainings").claim(**about)
    about |= {} if given else {"trainings": len(rows)}
    interval = Interval(*first[["value", "low", "high", "n"]]) if single else _UNKNOWN
    return Claim.of(interval, over="heads" if kind == KINDS else "texts", **about)


def _unscaled(effects: pd.DataFrame) -> list[Claim]:
    rows = effects[effects["name"] == DISTANCE].assign(item=0)
    if not {UNSCALED, SCALED} <= set(rows["model"]):
        return []
    both = compare(rows, UNSCALED, SCALED, value="value", items="models", arm="model")
    return [
        both.claim(
            name="unscaled-attention",
            says="Of models of one layer, offset explains more of the most positional head where attention "
            "scores are not scaled down.",
            paper=BEYOND,
            unit="share of variance",
            view=BY_TRAINING,
            delta=0.05,
            delta_reason="a twentieth of the variance more or less leaves a head as positional as it was",
        )
    ]


def _induction(heads: pd.DataFrame) -> Claim:
    strongest = induction.strongest(heads[heads["model"].isin(induction.ARMS)])
    arms = {"treated": induction.REPEATS, "control": induction.CONTROL, "arm": "model"}
    return compare(strongest, **arms, value="value", items="rows of tokens").claim(
        name="induction-where-trained",
        says="The strongest induction head of a model trained on repeats attends more to what followed "
        "than the strongest of a model trained on as many random words.",
        paper="Induction heads serve repeated sequences (Olsson et al. 2022)",
        unit="attention",
        view="Induction heads",
        delta=0.05,
        delta_reason="a head that gives a twentieth more of its attention copies nothing",
    )


def _has_induction(heads: pd.DataFrame) -> Claim:
    """Of the model that is given, where no control was trained."""
    strongest = induction.strongest(heads)
    head = _name(strongest[INDEX].iloc[0].tolist())
    share = bootstrap_mean(strongest["value"].to_numpy())
    value, low, high = (bound - induction.HALF for bound in (share.value, share.low, share.high))
    return Claim.of(
        Interval(value, low, high, share.n),
        over="rows of tokens",
        name="has-an-induction-head",
        says=f"Where random tokens come twice, a head ({head}) gives more than half of its attention to what "
        "followed the same token before, on other rows than it was chosen on.",
        paper="Language models of two layers and more grow induction heads (Olsson et al. 2022; "
        "one half is our threshold)",
        unit=f"attention, beyond {induction.HALF:g}",
        view="Induction heads",
        delta=0.05,
        delta_reason="a twentieth of its attention more or less leaves a head as much of one as it was",
    )
