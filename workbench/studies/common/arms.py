"""Arms x seeds: who learns what, trained side by side, gone on with after a kill, and collected."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from workbench.engine.parallel import run_parallel
from workbench.errors import UserError
from workbench.files import explain_write_error

Row = dict[str, Any]
Seeds = Sequence[int] | None  # None: one repetition, without a folder of its own
_PLACEBO = 10_000  # between the seeds of a placebo arm and those of its control


class TrainArm(Protocol):
    """Trains one arm of one seed, and leaves its models and tables in a folder."""

    def __call__(
        self,
        folder: Path,
        arm: str,
        seed: Any,  # None where there are no repetitions
        /,
        *,
        log: Callable[[Row], None],
    ) -> None: ...


def arm_folder(folder: Path, arm: str, seed: int | None = None) -> Path:
    """Where the models and tables of an arm are; it is there once the arm has finished."""
    name = arm.replace(",", "").replace(" ", "-")
    return folder / name if seed is None else folder / f"seed-{seed}" / name


def run_arms(
    folder: Path,
    arms: Sequence[str],
    seeds: Seeds,
    train_arm: TrainArm,
    *,
    unit: str = "arm",
    total: int = 1,
    together: Sequence[str] = (),
    device: str = "cpu",
    processes: int | None = None,
    placebo_of: str | None = None,
    log: Callable[[str, int | None, Row], None] = lambda *_: None,
) -> None:
    """Trains every arm of every seed that has not finished yet.

    Args:
        folder: of all of them, see `arm_folder`.
        arms: their names; the longest first keeps all processes busy.
        seeds: repetitions.
        train_arm: a module's function, or a `partial` of one, that is called with a folder, an arm, a seed
            and `log=…`. The folder bears a name of its own until the arm has finished; of one that was cut
            off it holds what was there. What has a name with a leading dot in it is removed in the end.
        unit: what an arm counts with `log({"done": …})`, for the bar.
        total: how many of them make a whole arm.
        together: arms that need those before them: one process trains all of a seed, in this order.
        device: where they are trained: side by side on the CPU, elsewhere one after the other.
        processes: arms at a time instead.
        placebo_of: the control, in a placebo run: every other arm is trained as the control is, with seeds of
            its own, so that whatever is then found between arms is chance.
        log: called with arm, seed and each row that it logs.

    Raises:
        UserError: a placebo run that has no arm beside its control.
    """
    if placebo_of is not None and set(arms) <= {placebo_of}:
        raise UserError(f"placebo=true needs an arm beside the control, {placebo_of}: give it one.")
    roles = _roles(arms, seeds, placebo_of)
    tasks = {}
    for group in [list(together), *([arm] for arm in arms if arm not in together)]:
        for seed in (None,) if seeds is None else seeds:
            waiting = [arm for arm in group if not arm_folder(folder, arm, seed).exists()]
            if waiting:
                name = waiting[0] if seed is None else f"{waiting[0]}-{seed}"
                tasks[name] = (waiting, seed)
    if tasks:
        run_parallel(
            partial(_train, train_arm, folder, total, roles),
            tasks,
            total=total * sum(len(waiting) for waiting, _ in tasks.values()),
            unit=unit,
            device=device,
            processes=processes,
            log=lambda _, row: log(row.pop("arm"), row.pop("seed"), row),
        )


def _roles(
    arms: Sequence[str], seeds: Seeds, placebo_of: str | None
) -> dict[tuple[str, int | None], tuple[str, int | None]]:
    """As which arm, and with which seed, each arm of each seed is trained; as itself but in a placebo run."""
    every: list[int | None] = [None] if seeds is None else list(seeds)
    roles = {(arm, seed): (arm, seed) for arm in arms for seed in every}
    if placebo_of is not None:
        others = [arm for arm in arms if arm != placebo_of]
        for number, arm in enumerate(others, 1):
            for seed in every:
                roles[arm, seed] = (placebo_of, (seed or 0) + number * _PLACEBO)
    return roles


def _train(
    train_arm: TrainArm,
    folder: Path,
    total: int,
    roles: dict[tuple[str, int | None], tuple[str, int | None]],
    arms: Sequence[str],
    seed: int | None,
    *,
    log: Callable[[Row], None],
) -> None:
    """The arms of a task, one after the other."""

    def note(arm: str, before: int, row: Row) -> None:
        done = {"done": before + row.get("done", 0)}
        log(done if row.keys() == {"done"} else {**row, **done, "arm": arm, "seed": seed})

    for number, arm in enumerate(arms):
        final = arm_folder(folder, arm, seed)
        working = final.with_name(f".{final.name}")
        with explain_write_error(working):
            working.mkdir(parents=True, exist_ok=True)
        train_arm(working, *roles[arm, seed], log=partial(note, arm, number * total))
        with explain_write_error(final):
            working.rename(final)
        for rest in final.glob(".*"):
            shutil.rmtree(rest, ignore_errors=True)
        log({"done": (number + 1) * total})


def collect(folder: Path, arms: Sequence[str], seeds: Seeds, table: str) -> pd.DataFrame:
    """One table of every arm and seed that has it, put together; with columns seed (where there are) and arm.

    Args:
        folder: see `run_arms`.
        arms: whose.
        seeds: of which repetitions.
        table: name of the parquet file; `*` stands for anything, in the order of the names.
    """
    frames = []
    for seed in (None,) if seeds is None else seeds:
        for arm in arms:
            for path in sorted(arm_folder(folder, arm, seed).glob(f"{table}.parquet")):
                about = {"arm": arm} if seed is None else {"seed": seed, "arm": arm}
                frames.append(pd.read_parquet(path).assign(**about))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
