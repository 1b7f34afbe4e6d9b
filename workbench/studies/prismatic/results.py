"""What 09 finds: the corpus's score and what bounds it, the measures against accuracy, growth, and claims."""

from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.engine.encoders import embed
from workbench.engine.gradients.per_example import fold
from workbench.measures.compression import compression_ratio
from workbench.measures.gvendi import cap, cross_sketch, projection_bias, vendi_interval
from workbench.measures.statistics import Interval, bootstrap_mean, rank_correlations, spearman
from workbench.measures.summaries import summarise, summarise_shares
from workbench.measures.vendi import vendi_from_features
from workbench.studies.common.evidence import compare
from workbench.studies.prismatic.data import pairs_of, texts_of
from workbench.studies.prismatic.proxy import Proxy, g_vendi
from workbench.studies.prismatic.subsets import ngram_entropy, perplexity

DELTA_RHO = 0.1
RHO_REASON = "a tenth of rank correlation is the least for which anybody would take gradients"
_DRAWS = 100  # of problems of a file
DIMENSIONS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


# ------------------------------------------------------------------------------- the score of a corpus
def card(gradients: np.ndarray, losses: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """What the set scores, with what bounds the score: columns measure, value, low, high, note."""
    n, d = gradients.shape
    texts, score = texts_of(examples), vendi_interval(gradients)
    unrelated = cap(n, d) * projection_bias(n, d)
    rows = [
        ("G-Vendi", score.value, f"{n:,} examples, sketched to d = {d:,}"),
        ("highest it could be", cap(n, d), "min(n, d)"),
        ("unrelated gradients would score", unrelated, "what the sketch leaves of the highest"),
        ("embedding Vendi", vendi_from_features(embed(texts)), "TF-IDF and SVD of the texts"),
        ("n-gram entropy", ngram_entropy(texts), "word pairs, bits"),
        ("compression ratio", compression_ratio(texts), "higher: more repetition"),
        ("perplexity", perplexity(losses), "of the proxy, per completion token"),
    ]
    table = pd.DataFrame(rows, columns=["measure", "value", "note"])
    table.loc[0, ["low", "high"]] = score.low, score.high
    return table[["measure", "value", "low", "high", "note"]]


def by_source(gradients: np.ndarray, examples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Which file's problems differ most, at equal size: columns source, measure, value, low, high, n.

    Half as many as the smallest file has are drawn from each, `_DRAWS` times over: means, and where the
    middle 95 % of the draws lie. Also from all files together.
    """
    rng, embeddings = np.random.default_rng(seed), embed(texts_of(examples))
    rows = {
        name: np.flatnonzero(examples["template"] == name) for name in dict.fromkeys(examples["template"])
    }
    n, table = min(map(len, rows.values())) // 2, []
    for name, own in {**rows, "together": np.arange(len(examples))}.items():
        draws = [rng.choice(own, n, replace=False) for _ in range(_DRAWS)]
        for measure, vectors in (("gradients (G-Vendi)", gradients), ("texts (embedding Vendi)", embeddings)):
            scores = [vendi_from_features(vectors[draw]) for draw in draws]
            table.append((name, measure, np.mean(scores), *np.quantile(scores, [0.025, 0.975]), n))
    return pd.DataFrame(table, columns=["source", "measure", "value", "low", "high", "n"])


def by_dimension(proxy: Proxy, examples: pd.DataFrame) -> pd.DataFrame:
    """Scores of examples by the sketch's dimension: columns dimension, score, expected, cap, method.

    The score of order 2 is computed twice: as it stands, and from two independent sketches.
    """
    pairs, rows = pairs_of(examples), []
    largest = [
        replace(proxy, dimension=DIMENSIONS[-1], seed=seed).sketch(pairs)
        for seed in (proxy.seed, proxy.seed + 1)
    ]
    for d in DIMENSIONS:
        first, second = (fold(vectors, d) for vectors in largest)
        n = len(pairs)
        rows += [
            (d, g_vendi(first), cap(n, d) * projection_bias(n, d), cap(n, d), "G-Vendi"),
            (d, vendi_from_features(first, 2), np.nan, np.nan, "order 2"),
            (d, cross_sketch(first, second), np.nan, np.nan, "order 2, two sketches"),
        ]
    return pd.DataFrame(rows, columns=["dimension", "score", "expected", "cap", "method"])


# ------------------------------------------------------------------------------- subsets
def against_accuracy(values: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """`subsets.measured` with the accuracy of each set's students and each measure's rank correlation.

    Adds columns accuracy, low, high, rho, rho_low, rho_high, n (subsets).
    """
    shares = summarise_shares(answers, ["arm"], "right").drop(columns="n")
    frame = values.merge(shares.set_axis(["subset", "accuracy", "low", "high"], axis=1), how="left")
    rows = [
        (measure, *spearman(part["value"], part["accuracy"]).row().values())
        for measure, part in frame.groupby("measure")
    ]
    return frame.merge(pd.DataFrame(rows, columns=["measure", "rho", "rho_low", "rho_high", "n"]), how="left")


def correlations(tracked: pd.DataFrame) -> pd.DataFrame:
    """One row a measure: columns measure, rho, low, high, n."""
    table = tracked.drop_duplicates("measure")[["measure", "rho", "rho_low", "rho_high", "n"]]
    return table.rename(columns={"rho_low": "low", "rho_high": "high"}).reset_index(drop=True)


def better_tracked(tracked: pd.DataFrame, first: str, second: str) -> Interval:
    """Spearman's ρ of one measure minus that of another, with a bootstrap over the subsets.

    NaN where a measure or the accuracy is the same for all.
    """
    table = tracked.pivot(index="subset", columns="measure", values="value")
    accuracy = tracked.drop_duplicates("subset").set_index("subset")["accuracy"].reindex(table.index)
    a, b, truth = (column.to_numpy() for column in (table[first], table[second], accuracy))
    n = len(truth)
    draws = np.concatenate([np.arange(n)[None], np.random.default_rng(0).integers(n, size=(4000, n))])
    rho = rank_correlations(a[draws], truth[draws]) - rank_correlations(b[draws], truth[draws])
    drawn = rho[1:][~np.isnan(rho[1:])]  # a draw of equal values has no order
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Interval(float(rho[0]), float(low), float(high), n)


def reliability(answers: pd.DataFrame) -> float:
    """How well the accuracy of sets would be found again: Spearman-Brown's k r / (1 + (k − 1) r).

    r is the mean correlation of the k students of a set; of one student each, of two halves of its questions.
    NaN where all sets have one accuracy.
    """
    right = answers.assign(right=answers["right"].astype(float))
    part = right["seed"]
    if right["seed"].nunique() == 1:
        part = (right["item"].rank(method="dense").astype(int) % 2).rename("half")
    table = right.groupby(["arm", part])["right"].mean().unstack()
    k = table.shape[1]
    r = float(table.corr().to_numpy()[np.triu_indices(k, 1)].mean())
    return k * r / (1 + (k - 1) * r)


def subset_claims(tracked: pd.DataFrame, answers: pd.DataFrame) -> list[Claim]:
    """What the sets say about the measures."""
    rho = correlations(tracked).set_index("measure").loc["G-Vendi"]
    table = tracked.pivot(index="subset", columns="measure", values="value")
    rivals = abs(table["G-Vendi"].corr(table["embedding Vendi"], method="spearman"))
    gates = (
        Gate("reliability of a set's accuracy", reliability(answers), low=0.8),
        Gate("accuracy of the students", float(answers["right"].mean()), low=0.2, high=0.8),
    )
    apart = Gate("correlation of G-Vendi and embedding Vendi", float(rivals), high=0.5)
    about = {"over": "training sets", "trainings": len(answers.drop_duplicates(["arm", "seed"]))}
    difference = {"unit": "difference of Spearman's ρ", "view": "How well each measure ranks the subsets"}
    return [
        Claim.of(
            better_tracked(tracked, "G-Vendi", "embedding Vendi"),
            name="gvendi-beats-embeddings",
            says="G-Vendi ranks sets by what their students solve of unseen kinds better than the Vendi "
            "score of their texts' embeddings does.",
            paper="G-Vendi tracks accuracy better than embedding Vendi",
            gates=(*gates, apart),
            delta=DELTA_RHO,
            delta_reason=RHO_REASON,
            headline=True,
            **difference,
            **about,
        ),
        Claim.of(
            better_tracked(tracked, "G-Vendi", "number of structures"),
            name="gvendi-beats-counting",
            says="G-Vendi ranks the sets better than the plain number of structures in them does.",
            paper=BEYOND,
            gates=gates,
            delta=DELTA_RHO,
            delta_reason=RHO_REASON,
            **difference,
            **about,
        ),
        Claim.of(
            Interval(rho["rho"], rho["low"], rho["high"], rho["n"]),
            name="gvendi-tracks-accuracy",
            says="Sets with a higher G-Vendi make students that solve more problems of unseen kinds.",
            paper="Spearman about 0.9 over more than 300 trainings",
            unit="Spearman's ρ",
            view="Diversity against accuracy out of distribution",
            published=0.9,
            gates=gates,
            **about,
        ),
    ]


# ------------------------------------------------------------------------------- pools
def relative(rounds: pd.DataFrame) -> pd.DataFrame:
    """G-Vendi at equal size over that of the first pool: columns arm, round, n, g_vendi, low, high.

    Means over seeds. Rounds that not every seed has reached are left out.
    """
    score = rounds["g_vendi_equal"]
    rounds = rounds.assign(ratio=score / score.groupby([rounds["arm"], rounds["seed"]]).transform("first"))
    table = summarise(rounds.sort_values(["arm", "round"], kind="stable"), ["arm", "round"], "ratio")
    sizes = rounds.groupby(["arm", "round"])["n"].mean().astype(int).to_numpy()
    whole = table.assign(g_vendi=table["value"], n=sizes)[table["n"] == rounds["seed"].nunique()]
    return whole[["arm", "round", "n", "g_vendi", "low", "high"]].reset_index(drop=True)


def reasons(decisions: pd.DataFrame) -> pd.DataFrame:
    """Candidates by arm, round and reason, over seeds: columns arm, round, reason, count."""
    reason = decisions["reason"].where(decisions["decision"] == "rejected", "accepted")
    groups = decisions.assign(reason=reason).groupby(["arm", "round", "reason"], sort=False)
    return groups.size().rename("count").reset_index()


def outcomes(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the students of grown pools: columns arm, seed, accuracy, n (questions)."""
    groups = answers.groupby(["arm", "seed"], sort=False)["right"]
    return groups.agg(accuracy="mean", n="size").reset_index()


RIVALS = {
    "random": "Prismatic Synthesis keeps rising where plain generation levels off",
    "paper": BEYOND,
    "embedding": BEYOND,
    "n-gram": BEYOND,
    "perplexity": BEYOND,
}
GROWN_BY = {
    "random": "at random",
    "paper": "by the published rule",
    "embedding": "by embeddings of their texts",
    "n-gram": "by n-grams of their texts",
    "perplexity": "by what the proxy finds hard",
}


def unfinished(rounds: pd.DataFrame, target: int) -> list[str]:
    """The pools that stopped before they had their size, as sentences."""
    last = rounds.groupby(["arm", "seed"], sort=False).last().reset_index()
    return [
        f"{row.arm}, seed {row.seed}: stopped at {row.n:,} of {target:,} problems ({row.stopped})"
        for row in last[last["n"] < target].itertuples()
    ]


def pool_claims(answers: pd.DataFrame, rounds: pd.DataFrame) -> list[Claim]:
    """Our arm against every other.

    Pools that stopped before they had as many problems as the largest are left out, and with them the claims
    for which no seed has both pools.

    Args:
        answers: of `students.train_students`.
        rounds: of `method.grow`, with a column seed.
    """
    last = rounds.groupby(["arm", "seed"]).last().reset_index()
    full = last[last["n"] == last["n"].max()]
    score = np.log(full.pivot(index="seed", columns="arm", values="g_vendi"))
    right = answers.merge(full[["arm", "seed"]])
    gates = (Gate("accuracy of the students", float(right["right"].mean()), low=0.2, high=0.8),)
    claims = []
    for other, paper in RIVALS.items():
        if not {"prismatic", other} <= set(score) or (score["prismatic"] - score[other]).isna().all():
            continue
        seeds = score.index[(score["prismatic"] - score[other]).notna()]
        claims += [
            Claim.of(
                bootstrap_mean((score["prismatic"] - score[other]).loc[seeds]),
                name=f"prismatic-more-diverse-than-{other}",
                says="Pools grown by gradients have a higher G-Vendi by another proxy than as many problems "
                f"grown {GROWN_BY[other]}.",
                paper=paper,
                over="pairs of pools",
                unit="logarithm of the ratio",
                view="G-Vendi over rounds",
            ),
            compare(right[right["seed"].isin(seeds)], "prismatic", other).claim(
                name=f"prismatic-teaches-more-than-{other}",
                says="Students of pools grown by gradients solve more problems of unseen kinds than those "
                f"of pools grown {GROWN_BY[other]}.",
                paper=paper,
                unit="share of problems",
                view="Accuracy out of distribution by arm",
                gates=gates,
                delta=0.02,
                delta_reason="two points of accuracy are the least that would repay taking gradients",
            ),
        ]
    return claims
