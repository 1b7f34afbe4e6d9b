"""TinyStories' recipe: ask for random words and features, and see what that does to diversity.

Eldan & Li 2023, arXiv 2305.07759, section 2. As published: a noun, a verb and an adjective drawn for each
story, and features beside them. Different: the words of the prompt are ours, and two simulators stand in for
GPT-3.5 and GPT-4 unless samplers are named: one with a few favourites and one with many, so that all that
happens in a story is known. Both are led by what they are asked for to the plots that it belongs to.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from workbench.corpora.stories import BROAD, NARROW, PLAIN, Habits, draw_condition, story_at, words
from workbench.studies.common.profiles import REAL
from workbench.words import words as split_words

if TYPE_CHECKING:
    from workbench.corpora.stories.story import Condition
    from workbench.engine.sampling.sampler import Completion, Sampler

Write = Callable[[Sequence[int], str], pd.DataFrame]
CONDITIONS = ("none", "words", "words+features")
AFTER_EXAMPLES = "words, after examples"  # a condition of samplers only
N_EXAMPLES = 3
ROOM = 200  # tokens that examples must leave for a story
SIMULATORS = {"simulator": PLAIN, "simulator:broad": BROAD, "simulator:narrow": NARROW}
WORD_LIST = frozenset([*words.NOUNS, *words.VERBS, *words.ADJECTIVES])
_COMMON = "the a an and was were to of in on he she it they her his had said with that for"
_ENGLISH = frozenset(split_words(_COMMON))
_LEAST_ENGLISH = 0.1  # share of these words in any English story; in the simulator's it is about a third


@dataclass(frozen=True)
class Sizes:
    """How many stories, and how a language model writes them."""

    corpus: int  #: stories of the corpus
    compared: int  #: of each of the sets that are compared
    block: tuple[int, int] = (50, 4_000)  #: stories, and words, of a block of a set
    examples: int = 400  #: of a language model behind examples, at most
    max_tokens: int = 400  #: of one of its stories
    temperature: float = 1.0  #: of its sampling
    top_p: float = 1.0  #: likewise
    given: bool = False  #: whether a language model that is given is what claims are about


SIZES = {
    "quick": Sizes(2_500, 300),
    "laptop": Sizes(10_000, 4_000),
    # A model of some 100M parameters writes word salad at temperature 1.
    REAL: Sizes(
        1_600, 80, block=(10, 800), examples=20, max_tokens=220, temperature=0.7, top_p=0.9, given=True
    ),
    "paper": Sizes(400_000, 20_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes, with `n_stories` and `n_compared` in their place where they are given."""
    profile = SIZES[params.profile]
    return replace(
        profile, corpus=params.n_stories or profile.corpus, compared=params.n_compared or profile.compared
    )


# ------------------------------------------------------------------------------- who writes
def writer(generator: str, *, seed: int, sizes: Sizes | None = None) -> Write:
    """What writes stories number i, j, … of a condition: a simulator, or a sampler by its name.

    Args:
        generator: as the notebook's parameter.
        seed: of all stories.
        sizes: how a sampler writes; those of `quick` where they are not given.

    Raises:
        UserError: as `sampling.load.sampler`.
    """
    if is_simulator(generator):
        habits = SIMULATORS[generator]
        return lambda indices, condition: simulate(indices, seed=seed, condition=condition, habits=habits)
    from workbench.engine.sampling.load import sampler

    source = sampler(generator)
    return lambda indices, condition: ask(source, indices, seed=seed, condition=condition, sizes=sizes)


def is_simulator(generator: str) -> bool:
    """Whether a name is that of a simulator."""
    return generator in SIMULATORS


def writers(generator: str, second: str, *, seed: int, sizes: Sizes | None = None) -> dict[str, Write]:
    """The two writers that are compared, by the names they have in figures.

    Raises:
        UserError: as `writer`.
    """
    names = [_short(name) for name in (generator, second)]
    names = [generator, second] if names[0] == names[1] else names
    return {
        name: timed(writer(spec, seed=seed, sizes=sizes))
        for name, spec in zip(names, (generator, second), strict=True)
    }


def _short(generator: str) -> str:
    """The last part of a name: of simulator:broad broad, of a folder or hub id its last part."""
    return generator.rstrip("/").replace("#", "/").replace(":", "/").rpartition("/")[2]


def timed(write: Write) -> Write:
    """A writer whose rows also say how many seconds each took, on average over those written together."""

    def work(indices: Sequence[int], condition: str) -> pd.DataFrame:
        begin = time.perf_counter()
        frame = write(indices, condition)
        return frame.assign(seconds=(time.perf_counter() - begin) / max(1, len(frame)))

    return work


def set_name(generator: str, condition: str) -> str:
    """What a set is called: who wrote it, and what was asked."""
    return f"{generator}: {condition}"


def requests(generators: Sequence[str], n: int, *, placebo: bool) -> dict[str, tuple[str, str, range]]:
    """For each set that is compared who writes it, the condition asked for, and the numbers of its stories.

    Of a placebo the second generator writes all sets, nothing is asked in any, and no two share a number.
    """
    sets = [(generator, condition) for generator in generators for condition in CONDITIONS]
    if not placebo:
        return {set_name(*asked): (*asked, range(n)) for asked in sets}
    return {
        set_name(*asked): (generators[-1], CONDITIONS[0], range(number * n, (number + 1) * n))
        for number, asked in enumerate(sets)
    }


