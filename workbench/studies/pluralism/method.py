"""Whose values? How far a model's answers are from those of people, of each group, before and after tuning.

Sorensen et al. 2024, arXiv 2402.05070: a model is *distributionally* pluralistic if its answers are shared
out as people's are, *steerable* if it answers as a group when asked to, *Overton* if what it says covers all
views.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import AnswerDistribution, Question, load_opinions
from workbench.engine.sampling.sampler import Sampler
from workbench.errors import UserError
from workbench.measures import distributions as measures
from workbench.measures.summaries import summarise_measures
from workbench.studies.pluralism import elicitation
from workbench.studies.pluralism.elicitation import Reading

ReadOut = Callable[[Any, Sequence[Question]], Reading]
NOBODY = "nobody"  # the model is not told who is asked


@dataclass(frozen=True)
class Task:
    """Questions, and how they are put.

    Attributes:
        questions: to measure on.
        groups: that are told apart in them.
        persona: stands before a question; {group} is the group's name.
        anyone: stands before it when no group is named.
        notes: what was noticed on the way.
    """

    questions: list[Question]
    groups: list[str]
    persona: str
    anyone: str
    notes: list[str]

    def prompted(self, group: str = NOBODY, questions: Sequence[Question] | None = None) -> list[Question]:
        """The questions (or others) as a member of the group, or somebody, is asked."""
        who = self.anyone if group == NOBODY else self.persona.replace("{group}", group)
        chosen = self.questions if questions is None else questions
        return [replace(each, prompt=who + each.prompt) for each in chosen]


def task(params: Any, limit: int) -> Task:
    """The questions that `questions` names, or the villages' in a wording that no text had.

    Raises:
        UserError: the file has a fault, or the persona has no place for the group.
    """
    if params.questions == "embedded":
        found = populations.population(params.seed)
        persona = populations.WHO_OF.replace("{name}", "Somebody")
        return Task(found, list(populations.VILLAGES), persona, populations.WHO.format(name="Somebody"), [])
    if "{group}" not in params.persona:
        raise UserError("persona must say where the group's name stands: write {group} there.")
    read = load_opinions(params.questions, limit)
    groups = sorted({name for each in read.questions for name in each.groups})
    return Task(read.questions, groups, params.persona, "", [str(read)])


# ------------------------------------------------------------------------------- asking
def ask(
    sampler: Sampler,
    task: Task,
    how: Mapping[str, ReadOut],
    groups: Sequence[str] = (NOBODY,),
) -> pd.DataFrame:
    """A model's distribution over the options of every question.

    Args:
        sampler: the model.
        task: the questions.
        how: read-outs by name.
        groups: whose member is asked; `NOBODY` leaves that open.

    Returns:
        Columns readout, prompted, id, shares (list, None where unreadable), valid, order.
    """
    frames = []
    for name, read in how.items():
        for group in groups:
            found = read(sampler, task.prompted(group))
            rows = zip(task.questions, found.dist, strict=True)
            shares = [row[: len(each.options)] for each, row in rows]
            frames.append(
                pd.DataFrame(
                    {
                        "readout": name,
                        "prompted": group,
                        "id": [each.id for each in task.questions],
                        "shares": [None if np.isnan(row).any() else row.tolist() for row in shares],
                        "valid": found.valid,
                        "order": found.order,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def by_text(sampler: Sampler, questions: Sequence[Question]) -> Reading:
    """See `elicitation.from_logprobs`."""
    return elicitation.from_logprobs(sampler, questions, letters=False)


def by_letter(sampler: Sampler, questions: Sequence[Question]) -> Reading:
    """See `elicitation.from_logprobs`."""
    return elicitation.from_logprobs(sampler, questions, letters=True)


def every_readout(sampler: Sampler, k: int, seed: int) -> dict[str, ReadOut]:
    """All that the model allows: of a server's, likelihoods are not known."""
    likelihoods = {"letters": by_letter, "texts": by_text}
    return {
        **(likelihoods if sampler.logprobs else {}),
        f"{k} samples": lambda sampler, asked: elicitation.by_samples(sampler, asked, k, seed)[0],
        "percentages": lambda sampler, asked: elicitation.verbalized(sampler, asked, seed),
    }


def best_readout(sampler: Sampler, k: int, seed: int) -> dict[str, ReadOut]:
    """The one to compare models by: the options' texts, or `k` samples of a server's model."""
    known = every_readout(sampler, k, seed)
    name = "texts" if "texts" in known else f"{k} samples"
    return {name: known[name]}


