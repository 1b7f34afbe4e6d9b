"""What the parameters of 13_instruct that are left open become."""

from typing import Any

from workbench.studies.common.profiles import REAL
from workbench.studies.instruct.data import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    if params.profile == REAL or params.model != "train":
        return {}  # nothing is trained
    settings = SIZES[params.profile]
    return {"seeds": settings.seeds, "n_tokens": settings.n_tokens}
