"""Training on one's own output, generation after generation: replace, accumulate, accumulate-subsample.

Replace (Shumailov et al. 2024): each model reads what the one before wrote. Accumulate (Gerstgrasser et al.
2024, arXiv 2404.01413): all that was written so far, and the real data. Accumulate-subsample (Kazdan et al.
2024, arXiv 2410.16713): as many as at first, drawn from all of it.

Where a "model" is the table of frequencies of M examples, the laws are exact. With Wright-Fisher drift the
expected chance that two draws differ, 1 − Σp², shrinks by 1 − 1/M in each generation of replace; where data
accumulate, by 1 − 1/(M k²) in the k-th, whose product does not vanish.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import open_ended
from workbench.corpora.open_ended import Grade, Request
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.measures.equivalence import collision, rarefaction
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.hivemind.models import (
    LEARNING,
    LONGEST,
    NAMELESS,
    Pair,
    Sizes,
    every_request,
    write_answers,
)

REGIMES = ("replace", "accumulate", "accumulate-subsample")
CONTROL = "accumulate"  # which the others become in a placebo run
NORMAL = "replace, normal distributions"
REAL = "real"  # what the first generation of every chain reads
# The model that every generation begins from, and who writes the real data of the first. Were they of two
# libraries, every return to the base would pull a chain towards the other library's favourites.
BASE = LIBRARY = "south"
RARE = 0.03  # real share of a meaning below which it is in the tail
MEASURED = 30  # answers to each request that a generation is measured on
AMONG = 10  # valid ones among which meanings are counted: models that answer nonsense give fewer
_EXAMPLES, _TYPES, _CHAINS = 50, 20, 2_000  # of the exact simulation
_DRAWN, _FITS = 20, 20_000  # examples of a normal distribution, and chains of them


# ------------------------------------------------------------------------------- exact laws
def drift(generations: int, seed: int) -> pd.DataFrame:
    """Simulated tables of frequencies beside their laws: columns regime, generation, value, law.

    `value` is the mean of 1 − Σp² over chains (of NORMAL the variance, see `gaussian`), relative to the first
    generation's, which is fitted to real examples in every regime; `law` is its expectation (NaN for
    accumulate-subsample, which has no closed form here).
    """
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, _TYPES + 1)
    real = rng.multinomial(_EXAMPLES, weights / weights.sum(), size=_CHAINS)
    simulated = [(name, name, _EXAMPLES, _frequencies(name, real, generations, rng)) for name in REGIMES]
    simulated.append((NORMAL, "replace", _DRAWN, gaussian(generations, seed)))
    rows = [
        (name, generation, value / values[0], law(regime, generation, examples))
        for name, regime, examples, values in simulated
        for generation, value in enumerate(values, 1)
    ]
    return pd.DataFrame(rows, columns=["regime", "generation", "value", "law"])


def _frequencies(regime: str, real: np.ndarray, generations: int, rng: np.random.Generator) -> np.ndarray:
    """Mean of 1 − Σp² over chains of tables of frequencies, shape (generations,)."""
    pool, fitted, values = real, real / _EXAMPLES, []
    for generation in range(generations):
        if generation:
            written = rng.multinomial(_EXAMPLES, fitted)
            pool = read = written if regime == "replace" else pool + written
            if regime == "accumulate-subsample":
                read = np.array([rng.multivariate_hypergeometric(counts, _EXAMPLES) for counts in pool])
            fitted = read / read.sum(axis=1, keepdims=True)
        values.append((1 - (fitted**2).sum(axis=1)).mean())
    return np.array(values)


def gaussian(generations: int, seed: int) -> np.ndarray:
    """Mean variance of fits (maximum likelihood) to samples of the fit before, shape (generations,).

    Its law is (1 − 1/M)^g, times the variance of the real data, 1.
    """
    rng = np.random.default_rng(seed)
    mean, deviation, variances = np.zeros((_FITS, 1)), np.ones((_FITS, 1)), []
    for _ in range(generations):
        examples = rng.normal(mean, deviation, (_FITS, _DRAWN))
        mean, deviation = examples.mean(axis=1, keepdims=True), examples.std(axis=1, keepdims=True)
        variances.append((deviation**2).mean())
    return np.array(variances)


def law(regime: str, generation: int, examples: int) -> float:
    """Expected 1 − Σp² of a generation over the first one's; NaN where no law is known."""
    if regime == "replace":
        return (1 - 1 / examples) ** (generation - 1)
    if regime == "accumulate":
        return float(np.prod(1 - 1 / (examples * np.arange(2, generation + 1) ** 2)))
    return float("nan")


# ------------------------------------------------------------------------------- trained models
def requests(kinds: Collection[str]) -> list[Request]:
    """What is learnt and asked: of these kinds those that name nobody, of which few examples are many."""
    return [request for request in every_request(kinds) if request.kind in NAMELESS]


