"""The embedded models asked for polls: nearer to their library than when they are asked for one answer?

Every model answers the requests that can be polled as often directly as by way of polls (`verbalized`). The
model that was tuned on single best answers is also asked directly with every setting of the decoding sweep,
so that a poll can be held against the setting that is as often valid.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.corpora import open_ended, polls
from workbench.corpora.open_ended import Request
from workbench.engine import loading
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import cached_table
from workbench.studies.hivemind.asking import ask
from workbench.studies.hivemind.data import Plan, asked, graded, prompts_of
from workbench.studies.hivemind.decoding import every_setting
from workbench.studies.hivemind.models import LONGEST_POLL, MEMBERS
from workbench.studies.hivemind.verbalized import distance, draw

TUNED = "north-best"  # on single best answers, as tuning for a preferred answer does
DIRECT, POLLED = "asked for one answer", "asked for a poll"


def requests(plan: Plan) -> list[Request]:
    """What is asked both ways."""
    return [request for request in asked(plan) if polls.can_be_polled(request.kind)]


def both_ways(folder: Path, models: Mapping[int, Mapping[str, Path]], plan: Plan) -> pd.DataFrame:
    """Every model asked both ways; answers are kept in `folder`.

    Args:
        folder: of the answers.
        models: by seed and name.
        plan: who is asked what.

    Returns:
        Columns seed, model, arm, prompt_id, valid (share), distance (of valid answers to the library that the
        model has read, see `verbalized.distance`).
    """
    answers = [
        cached_table(
            folder / f"seed-{seed}" / f"both-{name}.parquet", partial(_both, name, path, plan, seed)
        ).assign(seed=seed)
        for seed, of_seed in models.items()
        for name, path in of_seed.items()
    ]
    return distances(pd.concat(answers, ignore_index=True), plan, ["seed", "model", "arm"])


def swept(folder: Path, models: Mapping[int, Mapping[str, Path]], plan: Plan) -> pd.DataFrame:
    """The tuned model in every setting: columns seed, temperature, cut, prompt_id, valid, distance."""
    chosen = requests(plan)
    answers = [
        cached_table(
            folder / f"seed-{seed}" / f"{TUNED}.parquet",
            partial(every_setting, TUNED, of_seed[TUNED], chosen, plan.sampling.n, plan, seed),
        ).assign(seed=seed)
        for seed, of_seed in models.items()
    ]
    frame = distances(pd.concat(answers, ignore_index=True), plan, ["seed", "temperature", "cut", "model"])
    return frame.drop(columns="model")


def ask_polls(
    sampler: Sampler, name: str, requests: Sequence[Request], sampling: SamplingParams, seed: int
) -> pd.DataFrame:
    """As `asking.ask`, but each answer is drawn from a poll; "" where what was written is none."""
    prompts = prompts_of(requests)
    questions = prompts.assign(prompt=list(map(polls.poll_prompt, requests)))
    written = ask(sampler, name, questions, replace(sampling, max_tokens=LONGEST_POLL), f"{seed}/poll")
    rng = np.random.default_rng(zlib.crc32(f"{seed}/{name}/drawn".encode()))
    return written.assign(
        prompt=prompts["prompt"].repeat(sampling.n).to_numpy(),
        text=[draw(polls.entries(text), rng) for text in written["text"]],
    )


def distances(answers: pd.DataFrame, plan: Plan, keys: Sequence[str]) -> pd.DataFrame:
    """Validity, and the distance to the model's library, by `keys` (model among them) and prompt."""
    known = {request.id: request for request in requests(plan)}
    libraries = {member.name: open_ended.LIBRARIES[member.library] for member in MEMBERS}
    rows, names = [], [*keys, "prompt_id"]
    for key, part in graded(answers, known).groupby(names, sort=False):
        of = dict(zip(names, key, strict=True))
        counts = part.loc[part["valid"], "meaning"].value_counts()
        shares = open_ended.shares(known[of["prompt_id"]], libraries[of["model"]])
        rows.append(of | {"valid": part["valid"].mean(), "distance": distance(counts, shares)})
    return pd.DataFrame(rows)


def _both(name: str, model: Path, plan: Plan, seed: int) -> pd.DataFrame:
    sampler, chosen = TransformersSampler(*loading.load(model, plan.device), batch_size=512), requests(plan)
    direct = ask(sampler, name, prompts_of(chosen), plan.sampling, f"{seed}/direct")
    by_poll = ask_polls(sampler, name, chosen, plan.sampling, seed)
    return pd.concat([direct.assign(arm=DIRECT), by_poll.assign(arm=POLLED)], ignore_index=True)
