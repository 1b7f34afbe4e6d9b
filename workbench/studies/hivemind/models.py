"""The embedded models of 10_hivemind: trained apart, they differ in seed, size, data and fine-tuning.

Most are trained from nothing on a library of answers that several people wrote, and of polls among them
(`corpora.open_ended`, `corpora.polls`), so that they can be asked for one answer or for a list with shares.
Three go on from one of these: two on samples of one teacher, as students of distillation do, and one on the
single best answer to each request, as tuning for a preferred answer does. All of them are trained again with
every seed, each time on libraries written anew.
"""

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.corpora import open_ended, polls
from workbench.corpora.open_ended import Request
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, run_arms
from workbench.studies.common.profiles import REAL

CONTEXT = 104
VOCABULARY = 1024
LONGEST = 40  # tokens of an answer
LONGEST_POLL = 90  # tokens of a poll
FROM_NOTHING = 1e-2  # learning rate, the highest, of a model from nothing
LEARNING = TrainConfig(context=CONTEXT, learning_rate=2e-3, checkpoint_every=10**9)  # none before the end
# The highest learning rate on single best answers: the pilots' models answer with one meaning in four of five
# cases, where at 2e-3 they know one text only and no longer write a poll.
PREFERRING = 5e-4
TEACHING = SamplingParams(n=8, max_tokens=LONGEST, temperature=0.7, top_p=0.9)  # a teacher, as in SIKeD
Pair = tuple[str, str]
"""A prompt, and an answer after a space."""


@dataclass(frozen=True)
class Member:
    """One of the models."""

    name: str  #: of the model
    preset: str = "tiny:0.3M"  #: its shape
    library: str = "north"  #: whose answers it has read
    seed: int = 0  #: of its first weights and of the order of its data, beside the run's
    parent: str = ""  #: the member it goes on from, "" for a model from nothing
    #: what it goes on with: samples of the teacher, or the single best answers.
    reads: Literal["", "teacher", "best"] = ""


MEMBERS = (
    Member("north-large", "tiny:1M"),
    Member("north-a"),
    Member("north-b", seed=1),
    Member("south", library="south", seed=2),
    Member("west", library="west", seed=3),
    Member("south-taught", library="south", parent="south", reads="teacher"),
    Member("west-taught", library="west", parent="west", reads="teacher"),
    Member("north-best", parent="north-a", reads="best"),
)


@dataclass(frozen=True)
class Sizes:
    """How much is trained and asked."""

    members: tuple[Member, ...]  #: the models; the first one teaches
    seeds: int  #: trainings of all of them
    chains: int  #: how many of these seeds have chains of recursive training
    kinds: tuple[str, ...]  #: of embedded requests, which the models read and are asked
    pairs: int  #: requests with answers in each library
    polls: int  #: requests with polls in each library
    steps: int  #: of a model from nothing
    more_steps: int  #: of a model that goes on
    batch_size: int  #: rows of `CONTEXT` tokens a step
    samples: int  #: answers of each model to each request
    swept: int  #: answers of each model, request and setting of the decoding sweep
    temperatures: tuple[float, ...]  #: of the sweep; 1 and 2 are among them
    mapped: int  #: answers of each model and request on the map
    generations: int  #: of recursive training
    chain_steps: int  #: training steps of each of its models
    chain_pairs: int  #: examples that each of them reads
    rated: int  #: answers whose ratings are simulated
    per_kind: int | None = None  #: requests of each kind that given models are asked; None for all
    longest: int = 512  #: tokens of an answer of a given model
    heats: tuple[float, ...] = ()  #: temperatures at which given models are asked as well
    lists: bool = False  #: whether given models are asked for plain lists too
    simulates: bool = True  #: whether figures about simulated models and people are drawn for given ones too


def _resized(preset: str, teacher: str) -> tuple[Member, ...]:
    first, *others = MEMBERS
    return (replace(first, preset=teacher), *(replace(member, preset=preset) for member in others))


def _few() -> tuple[Member, ...]:
    """One model from nothing for each library, of which the northern one teaches, and those that go on."""
    return tuple(member for member in MEMBERS if member.name not in ("north-large", "north-b"))


def placebo_members(members: Sequence[Member]) -> tuple[Member, ...]:
    """Each model that goes on from another becomes that other, trained anew from other first weights."""
    own = {member.name: member for member in members}
    return tuple(
        replace(own[member.parent], name=member.name, seed=1_000 + number) if member.parent else member
        for number, member in enumerate(members)
    )


HEATS = (0.5, 1.0, 1.5, 2.0)
NAMELESS = ("dweller", "likeness", "story")  # kinds that name nobody, so that few examples are many for each
EVERY_KIND = tuple(open_ended.KINDS)
SIZES = {
    "quick": Sizes(
        _few(), 1, 1, ("dweller",), 1_500, 250, 95, 20, 8, 16, 6, (1.0, 2.0), 6, 3, 20, 72, 150
    ),
    "laptop": Sizes(_few(), 8, 6, NAMELESS, 6_000, 1_200, 340, 40, 8, 24, 6, HEATS, 6, 5, 35, 216, 750),
    "paper": Sizes(
        _resized("tiny:8M", "tiny:28M"), 8, 6, EVERY_KIND, 200_000, 40_000, 12_000, 1_000, 64, 50, 50, HEATS,
        10, 10, 2_000, 5_000, 750,
    ),
}  # fmt: skip
SIZES[REAL] = replace(
    SIZES["quick"], kinds=EVERY_KIND, samples=8, mapped=6, per_kind=3, longest=48, heats=(0.3, 1.0),
    lists=True, simulates=False,
)  # fmt: skip


