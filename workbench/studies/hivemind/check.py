"""What 10_hivemind refuses before anything runs."""

from importlib.util import find_spec
from typing import Any

from workbench import sources
from workbench.corpora.loaders.generations import load_generations
from workbench.corpora.loaders.rows import FORMATS, TABLES
from workbench.errors import UserError
from workbench.sources import SAMPLERS
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import check_given
from workbench.studies.hivemind.prompts import read_prompts

HIDDEN = "hidden:"


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    checks.at_least(params, 0, "temperature")
    checks.share(params, "top_p", from_0=False)
    checks.share(params, "min_p")
    checks.at_least(params, 2, "samples")  # a single answer repeats nothing
    checks.at_least(params, 2, "iterations")  # the first one reads what people wrote
    given = [name for name in ("generations", "models", "prompts") if not _is_own(params, name)]
    check_given(params, given="generations" in given or "models" in given, give="models=transformers:FOLDER")
    _check_together(params, given)
    if "models" in given:
        _check_samplers(params)
    _check_encoder(params)
    _check_files(params)


def _is_own(params: Any, name: str) -> bool:
    return checks.is_word(params, name, [EMBEDDED])


def _check_together(params: Any, given: list[str]) -> None:
    """Whether what is compared and what is done with it go together."""
    for name, is_set in (("seeds", params.seeds is not None), ("placebo", params.placebo)):
        if given and is_set:
            raise UserError(
                f"{name} is about the embedded models, and {given[0]} names others: leave it out."
            )
    if params.verbalized and "models" not in given:
        raise UserError(
            "verbalized asks the models that models names for lists: name some (the embedded ones are always "
            "asked for polls)."
        )
    if "generations" in given and len(given) > 1:
        raise UserError("Give either generations, or models and prompts to sample from.")


def _check_samplers(params: Any) -> None:
    named = [str(source) for source in sources.parse(params.models, SAMPLERS)]
    if not named:
        raise UserError("models names no sampler: write transformers:FOLDER, with commas between several.")
    for spec in named:
        if named.count(spec) > 1:
            raise UserError(f"models names {spec} twice: once is enough.")
        with checks.said_of("models"):
            checks.check_sampler(params, spec)


def _check_encoder(params: Any) -> None:
    if _is_own(params, "encoder"):
        return
    with checks.said_of("encoder"):
        if params.encoder.startswith(HIDDEN):
            checks.check_model(params, params.encoder.removeprefix(HIDDEN))
            return
        if find_spec("sentence_transformers") is None:
            raise UserError(
                "A sentence-transformers model needs the extra: "
                'pip install "small-model-workbench[embeddings]"'
            )
        checks.settings_of(params.encoder)


def _check_files(params: Any) -> None:
    """Whether answers, prompts and ratings can be read; of large files only that they are there."""
    from workbench.studies.hivemind.evaluators import annotations

    readers = {
        "generations": (TABLES, load_generations),
        "prompts": ((".txt", *FORMATS), read_prompts),
        "annotations": (TABLES, lambda text: annotations(text, 0)),
    }
    for name, (formats, load) in readers.items():
        if not _is_own(params, name):
            with checks.said_of(name):
                checks.of_files(getattr(params, name), (), formats, checks.of_small(load))
