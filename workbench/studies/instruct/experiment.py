"""Models of one size and different depth learn (instruction, story) pairs, and are asked for new ones.

Every model of a seed reads the same stories in the same order. The control has the depth of the shallowest,
and reads each story behind another one's instruction: it learns to write, and that instructions say nothing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.engine import loading, models
from workbench.engine.cost import measure
from workbench.engine.sampling.sampler import SamplingParams, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import converses
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import Row, arm_folder, collect, run_arms
from workbench.studies.instruct import data
from workbench.studies.instruct.data import Settings
from workbench.studies.instruct.requests import (
    ANY_TEXT,
    KINDS,
    Request,
    Written,
    for_test,
    for_training,
    full,
)

GIVEN = "as given"  # the arm of a model that is not trained here
_TOKENS_A_STORY = 80  # at most: a training has at least as many examples as it can read
_WARMUP = 50
_TO_FIT = 2_000  # stories for pieces of words
_PIECE = re.compile(r" ?(?:[A-Za-z]+|[^A-Za-z\s])|\s")


@dataclass(frozen=True)
class Arm:
    """A depth, and whether instructions belong to their stories."""

    layers: int
    is_shuffled: bool = False

    @property
    def name(self) -> str:
        """As it is shown."""
        counted = f"{self.layers} layer{'s' * (self.layers > 1)}"
        return f"{counted}, shuffled" if self.is_shuffled else counted


def arms(settings: Settings) -> dict[str, Arm]:
    """Every depth, and the control at the least, by name."""
    depths = [Arm(layers) for layers, _ in settings.shapes]
    return {arm.name: arm for arm in (*depths, Arm(depths[0].layers, is_shuffled=True))}


# ------------------------------------------------------------------------------- what is read and asked
def pairs(training: pd.DataFrame, n: int, seed: int, *, is_shuffled: bool) -> list[tuple[str, str]]:
    """(instruction, story) n times, story by story, each pass with other subsets and sentences.

    Args:
        training: rows of `data.shelf`.
        n: pairs.
        seed: of what is asked.
        is_shuffled: gives each story the instruction of another one.
    """
    rows, random = training.to_dict("records"), Random(f"{seed}/asked")
    read = [(for_training(row, random).prompt(), row["story"]) for row in islice(cycle(rows), n)]
    prompts = [prompt for prompt, _ in read]
    if is_shuffled:
        Random(f"{seed}/shuffled").shuffle(prompts)
    return [(prompt, story) for prompt, (_, story) in zip(prompts, read, strict=True)]


def requests(test: pd.DataFrame, seed: int, kinds: Sequence[str]) -> list[Request]:
    """What is asked of the stories of a test; only what can be graded."""
    asked = [for_test(row, Random(f"{seed}/{row['item']}")) for row in test.to_dict("records")]
    return [request.only(kinds) for request in asked]


def gradable(settings: Settings, shelf: pd.DataFrame) -> tuple[str, ...]:
    """The kinds of instruction that can be graded in stories: all in the simulator's language alone."""
    if settings.plain:
        return ANY_TEXT
    is_exact = settings.data == "embedded" or data.is_exact(shelf["story"].tolist())
    return KINDS if is_exact else ANY_TEXT


def fit_tokenizer(shelf: pd.DataFrame, settings: Settings) -> PreTrainedTokenizerFast:
    """The tokenizer of all models: a token a word in the simulator's small language, else pieces of words."""
    random, rows = Random(settings.seed), shelf.to_dict("records")
    texts = [full(row, random).prompt() + row["story"] for row in rows]
    if settings.data == "embedded":
        return whole_words(texts)
    return models.train_tokenizer(texts[:_TO_FIT], settings.vocab_size)