def language_note(texts: Sequence[str]) -> str:
    """A sentence if texts are hardly English, for which the words and features asked for are looked up."""
    tokens = [word for text in texts[:200] for word in split_words(text)]
    share = sum(word in _ENGLISH for word in tokens) / max(1, len(tokens))
    if share >= _LEAST_ENGLISH:
        return ""
    return (
        f"These texts are hardly English ({share:.0%} of their words are its commonest ones): what was asked "
        "for and the words met cannot be read off; the measures of diversity can."
    )


# ------------------------------------------------------------------------------- asking for stories
def instruction(
    wanted: Mapping[str, str], features: Sequence[str] = (), *, summary: str = "", sentence: str = ""
) -> str:
    """The prompt for a language model; with `summary` or `sentence` the one of TinyStories-Instruct.

    Args:
        wanted: any of noun, verb, adjective.
        features: story features, such as "dialogue".
        summary: what the story is to be about.
        sentence: one that must occur in it.
    """
    lines = ["Write a short story of three to five paragraphs, using only words that a three-year-old knows."]
    if wanted:
        listed = ", ".join(f"the {kind} “{word}”" for kind, word in wanted.items())
        lines.append(f"Somewhere in the story there must be {listed}.")
    if features:
        lines.append(f"The story must have: {', '.join(features)}.")
    if summary:
        lines.append(f"This is what happens in it: {summary}")
    if sentence:
        lines.append(f"This sentence must occur, word for word: {sentence}")
    lines.append("Remember: only simple words. Answer with the story alone.")
    return "\n".join(lines)


def simulate(
    indices: Sequence[int], *, seed: int, condition: str = "words+features", habits: Habits = PLAIN
) -> pd.DataFrame:
    """Stories of the world simulator, one row each; row i depends on (seed, condition, i) and the habits."""
    known = cast("Condition", condition)
    stories = [story_at(index, seed=seed, condition=known, habits=habits) for index in indices]
    return pd.DataFrame(
        [
            _row(story.text, condition, story.words, story.features, story.plot, story.summary)
            for story in stories
        ]
    )


def ask(
    sampler: "Sampler",
    indices: Sequence[int],
    *,
    seed: int,
    condition: str = "words+features",
    sizes: Sizes | None = None,
) -> pd.DataFrame:
    """Stories of a language model under the same conditions as `simulate`, or `AFTER_EXAMPLES`.

    Beside the simulator's columns shown (how many examples the prompt has), prompt_tokens and tokens, NaN
    where only a server knows them.
    """
    from workbench.engine.sampling.sampler import SamplingParams

    few_shot = condition == AFTER_EXAMPLES
    drawn = "words" if few_shot else cast("Condition", condition)
    conditions = [draw_condition(Random(f"{seed}/{drawn}/{index}"), drawn) for index in indices]
    asked = [instruction(*condition) for condition in conditions]
    before = [examples(index, seed) if few_shot else [] for index in indices]
    framed = [_framed(sampler, *both) for both in zip(asked, before, strict=True)]
    first = indices[0] if len(indices) else 0
    sizes = sizes or SIZES["quick"]
    params = SamplingParams(
        max_tokens=sizes.max_tokens, temperature=sizes.temperature, top_p=sizes.top_p, seed=seed + first
    )
    replies = [reply for (reply,) in sampler.sample([prompt for prompt, _ in framed], params)]
    rows = [
        _row(reply.text.strip(), condition, *wanted) | {"shown": shown} | _tokens(sampler, prompt, reply)
        for (prompt, shown), reply, wanted in zip(framed, replies, conditions, strict=True)
    ]
    return pd.DataFrame(rows)


def _framed(sampler: "Sampler", asked: str, before: Sequence[str]) -> tuple[str, int]:
    """A prompt with as many of the examples before it as leave room for a story, and how many these are."""
    from workbench.engine.sampling.sampler import fits, prompt_for

    for shown in range(len(before), 0, -1):
        stories = "".join(f"A story:\n\n{story}\n\n" for story in before[:shown])
        prompt = prompt_for(sampler, stories + asked)
        if fits(sampler, prompt, ROOM):
            return prompt, shown
    return prompt_for(sampler, asked), 0


def examples(index: int, seed: int) -> list[str]:
    """The stories shown before request number `index`: the plain simulator's, asked for nothing."""
    numbers = range(N_EXAMPLES * index, N_EXAMPLES * (index + 1))
    return [story_at(number, seed=seed + 50_000, condition="none").text for number in numbers]


def _tokens(sampler: "Sampler", prompt: str, reply: "Completion") -> dict[str, float]:
    from workbench.engine.tokens import encode

    read = float("nan") if sampler.tokenizer is None else len(encode(sampler.tokenizer, [prompt])[0])
    return {"prompt_tokens": read, "tokens": float(len(reply.tokens)) or float("nan")}


def from_texts(texts: Sequence[str]) -> pd.DataFrame:
    """Stories from elsewhere, in the same columns; nothing was asked of them."""
    return pd.DataFrame([_row(text, "", {}, ()) for text in texts])


def _row(
    story: str,
    condition: str,
    wanted: Mapping[str, str],
    features: Sequence[str],
    plot: str = "",
    summary: str = "",
) -> dict[str, str]:
    kinds = {kind: wanted.get(kind, "") for kind in ("noun", "verb", "adjective")}
    asked = {"condition": condition, **kinds, "features": ", ".join(features)}
    return {"story": story, **asked, "plot": plot, "summary": summary}
