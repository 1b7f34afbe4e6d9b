"""What the trainings of 05_lego say about the paper's claims."""

from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.studies.common.evidence import over_seeds
from workbench.studies.lego.method import CAUSAL, MIMICKING, SCRATCH, STORIES, layers
from workbench.studies.lego.settings import Sizes
from workbench.studies.lego.times import ASKED, CRITERION, LOOK_UP, Checks, of_headline, speedups

_TIMES = "Time to nine in ten"
_FASTER = {  # claim: treated, control, what it says
    "mimicking-speeds-up": (
        MIMICKING, SCRATCH,
        "A model that mimicked the two kinds of heads first needs less of the training than one from scratch "
        "until it looks up the root of its chain.",
        "Mimicking recovers most of what pre-training gains",
    ),
    "stories-speed-up": (
        STORIES, SCRATCH,
        "A model that read stories first needs less of the training than one from scratch until it looks up "
        "the root of its chain.",
        "A pre-trained BERT learns the task faster than one from scratch",
    ),
    "encoder-is-faster": (
        SCRATCH, CAUSAL,
        "A model that reads both ways, and every clause once, needs fewer strings than one that reads all "
        "clauses twice from left to right until it looks up the root of its chain.",
        BEYOND,
    ),
}  # fmt: skip
_DELTA = float(np.log2(1.25))
_WHY = "a quarter more or less of a training, which a better learning rate would also buy"
_DELTA_SHARE, _WHY_SHARE = 0.05, "one look-up in twenty"
_LEARNT = 0.7  # share of trained look-ups right, below which there is nothing that could fall


def claims(times: pd.DataFrame, checks: Checks, sizes: Sizes, *, placebo: bool = False) -> list[Claim]:
    """What the trainings say; the arms of a seed answered the same strings.

    In a placebo run only what compares two arms.

    Args:
        times: of `times.times`.
        checks: of all seeds, without those that have not trained.
        sizes: of the trainings.
    """
    made = [
        _faster(name, times, checks)
        for name, (treated, control, *_) in _FASTER.items()
        if {treated, control} <= set(checks)
    ]
    depth = _depth(checks, sizes)
    return made + depth if placebo else [*made, *depth, _falls(checks, sizes)]


def _faster(name: str, times: pd.DataFrame, checks: Checks) -> Claim:
    treated, control, says, paper = _FASTER[name]
    effects = speedups(times, treated, control)
    first = of_headline(times[times["model"].isin([treated, control])])["first"]
    understood = float(checks[control][:, -1, ..., 0, 0].mean())
    gates = (
        Gate(f"first positions that {control} answers rightly at the end", understood, low=CRITERION),
        Gate("pairs of times of which one at least was reached", float(effects["known"].mean()), low=0.75),
        Gate("times that had passed at the first check", float(first.mean()), high=0.25),
    )
    evidence = over_seeds(effects[["seed", "effect"]], items="trainings")
    about = {"unit": "doublings of speed", "view": _TIMES, "gates": gates}
    delta = {"delta": _DELTA, "delta_reason": _WHY}
    headline = name == "mimicking-speeds-up" or (name == "stories-speed-up" and MIMICKING not in checks)
    return evidence.claim(name=name, says=says, paper=paper, headline=headline, **about, **delta)


def _looked_up(checks: Checks, name: str, positions: slice) -> np.ndarray:
    """Share of look-ups right at the end, `[seeds, strings]`."""
    return checks[name][:, -1, ..., positions, ASKED.index(LOOK_UP)].mean((2, 3))


def _depth(checks: Checks, sizes: Sizes) -> list[Claim]:
    """Whether the deepest model looks up more than the shallowest; nothing without two of them."""
    shallow, deep = layers(min(sizes.depths, default=0)), layers(max(sizes.depths, default=0))
    if shallow == deep or not {shallow, deep} <= set(checks):
        return []
    both, trained = min(len(checks[shallow]), len(checks[deep])), slice(1, sizes.n_train)
    of_shallow, of_deep = (_looked_up(checks, name, trained)[:both] for name in (shallow, deep))
    gate = Gate(f"trained look-ups that {deep} get right", float(of_deep.mean()), low=0.5)
    paper = "Each layer follows the chain a step further"
    says = f"With {deep} more trained look-ups are right at the end than with {shallow}."
    return [_share("layers-bound-steps", "Layers and steps", paper, of_deep - of_shallow, says, gate)]


def _falls(checks: Checks, sizes: Sizes) -> Claim:
    arm = MIMICKING if MIMICKING in checks else STORIES
    trained = _looked_up(checks, arm, slice(1, sizes.n_train))
    longer = _looked_up(checks, arm, slice(sizes.n_train, None))
    gate = Gate(f"trained look-ups that {arm} gets right", float(trained.mean()), low=_LEARNT)
    paper = "Accuracy falls beyond the trained positions"
    says = "At the end, look-ups at trained positions are right more often than at the ones after them."
    return _share("falls-past-trained-length", "Accuracy by position", paper, trained - longer, says, gate)


def _share(name: str, view: str, paper: str, effects: np.ndarray, says: str, gate: Gate) -> Claim:
    """A claim from effects `[seeds, strings]`."""
    frame = pd.DataFrame(effects).rename_axis("seed").reset_index()
    evidence = over_seeds(frame.melt("seed", var_name="string", value_name="effect"), items="strings")
    about: dict[str, Any] = {"unit": "share of look-ups", "view": view, "gates": (gate,)}
    delta = {"delta": _DELTA_SHARE, "delta_reason": _WHY_SHARE}
    return evidence.claim(name=name, says=says, paper=paper, **about, **delta)
