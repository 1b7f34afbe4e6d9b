"""What 02_tiny_models refuses before anything runs."""

from typing import Any

from workbench.engine.models import SHAPES, check_shape
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import LADDER, check_given, check_untrained

STARTER = "starter"


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    checks.at_least(params, 1, "n_tokens")
    given = checks.model(params, *LADDER)
    check_given(params, given=given and params.model != STARTER)
    (_check_given if given else _check_trained)(params)
    checks.sampler(params, "none", name="judge")
    checks.texts(params, EMBEDDED)


def _check_given(params: Any) -> None:
    """What shapes or repeats a training is asked of no model that is there already."""
    if params.depth is not None or params.width is not None:
        raise UserError(
            f"width and depth shape a model that is trained here: leave them out with model={params.model}."
        )
    check_untrained(params, "seeds", "n_tokens", "placebo")


def _check_trained(params: Any) -> None:
    layers, width = SHAPES.get(params.model, SHAPES["tiny:1M"])
    depth = layers if params.depth is None else params.depth
    check_shape(depth, width if params.width is None else params.width, ("depth", "width"))
    alone = params.model != "ladder" or params.depth is not None or params.width is not None
    if params.placebo and alone:
        raise UserError("placebo=true compares the models of the ladder: leave model, width and depth out.")
