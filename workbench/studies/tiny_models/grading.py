"""TinyStories' abilities by size: how a ladder of models writes, and what it knows.

Eldan & Li 2023, arXiv 2305.07759, the sections on evaluation, diversity and knowledge. As published: stories
are continued from two fifths of their length, cut in mid-sentence; completions are compared with training
stories by word pairs; questions on facts, reasoning and consistency (Figures 9-11). Otherwise: on stories of
the simulator an exact grader reads grammar and consistency, and questions offer two ways to go on, of which
the more probable one is the answer; a language model grades only where it is asked to (`judge`).
"""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pandas as pd

from workbench.corpora.stories import Grade, Probe, grade, make_lures, make_probes, previous_only
from workbench.engine.models import context_length
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures import overlap
from workbench.studies.tiny_models.judge import judge, rules
from workbench.studies.tiny_models.ladder import Fitted

Trained = tuple[int, str]  # the seed and the name of a model
NOT_ASKED = "No questions are asked: they are written in the language of the simulator's stories."
STARTER = "starter"
WHOLE, CUT = "the story", "one sentence"  # what a question leaves to be read before the answer's sentence


# ------------------------------------------------------------------------------- writing
def beginnings(texts: Sequence[str], n: int, seed: int, fitted: Fitted) -> pd.DataFrame:
    """The first two fifths of n held-out stories, cut in mid-sentence: columns item, beginning, ending.

    Beginnings of more than half of a model's context are passed over, so that every model has room to go on.
    """
    limits = [(tokenizer, context_length(model)) for model, tokenizer in fitted.values()]
    rows = []
    for item, text in enumerate(texts):
        if len(rows) == n:
            break
        spaces = [index for index, letter in enumerate(text) if letter == " "]
        chosen = int(0.4 * len(spaces)) + Random(f"{seed}/{item}").randint(-3, 3)
        cut = spaces[min(max(0, chosen), len(spaces) - 1)] if spaces else 0
        if cut and all(2 * len(tokenizer(text[:cut]).input_ids) <= limit for tokenizer, limit in limits):
            rows.append({"item": item, "beginning": text[:cut], "ending": text[cut:]})
    if not rows:
        raise UserError("No held-out story can be cut into a beginning that fits the models' context.")
    return pd.DataFrame(rows)


def complete(
    samplers: Mapping[Trained, Sampler],
    which: Sequence[Trained],
    beginnings: pd.DataFrame,
    seed: int,
    max_tokens: int = 200,
) -> pd.DataFrame:
    """How some models go on: `beginnings` once for each, with columns seed, model and completion."""
    params = SamplingParams(max_tokens=max_tokens, temperature=0.5, seed=seed)
    frames = []
    for of_seed, name in which:
        replies = samplers[of_seed, name].sample(beginnings["beginning"].tolist(), params)
        written = [reply[0].text for reply in replies]
        frames.append(beginnings.assign(seed=of_seed, model=name, completion=written))
    return pd.concat(frames, ignore_index=True)


def measure(completed: pd.DataFrame, training: Sequence[str], *, exact: bool) -> pd.DataFrame:
    """Adds grades and overlaps to completions.

    Args:
        completed: columns beginning, completion, ending.
        training: stories the models were trained on.
        exact: whether the text is in the simulator's language, so that the exact grader can read it.

    Returns:
        `completed` with grammar (share of sentences that are some), consistency (share of these that can be
        true), coherent (share of all that are and can; all only if exact), keeps (share of the beginning's
        names that come up again), no_repeats (whether no 4-gram of words comes twice), copied
        (largest share of word pairs found in one training story) and copied_ending (the same for the true
        ending), both over equally many words, new (share of 4-grams found in no training story) and
        like_ending (word pairs shared with the true ending).
    """
    completions, endings = completed["completion"].tolist(), completed["ending"].tolist()
    pairs = list(zip(completed["beginning"], completions, strict=True))
    grades = [grade(beginning + completion, beginning) for beginning, completion in pairs] if exact else []
    checks = [rules(*pair) for pair in pairs]
    written, true = zip(*map(_equally_long, completions, endings), strict=True)
    return completed.assign(
        grammar=[graded.grammar for graded in grades] or np.nan,
        consistency=[graded.consistency for graded in grades] or np.nan,
        coherent=list(map(coherent, grades)) or np.nan,
        keeps=[check["names_kept"] for check in checks],
        no_repeats=[check["no_repeated_4gram"] for check in checks],
        copied=overlap.max_overlap(written, training).overlap,
        copied_ending=overlap.max_overlap(true, training).overlap,
        new=overlap.novelty(completions, training),
        like_ending=list(map(overlap.share_found, completions, endings)),
    )


