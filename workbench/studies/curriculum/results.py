"""What 06 finds: accuracies by share, order and shape, forgetting, what is combined, and claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.corpora.homes import NEW_PERSON, NEW_STEP
from workbench.corpora.walks import BEGINNING
from workbench.errors import UserError
from workbench.measures.statistics import Interval, bootstrap_mean
from workbench.measures.summaries import summarise
from workbench.studies.common.evidence import Evidence, over_seeds
from workbench.studies.curriculum.experiment import shape_name

_MEAN = "mean of the two"
_FORGETTING, _ORDERS, _SHAPES = "What is forgotten", "Orders at the end", "Wide or deep?"
_COMBINED = "Fact and step together"
APART, TOGETHER = "apart", "with combined questions"
_INTERFERENCE = "(McCloskey and Cohen 1989)"
_KNOWN = 0.8  # share of homes, and of steps, from which what is missing is their combination
LEAST_FALL = 0.1  # of the first loss: a training whose loss falls by less has not trained
_SMALLEST = 0.05  # effect of interest
_ABOUT = {
    "unit": "share right",
    "delta": _SMALLEST,
    "delta_reason": "one question in twenty: less would change nobody's order of reading",
}
_ARM = ["share", "order", "combined", "layers", "width", "seed", "update"]


def untrained(losses: pd.DataFrame) -> list[int]:
    """The seeds of which a training's loss did not fall by `LEAST_FALL`, a rule older than any run.

    Args:
        losses: columns seed, first and last.

    Raises:
        UserError: no seed is left.
    """
    fell = losses["last"] <= (1 - LEAST_FALL) * losses["first"]
    seeds = sorted(losses.loc[~fell, "seed"].unique())
    if len(seeds) == losses["seed"].nunique():
        raise UserError("In no seed has every model trained (its loss did not fall): raise n_updates.")
    return [int(seed) for seed in seeds]


def trainings(losses: pd.DataFrame) -> str:
    """How many seeds trained, and which are left out and why, as a sentence."""
    out, n = untrained(losses), losses["seed"].nunique()
    if not out:
        return (
            f"All models of {'the one seed' if n == 1 else f'all {n} seeds'} have trained; none is left out."
        )
    names = ", ".join(map(str, out))
    return (
        f"{len(out)} of {n} seeds ({names}) {'is' if len(out) == 1 else 'are'} left out: the loss of one of "
        f"their models did not fall by {LEAST_FALL:.0%}, and arms are compared within a seed."
    )


def trained(frame: pd.DataFrame, losses: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds that have trained."""
    return frame[~frame["seed"].isin(untrained(losses))]


def answers(right: pd.DataFrame) -> pd.DataFrame:
    """Question by question: columns share, order, combined, layers, width, seed, update, item, facts, walks.

    Walks are those questions that no model has read: after as many steps as a beginning has, or more. Of
    facts there may be fewer than of walks: then some are NaN.
    """
    wide = right.pivot(index=[*_ARM, "item"], columns="measure", values="value")
    steps = sorted((name for name in wide if name != "facts"), key=int)
    columns = {"facts": wide["facts"], "walks": wide[steps[BEGINNING - 1 :]].mean(axis=1)}
    return pd.DataFrame(columns).reset_index()


def scores(right: pd.DataFrame) -> pd.DataFrame:
    """Accuracies and what joins them: columns as `answers` has them but item, then score and value."""
    scored = answers(right).groupby(_ARM)[["facts", "walks"]].mean()
    scored[_MEAN] = scored.mean(axis=1)
    scored["smaller of the two"] = scored[["facts", "walks"]].min(axis=1)
    return scored.melt(ignore_index=False, var_name="score", value_name="value").reset_index()


def by_measure(right: pd.DataFrame) -> pd.DataFrame:
    """The share of right answers of every training: the columns of `right` but item."""
    return right.groupby([*_ARM, "measure"], sort=False)["value"].mean().reset_index()


