"""What the parameters of 14_loop that are left open become."""

from typing import Any

from workbench.studies.loop.data import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    settings = SIZES[params.profile]
    return {"seeds": settings.seeds, "steps": settings.steps}
