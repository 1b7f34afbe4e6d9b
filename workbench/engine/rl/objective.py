"""What reinforcement aims at: settings, rewards, advantages, and the hooks of an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor

from workbench.engine.sampling.sampler import Completion

if TYPE_CHECKING:
    pass


Loss = Literal["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]


Scale = Literal["group", "batch", "none"]


Row = dict[str, Any]


Reward = Callable[[list[Completion], list[Row]], Sequence[float]]


@dataclass(frozen=True)
class RLConfig:
    """How completions are drawn, and how a step learns from them.

    Attributes:
        group: completions of each prompt, at least 2: each is judged against the others.
        prompts_per_step: prompts drawn at a time, over all processes.
        max_new_tokens: longest completion.
        temperature: of the draws, and of the policy that is trained.
        stop: strings before which a completion ends.
        learning_rate: constant.
        loss: how tokens are averaged and ratios clipped, by trl's names: `grpo` (1 / length of each
            completion), `bnpo` and `dapo` (all tokens alike), `dr_grpo` (1 / max_new_tokens), `cispo`, ...
        scale: what advantages are divided by: the standard deviation of the group, of the batch, or nothing.
        clip_low: a ratio of probabilities below 1 - clip_low no longer counts.
        clip_high: nor does one above 1 + clip_high; for `cispo` it is the largest ratio itself (5, say).
        updates: optimizer steps on the same completions.
        level: ratios of single tokens, or of whole completions (GSPO, Zheng et al. 2025, arXiv 2507.18071).
        kl: weight of the divergence from the reference: the model as it was at the start.
        reference_every: steps after which the reference becomes the model as it is (ProRL, Liu et al. 2025,
            arXiv 2505.24864, section 3); None for never.
    """

    group: int = 8
    prompts_per_step: int = 32
    max_new_tokens: int = 64
    temperature: float = 1.0
    stop: tuple[str, ...] = ()
    learning_rate: float = 2e-4
    loss: Loss = "grpo"
    scale: Scale = "group"
    clip_low: float = 0.2
    clip_high: float = 0.2
    updates: int = 1
    level: Literal["token", "sequence"] = "token"
    kl: float = 0.0
    reference_every: int | None = None


@dataclass(frozen=True)
class SupervisedTail:
    """What follows a completion and is learnt by its likelihood: tokens only read, then tokens learnt."""

    read: list[int]
    learnt: list[int]


class Objective:
    """What a training strives for: rewards, and what may be done besides; here, nothing is.

    Attributes:
        settings: what a training that goes on has to share with the one before (JSON).
        taught_weight: of the mean loss, in nats, of what `taught` returns.
    """

    settings: ClassVar[dict[str, Any]] = {}
    taught_weight = 0.0

    def __init__(self, reward: Reward | None = None) -> None:
        self._reward = reward

    def reward(self, completions: list[Completion], rows: list[Row]) -> Sequence[float]:
        """One reward a completion; the model is in evaluation mode and no gradient is taken."""
        return self._reward(completions, rows)

    def advantages(self, rewards: Tensor) -> Tensor | None:
        """Advantages in place of those of `Policy.scale`, from rewards `[prompts, group]`."""
        return None

    def taught(self, completions: list[Completion], rows: list[Row]) -> list[SupervisedTail] | None:
        """What follows each completion."""
        return None

    def after_step(self) -> None:
        """Called after each optimizer step."""

    def metrics(self) -> dict[str, float]:
        """What to log of the step, beside what always is."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint has to hold."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` returned."""


def group_advantages(rewards: Tensor, scale: Scale = "none") -> Tensor:
    """Rewards against the mean of their group, divided by a standard deviation (with 1e-4, as in trl).

    Args:
        rewards: `[prompts, group]`.
        scale: see `Policy.scale`.

    Returns:
        `[prompts, group]`; each group's sum is zero.
    """
    centred = rewards - rewards.mean(1, keepdim=True)
    if scale == "group":
        return centred / (rewards.std(1, keepdim=True) + 1e-4)
    return centred / (rewards.std() + 1e-4) if scale == "batch" else centred
