"""What the parameters of 07_arithmetic that are left open become."""

from typing import Any

from workbench.studies.arithmetic.settings import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    return {"seeds": sizes.seeds, "first": ",".join(sizes.first)}
