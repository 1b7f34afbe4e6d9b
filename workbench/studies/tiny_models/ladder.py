"""A ladder of models: what to train for how long, the trained models, and their losses.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the sections on models and on depth and width. As published:
shapes, a context of 512, batches of 80 and 10,000 tokens of vocabulary at profile=paper. Otherwise: Llama
models unless another architecture is chosen, and the number of training tokens, which is not published.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import facts
from workbench.corpora.loaders.texts import hold_out
from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import atomic_folder
from workbench.studies.common.arms import arm_folder, run_arms
from workbench.studies.common.profiles import REAL, is_ladder
from workbench.studies.tiny_models.shares import held_out_share

Fitted = Mapping[str, tuple[PreTrainedModel, PreTrainedTokenizerFast]]
Arms = Mapping[str, tuple[PretrainedConfig, TrainConfig]]
ASIDE = ("deep", "wide", "noise")  # rungs that differ from another in more than size, or not in size at all
PAIRS = (("deep", "wide"), ("0.3M", "wide"))  # many layers and one, of as many parameters in total


@dataclass(frozen=True)
class Rung:
    """A model of the ladder."""

    name: str
    preset: str
    n_layers: int | None = None
    hidden_size: int | None = None
    noise: bool = False  #: whether half of what it reads are facts that no story needs


@dataclass(frozen=True)
class Sizes:
    """How much is trained and measured."""

    rungs: tuple[Rung, ...]  #: models to train; the last one outside `ASIDE` is the largest
    tokens: int  #: that a model reads, those of padding included
    vocab_size: int  #: of the tokenizer
    context: int  #: tokens a row
    batch_size: int  #: rows a step
    beginnings: int  #: held-out stories that are continued
    probes: int  #: questions of each name
    seeds: int  #: trainings of each model
    checkpoints: int = 10  #: snapshots of a training, at equal distances
    asked: int = 50  #: questions of each name that a snapshot is asked
    drafts: int = 40  #: stories that some snapshots continue
    read: int | None = None  #: held-out stories that are scored; None for all
    max_tokens: int = 200  #: of a continuation
    beside: bool = False  #: whether a given model stands beside true endings and the starter


# One size and two shapes: 12 x layers x width^2 + vocabulary x width is about equal.
_SMALL, _MIDDLE = Rung("0.1M", "tiny:0.1M"), Rung("0.3M", "tiny:0.3M")
RUNGS = {
    "quick": (_SMALL, _MIDDLE),
    "laptop": (
        _SMALL,
        _MIDDLE,
        Rung("0.5M", "tiny:1M", hidden_size=96),
        Rung("wide", "tiny:0.3M", n_layers=1, hidden_size=96),
        Rung("noise", "tiny:0.1M", noise=True),
    ),
    "paper": (
        Rung("1M", "tiny:1M", n_layers=8, hidden_size=64),
        Rung("3M", "tiny:3M", n_layers=8, hidden_size=128),
        Rung("8M", "tiny:8M", n_layers=8, hidden_size=256),
        Rung("28M", "tiny:28M"),
        Rung("33M", "tiny:33M"),
        Rung("deep", "tiny:8M", n_layers=12, hidden_size=256),
        Rung("wide", "tiny:8M", n_layers=1, hidden_size=672),
        Rung("noise", "tiny:8M", n_layers=8, hidden_size=256, noise=True),
    ),
}
# Two stories of the simulator, at this vocabulary, fill a row of 384.
SIZES = {  # profile: rungs, tokens, vocabulary, context, batch, beginnings, probes, seeds
    "quick": Sizes(RUNGS["quick"], 400_000, 768, 384, 2, 30, 20, 1, checkpoints=5, asked=15, drafts=10),
    "laptop": Sizes(RUNGS["laptop"], 5_000_000, 768, 384, 4, 100, 80, 5),
    REAL: Sizes((), 0, 0, 0, 0, 50, 24, 1, read=80, max_tokens=120, beside=True),
    "paper": Sizes(RUNGS["paper"], 2_000_000_000, 10_000, 512, 80, 1_000, 1_000, 5),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes, or what `n_tokens`, `seeds`, a preset as `model`, `width`, `depth` put there."""
    chosen = SIZES[params.profile]
    chosen = replace(chosen, tokens=params.n_tokens or chosen.tokens, seeds=params.seeds or chosen.seeds)
    shaped = params.depth is not None or params.width is not None
    if not is_ladder(params.model):
        return replace(chosen, seeds=1)
    if not shaped and params.model == "ladder":
        return chosen
    preset = "tiny:1M" if params.model == "ladder" else params.model
    layers, width = models.SHAPES[preset]
    name = f"{params.depth or layers}x{params.width or width}" if shaped else preset.removeprefix("tiny:")
    return replace(chosen, rungs=(Rung(name, preset, params.depth, params.width),))


# ------------------------------------------------------------------------------- training
def split(stories: Sequence[str], seed: int, *, given: bool = False) -> tuple[list[str], list[str]]:
    """(training, held out) by content: about 400 stories are held out, of few stories a twentieth.

    Nothing is trained when a model is `given`: then 400 are held out of few stories too, if there are 800.
    """
    return hold_out(stories, held_out_share(len(stories), given), seed)


def fit_tokenizer(training: Sequence[str], sizes: Sizes) -> PreTrainedTokenizerFast:
    """The tokenizer of all models, from the first 3,000 stories."""
    return models.train_tokenizer(training[:3000], sizes.vocab_size)


def largest(rungs: Sequence[Rung]) -> str:
    """The name of the largest model: the last one outside `ASIDE`."""
    return [rung.name for rung in rungs if rung.name not in ASIDE][-1]


