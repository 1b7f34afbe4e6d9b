"""Reinforcement: policy gradients on what a model itself writes, stopped and resumed without a trace.

Over trl's `GRPOTrainer`, whose losses, clipping and buffering these are; the completions come from our own
sampler, the advantages from the rewards of a group (Shao et al. 2024, arXiv 2402.03300, section 4.1).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from workbench.engine.checks import check
from workbench.engine.models import context_length
from workbench.engine.rl.objective import Loss, Objective, Reward, RLConfig, Row
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.training.checkpoints import describe, load_if_finished
from workbench.engine.training.common import History, Precision, unchanged_length, uses_bf16, world_size
from workbench.engine.training.lora import Lora, fingerprint
from workbench.engine.training.memory import master_weights, micro_batch
from workbench.errors import UserError
from workbench.files import recover_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def reinforce(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[Row],
    reward: Reward | Objective,
    config: RLConfig,
    *,
    steps: int,
    folder: str | Path,
    seed: int = 0,
    lora: Lora | None = None,
    batch_size: int | None = None,
    precision: Precision = "fp32",
    checkpoint_every: int | None = None,
    sampler: Sampler | None = None,
    log: Callable[[dict[str, float]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> History:
    """Train `model` in place on the rewards of its own completions, and leave it in `folder`.

    A repeated call goes on or loads what is finished, as `train.train` does. Under `torchrun` the processes
    share the prompts of each step. Arguments that are not named here are those of `train.train`.

    Args:
        model: its weights become fp32, as in `train.train`.
        rows: each with a `prompt` and whatever the reward wants to know; every pass is shuffled anew.
        reward: of completions and their rows (a row comes as often as it has completions), one number each;
            or an `Objective`, which can do more.
        seed: of the order of the rows and of all draws.
        lora: trains an adapter instead of the weights.
        batch_size: completions drawn side by side, and in a forward pass; None for as many of a step as
            `memory.micro_batch` says.
        precision: of the passes that learn; see `TrainConfig`.
        checkpoint_every: steps; None for a tenth of the training.
        sampler: draws the completions in place of the model itself, and must return log-probabilities.
        stop: when true, the call returns once the completions have had all their updates.

    Returns:
        A row a step: step, tokens (prompts and completions so far), reward (mean), reward_spread (mean
        standard deviation within groups), degenerate_groups (share whose rewards are all equal, which teach
        nothing), length (mean tokens), truncated (share cut at their longest), entropy (nats per token),
        clipped (share of tokens whose ratio is), moved (nats per token between the policy that drew and the
        one that learns: rounding alone where num_iterations=1), kl (from the reference, where `config.kl`
        asks for it), seconds, and the objective's own.

    Raises:
        UserError: settings contradict each other, rewards are not numbers or not one a completion, a prompt
            fills the context, the model fails `checks.check`, or `folder` holds another training or cannot be
            written.
    """
    folder = Path(folder)
    recover_folder(folder)
    objective = reward if isinstance(reward, Objective) else Objective(reward)
    _check(rows, config, lora, steps, batch_size)
    check(model, tokenizer)
    longest = _longest_prompt(model, tokenizer, rows, config.max_new_tokens)
    master_weights(model, adapter=lora is not None)
    if batch_size is None:
        n, new = config.group_size * config.prompts_per_step // world_size(), config.max_new_tokens
        batch_size = micro_batch(model, n, longest + new, scored=new + 1).rows
    # What JSON does not know (a problem, say) goes uncounted: its text may hold an address.
    known = json.dumps(list(rows), default=lambda _: "")
    settings = {
        "model": describe(model) | {"weights": fingerprint(model)},
        "rows": hashlib.sha256(known.encode()).hexdigest(),
        "steps": steps,
        "batch_size": batch_size,
        "precision": "bf16" if uses_bf16(model, precision) else "fp32",
        "lora": asdict(lora) if lora else None,
        "seed": seed,
        **config.saved(),
        **objective.settings,
    }
    past = load_if_finished(folder, settings, model)
    if past is not None:
        return History(past, finished=True)
    from workbench.engine.rl.loop import run

    every = checkpoint_every or max(1, steps // 10)
    return run(model, tokenizer, rows, objective, config, sampler, folder, settings, every, log, stop, lora)


def _check(
    rows: Sequence[Row], config: RLConfig, lora: Lora | None, steps: int, batch_size: int | None
) -> None:
    if not len(rows):
        raise UserError("There are no rows to draw prompts from.")
    if not all(isinstance(row.get("prompt"), str) for row in rows):
        raise UserError("Every row needs a prompt, which is a text.")
    if config.group_size < 2:
        raise UserError(
            f"group_size={config.group_size}: a completion is judged against others, so give 2 or more."
        )
    if min(steps, config.num_iterations, config.prompts_per_step, config.max_new_tokens) < 1:
        raise UserError("steps, num_iterations, prompts_per_step and max_new_tokens must be at least 1.")
    if not 0 < config.temperature < math.inf or not 0 < config.learning_rate < math.inf:
        raise UserError("Learning from draws needs a temperature and a learning rate above 0.")
    if config.scale not in ("group", "batch", "none"):
        raise UserError(f"scale={config.scale!r} is not one of group, batch and none.")
    if config.loss not in get_args(Loss):
        raise UserError(f"loss={config.loss!r} is not one of {', '.join(get_args(Loss))}.")
    if config.reference_every is not None and lora:
        raise UserError("reference_every needs weights of its own: train all weights, without lora.")
    if config.reference_every is not None and not config.kl:
        raise UserError("reference_every renews a reference that only kl > 0 looks at.")
    if config.prompts_per_step % world_size():
        raise UserError(
            f"prompts_per_step={config.prompts_per_step} must be divisible by the {world_size()} processes."
        )
    size = config.group_size * config.prompts_per_step // world_size()
    if batch_size is not None and (batch_size < 1 or size % batch_size):
        raise UserError(f"batch_size={batch_size} must divide the {size} completions of a process.")


def _longest_prompt(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row], new: int
) -> int:
    """Tokens of the longest prompt, if the model can learn from `new` tokens behind it."""
    context = context_length(model)
    lengths = [len(ids) for ids in prompt_tokens(tokenizer, [row["prompt"] for row in rows])]
    longest = max(range(len(rows)), key=lengths.__getitem__)
    if lengths[longest] >= context:
        raise UserError(
            f"The prompt {rows[longest]['prompt'][:40]!r}... of {lengths[longest]} tokens leaves no room in "
            f"the model's context of {context}."
        )
    if 0 < (most := unchanged_length(model)) < lengths[longest] + new:
        raise UserError(
            f"{type(model).__name__} reads texts in another way once they have more than {most} tokens, so "
            f"that what it wrote cannot be learnt from: prompts of up to {lengths[longest]} tokens and "
            f"completions of {new} are too long."
        )
    return lengths[longest]