def examples(requests: Sequence[Request], n: int, seed: int) -> list[Pair]:
    """Real answers to the requests, evenly: (prompt, " " + answer)."""
    people, per_request = open_ended.LIBRARIES[LIBRARY], -(-n // len(requests))
    pairs = [
        (request.prompt, " " + answer.text)
        for request in requests
        for answer in open_ended.answers(request, per_request, seed, people)
    ]
    return pairs[:n]


def chains(
    folder: Path, bases: Mapping[int, Path], sizes: Sizes, device: str = "auto", placebo: bool = False
) -> pd.DataFrame:
    """Trains all chains and measures every generation; what is done stays in `folder`.

    On the CPU chains are trained side by side, elsewhere one after the other.

    Every generation goes on from its seed's base, as in Shumailov et al. and for equally many steps.

    Args:
        folder: of all of them.
        bases: by seed, what the chain of that seed begins from.
        sizes: how long the chains are.
        device: where.
        placebo: every regime is `CONTROL`, with seeds of its own.

    Returns:
        Columns seed, regime, generation (1 is trained on real data), loss (nats per token on real answers
        that nobody read), and by request prompt_id: valid, same, meanings (expected among `AMONG` valid
        answers; NaN of fewer), commonest (see `commonest_share`), favourite (share of the people's
        favourite), tail (share of the rare real meanings that are still said).
    """
    device, seeds = loading.pick_device(device), list(bases)
    run_arms(
        folder,
        REGIMES,
        seeds,
        partial(train_arm, folder, bases, sizes, device),
        unit="generation",
        total=sizes.generations - 1,
        together=REGIMES,
        device=device,
        placebo_of=CONTROL if placebo else None,
    )
    return collect(folder, REGIMES, seeds, "measured").rename(columns={"arm": "regime"})


def train_arm(
    root: Path,
    bases: Mapping[int, Path],
    sizes: Sizes,
    device: str,
    folder: Path,
    regime: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """All generations of one regime of one seed; regimes share the first, which reads what people wrote."""
    # A placebo's seed is its control's and thousands more.
    base = next(path for own, path in bases.items() if (seed - own) % 10_000 == 0)
    n, asked, writer = sizes.chain_pairs, requests(sizes.kinds), arm_folder(root, REAL, seed)
    learn, pool = partial(_learn, base, asked, sizes, device, seed), examples(asked, n, seed)
    frames = [learn(writer, 1, pool)]
    for generation in range(2, sizes.generations + 1):
        sampling = SamplingParams(n=-(-n // len(asked)), max_tokens=LONGEST, seed=_drawn(seed, generation))
        write = partial(write_answers, writer / f"model-{generation - 1}", asked, sampling, device)
        written = cached_table(folder / f"written-{generation}.parquet", write)
        new = list(written.itertuples(index=False, name=None))[:n]
        pool = read = new if regime == "replace" else pool + new
        if regime == "accumulate-subsample":
            drawn = np.random.default_rng([seed, generation]).choice(len(pool), n, replace=False)
            read = [pool[number] for number in drawn]
        frames.append(learn(folder, generation, read))
        writer = folder
        log({"done": generation - 1})
    cached_table(folder / "measured.parquet", lambda: pd.concat(frames, ignore_index=True))


def _learn(
    base: Path,
    asked: list[Request],
    sizes: Sizes,
    device: str,
    seed: int,
    folder: Path,
    generation: int,
    read: list[Pair],
) -> pd.DataFrame:
    """One generation: the base goes on with what there is to read, and is measured."""

    def measure() -> pd.DataFrame:
        model, tokenizer = loading.load(base, device)
        config = replace(LEARNING, steps=sizes.chain_steps, batch_size=sizes.batch_size)
        config = replace(config, seed=_drawn(seed, generation))
        train(model, tokenizer, read, config, folder=folder / f"model-{generation}")
        return _measured(model, tokenizer, asked, config.seed).assign(generation=generation)

    return cached_table(folder / f"measured-{generation}.parquet", measure)


def _drawn(seed: int, generation: int) -> int:
    """A seed for every generation of every chain."""
    return int(np.random.default_rng([seed, generation]).integers(2**31))


def _measured(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, asked: list[Request], seed: int
) -> pd.DataFrame:
    """What a generation answers, a row a request: see `chains`."""
    sampler = TransformersSampler(model, tokenizer, batch_size=256)
    sampling = SamplingParams(max_tokens=LONGEST, n=MEASURED, seed=seed)
    replies = sampler.sample([request.prompt for request in asked], sampling)
    unread, rows = loss(model, tokenizer, examples(asked, 240, 20_000)).nats_per_token, []
    for request, completions in zip(asked, replies, strict=True):
        grades = [open_ended.grade(request, completion.text) for completion in completions]
        rows.append({"prompt_id": request.id, "loss": unread, **_told(request, grades)})
    return pd.DataFrame(rows)


def _told(request: Request, grades: Sequence[Grade]) -> dict[str, float]:
    """What the answers to one request say of their writer: see `chains`."""
    said = pd.Series([grade.meaning for grade in grades if grade.valid], dtype=object)
    shares, counts = open_ended.shares(request, open_ended.LIBRARIES[LIBRARY]), said.value_counts()
    rare = [meaning for meaning, share in shares.items() if share < RARE]
    return {
        "valid": len(said) / len(grades),
        "same": collision(counts),
        "meanings": float(rarefaction(counts, AMONG)) if len(said) >= AMONG else np.nan,
        "commonest": commonest_share(said),
        "favourite": float((said == max(shares, key=shares.__getitem__)).mean()),
        "tail": np.isin(rare, said).mean() if rare else np.nan,
    }


def commonest_share(meanings: pd.Series) -> float:
    """Share of the commonest meaning, which one half of the answers names and the other half counts.

    The share of the commonest in the answers that named it would be too high by chance, and the higher the
    fewer they are. NaN where a half is empty.
    """
    halves = meanings.iloc[::2], meanings.iloc[1::2]
    if halves[1].empty:
        return float("nan")
    return float(np.mean([(b == a.value_counts().index[0]).mean() for a, b in (halves, halves[::-1])]))
