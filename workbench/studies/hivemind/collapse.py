"""Training on one's own output, generation after generation: replace, accumulate, accumulate-subsample.

Replace (Shumailov et al. 2024): each model reads what the one before wrote. Accumulate (Gerstgrasser et al.
2024, arXiv 2404.01413): all that was written so far, and the real data. Accumulate-subsample (Kazdan et al.
2024, arXiv 2410.16713): as many as at first, drawn from all of it.

Where a "model" is the table of frequencies of M examples, the laws are exact. With Wright-Fisher drift the
expected chance that two draws differ, 1 − Σp², shrinks by 1 − 1/M in each generation of replace; where data
accumulate, by 1 − 1/(M k²) in the k-th, whose product does not vanish.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.corpora import open_ended
from workbench.corpora.open_ended_words import KINDS
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.measures.equivalence import collision
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise_measures
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.hivemind.models import CONTEXT, LONGEST, Sizes

REGIMES = ("replace", "accumulate", "accumulate-subsample")
NORMAL = "replace, normal distributions"
REAL = "real"  # what the first generation of every chain reads
BASE, LIBRARY = "south", "west"  # the model that every generation begins from, and the real data of the first
ASKED = ("dweller", "likeness", "story")  # kinds without names: few examples are many for each request
RARE = 0.03  # real share of a meaning below which it is in the tail
_EXAMPLES, _TYPES, _CHAINS = 50, 20, 2_000  # of the exact simulation
_DRAWN = 20  # examples of a normal distribution
_EACH = 30  # answers to each request that a generation is measured on
Pair = tuple[str, str]


# ------------------------------------------------------------------------------- exact laws
def drift(generations: int, seed: int, examples: int = _EXAMPLES, chains: int = _CHAINS) -> pd.DataFrame:
    """Simulated tables of frequencies beside their laws: columns regime, generation, value, law.

    `value` is the mean of 1 − Σp² over chains (of NORMAL the variance, see `gaussian`), relative to the first
    generation's, which is fitted to real examples in every regime; `law` is its expectation (NaN for
    accumulate-subsample, which has no closed form here).
    """
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, _TYPES + 1)
    real = rng.multinomial(examples, weights / weights.sum(), size=chains)
    rows = []
    for regime in REGIMES:
        pool, fitted = real.copy(), real / examples
        for generation in range(1, generations + 1):
            if generation > 1:
                new = rng.multinomial(examples, fitted)
                pool = new if regime == "replace" else pool + new
                read = rng.multivariate_hypergeometric if regime == "accumulate-subsample" else None
                drawn = np.array([read(each, examples) for each in pool]) if read else pool
                fitted = drawn / drawn.sum(axis=1, keepdims=True)
            differ = 1 - (fitted**2).sum(axis=1)
            rows.append((regime, generation, differ.mean()))
    frame = pd.DataFrame(rows, columns=["regime", "generation", "value"])
    frame["value"] /= frame.groupby("regime")["value"].transform("first")
    frame["law"] = [law(regime, generation, examples) for regime, generation, _ in rows]
    variances = gaussian(generations, seed)
    laws = [law("replace", generation, _DRAWN) for generation in range(1, generations + 1)]
    normal = {"generation": np.arange(1, generations + 1), "value": variances / variances[0], "law": laws}
    return pd.concat([frame, pd.DataFrame({"regime": NORMAL, **normal})], ignore_index=True)


def law(regime: str, generation: int, examples: int) -> float:
    """Expected 1 − Σp² of a generation over the first one's; NaN where no law is known."""
    if regime == "replace":
        return (1 - 1 / examples) ** (generation - 1)
    if regime == "accumulate":
        return float(np.prod(1 - 1 / (examples * np.arange(2, generation + 1) ** 2)))
    return float("nan")


def gaussian(generations: int, seed: int, examples: int = _DRAWN, chains: int = 20_000) -> np.ndarray:
    """Mean variance of fits (maximum likelihood) to samples of the fit before, shape (generations,).

    Its law is (1 − 1/M)^g, times the variance of the real data, 1.
    """
    rng = np.random.default_rng(seed)
    centre, spread = np.zeros((chains, 1)), np.ones((chains, 1))
    found = []
    for _ in range(generations):
        drawn = rng.normal(centre, spread, (chains, examples))
        centre, spread = drawn.mean(axis=1, keepdims=True), drawn.std(axis=1, keepdims=True)
        found.append(float((spread**2).mean()))
    return np.array(found)


# ------------------------------------------------------------------------------- trained models
def requests() -> list[open_ended.Request]:
    """What the models of the chains are asked."""
    return [open_ended.make_request(kind, topic, "") for kind in ASKED for topic in KINDS[kind].topics]


