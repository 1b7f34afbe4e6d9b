"""TinyStories' abilities by size: how a ladder of models writes, and what it knows.

Eldan & Li 2023, arXiv 2305.07759. On stories of the world simulator everything is graded
exactly; on other text by loss, by overlap, and by a language model (`judge`).
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.stories import grade, make_probes
from workbench.engine.generate import Sampler, TransformersSampler
from workbench.engine.samplers import sampler
from workbench.errors import UserError
from workbench.measures.overlap import longest_copies, max_overlap, novelty, share_found
from workbench.measures.statistics import Interval, bootstrap_mean, paired_difference, wilson
from workbench.studies.judge import judge, rules
from workbench.studies.ladder import Fitted


# ------------------------------------------------------------------------------- writing
def beginnings(texts: Sequence[str], n: int, seed: int, fitted: Fitted) -> pd.DataFrame:
    """The first two fifths of n held-out stories, cut in mid-sentence: columns item, beginning, ending.

    Beginnings of more than half of a model's context are passed over, so that every model has room to go on.
    """
    rows = []
    for item, text in enumerate(texts):
        if len(rows) == n:
            break
        gaps = [at for at, letter in enumerate(text) if letter == " "]
        place = int(0.4 * len(gaps)) + Random(f"{seed}/{item}").randint(-3, 3)
        cut = gaps[min(max(0, place), len(gaps) - 1)] if gaps else 0
        if cut and _fits(text[:cut], fitted):
            rows.append({"item": item, "beginning": text[:cut], "ending": text[cut:]})
    if not rows:
        raise UserError("No held-out story can be cut into a beginning that fits the models' context.")
    return pd.DataFrame(rows)


def _fits(beginning: str, fitted: Fitted) -> bool:
    return all(
        2 * len(tokenizer(beginning).input_ids) <= getattr(model.config, "max_position_embeddings", 1 << 30)
        for model, tokenizer in fitted.values()
    )


def complete(
    samplers: Mapping[str, Sampler],
    names: Sequence[str],
    begun: pd.DataFrame,
    seed: int,
    temperature: float = 0.5,
    max_new_tokens: int = 200,
) -> pd.DataFrame:
    """How the named models go on: `begun` once for each, with columns model and completion."""
    frames = []
    for name in names:
        replies = samplers[name].sample(
            begun["beginning"].tolist(), max_new_tokens=max_new_tokens, temperature=temperature, seed=seed
        )
        frames.append(begun.assign(model=name, completion=[reply[0].text for reply in replies]))
    return pd.concat(frames, ignore_index=True)


def measure(completed: pd.DataFrame, training: Sequence[str], *, exact: bool) -> pd.DataFrame:
    """Adds grades and overlaps to completions.

    Args:
        completed: columns beginning, completion, ending.
        training: stories the models were trained on.
        exact: whether the text is in the simulator's language, so that the exact grader can read it.

    Returns:
        `completed` with grammar, consistency (shares of sentences; only if exact), keeps (share of the
        beginning's names that come up again), no_repeats (whether no 4-gram of words comes twice), copied
        (largest share of word pairs found in one training story) and copied_ending (the same for the true
        ending), both over equally many words, new (share of 4-grams found in no training story) and
        like_ending (word pairs shared with the true ending).
    """
    completions, endings = completed["completion"].tolist(), completed["ending"].tolist()
    pairs = list(zip(completed["beginning"], completions, strict=True))
    graded = [grade(begun + written, begun) for begun, written in pairs] if exact else []
    checked = [rules(*pair) for pair in pairs]
    equal = [_equally_long(*both) for both in zip(completions, endings, strict=True)]
    return completed.assign(
        grammar=[g.grammar for g in graded] or np.nan,
        consistency=[g.consistency for g in graded] or np.nan,
        keeps=[found["names_kept"] for found in checked],
        no_repeats=[found["no_repeated_4gram"] for found in checked],
        copied=max_overlap([own for own, _ in equal], training).overlap,
        copied_ending=max_overlap([true for _, true in equal], training).overlap,
        new=novelty(completions, training),
        like_ending=[share_found(*both) for both in zip(completions, endings, strict=True)],
    )


def verbatim(completed: pd.DataFrame, training: Sequence[str], n: int = 5) -> pd.DataFrame:
    """The longest runs of words that stand in a training story too: columns model, words, text."""
    copies = longest_copies(completed["completion"].tolist(), training)
    found = pd.DataFrame({"model": completed["model"].to_numpy(), "text": copies})
    found.insert(1, "words", found["text"].str.split().str.len())
    return found.sort_values("words", ascending=False, kind="stable").head(n)


def _equally_long(one: str, other: str) -> tuple[str, str]:
    """Both cut to the shorter one's number of words: overlap falls as texts grow."""
    first, second = one.split(), other.split()
    length = min(len(first), len(second))
    return " ".join(first[:length]), " ".join(second[:length])


def greedy_texts(fitted: Fitted, max_new_tokens: int = 200) -> pd.DataFrame:
    """What each model writes from nothing, always taking the most likely token: columns model, text."""
    texts = [
        TransformersSampler(*pair).sample([""], max_new_tokens=max_new_tokens, temperature=0)[0][0].text
        for pair in fitted.values()
    ]
    return pd.DataFrame({"model": list(fitted), "text": texts})


def judged(completed: pd.DataFrame, spec: str, seed: int) -> pd.DataFrame:
    """What a language model (`engine.samplers`) says of completions: columns of `judge`, item and model."""
    pairs = list(zip(completed["beginning"], completed["completion"], strict=True))
    scores = judge(pairs, sampler(spec), seed=seed)
    return scores.assign(item=completed["item"].to_numpy(), model=completed["model"].to_numpy())


# ------------------------------------------------------------------------------- questions
def ask_probes(samplers: Mapping[str, TransformersSampler], n: int, seed: int) -> pd.DataFrame:
    """Forced choice on n probes of each name: columns model, item, kind, name, right."""
    rows, probes = [], make_probes(n, seed=seed)
    for model, source in samplers.items():
        scores = source.logprobs([p.beginning for p in probes], [(p.right, p.wrong) for p in probes])
        for item, (probe, (right, wrong)) in enumerate(zip(probes, scores, strict=True)):
            rows.append((model, item, probe.kind, probe.name, bool(right > wrong)))
    return pd.DataFrame(rows, columns=["model", "item", "kind", "name", "right"])


# ------------------------------------------------------------------------------- summaries and claims
def summarise(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Mean of each column by model with its interval: columns model, measure, value, low, high, n."""
    rows = []
    for name, part in frame.groupby("model", sort=False):
        for column in columns:
            if part[column].notna().any():
                mean = bootstrap_mean(part[column])
                rows.append({"model": name, "measure": column, **_plain(mean)})
    return pd.DataFrame(rows)


def grades(measured: pd.DataFrame, answers: pd.DataFrame) -> list[dict[str, Any]]:
    """For tables over runs, a row a model: its mean grades, and its accuracy on each kind of question."""
    rows = []
    for name, part in measured.groupby("model", sort=False):
        means = part[["grammar", "consistency"]].mean().dropna()
        right = answers[answers["model"] == name].groupby("kind", sort=False)["right"].mean()
        rows.append({"model": name, **means, **right.add_suffix(" questions")})
    return rows


def accuracies(answers: pd.DataFrame, by: str = "kind") -> pd.DataFrame:
    """Accuracy by model and kind or name, with Wilson's interval: model, `by`, value, low, high, n."""
    rows = []
    for (name, group), part in answers.groupby(["model", by], sort=False):
        rows.append({"model": name, by: group, **_plain(wilson(int(part["right"].sum()), len(part)))})
    return pd.DataFrame(rows)


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}


def claims(measured: pd.DataFrame, answers: pd.DataFrame, losses: pd.DataFrame) -> list[dict[str, Any]]:
    """The claims that the models at hand can test, as `run.claim` takes them.

    Intervals are over stories or questions: one model of each kind was trained, so the chance of another
    seed is not in them.
    """
    names = list(dict.fromkeys(measured["model"]))
    ladder = [name for name in names if name not in ("deep", "wide")]
    small, large = ladder[0], ladder[-1]
    found = [_not_copies(measured, large)]
    if len(ladder) > 1:
        found.append(
            {
                "name": "size-lowers-loss",
                "says": f"The {large} model has a lower loss on held-out stories than the {small} model.",
                "paper": "Loss falls with size",
                "unit": "nats per token",
                "view": "Loss on held-out stories",
                **difference(losses, "nats_per_token", small=large, large=small),
            }
        )
    if len(ladder) > 1 and measured["consistency"].notna().any():
        found += _size_claims(measured, answers, ladder)
    if {"deep", "wide"} <= set(names) and len(answers):
        found += _shape_claims(answers)
    return found


def _not_copies(measured: pd.DataFrame, model: str, margin: float = 0.05) -> dict[str, Any]:
    part = measured[measured["model"] == model]
    room = _effect(paired_difference(part["copied_ending"] + margin, part["copied"]))
    return {
        "name": "not-copies",
        "says": f"Stories of the {model} model come at most {100 * margin:.0f} points closer to a training "
        "story than the true endings do.",
        "paper": "Generated stories share few word pairs with their closest training story",
        "unit": "share of word pairs, to the margin",
        "view": "Are the stories copies?",
        **room,
    }


def _size_claims(
    measured: pd.DataFrame, answers: pd.DataFrame, ladder: Sequence[str]
) -> list[dict[str, Any]]:
    small, middle, large = ladder[0], ladder[-2], ladder[-1]
    return [
        {
            "name": "size-brings-consistency",
            "says": f"Stories of the {large} model are more consistent than those of the {small} model.",
            "paper": "Consistency rises with size (Figure 4)",
            "unit": "share of sentences",
            "view": "Grades by size",
            **difference(measured, "consistency", small=small, large=large),
        },
        {
            "name": "grammar-comes-first",
            "says": f"From {middle} to {large}, consistency still makes more of its rise than grammar does.",
            "paper": "Grammar levels off at a smaller size than consistency (Figure 4)",
            "unit": "share of the rise",
            "view": "Grades by size",
            **later_gain(measured, small, middle, large),
        },
        {
            "name": "reasoning-needs-low-loss",
            "says": f"The {large} model answers more reasoning questions than the {small} model.",
            "paper": "Reasoning appears in larger models only (Figures 9-11)",
            "unit": "share of questions",
            "view": "Facts, reasoning, consistency",
            **difference(answers[answers["kind"] == "reasoning"], "right", small=small, large=large),
        },
    ]


def _shape_claims(answers: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "name": "depth-tracks-context",
            "says": "At one size, the deep model answers more consistency questions than the wide one.",
            "paper": "Depth matters more for context tracking",
            "unit": "share of questions",
            "view": "Facts, reasoning, consistency",
            **difference(answers[answers["kind"] == "consistency"], "right", small="wide", large="deep"),
        },
        {
            "name": "width-knows-facts",
            "says": "At one size, the wide model knows more facts than the deep one.",
            "paper": "Width matters more for facts",
            "unit": "share of questions",
            "view": "Facts, reasoning, consistency",
            **difference(answers[answers["kind"] == "fact"], "right", small="deep", large="wide"),
        },
    ]


