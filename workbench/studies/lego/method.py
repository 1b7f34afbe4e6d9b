"""LEGO: what it takes to learn to follow a chain (Zhang et al. 2022, arXiv 2206.04301, sections 2 to 4).

As published: clauses in random order; the loss is on the first positions of the chain, and all are tested.
Arms of one shape and tokenizer differ in their first weights alone: random, those of a pre-trained model, or
*mimicking* (section 4.3), trained so that in every layer one head looks at its own clause and one at equal
words, the two kinds of heads that the paper sees in pre-trained models.
What differs: the model is causal, not an encoder, so that strings hold all clauses twice (`corpora.lego`) and
the heads to mimic look back only; the pre-trained model has read stories; every step draws new strings, at a
learning rate that does not fall. Arms and depths of one seed read the same strings and answer the same test.
"""

from collections.abc import Callable
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
from workbench.engine.training.checkpoints import check_finite
from workbench.engine.training.common import uses_bf16
from workbench.engine.training.memory import master_weights
from workbench.errors import UserError
from workbench.files import explain_write_error
from workbench.studies.common.arms import run_arms
from workbench.studies.tiny_models import ladder

SCRATCH, STORIES, MIMICKING = ARMS = ("scratch", "stories", "mimicking")
LOCAL = (4.0, 2.0, 1.0)  # the causal half of the paper's 1, 2, 4, 2, 1: the word, one back, two back
SMOOTH = 1e-3
CHECKS = 12  # tests while training
GIVEN_RATE = 5e-4  # highest learning rate of chains for a given model's shape, which may be large
Log = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Sizes:
    """How much is trained and tested."""

    n: int  #: clauses of a chain
    n_train: int  #: chain positions that the loss is on, the first ones
    steps: int  #: of training
    mimic: int  #: steps of mimicking before it
    batch: int  #: strings a step
    tested: int  #: strings of the test
    depths: tuple[int, ...]  #: layers of the models that compare depth, all with mimicking
    learning_rate: float  #: of chains
    rung: str  #: of 02's ladder: the model that has read stories, whose shape all arms have
    seeds: int = 1  #: trainings of each arm
    #: at a time; None for one a thread. Starting a process takes as long as a quick training.
    processes: int | None = None


