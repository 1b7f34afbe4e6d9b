"""From the tables of 10_hivemind to intervals and claims; intervals are over prompts."""

from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations

import pandas as pd

from workbench.claims import Claim
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.hivemind import collapse
from workbench.studies.hivemind.data import PEOPLE
from workbench.studies.hivemind.decoding import HOT, USUAL
from workbench.studies.hivemind.method import AnswerSet
from workbench.studies.hivemind.models import MEMBERS

_ALIKE, _REPETITION = "Which models answer alike", "How much each model repeats itself"
_SETTING = ["temperature", "cut"]


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
    """Means over requests and chains: columns regime, generation, measure, value, low, high, n."""
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
    """What models share with each other.

    Args:
        answers: what was compared.
        cells: of `method.intra_model_repetition`.
        pairs: of `method.inter_model_homogeneity`.
    """
    if pairs["prompt_id"].nunique() < 2:  # nothing to draw for an interval, and no answers to other prompts
        return []
    # models trained apart descend neither from each other nor from one teacher; of foreign models, all
    tuned = [member.name for member in MEMBERS if member.parent and answers.n_meanings]
    apart = (pairs["first"] != pairs["second"]) & ~pairs[["first", "second"]].isin(tuned).any(axis=1)
    between = pairs[apart].groupby("prompt_id")[["rescaled", "same"]].mean()
    who = "models trained apart" if answers.n_meanings else "different models"
    paper = "Inter-model similarity is 71-82 %; answers to other prompts lie at 10-20 %"
    made = _claim(
        between["rescaled"],
        "models-agree-more-than-chance",
        f"Answers of {who} are more alike than answers to different prompts.",
        paper,
        unit="of the way from the random floor to paraphrases",
    )
    if not answers.n_meanings:
        return made
    chance = 1 / between.index.map(answers.n_meanings).to_numpy()
    people = cells[cells["model"] == PEOPLE].set_index("prompt_id")["same"].reindex(between.index)
    made += _claim(
        between["same"] - chance,
        "models-agree-more-than-valid-answers",
        "Answers of models trained apart mean the same more often than random valid answers.",
        paper,
    )
    made += _claim(
        between["same"] - people,
        "models-agree-more-than-people",
        "Answers of models trained apart mean the same more often than people's answers.",
        "implied: models converge where people differ",
    )
    return made + _tuning_claims(cells, pairs)


def _tuning_claims(cells: pd.DataFrame, pairs: pd.DataFrame) -> list[Claim]:
    """What fine-tuning does to the chance that answers of a model, or of two students, mean the same."""
    same = dict(cells.pivot(index="prompt_id", columns="model", values="same").items())
    of_pair = {frozenset(models): part.set_index("prompt_id")["same"]
               for models, part in pairs.groupby(["first", "second"])}  # fmt: skip
    students, tuned = (
        [member for member in MEMBERS if member.reads == reads] for reads in ("teacher", "best")
    )
    united = [(frozenset((a.name, b.name)), frozenset((a.parent, b.parent)))
              for a, b in combinations(students, 2)]  # fmt: skip
    return [
        *_claim(
            _rise(same, [(member.name, member.parent) for member in students]),
            "teacher-lowers-diversity",
            "Fine-tuning on samples of one teacher makes a model's own answers mean the same more often.",
            "aligned models repeat themselves more",
            view=_REPETITION,
        ),
        *_claim(
            _rise(same, [(member.name, member.parent) for member in tuned]),
            "best-answers-lower-diversity",
            "Fine-tuning on single best answers makes a model's own answers mean the same more often.",
            "implied: rewards for one preferred answer",
            view=_REPETITION,
        ),
        *_claim(
            _rise(of_pair, united),
            "teacher-unites-students",
            "Fine-tuning on samples of one teacher makes answers of two models mean the same more often.",
            "implied: models trained on each other's samples converge",
        ),
    ]


def _rise(same: Mapping[Hashable, pd.Series], changes: Iterable[tuple[Hashable, Hashable]]) -> pd.Series:
    """By prompt, how much a value rises with changes (after, before); empty where nothing has changed."""
    rises = [same[after] - same[before] for after, before in changes if after in same]
    return pd.concat(rises, axis=1).mean(axis=1) if rises else pd.Series(dtype=float)


def decoding_claims(swept: pd.DataFrame, people: pd.Series) -> list[Claim]:
    """Whether decoding removes agreement between models.

    The best setting is chosen on one half of the prompts and measured on the other, and the other way round.

    Args:
        swept: of `decoding.sweep`.
        people: of `decoding.people_agreement`.
    """
    table = swept.pivot(index="prompt_id", columns=_SETTING, values=["between", "valid"])
    between, valid = table["between"], table["valid"]
    halves = between.index[::2], between.index[1::2]
    best = [between.loc[test, _best(between.loc[chosen], valid.loc[chosen])]
            for chosen, test in (halves, halves[::-1])]  # fmt: skip
    paper = "min-p at temperature 2 lowers repetition but 61 % of prompts stay above 0.8"
    compared = [
        ("decoding-leaves-agreement", "With the most diverse setting whose answers are as often valid as "
         "with top-p 0.9 at temperature 1, models still agree more than people.", pd.concat(best)),
        ("min-p-leaves-agreement", "With min-p 0.1 at temperature 2, valid answers of two models mean the "
         "same more often than people's.", between[HOT]),
    ]  # fmt: skip
    return [
        claim
        for name, says, same in compared
        for claim in _claim(same - people.reindex(same.index), name, says, paper, view="What decoding buys")
    ]


def _best(between: pd.DataFrame, valid: pd.DataFrame) -> tuple[float, str]:
    """The setting of least agreement among those that are as often valid as the usual one."""
    means = valid.mean()
    return between.mean()[means >= means[USUAL]].idxmin()


def collapse_claims(chains: pd.DataFrame) -> list[Claim]:
    """That replace collapses and accumulate does not."""
    last = chains["generation"].max()
    meanings = chains.groupby(["regime", "generation", "prompt_id"])["meanings"].mean()
    replaced = meanings["replace", last]
    paper = "Replacing data collapses models; accumulating data does not"
    compared = [
        ("replace-collapses", f"After {last} generations that replace each other, answers have fewer "
         "different meanings than those of the first.", meanings["replace", 1]),
        ("accumulate-does-not", f"After {last} generations, answers have more different meanings where data "
         "accumulate than where they are replaced.", meanings["accumulate", last]),
    ]  # fmt: skip
    view, unit = "Models that read what models wrote", "different meanings"
    return [
        claim
        for name, says, more in compared
        for claim in _claim(more - replaced, name, says, paper, view=view, unit=unit)
    ]


def _claim(
    gain: pd.Series,
    name: str,
    says: str,
    paper: str,
    *,
    view: str = _ALIKE,
    unit: str = "chance of one meaning",
) -> list[Claim]:
    """None where no prompt says anything: one model, one answer each, or the same answer everywhere."""
    if gain.isna().all():
        return []
    return [Claim.of(bootstrap_mean(gain), name=name, says=says, paper=paper, unit=unit, view=view)]
