"""What 10_hivemind compares: answers of the embedded models, of any samplers or from files, and people's.

Embedded requests have an oracle (`corpora.open_ended`), which knows what an answer means and whether it is
valid, and twelve people who answer them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import sources
from workbench.corpora import open_ended
from workbench.corpora.loaders.generations import COLUMNS, load_generations
from workbench.corpora.open_ended import Request
from workbench.engine import loading
from workbench.engine.cost import measure
from workbench.engine.sampling.load import sampler as load_sampler
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import cached_table
from workbench.sources import SAMPLERS
from workbench.studies.hivemind.asking import ask, every_way
from workbench.studies.hivemind.models import LONGEST, SIZES, Sizes, train_all
from workbench.studies.hivemind.prompts import prompts_of, read_prompts
from workbench.studies.hivemind.verbalized import LISTED

OURS = "This part is about the embedded models, which are trained here: nothing of it is drawn of others."
PEOPLE = "people"  # the name under which the people's own answers stand beside the models'
INVALID = "not valid"
# for what is expected: tokens of a prompt, and the share of the longest that an answer and a list have
_PROMPT, _ANSWER, _LIST = 100, 0.4, 0.4


@dataclass(frozen=True)
class Plan:
    """What the notebook's parameters ask for."""

    sizes: Sizes  #: how much is trained and asked
    generations: str  #: files of answers, or "embedded"
    models: str  #: samplers with commas between them, or "embedded"
    prompts: str  #: what they are asked (see `read_prompts`)
    sampling: SamplingParams  #: how each model answers each prompt
    encoder: str  #: of the answers
    seed: int  #: of everything random; trainings take it and those that follow
    device: str  #: where models are trained and sampled
    placebo: bool = False  #: whether models that go on from another are only that other, trained anew
    verbalized: bool = False  #: whether given models are also asked for lists with probabilities

    @property
    def embedded(self) -> bool:
        """Whether the answers are those of the embedded models to the embedded requests."""
        return self.generations == self.models == self.prompts == "embedded"


def plan(params: Any) -> Plan:
    """What the parameters ask for; `seeds`, `samples` and `iterations` replace what the profile says."""
    sizes = SIZES[params.profile]
    seeds, chains = (sizes.seeds, sizes.chains) if params.seeds is None else (params.seeds, params.seeds)
    samples = sizes.samples if params.samples is None else params.samples
    generations = sizes.generations if params.iterations is None else params.iterations
    return Plan(
        sizes=replace(sizes, seeds=seeds, chains=chains, samples=samples, generations=generations),
        generations=params.generations,
        models=params.models,
        prompts=params.prompts,
        sampling=SamplingParams(
            max_tokens=LONGEST if params.models == "embedded" else sizes.longest,
            n=samples,
            temperature=params.temperature,
            top_p=params.top_p,
            min_p=params.min_p,
        ),
        encoder=params.encoder,
        seed=params.seed,
        device=params.device,
        placebo=params.placebo,
        verbalized=params.verbalized,
    )


# ------------------------------------------------------------------------------- asking models
def generations(folder: Path, plan: Plan) -> pd.DataFrame:
    """Answers from the files of `generations`, the samplers of `models`, or the embedded models.

    Args:
        folder: of the embedded models and of what each model has answered, so that a killed call goes on.
        plan: who is asked what, and how.

    Returns:
        Columns prompt_id, prompt, category, model, sample, text, finish; of embedded models also seed.

    Raises:
        UserError: what is named cannot be read.
    """
    if plan.generations != "embedded":
        return load_generations(plan.generations)
    if plan.models == "embedded":
        tables = [
            _answers(folder / f"seed-{seed}", models, plan, seed).assign(seed=seed)
            for seed, models in trained(folder, plan).items()
        ]
        return pd.concat(tables, ignore_index=True)
    samplers = sources_of(plan.models)
    # by the last part of a folder, id or address, or by the whole where two share it
    short = [name.rstrip("/").replace("#", "/").rpartition("/")[2] for name in samplers]
    distinct = len(set(short)) == len(set(samplers))
    return _answers(
        folder, dict(zip(short if distinct else samplers, samplers, strict=True)), plan, plan.seed
    )