# ------------------------------------------------------------------------------- training
def train_all(
    folder: Path, sizes: Sizes, seed: int, device: str = "auto", placebo: bool = False
) -> dict[int, dict[str, Path]]:
    """Trains every member with every seed, into a folder of its own; what is done stays.

    On the CPU seeds are trained side by side, elsewhere one after the other.

    Args:
        folder: of all of them.
        sizes: who is trained, how long, and with how many seeds.
        seed: the first one.
        device: where.
        placebo: those that go on from another are that other instead, see `placebo_members`.

    Returns:
        Folders by seed and name.
    """
    chosen = placebo_members(sizes.members) if placebo else sizes.members
    members = {member.name: member for member in chosen}
    seeds = range(seed, seed + sizes.seeds)
    folders = {each: {name: arm_folder(folder, name, each) for name in members} for each in seeds}
    if all(path.exists() for of_seed in folders.values() for path in of_seed.values()):
        return folders
    n_read = min(sizes.pairs, 2_000)  # pairs of every library, for the tokenizer that all share
    few = replace(sizes, pairs=n_read, polls=min(sizes.polls, 400))
    libraries = [library(name, few, seed) for name in open_ended.LIBRARIES]
    texts = [prompt + answer for library in libraries for prompt, answer in library]
    tokenizer = models.train_tokenizer(texts, VOCABULARY)
    device = loading.pick_device(device)
    train_member = partial(train_arm, members, folder, tokenizer, sizes, device)
    run_arms(folder, list(members), seeds, train_member, unit="model", together=list(members), device=device)
    return folders


def train_arm(
    members: Mapping[str, Member],
    root: Path,
    tokenizer: PreTrainedTokenizerFast,
    sizes: Sizes,
    device: str,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One member; the one that it goes on from, and the teacher, have been trained with this seed."""
    member = members[name]
    if member.parent:
        model, _ = loading.load(arm_folder(root, member.parent, seed), device)
        teacher = arm_folder(root, next(iter(members)), seed)
        best, steps = member.reads == "best", sizes.more_steps
        rate = PREFERRING if best else LEARNING.learning_rate
        examples = best_answers(sizes.kinds) if best else taught(teacher, seed, device, sizes.kinds)
    else:
        config = models.config(member.preset, len(tokenizer), context=CONTEXT)
        model = models.build(config, _seed(member, seed), device)
        steps, rate = sizes.steps, FROM_NOTHING
        examples = library(member.library, sizes, seed)
    learning = replace(LEARNING, steps=steps, batch_size=sizes.batch_size, learning_rate=rate)
    train(model, tokenizer, examples, replace(learning, seed=_seed(member, seed)), folder=folder)


def _seed(member: Member, seed: int) -> int:
    return zlib.crc32(f"{seed}/{member.seed}/{member.parent}".encode()) % 2**31


# ------------------------------------------------------------------------------- what is read
def library(name: str, sizes: Sizes, seed: int) -> list[Pair]:
    """What the people of a library wrote: about `sizes.pairs` answers, and polls among them."""
    known = {request.prompt for request in every_request(sizes.kinds)}
    written = open_ended.library(name, sizes.pairs * len(EVERY_KIND) // len(sizes.kinds), seed)
    polled = polls.library(name, sizes.polls, seed, sizes.kinds)
    return [pair for pair in written if pair[0] in known] + polled


def every_request(kinds: Collection[str] = EVERY_KIND) -> list[Request]:
    """Each topic of each kind with each name: what students are taught on."""
    requests = [
        open_ended.make_request(name, topic, person)
        for name in kinds
        for topic in open_ended.KINDS[name].topics
        for person in open_ended.NAMES
    ]
    return list({request.prompt: request for request in requests}.values())


def taught(teacher: Path, seed: int, device: str, kinds: Collection[str]) -> list[Pair]:
    """What a trained teacher answers to every request; kept beside it."""
    write = partial(write_answers, teacher, every_request(kinds), replace(TEACHING, seed=seed), device)
    written = cached_table(teacher.with_name("taught.parquet"), write)
    return list(written.itertuples(index=False, name=None))


def best_answers(kinds: Collection[str] = EVERY_KIND) -> list[Pair]:
    """Every request with one answer, of the meaning that most people would give."""
    pairs = []
    for request in every_request(kinds):
        answers = open_ended.answers(request, 200, seed=0)
        best = pd.Series([answer.meaning for answer in answers]).mode()[0]
        text = next(answer.text for answer in answers if answer.meaning == best)
        pairs.append((request.prompt, " " + text))
    return pairs


def write_answers(
    model: Path, requests: Sequence[Request], sampling: SamplingParams, device: str
) -> pd.DataFrame:
    """What a trained model answers to requests: columns prompt, answer (after a space)."""
    prompts = [request.prompt for request in requests]
    sampler = TransformersSampler(*loading.load(model, device), batch_size=256)
    replies = sampler.sample(prompts, sampling)
    rows = [(prompt, completion.text) for prompt, completions in zip(prompts, replies, strict=True)
            for completion in completions]  # fmt: skip
    return pd.DataFrame(rows, columns=["prompt", "answer"])
