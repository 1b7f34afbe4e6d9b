"""LEGO: what it takes to learn to follow a chain (Zhang et al. 2022, arXiv 2206.04301, sections 2 to 4).

As published: clauses in random order; the loss is on the first positions of the chain, and all are tested;
models read both ways, as BERT does. Arms of one shape and tokenizer differ in their first weights: random,
those of a model that has read, or *mimicking* (section 4.3), trained so that in every layer one head looks at
its own clause and one at equal words, the two kinds of heads that the paper sees in pre-trained models.
What differs: the values form a group of five, not of two, and a string holds two chains (`corpora.lego`). The
loss is also on the names that a clause refers to, so that looking up and taking the step are learnt, and
timed, one by one: with the loss on a clause's own name alone, no pilot of so short a training, from scratch
or mimicking, got past choosing one of the two roots. The models are decoders whose attention is not masked,
with rotary positions; the story model has read with the mask on, next word by next word. The *causal* arm
keeps the mask, and reads all clauses twice. Every step draws new strings, at a learning rate that does not
fall. Arms and depths of one seed read the same clauses in the same order and answer the same test.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.lego import CHAINS, Chains, Words, draw, n_tokens, words
from workbench.engine import loading, models
from workbench.engine.cost import measure, reads_per_learnt
from workbench.engine.training.checkpoints import check_finite
from workbench.engine.training.common import uses_bf16
from workbench.engine.training.memory import master_weights
from workbench.files import explain_write_error
from workbench.studies.common.arms import run_arms
from workbench.studies.lego.mimicking import mimic
from workbench.studies.lego.settings import ARMS, CHECKS, Sizes
from workbench.studies.lego.story_models import Log, StoryModels, reads_both_ways, seen

SCRATCH, STORIES, MIMICKING, CAUSAL = ARMS
GIVEN = "as given"  # a given model before it learns, which reads from left to right


def layers(n: int) -> str:
    """The name of a model of the comparison of depths."""
    return "1 layer" if n == 1 else f"{n} layers"


def arms_of(like: PreTrainedModel, sizes: Sizes) -> tuple[str, ...]:
    """The arms; there is no causal one beside others where a model cannot read both ways."""
    return tuple(arm for arm in sizes.arms if arm != CAUSAL or reads_both_ways(like))


def sees_all(arm: str, model: PreTrainedModel) -> bool:
    """Whether an arm, or a model of the comparison of depths, reads both ways."""
    return arm not in (CAUSAL, GIVEN) and reads_both_ways(model)


def depths(like: PreTrainedModel, sizes: Sizes) -> dict[str, str]:
    """The arm behind each model of the comparison of depths; at the arms' own depth, mimicking."""
    own = models.text_config(like).num_hidden_layers
    return {layers(n): MIMICKING if n == own else layers(n) for n in sizes.depths}


def train_all(
    folder: Path,
    sources: StoryModels,
    sizes: Sizes,
    seed: int,
    log: Callable[..., None],
    *,
    arms: Sequence[str] = ARMS,
    depths: Sequence[str] = (),
    device: str = "auto",
    placebo: bool = False,
) -> range:
    """Trains every arm of every seed that is not finished yet; each keeps itself in `folder`.

    On the CPU they are trained side by side, elsewhere one after the other. In a placebo run all are trained
    from scratch.

    Args:
        arms: trained with every seed.
        depths: models of the comparison of depths, trained with the first seeds.

    Returns:
        The seeds.
    """
    device, seeds = loading.pick_device(device), range(seed, seed + sizes.seeds)
    both = list(dict.fromkeys([*arms, *depths]))
    first, rest = seeds[: sizes.depth_seeds], seeds[sizes.depth_seeds :]
    for names, of_seeds in ((both, first), (list(arms), rest)):
        run_arms(
            folder,
            names,
            of_seeds,
            partial(train_arm, sources, sizes, device),
            unit="step",
            device=device,
            processes=sizes.processes,
            total=sizes.steps,
            placebo_of=SCRATCH if placebo else None,
            log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
        )
    return seeds


def expected(like: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, sizes: Sizes) -> list[str]:
    """What it will take with a given model at `real-laptop`, measured, as a sentence."""
    if sizes.processes is None:
        return []
    strings = (
        reads_per_learnt(like, "full") * sizes.steps * sizes.batch
        + (CHECKS + 2 * sizes.n_train) * sizes.tested
    )
    read = len(sizes.arms) * n_tokens(sizes.n) * (strings + 2 * sizes.strings)
    cost = measure(like, tokenizer)
    return [cost.sentence(cost.minutes(read=read))]


