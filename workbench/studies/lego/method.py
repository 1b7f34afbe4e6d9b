"""LEGO: what it takes to learn to follow a chain (Zhang et al. 2022, arXiv 2206.04301).

A causal model with `corpora.lego`'s strings; the first positions of the chain are trained, all are tested.
Arms of one shape and tokenizer differ in their first weights alone: random; those of a model of stories; or
*mimicking* (section 4.3), trained so that in every layer one head looks at its own clause and one at earlier
equal words, the two kinds of heads that the paper finds in pre-trained models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.lego import Chains, Words, draw, words
from workbench.engine import loading, models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import hooked
from workbench.engine.models import context_length
from workbench.engine.training.common import uses_bf16
from workbench.errors import UserError
from workbench.files import explain_write_error
from workbench.studies.common.arms import run_arms
from workbench.studies.tiny_models import ladder

ARMS = ("scratch", "stories", "mimicking")
LOCAL = (
    4.0,
    2.0,
    1.0,
)  # the paper's 1, 2, 4, 2, 1 about a word, its causal half: the word, one back, two back
SMOOTH = 1e-3
CHECKS = 12  # tests while training


@dataclass(frozen=True)
class Sizes:
    """How much is trained and tested.

    Attributes:
        n: clauses of a chain.
        n_train: chain positions that the loss is on, the first ones.
        steps: of training.
        mimic: steps of mimicking before it.
        batch: strings a step.
        tested: strings of the test.
        depths: layers of the models that compare depth, all with mimicking.
    """

    n: int
    n_train: int
    steps: int
    mimic: int
    batch: int
    tested: int
    depths: tuple[int, ...]


SIZES = {
    "tiny": Sizes(6, 3, 1_200, 200, 32, 1_000, (1, 2, 3, 4)),
    "small": Sizes(8, 4, 10_000, 1_000, 64, 2_000, (1, 2, 3, 4, 6)),
    "paper": Sizes(12, 6, 48_000, 1_000, 500, 12_000, (2, 4, 6, 8, 12)),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_clauses`, `n_train` and `n_steps` replace what they name."""
    named = {"n": params.n_clauses, "n_train": params.n_train, "steps": params.n_steps}
    chosen = replace(SIZES[params.profile], **{name: value for name, value in named.items() if value})
    if not 1 <= chosen.n_train < chosen.n:
        raise UserError(
            f"n_train={chosen.n_train} must be below the {chosen.n} clauses of a chain, to test longer ones."
        )
    if chosen.steps < CHECKS:
        raise UserError(f"n_steps={chosen.steps} is too few: take {CHECKS} or more.")
    return chosen


def start(params: Any, folder: Path) -> Path:
    """The story model of 02 that an arm begins with: `deep`, the preset trained there, or a folder."""
    if not ladder.is_ladder(params.model):
        return Path(params.model)
    return folder / ("deep" if params.model == "ladder" else params.model.removeprefix("tiny:"))


def check(folder: Path, sizes: Sizes) -> PreTrainedTokenizerFast:
    """The story model's tokenizer, if it and the model can take chains.

    Raises:
        UserError: not enough names in the tokenizer, a context that is too short, or one head a layer.
    """
    model, tokenizer = loading.load(folder, "cpu")
    words(tokenizer, sizes.n)
    need, context = 6 * sizes.n + 1, context_length(model)
    if need > context:
        raise UserError(
            f"Chains of {sizes.n} take {need} tokens, more than the context of {context}: shorten them."
        )
    if anatomy(model).n_heads < 2:
        raise UserError("Mimicking needs two heads a layer: choose a model with more heads.")
    return tokenizer


# ------------------------------------------------------------------------------- training
def train_all(folder: Path, source: Path, sizes: Sizes, seed: int, log: Callable[..., None]) -> None:
    """Trains every arm and depth that is not finished yet, side by side; each keeps itself in `folder`."""
    shapes = {arm: (arm, None) for arm in ARMS} | {layers(n): ("mimicking", n) for n in sizes.depths}
    run_arms(
        folder,
        list(shapes),
        None,
        partial(train_arm, shapes, source, sizes, seed),
        unit="step",
        total=sizes.steps,
        log=lambda arm, _, row: log(model=arm, **row),
    )


