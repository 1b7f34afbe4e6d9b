"""What 09 reads: which task, problems to score, and how much of everything there is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

import pandas as pd

from workbench import sources
from workbench.corpora.loaders.problems import KINDS, load_problems
from workbench.engine.training.lora import Lora
from workbench.studies.common.profiles import REAL
from workbench.studies.prismatic import given
from workbench.studies.prismatic.extents import CORPUS, SHARES
from workbench.studies.prismatic.given import GivenTask
from workbench.studies.prismatic.items import Item, Pair
from workbench.studies.prismatic.tasks import EMBEDDED, LogicTask, Student, WordTask, first_pool

COLUMNS = ["id", "prompt", "completion", "template", "answer"]
LORA_RATE, FULL_RATE = 2e-4, 1e-4  # of a given model's students
_COMMON = 20  # times as often as the rare ones: the first structure of a corpus


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, trained and grown."""

    student: Student  #: how the base and its students are trained and tested
    other_steps: int  #: training steps of the proxy that scores pools
    corpus: int  #: problems that the score, the map and the clusters are about
    subsets: int  #: training sets of the comparison, of `n` problems each
    students: int  #: of each set
    n: int  #: problems of a set
    sketched: int  #: problems that are sketched in every dimension
    first: int  #: problems that a pool begins with
    target: int  #: problems that it grows to
    per_round: int  #: candidates a round
    pools: int  #: grown by each arm
    layout: Literal["principal", "umap"]  #: of the map; UMAP takes seconds to be loaded alone
    clusters: float = SHARES["quick"]  #: of the map, a share of its examples


SIZES = {
    "quick": Sizes(
        Student("tiny:0.3M", 400, 48, 8, 40, learning_rate=4e-3, base_rate=7e-3), 60, CORPUS["quick"], 6, 1,
        96, 12, 3, 24, 24, 1, "principal",
    ),
    "laptop": Sizes(
        Student("tiny:0.3M", 900, 56, 8, 100), 450, CORPUS["laptop"], 60, 3, 96, 200, 20, 160, 80, 12, "umap",
    ),
    "paper": Sizes(
        Student("tiny:28M", 20_000, 1_000, 64, 4_000), 10_000, CORPUS["paper"], 300, 5, 10_000, 256, 1_000,
        20_000, 3_000, 20, "umap",
    ),
    REAL: Sizes(
        Student("tiny:0.3M", 0, 48, 8, 40), 0, CORPUS[REAL], 0, 1, 96, 24, 0, 0, 0, 0, "principal",
        SHARES[REAL],
    ),
}  # fmt: skip


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_subsets` and `seeds` replace what they name."""
    chosen = SIZES[params.profile]
    if params.seeds is not None and params.profile != REAL:
        chosen = replace(chosen, students=params.seeds, pools=params.seeds)
    if params.n_subsets is not None:
        chosen = replace(chosen, subsets=params.n_subsets)
    return replace(chosen, student=_student(params, chosen.student))


def _student(params: Any, student: Student) -> Student:
    """How students learn: all weights of the embedded model; of a given one an adapter, and more slowly."""
    if params.model == "embedded":
        return replace(student, learning_rate=params.learning_rate or student.learning_rate)
    lora = None if params.tuning == "full" else Lora()
    rate = params.learning_rate or (LORA_RATE if lora else FULL_RATE)
    return replace(student, learning_rate=rate, lora=lora)


def data_of(params: Any) -> str:
    """What is read: at `real-laptop` word problems in place of the house, which no given model knows."""
    return "embedded" if params.profile == REAL and params.data == "logic" else params.data


def grows(params: Any) -> bool:
    """Whether something writes problems like those of the data, and there is time for pools of them."""
    if SIZES[params.profile].pools == 0:
        return False
    return params.data in EMBEDDED or params.generator != "embedded"


def choose_task(params: Any, sizes: Sizes) -> LogicTask | WordTask | GivenTask:
    """The embedded task of that name, or the user's problems.

    Raises:
        UserError: as `given.read`.
    """
    data = data_of(params)
    if data not in EMBEDDED:
        return given.read(data, params.test, sizes.student.n_test, params.seed, bool(sizes.subsets))
    return EMBEDDED[data]


def sketch_folder(here: Path, sketches: str) -> Path:
    """Where the sketches of the corpus are: `here`, in the run, or the folder that `sketches` names."""
    return here if sketches == "here" else Path(sketches)


# ------------------------------------------------------------------------------- examples to score
def corpus(source: str, n: int, seed: int, *, sampled: bool = False) -> pd.DataFrame:
    """The examples to score: columns id, prompt, completion, template, answer.

    Embedded: n problems as a generator left alone would write them, few structures often and many rarely, one
    in ten with the structure and the wording of an earlier one. Else files of problems, all of them, or n of
    them where they are `sampled`: of several files as many each, by whose names templates then go.
    """
    if source not in EMBEDDED:
        return _drawn(source, n, seed) if sampled else read_examples(source)
    task, rng = EMBEDDED[source], Random(seed)
    names = rng.sample(task.structures, len(task.structures))
    weighted = [name for rank, name in enumerate(names, 1) for _ in range(max(1, _COMMON // rank))]
    items = task.draw(n * 9 // 10, seed, weighted, range(task.wordings))
    repeated = rng.sample(items, min(len(items), n - len(items)))
    return as_examples([*items, *(twin(task, item, rng.randrange(2**31)) for item in repeated)])


def twin(task: LogicTask | WordTask, item: Item, seed: int) -> Item:
    """A problem of the same structure and wording."""
    wordings = [item.wording] if item.wording >= 0 else range(task.wordings)
    return task.draw(1, seed, [item.source], wordings)[0]


def _drawn(source: str, n: int, seed: int) -> pd.DataFrame:
    """n problems of files at most, in random order."""
    named = sources.parse(source, KINDS)
    frames = []
    for number, one in enumerate(named):
        examples = read_examples(str(one))
        examples = examples.sample(min(len(examples), n // len(named)), random_state=seed)
        names = {"template": one.kind or Path(one.name).stem, "id": f"{number}:" + examples["id"]}
        frames.append(examples.assign(**names) if len(named) > 1 else examples)
    return pd.concat(frames).sample(frac=1, random_state=seed).reset_index(drop=True)


def read_examples(source: str) -> pd.DataFrame:
    """The problems of a file (`corpora.loaders.problems`), as `corpus` gives them."""
    rows = [(p.id, p.question, given.completion(p), "given", p.gold) for p in load_problems(source)]
    return pd.DataFrame(rows, columns=COLUMNS)


def as_examples(items: Sequence[Item], prefix: str = "") -> pd.DataFrame:
    """Items as examples to learn, as `corpus` gives them."""
    rows = [(f"{prefix}{i}", *item.pair, item.source, _gold(item.answer)) for i, item in enumerate(items)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _gold(answer: str) -> str:
    """An answer of a grammar as `measures.answers.grading` reads it: a number, or a name in LaTeX."""
    return rf"\text{{{answer}}}" if answer.isalpha() else answer


def pairs_of(examples: pd.DataFrame) -> list[Pair]:
    """Prompts and completions."""
    return list(zip(examples["prompt"], examples["completion"], strict=True))


def texts_of(examples: pd.DataFrame) -> list[str]:
    """Prompt and completion as one text."""
    return (examples["prompt"] + examples["completion"]).tolist()


def beginning(task: LogicTask | WordTask | GivenTask, n: int, seed: int) -> list[Item]:
    """The problems that a pool grows from."""
    return task.first_pool(n, seed) if isinstance(task, GivenTask) else first_pool(task, n, seed)
