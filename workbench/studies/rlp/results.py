"""What 11_rlp finds: predictions, pass@k, how many answers are left, thoughts, and claims."""

import numpy as np
import pandas as pd
from scipy.special import comb

from workbench.claims import Claim, Gate
from workbench.measures.equivalence import rarefaction
from workbench.measures.statistics import Interval
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.common.evidence import Evidence, compare, over_seeds
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
_UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)
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
        with every seed), n.
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
        A row an arm, seed and aim: arm, seed, item, right (share), different (the expectation over all
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
    """What the papers say, of the arms that there are; paired by seed and by what was asked."""
    predictions, replies = tables["predictions"], tables["replies"]
    gains = predictions.assign(gain=-_better(predictions))
    made = _of_text(gains, embedded=len(replies) > 0)
    return [*made, *_of_replies(replies)] if len(replies) else made


_CHANCE = float(np.log(10))  # nats of a digit, when all are as likely
_BOUNDS = {"low": 0.2, "high": 0.8}  # of a control's right replies: there is something to gain, and to lose
_POINTS = {
    "delta": 0.05,
    "delta_reason": "less than five points would not be worth a second training",
}
_KINDS = {"delta": 0.2, "delta_reason": "a twentieth of the four answers"}


def _of_text(gains: pd.DataFrame, embedded: bool) -> list[Claim]:
    """What the next token costs after RLP; where chance is known, text must have taught something."""
    paper, made = "RLP beats continued pre-training", []
    compared = [
        ("rlp-beats-text-at-equal-compute", paper, RLP, COMPUTE,
         "After RLP the next token costs fewer nats than after more text at equal compute."),
        ("rlp-beats-the-same-text", paper, RLP, TOKENS,
         "After RLP the next token costs fewer nats than after reading the same text."),
        ("random-positions-do", "One random position of each document is enough", ANYWHERE, BASE,
         "After RLP at random positions the chosen next tokens cost fewer nats than before."),
    ]  # fmt: skip
    for name, paper, treated, control, says in compared:
        if (gains["arm"] == treated).any():
            nats = -float(gains.loc[gains["arm"] == control, "gain"].mean())
            learnt = Gate(f"nats after {control} (chance: {_CHANCE:.2f})", nats, high=0.9 * _CHANCE)
            evidence = compare(gains, treated, control, value="gain", items="places in the text")
            made.append(evidence.claim(
                name=name, says=says, paper=paper, unit="nats", view=PREDICTED,
                gates=(learnt,) if embedded and control != BASE else (),
                headline=name == "rlp-beats-text-at-equal-compute",
            ))  # fmt: skip
    return made


def _of_replies(replies: pd.DataFrame) -> list[Claim]:
    """What reinforcement does to right replies, and to how many different ones there are."""
    chains, aims = replies[replies["kind"] == "chain"], different(replies)
    right = chains.groupby("arm")["right"].mean()
    made = [
        compare(chains, treated, control, items="chains").claim(
            name=name, says=says, paper=paper, unit="share of replies", view=PASSES,
            gates=(Gate(f"right replies of {control}", float(right[control]), **_BOUNDS),), **_POINTS)
        for name, paper, treated, control, says in [
            ("grpo-sharpens", "Reinforcement raises pass@1", GRPO, BASE,
             "After GRPO a reply to a chain is right more often."),
            ("rlp-helps-grpo", "RLP's gains last through later training", BOTH, GRPO,
             "GRPO ends with more right replies when RLP came before it."),
        ]
    ]  # fmt: skip
    return made + [
        _narrowing(aims, name, arm, says)
        for name, arm, says in [
            ("grpo-narrows", GRPO,
             "After GRPO four right replies to an aim hold fewer different ones than after text."),
            ("rlp-narrows", RLP, "So do they after RLP, which has seen no aim either."),
        ]
    ]  # fmt: skip


def _narrowing(aims: pd.DataFrame, name: str, arm: str, says: str) -> Claim:
    """Whether an arm has fewer different right answers than text, to aims that both answer often enough."""
    wide = aims.pivot_table(index=ITEM, columns="arm", values="different", dropna=False)
    gain = (wide[COMPUTE] - wide[arm]).rename("effect").reset_index()
    known = float(gain["effect"].notna().mean())
    gates = (Gate(f"aims with {SOME} right replies from both", known, low=0.2),)
    evidence = over_seeds(gain, items="aims") if known else Evidence(_UNKNOWN, "aims", aims["seed"].nunique())
    return evidence.claim(name=name, says=says, paper="Reinforcement narrows what a model answers", unit=FOUR,
                          view=NARROWED, gates=gates, **_KINDS)  # fmt: skip


def _better(predictions: pd.DataFrame) -> pd.Series:
    """Nats in the way that suits an arm best, with thoughts or without: no arm is held to a mode it lacks."""
    means = predictions.groupby("arm")[["nats", "nats_with"]].mean()
    thinks = (means["nats_with"] < means["nats"])[predictions["arm"]].to_numpy()
    return predictions["nats_with"].where(thinks, predictions["nats"])
