"""Models of one layer and sixteen heads, with unscaled and with scaled attention.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on attention heads.

As published: one layer, sixteen heads, learned positions, GELU, and scores that are not divided by the root
of a head's width (GPT-Neo's attention).
What differs: a width of 128 where the paper has 1,024 (but at profile=paper), a context of 64 tokens where
it has 512, stories of the simulator, and few tokens. GPT-2's architecture stands for GPT-Neo's, which is the
same in one layer but for biases, since its configuration switches the scaling: the two arms differ in that
switch alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from transformers import GPT2Config, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import story_at
from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.studies.attention_heads.threads import SMALL, suited_threads
from workbench.studies.common.arms import TrainArm, arm_folder, run_arms

UNSCALED, SCALED = "one layer, unscaled", "one layer, scaled"
ARMS = (UNSCALED, SCALED)
N_HEADS = 16
CONTEXT = 64  # tokens a row, about five sentences; stories are read in pieces of so many

Pair = tuple[PreTrainedModel, PreTrainedTokenizerFast]


@dataclass(frozen=True)
class OneLayer:
    """How a model of one layer is made."""

    width: int  #: of the residual stream
    tokens: int  #: that it reads
    batch_size: int  #: rows of `CONTEXT` a step


def fit_one_layer(
    folder: Path,
    size: OneLayer | None,
    seeds: Sequence[int],
    log: Callable[..., None],
    device: str = "auto",
    *,
    placebo: bool = False,
) -> dict[tuple[str, int], Pair]:
    """Trains both arms of every seed, or loads those that are finished; by arm and seed.

    Args:
        folder: of the models.
        size: of each of them; None: nothing is trained.
        seeds: of the weights and of the order of stories, which both arms of a seed share.
        log: takes what is logged of a training, with model and seed.
        device: see `loading.pick_device`.
        placebo: whether to train `UNSCALED` as a second control.
    """
    if size is None:
        return {}
    device = loading.pick_device(device)
    return fit_arms(
        folder,
        ARMS,
        seeds,
        partial(train_arm, size, device),
        size.tokens,
        log,
        device,
        placebo_of=SCALED if placebo else None,
    )


def fit_arms(
    folder: Path,
    arms: Sequence[str],
    seeds: Sequence[int],
    train_one: TrainArm,
    tokens: int,
    log: Callable[..., None],
    device: str,
    *,
    placebo_of: str | None,
) -> dict[tuple[str, int], Pair]:
    """Trains all arms of all seeds (`run_arms`), a single seed's in this process, and loads them."""
    alone = len(seeds) == 1  # one more process takes as long to start as to train
    with suited_threads(1 if alone else SMALL):
        run_arms(
            folder,
            arms,
            seeds,
            train_one,
            unit="token",
            total=tokens,
            device=device,
            processes=1 if alone else None,
            placebo_of=placebo_of,
            log=lambda arm, seed, row: log(model=arm, seed=seed, **row),
        )
    return {
        (arm, seed): loading.load(arm_folder(folder, arm, seed), device) for seed in seeds for arm in arms
    }


def train_arm(
    size: OneLayer,
    device: str,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """Trains one model on the simulator's stories into `folder`, in the starter's tokens."""
    _, tokenizer = loading.load("starter", "cpu")
    n_stories = size.tokens // 170  # the mean story has more tokens, so that none is read twice
    stories = [story_at(number, seed=seed).text for number in range(n_stories)]
    train(
        models.build(config(size.width, len(tokenizer), scaled=arm == SCALED), seed, device),
        tokenizer,
        stories,
        TrainConfig(
            tokens=size.tokens,
            batch_size=size.batch_size,
            context=CONTEXT,
            # A pilot (another seed): at 3e-3 heads stayed spread over all tokens, at 1e-2 they sharpened.
            learning_rate=min(1e-2, 1e-2 * 128 / size.width),
            warmup=size.tokens // (20 * size.batch_size * CONTEXT),
            seed=seed,
        ),
        folder=folder,
        log=lambda row: log({**row, "done": row["tokens"]}),
    )


def config(width: int, vocab_size: int, *, scaled: bool) -> PretrainedConfig:
    """One layer of `N_HEADS` heads; the two kinds differ in the scaling of attention scores alone."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=1,
        n_head=N_HEADS,
        scale_attn_weights=scaled,
        initializer_range=(2 / (5 * width)) ** 0.5,  # as `models.config` has it
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0),
    )
