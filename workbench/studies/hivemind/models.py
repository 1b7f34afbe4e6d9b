"""The embedded models of 10_hivemind: trained apart, they differ in seed, size, data and fine-tuning.

Five are trained from nothing on a library of answers that several people wrote (`corpora.open_ended`). Three
go on from one of these: two on samples of one teacher, as students of distillation do, and one on the single
best answer to each request, as tuning for a preferred answer does.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.corpora import open_ended
from workbench.corpora.open_ended_words import KINDS
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.common.arms import run_arms

CONTEXT = 96
VOCABULARY = 1024
LONGEST = 40  # tokens of an answer
TEACHING = {"temperature": 0.7, "top_p": 0.9}  # how a teacher is sampled, as in SIKeD
Pair = tuple[str, str]


@dataclass(frozen=True)
class Member:
    """One of the models.

    Attributes:
        name: of the model.
        preset: its shape.
        library: whose answers it has read.
        seed: of its first weights and of the order of its data, beside the run's.
        of: the member it goes on from, "" for a model from nothing.
        reads: what it goes on with: samples of the teacher, or the single best answers.
    """

    name: str
    preset: str = "tiny:0.3M"
    library: str = "north"
    seed: int = 0
    of: str = ""
    reads: Literal["", "teacher", "best"] = ""


TEACHER = "north-large"
MEMBERS = (
    Member(TEACHER, "tiny:1M"),
    Member("north-a"),
    Member("north-b", seed=1),
    Member("south", library="south", seed=2),
    Member("west", library="west", seed=3),
    Member("south-taught", library="south", of="south", reads="teacher"),
    Member("west-taught", library="west", of="west", reads="teacher"),
    Member("north-best", of="north-a", reads="best"),
)


@dataclass(frozen=True)
class Sizes:
    """How much is trained and asked.

    Attributes:
        members: the models.
        pairs: requests with answers in each library.
        steps: of a model from nothing.
        more_steps: of a model that goes on.
        batch_size: rows of `CONTEXT` tokens a step.
        samples: answers of each model to each request.
        swept: answers of each model, request and setting of the decoding sweep.
        generations: of recursive training.
        chains: repetitions of recursive training.
        chain_steps: training steps of each of its models.
        chain_pairs: examples that each of them reads.
    """

    members: tuple[Member, ...]
    pairs: int
    steps: int
    more_steps: int
    batch_size: int
    samples: int
    swept: int
    generations: int
    chains: int
    chain_steps: int
    chain_pairs: int


def _grown(preset: str, large: str) -> tuple[Member, ...]:
    return tuple(replace(each, preset=large if each.name == TEACHER else preset) for each in MEMBERS)


SIZES = {
    "tiny": Sizes(MEMBERS, 6_000, 350, 50, 16, 20, 8, 5, 1, 40, 216),
    "small": Sizes(_grown("tiny:1M", "tiny:3M"), 20_000, 2_000, 300, 32, 50, 20, 8, 3, 400, 1_000),
    "paper": Sizes(_grown("tiny:8M", "tiny:28M"), 200_000, 10_000, 1_000, 64, 50, 50, 10, 5, 2_000, 5_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `samples` and `iterations` replace what they name.

    Raises:
        UserError: there is nothing to draw, or no generation after the first.
    """
    named = {"samples": params.samples, "generations": params.iterations}
    given = {name: value for name, value in named.items() if value is not None}
    if given.get("samples", 1) < 1 or given.get("generations", 2) < 2:
        raise UserError(
            "samples must be 1 or more and iterations 2 or more: the first one reads what people wrote."
        )
    return replace(SIZES[params.profile], **given)


def described(sizes: Sizes) -> pd.DataFrame:
    """Who the models are: columns model, shape, began from, read."""
    read = {"teacher": f"samples of {TEACHER}", "best": "one best answer a request"}
    return pd.DataFrame(
        [
            {
                "model": each.name,
                "shape": each.preset,
                "began from": each.of or f"nothing, seed {each.seed}",
                "read": read.get(each.reads, f"library {each.library}"),
            }
            for each in sizes.members
        ]
    )


