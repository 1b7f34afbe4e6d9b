"""Answers of one model to many prompts: in shards, gone on with after a kill, shared by processes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from workbench import shards
from workbench.corpora.loaders.generations import COLUMNS
from workbench.engine.sampling.sampler import Sampler
from workbench.files import cached_table, stamp
from workbench.studies.hivemind.data import ask

SHARD = 64  # prompts, the most that a kill can lose
Prompt = tuple[str, str, str]
"""Id, prompt, category."""


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn.

    Attributes:
        samples: answers to each prompt.
        max_new_tokens: longest answer.
        temperature: 0 takes the most likely token.
        top_p: share of the probability that is drawn from.
        min_p: least probability that is drawn, as a share of the most likely token's.
        seed: of all draws. Shards have draws of their own, whichever process makes them.
    """

    samples: int = 1
    max_new_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | str = 0


def answer_file(
    sampler: Sampler,
    name: str,
    prompts: Iterable[Prompt],
    folder: Path,
    decoding: Decoding,
    part: shards.Part = (0, 1),
) -> None:
    """Has a model answer prompts into `folder`; a call that was cut off goes on when repeated.

    Args:
        sampler: the model.
        name: of the model (`samplers.sampler`), in the answers and for the draws: each model has its own.
        prompts: read once.
        folder: of the shards; several processes may write to one.
        decoding: how answers are drawn.
        part: of the shards, for this process.

    Raises:
        UserError: the folder holds answers of another model or decoding, or to other prompts, or it cannot
            be written.
    """
    asked, place = list(prompts), Path(name.partition(":")[2] or name).expanduser()
    manifest = {"model": name} | asdict(decoding)
    manifest["files of the model"] = shards.digest(stamp(place)) if place.is_dir() else ""
    manifest["prompts"] = shards.digest(*("\n".join(each) for each in asked))
    shards.open_folder(folder, manifest, "answers")
    for number, shard in shards.own_shards(folder, asked, SHARD, part):
        rows = pd.DataFrame(shard, columns=COLUMNS[:3])
        own = replace(decoding, seed=f"{decoding.seed}/{number}")
        make = partial(ask, sampler, name, rows, own.samples, own, own.max_new_tokens)
        cached_table(_path(folder, number), make)


def read_answers(folder: Path) -> pd.DataFrame:
    """All answers in the order of their prompts: columns as `load_generations` reads them."""
    frames = [pd.read_parquet(_path(folder, number)) for number in range(shards.n_shards(folder))]
    return pd.concat(frames, ignore_index=True)


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.parquet"
