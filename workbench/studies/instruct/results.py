"""From stories to claims: how much of an instruction arrives, by kind, depth and combination."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.errors import UserError
from workbench.measures.summaries import summarise
from workbench.studies.common.evidence import Evidence, compare, over_seeds
from workbench.studies.instruct.data import COMBINATIONS

UNTRAINED = 3.0  # nats a token: half of what guessing among 550 tokens costs; above, nothing was learnt
LEAST = 0.05  # smallest effect of interest
_REASON = "less is one word more in some seven stories, which no reader would notice"
_KEPT = 0.8  # of what seen combinations get, that unseen ones have to keep
_LAYERS, _COMBINED = "How many layers until an instruction arrives?", "Seen and unseen combinations"
_PAPER = "one layer struggles with instructions, two go some way (section 4, no figure)"


# ------------------------------------------------------------------------------- tables
def trained(answers: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """The answers of the seeds of which every arm has learnt, and the seeds left out for one that has not.

    The rule was fixed beforehand: a loss above `UNTRAINED` on the test's own stories. A given model, which
    was not trained here, is never left out.

    Raises:
        UserError: no seed is left.
    """
    failed = answers[(answers["layers"] > 0) & ~(answers["loss"] <= UNTRAINED)]
    left_out = sorted(set(failed["seed"]))
    if len(left_out) == answers["seed"].nunique():
        raise UserError("No seed's models have all learnt to write: raise n_tokens.")
    return answers[~answers["seed"].isin(left_out)], left_out


def scored(answers: pd.DataFrame) -> pd.DataFrame:
    """With the column excess: the share met beyond what stories for other instructions do of it."""
    return answers.assign(excess=answers["met"] - answers["chance"])


def by_arm(answers: pd.DataFrame) -> pd.DataFrame:
    """Met and chance: columns arm, kind, measure ("met", "by chance"), value, low, high, n."""
    titles = {"met": "met", "chance": "by chance"}
    parts = [
        summary(answers, ["arm", "kind"], column).assign(measure=title) for column, title in titles.items()
    ]
    return pd.concat(parts, ignore_index=True)


def by_layers(answers: pd.DataFrame) -> pd.DataFrame:
    """Excess of the arms with their own instructions: columns layers, kind, value, low, high, n."""
    return summary(instructed(scored(answers)), ["layers", "kind"], "excess")


def by_combination(answers: pd.DataFrame) -> pd.DataFrame:
    """Excess on words and features: columns arm, kind, combination, value, low, high, n."""
    rows = instructed(scored(answers))
    return summary(rows[rows["kind"].isin(["words", "features"])], ["arm", "kind", "combination"], "excess")


def by_loss(answers: pd.DataFrame) -> pd.DataFrame:
    """A row a training with its own instructions: columns arm, seed, loss, excess, grammar."""
    rows = instructed(scored(answers)).groupby(["arm", "seed"], sort=False)
    return rows[["loss", "excess", "grammar"]].mean().reset_index()


def summary(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Means with intervals over seeds, or over stories where there is one seed: `by`, value, low, high, n."""
    if rows["seed"].nunique() > 1:
        rows = rows.groupby([*by, "seed"], sort=False)[column].mean().reset_index()
    return summarise(rows, by, column)


def instructed(answers: pd.DataFrame) -> pd.DataFrame:
    """The rows of all arms but the control."""
    return answers[~answers["is_shuffled"]]


# ------------------------------------------------------------------------------- claims
def claims(answers: pd.DataFrame, *, placebo: bool = False) -> list[Claim]:
    """What the stories say.

    Args:
        answers: of `experiment.train_all`.
        placebo: leaves out what compares no arms.
    """
    rows = scored(answers)
    if rows["layers"].max() == 0:
        return [_of_given(rows)]
    depths = sorted(instructed(rows)["layers"].unique())
    names = [_name(rows, layers) for layers in depths]
    made = _of_depth(rows, names) if len(names) > 1 else []
    made.append(_of_control(rows, names[0], is_headline=len(names) == 1))
    if placebo:
        return made
    return [*made, *_of_kinds(rows), *_of_combinations(instructed(rows))]


def _name(rows: pd.DataFrame, layers: int) -> str:
    return instructed(rows).query("layers == @layers")["arm"].iloc[0]


def _of_depth(rows: pd.DataFrame, names: list[str]) -> list[Claim]:
    """Every depth against the shallowest; the deepest is the headline."""
    shallow, made = names[0], []
    for deep in reversed(names[1:]):
        evidence = _compared(rows, deep, shallow)
        made.append(_claim(
            evidence, f"{deep.replace(' ', '-')}-follow-more",
            f"{deep.capitalize()} follow more of an instruction than {shallow}, at equal size and tokens.",
            _gates(rows, [shallow, deep]), headline=deep == names[-1],
        ))  # fmt: skip
    return made