def whole_words(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A token for each word and each other character, with the space before it."""
    pieces = sorted({piece for text in texts for piece in _PIECE.findall(text)})
    vocabulary = {piece: number for number, piece in enumerate([models.END_OF_TEXT, *pieces])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=models.END_OF_TEXT))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE.pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = models.begins_with(models.END_OF_TEXT)
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), models.END_OF_TEXT)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


# ------------------------------------------------------------------------------- training and asking
def train_all(
    folder: Path, shelf: pd.DataFrame, settings: Settings, log: Callable[..., None]
) -> pd.DataFrame:
    """Trains every arm with every seed and asks it for stories, or asks the model that is given.

    Returns:
        A row a story and kind of instruction that was asked: columns seed, arm, layers, is_shuffled, item,
        combination, kind, met (the share that the story does), chance (the mean share that the stories
        written for the other requests do), prompt, story, grammar (share of its sentences that the exact
        grader reads) and loss (nats per token of the test's true stories). In a placebo run every arm bears
        its own name, whatever it has read.
    """
    tokenizer = fit_tokenizer(shelf, settings) if settings.trains else None
    known = arms(settings) if settings.trains else {}
    names = list(known) or [GIVEN]
    run_arms(
        folder,
        sorted(names, key=lambda name: -known[name].layers if known else 0),  # the deepest take longest
        settings.all_seeds,
        partial(train_arm, shelf, tokenizer, settings),
        unit="token",
        total=settings.n_tokens,
        device=settings.device,
        processes=settings.processes,
        placebo_of=names[0] if settings.placebo else None,
        log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
    )
    answers = collect(folder, names, settings.all_seeds, "answers")
    about = {name: known.get(name, Arm(0)) for name in names}
    return answers.assign(
        layers=answers["arm"].map({name: arm.layers for name, arm in about.items()}),
        is_shuffled=answers["arm"].map({name: arm.is_shuffled for name, arm in about.items()}),
    )


def train_arm(
    shelf: pd.DataFrame,
    tokenizer: PreTrainedTokenizerFast | None,
    settings: Settings,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[Row], None],
) -> None:
    """One arm: learns its pairs and is asked; a given model is only asked."""
    training, test = data.split(shelf, seed, settings.n_test)
    if name == GIVEN:
        model, tokenizer = loading.load(settings.model, settings.device)
    else:
        arm = arms(settings)[name]
        config = training_of(settings, arm.layers, seed)
        read = pairs(training, settings.n_tokens // _TOKENS_A_STORY + 1, seed, is_shuffled=arm.is_shuffled)
        assert tokenizer is not None  # it is fitted where models are trained
        model = new_model(arm.layers, len(tokenizer), settings, seed, settings.device)
        train(
            model, tokenizer, read, config, folder=folder / "model",
            log=lambda row: log({**row, "done": row["tokens"]}),
        )  # fmt: skip
    asked = requests(test, seed, gradable(settings, shelf))
    cached_table(folder / "answers.parquet", lambda: ask(model, tokenizer, test, asked, settings))


def new_model(
    layers: int, vocab_size: int, settings: Settings, seed: int, device: str = "cpu"
) -> PreTrainedModel:
    """A model of this depth, with the width that makes all of them equally large."""
    width = dict(settings.shapes)[layers]
    config = models.config(
        vocab_size=vocab_size, n_layers=layers, hidden_size=width, context=settings.context
    )
    return models.build(config, seed, device)


def training_of(settings: Settings, layers: int, seed: int) -> TrainConfig:
    """How a model of this depth learns; more than one layer stall at the rate that is best for one."""
    return TrainConfig(
        tokens=settings.n_tokens,
        batch_size=settings.batch_size,
        context=settings.context,
        learning_rate=settings.learning_rate / min(layers, 2),
        warmup=_WARMUP,
        seed=seed,
    )


def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    test: pd.DataFrame,
    asked: Sequence[Request],
    settings: Settings,
) -> pd.DataFrame:
    """What a model writes for each request, always taking the most likely token, and its grades."""
    prompts = [as_asked(request, tokenizer, settings) for request in asked]
    stories = write(model, tokenizer, prompts, settings.max_tokens)
    true = list(zip(prompts, test["story"], strict=True))
    scored = loss(model, tokenizer, true)
    texts = {
        "combination": test["combination"],
        "prompt": prompts,
        "story": [story.text for story in stories],
    }
    about = pd.DataFrame(texts).rename_axis("item").reset_index()
    return graded(asked, stories).assign(loss=scored.nats.sum() / scored.n_tokens).merge(about, on="item")


def as_asked(request: Request, tokenizer: PreTrainedTokenizerFast, settings: Settings) -> str:
    """A request as a model reads it: in plain English if it is an instruct model and `plain` says so."""
    return request.question() if settings.plain and converses(tokenizer) else request.prompt()


def expected(settings: Settings) -> list[str]:
    """What asking a given model takes, where it is asked in plain English."""
    if not settings.plain:
        return []
    cost = measure(*loading.load(settings.model, settings.device), writes=True)
    stories = 2 * settings.n_test + 1  # and one to try
    return [
        cost.sentence(cost.minutes(read=2 * _TOKENS_A_STORY * stories, write=settings.max_tokens * stories))
    ]


def write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], max_tokens: int
) -> list[Written]:
    """The most likely story behind each prompt."""
    sampler = TransformersSampler(model, tokenizer)
    likeliest = SamplingParams(max_tokens=max_tokens, temperature=0)
    replies = sampler.sample([prompt_for(sampler, prompt) for prompt in prompts], likeliest)
    return [Written(reply[0].text.strip()) for reply in replies]


def graded(asked: Sequence[Request], stories: Sequence[Written]) -> pd.DataFrame:
    """How much each story does of its request, and the stories of all other requests of it.

    Returns:
        A row a story and kind: columns item (the number of the request), kind, met, chance and grammar.
    """
    rows = []
    for kind in KINDS:
        for item, request in enumerate(asked):
            if kind in request.kinds:
                met = np.array([story.meets(request, kind) for story in stories])
                chance = np.delete(met, item).mean()
                rows.append((item, kind, met[item], chance, stories[item].grade.grammar))
    return pd.DataFrame(rows, columns=["item", "kind", "met", "chance", "grammar"])


# ------------------------------------------------------------------------------- models
def parameter_counts(vocab_size: int, settings: Settings) -> pd.DataFrame:
    """Parameters of every depth that is trained: columns layers, width, total, embedding, other."""
    rows = []
    for layers, width in settings.shapes if settings.trains else ():
        counts = models.count_parameters(new_model(layers, vocab_size, settings, 0))
        rows.append((layers, width, counts.total, counts.embedding, counts.non_embedding))
    return pd.DataFrame(rows, columns=["layers", "width", "total", "embedding", "other"])


def load(folder: Path, settings: Settings) -> dict[str, tuple[PreTrainedModel, PreTrainedTokenizerFast]]:
    """The models of the first seed by name, or the given one."""
    if not settings.trains:
        return {GIVEN: loading.load(settings.model, settings.device)}
    names = list(arms(settings))
    return {name: loading.load(arm_folder(folder, name, settings.seed) / "model", "cpu") for name in names}
