"""What 06 finds: accuracies by share, order and shape over seeds, forgetting, and claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.corpora.walks import BEGINNING
from workbench.measures.summaries import summarise
from workbench.studies.common.evidence import over_seeds
from workbench.studies.curriculum.data import SHARES
from workbench.studies.curriculum.experiment import shape_name

_MEAN = "mean of the two"
_MIXTURES, _FORGETTING, _ORDERS, _SHAPES = (
    "Facts or walks?", "What is forgotten", "Orders at the end", "Wide or deep?",
)  # fmt: skip
_INTERFERENCE = "(McCloskey and Cohen 1989)"
_LEARNT = 0.4  # share right from which there is something to forget: twice what guessing gives
_ARM = ["share", "order", "layers", "width", "seed", "update"]


def answers(right: pd.DataFrame) -> pd.DataFrame:
    """Question by question: columns share, order, layers, width, seed, update, item, facts, walks.

    Walks are those questions that no model has read: after as many steps as a beginning has, or more. Of
    facts there may be fewer than of walks: then some are NaN.
    """
    wide = right.pivot(index=[*_ARM, "item"], columns="measure", values="value")
    steps = sorted((name for name in wide if name != "facts"), key=int)
    columns = {"facts": wide["facts"], "walks": wide[steps[BEGINNING - 1 :]].mean(axis=1)}
    return pd.DataFrame(columns).reset_index()


def scores(right: pd.DataFrame) -> pd.DataFrame:
    """Accuracies and what joins them: columns share, order, layers, width, seed, update, score, value."""
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


def of_base(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the shape that shares and orders are compared with: the first one's."""
    first = frame.iloc[0]
    return frame[(frame["layers"] == first["layers"]) & (frame["width"] == first["width"])]


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means over seeds: the columns of `by`, value, low, high, n (seeds)."""
    table = summarise(frame, by, "value")
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


# ------------------------------------------------------------------------------- claims
def claims(right: pd.DataFrame, *, placebo: bool = False) -> list[Claim]:
    """What the trainings say; differences are paired by seed and question.

    Args:
        right: of `experiment.train_all`.
        placebo: leaves out what compares an arm with itself at another time.
    """
    answered = answers(right)
    answered[_MEAN] = answered[["facts", "walks"]].mean(axis=1)
    base, last = of_base(answered), at_end(answered)
    halves = base[base["share"] == 0.5]
    made = [*_optimum(at_end(base)), *_forgetting(halves, placebo), *_orders(at_end(halves))]
    shapes = sorted(set(zip(last["layers"], last["width"], strict=True)))
    return made + (_shapes(last, wide=shapes[0], deep=shapes[-1]) if len(shapes) > 1 else [])


def _claim(
    name: str, says: str, paper: str, view: str, effects: pd.Series, **about: bool | tuple[Gate, ...]
) -> Claim:
    evidence = over_seeds(effects.rename("effect").reset_index())
    return evidence.claim(name=name, says=says, paper=paper, unit="share right", view=view, **about)


def _by_item(frame: pd.DataFrame, columns: list[str], score: str) -> pd.DataFrame:
    """A row for each seed and question, a column for each arm."""
    return frame.pivot(index=["seed", "item"], columns=columns, values=score)


def _optimum(last: pd.DataFrame) -> list[Claim]:
    """Both shares are chosen on the other seeds, so that luck is not taken for an optimum."""
    table = _by_item(last[last["order"] == "shuffled"], ["share"], _MEAN)
    means = table.groupby("seed").mean()
    if len(means) < 2:
        return []
    effects = []
    for seed in means.index:
        others = means.drop(seed).mean()
        inner, end = (others[shares].idxmax() for shares in ([*SHARES[1:-1]], [SHARES[0], SHARES[-1]]))
        effects.append(table.loc[[seed], inner] - table.loc[[seed], end])
    says = "A mixture has a higher mean of both accuracies than facts or walks alone, for equally many pages."
    return [_claim("inner-optimum", says, "mixtures do best for small models (2411.06672)", _MIXTURES,
                   pd.concat(effects))]  # fmt: skip


def _forgetting(halves: pd.DataFrame, placebo: bool) -> list[Claim]:
    updates = halves["update"].unique()
    end = updates.max()
    half, made = updates[np.abs(updates - end / 2).argmin()], []
    for score in ("facts", "walks"):
        right, first = _by_item(halves, ["order", "update"], score), f"{score} first"
        known = Gate(f"{score} right at half time, {first}", float(right[first, half].mean()), low=_LEARNT)
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
            right["shuffled", end] - right[first, end], gates=(known,), headline=score == "facts",
        ))  # fmt: skip
    return made


def _orders(last: pd.DataFrame) -> list[Claim]:
    walks, mean = (_by_item(last, ["order"], score) for score in ("walks", _MEAN))
    return [
        _claim("easy-to-hard-helps-walks", "Short walks before long ones: more walks right than shuffled.",
               "simple to complex: a small gain (2509.24356)", _ORDERS,
               walks["easy to hard"] - walks["shuffled"]),
        _claim("interleaving-helps", "Blocks that take turns: a higher mean of both than shuffled.",
               "interleaving: a larger gain (2509.24356)", _ORDERS, mean["interleaved"] - mean["shuffled"]),
    ]  # fmt: skip


def _shapes(last: pd.DataFrame, wide: tuple[int, int], deep: tuple[int, int]) -> list[Claim]:
    rows = last[(last["share"] == 0.5) & (last["order"] == "shuffled")]
    facts, walks = (_by_item(rows, ["layers", "width"], score) for score in ("facts", "walks"))
    more, less = f"{shape_name(*wide)} (layers × width)", shape_name(*deep)
    return [
        _claim("width-helps-facts", f"Width helps facts: {more} knows more than {less}.",
               "wider models know more facts (2305.07759)", _SHAPES, facts[wide] - facts[deep]),
        _claim("layers-help-walks", f"Layers help walks: {less} gets further than {more}.",
               "deeper models track context better (2305.07759)", _SHAPES, walks[deep] - walks[wide]),
    ]  # fmt: skip
