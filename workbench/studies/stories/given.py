"""Language models as generators at `profile=real-laptop`: who stands beside them, and what they take."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.claims import Claim
from workbench.engine.cost import measure
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.measures.statistics import paired_difference
from workbench.studies.common.profiles import REAL
from workbench.studies.stories import results
from workbench.studies.stories.constraints import has_word
from workbench.studies.stories.method import CONDITIONS, N_EXAMPLES, Sizes, is_simulator, set_name

# for what is expected: tokens of a prompt and of an example, and the share of the longest that a story has
_PROMPT, _EXAMPLE, _WRITTEN = 90, 170, 0.95


def pair(params: Any) -> tuple[str, str]:
    """The two generators, that which claims are about last: at `real-laptop` a model behind a simulator."""
    both = params.generator, params.second
    return both[::-1] if params.profile == REAL and models(both) == [params.generator] else both


def models(generators: Sequence[str]) -> list[str]:
    """Those that are no simulators."""
    return [name for name in generators if not is_simulator(name)]


def corpus_writer(params: Any) -> str:
    """Who writes the corpus where none is given: the plain simulator, or `generator` if that is a model.

    At `real-laptop` the simulator, since a model of one's own is slow and its stories are in the sets.
    """
    plain = is_simulator(params.generator) or params.profile == REAL
    return "simulator" if plain else params.generator


def used(sets: Mapping[str, pd.DataFrame], model: str) -> Claim:
    """Whether a language model's stories have the words asked for more often than by chance."""
    asked, unasked = (sets[set_name(model, condition)] for condition in ("words", "none"))
    pairs = zip(asked.head(len(unasked)).itertuples(), unasked["story"], strict=False)
    shares = [[_share(text, row) for text in (row.story, story)] for row, story in pairs]
    own, chance = zip(*shares, strict=True)
    return Claim.of(
        paired_difference(pd.Series(own), pd.Series(chance)),
        name="words-are-used",
        says=f"Stories of {model} have the words that they were asked for more often than stories that were "
        "asked for nothing.",
        paper="Models of this kind write what they are asked for (no figure given)",
        over="stories",
        unit="share of three words",
        view="Do the stories keep to what was asked?",
        delta=0.1,
        delta_reason="less is a word in every third story or so",
        headline=True,
    )


def claims(
    sets: Mapping[str, pd.DataFrame],
    blocks: pd.DataFrame,
    generators: Sequence[str],
    of_models: Sequence[str],
    sizes: Sizes,
    *,
    placebo: bool = False,
) -> list[Claim]:
    """All claims about the sets; of a model beside a simulator, none that holds the one against the other.

    Args:
        sets: of stories, by name.
        blocks: of `results.diversity`.
        generators: who wrote them.
        of_models: those of them that are language models.
        sizes: of the sets.
        placebo: whether nothing was asked for.
    """
    if sizes.given and of_models:
        own = [] if placebo else [used(sets, of_models[-1])]
        options = {"leads": not own, "alike": len(of_models) != 1}
        return own + results.claims(blocks, generators, size=sizes.block[0], **options)
    return results.claims(blocks, generators, size=sizes.block[0])


def _share(story: str, asked: Any) -> float:
    """The share of the three words asked for that a story has."""
    kinds = ("noun", "verb", "adjective")
    return sum(has_word(story, kind, getattr(asked, kind)) for kind in kinds) / len(kinds)


def expected(generators: Sequence[str], sizes: Sizes, profile: str) -> list[str]:
    """What the stories of given models will take at `real-laptop`."""
    if profile != REAL:
        return []
    sources = [
        source for source in map(sampler, models(generators)) if isinstance(source, TransformersSampler)
    ]
    stories, said = len(CONDITIONS) * sizes.compared, []
    for source in sources:
        cost = measure(source.model, source.tokenizer, writes=True)
        read = _PROMPT * stories + (_PROMPT + N_EXAMPLES * _EXAMPLE) * sizes.examples
        written = _WRITTEN * sizes.max_tokens * (stories + sizes.examples)
        minutes = len(sources) * cost.minutes(read=read, write=written)
        said = [cost.sentence(minutes)]
    return said
