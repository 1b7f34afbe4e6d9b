"""Language models as generators at `profile=real-laptop`: who stands beside them, and what they take."""

from collections.abc import Sequence
from typing import Any

from workbench.engine.cost import measure
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.studies.common.profiles import REAL
from workbench.studies.stories.method import CONDITIONS, N_EXAMPLES, Sizes, is_simulator

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
