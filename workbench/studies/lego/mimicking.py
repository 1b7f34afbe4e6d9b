"""Mimicking: heads of a fresh model are taught the two patterns of pre-trained ones.

Zhang et al. 2022 (arXiv 2206.04301, section 4.3). In every layer head 0 looks at its own clause and head 1 at
equal words, on random strings, with no answers given.
"""

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora.lego import Words, draw
from workbench.engine.interpretability.capture import hooked
from workbench.studies.lego.settings import Sizes
from workbench.studies.lego.story_models import seen

LOCAL = (4.0, 2.0, 1.0)  # the paper's 1, 2, 4, 2, 1: the word, one beside it, two beside it
SMOOTH = 1e-3


def targets(ids: Tensor, both_ways: bool = False) -> tuple[Tensor, Tensor]:
    """The two patterns that mimicking asks for, `[tokens, tokens]` and `[rows, tokens, tokens]`.

    Head 0 weighs a word and the two beside it by `LOCAL`; head 1 spreads evenly over other equal words (rows
    of zeros where there are none). Who does not read both ways looks back only.
    """
    position = torch.arange(ids.shape[1], device=ids.device)
    offset = position[:, None] - position
    away = offset.abs() if both_ways else offset
    near = [(away == distance) * weight for distance, weight in enumerate(LOCAL)]
    local = sum(near[1:], near[0])
    same = ((ids[:, :, None] == ids[:, None]) & (away > 0)).float()
    return local / local.sum(-1, keepdim=True), same / same.sum(-1, keepdim=True).clamp(min=1)


def patterns(model: PreTrainedModel, ids: Tensor, both_ways: bool) -> list[Tensor]:
    """The attention of every layer, `[rows, heads, tokens, tokens]`."""
    by_layer: list[Tensor] = []
    with hooked(model, {"pattern.*": lambda pattern, _point: by_layer.append(pattern)}):
        model(ids, use_cache=False, **seen(ids, both_ways))
    return by_layer


def mimic(
    model: PreTrainedModel, vocabulary: Words, sizes: Sizes, rng: np.random.Generator, both_ways: bool = False
) -> None:
    """Trains heads 0 and 1 of every layer towards `targets`."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0, fused=True)
    for _ in range(sizes.mimic):
        chains = draw(vocabulary, sizes.batch, sizes.n, rng, both_ways=both_ways)
        ids = torch.from_numpy(chains.ids).to(model.device)
        by_layer = patterns(model, ids, both_ways)
        local, same = targets(ids, both_ways)
        repeated = same.sum(-1) > 0
        losses = [
            _divergence(pattern[:, 0], local).mean() + _divergence(pattern[:, 1], same)[repeated].mean()
            for pattern in by_layer
        ]
        loss = sum(losses[1:], losses[0])
        optimizer.zero_grad()
        (loss / len(by_layer)).backward()
        optimizer.step()


def _divergence(pattern: Tensor, target: Tensor) -> Tensor:
    """KL(target ‖ pattern) of each row, both smoothed."""
    target, pattern = target + SMOOTH, pattern + SMOOTH
    return (target * (target.log() - pattern.log())).sum(-1)
