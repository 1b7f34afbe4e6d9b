"""From replies to claims: pass@k, different answers and different right paths, step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from workbench.claims import Claim, Gate
from workbench.measures.equivalence import rarefaction
from workbench.measures.statistics import Interval
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.common.evidence import Evidence, compare
from workbench.studies.loop.data import PLAIN, PRISMATIC
from workbench.studies.loop.experiment import ALONE, ARMS, CONTROL, IMITATION, LOOP, OWN, REWARDED, STEPS

# Titles of the pictures that show what is claimed.
CHAIN, PASSES = "Along the chain", "Right in k replies"
END = STEPS[REWARDED]
LEAST_RIGHT = 0.05  # of the control's replies at the end: a name in eighty is right by chance
BEFORE = ", not yet rewarded"
SOME = 4  # right replies among which different paths are counted
ITEM = ["seed", "arm", "pool", "route", "step", "at", "item"]


def by_item(replies: pd.DataFrame) -> pd.DataFrame:
    """What the replies to a problem are worth: a row an arm, seed, step and item.

    Returns:
        Columns of `ITEM`, n (replies), right (of them), once (share right: pass@1), ever (any right: pass@n),
        answers (different ones) and paths (different right ones among `SOME` right replies, expected over
        all choices of these; NaN where there are fewer).
    """
    routes = pd.DataFrame([(arm, *of) for arm, of in ARMS.items()], columns=["arm", "pool", "route"])
    groups = replies.merge(routes, on="arm").groupby(ITEM, sort=False)
    table = groups.agg(n=("right", "size"), right=("right", "sum"), answers=("answer", "nunique"))
    table["once"], table["ever"] = table["right"] / table["n"], (table["right"] > 0).astype(float)
    table["paths"] = groups["path"].agg(_different)
    return table.reset_index()


def _different(paths: pd.Series) -> float:
    return float(rarefaction(paths.value_counts().to_numpy(), SOME)) if paths.notna().any() else np.nan


MEASURES = {
    "once": "pass@1",
    "ever": "right in any reply",
    "answers": "different answers",
    "paths": f"different paths of {SOME} right",
}


def chain(items: pd.DataFrame) -> pd.DataFrame:
    """Every measure after every step: columns arm, step, at, measure, value, low, high, n.

    Means with intervals over seeds, or over problems where there is one seed.
    """
    return summarise_measures(_by_seed(items, list(MEASURES)), ["arm", "step", "at"], MEASURES)


def _by_seed(items: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    if items["seed"].nunique() == 1:
        return items
    return items.groupby(["arm", "step", "at", "seed"], sort=False)[columns].mean().reset_index()


def passes(items: pd.DataFrame) -> pd.DataFrame:
    """pass@k at the end of each chain, and before reinforcement: columns arm, k, value, low, high, n.

    1 − C(n − c, k) / C(n, k) of n replies with c right (Chen et al. 2021, arXiv 2107.03374, section 2.1).
    """
    before = items[items["step"] == OWN]
    ends = pd.concat([items[items["at"] == END], before.assign(arm=before["arm"] + BEFORE)])
    most = int(np.log2(ends["n"].min()))
    tables = [
        ends.assign(k=k, chance=1 - hypergeom.pmf(0, ends["n"], ends["right"], k))
        for k in (2**power for power in range(most + 1))
    ]
    table = pd.concat(tables, ignore_index=True)
    if items["seed"].nunique() > 1:
        table = table.groupby(["arm", "k", "seed"], sort=False)["chance"].mean().reset_index()
    return summarise(table, ["arm", "k"], "chance")


def learnt(items: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """The rows of the seeds that have learnt, and those left out: by a rule that was fixed beforehand.

    A seed has not if its control's pass@1 is below `LEAST_RIGHT` at the end. If none has, all stay, and the
    gates say what cannot be tested.
    """
    ends = items[(items["arm"] == CONTROL) & (items["at"] == END)].groupby("seed")["once"].mean()
    poor = sorted(ends.index[ends < LEAST_RIGHT])
    if len(poor) == len(ends):
        return items, []
    return items[~items["seed"].isin(poor)], poor


def notes(tables: dict[str, pd.DataFrame], left_out: Sequence[int]) -> list[str]:
    """What a reader has to know of trainings that could learn nothing, as sentences."""
    total = tables["replies"]["seed"].nunique()
    said = [f"Seeds counted: {total - len(left_out)} of {total}."]
    if left_out:
        named = ", ".join(map(str, left_out))
        said.append(f"Left out, because the control ended below {LEAST_RIGHT:.0%} right: {named}.")
    rewards = tables["rewards"]
    for (arm, seed), rows in rewards.groupby(["arm", "seed"], sort=False) if len(rewards) else ():
        if (rows["degenerate_groups"] == 1).all():
            said.append(
                f"{arm}, seed {seed}: reinforcement could teach nothing, because the replies to every "
                "question were all right or all wrong."
            )
    return said


# ------------------------------------------------------------------------------- claims
def claims(items: pd.DataFrame, rewards: pd.DataFrame, *, placebo: bool = False) -> list[Claim]:
    """What the chains say.

    Args:
        items: as `by_item` returns them, without the seeds that have not learnt.
        rewards: of `experiment.train_all`.
        placebo: leaves out what compares a model with itself.
    """
    ends = items[items["at"] == END]
    made = [_of_loop(ends), _of_synthesis(ends)]
    return made if placebo else [*made, _of_stopping(items), *_of_reinforcement(items, rewards)]


_POINTS = {"delta": 0.05, "delta_reason": "five points would not be worth a step of their own"}
_BOUNDS = {"low": 0.2, "high": 0.8}


def _of_loop(ends: pd.DataFrame) -> Claim:
    """The headline: the loop against imitation alone, over both grown pools."""
    right = float(ends.loc[ends["route"] == ALONE, "once"].mean())
    evidence = compare(ends, LOOP, ALONE, value="once", item=["pool", "item"], items="problems", arm="route")
    return evidence.claim(
        name="the-loop-beats-imitation", headline=True,
        says="Own solutions and reinforcement lead to more right replies than more imitation at equal cost.",
        paper="reinforcement after imitation raises pass@1 (Shao et al. 2024; not at equal cost)",
        unit="share of replies", view=CHAIN, gates=(Gate("right after imitation alone", right, **_BOUNDS),),
        **_POINTS,
    )  # fmt: skip


def _of_stopping(items: pd.DataFrame) -> Claim:
    """The loop against its own beginning, in case more imitation only learns its solutions by heart."""
    shown = items[(items["route"] == LOOP) & (items["at"] == END) | (items["step"] == IMITATION)]
    right = float(shown.loc[shown["route"] == ALONE, "once"].mean())
    evidence = compare(shown, LOOP, ALONE, value="once", item=["pool", "item"], items="problems", arm="route")
    return evidence.claim(
        name="the-loop-beats-stopping",
        says="It also leads to more right replies than imitation that stops where the loop begins.",
        paper="reinforcement after imitation raises pass@1 (Shao et al. 2024)", unit="share of replies",
        view=CHAIN, gates=(Gate("right after imitation", right, **_BOUNDS),), **_POINTS,
    )  # fmt: skip


def _of_synthesis(ends: pd.DataFrame) -> Claim:
    """Whether the pool that gradients chose is ahead once the loop is closed."""
    of_loop = ends[ends["route"] == LOOP]
    right = float(of_loop.loc[of_loop["pool"] == PLAIN, "once"].mean())
    evidence = compare(of_loop, PRISMATIC, PLAIN, value="once", items="problems", arm="pool")
    return evidence.claim(
        name="prismatic-pools-end-ahead",
        says="The loop ends with more right replies on a pool that gradients chose than on one grown by lot.",
        paper="Prismatic Synthesis beats random growth after imitation (Jung et al. 2025)",
        unit="share of replies", view=CHAIN, gates=(Gate("right on pools grown by lot", right, **_BOUNDS),),
        **_POINTS,
    )  # fmt: skip


def _of_reinforcement(items: pd.DataFrame, rewards: pd.DataFrame) -> list[Claim]:
    """What reinforcement does to a model: before and after it, problem by problem, over both grown pools."""
    loop = items[(items["route"] == LOOP) & items["step"].isin([OWN, REWARDED])]
    before = loop[loop["step"] == OWN]
    right, ever = float(before["once"].mean()), float(before["ever"].mean())
    teaches = Gate(
        "groups whose replies differ in reward", 1 - float(rewards["degenerate_groups"].mean()), low=0.2
    )
    both = loop.pivot_table(index=["seed", "pool", "item"], columns="step", values="paths", dropna=False)
    known = Gate(
        f"problems with {SOME} right paths before and after", float(both.notna().all(axis=1).mean()), low=0.2
    )
    reach = Gate("problems with a right reply before", ever, low=0.2, high=0.95)
    n = int(before["n"].max())
    return [
        _change(
            loop, "once", REWARDED, OWN, name="reinforcement-raises-pass-1",
            says="After reinforcement a reply to a problem of a new kind is right more often than before.",
            paper="GRPO raises pass@1 (Shao et al. 2024)", unit="share of replies", view=CHAIN,
            gates=(Gate("right before", right, **_BOUNDS), teaches), **_POINTS,
        ),
        _change(
            loop, "paths", OWN, REWARDED, name="reinforcement-narrows-paths",
            says=f"After reinforcement {SOME} right replies to a problem take fewer different paths.",
            paper="reinforcement narrows what a model writes (Yue et al. 2025)", unit="paths",
            view=CHAIN, gates=(known, teaches), delta=0.1,
            delta_reason="a tenth of a path is less than one problem in ten losing a way",
        ),
        _change(
            loop, "ever", OWN, REWARDED, name="reinforcement-adds-no-reach",
            says=f"Fewer problems have a right reply among {n} after reinforcement than before.",
            paper="with many samples base models solve more (Yue et al. 2025)",
            unit="share of problems", view=PASSES, gates=(reach, teaches), **_POINTS,
        ),
    ]  # fmt: skip


def _change(loop: pd.DataFrame, value: str, more: str, less: str, **about: Any) -> Claim:
    """mean(more − less) of a value between two steps; unknown where no problem has it at both."""
    steps = loop.dropna(subset=[value]).groupby(["seed", "pool", "item"])["step"].nunique()
    if (steps == 2).any():
        evidence = compare(loop, more, less, value=value, item=["pool", "item"], items="problems", arm="step")
    else:
        evidence = Evidence(Interval(np.nan, np.nan, np.nan, 0), "problems", loop["seed"].nunique())
    return evidence.claim(**about)


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: columns arm, step and millions (of passes of a token through the model)."""
    means = table.groupby(["arm", "step"], sort=False)["passes"].mean() / 1e6
    return means.rename("millions").reset_index()
