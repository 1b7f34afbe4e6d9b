"""From answers to tables: accuracy by position in the chain, heads that associate, links that are broken."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora.lego import CLAUSE, Chains, Words, draw
from workbench.engine import loading
from workbench.engine.models import evaluating
from workbench.errors import UserError
from workbench.measures.statistics import wilson
from workbench.measures.summaries import summarise
from workbench.studies.common.arms import arm_folder
from workbench.studies.lego.method import answers, right, sees_all
from workbench.studies.lego.mimicking import patterns
from workbench.studies.lego.settings import CHECKS, Sizes
from workbench.studies.lego.times import ASKED, GUESSING, Checks

TRAINED = 2 * GUESSING  # share of first positions right at the end, below which nothing was learnt at all


def load(folder: Path, arms: Mapping[str, str], seeds: Sequence[int]) -> tuple[dict, Checks]:
    """The models of the first seed, and the checks of all that were trained.

    Args:
        folder: of `method.train_all`.
        arms: the arm behind each name to show.
        seeds: of the trainings; an arm that has fewer has the first ones.
    """
    first = {name: arm_folder(folder, arm, seeds[0]) for name, arm in arms.items()}
    checks = {}
    for name, arm in arms.items():
        files = [arm_folder(folder, arm, seed) / "checks.npy" for seed in seeds]
        checks[name] = np.stack([np.load(path) for path in files if path.exists()])
    return {name: loading.load(inner, "cpu")[0] for name, inner in first.items()}, checks


def untrained(checks: Checks, seeds: Sequence[int], least: float | None = None) -> dict[int, list[str]]:
    """The seeds of which a training has not learnt anything, and which models those are.

    The rule was fixed before any run: the first position, which stands in its clause, is right in less than
    two of five cases at the end, twice as often as by guessing (or than `least`). Such a seed is left out for
    all arms.
    """
    failed: dict[int, list[str]] = {}
    for name, checked in checks.items():
        for seed, accuracy in zip(seeds, checked[:, -1, ..., 0, 0].mean((1, 2)), strict=False):
            if accuracy < (TRAINED if least is None else least):
                failed.setdefault(seed, []).append(name)
    return failed


def without(checks: Checks, seeds: Sequence[int], failed: Mapping[int, Any]) -> tuple[Checks, list[int]]:
    """The checks and the seeds that are left.

    Raises:
        UserError: none is.
    """
    kept = [number for number, seed in enumerate(seeds) if seed not in failed]
    if not kept:
        raise UserError("In no seed has every model learnt the first position of its chain: raise n_steps.")
    left = {name: of[[number for number in kept if number < len(of)]] for name, of in checks.items()}
    return left, [seeds[number] for number in kept]


def left_out(failed: Mapping[int, Sequence[str]], seeds: int) -> str:
    """How many seeds are left out because a training of theirs learnt nothing, as a sentence."""
    if not failed:
        return f"All trainings of {seeds} {'seed' if seeds == 1 else 'seeds'} learnt the first position."
    which = "; ".join(f"seed {seed}: {', '.join(names)}" for seed, names in failed.items())
    return (
        f"{len(failed)} of {seeds} seeds are left out, because a training did not learn even the first "
        f"position ({which})."
    )


def accuracies(checks: Checks, sizes: Sizes, seeds: Sequence[int]) -> pd.DataFrame:
    """Columns model, seed, step, position (from 1), asked, value, low, high, n (answers), after Wilson."""
    return pd.DataFrame(
        {
            "model": name,
            "seed": seed,
            "step": number * sizes.steps // CHECKS,
            "position": position,
            "asked": asked,
            **_share(correct[..., position - 1, ASKED.index(asked)]),
        }
        for name, checked in checks.items()
        for seed, of_seed in zip(seeds, checked, strict=False)
        for number, correct in enumerate(of_seed, 1)
        for position in range(1, sizes.n + 1)
        for asked in ASKED
    )


def over_trainings(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The means of `accuracies` over seeds, n counting trainings; of one seed, as it is."""
    if accuracy["seed"].nunique() == 1:
        return accuracy
    table = summarise(accuracy, ["model", "step", "position", "asked"], "value")
    return table.assign(low=table["low"].clip(lower=0), high=table["high"].clip(upper=1))


def _share(correct: np.ndarray) -> dict[str, Any]:
    return wilson(int(correct.sum()), correct.size).row()


def broken_links(
    fitted: Mapping[str, PreTrainedModel], vocabulary: Words, sizes: Sizes, seed: int
) -> pd.DataFrame:
    """Look-ups of a clause that refers to nobody: columns model, position, value, low, high, n.

    At each trained position in turn the clause there, in one of the two chains, refers to a name of which
    nothing is said. The value is the share that is answered as if the link were whole: a fifth where the
    model looks up, since nothing can be known; more where it answers from what else the string holds.
    """
    rows = []
    for position in range(2, sizes.n_train + 1):
        for name, model in fitted.items():
            rng = np.random.default_rng([seed, 4, position])
            ways = {"both_ways": sees_all(name, model), "broken": position - 1}
            chains = draw(vocabulary, sizes.tested, sizes.n, rng, **ways)
            correct = right(model, chains, vocabulary)[:, 0, position - 1, 1]
            rows.append({"model": name, "position": position, **_share(correct)})
    return pd.DataFrame(rows, columns=["model", "position", "value", "low", "high", "n"])


# ------------------------------------------------------------------------------- heads
def head_scores(
    fitted: Mapping[str, PreTrainedModel], vocabulary: Words, sizes: Sizes, seed: int
) -> pd.DataFrame:
    """Association and manipulation of every head: columns model, layer, head, score, value, low, high, n.

    Association: attention to other equal words that a token can see, over tokens that have some;
    manipulation: attention to the token's own clause. Means over strings.
    """
    frames = []
    for name, model in fitted.items():
        both_ways, rng = sees_all(name, model), np.random.default_rng([seed, 5])
        ids = torch.from_numpy(draw(vocabulary, sizes.strings, sizes.n, rng, both_ways=both_ways).ids)
        with evaluating(model), torch.no_grad():
            by_layer = patterns(model, ids, both_ways)
        for layer, pattern in enumerate(by_layer):
            for score, by_string in _scores(pattern, ids, both_ways).items():
                frame = pd.DataFrame(by_string.numpy()).melt(var_name="head")
                frames.append(frame.assign(model=name, layer=layer, score=score))
    return summarise(pd.concat(frames), ["model", "layer", "head", "score"], "value")


def _scores(pattern: Tensor, ids: Tensor, both_ways: bool) -> dict[str, Tensor]:
    """The two scores by string and head, from the attention of one layer."""
    position = torch.arange(ids.shape[1])
    clause = (position - 1) // CLAUSE
    other = position[:, None] != position if both_ways else position[:, None] > position
    same = (ids[:, :, None] == ids[:, None]) & other
    within = (clause[:, None] == clause) & (position > 0)
    repeated = same.any(-1)[:, None]
    equal = (pattern * same[:, None]).sum(-1).masked_fill(~repeated, 0).sum(-1) / repeated.sum(-1)
    return {"association": equal, "manipulation": (pattern * within).sum(-1)[..., 1:].mean(-1)}


def example(
    model: PreTrainedModel, name: str, vocabulary: Words, n: int, number: int
) -> tuple[Chains, np.ndarray]:
    """A string of chains and a model's answers for its clauses, `[clauses]`."""
    rng = np.random.default_rng([number, 9])
    chains = draw(vocabulary, 1, n, rng, both_ways=sees_all(name, model))
    return chains, answers(model, chains, vocabulary).argmax(-1)[0].detach().numpy()
