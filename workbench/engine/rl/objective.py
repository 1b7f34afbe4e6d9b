"""What reinforcement aims at: settings, rewards, advantages, and the hooks of an objective."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from workbench.engine.sampling.sampler import Completion

Loss = Literal["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]
Scale = Literal["group", "batch", "none"]
Row = dict[str, Any]
Reward = Callable[[list[Completion], list[Row]], Sequence[float]]


@dataclass(frozen=True)
class RLConfig:
    """How completions are drawn, and how a step learns from them."""

    group_size: int = 8  #: completions of each prompt, at least 2: each is judged against the others
    prompts_per_step: int = 32  #: prompts drawn at a time, over all processes
    max_new_tokens: int = 64  #: longest completion
    temperature: float = 1.0  #: of the draws, and of the policy that is trained
    stop: tuple[str, ...] = ()  #: strings before which a completion ends
    learning_rate: float = 2e-4  #: constant
    #: how tokens are averaged and ratios clipped, by trl's names: `grpo` (1 / length of each completion),
    #: `bnpo` and `dapo` (all tokens alike), `dr_grpo` (1 / max_new_tokens), `cispo`, ...
    loss: Loss = "grpo"
    #: what advantages are divided by: the standard deviation of the group, of the batch, or nothing.
    scale: Scale = "group"
    clip_low: float = 0.2  #: a ratio of probabilities below 1 - clip_low no longer counts
    #: nor does one above 1 + clip_high; for `cispo` it is the largest ratio itself (5, say).
    clip_high: float = 0.2
    num_iterations: int = 1  #: optimizer steps on the same completions
    #: ratios of single tokens, or of whole completions (GSPO, Zheng et al. 2025, arXiv 2507.18071).
    importance_level: Literal["token", "sequence"] = "token"
    kl: float = 0.0  #: weight of the divergence from the reference: the model as it was at the start
    #: steps after which the reference becomes the model as it is (ProRL, Liu et al. 2025, arXiv 2505.24864,
    #: section 3); None for never.
    reference_every: int | None = None

    def saved(self) -> dict[str, Any]:
        """As JSON, under the keys that folders of trainings have always had."""
        keys = {"group_size": "group", "num_iterations": "updates", "importance_level": "level"}
        values = asdict(self) | {"stop": list(self.stop)}
        return {keys.get(name, name): value for name, value in values.items()}


@dataclass(frozen=True)
class SupervisedTail:
    """What follows a completion: tokens that are only read, then tokens whose likelihood is learnt."""

    context: list[int]
    target: list[int]


class Objective:
    """What a training strives for: rewards, and what may be done besides; here, nothing is.

    Attributes:
        settings: what a training that goes on has to share with the one before (JSON).
        aux_loss_weight: of the mean loss, in nats, of what `supervised_tails` returns.
    """

    settings: ClassVar[dict[str, Any]] = {}
    aux_loss_weight = 0.0

    def __init__(self, reward: Reward | None = None) -> None:
        self._reward = reward

    def reward(self, completions: list[Completion], rows: list[Row]) -> Sequence[float]:
        """One reward a completion; the model is in evaluation mode and no gradient is taken."""
        assert self._reward is not None  # or a subclass says what is rewarded
        return self._reward(completions, rows)

    def advantages(self, rewards: Tensor) -> Tensor | None:
        """Advantages in place of those of `RLConfig.scale`, from rewards `[prompts, group_size]`."""
        return None

    def supervised_tails(self, completions: list[Completion], rows: list[Row]) -> list[SupervisedTail] | None:
        """What follows each completion."""
        return None

    def after_step(self) -> None:
        """Called after each optimizer step."""

    def metrics(self) -> dict[str, float]:
        """What to log of the step, beside what always is."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint has to hold."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` returned."""


def group_advantages(rewards: Tensor, scale: Scale = "none") -> Tensor:
    """Rewards against the mean of their group, divided by a standard deviation (with 1e-4, as in trl).

    Args:
        rewards: `[prompts, group_size]`.

    Returns:
        `[prompts, group_size]`; each group's sum is zero.
    """
    centred = rewards - rewards.mean(1, keepdim=True)
    if scale == "group":
        return centred / (rewards.std(1, keepdim=True) + 1e-4)
    return centred / (rewards.std() + 1e-4) if scale == "batch" else centred
