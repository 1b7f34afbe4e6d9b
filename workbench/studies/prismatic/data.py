"""Gradient diversity (Jung et al. 2025, arXiv 2505.20161): what a training set can teach, as one number.

G-Vendi is the effective number of directions in which the examples of a set would move a small proxy model:
the Vendi score of their completion-loss gradients. Here it is computed for a set of problems, beside measures
that look at the text; `subsets` holds all of them against what students learn, `synthesis` grows sets by it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.problems import draw, twin
from workbench.engine.encoders import embed
from workbench.engine.gradients.kmeans import spherical_kmeans
from workbench.engine.gradients.per_example import fold, sketch
from workbench.engine.gradients.sketch_files import read_sketches, sketch_file
from workbench.errors import UserError
from workbench.measures.compression import compression_ratio
from workbench.measures.gvendi import (
    cap,
    contributions,
    cross_sketch,
    projection_bias,
    redundant_pairs,
    vendi_interval,
)
from workbench.measures.vendi import vendi_from_features
from workbench.studies.common.word_problems import LARGEST, StudentConfig, two_steps
from workbench.studies.prismatic.subsets import as_examples, ngram_entropy, pairs_of, perplexity, texts_of

Proxy = tuple[PreTrainedModel, PreTrainedTokenizerFast]

DIMENSIONS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, trained and grown.

    Attributes:
        course: of the base and its students.
        corpus: problems that the score, the map and the clusters are about.
        subsets: training sets of the comparison, of `n` problems each.
        n: problems of a set.
        first: problems that a pool begins with.
        target: problems that it grows to.
        per_round: candidates a round.
        seeds: pools grown by each arm.
    """

    course: StudentConfig
    corpus: int
    subsets: int
    n: int
    first: int
    target: int
    per_round: int
    seeds: int


