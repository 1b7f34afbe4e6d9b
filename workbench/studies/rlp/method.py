"""Reinforcement as a pre-training objective: RLP (arXiv 2510.01265), a thought before the next token.

A thought is drawn after the beginning of a document and is rewarded by how much more likely it makes what
the document really says next (section 2). RPT (arXiv 2506.08007) rewards a right prediction instead.
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
from workbench.engine.sampling.batching import end_tokens
from workbench.engine.sampling.sampler import Completion
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.tokens import continued, encode_pairs
from workbench.engine.training.common import History, supports_position_ids
from workbench.errors import UserError
from workbench.studies.rlp.positions import Position

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thinking:
    """How a thought is marked in the text, and what it is for.

    Attributes:
        opening: follows the beginning of the document; the thought comes next.
        closing: ends the thought; it is put behind one that did not end.
        max_tokens: longest thought, with what closes it.
        horizon: tokens of the document that the thought should help to predict.
    """

    opening: str = " <t>"
    closing: str = " </t>"
    max_tokens: int = 64
    horizon: int = 1


class InformationGain(Objective):
    """The objective of RLP (section 2.2-2.4), or with `reward="prefix"` of RPT."""

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
        """See `rlp`."""
        super().__init__()
        self.model, self.thinking, self.batch_size = model, thinking, batch_size or 256
        self.baseline, self.kind, self.aux_loss_weight = baseline, reward, next_token_weight
        self.average = WeightEMA(model, decay)
        self.closing = continued(tokenizer, thinking.closing)
        self.opening = continued(tokenizer, thinking.opening)
        self.ends = end_tokens(model)
        self.found: dict[str, float] = {}
        self.settings = {
            "thinking": asdict(thinking),
            "objective": [decay, baseline, reward, next_token_weight],
        }

    def check(self, rows: Sequence[Row]) -> None:
        """Whether every thought fits the context with what comes before and after.

        Raises:
            UserError: one does not.
        """
        context = context_length(self.model)
        longest = max(len(row["asked"]) for row in rows)
        longest += self.thinking.max_tokens + len(self.closing) + self.thinking.horizon
        if longest > context:
            raise UserError(
                f"A document and its thought take up to {longest} tokens, more than the context of "
                f"{context}: shorten either."
            )

    def reward(self, completions: list[Completion], rows: list[Row]) -> np.ndarray:
        self.average.begin()
        thoughts = [
            (row["asked"] + each.tokens + self.close(each), row["target"])
            for each, row in zip(completions, rows, strict=True)
        ]
        contexts = list({id(row): row for row in rows}.values())
        plain = [(row["context"], row["target"]) for row in contexts]
        opens = [(row["context"], self.opening[:1]) for row in contexts if self.opening]
        nats, right = score(self.model, thoughts + plain + opens, self.batch_size)
        with self.average.in_place():
            average, _ = score(self.model, plain, self.batch_size)
        with_thought, without, opening = np.split(nats, [len(thoughts), len(thoughts) + len(plain)])
        which = {id(row): place for place, row in enumerate(contexts)}
        gain = average[[which[id(row)] for row in rows]] - with_thought
        unopened = np.log1p(-np.exp(-opening).clip(max=1 - 1e-9)) if len(opening) else 0.0
        self.found = {
            "information_gain": gain.mean(),
            "nats_with_thought": with_thought.mean(),
            "nats_without": without.mean(),
            "nats_without_average": average.mean(),
            "nats_without_opening": (without + unopened).mean(),
            "right": right[: len(thoughts)].mean(),
        }
        return gain if self.kind == "gain" else right[: len(thoughts)].astype(float)

    def close(self, thought: Completion) -> list[int]:
        """The tokens that have to end a thought: none where it ended itself."""
        closed = thought.finish_reason == "stop" and not self.ends.intersection(thought.tokens[-1:])
        return [] if closed else self.closing

    def advantages(self, rewards: Tensor) -> Tensor:
        if self.baseline == "ema":
            return rewards
        return group_advantages(rewards) * (rewards.shape[1] / (rewards.shape[1] - 1))

    def supervised_tails(self, completions: list[Completion], rows: list[Row]) -> list[SupervisedTail]:
        return [
            SupervisedTail(self.close(each), row["target"])
            for each, row in zip(completions, rows, strict=True)
        ]

    def after_step(self) -> None:
        self.average.update()

    def metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.found.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return self.average.weights

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.average.weights = state


def rlp(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    positions: Sequence[Position],
    thinking: Thinking,
    config: RLConfig,
    *,
    steps: int,
    folder: str | Path,
    decay: float = 0.999,
    baseline: Literal["group", "ema"] = "group",
    reward: Literal["gain", "prefix"] = "gain",
    next_token_weight: float = 0.0,
    batch_size: int | None = None,
    **options: Any,
) -> History:
    """Train `model` in place to think before it goes on with a document, over `reinforce`.

    Thoughts are drawn after `before + opening`, and judged by log p(next tokens | before, opening, thought,
    closing) - log p_average(next tokens | before), of which no gradient is taken. The advantage is
    G / (G - 1) (r - mean r), not divided by a deviation, and each thought counts by 1 / length.

    What all thoughts of a position share cancels in that advantage, the second term with the average among
    it: the average is a measure only, unless `baseline="ema"` leaves the gain as it is.

    Args:
        model: its device is where it is trained.
        tokenizer: saved beside it.
        positions: (document up to a token, document from it on); see `positions.positions`.
        thinking: the marks of a thought, its length, and the tokens that it has to predict.
        config: its stop and max_new_tokens are those of `thinking`, and its scale is not looked at.
        steps: optimizer steps.
        folder: see `reinforce`.
        decay: of the average of the weights, after each optimizer step.
        baseline: `group` (the other thoughts) or `ema` (what the average says without a thought).
        reward: `gain`, or `prefix` (RPT, arXiv 2506.08007, section 3.2: 1 if the most likely token is the
            document's at every step of the horizon, else 0).
        next_token_weight: of the loss of the next tokens behind the thought, which calibrates what the reward
            is read from; 0 in the paper.
        batch_size: completions in a forward pass, learnt from or scored; see `reinforce`.
        options: the others of `reinforce`.

    Returns:
        The history of `reinforce`, with information_gain, nats_with_thought, nats_without (both of the model
        as it is), nats_without_average, nats_without_opening (the document alone, the probability of opening
        a thought taken out) and right (share whose most likely tokens are the document's).

    Raises:
        UserError: as `reinforce`; no document goes on for the horizon, or thoughts do not fit the context.
    """
    if baseline not in ("group", "ema") or reward not in ("gain", "prefix"):
        raise UserError("The baseline is group or ema, and the reward gain or prefix.")
    if not 0 <= decay <= 1 or next_token_weight < 0:
        raise UserError("The decay lies between 0 and 1, and next_token_weight is not below 0.")
    if not thinking.closing or min(thinking.horizon, thinking.max_tokens) < 1:
        raise UserError("A thought needs a closing, and max_tokens and horizon of at least 1.")
    rows = rows_of(tokenizer, positions, thinking)
    objective = InformationGain(
        model,
        tokenizer,
        thinking,
        decay=decay,
        baseline=baseline,
        reward=reward,
        next_token_weight=next_token_weight,
        batch_size=batch_size,
    )
    objective.check(rows)
    config = replace(config, max_new_tokens=thinking.max_tokens, stop=(thinking.closing,))
    return reinforce(
        model,
        tokenizer,
        rows,
        objective,
        config,
        steps=steps,
        folder=folder,
        batch_size=batch_size,
        **options,
    )


def rows_of(
    tokenizer: PreTrainedTokenizerFast, positions: Sequence[Position], thinking: Thinking
) -> list[Row]:
    """What `reinforce` asks of each position: the prompt (its tokens: asked), context and target tokens.

    Raises:
        UserError: no document goes on for the horizon; the single ones that do not are left out.
    """
    before = [text for text, _ in positions]
    asked = prompt_tokens(tokenizer, [text + thinking.opening for text in before])
    contexts = prompt_tokens(tokenizer, before)
    after = [ids[: thinking.horizon] for _, ids in encode_pairs(tokenizer, positions)]
    rows = [
        {"prompt": text + thinking.opening, "asked": ids, "context": context, "target": target}
        for text, ids, context, target in zip(before, asked, contexts, after, strict=True)
        if len(target) == thinking.horizon
    ]
    if not rows:
        raise UserError(
            f"No text goes on for the {thinking.horizon} tokens of the horizon: give longer ones."
        )
    if len(rows) < len(positions):
        missing = len(positions) - len(rows)
        logger.warning("%d of %d positions are left out: nothing for the horizon.", missing, len(positions))
    return rows


@torch.no_grad()
def score(
    model: PreTrainedModel, rows: Sequence[tuple[list[int], list[int]]], batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Of what follows: total nats, and whether each of its tokens is the most likely one, `[rows]` both.

    Args:
        model: any transformers causal language model.
        rows: (tokens before, tokens to score), neither empty.
        batch_size: most rows at a time.
    """
    nats, right = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index][0]) + len(rows[index][1]))
    for begin in range(0, len(order), batch_size):
        part = order[begin : begin + batch_size]
        # Padded on the left, so that what is scored stands in the last columns.
        texts = [torch.tensor(rows[index][0] + rows[index][1]) for index in part]
        ids = pad_sequence(texts, batch_first=True, padding_value=-1, padding_side="left").to(model.device)
        scored = torch.tensor([len(rows[index][1]) for index in part], device=model.device)
        most = int(scored.max())
        mask = (ids >= 0).long()
        options = {"attention_mask": mask[:, :-1]}
        if supports_position_ids(model):
            options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, :-1]
        found = model(ids[:, :-1].clamp(min=0), use_cache=False, logits_to_keep=most, **options)
        logits, wanted = found.logits.float(), ids[:, -most:].clamp(min=0)
        other = torch.arange(most, 0, -1, device=model.device) > scored[:, None]
        lost = logits.logsumexp(-1) - logits.gather(2, wanted[..., None])[..., 0]
        nats[part] = lost.masked_fill(other, 0).double().sum(1).cpu().numpy()
        right[part] = ((logits.argmax(-1) == wanted) | other).all(1).cpu().numpy()
    return nats, right
