"""What 06 finds: accuracies by share, order and shape over repetitions, forgetting, and claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from workbench.claims import Claim
from workbench.corpora.walks import BEGINNING
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise
from workbench.studies.curriculum.data import SHARES
from workbench.studies.curriculum.experiment import shape_name

_MEAN = "mean of the two"
_MIXTURES, _FORGETTING, _ORDERS, _SHAPES = (
    "Facts or walks?", "What is forgotten", "Orders at the end", "Wide or deep?",
)  # fmt: skip
_INTERFERENCE = "(McCloskey and Cohen 1989)"


def scores(right: pd.DataFrame) -> pd.DataFrame:
    """Both accuracies and what joins them: columns share, order, layers, width, seed, update, score, value.

    Walks are those questions that no model has read: after as many steps as a beginning has, or more.
    """
    keys = ["share", "order", "layers", "width", "seed", "update"]
    wide = right.pivot(index=keys, columns="measure", values="value")
    steps = sorted((name for name in wide if name != "facts"), key=int)
    scored = pd.DataFrame({"facts": wide["facts"], "walks": wide[steps[BEGINNING - 1 :]].mean(axis=1)})
    scored[_MEAN] = scored.mean(axis=1)
    scored["smaller of the two"] = scored[["facts", "walks"]].min(axis=1)
    return scored.melt(ignore_index=False, var_name="score", value_name="value").reset_index()


def at_end(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows behind the last update."""
    return frame[frame["update"] == frame["update"].max()]


def of_base(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the shape that shares and orders are compared with: the first one's."""
    first = frame.iloc[0]
    return frame[(frame["layers"] == first["layers"]) & (frame["width"] == first["width"])]


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means over repetitions: the columns of `by`, value, low, high, n (repetitions)."""
    table = summarise(frame, by, "value")
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


# ------------------------------------------------------------------------------- claims
def claims(scored: pd.DataFrame) -> list[Claim]:
    """What the trainings say, from `scores`; differences are paired by repetition."""
    base, last = of_base(scored), at_end(scored)
    halves = base[base["share"] == 0.5]
    made = [_optimum(at_end(base)), *_forgetting(halves), *_orders(at_end(halves))]
    shapes = sorted(set(zip(last["layers"], last["width"], strict=True)))
    return made + (_shapes(last, wide=shapes[0], deep=shapes[-1]) if len(shapes) > 1 else [])


def _claim(name: str, says: str, paper: str, view: str, differences: ArrayLike) -> Claim:
    estimate = bootstrap_mean(differences)
    return Claim.of(estimate, name=name, says=says, paper=paper, unit="share right", view=view)


def _by_seed(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return frame.pivot(index="seed", columns=columns, values="value")


def _optimum(last: pd.DataFrame) -> Claim:
    """Both shares are chosen on the other repetitions, so that luck is not taken for an optimum."""
    table = _by_seed(last[(last["order"] == "shuffled") & (last["score"] == _MEAN)], ["share"])
    differences = []
    for seed in table.index:
        others = table.drop(seed).mean()
        inner, end = (others[shares].idxmax() for shares in ([*SHARES[1:-1]], [SHARES[0], SHARES[-1]]))
        differences.append(table.loc[seed, inner] - table.loc[seed, end])
    says = "A mixture has a higher mean of both accuracies than facts or walks alone, for equally many pages."
    return _claim("inner-optimum", says, "mixtures do best for small models (2411.06672)", _MIXTURES,
                  differences)  # fmt: skip


def _forgetting(halves: pd.DataFrame) -> list[Claim]:
    updates = halves["update"].unique()
    end = updates.max()
    half = updates[np.abs(updates - end / 2).argmin()]
    table, made = _by_seed(halves, ["score", "order", "update"]), []
    for score in ("facts", "walks"):
        right, first = table[score], f"{score} first"
        made += [
            _claim(f"sequential-forgets-{score}",
                   f"With {score} first, accuracy on {score} falls from half time to the end.",
                   f"learning one thing after another forgets the first {_INTERFERENCE}", _FORGETTING,
                   right[first, half] - right[first, end]),
            _claim(f"mixing-keeps-{score}",
                   f"At the end, shuffled pages have left more {score} right than {score} first.",
                   f"mixing what was learnt with what is new keeps both {_INTERFERENCE}", _ORDERS,
                   right["shuffled", end] - right[first, end]),
        ]  # fmt: skip
    return made


def _orders(last: pd.DataFrame) -> list[Claim]:
    table = _by_seed(last, ["score", "order"])
    walks, mean = table["walks"], table[_MEAN]
    return [
        _claim("easy-to-hard-helps-walks", "Short walks before long ones: more walks right than shuffled.",
               "simple to complex: a small gain (2509.24356)", _ORDERS,
               walks["easy to hard"] - walks["shuffled"]),
        _claim("interleaving-helps", "Blocks that take turns: a higher mean of both than shuffled.",
               "interleaving: a larger gain (2509.24356)", _ORDERS, mean["interleaved"] - mean["shuffled"]),
    ]  # fmt: skip


def _shapes(last: pd.DataFrame, wide: tuple[int, int], deep: tuple[int, int]) -> list[Claim]:
    rows = last[(last["share"] == 0.5) & (last["order"] == "shuffled")]
    table = _by_seed(rows, ["score", "layers", "width"])
    more, less = f"{shape_name(*wide)} (layers × width)", shape_name(*deep)
    return [
        _claim("width-helps-facts", f"Width helps facts: {more} knows more than {less}.",
               "wider models know more facts (2305.07759)", _SHAPES,
               table["facts", *wide] - table["facts", *deep]),
        _claim("layers-help-walks", f"Layers help walks: {less} gets further than {more}.",
               "deeper models track context better (2305.07759)", _SHAPES,
               table["walks", *deep] - table["walks", *wide]),
    ]  # fmt: skip