def sources_of(models: str) -> list[str]:
    """The samplers that `models` names."""
    return [str(source) for source in sources.parse(models, SAMPLERS)]


def of_chains(models: Mapping[int, Mapping[str, Path]], plan: Plan) -> dict[int, Mapping[str, Path]]:
    """Those of the embedded models, by seed, whose seeds have chains of recursive training."""
    return dict(list(models.items())[: plan.sizes.chains])


def trained(folder: Path, plan: Plan) -> dict[int, dict[str, Path]]:
    """The embedded models by seed and name, trained into `folder` if they are not there."""
    return train_all(folder / "models", plan.sizes, plan.seed, plan.device, plan.placebo)


def _answers(folder: Path, models: Mapping[str, Path | str], plan: Plan, seed: int) -> pd.DataFrame:
    """What each model, in a folder of ours or a sampler, answers; kept in `folder`."""
    embedded = plan.prompts == "embedded"
    prompts = prompts_of(asked(plan)) if embedded else read_prompts(plan.prompts, plan.seed)

    def answers_of(name: str, model: Path | str) -> pd.DataFrame:
        if isinstance(model, Path):
            sampler = TransformersSampler(*loading.load(model, plan.device), batch_size=256)
        else:
            sampler = load_sampler(model, plan.device)
        if isinstance(model, Path):
            return ask(sampler, name, prompts, plan.sampling, seed)
        heats, lists = plan.sizes.heats, plan.sizes.lists
        options = {"heats": heats, "lists": lists, "verbalized": plan.verbalized}
        return every_way(sampler, name, prompts, plan.sampling, seed, **options)

    tables = [
        cached_table(folder / f"answers-{number}.parquet", partial(answers_of, name, model))
        for number, (name, model) in enumerate(models.items())
    ]
    return pd.concat(tables, ignore_index=True)


def asked(plan: Plan) -> list[Request]:
    """The embedded requests of the profile's kinds."""
    requests = [request for request in open_ended.requests(plan.seed) if request.kind in plan.sizes.kinds]
    if plan.embedded or plan.sizes.per_kind is None:
        return requests
    by_kind = [[request for request in requests if request.kind == kind] for kind in plan.sizes.kinds]
    return [request for of_kind in by_kind for request in of_kind[: plan.sizes.per_kind]]


def expected(plan: Plan) -> list[str]:
    """What asking given models will take, where all are asked in several ways."""
    if not plan.sizes.lists or plan.models == "embedded":
        return []
    loaded = [load_sampler(source, plan.device) for source in sources_of(plan.models)]
    here = [source for source in loaded if isinstance(source, TransformersSampler)]
    if not here:
        return []
    n = len(asked(plan)) if plan.prompts == "embedded" else len(read_prompts(plan.prompts, plan.seed))
    direct, lists = 1 + len({*plan.sizes.heats} - {plan.sampling.temperature}), 1 + plan.verbalized
    each = plan.sampling.max_tokens * (direct * _ANSWER + lists * LISTED * _LIST)
    cost = measure(here[0].model, here[0].tokenizer, writes=True)
    minutes = cost.minutes(read=n * (direct + lists) * _PROMPT, write=n * plan.sampling.n * each)
    return [cost.sentence(len(here) * minutes)]


# ------------------------------------------------------------------------------- people and the oracle
def people_answers(requests: Iterable[Request], n: int, seed: int) -> pd.DataFrame:
    """Fresh answers of all the people: the columns of `generations`."""
    answers = [
        (request.id, request.prompt, request.kind, PEOPLE, number, answer.text, "stop")
        for request in requests
        for number, answer in enumerate(open_ended.answers(request, n, seed + 1))
    ]
    return pd.DataFrame(answers, columns=COLUMNS)


def graded(frame: pd.DataFrame, requests: Mapping[str, Request]) -> pd.DataFrame:
    """Answers to embedded requests as the oracle sees them: adds valid and meaning."""
    answers = zip(frame["prompt_id"], frame["text"], strict=True)
    grades = [open_ended.grade(requests[prompt], text) for prompt, text in answers]
    return frame.assign(
        valid=[grade.valid for grade in grades], meaning=[grade.meaning or INVALID for grade in grades]
    )
