"""What 04_neurons refuses before anything runs."""

from typing import Any

from workbench.corpora.stories.labels import LABELS, UNGUESSED
from workbench.engine.facts import layers_and_neurons
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import LADDER, check_given

FEWEST = 20  # texts: half select neurons, and half confirm


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, "starter", *LADDER)
    check_given(params, given=given)
    checks.at_least(params, FEWEST, "n_texts")
    checks.one_of("question", params.question, LABELS, "label")
    if params.data != EMBEDDED and params.question in UNGUESSED:
        raise UserError(
            f"question={params.question} is known of the simulator's stories alone: leave data out, or ask "
            "for another label."
        )
    _check_place(params)
    checks.texts(params, EMBEDDED, least=2 * FEWEST)


def _check_place(params: Any) -> None:
    """Whether there may be such a layer and neuron; of models that 02 trains only it knows the sizes."""
    sizes = (None, None) if params.model in LADDER else layers_and_neurons(params.model)
    for name, n in zip(("layer", "neuron"), sizes, strict=True):
        value = getattr(params, name)
        if value is not None and (value < 0 or (n is not None and value >= n)):
            known = f"{params.model} has 0 to {n - 1}" if n else "they are counted from 0"
            raise UserError(f"There is no {name}={value}: {known}.")
