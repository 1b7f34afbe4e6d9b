"""What the parameters of 08_siked that are left open become."""

from typing import Any

from workbench.studies.siked.data import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    return {"seeds": sizes.seeds, "iterations": sizes.lesson.rounds, "samples": sizes.lesson.samples}
