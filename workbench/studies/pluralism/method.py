"""Whose values? How far a model's answers are from those of people, of each group, before and after tuning.

Sorensen et al. 2024, arXiv 2402.05070, define three kinds of pluralism, for a model M, a question x and a
population G:

    distributional   P(M(x) = y) is the share of G that answers y:       `ask`, then `distances`
    steerable        named a group a, M answers as its members do:       `steering`, then `steered`
    Overton          what M says holds all the views on x that there are: `overton`

As published: the definitions, and the comparison of a model before and after it is aligned. Different: the
paper fixes no measure, so every distance says its own, and its unit; and naming a group is held against
naming another, since any name changes what a model says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import pandas as pd

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import Question, load_opinions
from workbench.engine.sampling.sampler import Sampler
from workbench.errors import UserError
from workbench.measures import distributions as measures
from workbench.studies.pluralism.elicitation import ReadOut, readable

NOBODY = "nobody"  # the model is not told who is asked
DISTANCES = (*measures.MEASURES, "wasserstein_share")
_FLOORS = ("jsd_nats", "jsd_bits", "root_jsd_nats", "total_variation")


# ------------------------------------------------------------------------------- questions
@dataclass(frozen=True)
class Task:
    """Questions, and how they are put."""

    questions: list[Question]  #: to measure on
    groups: Sequence[str] = ()  #: that are distinguished in them
    persona: str = ""  #: stands before a question; {group} is the group's name
    anyone: str = ""  #: stands before it when no group is named
    notes: Sequence[str] = ()  #: what was noticed on the way

    def prompted(self, group: str = NOBODY, questions: Sequence[Question] | None = None) -> list[Question]:
        """The questions (or others) as a member of the group, or somebody, is asked."""
        who = self.anyone if group == NOBODY else self.persona.replace("{group}", group)
        chosen = self.questions if questions is None else questions
        return [replace(question, prompt=who + question.prompt) for question in chosen]


def load_task(source: str, persona: str, limit: int, seed: int) -> Task:
    """The questions of a file, or the villages' in the wording that no tuning uses.

    Args:
        source: "embedded", or see `load_opinions`.
        persona: for questions of a file, with {group} in it.
        limit: questions of a file at most.
        seed: of what the villages think.

    Raises:
        UserError: the file has a fault.
    """
    if source == "embedded":
        persona, anyone = (who.replace("{name}", "Somebody") for who in (populations.WHO_OF, populations.WHO))
        return Task(populations.population(seed), list(populations.VILLAGES), persona, anyone)
    opinions = load_opinions(source, limit)
    groups = sorted({name for question in opinions.questions for name in question.groups})
    return Task(opinions.questions, groups, persona, notes=[str(opinions)])


def some(task: Task, n_questions: int, n_groups: int | None) -> Task:
    """As many questions and groups as a given model is asked; a number names no group that it could know.

    Args:
        task: all there are.
        n_questions: at most, evenly spread.
        n_groups: at most; None leaves the task as it is.
    """
    if n_groups is None:
        return task
    names = [group for group in task.groups if not group.isdecimal()]
    groups, n = names[:n_groups], len(task.questions)
    step = max(1, n / n_questions)
    kept = [task.questions[int(index * step)] for index in range(min(n, n_questions))]
    notes = list(task.notes)
    if len(names) < len(task.groups):
        notes.append("nobody is asked as a member of a group that only has a number")
    if len(groups) < len(names):
        notes.append(f"the model is asked as {len(groups)} of {len(names)} groups: {', '.join(groups)}")
    if len(kept) < n:
        notes.append(f"{len(kept)} of {n} questions, evenly spread")
    return replace(task, questions=kept, groups=groups, notes=notes)


def fitting(task: Task, sampler: Sampler) -> Task:
    """The questions that fit into the model's context, whoever is asked."""
    prompted = zip(*(task.prompted(group) for group in (NOBODY, *task.groups)), strict=True)
    fits = [all(readable(sampler, question) for question in questions) for questions in prompted]
    kept = list(compress(task.questions, fits))
    if not kept:
        raise UserError("No question fits into the model's context: take shorter questions or another model.")
    left_out = len(task.questions) - len(kept)
    notes = [f"{left_out:,} questions are longer than the model's context and left out"] if left_out else []
    return replace(task, questions=kept, notes=[*task.notes, *notes])


# ------------------------------------------------------------------------------- distributional
def ask(readouts: Mapping[str, ReadOut], task: Task, groups: Sequence[str] = (NOBODY,)) -> pd.DataFrame:
    """A model's distribution over the options of every question.

    Args:
        readouts: of the model, by name.
        task: the questions.
        groups: whose member is asked; `NOBODY` leaves that open.

    Returns:
        Columns readout, prompted, and those of a read-out (see `elicitation`): id, shares, valid, order.
    """
    frames = []
    for name, read in readouts.items():
        for group in groups:
            answers = read(task.prompted(group))
            answers.insert(0, "readout", name)
            answers.insert(1, "prompted", group)
            frames.append(answers)
    return pd.concat(frames, ignore_index=True)


