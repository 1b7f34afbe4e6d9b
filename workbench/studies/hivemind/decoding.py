"""Whether decoding can buy diversity: temperature, top-p and min-p in both orders, against validity.

Heat lets in rare meanings, and nonsense with them; a filter keeps out what is unlikely. Where the temperature
comes first (transformers, vLLM) the filter sees heated probabilities; where the filter comes first it decides
at temperature 1, and heat only evens out what is left. Both are measured, on embedded models whose answers an
oracle judges.
"""

from collections.abc import Mapping
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.corpora import open_ended
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import cached_table
from workbench.measures.equivalence import collision
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise
from workbench.studies.hivemind.data import agreement, ask, judged, prompts
from workbench.studies.hivemind.models import LONGEST, Sizes

SWEPT = ("north-a", "south", "west")  # of one size, each from its own library
TEMPERATURES = (0.5, 1.0, 1.5, 2.0)
FILTERS = {
    "nothing cut off": {},
    "top-p 0.9": {"top_p": 0.9},
    "top-p 0.9, filter first": {"top_p": 0.9, "filter_first": True},
    "min-p 0.1": {"min_p": 0.1},
    "min-p 0.1, filter first": {"min_p": 0.1, "filter_first": True},
}
USUAL, HOT = (1.0, "top-p 0.9"), (2.0, "min-p 0.1")  # the paper's settings A and B


def sweep(folder: Path, places: Mapping[str, Path], sizes: Sizes, params: Any) -> pd.DataFrame:
    """Every setting's answers, judged: columns temperature, cut, prompt_id, valid, within, between.

    `within` is the chance that two valid answers of one model mean the same, mean over models, `between` that
    of answers of two models. Each model's answers are kept in `folder`.
    """
    requests = {each.id: each for each in open_ended.requests(params.seed)}
    told = []
    for name in SWEPT:
        answers = cached_table(
            folder / f"{name}.parquet", partial(_every_setting, name, places[name], sizes, params)
        )
        told.append(judged(answers, requests))
    frame = pd.concat(told, ignore_index=True)
    rows = []
    for (temperature, cut, prompt), part in frame.groupby(["temperature", "cut", "prompt_id"], sort=False):
        said = [
            own.loc[own["valid"], "meaning"].value_counts() for _, own in part.groupby("model", sort=False)
        ]
        within = [collision(counts.to_numpy()) for counts in said]
        between = [agreement(a, b) for a, b in combinations(said, 2)]
        rows.append((temperature, cut, prompt, part["valid"].mean(), _mean(within), _mean(between)))
    return pd.DataFrame(rows, columns=["temperature", "cut", "prompt_id", "valid", "within", "between"])


def _every_setting(name: str, place: Path, sizes: Sizes, params: Any) -> pd.DataFrame:
    sampler = TransformersSampler(*loading.load(place, params.device), batch_size=512)
    return pd.concat(
        [
            ask(
                sampler,
                name,
                prompts(params),
                SamplingParams(n=sizes.swept, max_tokens=LONGEST, temperature=temperature, **FILTERS[cut]),
                params.seed,
            ).assign(temperature=temperature, cut=cut)
            for temperature, cut in product(TEMPERATURES, FILTERS)
        ],
        ignore_index=True,
    )


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def people(params: Any) -> pd.Series:
    """Exact chance that answers of two people drawn at random mean the same, by prompt_id."""
    found = {
        each.id: sum(share**2 for share in open_ended.shares(each).values())
        for each in open_ended.requests(params.seed)
    }
    return pd.Series(found, name="same")


def frontier(frame: pd.DataFrame) -> pd.DataFrame:
    """Diversity against validity by setting: columns temperature, cut, valid, value (1 − between), low, high,
    n (prompts).
    """
    keys = ["temperature", "cut"]
    differ = summarise(frame.assign(value=1 - frame["between"]), keys, "value", "prompt_id")
    return differ.merge(frame.groupby(keys, as_index=False)["valid"].mean())


def claims(frame: pd.DataFrame, same: pd.Series) -> list[Claim]:
    """Whether decoding removes agreement between models; intervals over prompts.

    The best setting is chosen on one half of the prompts and measured on the other, and the other way round.

    Args:
        frame: of `sweep`.
        same: of `people`.
    """
    between = frame.pivot(index="prompt_id", columns=["temperature", "cut"], values="between")
    valid = frame.pivot(index="prompt_id", columns=["temperature", "cut"], values="valid")
    halves = [between.index[::2], between.index[1::2]]
    best = pd.concat(
        [between.loc[test, _best(between.loc[chosen], valid.loc[chosen])]
         for chosen, test in (halves, halves[::-1])]
    )  # fmt: skip
    paper = "min-p at temperature 2 lowers repetition but 61 % of prompts stay above 0.8"
    unit, view = "chance of one meaning", "What decoding buys"
    return [
        Claim.of(
            bootstrap_mean(best - same.reindex(best.index)),
            name="decoding-leaves-agreement",
            says="With the most diverse setting whose answers are as often valid as with top-p 0.9 at "
            "temperature 1, models still agree more than people.",
            paper=paper,
            unit=unit,
            view=view,
        ),
        Claim.of(
            bootstrap_mean(between[HOT] - same.reindex(between.index)),
            name="min-p-leaves-agreement",
            says="With min-p 0.1 at temperature 2, valid answers of two models mean the same more often than "
            "people's.",
            paper=paper,
            unit=unit,
            view=view,
        ),
    ]


def _best(between: pd.DataFrame, valid: pd.DataFrame) -> tuple[float, str]:
    """The setting of least agreement among those that are as often valid as the usual one."""
    means = valid.mean()
    return between.mean()[means >= means[USUAL]].idxmin()
