"""A given model at `profile=real-laptop`: its stories beside true endings, its answers beside the starter's.

An instruct model is tried twice: it goes on with a text as a base model does, and is asked to, through its
chat template. The starter, of 0.5M parameters, knows nothing but the simulator's small language, in which the
questions are written; it is asked them too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.corpora.labelled_tokens import simulated_stories
from workbench.corpora.loaders.texts import load_corpus
from workbench.corpora.stories import make_lures, make_probes
from workbench.engine import loading
from workbench.engine.cost import measure
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.studies.common.profiles import REAL
from workbench.studies.tiny_models import grading
from workbench.studies.tiny_models.grading import STARTER, Trained
from workbench.studies.tiny_models.ladder import Fitted, Sizes

ASKED, ENDINGS = ", asked to", "the true endings"
N_STORIES = 1_600  # that are read: some are gone on with, which are compared with the others
# for what is expected: tokens of a question and of its cut form, each with both answers; tokens that figures
# write text by text, and how many times as long one takes there
_QUESTION, _SINGLE, _SLOWER = 230, 380, 8


class AskedToGoOn(Sampler):
    """Asks an instruct model, through its chat template, to go on with the prompt."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.tokenizer, self.context = sampler, sampler.tokenizer, sampler.context

    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """See `Sampler.sample`."""
        return self.sampler.sample([prompt_for(self.sampler, request(prompt)) for prompt in prompts], params)


def request(beginning: str) -> str:
    """What an instruct model is asked."""
    return (
        "Go on with this story for a small child, from the very word where it breaks off. Do not repeat what "
        f"is there, and write nothing but the story.\n\n{beginning}"
    )


def load(params: Any) -> Fitted:
    """The model that a notebook names, called `given` or, at `real-laptop`, by the end of its name."""
    name = params.model.rstrip("/").rpartition("/")[2] if params.profile == REAL else "given"
    name = "given" if name == STARTER else name  # which stands beside it
    return {name: loading.load(params.model, params.device)}


def stories(params: Any) -> list[str]:
    """What a given model goes on with: the first texts of `data`, or of the simulator.

    Raises:
        UserError: as `load_corpus`.
    """
    if params.data == "embedded":
        return [text for text, _ in simulated_stories(N_STORIES, params.seed)]
    corpus = load_corpus(params.data, limit=N_STORIES)
    print(corpus)
    return corpus.texts


def writers(samplers: Mapping[Trained, TransformersSampler], sizes: Sizes) -> dict[Trained, Sampler]:
    """Who goes on with beginnings: the models and, of a given one that converses, the same asked to."""
    chats = {(seed, f"{name}{ASKED}"): AskedToGoOn(source)
             for (seed, name), source in samplers.items() if source.chat}  # fmt: skip
    return {**samplers, **(chats if sizes.beside else {})}


def answering(
    samplers: Mapping[Trained, TransformersSampler], sizes: Sizes, device: str
) -> dict[Trained, TransformersSampler]:
    """Who is asked questions: the models, behind the starter where one is given."""
    if not sizes.beside:
        return dict(samplers)
    ((seed, _),) = samplers
    return {(seed, STARTER): TransformersSampler(*loading.load(STARTER, device)), **samplers}


def true_endings(measured: pd.DataFrame, training: Sequence[str]) -> pd.DataFrame:
    """The grades of `grading.measure` that the true endings of the same beginnings get."""
    one = measured[measured["model"] == measured["model"].iloc[0]]
    true = one[["item", "beginning", "ending", "seed"]].assign(completion=one["ending"], model=ENDINGS)
    return grading.measure(true, training, exact=False)


def expected(fitted: Fitted, held_out: Sequence[str], sizes: Sizes) -> list[str]:
    """What a look at a given model will take."""
    if not sizes.beside:
        return []
    ((model, tokenizer),) = fitted.values()
    cost = measure(model, tokenizer, writes=True)
    scored = sum(map(len, encode(tokenizer, held_out[: sizes.read])))
    asked = len([*make_probes(1, seed=0), *make_lures(1, seed=0)]) * sizes.probes * _QUESTION
    written = 2 * sizes.beginnings * sizes.max_tokens + _SLOWER * _SINGLE
    return [cost.sentence(cost.minutes(read=scored + asked, write=written))]