SIZES = {
    "tiny": Sizes(StudentConfig("tiny:0.3M", 800, 50, 16, 500), 1_000, 30, 240, 80, 240, 128, 4),
    "small": Sizes(StudentConfig("tiny:1M", 4_000, 200, 32, 1_000), 5_000, 60, 1_000, 300, 2_000, 600, 5),
    "paper": Sizes(
        StudentConfig("tiny:28M", 20_000, 1_000, 64, 4_000), 50_000, 300, 10_000, 1_000, 20_000, 3_000, 5
    ),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_subsets` replaces what it names.

    Raises:
        UserError: parameters that would fail later, when the base has been trained.
    """
    chosen = SIZES[params.profile]
    if params.dimension < 1:
        raise UserError(f"dimension={params.dimension} is no size of a sketch: take 1 or more, such as 1024.")
    if params.chat and params.model == "embedded":
        raise UserError("The embedded model has no chat template: set chat=False, or choose another model.")
    if params.n_subsets is None:
        return chosen
    if params.n_subsets and params.n_subsets < 6:
        raise UserError(
            f"n_subsets={params.n_subsets} is too few for a correlation: take 6, better 30 or more."
        )
    return replace(chosen, subsets=params.n_subsets)


# ------------------------------------------------------------------------------- examples
def corpus(params: Any, sizes: Sizes) -> pd.DataFrame:
    """The examples to score: columns id, prompt, completion, template.

    Embedded: problems as a generator left alone would write them, few templates often and many rarely, one in
    ten a twin of an earlier one with other numbers. Else a file of problems (`corpora.loaders.problems`).
    """
    if params.data != "embedded":
        given = load_problems(params.data)
        rows = [
            (each.id, each.question, each.completion and f" {each.completion}", "given") for each in given
        ]
        return pd.DataFrame(rows, columns=["id", "prompt", "completion", "template"])
    names = two_steps()
    Random(params.seed).shuffle(names)
    weights = {name: 1 / (place + 3) for place, name in enumerate(names)}
    drawn = draw(sizes.corpus * 9 // 10, params.seed, templates=weights, largest=LARGEST)
    again = Random(params.seed + 1).sample(drawn, sizes.corpus - len(drawn))
    return as_examples([*drawn, *(twin(problem, params.seed) for problem in again)])


def gradients(
    folder: Path, proxy: Proxy, examples: pd.DataFrame, params: Any
) -> tuple[np.ndarray, pd.DataFrame]:
    """Unit gradient vectors `[n, d]`, and the columns id, loss (nats per token), norm, n_tokens.

    Kept in `folder`, where a call that was cut off goes on.
    """
    rows = zip(examples["id"], examples["prompt"], examples["completion"], strict=True)
    sketch_file(
        *proxy,
        rows,
        folder,
        dimension=params.dimension,
        seed=params.seed,
        **settings(params),
    )
    ids, found = read_sketches(folder)
    columns = {"id": ids, "loss": found.losses, "norm": found.norms, "n_tokens": found.n_tokens}
    return found.vectors, pd.DataFrame(columns)


def sketch_folder(own: Path, params: Any) -> Path:
    """Where the sketches of the corpus are: the run's own folder, or the one that `sketches` names.

    Raises:
        UserError: there is no such folder.
    """
    if params.sketches == "here":
        return own
    if not Path(params.sketches).is_dir():
        raise UserError(f"There is no folder {params.sketches}: `workbench sketch` fills one.")
    return Path(params.sketches)


def settings(params: Any) -> dict[str, Any]:
    """What `sketch` takes from the notebook's parameters."""
    return {"method": params.method, "truncate": params.truncate, "chat": params.chat}


# ------------------------------------------------------------------------------- measures
def card(vectors: np.ndarray, about: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """What the set scores, with what bounds the score: columns measure, value, low, high, note."""
    n, d = vectors.shape
    texts = texts_of(examples)
    gradient = vendi_interval(vectors)
    flat = cap(n, d) * projection_bias(n, d)
    rows = [
        ("G-Vendi", gradient.value, gradient.low, gradient.high, f"{n:,} examples, sketched to d = {d:,}"),
        ("highest it could be", cap(n, d), np.nan, np.nan, "min(n, d)"),
        ("unrelated gradients would score", flat, np.nan, np.nan, "what the sketch leaves of the highest"),
        ("embedding Vendi", vendi_from_features(embed(texts)), np.nan, np.nan, "TF-IDF and SVD of the texts"),
        ("n-gram entropy", ngram_entropy(texts), np.nan, np.nan, "word pairs, bits"),
        ("compression ratio", compression_ratio(texts), np.nan, np.nan, "higher: more repetition"),
        ("perplexity", perplexity(about), np.nan, np.nan, "of the proxy, per completion token"),
    ]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high", "note"])


def by_dimension(proxy: Proxy, examples: pd.DataFrame, params: Any) -> pd.DataFrame:
    """Scores of the first 256 examples by the sketch's dimension: columns dimension, score, expected, cap,
    method.

    The score of order 2 is computed twice: as it stands, and from two independent sketches.
    """
    pairs, rows = pairs_of(examples.head(256)), []
    largest = [
        sketch(*proxy, pairs, dimension=DIMENSIONS[-1], seed=seed, **settings(params)).vectors
        for seed in (params.seed, params.seed + 1)
    ]
    for d in DIMENSIONS:
        one, two = (fold(vectors, d) for vectors in largest)
        n = len(one)
        bounds = (cap(n, d) * projection_bias(n, d), cap(n, d))
        rows += [
            (d, vendi_from_features(one), *bounds, "G-Vendi"),
            (d, vendi_from_features(one, 2), np.nan, np.nan, "order 2"),
            (d, cross_sketch(one, two), np.nan, np.nan, "order 2, two sketches"),
        ]
    return pd.DataFrame(rows, columns=["dimension", "score", "expected", "cap", "method"])


# ------------------------------------------------------------------------------- the map
def clusters(
    vectors: np.ndarray, examples: pd.DataFrame, seed: int, fraction: float = 0.02
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clusters of the gradients, and what each example adds.

    Returns:
        Points with columns cluster, template, text, contribution (nats); and clusters with columns cluster,
        size, density (mean cosine to the centroid), exemplar (the text nearest to the centroid).
    """
    k = min(len(vectors), max(2, round(fraction * len(vectors))))
    found = spherical_kmeans(vectors, k, seed=seed)
    points = pd.DataFrame(
        {
            "cluster": found.labels,
            "template": examples["template"],
            "text": texts_of(examples),
            "contribution": contributions(vectors),
            "similarity": found.similarity,
        }
    )
    nearest = points.loc[points.groupby("cluster")["similarity"].idxmax()].set_index("cluster")["text"]
    sizes = points.groupby("cluster")["similarity"].agg(["size", "mean"])
    table = sizes.rename(columns={"mean": "density"}).assign(exemplar=nearest).reset_index()
    return points.drop(columns="similarity"), table


def placed(layout: np.ndarray) -> pd.DataFrame:
    """A layout `[n, 2]` as a table with columns x, y."""
    return pd.DataFrame(layout, columns=["x", "y"])


def redundant(vectors: np.ndarray, examples: pd.DataFrame, n: int = 6) -> pd.DataFrame:
    """The pairs of examples whose gradients are most alike: columns text_a, text_b, cosine."""
    texts = texts_of(examples)
    rows = [(texts[i], texts[j], cosine) for i, j, cosine in redundant_pairs(vectors, n)]
    return pd.DataFrame(rows, columns=["text_a", "text_b", "cosine"])
