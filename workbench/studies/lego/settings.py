"""How much 05_lego trains and tests, by profile."""

from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import UserError
from workbench.studies.common.profiles import REAL, check_given, is_ladder

EMBEDDED = "embedded"  # as the notebook's `model`: story models are trained here
ARMS = ("scratch", "stories", "mimicking", "causal")
CHECKS = 24  # tests while training: as finely are times to a criterion measured
GIVEN_RATE = 5e-4  # highest learning rate of chains for a given model's shape, which may be large


@dataclass(frozen=True)
class Sizes:
    """How much is trained and tested."""

    n: int  #: clauses of a chain, of which a string holds two
    n_train: int  #: chain positions that the loss is on, the first ones
    steps: int  #: of training
    mimic: int  #: steps of mimicking before it
    batch: int  #: strings a step
    tested: int  #: strings of the test
    learning_rate: float  #: of chains
    layers: int  #: of all arms; a given model brings its own shape
    width: int  #: of all arms
    depths: tuple[int, ...]  #: layers of the models that compare depth, all with mimicking
    stories: int  #: to read, where story models are trained here
    reading: int  #: steps of reading them
    seeds: int  #: trainings of each arm
    depth_seeds: int  #: trainings of each depth, those of the first seeds
    arms: tuple[str, ...] = ARMS  #: that are trained, beside depths
    least: float | None = None  #: see `results.untrained`
    processes: int | None = None  #: trainings at a time; None for one a thread
    strings: int = 200  #: that heads are scored on


SIZES = {
    "quick": Sizes(4, 3, 400, 200, 64, 60, 3e-3, 3, 64, (3,), 100, 30, 1, 1, ("scratch", "mimicking")),
    "laptop": Sizes(4, 3, 700, 200, 64, 150, 3e-3, 3, 64, (1, 2, 3), 1_000, 200, 12, 5),
    REAL: Sizes(
        n=4,
        n_train=3,
        steps=96,
        mimic=0,
        batch=8,
        tested=20,
        learning_rate=GIVEN_RATE,
        layers=0,
        width=0,
        depths=(),
        stories=0,
        reading=0,
        seeds=1,
        depth_seeds=0,
        arms=("scratch", "stories"),
        least=0.0,
        processes=1,
        strings=40,
    ),
    "paper": Sizes(12, 6, 48_000, 1_000, 500, 5_000, 5e-4, 12, 256, (2, 4, 6, 8, 12), 20_000, 20_000, 12, 5),
}


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_clauses`, `n_train`, `n_steps` and `seeds` replace what they name.

    Raises:
        UserError: nothing is left to test longer chains on, there are too few steps or seeds, or no model is
            given for `real-laptop`.
    """
    check_given(params, given=params.model != EMBEDDED and not is_ladder(params.model))
    named = {"n": params.n_clauses, "n_train": params.n_train, "steps": params.n_steps, "seeds": params.seeds}
    chosen = SIZES[params.profile]
    chosen = replace(chosen, **{name: value for name, value in named.items() if value is not None})
    chosen = replace(chosen, depth_seeds=min(chosen.depth_seeds, chosen.seeds))
    if params.model != EMBEDDED:
        chosen = replace(chosen, learning_rate=min(chosen.learning_rate, GIVEN_RATE))
    if not 2 <= chosen.n_train < chosen.n:
        raise UserError(
            f"n_train={chosen.n_train} must be from 2, the first position that needs a look-up, to below the "
            f"{chosen.n} clauses of a chain, to test longer ones."
        )
    if chosen.steps < CHECKS:
        raise UserError(f"n_steps={chosen.steps} is too few: take {CHECKS} or more.")
    if chosen.seeds < 1:
        raise UserError(f"seeds={chosen.seeds} trains nothing: take 1 or more.")
    return chosen