# ------------------------------------------------------------------------------- training
def train_all(folder: Path, sizes: Sizes, params: Any) -> dict[str, Path]:
    """Trains every member into a folder of its own, side by side; what is done stays.

    Returns:
        Folders by name.
    """
    members = {member.name: member for member in sizes.members}
    folders = {name: folder / name for name in members}
    if all(path.exists() for path in folders.values()):
        return folders
    tokenizer = models.train_tokenizer(_everything(sizes.pairs, params.seed), VOCABULARY)
    train_member = partial(train_arm, members, folder, tokenizer, sizes, params.seed)
    rest = [name for name, member in members.items() if member.of]
    run_arms(folder, [name for name in members if name not in rest], None, train_member, unit="model")
    if rest:
        cached_table(folder / "taught.parquet", partial(_taught, folders[TEACHER], params.seed))
        run_arms(folder, rest, None, train_member, unit="model")
    return folders


def train_arm(
    members: Mapping[str, Member],
    root: Path,
    tokenizer: PreTrainedTokenizerFast,
    sizes: Sizes,
    seed: int,
    folder: Path,
    name: str,
    _: None,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One member; where it goes on from another, that one and the teacher's samples are in `root`."""
    member = members[name]
    if member.of:
        model, _ = loading.load(root / member.of, "cpu")
        taught = pd.read_parquet(root / "taught.parquet")
        samples = list(zip(taught["prompt"], taught["answer"], strict=True))
        examples = samples if member.reads == "teacher" else best_answers()
    else:
        config = models.config(member.preset, vocab_size=len(tokenizer), context=CONTEXT)
        model = models.build(config, _own(seed, member))
        examples = open_ended.library(member.library, sizes.pairs, seed)
    steps = sizes.more_steps if member.of else sizes.steps
    train(
        model,
        tokenizer,
        examples,
        TrainConfig(
            steps=steps,
            batch_size=sizes.batch_size,
            context=CONTEXT,
            learning_rate=2e-3 if member.of else 5e-3,
            seed=_own(seed, member),
            checkpoint_every=steps,
        ),
        folder=folder,
    )


def _everything(n: int, seed: int) -> list[str]:
    """Some text of every library, for the tokenizer that all share."""
    n = min(n, 2_000)
    return [a + b for name in open_ended.LIBRARIES for a, b in open_ended.library(name, n, seed)]


def _own(seed: int, member: Member) -> int:
    return zlib.crc32(f"{seed}/{member.seed}/{member.of}".encode()) % 2**31


def every_request() -> list[open_ended.Request]:
    """Each topic of each kind with each name: what students are taught on."""
    found = [
        open_ended.make_request(kind, topic, name)
        for kind in KINDS
        for topic in KINDS[kind].topics
        for name in open_ended.NAMES
    ]
    return list({each.prompt: each for each in found}.values())


def best_answers() -> list[Pair]:
    """Every request with one answer, of the meaning that most people would give."""
    found = []
    for asked in every_request():
        many = open_ended.answers(asked, 200, seed=0)
        best = pd.Series([each.meaning for each in many]).mode()[0]
        found.append((asked.prompt, " " + next(each.text for each in many if each.meaning == best)))
    return found


def _taught(teacher: Path, seed: int, n: int = 8) -> pd.DataFrame:
    """What the teacher answers: columns prompt, answer."""
    prompts = [each.prompt for each in every_request()]
    sampler = TransformersSampler(*loading.load(teacher, "cpu"), batch_size=256)
    replies = sampler.sample(prompts, SamplingParams(n=n, max_tokens=LONGEST, seed=seed, **TEACHING))
    rows = [(p, each.text) for p, own in zip(prompts, replies, strict=True) for each in own]
    return pd.DataFrame(rows, columns=["prompt", "answer"])
