"""What 12_pluralism refuses before anything runs."""

from typing import Any

from workbench.corpora.loaders.opinions import KINDS, load_opinions
from workbench.corpora.loaders.rows import TABLES
from workbench.engine.named import split_spec
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import check_given
from workbench.studies.pluralism.majorities import check_opinions, tuned_on


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.sampler(params, EMBEDDED, name="model")
    check_given(params, given=given)
    checks.above_0(params, "kl", "beta", "tuning_rate")
    checks.at_least(params, 1, "populations", "tuning_steps", "samples", "limit")
    is_own = checks.is_word(params, "questions", [EMBEDDED])
    _check_together(params, given, is_own)
    if params.nli:
        with checks.said_of("nli"):
            _check_labels(params.nli, checks.settings_of(params.nli))
    if not is_own:
        _check_questions(params)


def _check_together(params: Any, given: bool, is_own: bool) -> None:
    """Whether model, questions and what is done go together."""
    if not given and not is_own:
        raise UserError(
            f"The embedded model knows the villages only: name a model for questions={params.questions}."
        )
    if params.populations and given:
        raise UserError("populations are drawn for the embedded model alone: leave them out.")
    if given and not params.tune and (params.placebo or params.seeds):
        raise UserError(
            f"{params.model} is only asked, not trained: leave out seeds and placebo, or tune it."
        )
    if given and params.tune and split_spec(params.model)[0] != "transformers":
        raise UserError(f"{params.model} cannot be tuned from here: set tune to False, or give a folder.")
    if "{group}" not in params.persona and not is_own:
        raise UserError("persona must say where the group's name stands: write {group} there.")


def _check_labels(source: str, settings: dict[str, Any]) -> None:
    """Whether a classifier knows entailment; of one on the hub that shows later."""
    labels = settings.get("id2label", {}).values()
    if settings and not any(str(label).lower().startswith("entail") for label in labels):
        known = ", ".join(map(str, labels)) or "none"
        raise UserError(f"The model {source!r} knows no entailment: its labels are {known}.")


def _check_questions(params: Any) -> None:
    with checks.said_of("questions"):
        load = checks.of_small(lambda text: load_opinions(text, params.limit))
        opinions = checks.of_files(params.questions, tuple(KINDS), TABLES, load)
        if opinions is not None and params.tune:
            check_opinions(opinions.questions)
            tuned_on(opinions.questions, params.seed)