def train_arm(
    sources: StoryModels, sizes: Sizes, device: str, folder: Path, arm: str, seed: int, *, log: Log
) -> None:
    """Trains one arm into `folder`; `checks.npy` there holds what `learn_chains` returns."""
    like, tokenizer = loading.load(sources.like, "cpu")
    vocabulary, both_ways = words(tokenizer, sizes.n), sees_all(arm, like)
    number = {layers(n): n for n in sizes.depths}.get(arm)
    if arm == STORIES:
        model = sources.of(seed, sizes, device, folder / ".stories", log=partial(_read, log))
    else:
        model = fresh(like, number, seed, device)
    master_weights(model)
    if arm == MIMICKING or number:
        mimic(model, vocabulary, sizes, np.random.default_rng([seed, 2]), both_ways)
    checks = learn_chains(model, vocabulary, sizes, seed, log, both_ways)
    check_finite(model, folder)
    loading.save(model, tokenizer, folder)
    with explain_write_error(folder):
        np.save(folder / "checks.npy", checks)


def _read(log: Log, row: dict[str, float]) -> None:
    """Logs a row of reading stories, whose steps are not those of chains."""
    log({"reading_step": row["step"], "reading_loss": row["loss"]})


def fresh(like: PreTrainedModel, n_layers: int | None, seed: int, device: str = "cpu") -> PreTrainedModel:
    """A model of the same shape, or of another depth, with random weights."""
    config = models.text_config(like)
    name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    depth = {name: n_layers or config.num_hidden_layers, "layer_types": None}
    return models.build(type(config).from_dict({**config.to_dict(), **depth}), seed, device)


# ------------------------------------------------------------------------------- chains
def learn_chains(
    model: PreTrainedModel, vocabulary: Words, sizes: Sizes, seed: int, log: Log, both_ways: bool = False
) -> np.ndarray:
    """Trains a model on the first positions of chains; returns `right` of a test, `[checks, …]`."""
    rng, asked = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 3])
    test = draw(vocabulary, sizes.tested, sizes.n, asked, both_ways=both_ways)
    adam = {"lr": sizes.learning_rate, "betas": (0.9, 0.98), "weight_decay": 0.1, "fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), **adam)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 50))
    model.set_attn_implementation("eager")  # with bf16 and short rows, half as long as the fused one
    checks, bf16 = [], uses_bf16(model, "auto")
    model.train()
    for step in range(1, sizes.steps + 1):
        chains = draw(vocabulary, sizes.batch, sizes.n, rng, both_ways=both_ways)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            loss = chain_loss(model, chains, vocabulary, sizes.n_train)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        if step * CHECKS // sizes.steps > (step - 1) * CHECKS // sizes.steps:
            checks.append(right(model, test, vocabulary))
            log({"done": step, "step": step, "loss": loss.item()})
    return np.array(checks)


def chain_loss(model: PreTrainedModel, chains: Chains, vocabulary: Words, n_train: int) -> Tensor:
    """Cross-entropy of both values of the first clauses: of their own names and of those they refer to."""
    own, referring = answers(model, chains, vocabulary, referring=True).chunk(2, 1)
    values, referred = (torch.from_numpy(of).to(own.device) for of in (chains.values, chains.referred))
    position = torch.from_numpy(chains.positions).to(own.device)
    trained = position < n_train
    looked_up = trained & (position > 0)  # a root refers to nobody
    answered = F.cross_entropy(own[trained], values[trained])
    return answered + F.cross_entropy(referring[looked_up], referred[looked_up])


def answers(model: PreTrainedModel, chains: Chains, vocabulary: Words, *, referring: bool = False) -> Tensor:
    """Logits of the values at each clause that is asked, `[rows, clauses, values]`.

    Args:
        referring: whether to add, behind all clauses, those at the name to which each clause refers.
    """
    asked = chains.answer_positions
    asked = np.concatenate([asked, asked - 1]) if referring else asked
    ids, positions = (torch.from_numpy(values).to(model.device) for values in (chains.ids, asked))
    options: dict[str, Any] = {"use_cache": False, "logits_to_keep": positions}
    logits = model(ids, **options, **seen(ids, chains.both_ways)).logits
    return logits[..., vocabulary.values].float()


@torch.no_grad()
def right(model: PreTrainedModel, chains: Chains, vocabulary: Words) -> np.ndarray:
    """Whether each is right, of the clause's name and that it refers to: `[rows, chains, positions, 2]`."""
    parts = np.split(chains.ids, range(250, len(chains.ids), 250))
    with models.evaluating(model):
        logits = [answers(model, replace(chains, ids=ids), vocabulary, referring=True) for ids in parts]
    guesses = np.stack(np.split(torch.cat(logits).argmax(-1).cpu().numpy(), 2, 1), -1)
    correct = guesses == np.stack([chains.values, chains.referred], -1)
    n = correct.shape[1] // CHAINS
    order = np.argsort(chains.chains * n + chains.positions, 1)
    return np.take_along_axis(correct, order[..., None], 1).reshape(len(correct), CHAINS, n, 2)
