"""What the parameters of 07_arithmetic ask for, and the sizes of each profile."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from workbench.corpora import drills
from workbench.errors import UserError
from workbench.studies.common.profiles import REAL, check_given

_GIVEN_CONTEXT = 512  # tokens
FEWEST = 10  # word problems of a file to learn from
TABLE = 99  # the largest number that is one token


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, read and asked."""

    preset: str  #: shape of the models
    problems: int  #: different word problems of a training set
    exercises: int  #: of a first stage in a training set
    task_tokens: int  #: tokens of word problems that every route reads
    extra_tokens: int  #: tokens of a first stage, or more of the same word problems
    batch_size: int  #: rows of `context` tokens a step
    context: int  #: tokens a row
    seeds: int  #: trainings of each route, each with its own problems, first weights and order
    n_test: int  #: word problems of each kind in the test
    n_exercises: int  #: of each first stage in the test; of sums from the table as many as it has
    first: tuple[str, ...]  #: stages that may come before word problems, see `drills.STAGES`
    largest: int  #: number in a word problem, and in an exercise
    layers: int | None = None  #: of the models (None: the preset's)
    n_words: int | None = None  #: names and things in word problems (None: all); see `problems.draw`
    scenarios: int | None = None  #: that word problems are told in, of those not held out (None: all)
    steps: int = 2  #: of the longest word problem
    digits: int = 2  #: of the longest operand, where numbers are too many for a table
    routes: tuple[str, ...] | None = None  #: that are trained, of those that there are (None: all)
    twins: bool = True  #: whether every problem is asked with other numbers, too
    n_held_out: int = 20  #: word problems of each kind behind a learning curve
    curve: int = 4  #: times that they are asked in each stage
    processes: int | None = None  #: trainings at a time (None: one for each thread)

    @property
    def has_table(self) -> bool:
        """Whether all numbers are single tokens, and their sums so few that they can be known by heart."""
        return self.largest <= TABLE


_STAGES = ("arithmetic", "rules", "programs")
_SMALL: dict[str, Any] = {"largest": 12, "layers": 2, "n_words": 3, "scenarios": 4}
# fmt: off
SIZES = {
    "quick": Sizes(
        "tiny:0.3M", 1_000, 12_000, 60_000, 90_000, 3, 112, 1, 60, 40, _STAGES[:1], **_SMALL, steps=1
    ),
    "laptop": Sizes("tiny:0.3M", 1_000, 14_000, 110_000, 110_000, 3, 112, 12, 120, 40, _STAGES, **_SMALL),
    "paper": Sizes(
        "tiny:28M", 7_000, 600_000, 60_000_000, 60_000_000, 64, 512, 5, 1_000, 1_000, _STAGES, 1_000, digits=3
    ),
    REAL: Sizes(
        "tiny:0.3M", 80, 2_000, 10_000, 10_000, 2, 256, 1, 30, 48, _STAGES[:1], 100,
        routes=("as given", "none", "arithmetic first"), twins=False, n_held_out=6, curve=2, processes=1,
    ),
}
# fmt: on


@dataclass(frozen=True)
class Plan:
    """What the notebook's parameters of the same names ask for, and the sizes that they choose."""

    sizes: Sizes
    data: str
    test: str | None
    model: str
    tuning: Literal["full", "lora"]
    seed: int
    device: str
    placebo: bool

    @property
    def seeds(self) -> range:
        """Of the trainings of each route."""
        return range(self.seed, self.seed + self.sizes.seeds)


def plan(params: Any) -> Plan:
    """The profile's sizes; what is given has longer texts and larger numbers than the embedded problems.

    Raises:
        UserError: no first stage is named, or one that there is not, or `real-laptop` or LoRA has no model.
    """
    check_given(params, given=params.model != "embedded")
    if params.tuning == "lora" and params.model == "embedded":
        raise UserError("tuning=lora adapts a model that has learnt: name it with model, or leave it out.")
    sizes = SIZES[params.profile]
    sizes = replace(sizes, seeds=params.seeds or sizes.seeds, first=_first(params.first) or sizes.first)
    if params.profile != REAL and not params.data == params.model == "embedded":
        context = max(sizes.context, _GIVEN_CONTEXT)
        batch_size = max(1, sizes.batch_size * sizes.context // context)
        sizes = replace(sizes, context=context, batch_size=batch_size)
    if params.data != "embedded":
        sizes = replace(sizes, digits=max(sizes.digits, 3), largest=max(sizes.largest, 1_000), layers=None)
    names = [field.name for field in fields(Plan)[1:]]
    return Plan(sizes, **{name: getattr(params, name) for name in names})


def _first(names: str | None) -> tuple[str, ...]:
    """The stages that a parameter names, each once."""
    if names is None:
        return ()
    stages = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for stage in stages:
        drills.draw(stage, 0, 0)
    if not stages:
        raise UserError(f"first names no stage to read first: take one of {', '.join(drills.STAGES)}.")
    return stages
