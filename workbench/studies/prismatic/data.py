"""What 09 reads: problems to score, the first pools that grow, and how much of everything there is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

import pandas as pd

from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.problems import Problem, draw, twin
from workbench.errors import UserError
from workbench.measures.answers.grading import read_gold
from workbench.studies.common.word_problems import LARGEST, Pair, StudentConfig, pair, two_steps
from workbench.studies.prismatic.generators import Item, items

KINDS = 16  # of problems in a first pool


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, trained and grown."""

    student: StudentConfig  #: how the base and its students are trained and tested
    corpus: int  #: problems that the score, the map and the clusters are about
    subsets: int  #: training sets of the comparison, of `n` problems each
    n: int  #: problems of a set
    sketched: int  #: problems that are sketched in every dimension
    first: int  #: problems that a pool begins with
    target: int  #: problems that it grows to
    per_round: int  #: candidates a round
    seeds: int  #: students of each set, and pools grown by each arm
    layout: Literal["principal", "umap"]  #: of the map; UMAP takes seconds to be loaded alone


SIZES = {
    "quick": Sizes(StudentConfig("tiny:0.3M", 140, 12, 8, 60), 240, 8, 60, 64, 40, 80, 40, 1, "principal"),
    "laptop": Sizes(StudentConfig("tiny:0.3M", 800, 32, 8, 100), 800, 24, 120, 256, 80, 240, 128, 5, "umap"),
    "paper": Sizes(
        StudentConfig("tiny:28M", 20_000, 1_000, 64, 4_000), 50_000, 300, 10_000, 256, 1_000, 20_000, 3_000,
        5, "umap",
    ),
}  # fmt: skip


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_subsets` and `seeds` replace what they name.

    Raises:
        UserError: parameters that would fail later, when the base has been trained.
    """
    chosen = SIZES[params.profile]
    if params.seeds is not None:
        chosen = replace(chosen, seeds=params.seeds)
    if params.dimension < 1:
        raise UserError(f"dimension={params.dimension} is no size of a sketch: take 1 or more, such as 1024.")
    if params.chat and params.model == "embedded":
        raise UserError("The embedded model has no chat template: set chat=False, or choose another model.")
    if params.placebo and (params.data != "embedded" or params.n_subsets == 0):
        raise UserError(
            "placebo=true compares students of pools: leave data embedded, and n_subsets as it is or above 0."
        )
    if params.n_subsets is None:
        return chosen
    if params.n_subsets and params.n_subsets < 6:
        raise UserError(
            f"n_subsets={params.n_subsets} is too few for a correlation: take 6, better 30 or more."
        )
    return replace(chosen, subsets=params.n_subsets)


def sketch_folder(here: Path, sketches: str) -> Path:
    """Where the sketches of the corpus are: `here`, in the run, or the folder that `sketches` names.

    Raises:
        UserError: there is no such folder.
    """
    if sketches == "here":
        return here
    if not Path(sketches).is_dir():
        raise UserError(f"There is no folder {sketches}: `workbench sketch` fills one.")
    return Path(sketches)


# ------------------------------------------------------------------------------- examples to score
def corpus(source: str, n: int, seed: int) -> pd.DataFrame:
    """The examples to score: columns id, prompt, completion, template.

    Embedded: n problems as a generator left alone would write them, few templates often and many rarely, one
    in ten a twin of an earlier one with other numbers. Else a file of problems.
    """
    if source != "embedded":
        return read_examples(source)
    names = two_steps()
    Random(seed).shuffle(names)
    weights = {name: 1 / rank for rank, name in enumerate(names, 3)}
    problems = draw(n * 9 // 10, seed, templates=weights, largest=LARGEST)
    repeated = Random(seed + 1).sample(problems, n - len(problems))
    return as_examples([*problems, *(twin(problem, seed) for problem in repeated)])


def read_examples(source: str) -> pd.DataFrame:
    """The problems of a file (`corpora.loaders.problems`): columns id, prompt, completion, template."""
    rows = [
        (problem.id, problem.question, problem.completion and f" {problem.completion}", "given")
        for problem in load_problems(source)
    ]
    return pd.DataFrame(rows, columns=["id", "prompt", "completion", "template"])


def as_examples(problems: Sequence[Problem], prefix: str = "") -> pd.DataFrame:
    """Problems as examples to learn: columns id, prompt, completion, template."""
    rows = [(f"{prefix}{i}", *pair(problem), problem.template) for i, problem in enumerate(problems)]
    return pd.DataFrame(rows, columns=["id", "prompt", "completion", "template"])


def pairs_of(examples: pd.DataFrame) -> list[Pair]:
    """Prompts and completions."""
    return list(zip(examples["prompt"], examples["completion"], strict=True))


def texts_of(examples: pd.DataFrame) -> list[str]:
    """Prompt and completion as one text."""
    return (examples["prompt"] + examples["completion"]).tolist()


# ------------------------------------------------------------------------------- problems to grow from
def first_pool(source: str, n: int, seed: int) -> list[Item]:
    """A first pool: embedded problems of sixteen kinds, the k-th of them 1/k as often as the first.

    Of given problems it is a random sample of those that have an answer.
    """
    rng = Random(f"pool/{seed}")
    if source != "embedded":
        answered = [problem for problem in load_problems(source) if problem.gold]
        return [
            Item(p.id, p.question, p.completion, _answer(p.gold), "given", 0)
            for p in rng.sample(answered, min(n, len(answered)))
        ]
    weights = {name: 1 / rank for rank, name in enumerate(rng.sample(two_steps(), KINDS), 1)}
    return items(draw(n, rng.randrange(2**31), templates=weights, largest=LARGEST))


def _answer(gold: str) -> str:
    """A gold as solutions' answers are written: an integer, a fraction, or as it is."""
    number = read_gold(gold)
    return gold if number is None else str(number.value)
