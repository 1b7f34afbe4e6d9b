"""What the papers say of 11_rlp's arms, each of both tasks: paired by seed and by what was asked."""

from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.statistics import Interval
from workbench.studies.common.evidence import Evidence, compare, over_seeds
from workbench.studies.rlp.data import CHAIN, COUNT, WHO
from workbench.studies.rlp.plan import (
    AFTER_RLP,
    AFTER_TEXT,
    ANYWHERE,
    BASE,
    COMPUTE,
    GRPO,
    LONGER,
    PURE,
    RLP,
    TOKENS,
)
from workbench.studies.rlp.results import (
    ASKED,
    ITEM,
    NARROWED,
    PASSES,
    PREDICTED,
    SOME,
    different,
    pass_at,
    right_of,
)

HEADLINE, WITHOUT_QUESTIONS = "rlp-helps-grpo", "rlp-beats-text-at-equal-compute"
_BOUNDS = {"low": 0.2, "high": 0.8}  # of right replies: there is something to gain, and to lose
_SAVED = 0.2  # nats of a count that reading must save, or text could not win; of a chain it may cost as many
_POINTS = {
    "delta": 0.05,
    "delta_reason": "less than five points would not be worth a second training",
}
_KINDS = {"delta": 0.2, "delta_reason": "a twentieth of the four answers"}
_UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)
_SAME_COMPUTE = [
    (HEADLINE, "RLP's gains last through later training", AFTER_RLP, LONGER,
     "GRPO after RLP ends with more right replies to {} than GRPO alone for as much compute in all."),
    ("rlp-prepares-better-than-text", "RLP's gains over continued pre-training last through later training",
     AFTER_RLP, AFTER_TEXT, "GRPO ends with more right replies to {} after RLP than after as much text."),
    ("text-helps-grpo", "More pre-training prepares for reinforcement", AFTER_TEXT, LONGER,
     "GRPO after text ends with more right replies to {} than GRPO alone for as much compute in all."),
    ("grpo-sharpens", "Reinforcement raises pass@1", GRPO, BASE,
     "After GRPO a reply to one of the {} is right more often."),
]  # fmt: skip
_NATS = [
    (WITHOUT_QUESTIONS, "RLP beats continued pre-training", RLP, COMPUTE,
     "After RLP the answers to {} cost fewer nats than after more text at equal compute."),
    ("rlp-beats-the-same-text", "RLP beats continued pre-training", RLP, TOKENS,
     "After RLP the answers to {} cost fewer nats than after reading the same text."),
    ("rlp-as-published-beats-text", "RLP beats continued pre-training", PURE, COMPUTE,
     "After RLP without our next-token loss the answers to {} cost fewer nats than after more text."),
    ("random-positions-do", "One random position of each document is enough", ANYWHERE, BASE,
     "After RLP at random positions the answers to {} cost fewer nats than before."),
]  # fmt: skip


def claims(tables: dict[str, pd.DataFrame]) -> list[Claim]:
    """What the papers say, of the arms and kinds of questions that there are."""
    predictions, replies = tables["predictions"], tables["replies"]
    made = _of_text(predictions, replies)
    return [*_of_replies(replies, predictions), *made] if len(replies) else made


def _names(name: str, kind: str) -> dict[str, Any]:
    """Name and rank of a claim about a kind of question: the first task's is the plain one."""
    return {"name": f"{name}-counts" if kind == COUNT else name, "view": PASSES}


def _of_text(predictions: pd.DataFrame, replies: pd.DataFrame) -> list[Claim]:
    """What the next token costs after RLP, each arm in the mode that suits it better."""
    gains, made = predictions.assign(gain=-better(predictions)), []
    for name, paper, treated, control, says in _NATS:
        for kind, part in gains.groupby("kind", sort=False):
            if not {treated, control} <= set(part["arm"]):
                continue
            evidence = compare(part, treated, control, value="gain", items="places in the text")
            later = len(replies) and (replies["arm"] == AFTER_RLP).any()  # then the headline is another
            about = {"view": PREDICTED, "headline": name == WITHOUT_QUESTIONS and not later}
            made.append(evidence.claim(
                **_names(name, kind) | about, says=says.format(ASKED.get(kind, "what a text asks")),
                paper=paper, unit="nats",
                gates=_text_gates(kind, (treated, control), predictions, replies)))  # fmt: skip
    return made


