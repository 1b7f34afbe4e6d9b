"""Answers of one model to many prompts: in shards, gone on with after a kill, shared by processes."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from workbench import shards
from workbench.corpora.loaders.generations import COLUMNS
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.files import cached_table, stamp
from workbench.sources import paths_in
from workbench.studies.hivemind.asking import ask

SHARD = 64  # prompts, the most that a kill can lose
Prompt = tuple[str, str, str]
"""Id, prompt, category."""


def answer_file(
    sampler: Sampler,
    name: str,
    prompts: Iterable[Prompt],
    folder: Path,
    sampling: SamplingParams,
    part: shards.Part = (0, 1),
) -> None:
    """Has a model answer prompts into `folder`; a call that was cut off goes on when repeated.

    Args:
        name: of the model (`load.sampler`), in the answers and for the draws: each model has its own.
        prompts: read once.
        folder: of the shards; several processes may write to one.
        sampling: how answers are drawn. Shards have draws of their own, whichever process makes them.
        part: of the shards, for this process.

    Raises:
        UserError: the folder holds answers of another model or decoding, or to other prompts, or it cannot
            be written.
    """
    rows, folders = list(prompts), [path for path in paths_in(name) if path.is_dir()]
    manifest = {"model": name, "samples": sampling.n, "max_new_tokens": sampling.max_tokens}
    manifest |= {key: getattr(sampling, key) for key in ("temperature", "top_p", "min_p", "seed")}
    manifest["files of the model"] = shards.digest(*map(stamp, folders)) if folders else ""
    manifest["prompts"] = shards.digest(*map("\n".join, rows))
    shards.open_folder(folder, manifest, "answers")
    for number, shard in shards.assigned_shards(folder, rows, SHARD, part):
        frame = pd.DataFrame(shard, columns=COLUMNS[:3])
        seed = f"{sampling.seed}/{number}"
        cached_table(_path(folder, number), partial(ask, sampler, name, frame, sampling, seed))


def read_answers(folder: Path) -> pd.DataFrame:
    """All answers in the order of their prompts: columns as `load_generations` reads them."""
    frames = [pd.read_parquet(_path(folder, number)) for number in range(shards.n_shards(folder))]
    return pd.concat(frames, ignore_index=True)


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.parquet"
