"""What the parameters of 12_pluralism that are left open become."""

from typing import Any

from workbench.studies.common.profiles import REAL
from workbench.studies.pluralism.experiment import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    values: dict[str, Any] = {"samples": sizes.samples}
    if params.model == "embedded" and params.profile != REAL:
        values["populations"] = sizes.populations
    else:
        values["limit"] = sizes.questions
    if not params.tune:
        return values
    return values | {
        "seeds": sizes.seeds,
        "tuning": "lora" if sizes.lora else "full",
        "kl": sizes.kl,
        "tuning_rate": sizes.learning_rate,
        "tuning_steps": sizes.tuning_steps,
    }
