"""From the tables of 10_hivemind to intervals and claims: over trainings where there are enough of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.common.evidence import over_seeds
from workbench.studies.hivemind import thresholds
from workbench.studies.hivemind.data import Plan, asked, graded
from workbench.studies.hivemind.excess import APART, ITSELF
from workbench.studies.hivemind.models import MEMBERS
from workbench.studies.hivemind.verbalized import PLAIN, SUFFIX, at, own_name

_ALIKE, _REPETITION = "Which models answer alike", "How much each model repeats itself"
_BEYOND = "Agreement beyond the libraries"
SAME, _SCALE = "chance of one meaning", "of the way from the random floor to paraphrases"
_VARIED = "1.6-2.1 times the diversity in creative writing (Zhang et al. 2025)"
_BETWEEN = "Inter-model similarity is 71-82 %; answers to other prompts lie at 10-20 %"
ITEM = ["seed", "prompt_id"]
COLD = 0.3  # the lowest temperature at which a given model is asked
LEAST_VALID = 0.7  # share of valid answers below which differences are those of nonsense
LEAST_LEARNT = 0.5  # share of valid answers of each model from nothing, without which a seed is left out
SMALL = {
    "delta": 0.02,
    "delta_reason": "one more coincidence in fifty pairs of answers, a sixth of what the libraries predict",
}


def learnt(generations: pd.DataFrame, plan: Plan) -> tuple[pd.DataFrame, list[int], str]:
    """Answers of the seeds that trained, the seeds that are left out, and what to say of them.

    The rule was fixed beforehand: a seed is left out where a model from nothing gives fewer valid answers
    than `LEAST_LEARNT`. Where that leaves none, all are kept, which is said.
    """
    if not plan.embedded:
        return generations, [], ""
    apart = [member.name for member in MEMBERS if not member.parent]
    known = {request.id: request for request in asked(plan)}
    valid = graded(generations[generations["model"].isin(apart)], known).groupby(["seed", "model"])["valid"]
    least = valid.mean().groupby("seed").min()
    out = [int(seed) for seed in least.index[least < LEAST_LEARNT]]
    if len(out) == len(least):
        said = (
            f"In no seed have all models learnt (one gives less than {LEAST_LEARNT:.0%} valid answers): "
            "all are kept, and nothing below is about models that have."
        )
        return generations, [], said
    said = f"seeds left out because a model has not learnt: {' '.join(map(str, out)) or 'none'}"
    return generations[~generations["seed"].isin(out)], out, said


def repetitions(cells: pd.DataFrame) -> pd.DataFrame:
    """Rescaled repetition of each model: columns model, value, low, high, n (prompts), valid (share)."""
    valid = cells.groupby("model")["valid"].mean()
    return summarise(cells, ["model"], "rescaled", "prompt_id").join(valid, on="model")


def above(alike: pd.DataFrame) -> pd.DataFrame:
    """Shares above the paper's threshold: columns who, measure, value, low, high, n (prompts).

    Args:
        alike: of `thresholds.above`.
    """
    titles = {"pairs": "pairs of answers", "prompts": "prompts, by their mean"}
    alone = alike["kind"] == thresholds.ONE
    by_kind = alike.assign(who=alike["kind"].where(~alone, "one model (all of them)"))
    single = alike[alone].assign(who=alike["first"])
    return summarise_measures(pd.concat([by_kind, single]), ["who"], titles, "prompt_id")


# ------------------------------------------------------------------------------- claims
def claims(cells: pd.DataFrame, pairs: pd.DataFrame, agreed: pd.DataFrame | None = None) -> list[Claim]:
    """What models share with each other, and what fine-tuning does to it.

    Args:
        cells: of `method.intra_model_repetition`, with a column seed.
        pairs: of `method.inter_model_homogeneity`, with a column seed.
        agreed: of `excess.agreements`; None for foreign models, whose libraries nobody knows.
    """
    if pairs["prompt_id"].nunique() < 2:  # nothing to draw for an interval, and no answers to other prompts
        return []
    if agreed is None:
        return _foreign_claims(cells, pairs)
    return _shared_claims(cells, pairs, agreed) + tuning_claims(cells, pairs)


def _foreign_claims(cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """What can be said of given answers: over prompts, since nothing was trained here."""
    drawn = pairs[["first", "second"]].apply(lambda names: names.map(own_name) != names).any(axis=1)
    apart = pairs[(pairs["first"] != pairs["second"]) & ~drawn]
    table = cells.pivot(index="prompt_id", columns="model", values="rescaled")

    def less(*suffixes: str) -> pd.Series:
        names = [name for name in table if name.endswith(suffixes) and own_name(name) in table]
        return pd.DataFrame({name: table[own_name(name)] - table[name] for name in names}).mean(axis=1)

    compared = [
        ("models-agree-more-than-chance", "Answers of different models are more alike than answers to "
         "different prompts.", _BETWEEN, _ALIKE, apart.groupby("prompt_id")["rescaled"].mean()),
        ("verbalized-repeats-less", "Answers drawn from lists with probabilities repeat each other less than "
         "answers to the prompt itself.", _VARIED, _REPETITION, less(SUFFIX)),
        ("lists-repeat-less", "Answers drawn from plain lists repeat each other less than answers to the "
         "prompt itself.", _VARIED, _REPETITION, less(PLAIN)),
        ("cold-repeats-more", f"Answers at temperature {COLD:g} repeat each other more than answers at the "
         "temperature asked for.", "temperature raises diversity little (no figure given)", _REPETITION,
         -less(at(COLD))),
    ]  # fmt: skip
    about = {"over": "prompts", "unit": _SCALE}
    made = [claim for claim in compared if claim[-1].notna().any()]
    # of one model, what is said of two is not there, and its lists lead
    leads = next((name for name, *_ in made if name != "cold-repeats-more"), "")
    return [
        Claim.of(
            bootstrap_mean(gain),
            name=name,
            says=says,
            paper=paper,
            view=view,
            headline=name == leads,
            **about,
        )
        for name, says, paper, view, gain in made
    ]


def _shared_claims(cells: pd.DataFrame, pairs: pd.DataFrame, agreed: pd.DataFrame) -> list[Claim]:
    """That models trained apart, which descend neither from each other nor from one teacher, agree."""
    tuned = [member.name for member in MEMBERS if member.parent]
    apart = (pairs["first"] != pairs["second"]) & ~pairs[["first", "second"]].isin(tuned).any(axis=1)
    nothing = [member.name for member in MEMBERS if not member.parent]
    valid = float(cells.loc[cells["model"].isin(nothing), "valid"].mean())
    gates = (Gate("share of valid answers", valid, low=LEAST_VALID),)
    excess = {kind: part.groupby(ITEM)["excess"].mean() for kind, part in agreed.groupby("kind")}
    empty = pd.Series(dtype=float)
    made = claims_of(_ALIKE, _SCALE, [
        ("models-agree-more-than-chance", "Answers of models trained apart are more alike than answers to "
         "different prompts.", _BETWEEN, pairs[apart].groupby(ITEM)["rescaled"].mean()),
    ], gates=gates)  # fmt: skip
    made += claims_of(_BEYOND, SAME, [
        ("agreement-beyond-libraries", "Answers of models trained apart mean the same more often than the "
         "overlap of what they have read predicts.", "implied: models converge where their sources differ",
         excess.get(APART, empty)),
        ("repetition-beyond-library", "Answers of one model mean the same more often than answers from its "
         "library.", "79 % of prompts have answers of one model above 0.8", excess.get(ITSELF, empty)),
    ], gates=gates, **SMALL)  # fmt: skip
    leads = "agreement-beyond-libraries"
    return [replace(claim, headline=claim.name == leads) for claim in made]


def tuning_claims(cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """What fine-tuning does to the chance that answers of a model, or of two students, mean the same."""
    of_model = dict(cells.pivot(index=ITEM, columns="model", values="same").items())
    of_pair = {frozenset(models): part.set_index(ITEM)["same"]
               for models, part in pairs.groupby(["first", "second"])}  # fmt: skip
    students, tuned = (
        [member for member in MEMBERS if member.reads == reads] for reads in ("teacher", "best")
    )
    taught = _rise(of_model, [(member.name, member.parent) for member in students])
    narrowed = _rise(of_model, [(member.name, member.parent) for member in tuned])
    united = _rise(of_pair, [(frozenset((a.name, b.name)), frozenset((a.parent, b.parent)))
                             for a, b in combinations(students, 2)])  # fmt: skip
    return claims_of(_REPETITION, SAME, [
        ("teacher-lowers-diversity", "Fine-tuning on samples of one teacher makes a model's own answers mean "
         "the same more often.", "aligned models repeat themselves more", taught),
        ("best-answers-lower-diversity", "Fine-tuning on single best answers makes a model's own answers "
         "mean the same more often.", "implied: rewards for one preferred answer", narrowed),
    ]) + claims_of(_ALIKE, SAME, [
        ("teacher-unites-students", "Fine-tuning on samples of one teacher makes answers of two models mean "
         "the same more often.", "implied: models trained on each other's samples converge", united),
    ])  # fmt: skip


def _rise(same: Mapping[Any, pd.Series], changes: Iterable[tuple[Hashable, Hashable]]) -> pd.Series:
    """By seed and prompt, how much a value rises with changes (after, before); empty where none was made."""
    rises = [same[after] - same[before] for after, before in changes if after in same]
    return pd.concat(rises, axis=1).mean(axis=1) if rises else pd.Series(dtype=float)


def claims_of(
    view: str,
    unit: str,
    compared: Sequence[tuple[str, str, str, pd.Series]],
    items: str = "prompts",
    **about: Any,
) -> list[Claim]:
    """A claim for each name, sentence, figure of the paper and gain by seed and prompt.

    None where no prompt says anything: one model, one answer each, or the same answer everywhere.
    """
    return [
        over_seeds(gain.rename("effect").reset_index(), items=items).claim(
            name=name, says=says, paper=paper, unit=unit, view=view, **about
        )
        for name, says, paper, gain in compared
        if gain.notna().any()
    ]