SIZES = {
    "quick": Sizes(5, 3, 300, 60, 32, 300, (1, 3), 3e-3, "0.1M", 1, 1),
    "laptop": Sizes(6, 3, 720, 150, 32, 500, (1, 2, 3), 3e-3, "0.1M", 5),
    "paper": Sizes(12, 6, 48_000, 1_000, 500, 12_000, (2, 4, 6, 8, 12), 5e-4, "deep", 5),
}


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_clauses`, `n_train`, `n_steps` and `seeds` replace what they name.

    Raises:
        UserError: nothing is left to test longer chains on, or there are too few steps.
    """
    named = {"n": params.n_clauses, "n_train": params.n_train, "steps": params.n_steps, "seeds": params.seeds}
    chosen = replace(SIZES[params.profile], **{name: value for name, value in named.items() if value})
    if not ladder.is_ladder(params.model):
        chosen = replace(chosen, learning_rate=min(chosen.learning_rate, GIVEN_RATE))
    if not 1 <= chosen.n_train < chosen.n:
        raise UserError(
            f"n_train={chosen.n_train} must be below the {chosen.n} clauses of a chain, to test longer ones."
        )
    if chosen.steps < CHECKS:
        raise UserError(f"n_steps={chosen.steps} is too few: take {CHECKS} or more.")
    return chosen


@dataclass(frozen=True)
class StoryModels:
    """The models that have read stories: of each seed one that 02 trained, or a given one for all."""

    name: str  #: as the notebook's parameter: "ladder", a preset, or a folder or hub id
    rung: str  #: of the ladder
    trained: Path | None = None  #: 02's models, where they are needed

    def of(self, seed: int | None = None) -> str:
        """Where the model of a seed is; None for the one whose shape and tokenizer all arms have."""
        if not ladder.is_ladder(self.name):
            return self.name
        name = self.rung if self.name == "ladder" else self.name
        return str(ladder.trained(self.trained, name, seed))

    def depths(self, sizes: Sizes) -> dict[str, str]:
        """The arm behind each model of the comparison of depths; at the arms' own depth, mimicking."""
        own = loading.read_config(self.of())[0].get_text_config().num_hidden_layers
        return {layers(n): MIMICKING if n == own else layers(n) for n in sizes.depths}


def check(source: str | Path, sizes: Sizes) -> PreTrainedTokenizerFast:
    """The story model's tokenizer, if it and the model can take chains.

    Raises:
        UserError: not enough names in the tokenizer, a context that is too short, or one head a layer.
    """
    model, tokenizer = loading.load(source, "cpu")
    words(tokenizer, sizes.n)
    n_tokens, context = 6 * sizes.n + 1, models.context_length(model)
    if n_tokens > context:
        raise UserError(
            f"Chains of {sizes.n} take {n_tokens} tokens, more than the context of {context}: shorten them."
        )
    if anatomy(model).n_heads < 2:
        raise UserError("Mimicking needs two heads a layer: choose a model with more heads.")
    return tokenizer


# ------------------------------------------------------------------------------- arms
def layers(n: int) -> str:
    """The name of a model of the comparison of depths."""
    return "1 layer" if n == 1 else f"{n} layers"


def train_all(
    folder: Path,
    sources: StoryModels,
    sizes: Sizes,
    seed: int,
    log: Callable[..., None],
    *,
    device: str = "auto",
    placebo: bool = False,
) -> range:
    """Trains every arm and depth of every seed that is not finished yet; each keeps itself in `folder`.

    On the CPU they are trained side by side, elsewhere one after the other. In a placebo run all are trained
    from scratch.

    Returns:
        The seeds.
    """
    device, seeds = loading.pick_device(device), range(seed, seed + sizes.seeds)
    run_arms(
        folder,
        list(dict.fromkeys([*ARMS, *sources.depths(sizes).values()])),
        seeds,
        partial(train_arm, sources, sizes, device),
        unit="step",
        device=device,
        processes=sizes.processes,
        total=sizes.steps,
        placebo_of=SCRATCH if placebo else None,
        log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
    )
    return seeds


def train_arm(
    sources: StoryModels, sizes: Sizes, device: str, folder: Path, arm: str, seed: int, *, log: Log
) -> None:
    """Trains one arm into `folder`; `checks.npy` there holds [checks, strings, positions]: was it right?"""
    model, tokenizer = loading.load(sources.of(seed if arm == STORIES else None), device)
    vocabulary = words(tokenizer, sizes.n)
    depths = {layers(n): n for n in sizes.depths}
    if arm != STORIES:
        model = fresh(model, depths.get(arm), seed).to(device)
    master_weights(model)
    if arm == MIMICKING or arm in depths:
        mimic(model, vocabulary, sizes, np.random.default_rng([seed, 2]))
    checks = learn_chains(model, vocabulary, sizes, seed, log)
    check_finite(model, folder)
    loading.save(model, tokenizer, folder)
    with explain_write_error(folder):
        np.save(folder / "checks.npy", checks)


def fresh(like: PreTrainedModel, n_layers: int | None, seed: int) -> PreTrainedModel:
    """A model of the same shape, or of another depth, with random weights."""
    config = models.text_config(like)
    name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    depth = {name: n_layers or config.num_hidden_layers, "layer_types": None}
    return models.build(type(config).from_dict({**config.to_dict(), **depth}), seed)


# ------------------------------------------------------------------------------- mimicking
def targets(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The two patterns that mimicking asks for, `[tokens, tokens]` and `[rows, tokens, tokens]`.

    Head 0 weighs a word and the two before it by `LOCAL`; head 1 spreads evenly over earlier equal words
    (rows of zeros where there are none).
    """
    position = torch.arange(ids.shape[1], device=ids.device)
    offset = position[:, None] - position
    local = sum((offset == back) * weight for back, weight in enumerate(LOCAL))
    same = ((ids[:, :, None] == ids[:, None]) & (offset > 0)).float()
    return local / local.sum(-1, keepdim=True), same / same.sum(-1, keepdim=True).clamp(min=1)


def mimic(model: PreTrainedModel, vocabulary: Words, sizes: Sizes, rng: np.random.Generator) -> None:
    """Trains heads 0 and 1 of every layer towards `targets` on random strings, with no answers given."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0, fused=True)
    patterns: list[Tensor] = []
    hooks = {"pattern.*": lambda pattern, _point: patterns.append(pattern)}
    for _ in range(sizes.mimic):
        ids = torch.from_numpy(draw(vocabulary, sizes.batch, sizes.n, rng).ids).to(model.device)
        patterns.clear()
        with hooked(model, hooks):
            model(ids, use_cache=False)
        local, same = targets(ids)
        repeated = same.sum(-1) > 0
        loss = sum(
            _divergence(pattern[:, 0], local).mean() + _divergence(pattern[:, 1], same)[repeated].mean()
            for pattern in patterns
        )
        optimizer.zero_grad()
        (loss / len(patterns)).backward()
        optimizer.step()


def _divergence(pattern: Tensor, target: Tensor) -> Tensor:
    """KL(target ‖ pattern) of each row, both smoothed."""
    target, pattern = target + SMOOTH, pattern + SMOOTH
    return (target * (target.log() - pattern.log())).sum(-1)


# ------------------------------------------------------------------------------- chains
def learn_chains(model: PreTrainedModel, vocabulary: Words, sizes: Sizes, seed: int, log: Log) -> np.ndarray:
    """Trains a model on the first positions of chains; returns `right` of test strings at every check."""
    rng = np.random.default_rng([seed, 1])
    test = draw(vocabulary, sizes.tested, sizes.n, np.random.default_rng([seed, 3]))
    adam = {"lr": sizes.learning_rate, "betas": (0.9, 0.98), "weight_decay": 0.1, "fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), **adam)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 50))
    model.set_attn_implementation("eager")  # with bf16 and short rows, half as long as the fused one
    checks, bf16 = [], uses_bf16(model, "auto")
    for step in range(1, sizes.steps + 1):
        chains = draw(vocabulary, sizes.batch, sizes.n, rng)
        model.train()
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            logits = answers(model, chains, vocabulary)
        trained = torch.from_numpy(chains.positions < sizes.n_train).to(model.device)
        loss = F.cross_entropy(logits[trained], torch.from_numpy(chains.values).to(model.device)[trained])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        if step * CHECKS // sizes.steps > (step - 1) * CHECKS // sizes.steps:
            checks.append(right(model, test, vocabulary))
            log({"done": step, "step": step, "loss": loss.item()})
    return np.array(checks)


def answers(model: PreTrainedModel, chains: Chains, vocabulary: Words) -> Tensor:
    """Logits of the two values at each clause of the second copy, `[rows, clauses, 2]`."""
    ids, positions = (
        torch.from_numpy(values).to(model.device) for values in (chains.ids, chains.answer_positions)
    )
    return model(ids, use_cache=False, logits_to_keep=positions).logits[..., vocabulary.values].float()


@torch.no_grad()
def right(model: PreTrainedModel, chains: Chains, vocabulary: Words) -> np.ndarray:
    """Whether each answer is right, by string and chain position: bool `[rows, clauses]`."""
    model.eval()
    parts = np.split(chains.ids, range(250, len(chains.ids), 250))
    logits = torch.cat([answers(model, replace(chains, ids=ids), vocabulary) for ids in parts])
    correct = logits.argmax(-1).cpu().numpy() == chains.values
    return np.take_along_axis(correct, np.argsort(chains.positions, 1), 1)
