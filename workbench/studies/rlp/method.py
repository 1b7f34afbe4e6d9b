"""RLP: reinforcement as a pre-training objective (Hatamizadeh et al. 2025, arXiv 2510.01265, section 2).

Before the next token x_t of a document the model theta samples thoughts c_1 ... c_G after x_<t. The reward of
a thought is its *information gain* over the *no-think baseline* phi, a moving average of theta's weights that
reads the same document without a thought:

    r_i = log p_theta(x_t | x_<t, c_i) - log p_phi(x_t | x_<t)         no gradient through either
    A_i = G / (G - 1) (r_i - mean r)                                   not divided by a deviation
    J   = mean over thoughts of 1 / |c_i| sum over their tokens of min(rho A_i, clip(rho, 1 - e, 1 + e) A_i)
    phi <- tau phi + (1 - tau) theta                                   after each optimizer step

As published: only a thought's tokens learn, without a penalty (KL) or a loss of x_t. What differs: thoughts
stand between marks, where the paper asks for them by a system prompt; e is GRPO's 0.2, where the paper names
none; and there is more to choose from, of which the paper has nothing: several next tokens (`horizon`), their
own loss behind the thought (`next_token_weight`), RPT's reward of a right prediction (Dong et al. 2025, arXiv
2506.08007, section 3.2), and `baseline="ema"`. The last because log p_phi(x_t | x_<t) is the same for all
thoughts of a context: it cancels in r_i - mean r, so that phi and tau cannot change what is learnt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.engine.models import context_length
from workbench.engine.rl.ema import WeightEMA
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import Objective, RLConfig, Row, SupervisedTail, group_advantages
from workbench.engine.sampling.sampler import Completion
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.tokens import continued, encode_pairs, end_tokens
from workbench.engine.training.common import History
from workbench.engine.traits import traits
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)
Position = tuple[str, str]  # a document up to a token, and from it on


@dataclass(frozen=True)
class Thinking:
    """How a thought is marked in the text, and what it is for."""

    opening: str = " <t>"  #: follows the beginning of the document; the thought comes next
    closing: str = " </t>"  #: ends the thought; it is put behind one that did not end
    max_tokens: int = 64  #: longest thought, with what closes it
    horizon: int = 1  #: tokens of the document that the thought should help to predict


def rlp(
    objective: InformationGain,
    positions: Sequence[Position],
    config: RLConfig,
    *,
    steps: int,
    folder: str | Path,
    **options: Any,
) -> History:
    """Train the objective's model in place to think before it goes on with a document.

    `reinforce` samples the thoughts and takes the steps on the clipped surrogate; it asks the objective for
    rewards and advantages, and tells it when phi has to follow.

    Args:
        objective: the model, how it thinks, and what for.
        positions: where it thinks; see `data.positions`.
        config: its stop and max_new_tokens are those of the thoughts, and its scale is not looked at.
        steps, folder, **options: see `reinforce`.

    Returns:
        The history of `reinforce`, with information_gain, nats_with_thought, nats_without (both of the model
        as it is), nats_without_average, nats_without_opening (the document alone, the probability of opening
        a thought taken out) and right (share whose most likely tokens are the document's).

    Raises:
        UserError: as `reinforce`; no document goes on for the horizon, or thoughts do not fit the context.
    """
    model, tokenizer, thinking = objective.model, objective.tokenizer, objective.thinking
    if not thinking.closing or min(thinking.horizon, thinking.max_tokens) < 1:
        raise UserError("A thought needs a closing, and max_tokens and horizon of at least 1.")
    rows = rows_of(tokenizer, positions, thinking)
    longest, context = max(len(row["asked"]) for row in rows), context_length(model)
    longest += thinking.max_tokens + len(objective.closing) + thinking.horizon
    if longest > context:
        raise UserError(
            f"A document and its thought take up to {longest} tokens, more than the context of "
            f"{context}: shorten either."
        )
    config = replace(config, max_new_tokens=thinking.max_tokens, stop=(thinking.closing,))
    return reinforce(model, tokenizer, rows, objective, config, steps=steps, folder=folder,
                     batch_size=objective.batch_size, **options)  # fmt: skip


class InformationGain(Objective):
    """The objective of RLP: rewards, advantages and the no-think baseline phi."""

    settings: dict[str, Any]

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        thinking: Thinking,
        *,
        decay: float = 0.999,
        baseline: Literal["group", "ema"] = "group",
        reward: Literal["gain", "prefix"] = "gain",
        next_token_weight: float = 0.0,
        batch_size: int | None = None,
    ) -> None:
        """The objective for a model.

        Args:
            model: its device is where it is trained.
            decay: tau.
            baseline: `group` (the other thoughts) or `ema` (phi alone: the gain is the advantage).
            reward: `gain`, or `prefix` (RPT: 1 if the most likely token is the document's at every step of
                the horizon, else 0).
            next_token_weight: of the loss of the next tokens behind the thought, which calibrates what the
                reward is read from; 0 in the paper.
            batch_size: completions in a forward pass, learnt from or scored; see `reinforce`.

        Raises:
            UserError: a value is out of range.
        """
        if baseline not in ("group", "ema") or reward not in ("gain", "prefix"):
            raise UserError("The baseline is group or ema, and the reward gain or prefix.")
        if not 0 <= decay <= 1 or next_token_weight < 0:
            raise UserError("The decay lies between 0 and 1, and next_token_weight is not below 0.")
        super().__init__()
        self.model, self.tokenizer, self.thinking, self.batch_size = model, tokenizer, thinking, batch_size
        self.baseline, self.kind, self.aux_loss_weight = baseline, reward, next_token_weight
        self.no_think = WeightEMA(model, decay)
        self.closing = continued(tokenizer, thinking.closing)
        self.opening = continued(tokenizer, thinking.opening)
        self.ends = set(end_tokens(model, tokenizer))
        self.measured: dict[str, float] = {}
        self.settings = {
            "thinking": asdict(thinking),
            "objective": [decay, baseline, reward, next_token_weight],
        }

    def reward(self, completions: list[Completion], rows: list[Row]) -> np.ndarray:
        """Information gain of each thought; of RPT whether the prediction behind it is right."""
        self.no_think.begin()
        contexts = {id(row): row for row in rows}  # a row comes as often as it has thoughts
        thoughts = [self.after(thought, row) for thought, row in zip(completions, rows, strict=True)]
        plain = [(row["context"], row["target"]) for row in contexts.values()]
        openings = [(row["context"], self.opening[:1]) for row in contexts.values() if self.opening]
        nats, right = score(self.model, thoughts + plain + openings, self.batch_size or 256)
        with self.no_think.in_place():
            no_think, _ = score(self.model, plain, self.batch_size or 256)
        with_thought, without, opening = np.split(nats, [len(thoughts), len(thoughts) + len(plain)])
        number = {row: index for index, row in enumerate(contexts)}
        gain = no_think[[number[id(row)] for row in rows]] - with_thought
        unopened = np.log1p(-np.exp(-opening).clip(max=1 - 1e-9)) if len(opening) else 0.0
        self.measured = {
            "information_gain": gain.mean(),
            "nats_with_thought": with_thought.mean(),
            "nats_without": without.mean(),
            "nats_without_average": no_think.mean(),
            "nats_without_opening": (without + unopened).mean(),
            "right": right[: len(thoughts)].mean(),
        }
        return gain if self.kind == "gain" else right[: len(thoughts)].astype(float)

    def advantages(self, rewards: Tensor) -> Tensor:
        return rewards if self.baseline == "ema" else group_relative_advantages(rewards)

    def after(self, thought: Completion, row: Row) -> tuple[list[int], list[int]]:
        """The tokens up to the end of a thought, and the next ones of the document."""
        return row["asked"] + thought.tokens + self.close(thought), row["target"]

    def close(self, thought: Completion) -> list[int]:
        """The tokens that have to end a thought: none where it ended itself."""
        closed = thought.finish_reason == "stop" and not self.ends.intersection(thought.tokens[-1:])
        return [] if closed else self.closing

    def supervised_tails(self, completions: list[Completion], rows: list[Row]) -> list[SupervisedTail]:
        pairs = zip(completions, rows, strict=True)
        return [SupervisedTail(self.close(thought), row["target"]) for thought, row in pairs]

    def after_step(self) -> None:
        self.no_think.update()

    def metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.measured.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return self.no_think.weights

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.no_think.weights = state


def group_relative_advantages(rewards: Tensor) -> Tensor:
    """A_i = G / (G - 1) (r_i - mean r), which is r_i against the mean of the others; `[contexts, G]`."""
    group_size = rewards.shape[1]
    return group_advantages(rewards) * (group_size / (group_size - 1))


def rows_of(
    tokenizer: PreTrainedTokenizerFast, positions: Sequence[Position], thinking: Thinking
) -> list[Row]:
    """What `reinforce` asks of each position: the prompt (its tokens: asked), context and target tokens.

    Raises:
        UserError: no document goes on for the horizon; the single ones that do not are left out.
    """
    before = [text for text, _ in positions]
    prompts = prompt_tokens(tokenizer, [text + thinking.opening for text in before])
    contexts = prompt_tokens(tokenizer, before)
    after = [ids[: thinking.horizon] for _, ids in encode_pairs(tokenizer, positions)]
    rows = [
        {"prompt": text + thinking.opening, "asked": prompt, "context": context, "target": target}
        for text, prompt, context, target in zip(before, prompts, contexts, after, strict=True)
        if len(target) == thinking.horizon
    ]
    if not rows:
        raise UserError(
            f"No text goes on for the {thinking.horizon} tokens of the horizon: give longer ones."
        )
    if missing := len(positions) - len(rows):
        logger.warning("%d of %d positions are left out: nothing for the horizon.", missing, len(positions))
    return rows


@torch.no_grad()
def score(
    model: PreTrainedModel, rows: Sequence[tuple[list[int], list[int]]], batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """-log p of what follows, and whether each of its tokens is the most likely one, `[rows]` both.

    Args:
        rows: (tokens before, tokens to score), neither empty.
    """
    nats, right = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index][0]) + len(rows[index][1]))
    longest = max((len(target) for _, target in rows), default=1)
    size = min(batch_size, max(1, (1 << 27) // (model.config.get_text_config().vocab_size * longest)))
    size = size if traits(model).ignores_batch_mates else 1
    for begin in range(0, len(order), size):
        batch = order[begin : begin + size]
        # Padded on the left, so that what is scored stands in the last columns.
        texts = [torch.tensor(rows[index][0] + rows[index][1]) for index in batch]
        ids = pad_sequence(texts, batch_first=True, padding_value=-1, padding_side="left").to(model.device)
        lengths = torch.tensor([len(rows[index][1]) for index in batch], device=model.device)
        longest = int(lengths.max())
        mask = (ids >= 0).long()
        options = {"attention_mask": mask[:, :-1]}
        if traits(model).takes_positions:
            options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, :-1]
        ids = ids.clamp(min=0)
        logits = model(ids[:, :-1], use_cache=False, logits_to_keep=longest, **options).logits
        logits = logits[:, -longest:].float()  # some families keep them all
        targets = ids[:, -longest:]
        before = torch.arange(longest, 0, -1, device=model.device) > lengths[:, None]
        losses = logits.logsumexp(-1) - logits.gather(2, targets[..., None])[..., 0]
        nats[batch] = losses.masked_fill(before, 0).double().sum(1).cpu().numpy()
        right[batch] = ((logits.argmax(-1) == targets) | before).all(1).cpu().numpy()
    return nats, right
