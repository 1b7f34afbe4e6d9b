"""Reinforcement as a pre-training objective: RLP (arXiv 2510.01265), a thought before the next token.

A thought is drawn after the beginning of a document and is rewarded by how much more likely it makes what
the document really says next (section 2). RPT (arXiv 2506.08007) rewards a right prediction instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from workbench.engine.generate import Completion, prompt_tokens
from workbench.engine.reinforce import Objective, Policy, Row, Taught, group_advantages, reinforce
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.train import History
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Position = tuple[str, str]  # a document up to a token, and from it on
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


class Average:
    """Exponential moving average of the weights that learn: phi becomes decay phi + (1 - decay) theta."""

    def __init__(self, model: PreTrainedModel, decay: float) -> None:
        self.model, self.decay, self.weights = model, decay, {}

    def _learning(self) -> dict[str, Tensor]:
        return {name: each for name, each in self.model.named_parameters() if each.requires_grad}

    def begin(self) -> None:
        """Copy the weights, the first time."""
        self.weights = self.weights or {
            name: each.detach().clone() for name, each in self._learning().items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the weights as they are."""
        now = self._learning()
        torch._foreach_lerp_(
            list(self.weights.values()), [now[name] for name in self.weights], 1 - self.decay
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the average weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        now = self._learning()
        for name, mine in self.weights.items():
            now[name].data, mine.data = mine.data, now[name].data


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
    ) -> None:
        """See `rlp`."""
        super().__init__()
        self.model, self.tokenizer, self.thinking = model, tokenizer, thinking
        self.baseline, self.kind, self.taught_weight = baseline, reward, next_token_weight
        self.average = Average(model, decay)
        begin = tokenizer.bos_token_id is not None
        self.closing = encode(tokenizer, [thinking.closing])[0][begin:]
        self.opening = encode(tokenizer, [thinking.opening])[0][begin:]
        self.ends = set(_list(model.config.eos_token_id)) | set(_list(model.generation_config.eos_token_id))
        self.found: dict[str, float] = {}
        self.settings = {
            "thinking": asdict(thinking),
            "objective": [decay, baseline, reward, next_token_weight],
        }

    def reward(self, completions: list[Completion], rows: list[Row]) -> np.ndarray:
        self.average.begin()
        ids = prompt_tokens(self.tokenizer, [row["prompt"] for row in rows])
        thoughts = [
            (asked + each.tokens + self._close(each), row["target"])
            for asked, each, row in zip(ids, completions, rows, strict=True)
        ]
        contexts = list({id(row): row for row in rows}.values())
        plain = [(row["context"], row["target"]) for row in contexts]
        opens = [(row["context"], self.opening[:1]) for row in contexts]
        nats, right = score(self.model, thoughts + plain + opens)
        with self.average.in_place():
            average, _ = score(self.model, plain)
        n, p = len(thoughts), len(plain)
        group = np.array([next(i for i, c in enumerate(contexts) if c is row) for row in rows])
        gain = average[group] - nats[:n]
        self.found = {
            "information_gain": gain.mean(),
            "nats_with_thought": nats[:n].mean(),
            "nats_without": nats[n : n + p].mean(),
            "nats_without_average": average.mean(),
            "nats_without_opening": (
                nats[n : n + p] + np.log1p(-np.exp(-nats[n + p :]).clip(max=1 - 1e-9))
            ).mean(),
            "right": right[:n].mean(),
        }
        return gain if self.kind == "gain" else right[:n].astype(float)

    def _close(self, thought: Completion) -> list[int]:
        closed = thought.finish_reason == "stop" and thought.tokens[-1] not in self.ends
        return [] if closed else self.closing

    def advantages(self, rewards: Tensor) -> Tensor:
        if self.baseline == "ema":
            return rewards
        return group_advantages(rewards) * (rewards.shape[1] / (rewards.shape[1] - 1))

    def taught(self, completions: list[Completion], rows: list[Row]) -> list[Taught]:
        return [Taught(self._close(each), row["target"]) for each, row in zip(completions, rows, strict=True)]

    def after_step(self) -> None:
        self.average.update()

    def metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.found.items()}

    def state(self) -> dict[str, Tensor]:
        return self.average.weights

    def load(self, state: dict[str, Tensor]) -> None:
        self.average.weights = state


def _list(value: int | list[int] | None) -> list[int]:
    return [] if value is None else value if isinstance(value, list) else [value]


def rlp(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    positions: Sequence[Position],
    thinking: Thinking,
    policy: Policy,
    *,
    steps: int,
    folder: str | Path,
    decay: float = 0.999,
    baseline: Literal["group", "ema"] = "group",
    reward: Literal["gain", "prefix"] = "gain",
    next_token_weight: float = 0.0,
    **options: Any,
) -> History:
    """Train `model` in place to think before it goes on with a document; see `reinforce`."""
    objective = InformationGain(
        model, tokenizer, thinking,
        decay=decay, baseline=baseline, reward=reward, next_token_weight=next_token_weight,
    )  # fmt: skip
    policy = replace(policy, max_new_tokens=thinking.max_tokens, stop=(thinking.closing,))
    rows = rows_of(tokenizer, positions, thinking)
    return reinforce(model, tokenizer, rows, objective, policy, steps=steps, folder=folder, **options)


def rows_of(
    tokenizer: PreTrainedTokenizerFast, positions: Sequence[Position], thinking: Thinking
) -> list[Row]:
    """What `reinforce` asks: prompt, tokens before and tokens to predict; too short ones are left out."""
    pairs = encode_pairs(tokenizer, positions)
    before = prompt_tokens(tokenizer, [text for text, _ in positions])
    rows = [
        {"prompt": text + thinking.opening, "context": ids, "target": after[: thinking.horizon]}
        for (text, _), ids, (_, after) in zip(positions, before, pairs, strict=True)
        if len(after) >= thinking.horizon
    ]
    if not rows:
        raise UserError(
            f"No text goes on for the {thinking.horizon} tokens of the horizon: give longer ones."
        )
    if len(rows) < len(positions):
        logger.warning("%d positions are nearer to the end than the horizon.", len(positions) - len(rows))
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
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index][0]) - len(rows[index][1]))
    for begin in range(0, len(order), batch_size):
        part = order[begin : begin + batch_size]
        longest = len(rows[part[0]][0]) + len(rows[part[0]][1])
        ids = torch.zeros(len(part), longest - 1, dtype=torch.long)
        targets = torch.full((len(part), longest - 1), -1)
        for place, index in enumerate(part):
            before, after = rows[index]
            full = torch.tensor(before + after)
            ids[place, : len(full) - 1] = full[:-1]
            targets[place, len(before) - 1 : len(full) - 1] = full[len(before) :]
        columns = torch.nonzero((targets >= 0).any(0))[:, 0].to(model.device)
        logits = model(ids.to(model.device), use_cache=False, logits_to_keep=columns).logits.float()
        wanted = targets.to(model.device)[:, columns]
        here = wanted >= 0
        lost = logits.logsumexp(-1) - logits.gather(2, wanted.clamp(min=0)[..., None])[..., 0]
        nats[part] = lost.masked_fill(~here, 0).double().sum(1).cpu().numpy()
        right[part] = ((logits.argmax(-1) == wanted) | ~here).all(1).cpu().numpy()
    return nats, right