def chains(folder: Path, base: Path, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Trains all chains side by side and measures every generation; what is done stays in `folder`.

    Every generation goes on from one base, as in Shumailov et al. and for equally many steps.

    Returns:
        Columns chain, regime, generation (1 is trained on real data), loss (nats per token on real answers
        that nobody read), and by request prompt_id: valid, same, meanings (of `_EACH` answers), tail (share
        of the rare real meanings that are still said).
    """
    numbers = range(sizes.chains)
    train_chain = partial(train_arm, folder, base, sizes, params.seed)
    run_arms(folder, [REAL], numbers, train_chain, unit="generation")
    run_arms(folder, REGIMES, numbers, train_chain, unit="generation", total=sizes.generations - 1)
    frames = [
        collect(folder, [REAL, regime], [chain], "measured").assign(chain=chain, regime=regime)
        for chain in numbers
        for regime in REGIMES
    ]
    return pd.concat(frames, ignore_index=True).drop(columns=["seed", "arm"])


def train_arm(
    root: Path,
    base: Path,
    sizes: Sizes,
    first_seed: int,
    folder: Path,
    regime: str,
    chain: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """All generations of one regime in one chain; `REAL` is the first generation of all."""
    seed = first_seed + chain
    real = examples(sizes.chain_pairs, seed)
    pool, before = list(real), arm_folder(root, REAL, chain) / "model-1"
    frames = []
    for generation in [1] if regime == REAL else range(2, sizes.generations + 1):
        model = folder / f"model-{generation}"
        if regime != REAL:
            written = cached_table(
                folder / f"written-{generation}.parquet",
                partial(_written, before, sizes.chain_pairs, seed + generation),
            )
            new = list(zip(written["prompt"], written["answer"], strict=True))
            pool = new if regime == "replace" else pool + new
        read = pool
        if regime == "accumulate-subsample":
            rng = np.random.default_rng([seed, generation])
            read = [pool[at] for at in rng.choice(len(pool), sizes.chain_pairs, replace=False)]
        frames.append(_fit(model, base, read, sizes, seed + generation).assign(generation=generation))
        before = model
        log({"done": len(frames)})
    cached_table(folder / "measured.parquet", lambda: pd.concat(frames, ignore_index=True))


def examples(n: int, seed: int) -> list[Pair]:
    """Real answers to the requests, evenly: (prompt, " " + answer)."""
    asked = requests()
    each = -(-n // len(asked))
    people = open_ended.LIBRARIES[LIBRARY]
    found = [(one.prompt, " " + answer.text) for one in asked
             for answer in open_ended.answers(one, each, seed, people)]  # fmt: skip
    return found[:n]


def _fit(place: Path, base: Path, read: Sequence[Pair], sizes: Sizes, seed: int) -> pd.DataFrame:
    """Trains the base on what a generation reads, and measures it."""
    model, tokenizer = loading.load(base, "cpu")
    train(
        model,
        tokenizer,
        list(read),
        TrainConfig(
            steps=sizes.chain_steps,
            batch_size=sizes.batch_size,
            context=CONTEXT,
            learning_rate=2e-3,
            seed=seed,
            checkpoint_every=sizes.chain_steps,
        ),
        folder=place,
    )
    asked = requests()
    sampler = TransformersSampler(model, tokenizer, batch_size=256)
    replies = sampler.sample(
        [one.prompt for one in asked], SamplingParams(n=_EACH, max_tokens=LONGEST, seed=seed)
    )
    unread = loss(model, tokenizer, examples(240, 20_000)).nats_per_token
    rows = []
    for one, own in zip(asked, replies, strict=True):
        found = [open_ended.grade(one, each.text) for each in own]
        said = pd.Series([each.meaning for each in found if each.valid], dtype=object)
        rare = [name for name, share in open_ended.shares(one, open_ended.LIBRARIES[LIBRARY]).items()
                if share < RARE]  # fmt: skip
        rows.append((one.id, unread, np.mean([each.valid for each in found]),
                     collision(said.value_counts().to_numpy()), said.nunique(),
                     np.mean([name in set(said) for name in rare]) if rare else np.nan))  # fmt: skip
    return pd.DataFrame(rows, columns=["prompt_id", "loss", "valid", "same", "meanings", "tail"])


def _written(model: Path, n: int, seed: int) -> pd.DataFrame:
    asked = requests()
    sampler = TransformersSampler(*loading.load(model, "cpu"), batch_size=256)
    each = -(-n // len(asked))
    replies = sampler.sample(
        [one.prompt for one in asked], SamplingParams(n=each, max_tokens=LONGEST, seed=seed)
    )
    rows = [(one.prompt, reply.text) for one, own in zip(asked, replies, strict=True) for reply in own]
    return pd.DataFrame(rows[:n], columns=["prompt", "answer"])


# ------------------------------------------------------------------------------- results
def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over requests and chains: columns regime, generation, measure, value, low, high, n."""
    titles = {
        "loss": "loss on real answers (nats/token)",
        "meanings": f"different meanings in {_EACH} answers",
        "differ": "chance that two valid answers differ",
        "tail": "rare meanings still said",
        "valid": "valid answers",
    }
    differing = frame.assign(differ=1 - frame["same"])
    return summarise_measures(differing, ["regime", "generation"], titles, "prompt_id")


def claims(frame: pd.DataFrame) -> list[Claim]:
    """That replace collapses and accumulate does not; intervals over requests."""
    last = frame["generation"].max()
    meanings = frame.groupby(["regime", "generation", "prompt_id"])["meanings"].mean()
    first, unit, view = meanings["replace", 1], "different meanings", "Models that read what models wrote"
    replaced, accumulated = meanings["replace", last], meanings["accumulate", last]
    paper = "Replacing data collapses models; accumulating data does not"
    compared = [
        ("replace-collapses", f"After {last} generations that replace each other, answers have fewer "
         "different meanings than those of the first.", first - replaced),
        ("accumulate-does-not", f"After {last} generations, answers have more different meanings where data "
         "accumulate than where they are replaced.", accumulated - replaced),
    ]  # fmt: skip
    return [
        Claim.of(bootstrap_mean(gain), name=name, says=says, paper=paper, unit=unit, view=view)
        for name, says, gain in compared
    ]
