"""What 11_rlp finds: predictions, pass@k, how many answers are left, thoughts, and claims."""

import numpy as np
import pandas as pd
from scipy.special import comb

from workbench.claims import Claim
from workbench.measures.equivalence import rarefaction
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.rlp.plan import ANYWHERE, BASE, BOTH, COMPUTE, GRPO, RLP, TOKENS

# Titles of the pictures that show what is claimed.
PREDICTED, PASSES, NARROWED = (
    "What a thought is worth",
    "Right in k replies",
    "How many right answers are left",
)
SOME = 4  # right answers among which different ones are counted
FOUR = f"answers of {SOME}"
ITEM = ["seed", "item"]
COMPARED = (BASE, COMPUTE, RLP, ANYWHERE, GRPO, BOTH)  # as many as curves can be told apart


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
    """pass@k by the main arms, of chains and of aims that nothing was rewarded for.

    Returns:
        Columns kind, arm, k (powers of two up to the draws), value, low, high (intervals over questions, each
        in every repetition), n.
    """
    compared = replies[replies["arm"].isin(COMPARED)].groupby(["kind", "arm", *ITEM], sort=False)
    counts = compared["right"].agg(n="size", right="sum").reset_index()
    counts["n"] = counts.groupby(["kind", "arm"])["n"].transform("min")
    counts["k"] = [[2**power for power in range(int(np.log2(n)) + 1)] for n in counts["n"]]
    counts = counts.explode("k")
    chances = map(pass_at, counts["n"], counts["right"], counts["k"])
    return summarise(counts.assign(chance=list(chances)), ["kind", "arm", "k"], "chance", "item")


def predicted(predictions: pd.DataFrame) -> pd.DataFrame:
    """Nats of the true next tokens by arm: columns arm, thought (without, with), value, low, high, n."""
    titles = {"nats": "without a thought", "nats_with": "after a thought"}
    return summarise_measures(predictions, ["arm"], titles, "item").rename(columns={"measure": "thought"})


def different(replies: pd.DataFrame) -> pd.DataFrame:
    """How many different right answers there are among four right replies to an aim.

    Returns:
        A row an arm, repetition and aim: arm, seed, item, right (share), different (the expectation over all
        choices of four right replies; NaN where there are fewer).
    """

    def measure(replies_to_aim: pd.DataFrame) -> pd.Series:
        counts = replies_to_aim.loc[replies_to_aim["right"], "answer"].value_counts().to_numpy()
        distinct = float(rarefaction(counts, SOME)) if counts.sum() >= SOME else np.nan
        return pd.Series({"right": replies_to_aim["right"].mean(), "different": distinct})

    aims = replies[replies["kind"] == "aim"]
    return aims.groupby(["arm", *ITEM], sort=False)[["right", "answer"]].apply(measure).reset_index()


def narrowed(table: pd.DataFrame) -> pd.DataFrame:
    """`different` by arm: columns arm, measure, value, low, high, n (aims)."""
    titles = {"different": "different among four right", "right": "right"}
    return summarise_measures(table, ["arm"], titles, "item")


def table(replies: pd.DataFrame, thought: pd.DataFrame) -> pd.DataFrame:
    """Chains by arm: share right when free to think or not, how many think, and right when made to think."""
    chains, thinking = replies[replies["kind"] == "chain"], thought.groupby("arm", sort=False)
    answers = chains.groupby(["arm", *ITEM], sort=False)["answer"].nunique()
    free = chains.groupby("arm", sort=False)
    return pd.DataFrame({
        "right": free["right"].mean(),
        "begin with a thought": free["thinks"].mean(),
        "right, made to think": thinking["right"].mean(),
        "right steps in a thought": thinking["useful"].mean(),
        "different answers": answers.groupby("arm", sort=False).mean(),
    }).reset_index()  # fmt: skip


def claims(tables: dict[str, pd.DataFrame]) -> list[Claim]:
    """What the papers say; intervals are over repetitions (one: over questions)."""
    predictions, replies = tables["predictions"], tables["replies"]
    nats = _by_arm(predictions.assign(nats=_better(predictions)), "nats")
    paper = "RLP beats continued pre-training"
    made = [
        _claim("rlp-beats-text-at-equal-compute", paper, nats[COMPUTE] - nats[RLP], PREDICTED,
               "After RLP the next token costs fewer nats than after more text at equal compute."),
        _claim("rlp-beats-the-same-text", paper, nats[TOKENS] - nats[RLP], PREDICTED,
               "After RLP the next token costs fewer nats than after reading the same text."),
        _claim("random-positions-do", "One random position of each document is enough",
               nats[BASE] - nats[ANYWHERE], PREDICTED,
               "After RLP at random positions the chosen next tokens cost fewer nats than before."),
    ]  # fmt: skip
    if not len(replies):
        return made
    chains, aims = replies[replies["kind"] == "chain"], different(replies)
    right, kinds = _by_arm(chains, "right"), _by_arm(aims, "different")
    narrow = "Reinforcement narrows what a model answers"
    return [
        *made,
        _claim("grpo-sharpens", "Reinforcement raises pass@1", right[GRPO] - right[BASE], PASSES,
               "After GRPO a reply to a chain is right more often.", "share of replies"),
        _claim("rlp-helps-grpo", "RLP's gains last through later training", right[BOTH] - right[GRPO], PASSES,
               "GRPO ends with more right replies when RLP came before it.", "share of replies"),
        _claim("grpo-narrows", narrow, kinds[COMPUTE] - kinds[GRPO], NARROWED,
               "After GRPO four right replies to an aim hold fewer different ones than after text.", FOUR),
        _claim("rlp-narrows", narrow, kinds[COMPUTE] - kinds[RLP], NARROWED,
               "So do they after RLP, which has seen no aim either.", FOUR),
    ]  # fmt: skip


def _better(predictions: pd.DataFrame) -> pd.Series:
    """Nats in the way that suits an arm best, with thoughts or without: no arm is held to a mode it lacks."""
    means = predictions.groupby("arm")[["nats", "nats_with"]].mean()
    thinks = (means["nats_with"] < means["nats"])[predictions["arm"]].to_numpy()
    return predictions["nats_with"].where(thinks, predictions["nats"])


def _by_arm(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows.astype({column: float}).pivot_table(index=ITEM, columns="arm", values=column)


def _claim(name: str, paper: str, gain: pd.Series, view: str, says: str, unit: str = "nats") -> Claim:
    gain = gain.dropna()
    repeated = gain.groupby("seed").mean()
    estimate = bootstrap_mean(repeated if len(repeated) > 1 else gain)
    return Claim.of(estimate, name=name, says=says, paper=paper, unit=unit, view=view)
