"""What the parameters of 02_tiny_models that are left open become."""

from typing import Any

from workbench.engine.models import SHAPES
from workbench.studies.common.profiles import REAL
from workbench.studies.tiny_models.ladder import SIZES, is_ladder


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    if params.profile == REAL or not is_ladder(params.model):
        return {}  # nothing is trained
    sizes = SIZES[params.profile]
    values = {"seeds": sizes.seeds, "n_tokens": sizes.tokens}
    if params.model == "ladder" and params.width is None and params.depth is None:
        return values  # every model has a shape of its own
    depth, width = SHAPES["tiny:1M" if params.model == "ladder" else params.model]
    return values | {"width": width, "depth": depth}
