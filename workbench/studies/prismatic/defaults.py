"""What the parameters of 09_prismatic that are left open become."""

from typing import Any

from workbench.studies.common.profiles import REAL
from workbench.studies.prismatic.data import FULL_RATE, LORA_RATE, SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    values: dict[str, Any] = {"n_subsets": sizes.subsets}
    several = sizes.pools not in (0, sizes.students)
    values["seeds"] = f"{sizes.students} a set, {sizes.pools} an arm" if several else sizes.students
    if params.model == "embedded" and params.profile != REAL:
        return values | {"learning_rate": sizes.student.learning_rate}
    return values | {"learning_rate": FULL_RATE if params.tuning == "full" else LORA_RATE}