def at_end(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows behind the last update."""
    return frame[frame["update"] == frame["update"].max()]


def settled(halves: pd.DataFrame) -> pd.DataFrame:
    """The mean of the last two tests, after the last block of facts and that of walks (`data.last_blocks`).

    So what was read last gains nothing where the two kinds take turns; other orders are asked when that is.
    """
    last = halves[halves["update"].isin(np.unique(halves["update"])[-2:])]
    names = [name for name in (*_ARM, "item", "score") if name in last and name != "update"]
    return last.groupby(names, sort=False).mean(numeric_only=True).drop(columns="update").reset_index()


def of_base(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the shape that shares and orders are compared with, the first; no combined pages."""
    return frame[_is_base(frame) & (frame["combined"] == 0)]


def _is_base(frame: pd.DataFrame) -> pd.Series:
    first = frame.iloc[0]
    return (frame["layers"] == first["layers"]) & (frame["width"] == first["width"])


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means over seeds: the columns of `by`, value, low, high, n (seeds)."""
    table = summarise(frame, by, "value")
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


# ------------------------------------------------------------------------------- what is combined
def together(combined: pd.DataFrame) -> pd.DataFrame:
    """Answers of the control and of the arm with combined questions: columns of `asking.combined`, seed, arm.

    `known` says whether home and step are known when they are asked apart.
    """
    rows = combined[_is_base(combined) & (combined["share"] == 0.5) & (combined["order"] == "shuffled")]
    arm = np.where(rows["combined"] > 0, TOGETHER, APART)
    return rows.assign(arm=arm, known=rows["home"] & rows["step"])


def parts(rows: pd.DataFrame) -> pd.DataFrame:
    """By arm, kind and seed: shares of home and step; among what is known, of right, luck and stays."""
    by = ["arm", "kind", "seed"]
    asked = rows.groupby(by, sort=False)[["home", "step"]].mean()
    return asked.join(rows[rows["known"]].groupby(by)[["right", "luck", "stays"]].mean()).reset_index()


# ------------------------------------------------------------------------------- claims
def claims(
    right: pd.DataFrame, combined: pd.DataFrame, n_places: int, *, placebo: bool = False
) -> list[Claim]:
    """What the trainings say; differences are paired by seed and question.

    Args:
        right: of `experiment.train_all`.
        combined: answers to the questions that need a home and a step, of every arm.
        n_places: of the town: guessing is right for one in so many.
        placebo: leaves out what compares an arm with guessing, or with itself at another time.
    """
    answered = answers(right)
    answered[_MEAN] = answered[["facts", "walks"]].mean(axis=1, skipna=False)
    base, last = of_base(answered), at_end(answered)
    last = last[last["combined"] == 0]
    halves = base[base["share"] == 0.5]
    made = [
        *_combining(together(combined), 1 / n_places, placebo),
        *_forgetting(halves, 1 / n_places, placebo),
    ]
    made += _orders(settled(halves), 1 / n_places)
    shapes = sorted(set(zip(last["layers"], last["width"], strict=True)))
    return made + (_shapes(last, shapes[0], shapes[-1], 1 / n_places) if len(shapes) > 1 else [])


def _claim(name: str, says: str, paper: str, view: str, effects: pd.Series, **about: Any) -> Claim:
    return _evidence(effects.rename("effect")).claim(
        name=name, says=says, paper=paper, view=view, **_ABOUT, **about
    )


def _evidence(effects: pd.Series) -> Evidence:
    """The mean over seeds, or over the questions of a single one.

    Two seeds have different questions, of which only the numbers are alike, so that few seeds are told by
    their own means.
    """
    by_seed = effects.dropna().groupby("seed").mean()
    if by_seed.empty:
        return Evidence(Interval(np.nan, np.nan, np.nan, 0), "trainings", 0)
    if len(by_seed) == 1:
        return over_seeds(effects.reset_index())
    return Evidence(bootstrap_mean(by_seed.to_numpy()), "trainings", len(by_seed))


def _by_item(frame: pd.DataFrame, columns: list[str], score: str) -> pd.DataFrame:
    """A row for each seed and question, a column for each arm."""
    return frame.pivot(index=["seed", "item"], columns=columns, values=score)


def _combining(rows: pd.DataFrame, guessing: float, placebo: bool) -> list[Claim]:
    """Of questions whose home and step are known; the arm that reads some shows that it can be done."""
    apart, read = rows[rows["arm"] == APART], rows[rows["arm"] == TOGETHER]
    gates = tuple(
        Gate(f"{part}s known, {arm}", float(asked[part].mean()), low=_KNOWN)
        for arm, asked in ((APART, apart), (TOGETHER, read)) for part in ("home", "step")
    )  # fmt: skip
    others = rows.assign(right=rows["right"].astype(float).where(rows["known"]))
    others = others[others["kind"] == NEW_PERSON]
    strangers = others.pivot(index=["seed", "item"], columns="arm", values="right")
    made = [_claim(
        "combining-carries-over",
        "A model that has read combined questions about some people answers those about others, whose homes "
        "it knows, better than a model that has read none.",
        "learnt where both parts are used in other questions (2405.15071), at chance where neither is "
        "(2411.16353)", _COMBINED, strangers[TOGETHER] - strangers[APART], gates=gates,
    )]  # fmt: skip
    if placebo:
        return made
    possible = Gate(
        "combined questions about known people right, where others about them were read",
        float(read.loc[read["known"] & (read["kind"] == NEW_STEP), "right"].mean()), low=2 * guessing,
    )  # fmt: skip
    sure = apart[apart["known"]].set_index(["seed", "kind", "item"])
    headline = _claim(
        "apart-combines",
        "A model that has learnt facts and steps apart answers questions that need one of each, more often "
        "than its answers would be right if another way had been asked for.",
        "pre-trained models do for some facts (2402.16837), models tuned on invented ones do not "
        "(2411.16353)",
        _COMBINED, sure["right"].astype(float) - sure["luck"], gates=(*gates[:2], possible), headline=True,
    )  # fmt: skip
    return [headline, *made]


def _forgetting(halves: pd.DataFrame, guessing: float, placebo: bool) -> list[Claim]:
    updates = halves["update"].unique()
    end = updates.max()
    half, made = updates[np.abs(updates - end / 2).argmin()], []
    for score in (name for name in ("facts", "walks") if f"{name} first" in set(halves["order"])):
        right, first = _by_item(halves, ["order", "update"], score), f"{score} first"
        at_last = _by_item(settled(halves), ["order"], score)
        at_half = float(right[first, half].mean())
        known = Gate(f"{score} right at half time, {first}", at_half, low=_floor(guessing))
        if not placebo:
            made.append(_claim(
                f"sequential-forgets-{score}",
                f"With {score} first, accuracy on {score} falls from half time to the end.",
                f"learning one thing after another forgets the first {_INTERFERENCE}", _FORGETTING,
                right[first, half] - right[first, end], gates=(known,),
            ))  # fmt: skip
        made.append(_claim(
            f"mixing-keeps-{score}",
            f"At the end, shuffled pages have left more {score} right than {score} first.",
            f"mixing what was learnt with what is new keeps both {_INTERFERENCE}", _ORDERS,
            at_last["shuffled"] - at_last[first], gates=(known,),
        ))  # fmt: skip
    return made


def _floor(guessing: float) -> float:
    """The accuracy below which an effect has no room: twice the smallest of interest above guessing."""
    return guessing + 2 * _SMALLEST


def _between(treated: pd.Series, control: pd.Series, what: str, guessing: float) -> dict[str, Any]:
    """The effect of one arm against another, with gates that keep it off the floor and the ceiling.

    The better arm has to be above the floor, and the worse to leave room for the smallest effect.
    """
    worse, better = sorted((float(treated.mean()), float(control.mean())))
    gates = (
        Gate(f"{what} right, the better arm", better, low=_floor(guessing)),
        Gate(f"{what} right, the worse arm", worse, high=1 - _SMALLEST),
    )
    return {"effects": treated - control, "gates": gates}


def _orders(last: pd.DataFrame, guessing: float) -> list[Claim]:
    if not {"easy to hard", "interleaved"} <= set(last["order"]):
        return []
    walks, mean = (_by_item(last, ["order"], score) for score in ("walks", _MEAN))
    return [
        _claim("easy-to-hard-helps-walks", "Short walks before long ones: more walks right than shuffled.",
               "simple to complex: a small gain (2509.24356)", _ORDERS,
               **_between(walks["easy to hard"], walks["shuffled"], "walks", guessing)),
        _claim("interleaving-helps",
               "Blocks that take turns: a higher mean of both than shuffled, read after both kinds of block.",
               "interleaving: a larger gain (2509.24356)", _ORDERS,
               **_between(mean["interleaved"], mean["shuffled"], _MEAN, guessing)),
    ]  # fmt: skip


def _shapes(last: pd.DataFrame, wide: tuple[int, int], deep: tuple[int, int], guessing: float) -> list[Claim]:
    rows = last[(last["share"] == 0.5) & (last["order"] == "shuffled")]
    facts, walks = (_by_item(rows, ["layers", "width"], score) for score in ("facts", "walks"))
    more, less = f"{shape_name(*wide)} (layers × width)", shape_name(*deep)
    return [
        _claim("width-helps-facts", f"Width helps facts: {more} knows more than {less}.",
               "wider models know more facts (2305.07759)", _SHAPES,
               **_between(facts[wide], facts[deep], "facts", guessing)),
        _claim("layers-help-walks", f"Layers help walks: {less} gets further than {more}.",
               "deeper models track context better (2305.07759)", _SHAPES,
               **_between(walks[deep], walks[wide], "walks", guessing)),
    ]  # fmt: skip
