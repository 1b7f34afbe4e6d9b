"""What 09_prismatic refuses before anything runs."""

from pathlib import Path
from typing import Any

from workbench import shards
from workbench.errors import UserError
from workbench.files import read_json
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import REAL, check_given
from workbench.studies.prismatic.extents import CORPUS, FEWEST, SHARES, SPREAD, n_clusters

DRAWN = ("logic", EMBEDDED)
LEAST_SETS = 6  # for a correlation


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, EMBEDDED, chats=params.chat)
    check_given(params, given=given)
    checks.at_least(params, 1, "dimension")
    checks.above_0(params, "learning_rate")
    if params.chat and not given:
        raise UserError("The embedded model has no chat template: set chat=False, or choose another model.")
    if params.tuning == "lora" and not given:
        raise UserError("tuning=lora adapts a given model: choose one as model, or leave tuning at auto.")
    is_drawn = checks.is_word(params, "data", DRAWN)
    writes = checks.sampler(params, EMBEDDED, name="generator")
    _check_sets(params, is_drawn or writes)
    _check_problems(params, is_drawn)
    _check_clusters(params, is_drawn)
    if not checks.is_word(params, "sketches", ["here"]):
        _check_sketches(params)


def _check_sets(params: Any, grows: bool) -> None:
    grows = grows and params.profile != REAL
    if params.placebo and (not grows or params.n_subsets == 0):
        raise UserError(
            "placebo=true compares students of pools: leave data as it is or name a sampler as generator, "
            "and leave n_subsets as it is or above 0."
        )
    if params.n_subsets is not None and params.n_subsets != 0 and params.n_subsets < LEAST_SETS:
        raise UserError(
            f"n_subsets={params.n_subsets} is too few for a correlation: take {LEAST_SETS}, better 30 or "
            "more, or 0 to train nothing."
        )


def _check_problems(params: Any, is_drawn: bool) -> None:
    if is_drawn:
        if params.test is not None:
            raise UserError(
                f"data={params.data} asks its own questions: leave test out, or give data of a file."
            )
        return
    trains = params.profile != REAL if params.n_subsets is None else params.n_subsets > 0
    least = SPREAD * FEWEST * (5 if params.test is None else 4) // 4 if trains else 0
    learnt = checks.problems(params, least=least, instead=", or n_subsets=0 to train nothing")
    if params.test is not None:
        checks.apart(learnt, checks.problems(params, name="test", default="test"))


def _check_clusters(params: Any, is_drawn: bool) -> None:
    """Whether the map can have the clusters that are to be saved; of large files that shows later."""
    if not params.save_clusters:
        return
    from workbench.studies.prismatic.training_set import parse  # which imports pandas

    wanted, n = parse(params.save_clusters), CORPUS[params.profile]
    if not is_drawn:
        read = checks.problems(params, least=0) if checks.limit(params.data) is None else None
        if read is None:
            return
        n = min(n, len(read)) if params.profile == REAL else len(read)
    last = n_clusters(n, SHARES[params.profile]) - 1
    if isinstance(wanted, list) and max(wanted, default=0) > last:
        raise UserError(
            f"save_clusters={params.save_clusters}: the map of {n:,} problems has no cluster {max(wanted)}, "
            f"only 0 to {last}."
        )


def _check_sketches(params: Any) -> None:
    """Whether a folder holds finished sketches that were made as these parameters say."""
    folder = Path(params.sketches)
    if not folder.is_dir():
        raise UserError(f"sketches: there is no folder {folder}: `workbench sketch` fills one.")
    with checks.said_of("sketches"):
        if not shards.n_shards(folder):
            raise UserError(f"The folder {folder} holds no finished sketches: `workbench sketch` makes them.")
        made = read_json(folder / "manifest.json")
    for name in ("dimension", "method", "seed", "truncate", "chat"):
        if isinstance(made, dict) and made.get(name) != getattr(params, name):
            raise UserError(
                f"sketches: {folder} was made with {name}={made.get(name)}, and not {getattr(params, name)}: "
                "give the same here, or another folder."
            )