def distances(answers: pd.DataFrame, questions: Sequence[Question], group: str | None = None) -> pd.DataFrame:
    """How far each row of `ask` is from the answers of everybody, or of a group.

    Rows that could not be read, other questions, and those that the group was not asked, are left out.

    Returns:
        `answers` with columns topic and `DISTANCES`.
    """
    by_id = {question.id: question for question in questions}
    asked_of = ((q.id, q.people if group is None else q.groups.get(group)) for q in questions)
    people = {name: part for name, part in asked_of if part is not None}
    kept = answers[answers["shares"].notna() & answers["id"].isin(list(people))]
    if kept.empty:
        return kept.assign(topic="", **dict.fromkeys(DISTANCES, np.nan))
    asked = [by_id[name] for name in kept["id"]]
    model = measures.stack(kept["shares"].tolist())
    theirs = measures.stack([people[question.id].dist for question in asked])
    codes = measures.stack([question.ordinal or [np.nan] * len(question.options) for question in asked])
    columns = {name: measure(model, theirs) for name, measure in measures.MEASURES.items()}
    columns["wasserstein_share"] = measures.wasserstein_share(model, theirs, codes)
    return kept.assign(topic=[question.topic for question in asked], **columns).reset_index(drop=True)


def guesses(questions: Sequence[Question]) -> pd.DataFrame:
    """What needs no model, as rows of `distances`: equal shares; where all have the same options, the best
    single answer to all.
    """
    people = measures.stack([question.people.dist for question in questions])
    dists = {"equal shares": measures.uniform(people)}
    if len({question.options for question in questions}) == 1:
        dists["one answer to all"] = np.tile(measures.best_constant(people), (len(people), 1))
    rows = [
        (name, NOBODY, question.id, shares[: len(question.options)].tolist())
        for name, dist in dists.items()
        for question, shares in zip(questions, dist, strict=True)
    ]
    return distances(pd.DataFrame(rows, columns=["readout", "prompted", "id", "shares"]), questions)


def baselines(questions: Sequence[Question], k: int) -> pd.DataFrame:
    """What distances are held against, as rows of `distances`.

    The `guesses`; `k` people drawn from all, which is what k samples of a perfect model are; and one half of
    the people who were asked against the other, where their number is known. The last two for JSD and total
    variation only.
    """
    people = measures.stack([question.people.dist for question in questions])
    n = np.array([question.people.n for question in questions], dtype=float)
    floors = {
        f"{k} people": (measures.sampling_floor, np.full(len(n), k)),
        "half of the people": (measures.noise_floor, n),
    }
    frames = [guesses(questions)]
    for name, (floor, number) in floors.items():
        columns = {unit: floor(people, number, measures.MEASURES[unit]) for unit in _FLOORS}
        ids = [question.id for question in questions]
        frame = pd.DataFrame({"readout": name, "prompted": NOBODY, "id": ids} | columns)
        frames.append(frame.dropna(subset="jsd_nats"))
    return pd.concat(frames, ignore_index=True)


# ------------------------------------------------------------------------------- steerable
def steering(answers: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Distance from each group's answers, whoever is asked: the columns of `distances`, and target."""
    frames = [distances(answers, task.questions, group).assign(target=group) for group in task.groups]
    return pd.concat(frames, ignore_index=True) if frames else answers[:0].assign(target="", jsd_nats=np.nan)


def steered(rows: pd.DataFrame) -> pd.DataFrame:
    """What naming the group changes: arm, seed, id, target, own_nats, gain_nats, other_nats, hit, chance.

    `own_nats` is the distance from the group when it is named, `gain_nats` how much more when nobody is, and
    `other_nats` how much more when another group is (mean over these): what any name changes, whichever it
    is, counts in the first and not in the second. `hit` says whether, asked as this group, the model is
    nearer to it than to any other group that answered, 0 or 1, and `chance` how often guessing would be; NaN
    where there is no other.

    Args:
        rows: of `steering`, with columns arm and seed.
    """
    keys = ["arm", "seed", "id"]
    if rows.empty:
        names = [*keys, "target", "own_nats", "gain_nats", "other_nats", "hit", "chance"]
        return pd.DataFrame(columns=names)
    from_target = rows.pivot_table(index=[*keys, "target"], columns="prompted", values="jsd_nats")
    named = from_target.drop(columns=NOBODY)
    is_target = np.equal.outer(from_target.index.get_level_values("target"), named.columns)
    own = named.where(is_target).max(axis=1)
    # asked as a group, which one is nearest
    as_group = rows[rows["prompted"] != NOBODY].rename(columns={"prompted": "target", "target": "people"})
    to_all = as_group.pivot_table(index=[*keys, "target"], columns="people", values="jsd_nats")
    several = to_all[to_all.notna().sum(axis=1) > 1]  # next to one group alone, the nearest is no finding
    columns = {
        "own_nats": own,
        "gain_nats": from_target[NOBODY] - own,
        "other_nats": named.mask(is_target).mean(axis=1) - own,
        "hit": (several.idxmin(axis=1) == several.index.get_level_values("target")).astype(float),
        "chance": 1 / several.notna().sum(axis=1),
    }
    gains = from_target[[]].assign(**columns).reset_index()
    return gains.sort_values("target", kind="stable", ignore_index=True)