def coherent(graded: Grade) -> float:
    """Share of all sentences that the language has and that can be true; NaN when there is no sentence."""
    good = [sentence.event is not None and not sentence.violations for sentence in graded.sentences]
    return float(np.mean(good)) if good else np.nan


def without_reading(beginnings: pd.DataFrame) -> float:
    """Consistency of other stories' endings: what flawless sentences get that heed no beginning."""
    endings = np.roll(beginnings["ending"].to_numpy(), 1)
    pairs = zip(beginnings["beginning"], endings, strict=True)
    return float(
        np.nanmean([grade(beginning + ending, beginning).consistency for beginning, ending in pairs])
    )


def verbatim(completed: pd.DataFrame, training: Sequence[str], n: int = 5) -> pd.DataFrame:
    """The longest runs of words that stand in a training story too: columns model, words, text."""
    texts = overlap.longest_copies(completed["completion"].tolist(), training)
    words = [len(text.split()) for text in texts]
    copies = pd.DataFrame({"model": completed["model"].to_numpy(), "words": words, "text": texts})
    return copies.sort_values("words", ascending=False, kind="stable").head(n)


def _equally_long(one: str, other: str) -> tuple[str, str]:
    """Both cut to the shorter one's number of words: overlap falls as texts grow."""
    pairs = list(zip(one.split(), other.split(), strict=False))
    return " ".join(first for first, _ in pairs), " ".join(second for _, second in pairs)


def greedy_texts(fitted: Fitted) -> pd.DataFrame:
    """What each model writes from nothing, always taking the most likely token: columns model, text."""
    likeliest = SamplingParams(max_tokens=200, temperature=0)
    texts = [TransformersSampler(*pair).sample([""], likeliest)[0][0].text for pair in fitted.values()]
    return pd.DataFrame({"model": list(fitted), "text": texts})


def judged(completed: pd.DataFrame, spec: str, seed: int) -> pd.DataFrame:
    """What a language model (`engine.sampling.load`) says of completions: `judge`, with item, seed, model."""
    pairs = list(zip(completed["beginning"], completed["completion"], strict=True))
    scores = judge(pairs, sampler(spec), seed=seed)
    return scores.assign(**{name: completed[name].to_numpy() for name in ("item", "seed", "model")})


# ------------------------------------------------------------------------------- questions
def ask_probes(samplers: Mapping[Trained, TransformersSampler], n: int, seed: int) -> pd.DataFrame:
    """Forced choice on n probes and n lures of each name, with the whole story and with one sentence of it.

    Returns:
        Columns seed, model, read ("the story", or "one sentence": `previous_only`), item, kind, name, right.
    """
    probes = [*make_probes(n, seed=seed), *make_lures(n, seed=seed)]
    asked = {WHOLE: probes, CUT: [previous_only(probe) for probe in probes]}
    frames = [
        ask(source, questions).assign(seed=which[0], model=which[1], read=read)
        for which, source in samplers.items()
        for read, questions in asked.items()
    ]
    columns = ["seed", "model", "read", "item", "kind", "name", "right"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def ask(source: TransformersSampler, probes: Sequence[Probe]) -> pd.DataFrame:
    """Whether a model holds the right answer for the more probable one: columns item, kind, name, right."""
    options = [(probe.right, probe.wrong) for probe in probes]
    scores = source.score([probe.beginning for probe in probes], options)
    rows = [
        (item, probe.kind, probe.name, bool(right > wrong))
        for item, (probe, (right, wrong)) in enumerate(zip(probes, scores, strict=True))
    ]
    return pd.DataFrame(rows, columns=["item", "kind", "name", "right"])
