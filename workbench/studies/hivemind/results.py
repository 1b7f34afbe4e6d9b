"""From the tables of 10_hivemind to intervals and claims: over trainings where there are enough of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.common.evidence import compare, over_seeds
from workbench.studies.hivemind import collapse
from workbench.studies.hivemind.data import PEOPLE
from workbench.studies.hivemind.decoding import HOT, USUAL
from workbench.studies.hivemind.method import AnswerSet
from workbench.studies.hivemind.models import MEMBERS

_ALIKE, _REPETITION = "Which models answer alike", "How much each model repeats itself"
_COLLAPSE = "Models that read what models wrote"
_SAME, _SCALE = "chance of one meaning", "of the way from the random floor to paraphrases"
_BETWEEN = "Inter-model similarity is 71-82 %; answers to other prompts lie at 10-20 %"
_SETTING = ["temperature", "cut"]
_ITEM = ["seed", "prompt_id"]
_LEAST_VALID = 0.7  # share of valid answers below which differences are those of nonsense


def repetitions(cells: pd.DataFrame) -> pd.DataFrame:
    """Rescaled repetition of each model: columns model, value, low, high, n (prompts), valid (share)."""
    valid = cells.groupby("model")["valid"].mean()
    return summarise(cells, ["model"], "rescaled", "prompt_id").join(valid, on="model")


def frontier(swept: pd.DataFrame) -> pd.DataFrame:
    """Diversity against validity by setting: columns temperature, cut, value (1 − between), low, high, n
    (prompts), valid.
    """
    differ = summarise(swept.assign(value=1 - swept["between"]), _SETTING, "value", "prompt_id")
    return differ.merge(swept.groupby(_SETTING, as_index=False)["valid"].mean())


def curves(chains: pd.DataFrame) -> pd.DataFrame:
    """Means over requests and seeds: columns regime, generation, measure, value, low, high, n."""
    titles = {
        "loss": "loss on real answers (nats/token)",
        "meanings": f"different meanings in {collapse.MEASURED} answers",
        "differ": "chance that two valid answers differ",
        "tail": "rare meanings still said",
        "valid": "valid answers",
    }
    differing = chains.assign(differ=1 - chains["same"])
    return summarise_measures(differing, ["regime", "generation"], titles, "prompt_id")


# ------------------------------------------------------------------------------- claims
def claims(answers: AnswerSet, cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """What models share with each other, and what fine-tuning does to it.

    Args:
        answers: of one seed; of foreign models, all.
        cells: of `method.intra_model_repetition`, with a column seed.
        pairs: of `method.inter_model_homogeneity`, with a column seed.
    """
    if pairs["prompt_id"].nunique() < 2:  # nothing to draw for an interval, and no answers to other prompts
        return []
    if not answers.n_meanings:
        return _foreign_claims(pairs)
    return _shared_claims(answers, cells, pairs) + tuning_claims(cells, pairs)


def _foreign_claims(pairs: pd.DataFrame) -> list[Claim]:
    """What can be said of given answers: over prompts, since nothing was trained here."""
    between = pairs[pairs["first"] != pairs["second"]].groupby("prompt_id")["rescaled"].mean()
    if not between.notna().any():
        return []
    about = {"name": "models-agree-more-than-chance", "paper": _BETWEEN, "over": "prompts", "view": _ALIKE}
    says = "Answers of different models are more alike than answers to different prompts."
    return [Claim.of(bootstrap_mean(between), says=says, unit=_SCALE, **about)]


def _shared_claims(answers: AnswerSet, cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """That models trained apart, which descend neither from each other nor from one teacher, agree."""
    tuned = [member.name for member in MEMBERS if member.parent]
    apart = (pairs["first"] != pairs["second"]) & ~pairs[["first", "second"]].isin(tuned).any(axis=1)
    between = pairs[apart].groupby(_ITEM)[["rescaled", "same"]].mean()
    chance = 1 / between.index.get_level_values("prompt_id").map(answers.n_meanings).to_numpy()
    people = cells[cells["model"] == PEOPLE].set_index(_ITEM)["same"].reindex(between.index)
    trained = ~cells["model"].isin([PEOPLE, *tuned])
    gates = (Gate("share of valid answers", float(cells.loc[trained, "valid"].mean()), low=_LEAST_VALID),)
    made = _claims(_ALIKE, _SCALE, [
        ("models-agree-more-than-chance", "Answers of models trained apart are more alike than answers to "
         "different prompts.", _BETWEEN, between["rescaled"]),
    ], gates)  # fmt: skip
    made += _claims(_ALIKE, _SAME, [
        ("models-agree-more-than-valid-answers", "Answers of models trained apart mean the same more often "
         "than random valid answers.", _BETWEEN, between["same"] - chance),
        ("models-agree-more-than-people", "Answers of models trained apart mean the same more often than "
         "people's answers.", "implied: models converge where people differ", between["same"] - people),
    ], gates)  # fmt: skip
    leads = "models-agree-more-than-people"
    return [replace(claim, headline=claim.name == leads) for claim in made]


def tuning_claims(cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """What fine-tuning does to the chance that answers of a model, or of two students, mean the same."""
    of_model = dict(cells.pivot(index=_ITEM, columns="model", values="same").items())
    of_pair = {frozenset(models): part.set_index(_ITEM)["same"]
               for models, part in pairs.groupby(["first", "second"])}  # fmt: skip
    students, tuned = (
        [member for member in MEMBERS if member.reads == reads] for reads in ("teacher", "best")
    )
    taught = _rise(of_model, [(member.name, member.parent) for member in students])
    narrowed = _rise(of_model, [(member.name, member.parent) for member in tuned])
    united = _rise(of_pair, [(frozenset((a.name, b.name)), frozenset((a.parent, b.parent)))
                             for a, b in combinations(students, 2)])  # fmt: skip
    return _claims(_REPETITION, _SAME, [
        ("teacher-lowers-diversity", "Fine-tuning on samples of one teacher makes a model's own answers mean "
         "the same more often.", "aligned models repeat themselves more", taught),
        ("best-answers-lower-diversity", "Fine-tuning on single best answers makes a model's own answers "
         "mean the same more often.", "implied: rewards for one preferred answer", narrowed),
    ]) + _claims(_ALIKE, _SAME, [
        ("teacher-unites-students", "Fine-tuning on samples of one teacher makes answers of two models mean "
         "the same more often.", "implied: models trained on each other's samples converge", united),
    ])  # fmt: skip


def _rise(same: Mapping[Hashable, pd.Series], changes: Iterable[tuple[Hashable, Hashable]]) -> pd.Series:
    """By seed and prompt, how much a value rises with changes (after, before); empty where none was made."""
    rises = [same[after] - same[before] for after, before in changes if after in same]
    return pd.concat(rises, axis=1).mean(axis=1) if rises else pd.Series(dtype=float)


def decoding_claims(swept: pd.DataFrame, people: pd.Series) -> list[Claim]:
    """Whether decoding removes agreement between models.

    The best setting is chosen on one half of the prompts and measured on the other, and the other way round,
    by each seed for itself.

    Args:
        swept: of `decoding.sweep`.
        people: of `decoding.people_agreement`.
    """
    best, hot = {}, {}
    for seed, part in swept.groupby("seed"):
        table = part.pivot(index="prompt_id", columns=_SETTING, values=["between", "valid"])
        own = people.reindex(table.index)
        best[seed] = _least_agreement(table["between"], table["valid"]) - own
        hot[seed] = table["between"][HOT] - own
    paper = "min-p at temperature 2 lowers repetition but 61 % of prompts stay above 0.8"
    return _claims("What decoding buys", _SAME, [
        ("decoding-leaves-agreement", "With the most diverse setting whose answers are as often valid as "
         "with top-p 0.9 at temperature 1, models still agree more than people.", paper,
         pd.concat(best, names=_ITEM)),
        ("min-p-leaves-agreement", "With min-p 0.1 at temperature 2, valid answers of two models mean the "
         "same more often than people's.", paper, pd.concat(hot, names=_ITEM)),
    ])  # fmt: skip


def _least_agreement(between: pd.DataFrame, valid: pd.DataFrame) -> pd.Series:
    """By prompt, agreement in the best setting, which the other half of the prompts has chosen."""
    halves = between.index[::2], between.index[1::2]
    return pd.concat([between.loc[test, _best(between.loc[chosen], valid.loc[chosen])]
                      for chosen, test in (halves, halves[::-1])])  # fmt: skip


def _best(between: pd.DataFrame, valid: pd.DataFrame) -> tuple[float, str]:
    """The setting of least agreement among those that are as often valid as the usual one."""
    means = valid.mean()
    return between.mean()[means >= means[USUAL]].idxmin()


def collapse_claims(chains: pd.DataFrame, placebo: bool = False) -> list[Claim]:
    """That replace collapses and accumulate does not; of a placebo run, only what compares the two."""
    last, unit = chains["generation"].max(), "different meanings"
    paper = "Replacing data collapses models; accumulating data does not"
    replaced = chains[chains["regime"] == "replace"].pivot(
        index=_ITEM, columns="generation", values="meanings"
    )
    shrunk = _claims(_COLLAPSE, unit, [
        ("replace-collapses", f"After {last} generations that replace each other, answers have fewer "
         "different meanings than those of the first.", paper, replaced[1] - replaced[last]),
    ], items="requests")  # fmt: skip
    ended = chains[chains["generation"] == last].rename(columns={"regime": "arm"})
    kept = compare(
        ended, "accumulate", "replace", value="meanings", item="prompt_id", items="requests"
    ).claim(
        name="accumulate-does-not",
        says=f"After {last} generations, answers have more different meanings where data accumulate than "
        "where they are replaced.",
        paper=paper,
        unit=unit,
        view=_COLLAPSE,
    )
    return [kept] if placebo else [*shrunk, kept]


def _claims(
    view: str,
    unit: str,
    compared: Sequence[tuple[str, str, str, pd.Series]],
    gates: tuple[Gate, ...] = (),
    items: str = "prompts",
) -> list[Claim]:
    """A claim for each name, sentence, figure of the paper and gain by seed and prompt.

    None where no prompt says anything: one model, one answer each, or the same answer everywhere.
    """
    return [
        over_seeds(gain.rename("effect").reset_index(), items=items).claim(
            name=name, says=says, paper=paper, unit=unit, view=view, gates=gates
        )
        for name, says, paper, gain in compared
        if gain.notna().any()
    ]
