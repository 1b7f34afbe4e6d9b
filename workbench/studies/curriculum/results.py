"""What 06 finds: accuracies by share, order and shape over repetitions, forgetting, and claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.corpora.walks import BEGINNING
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise
from workbench.studies.curriculum.data import ORDERS, SHARES, Sizes
from workbench.studies.curriculum.experiment import shaped

_ARM = ["share", "order", "layers", "width"]
_MIXTURES, _FORGETTING, _ORDERS, _SHAPES = (
    "Facts or walks?", "What is forgotten", "Orders at the end", "Wide or deep?",
)  # fmt: skip


def scores(right: pd.DataFrame) -> pd.DataFrame:
    """Both accuracies and what joins them: columns share, order, layers, width, seed, update, score, value.

    Walks are those questions that no model has read: after as many steps as a beginning has, or more.
    """
    keys = [*_ARM, "seed", "update"]
    wide = right.pivot(index=keys, columns="measure", values="value")
    steps = sorted((name for name in wide if name != "facts"), key=int)
    scored = pd.DataFrame({"facts": wide["facts"], "walks": wide[steps[BEGINNING - 1 :]].mean(axis=1)})
    scored["mean of the two"] = scored.mean(axis=1)
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
def claims(scored: pd.DataFrame, sizes: Sizes) -> list[Claim]:
    """What the trainings say; differences are paired by repetition.

    Args:
        scored: of `scores`.
        sizes: names the shapes.
    """
    base, last = of_base(scored), at_end(scored)
    made = [_optimum(of_base(last)), *_forgetting(base, sizes), *_orders(of_base(last))]
    shapes = {(row.layers, row.width) for row in last.itertuples()}
    return made + (_shapes(last, sizes) if len(shapes) > 1 else [])


def _claim(name: str, says: str, paper: str, view: str, differences: pd.Series | list[float]) -> Claim:
    estimate = bootstrap_mean(differences)
    return Claim.of(estimate, name=name, says=says, paper=paper, unit="share right", view=view)


def _optimum(last: pd.DataFrame) -> Claim:
    """Both shares are chosen on the other repetitions, so that luck is not taken for an optimum."""
    rows = last[(last["order"] == "shuffled") & (last["score"] == "mean of the two")]
    table = rows.pivot(index="seed", columns="share", values="value")
    differences = []
    for seed in table.index:
        others = table.drop(seed).mean()
        best = [others[list(shares)].idxmax() for shares in (SHARES[1:-1], (SHARES[0], SHARES[-1]))]
        differences.append(table.loc[seed, best[0]] - table.loc[seed, best[1]])
    return _claim(
        "inner-optimum",
        "A mixture has a higher mean of both accuracies than facts or walks alone, for equally many pages.",
        "mixtures do best for small models (2411.06672)",
        _MIXTURES,
        differences,
    )


def _forgetting(base: pd.DataFrame, sizes: Sizes) -> list[Claim]:
    half = base["update"].unique()
    half = half[np.abs(half - sizes.updates / 2).argmin()]
    result = []
    for score in ("facts", "walks"):
        rows = base[(base["score"] == score) & (base["share"] == 0.5)]
        table = rows.pivot(index="seed", columns=["order", "update"], values="value")
        order, end = f"{score} first", sizes.updates
        result.append(
            _claim(
                f"sequential-forgets-{score}",
                f"With {score} first, accuracy on {score} falls from half time to the end.",
                "learning one thing after another forgets the first (McCloskey and Cohen 1989)",
                _FORGETTING,
                table[order, half] - table[order, end],
            )
        )
        result.append(
            _claim(
                f"mixing-keeps-{score}",
                f"At the end, shuffled pages have left more {score} right than {score} first.",
                "mixing what was learnt with what is new keeps both (McCloskey and Cohen 1989)",
                _ORDERS,
                table["shuffled", end] - table[order, end],
            )
        )
    return result


def _orders(last: pd.DataFrame) -> list[Claim]:
    rows = last[(last["share"] == 0.5) & (last["score"] == "mean of the two")]
    table = rows.pivot(index="seed", columns="order", values="value")
    walks = last[(last["share"] == 0.5) & (last["score"] == "walks")]
    walks = walks.pivot(index="seed", columns="order", values="value")
    easy, taking_turns = ORDERS[2], ORDERS[1]
    return [
        _claim("easy-to-hard-helps-walks", "Short walks before long ones: more walks right than shuffled.",
               "simple to complex: a small gain (2509.24356)", _ORDERS, walks[easy] - walks["shuffled"]),
        _claim("interleaving-helps", "Blocks that take turns: a higher mean of both than shuffled.",
               "interleaving: a larger gain (2509.24356)", _ORDERS, table[taking_turns] - table["shuffled"]),
    ]  # fmt: skip


def _shapes(last: pd.DataFrame, sizes: Sizes) -> list[Claim]:
    rows = last[(last["share"] == 0.5) & (last["order"] == "shuffled")]
    table = rows.pivot(index="seed", columns=["score", "layers", "width"], values="value")
    deep, wide = max(sizes.shapes), min(sizes.shapes)
    more, less = f"{shaped(wide)} (layers × width)", shaped(deep)
    return [
        _claim("width-helps-facts", f"Width helps facts: {more} knows more than {less}.",
               "wider models know more facts (2305.07759)", _SHAPES,
               table["facts", *wide] - table["facts", *deep]),
        _claim("layers-help-walks", f"Layers help walks: {less} gets further than {more}.",
               "deeper models track context better (2305.07759)", _SHAPES,
               table["walks", *deep] - table["walks", *wide]),
    ]  # fmt: skip