def _of_control(rows: pd.DataFrame, shallow: str, *, is_headline: bool) -> Claim:
    """The shallowest against its like that learnt that instructions say nothing."""
    control = rows.loc[rows["is_shuffled"], "arm"].iloc[0]
    return _claim(
        _compared(rows, shallow, control), "instructions-are-read",
        f"A model of {shallow} follows more than if each story was learnt behind another one's instruction.",
        _gates(rows, [shallow, control]), headline=is_headline,
    )  # fmt: skip


def _of_kinds(rows: pd.DataFrame) -> list[Claim]:
    """Which kind arrives first: means over all depths, story by story."""
    own = instructed(rows)
    table = own.pivot_table(index=["seed", "item"], columns="kind", values="excess")
    made = []
    for first, later in (("words", "sentence"), ("sentence", "summary")):
        if {first, later} <= set(table):
            effects = (table[first] - table[later]).rename("effect").reset_index()
            made.append(_claim(
                over_seeds(effects, items="stories"), f"{first}-before-{later}",
                f"More is met of {_ASKED[first]} than of {_ASKED[later]}, over all depths.",
                _gates(rows, list(own["arm"].unique())), paper=BEYOND,
            ))  # fmt: skip
    return made


_ASKED = {"words": "required words", "sentence": "a required sentence", "summary": "a summary"}


def _of_combinations(rows: pd.DataFrame) -> list[Claim]:
    """Whether models keep `_KEPT` of what they do for combinations that they have seen, over all depths."""
    asked = rows[rows["kind"].isin(["words", "features"])]
    if set(asked["combination"]) != set(COMBINATIONS):
        return []
    counts = asked.groupby("seed")["item"].transform("size")
    of_half = asked.groupby(["seed", "combination"])["item"].transform("size")
    sign = asked["combination"].map({"unseen": 1.0, "seen": -_KEPT})
    effects = asked[["seed", "arm", "item", "kind"]].assign(effect=sign * asked["excess"] * counts / of_half)
    return [_claim(
        over_seeds(effects, items="instructions"), "unseen-combinations-are-followed",
        f"Words and features never asked together keep {_KEPT:.0%} or more of what seen ones get.",
        _gates(asked, list(asked["arm"].unique())), view=_COMBINED,
        paper="unseen combinations are followed (no figure)",
    )]  # fmt: skip


def _of_given(rows: pd.DataFrame) -> Claim:
    effects = rows.groupby(["seed", "item"])["excess"].mean().to_frame("effect").reset_index()
    return Claim.of(
        over_seeds(effects).estimate, over="stories", name="follows-instructions", paper=_PAPER,
        says="The given model does more of its instructions than stories for other instructions do.",
        unit="share met", view=_LAYERS, delta=LEAST, delta_reason=_REASON, headline=True,
    )  # fmt: skip


def _compared(rows: pd.DataFrame, treated: str, control: str) -> Evidence:
    return compare(rows, treated, control, value="excess", item=["item", "kind"], items="instructions")


def _claim(
    evidence: Evidence,
    name: str,
    says: str,
    gates: tuple[Gate, ...],
    *,
    headline: bool = False,
    view: str = _LAYERS,
    paper: str = _PAPER,
) -> Claim:
    return evidence.claim(
        name=name, says=says, paper=paper, unit="share met beyond chance", view=view, gates=gates,
        headline=headline, delta=LEAST, delta_reason=_REASON,
    )  # fmt: skip


def _gates(rows: pd.DataFrame, names: list[str]) -> tuple[Gate, ...]:
    """What must hold of these arms: they write stories, chance is low, some instruction arrives, not all."""
    means = rows[rows["arm"].isin(names)].groupby("arm")[["grammar", "met", "chance", "excess"]].mean()
    gates = [
        Gate("met by chance", float(means["chance"].max()), high=0.5),
        Gate("met by the best", float(means["met"].max()), high=0.98),
        Gate("met beyond chance by the best", float(means["excess"].max()), low=0.1),
    ]
    if np.isfinite(means["grammar"]).all() and _is_exact(rows):
        gates.insert(
            0, Gate("sentences that are grammatical, in the worst", float(means["grammar"].min()), low=0.9)
        )
    return tuple(gates)


def _is_exact(rows: pd.DataFrame) -> bool:
    """Whether the exact grader was asked: summaries and features are graded only then."""
    return bool(rows["kind"].isin(["features", "summary"]).any())