def pair(names: Collection[str]) -> tuple[str, str] | None:
    """The deep and the wide model of one size among these, if they are there."""
    return next((both for both in PAIRS if {*both} <= {*names}), None)


def clean_twin(rungs: Sequence[Rung]) -> str | None:
    """The rung of the same shape as the one that reads noise, if both are there."""
    noisy = next((rung for rung in rungs if rung.noise), None)
    twins = [rung.name for rung in rungs if noisy and replace(noisy, name=rung.name, noise=False) == rung]
    return twins[0] if twins else None


def trained(models_folder: Path, name: str, seed: int | None = None) -> Path:
    """Where the model of a rung or preset is that was trained with a seed; there only once it has finished.

    Args:
        models_folder: the artifact `models` of a run of 02_tiny_models.
        name: of a rung, or of the preset that was trained alone.
        seed: of the training; None for the first one.
    """
    if seed is None:
        seeds = [int(path.name.removeprefix("seed-")) for path in models_folder.glob("seed-*")]
        seed = min(seeds, default=0)
    return arm_folder(models_folder, name.removeprefix("tiny:"), seed) / "model"


def checkpoints(models_folder: Path, name: str, seed: int) -> list[tuple[int, Path]]:
    """Snapshots of a finished training of a rung, as (tokens read, folder), the last one at its end."""
    folders = (arm_folder(models_folder, name, seed) / "checkpoints").iterdir()
    return sorted((int(folder.name), folder) for folder in folders)


def fit_ladder(
    tokenizer: PreTrainedTokenizerFast,
    training: Sequence[str],
    held_out: Sequence[str],
    sizes: Sizes,
    folder: Path,
    *,
    architecture: models.Architecture,
    device: str,
    seeds: Sequence[int],
    placebo: bool = False,
    log: Callable[..., None],
) -> dict[int, Fitted]:
    """Trains every model of the ladder with every seed, or goes on with it; what is finished is only loaded.

    On the CPU the models are trained side by side, each with its share of the threads. A seed gives the first
    weights and the order of stories, which is the same for all models of the seed. Returns them by seed.

    Args:
        tokenizer: of all models.
        training: stories to learn.
        held_out: stories for the loss while training; the first 50 are used.
        sizes: what to train, and how long.
        folder: of the models, see `trained`.
        architecture: of all models.
        device: a torch device, or auto.
        seeds: of the trainings.
        placebo: whether every model is trained as the smallest one, with seeds of its own.
        log: called with model, seed, step, tokens, loss, … by name.
    """
    device, arms = loading.pick_device(device), arms_of(sizes, len(tokenizer), architecture)
    run_arms(
        folder,
        sorted(arms, key=lambda name: -arms[name][0].num_hidden_layers * arms[name][0].hidden_size),
        seeds,
        partial(
            train_arm,
            arms,
            {rung.name for rung in sizes.rungs if rung.noise},
            tokenizer,
            list(training),
            list(held_out)[:50],
            device,
        ),
        unit="token",
        total=sizes.tokens,
        device=device,
        placebo_of=sizes.rungs[0].name if placebo else None,
        log=lambda name, seed, row: log(model=name, seed=seed, **row),
    )
    return {
        seed: {name: loading.load(trained(folder, name, seed), device) for name in arms} for seed in seeds
    }


def arms_of(sizes: Sizes, vocab_size: int, architecture: models.Architecture) -> Arms:
    """The configuration and the training of each rung, by its name; seeds are still to be set."""
    arms = {}
    for rung in sizes.rungs:
        shape = (rung.n_layers, rung.hidden_size)
        config = models.config(rung.preset, vocab_size, architecture, *shape, sizes.context)
        arms[rung.name] = (
            config,
            TrainConfig(
                tokens=sizes.tokens,
                batch_size=sizes.batch_size,
                context=sizes.context,
                learning_rate=min(1e-2, 3e-3 * 128 / config.hidden_size),  # the narrower, the faster
                warmup=50,
                evaluate_every=max(1, sizes.tokens // (sizes.batch_size * sizes.context * sizes.checkpoints)),
            ),
        )
    return arms


def train_arm(
    arms: Arms,
    noisy: Collection[str],
    tokenizer: PreTrainedTokenizerFast,
    training: Sequence[str],
    held_out: Sequence[str],
    device: str,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """Trains one model of the ladder with one seed: `folder` gets the `model` and its `checkpoints`."""
    config, settings = arms[name]
    model = models.build(config, seed, device)
    texts = [*training, *facts_of_the_web(len(training), seed)] if name in noisy else training

    def note(row: dict[str, float]) -> None:
        if "held_out_nats" in row:
            snapshot = folder / "checkpoints" / str(row["tokens"])
            with atomic_folder(snapshot) as new, loading.without_bars():
                loading.write(deepcopy(model).half(), tokenizer, new)
        log({**row, "done": row["tokens"]})

    settings = replace(settings, seed=seed)
    train(model, tokenizer, texts, settings, held_out=held_out, folder=folder / "model", log=note)


def facts_of_the_web(n: int, seed: int) -> list[str]:
    """n pages of facts, as long as a story together: who has which pet, colour, toy, of 2,000 to be known.

    They stand for the breadth of a web corpus, which Eldan & Li hold to hinder small models (section 1).
    """
    rng = np.random.default_rng([seed, 1])
    sentences = ["".join(fact.pair()) + "." for fact in facts.draw(2000, rng)]
    return [" ".join(rng.choice(sentences, 14)) for _ in range(n)]


def flat(fitted: Mapping[int, Mapping[str, Any]]) -> dict[tuple[int, str], Any]:
    """What belongs to each seed and model, by the two together."""
    return {(seed, name): value for seed, of_seed in fitted.items() for name, value in of_seed.items()}
