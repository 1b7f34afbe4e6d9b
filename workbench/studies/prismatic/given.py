"""The user's own problems in 09: which are learnt, which are asked, and training sets drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import pandas as pd

from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.engine.encoders import embed
from workbench.engine.gradients.kmeans import spherical_kmeans
from workbench.errors import UserError
from workbench.measures.answers.grading import grade_many, read_gold, scorable
from workbench.studies.common.contamination import contamination_report, distinct_problems
from workbench.studies.prismatic.extents import FEWEST, SPREAD
from workbench.studies.prismatic.items import Item
from workbench.studies.prismatic.tasks import WordTask

CLUSTERS = (1, 8, 2, 16, 4)  # of gradients that a set is drawn from
TEXT_CLUSTERS = (1, 4, 16, 2)
_MOST = 16  # clusters
_LONGEST_REPLY = 512  # tokens


@dataclass(frozen=True)
class GivenTask:
    """Problems of files; right is an answer that equals the given one (`measures.answers.grading`)."""

    learnt: tuple[FileProblem, ...]  #: that sets are drawn from
    asked: tuple[FileProblem, ...]  #: of the test, none of which is learnt
    note: str  #: what was left out and what resembles the test

    @property
    def longest_reply(self) -> int:
        longest = max(len(completion(problem).split()) for problem in self.learnt)
        return min(_LONGEST_REPLY, 20 + 3 * longest)

    def tests(self, n: int, seed: int) -> list[FileProblem]:
        return list(self.asked[:n])

    def grade(self, tests: Sequence[FileProblem], replies: Sequence[str]) -> pd.DataFrame:
        grades = grade_many(list(replies), [test.gold for test in tests])
        right = [one.verdict == "correct" for one in grades]
        return pd.DataFrame({"item": [test.id for test in tests], "right": right, "answer": right})

    def texts(self, seed: int) -> tuple[list[str], list[str]]:
        """What an embedded base reads: word problems of one step."""
        return WordTask().texts(seed)

    def first_pool(self, n: int, seed: int) -> list[Item]:
        """A random sample of those that are learnt."""
        chosen = Random(f"pool/{seed}").sample(self.learnt, min(n, len(self.learnt)))
        return [Item(p.id, p.question, completion(p).strip(), _answer(p.gold), "given", 0) for p in chosen]


def completion(problem: FileProblem) -> str:
    """What is learnt: the working and the answer after a space, or nothing where the file has neither."""
    said = problem.rationale if "The answer is" in problem.rationale else problem.completion
    return said and f" {said}"


def _answer(gold: str) -> str:
    """A gold as solutions' answers are written: an integer, a fraction, or as it is."""
    number = read_gold(gold)
    return gold if number is None else str(number.value)


def read(data: str, test: str | None, n_test: int, seed: int, trains: bool) -> GivenTask:
    """The user's problems in random order, each once, if an answer to it can be graded.

    Args:
        data: files of problems, as `load_problems` takes them.
        test: files of questions that are asked; None to hold out a fifth of the data.
        n_test: questions that are asked at most.
        seed: of the order of both.
        trains: whether anything is trained; if not, all problems are as they stand.

    Raises:
        UserError: nothing there, too few different problems, none to ask, or a question in both.
    """
    problems = load_problems(data)
    if not trains:
        return GivenTask(tuple(problems), (), "")
    kept, notes = _usable(problems, seed)
    if test is None:
        n_asked = min(n_test, len(kept) // 5)
        asked, learnt = kept[:n_asked], kept[n_asked:]
    else:
        asked, learnt = _asked(test, n_test, seed, notes), kept
    if len(learnt) < SPREAD * FEWEST or not asked:
        enough = SPREAD * FEWEST if test else SPREAD * FEWEST * 5 // 4
        raise UserError(
            f"{data} holds {len(kept)} different problem{'s' * (len(kept) != 1)} whose answer can be graded: "
            f"sets that differ need {enough}, so give more, or n_subsets=0 to train nothing."
        )
    report = contamination_report([p.question for p in asked], [p.question for p in learnt])
    return GivenTask(tuple(learnt), tuple(asked), "; ".join([*notes, report]))


def _asked(test: str, n: int, seed: int, notes: list[str]) -> list[FileProblem]:
    """n questions of files at most; what was left out of them is added to the notes.

    Raises:
        UserError: none that can be graded.
    """
    kept, left_out = _usable(load_problems(test, default="test"), seed)
    if not kept:
        raise UserError(f"{test} holds no question whose answer can be graded: name another file as test.")
    notes += [f"of {test}, {note}" for note in left_out]
    return kept[:n]


def _usable(problems: Sequence[FileProblem], seed: int) -> tuple[list[FileProblem], list[str]]:
    """Those that can be graded, each once, in random order; and what was left out, as sentences."""
    golds = scorable([problem.gold for problem in problems])
    judged = [problem for problem, can in zip(problems, golds, strict=True) if can]
    kept, notes = distinct_problems(judged)
    if lacking := len(problems) - len(judged):
        notes.append(f"questions left out because their answer cannot be graded: {lacking:,}")
    Random(seed).shuffle(kept)
    return kept, notes


def draw_sets(
    task: GivenTask, examples: pd.DataFrame, gradients: np.ndarray, count: int, n: int, seed: int
) -> pd.DataFrame:
    """Sets of the user's problems: as `subsets.draw_sets`, with a column example, a row of `examples`.

    Each is drawn from some clusters of gradients and some clusters of texts, in numbers that do not hang on
    each other: as few as are asked for, or as many more as are needed for the set's size.

    Args:
        task: says which are learnt.
        examples: columns prompt and those that a set needs.
        gradients: of the examples, unit rows.
        count: of sets.
        n: problems of a set; fewer where there are fewer than `SPREAD` times as many.
        seed: of what is drawn.
    """
    learnt = examples["prompt"].isin({problem.question for problem in task.learnt})
    rows = examples[learnt].drop_duplicates("prompt").index.to_numpy()
    n, k = min(n, len(rows) // SPREAD), min(_MOST, len(rows) // SPREAD)
    texts = embed((examples["prompt"] + examples["completion"]).loc[rows].tolist())
    labels = [spherical_kmeans(vectors, k, seed=seed).labels for vectors in (gradients[rows], texts)]
    frames = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        wanted = [CLUSTERS[number % len(CLUSTERS)], TEXT_CLUSTERS[number % len(TEXT_CLUSTERS)]]
        inside, used = _inside(labels, k, wanted, n, rng)
        chosen = rows[rng.choice(np.flatnonzero(inside), n, replace=False)]
        frame = examples.loc[chosen].assign(example=chosen, subset=f"{number:02d}")
        frame["id"] = [f"{number:02d}-{i}" for i in range(n)]
        frames.append(frame.assign(n_structures=used[0], n_wordings=used[1]))
    return pd.concat(frames, ignore_index=True)


def _inside(
    labels: Sequence[np.ndarray], k: int, wanted: Sequence[int], n: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[int]]:
    """Which rows lie in so many clusters of each partition, or in as many more as hold n; and how many."""
    orders, used = [rng.permutation(k) for _ in labels], [min(k, number) for number in wanted]
    while True:
        parts = [np.isin(label, order[:m]) for label, order, m in zip(labels, orders, used, strict=True)]
        inside = np.logical_and(*parts)
        if inside.sum() >= n:
            return inside, used
        fewer = min((at for at in (0, 1) if used[at] < k), key=lambda at: used[at])
        used[fewer] += 1