def train_arm(
    shapes: Mapping[str, tuple[str, int | None]],
    source: Path,
    sizes: Sizes,
    seed: int,
    folder: Path,
    name: str,
    _: None,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """Trains one arm into `folder`; `checks.npy` there holds [checks, strings, positions]: was it right?"""
    arm, n_layers = shapes[name]
    story, tokenizer = loading.load(source, "cpu")
    model = story if arm == "stories" else _fresh(story, n_layers, seed)
    vocabulary = words(tokenizer, sizes.n)
    rng = np.random.default_rng([seed, 1])
    if arm == "mimicking":
        mimic(model, vocabulary, sizes, np.random.default_rng([seed, 2]))
    test = draw(vocabulary, sizes.tested, sizes.n, np.random.default_rng([seed, 3]))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=5e-4, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 50))
    model.set_attn_implementation("eager")  # with bf16 and short rows, half as long as the fused one
    checks, bf16 = [], uses_bf16(model, "auto")
    for step in range(1, sizes.steps + 1):
        chains = draw(vocabulary, sizes.batch, sizes.n, rng)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = answers(model, chains, vocabulary)
        trained = torch.from_numpy(chains.positions < sizes.n_train)
        loss = F.cross_entropy(logits[trained], torch.from_numpy(chains.values)[trained])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        if step * CHECKS // sizes.steps > (step - 1) * CHECKS // sizes.steps:
            checks.append(right(model, test, vocabulary))
            log({"done": step, "step": step, "loss": loss.item()})
    loading.save(model, tokenizer, folder)
    with explain_write_error(folder):
        np.save(folder / "checks.npy", np.array(checks))


def _fresh(like: PreTrainedModel, n_layers: int | None, seed: int) -> PreTrainedModel:
    name = like.config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    depth = {name: n_layers or like.config.num_hidden_layers, "layer_types": None}
    return models.build(type(like.config).from_dict({**like.config.to_dict(), **depth}), seed)


def answers(model: PreTrainedModel, chains: Chains, vocabulary: Words) -> Tensor:
    """Logits of the two values at each clause of the second copy, `[rows, clauses, 2]`."""
    ids = torch.from_numpy(chains.ids)
    logits = model(ids, use_cache=False, logits_to_keep=torch.from_numpy(chains.answer_positions)).logits
    return logits[..., vocabulary.values].float()


@torch.no_grad()
def right(model: PreTrainedModel, chains: Chains, vocabulary: Words) -> np.ndarray:
    """Whether each answer is right, by string and chain position: bool `[rows, clauses]`."""
    model.eval()
    rows = [slice(at, at + 250) for at in range(0, len(chains.ids), 250)]
    parts = [replace(chains, ids=chains.ids[part]) for part in rows]
    given = torch.cat([answers(model, part, vocabulary).argmax(-1) for part in parts]).numpy()
    by_position = np.argsort(chains.positions, 1)
    return np.take_along_axis(given == chains.values, by_position, 1)


# ------------------------------------------------------------------------------- heads
def targets(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The two patterns that mimicking asks for, `[tokens, tokens]` and `[rows, tokens, tokens]`.

    Head 0 weighs a word and the two before it by `LOCAL`; head 1 spreads evenly over earlier equal words
    (rows of zeros where there are none).
    """
    place = torch.arange(ids.shape[1])
    back = place[:, None] - place
    local = sum((back == offset) * weight for offset, weight in enumerate(LOCAL))
    same = ((ids[:, :, None] == ids[:, None]) & (back > 0)).float()
    return local / local.sum(-1, keepdim=True), same / same.sum(-1, keepdim=True).clamp(min=1)


def mimic(model: PreTrainedModel, vocabulary: Words, sizes: Sizes, rng: np.random.Generator) -> None:
    """Trains heads 0 and 1 of every layer towards `targets` on random strings, with no answers given."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0, fused=True)
    for _ in range(sizes.mimic):
        ids = torch.from_numpy(draw(vocabulary, sizes.batch, sizes.n, rng).ids)
        local, same = targets(ids)
        patterns: list[Tensor] = []
        with hooked(model, {"pattern.*": lambda value, _place, seen=patterns: seen.append(value)}):
            model(ids, use_cache=False)
        loss = sum(
            _divergence(pattern[:, 0], local).mean()
            + _divergence(pattern[:, 1], same)[same.sum(-1) > 0].mean()
            for pattern in patterns
        )
        optimizer.zero_grad()
        (loss / len(patterns)).backward()
        optimizer.step()


def _divergence(pattern: Tensor, target: Tensor) -> Tensor:
    target, pattern = target + SMOOTH, pattern + SMOOTH
    return (target * (target.log() - pattern.log())).sum(-1)


# ------------------------------------------------------------------------------- results


def layers(n: int) -> str:
    """The name of a model of the comparison of depths."""
    return "1 layer" if n == 1 else f"{n} layers"
