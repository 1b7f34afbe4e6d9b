"""What 11_rlp finds: predictions, pass@k, how many answers are left, thoughts, and what cannot be told."""

import numpy as np
import pandas as pd
from scipy.special import comb

from workbench.errors import UserError
from workbench.measures.equivalence import rarefaction
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.rlp.data import CHAIN, COUNT, PROBLEM, WHO
from workbench.studies.rlp.plan import AFTER_RLP, AFTER_TEXT, BASE, COMPUTE, GRPO, LONGER, RLP

# Titles of the pictures that show what is claimed.
PREDICTED, PASSES, NARROWED = (
    "What a thought is worth",
    "Right in k replies",
    "How many right answers are left",
)
SOME = 4  # right answers among which different ones are counted
ITEM = ["seed", "item"]
COMPARED = (BASE, COMPUTE, RLP, GRPO, LONGER, AFTER_TEXT, AFTER_RLP)  # as many as curves can be told apart
ASKED = {CHAIN: "chains", COUNT: "counts", PROBLEM: "problems"}  # kinds with one right answer
LEAST_RIGHT = 0.15  # of a seed's base, of chains: chance is a tenth


def learnt(tables: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables without the seeds whose base has not learnt chains, and what to say of them.

    Raises:
        UserError: no seed has.
    """
    replies = tables["replies"]
    of_base = replies[(replies["arm"] == BASE) & (replies["kind"] == CHAIN)] if len(replies) else replies
    if not len(of_base):
        return tables, []
    right = of_base.groupby("seed")["right"].mean()
    poor = right.index[right < LEAST_RIGHT]
    if len(poor) == len(right):
        raise UserError(
            f"No base replies rightly to {LEAST_RIGHT:.0%} of the chains, where chance is a tenth: "
            "take profile=laptop or other seeds."
        )
    if not len(poor):
        return tables, []
    said = (
        f"{len(poor)} of {len(right)} seeds are left out: their base replies rightly to less than "
        f"{LEAST_RIGHT:.0%} of the chains, where chance is a tenth."
    )
    return {name: table[~table["seed"].isin(poor)] for name, table in tables.items()}, [said]


def notes(history: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> list[str]:
    """What a reader has to know of trainings that could learn nothing, as sentences."""
    said = []
    for (arm, seed), rows in history.groupby(["arm", "seed"], sort=False):
        if (rows["degenerate_groups"] == 1).all():
            verified = str(arm).endswith(GRPO) or arm == LONGER
            all_of = {0.0: "wrong", 1.0: "right"}.get(rows["reward"].mean()) if verified else None
            why = f"every reply was {all_of}" if all_of else "the rewards of every group were equal"
            said.append(f"{arm}, seed {seed}, has learnt nothing: {why}, at every step.")
    replies = tables["replies"]
    if len(replies) and not replies.loc[(replies["arm"] == BASE) & (replies["kind"] != WHO), "thinks"].any():
        said.append(
            "The base never begins a reply with a thought: RLP teaches what a thought holds, not to think, "
            "so that its gains do not reach replies that are free to think or not."
        )
    return said


def pass_at(n: int, right: int, k: int) -> float:
    """Chance that one of k of n replies is right, without bias: 1 - C(n - right, k) / C(n, k).

    Chen et al. 2021 (arXiv 2107.03374), section 2.1.

    Raises:
        ValueError: k is not between 1 and n, or more are right than there are.
    """
    if not (1 <= k <= n and 0 <= right <= n):
        raise ValueError(f"pass@{k} needs at least {k} replies, of which at most all are right")
    return float(1 - comb(n - right, k, exact=True) / comb(n, k, exact=True))


def passes(replies: pd.DataFrame) -> pd.DataFrame:
    """pass@k by the main arms, of what nothing was rewarded for.

    Returns:
        Columns kind, arm, k (powers of two up to the draws), value, low, high (intervals over questions, each
        with every seed), n.
    """
    counts = right_of(replies[replies["arm"].isin(COMPARED)])
    counts["k"] = [[2**power for power in range(int(np.log2(n)) + 1)] for n in counts["n"]]
    counts = counts.explode("k")
    chances = map(pass_at, counts["n"], counts["right"], counts["k"])
    return summarise(counts.assign(chance=list(chances)), ["kind", "arm", "k"], "chance", "item")


def right_of(replies: pd.DataFrame) -> pd.DataFrame:
    """Replies to each question and how many are right: columns kind, arm, seed, item, n, right."""
    counts = (
        replies.groupby(["kind", "arm", *ITEM], sort=False)["right"].agg(n="size", right="sum").reset_index()
    )
    return counts.assign(n=counts.groupby(["kind", "arm"])["n"].transform("min"))


def predicted(predictions: pd.DataFrame) -> pd.DataFrame:
    """Nats of the true next tokens: columns kind, arm, thought (without, with), value, low, high, n."""
    titles = {"nats": "without a thought", "nats_with": "after a thought"}
    return summarise_measures(predictions, ["kind", "arm"], titles, "item").rename(
        columns={"measure": "thought"}
    )


def different(replies: pd.DataFrame) -> pd.DataFrame:
    """How many different right answers there are among four right replies to who.

    Returns:
        A row an arm, seed and question: arm, seed, item, right (share), different (the expectation over all
        choices of four right replies; NaN where there are fewer).
    """

    def measure(of_item: pd.DataFrame) -> pd.Series:
        counts = of_item.loc[of_item["right"], "answer"].value_counts().to_numpy()
        distinct = float(rarefaction(counts, SOME)) if counts.sum() >= SOME else np.nan
        return pd.Series({"right": of_item["right"].mean(), "different": distinct})

    names = replies[replies["kind"] == WHO]
    return names.groupby(["arm", *ITEM], sort=False)[["right", "answer"]].apply(measure).reset_index()


def narrowed(table: pd.DataFrame) -> pd.DataFrame:
    """`different` by arm: columns arm, measure, value, low, high, n (questions)."""
    titles = {"different": "different among four right", "right": "right"}
    return summarise_measures(table, ["arm"], titles, "item")


def table(replies: pd.DataFrame, thought: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Replies by kind of question and arm, and what the arm's learning cost.

    Args:
        replies: free to think or not.
        thought: made to think.
        costs: see `experiment.costs`; without rows the column of passes is left out.

    Returns:
        Columns kind, arm, right, begin with a thought, right steps in a thought, different answers, right,
        made to think (where that was asked), thousands of passes.
    """
    by = ["kind", "arm"]
    free = replies[replies["kind"].isin(ASKED)].groupby(by, sort=False)
    answers = replies.groupby([*by, *ITEM], sort=False)["answer"].nunique().groupby(by, sort=False).mean()
    frame = pd.DataFrame({
        "right": free["right"].mean(),
        "begin with a thought": free["thinks"].mean(),
        "right steps in a thought": free["useful"].mean(),
        "different answers": answers,
    }).dropna(subset="right")  # fmt: skip
    if len(thought):
        frame["right, made to think"] = thought.groupby(by, sort=False)["right"].mean()
    frame = frame.reset_index()
    if costs.empty:
        return frame
    thousands = costs.groupby("arm")["passes"].mean() / 1_000
    return frame.assign(**{"thousands of passes": frame["arm"].map(thousands).fillna(0).round()})