# ------------------------------------------------------------------------------- distances
def distances(asked: pd.DataFrame, questions: Sequence[Question], target: str | None = None) -> pd.DataFrame:
    """How far each row of `ask` is from the answers of everybody, or of the group `target`.

    Rows that could not be read, and questions that the group was not asked, are left out.

    Returns:
        `asked` with columns topic and those of `measures.MEASURES` and wasserstein_share.
    """
    known = {each.id: each for each in questions}
    people = {each.id: _people(each, target) for each in questions}
    kept = asked[asked["shares"].notna() & asked["id"].map(lambda name: people[name] is not None)]
    if not len(kept):
        return kept.assign(topic="", **dict.fromkeys([*measures.MEASURES, "wasserstein_share"], np.nan))
    ours = measures.stack(kept["shares"].tolist())
    theirs = measures.stack([people[name].dist for name in kept["id"]])
    nothing = [(np.nan,) * len(known[name].options) for name in kept["id"]]
    codes = measures.stack(
        [known[name].ordinal or none for name, none in zip(kept["id"], nothing, strict=True)]
    )
    found = {name: measure(ours, theirs) for name, measure in measures.MEASURES.items()}
    found["wasserstein_share"] = measures.wasserstein_share(ours, theirs, codes)
    return kept.assign(topic=[known[name].topic for name in kept["id"]], **found).reset_index(drop=True)


def _people(question: Question, target: str | None) -> AnswerDistribution | None:
    return question.people if target is None else question.groups.get(target)


def baselines(questions: Sequence[Question], k: int) -> pd.DataFrame:
    """What distances are held against, as rows of `distances`.

    Equal shares; the best single answer to all (where all have the same options); `k` people drawn from all,
    which is what k samples of a perfect model are; and one half of the people who were asked against the
    other, where their number is known. The last two for JSD and total variation only.
    """
    people = measures.stack([each.people.dist for each in questions])
    ids = [each.id for each in questions]
    guesses = {"equal shares": measures.uniform(people)}
    if len({each.options for each in questions}) == 1:
        guesses["one answer to all"] = np.tile(measures.best_constant(people), (len(people), 1))
    frames = []
    for name, dist in guesses.items():
        shares = [row[: len(each.options)].tolist() for each, row in zip(questions, dist, strict=True)]
        rows = {"readout": name, "prompted": NOBODY, "id": ids, "shares": shares}
        frames.append(distances(pd.DataFrame(rows), questions))
    asked = np.array([np.nan if each.people.n is None else each.people.n for each in questions])
    noises = {f"{k} people": (measures.sampling_floor, np.full(len(people), k)),
              "half of the people": (measures.noise_floor, asked)}  # fmt: skip
    for name, (noise, n) in noises.items():
        frame = pd.DataFrame({"readout": name, "prompted": NOBODY, "id": ids})
        for unit in ("jsd_nats", "jsd_bits", "root_jsd_nats", "total_variation"):
            frame[unit] = noise(people, n, measures.MEASURES[unit])
        frames.append(frame[frame["jsd_nats"].notna()])
    return pd.concat(frames, ignore_index=True)


def summary(frame: pd.DataFrame, by: Sequence[str] = ("readout",)) -> pd.DataFrame:
    """Means with intervals over questions: `by`, and columns measure, value, low, high, n."""
    names = [name for name in (*measures.MEASURES, "wasserstein_share", "valid", "order") if name in frame]
    return summarise_measures(frame, by, {name: name for name in names}, "id")


# ------------------------------------------------------------------------------- steering
def steering(asked: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Distance from each group's answers, whoever is asked: the columns of `distances`, and target."""
    frames = [distances(asked, task.questions, target).assign(target=target) for target in task.groups]
    return pd.concat(frames, ignore_index=True) if frames else asked[:0].assign(target="", jsd_nats=np.nan)


def steered(found: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """What naming the group changes: `by`, id, target, own_nats, gain_nats, other_nats, hit, chance.

    `own_nats` is the distance from the group when it is named, `gain_nats` how much more when nobody is, and
    `other_nats` how much more when another group is (mean over these): what any name changes, whichever it
    is, counts in the first and not in the second. `hit` says whether, asked as this group, the model is
    nearer to it than to any other group that answered, 0 or 1, and `chance` how often guessing would be; NaN
    where there is no other.
    """
    keys = [*by, "id"]
    wide = found.pivot_table(index=[*keys, "target"], columns="prompted", values="jsd_nats").reset_index()
    rows = []
    for target in wide["target"].unique():
        own = wide[wide["target"] == target].set_index(keys)
        to = found[found["prompted"] == target].pivot_table(index=keys, columns="target", values="jsd_nats")
        several = to[to.notna().sum(axis=1) > 1]  # next to one group alone, the nearest is no finding
        others = own[[name for name in own if name not in (*keys, "target", NOBODY, target)]].mean(axis=1)
        found_here = {
            "own_nats": own[target],
            "gain_nats": own[NOBODY] - own[target],
            "other_nats": others - own[target],
            "hit": (several.idxmin(axis=1) == target).astype(float).reindex(own.index),
            "chance": (1 / several.notna().sum(axis=1)).reindex(own.index),
        }
        rows.append(pd.DataFrame({"target": target, **found_here}).reset_index())
    nothing = pd.DataFrame(columns=[*keys, "target", "own_nats", "gain_nats", "other_nats", "hit", "chance"])
    return pd.concat(rows, ignore_index=True) if rows else nothing
