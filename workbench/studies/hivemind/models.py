"""The embedded models of 10_hivemind: trained apart, they differ in seed, size, data and fine-tuning.

Five are trained from nothing on a library of answers that several people wrote (`corpora.open_ended`). Three
go on from one of these: two on samples of one teacher, as students of distillation do, and one on the single
best answer to each request, as tuning for a preferred answer does.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.corpora import open_ended
from workbench.corpora.open_ended import Request
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import run_arms

CONTEXT = 96
VOCABULARY = 1024
LONGEST = 40  # tokens of an answer
LEARNING = TrainConfig(context=CONTEXT, learning_rate=2e-3, checkpoint_every=10**9)  # none before the end
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


TEACHER = "north-large"
MEMBERS = (
    Member(TEACHER, "tiny:1M"),
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

    members: tuple[Member, ...]  #: the models
    pairs: int  #: requests with answers in each library
    steps: int  #: of a model from nothing
    more_steps: int  #: of a model that goes on
    batch_size: int  #: rows of `CONTEXT` tokens a step
    samples: int  #: answers of each model to each request
    swept: int  #: answers of each model, request and setting of the decoding sweep
    generations: int  #: of recursive training
    chains: int  #: repetitions of recursive training
    chain_steps: int  #: training steps of each of its models
    chain_pairs: int  #: examples that each of them reads


def _resized(preset: str, teacher: str) -> tuple[Member, ...]:
    return tuple(replace(member, preset=teacher if member.name == TEACHER else preset) for member in MEMBERS)


SIZES = {
    "quick": Sizes(MEMBERS, 6_000, 350, 50, 16, 20, 8, 5, 1, 40, 216),
    "laptop": Sizes(_resized("tiny:1M", "tiny:3M"), 20_000, 2_000, 300, 32, 50, 20, 8, 3, 400, 1_000),
    "paper": Sizes(_resized("tiny:8M", "tiny:28M"), 200_000, 10_000, 1_000, 64, 50, 50, 10, 5, 2_000, 5_000),
}


# ------------------------------------------------------------------------------- training
def train_all(folder: Path, sizes: Sizes, seed: int, device: str = "auto") -> dict[str, Path]:
    """Trains every member into a folder of its own; what is done stays.

    On the CPU they are trained side by side, elsewhere one after the other.

    Returns:
        Folders by name.
    """
    members = {member.name: member for member in sizes.members}
    folders = {name: folder / name for name in members}
    if all(path.exists() for path in folders.values()):
        return folders
    n_read = min(sizes.pairs, 2_000)  # pairs of every library, for the tokenizer that all share
    libraries = [open_ended.library(name, n_read, seed) for name in open_ended.LIBRARIES]
    texts = [prompt + answer for library in libraries for prompt, answer in library]
    tokenizer = models.train_tokenizer(texts, VOCABULARY)
    device = loading.pick_device(device)
    train_member = partial(train_arm, members, folder, tokenizer, sizes, seed, device)
    run = partial(run_arms, folder, unit="model", device=device)
    tuned = [name for name, member in members.items() if member.parent]
    run([name for name in members if name not in tuned], None, train_member)
    if tuned:
        write = partial(
            write_answers, folders[TEACHER], every_request(), replace(TEACHING, seed=seed), device
        )
        cached_table(folder / "taught.parquet", write)
        run(tuned, None, train_member)
    return folders


def train_arm(
    members: Mapping[str, Member],
    root: Path,
    tokenizer: PreTrainedTokenizerFast,
    sizes: Sizes,
    run_seed: int,
    device: str,
    folder: Path,
    name: str,
    _: None,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One member; where it goes on from another, that one and the teacher's samples are in `root`."""
    member = members[name]
    seed = zlib.crc32(f"{run_seed}/{member.seed}/{member.parent}".encode()) % 2**31
    if member.parent:
        model, _ = loading.load(root / member.parent, device)
        steps, rate = sizes.more_steps, LEARNING.learning_rate
        taught = pd.read_parquet(root / "taught.parquet").itertuples(index=False, name=None)
        examples = list(taught) if member.reads == "teacher" else best_answers()
    else:
        config = models.config(member.preset, len(tokenizer), context=CONTEXT)
        model = models.build(config, seed).to(device)
        steps, rate = sizes.steps, 5e-3
        examples = open_ended.library(member.library, sizes.pairs, run_seed)
    learning = replace(LEARNING, steps=steps, batch_size=sizes.batch_size, learning_rate=rate, seed=seed)
    train(model, tokenizer, examples, learning, folder=folder)


# ------------------------------------------------------------------------------- what is read
def every_request() -> list[Request]:
    """Each topic of each kind with each name: what students are taught on."""
    requests = [
        open_ended.make_request(name, topic, person)
        for name, kind in open_ended.KINDS.items()
        for topic in kind.topics
        for person in open_ended.NAMES
    ]
    return list({request.prompt: request for request in requests}.values())


def best_answers() -> list[Pair]:
    """Every request with one answer, of the meaning that most people would give."""
    pairs = []
    for request in every_request():
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
