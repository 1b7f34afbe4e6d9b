"""Whether decoding can buy diversity: temperature, top-p and min-p in both orders, against validity.

Jiang et al. 2025 sample with top-p 0.9 at temperature 1 (setting A) and with min-p 0.1 at temperature 2
(setting B). Heat lets in rare meanings, and nonsense with them; a filter keeps out what is unlikely. Where
the temperature comes first (transformers, vLLM) the filter sees heated probabilities; where the filter comes
first it decides at temperature 1, and heat only evens out what is left. Both are measured, on embedded models
whose answers an oracle grades.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from pathlib import Path

import pandas as pd

from workbench.corpora.open_ended import Request
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import cached_table
from workbench.measures.equivalence import collision
from workbench.studies.hivemind.asking import ask
from workbench.studies.hivemind.data import Plan, asked, graded, prompts_of
from workbench.studies.hivemind.method import agreement
from workbench.studies.hivemind.models import LONGEST

SWEPT = ("north-a", "south", "west")  # of one size, each from its own library
FILTERS = {
    "nothing cut off": {},
    "top-p 0.9": {"top_p": 0.9},
    "top-p 0.9, filter first": {"top_p": 0.9, "filter_first": True},
    "min-p 0.1": {"min_p": 0.1},
    "min-p 0.1, filter first": {"min_p": 0.1, "filter_first": True},
}
PLAIN = (1.0, "nothing cut off")  # what was learnt, as it is
USUAL, HOT = (1.0, "top-p 0.9"), (2.0, "min-p 0.1")  # the paper's settings A and B


def sweep(folder: Path, models: Mapping[int, Mapping[str, Path]], plan: Plan) -> pd.DataFrame:
    """Agreement and validity of the embedded models' answers in every setting; answers are kept in `folder`.

    Args:
        folder: of the answers.
        models: by seed and name.
        plan: what is asked.

    Returns:
        Columns seed, temperature, cut, prompt_id, valid (share), within (chance that two valid answers of one
        model mean the same, mean over models), between (the same of answers of two models).
    """
    chosen = asked(plan)
    answers = [
        cached_table(
            folder / f"seed-{seed}" / f"{name}.parquet",
            partial(every_setting, name, of_seed[name], chosen, plan.sizes.swept, plan, seed),
        ).assign(seed=seed)
        for seed, of_seed in models.items()
        for name in SWEPT
    ]
    frame = graded(pd.concat(answers, ignore_index=True), {request.id: request for request in chosen})
    rows, keys = [], ["seed", "temperature", "cut", "prompt_id"]
    for key, part in frame.groupby(keys, sort=False):
        valid = part[part["valid"]].groupby("model", sort=False)["meaning"]
        counts = [meanings.value_counts() for _, meanings in valid]
        within = pd.Series([collision(count) for count in counts], dtype=float).mean()
        pairs = [agreement(first, second) for first, second in combinations(counts, 2)]
        between = pd.Series(pairs, dtype=float).mean()
        rows.append((*key, part["valid"].mean(), within, between))
    return pd.DataFrame(rows, columns=[*keys, "valid", "within", "between"])


def every_setting(
    name: str, model: Path, requests: Sequence[Request], n: int, plan: Plan, seed: int
) -> pd.DataFrame:
    """`n` answers of a model to each request in every setting: as `asking.ask`, with temperature and cut."""
    sampler = TransformersSampler(*loading.load(model, plan.device), batch_size=512)
    prompts, sampling, frames = prompts_of(requests), SamplingParams(max_tokens=LONGEST, n=n), []
    for temperature, cut in product(plan.sizes.temperatures, FILTERS):
        setting = replace(sampling, temperature=temperature, **FILTERS[cut])
        answers = ask(sampler, name, prompts, setting, seed)
        frames.append(answers.assign(temperature=temperature, cut=cut))
    return pd.concat(frames, ignore_index=True)