def difference(frame: pd.DataFrame, column: str, small: str, large: str) -> dict[str, Any]:
    """Mean of large − small over the same items, as `run.claim` takes it."""
    values = frame.pivot(index="item", columns="model", values=column).astype(float)
    return _effect(paired_difference(values[large], values[small]))


def later_gain(measured: pd.DataFrame, small: str, middle: str, large: str, seed: int = 0) -> dict[str, Any]:
    """How much more of its rise from the smallest size consistency makes after the middle size than grammar.

    (large − middle) / (large − small) of consistency minus that of grammar, with a bootstrap over stories
    that draws all three models' grades together. Positive: grammar is nearer its end at the middle size.
    """
    tables = {
        column: measured.pivot(index="item", columns="model", values=column)[[small, middle, large]].dropna()
        for column in ("consistency", "grammar")
    }
    items = tables["consistency"].index.intersection(tables["grammar"].index)
    drawn = np.random.default_rng(seed).integers(len(items), size=(2000, len(items)))

    def late(column: str, rows: np.ndarray) -> np.ndarray:
        low, mid, high = np.moveaxis(tables[column].loc[items].to_numpy()[rows].mean(axis=-2), -1, 0)
        return (high - mid) / (high - low)

    everything = np.arange(len(items))
    effect = float(late("consistency", everything) - late("grammar", everything))
    low, high = np.quantile(late("consistency", drawn) - late("grammar", drawn), [0.025, 0.975])
    return {"effect": effect, "low": float(low), "high": float(high), "n": len(items)}


def _effect(interval: Interval) -> dict[str, Any]:
    return {"effect": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}