def _of_replies(replies: pd.DataFrame, predictions: pd.DataFrame) -> list[Claim]:
    """What reinforcement does to right replies, and to how many different ones there are."""
    made = []
    for name, paper, treated, control, says in _SAME_COMPUTE:
        for kind, part in replies[replies["kind"].isin(ASKED)].groupby("kind", sort=False):
            if not {treated, control} <= set(part["arm"]):
                continue
            text = _text_gates(kind, (treated, control), predictions, replies)
            gates = (*_room(part, control), *text)
            evidence = compare(part, treated, control, items=ASKED[kind])
            made.append(evidence.claim(
                **_names(name, kind), headline=name == HEADLINE and kind != COUNT, paper=paper,
                says=says.format(ASKED[kind]), unit="share of replies", gates=gates, **_POINTS))  # fmt: skip
    made += [
        _range(part, kind)
        for kind, part in right_of(replies).groupby("kind", sort=False)
        if kind in ASKED and GRPO in set(part["arm"])
    ]
    named = replies[replies["kind"] == WHO]
    if len(named):
        says = "After {} four right replies to who lives there hold fewer different ones than after text."
        made += [_narrowing(different(named), f"{arm.lower()}-narrows", arm, says.format(arm))
                 for arm in (GRPO, RLP)]  # fmt: skip
    return made


def _room(part: pd.DataFrame, control: str) -> list[Gate]:
    """Base and control must have right replies to lose, and to gain."""
    right = part.groupby("arm")["right"].mean()
    return [Gate(f"right replies of {arm}", float(right[arm]), **_BOUNDS) for arm in {BASE: 0, control: 0}]


def _text_gates(
    kind: str, compared: tuple[str, str], predictions: pd.DataFrame, replies: pd.DataFrame
) -> tuple[Gate, ...]:
    """What must hold of an embedded text arm, on either side: it still thinks, and has learnt."""
    if kind not in (CHAIN, COUNT) or not {TOKENS, COMPUTE, AFTER_TEXT}.intersection(compared):
        return ()
    thinks = replies[replies["kind"] == kind].groupby("arm")["thinks"].mean()
    nats = predictions[predictions["kind"] == kind].groupby("arm")["nats"].mean()
    kept = Gate(
        "thoughts left after text, of the base's", float(thinks[COMPUTE] / max(thinks[BASE], 1e-9)), low=0.5
    )
    if kind == CHAIN:
        of_kind = predictions[predictions["kind"] == kind]
        cost = better(of_kind).groupby(of_kind["arm"]).mean()
        added = float(cost[COMPUTE] - cost[BASE])
        return kept, Gate("nats of a chain that text adds to the base's", added, high=_SAVED)
    saved = float(nats[BASE] - nats[COMPUTE])
    return kept, Gate("nats of a count answered at once that text saves", saved, low=_SAVED)


def _range(counts: pd.DataFrame, kind: str) -> Claim:
    """Whether GRPO has lost what the base finds in many replies (Yue et al. 2025, arXiv 2504.13837)."""
    k = int(counts["n"].min())
    chance = [pass_at(n, right, k) for n, right in zip(counts["n"], counts["right"], strict=True)]
    part = counts.assign(chance=chance)
    of_base = float(part.loc[part["arm"] == BASE, "chance"].mean())
    says = f"The base finds more of the {ASKED[kind]} in {k} replies than GRPO."
    return compare(part, BASE, GRPO, value="chance", items=ASKED[kind]).claim(
        **_names("grpo-loses-range", kind), says=says, paper="The base overtakes at large k",
        unit=f"pass@{k}", **_POINTS,
        gates=(Gate(f"pass@{k} of the base", of_base, low=0.2, high=0.95),))  # fmt: skip


def _narrowing(names: pd.DataFrame, name: str, arm: str, says: str) -> Claim:
    """Whether an arm has fewer different right answers than text, where both are right often enough."""
    wide = names.pivot_table(index=ITEM, columns="arm", values="different", dropna=False)
    gain = (wide[COMPUTE] - wide[arm]).rename("effect").reset_index()
    known = float(gain["effect"].notna().mean())
    gates = (Gate(f"questions with {SOME} right replies from both", known, low=0.2),)
    evidence = (
        over_seeds(gain, items="questions")
        if known
        else Evidence(_UNKNOWN, "questions", names["seed"].nunique())
    )
    return evidence.claim(name=name, says=says, paper="Reinforcement narrows what a model answers",
                          unit=f"answers of {SOME}", view=NARROWED, gates=gates, **_KINDS)  # fmt: skip


def better(predictions: pd.DataFrame) -> pd.Series:
    """Nats in the way that suits an arm best at a kind of places: with thoughts or without.

    No arm is held to a mode it lacks. Which one suits it is read off one half of the places and used for the
    other, so that nothing is chosen on what it decides.
    """
    half = predictions["item"] // 2 % 2
    by = [predictions["arm"], predictions["kind"], half]
    means = predictions.groupby(by)[["nats", "nats_with"]].mean()
    other = zip(predictions["arm"], predictions["kind"], 1 - half, strict=True)
    chosen = (means["nats_with"] < means["nats"]).reindex(pd.MultiIndex.from_tuples(other), fill_value=False)
    return predictions["nats_with"].where(chosen.to_numpy(), predictions["nats"])
