"""TinyStories' abilities by size: how a ladder of models writes, and what it knows.

Eldan & Li 2023, arXiv 2305.07759. On stories of the world simulator everything is graded
exactly; on other text by loss, by overlap, and by a language model (`judge`).
"""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pandas as pd

from workbench.corpora.stories import grade, make_probes
from workbench.engine.models import context_length
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures.overlap import longest_copies, max_overlap, novelty, share_found
from workbench.studies.tiny_models.judge import judge, rules
from workbench.studies.tiny_models.ladder import Fitted


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
        2 * len(tokenizer(beginning).input_ids) <= context_length(model)
        for model, tokenizer in fitted.values()
    )


def complete(
    samplers: Mapping[str, Sampler],
    names: Sequence[str],
    begun: pd.DataFrame,
    seed: int,
    max_tokens: int = 200,
) -> pd.DataFrame:
    """How the named models go on: `begun` once for each, with columns model and completion."""
    frames = []
    for name in names:
        replies = samplers[name].sample(
            begun["beginning"].tolist(), SamplingParams(max_tokens=max_tokens, temperature=0.5, seed=seed)
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


def greedy_texts(fitted: Fitted) -> pd.DataFrame:
    """What each model writes from nothing, always taking the most likely token: columns model, text."""
    likeliest = SamplingParams(max_tokens=200, temperature=0)
    texts = [TransformersSampler(*pair).sample([""], likeliest)[0][0].text for pair in fitted.values()]
    return pd.DataFrame({"model": list(fitted), "text": texts})


def judged(completed: pd.DataFrame, spec: str, seed: int) -> pd.DataFrame:
    """What a language model (`engine.sampling.load`) says of completions: columns of `judge.judge`, item and model."""
    pairs = list(zip(completed["beginning"], completed["completion"], strict=True))
    scores = judge(pairs, sampler(spec), seed=seed)
    return scores.assign(item=completed["item"].to_numpy(), model=completed["model"].to_numpy())


# ------------------------------------------------------------------------------- questions
def ask_probes(samplers: Mapping[str, TransformersSampler], n: int, seed: int) -> pd.DataFrame:
    """Forced choice on n probes of each name: columns model, item, kind, name, right."""
    rows, probes = [], make_probes(n, seed=seed)
    for model, source in samplers.items():
        scores = source.score([p.beginning for p in probes], [(p.right, p.wrong) for p in probes])
        for item, (probe, (right, wrong)) in enumerate(zip(probes, scores, strict=True)):
            rows.append((model, item, probe.kind, probe.name, bool(right > wrong)))
    return pd.DataFrame(rows, columns=["model", "item", "kind", "name", "right"])


# ------------------------------------------------------------------------------- summaries and claims
