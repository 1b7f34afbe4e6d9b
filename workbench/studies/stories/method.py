"""TinyStories' recipe: ask for random words and features, and see what that does to diversity.

Eldan & Li 2023, arXiv 2305.07759, section 2. As published: a noun, a verb and an adjective drawn for each
story, and features beside them. Different: the words of the prompt are ours, and a world simulator stands in
for GPT-4 unless a sampler is named, so that all that happens in a story is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.corpora.stories import draw_condition, story_at, words

if TYPE_CHECKING:
    from workbench.engine.sampling.sampler import Sampler

CONDITIONS = ("none", "words", "words+features")
WORD_LIST = frozenset([*words.NOUNS, *words.VERBS, *words.ADJECTIVES])


@dataclass(frozen=True)
class Sizes:
    """How many stories: in the corpus, and in each of the sets that are compared."""

    corpus: int
    compared: int


SIZES = {"quick": Sizes(2_500, 400), "laptop": Sizes(10_000, 2_000), "paper": Sizes(400_000, 20_000)}


def sizes(params: Any) -> Sizes:
    """The profile's sizes, with `n_stories` and `n_compared` in their place where they are given."""
    profile = SIZES[params.profile]
    return Sizes(params.n_stories or profile.corpus, params.n_compared or profile.compared)


def writer(generator: str, *, seed: int) -> Callable[[Sequence[int], str], pd.DataFrame]:
    """What writes stories number i, j, … of a condition: the simulator, or a sampler by its name."""
    if generator == "simulator":
        return lambda indices, condition: simulate(indices, seed=seed, condition=condition)
    from workbench.engine.sampling.load import sampler

    source = sampler(generator)
    return lambda indices, condition: ask(source, indices, seed=seed, condition=condition)


def requests(n: int, *, placebo: bool) -> dict[str, tuple[str, range]]:
    """For each set that is compared the condition asked for, and the numbers of its stories.

    Of a placebo nothing is asked in any set, and no two sets share a number.
    """
    if not placebo:
        return {name: (name, range(n)) for name in CONDITIONS}
    return {name: (CONDITIONS[0], range(at * n, (at + 1) * n)) for at, name in enumerate(CONDITIONS)}


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


def simulate(indices: Sequence[int], *, seed: int, condition: str = "words+features") -> pd.DataFrame:
    """Stories of the world simulator, one row each; row i depends on (seed, condition, i) alone."""
    stories = [story_at(index, seed=seed, condition=condition) for index in indices]
    return pd.DataFrame(
        [
            _row(story.text, condition, story.words, story.features, story.plot, story.summary)
            for story in stories
        ]
    )


def ask(
    sampler: "Sampler", indices: Sequence[int], *, seed: int, condition: str = "words+features"
) -> pd.DataFrame:
    """Stories of a language model under the same conditions as `simulate`."""
    from workbench.engine.sampling.sampler import SamplingParams, prompt_for

    conditions = [draw_condition(Random(f"{seed}/{condition}/{index}"), condition) for index in indices]
    prompts = [prompt_for(sampler, instruction(wanted, features)) for wanted, features in conditions]
    first = indices[0] if len(indices) else 0
    replies = sampler.sample(prompts, SamplingParams(max_tokens=400, seed=seed + first))
    return pd.DataFrame(
        [
            _row(reply[0].text.strip(), condition, wanted, features)
            for reply, (wanted, features) in zip(replies, conditions, strict=True)
        ]
    )


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
