"""What the parameters of 11_rlp that are left open become."""

from typing import Any

from workbench.studies.common.profiles import REAL
from workbench.studies.rlp.plan import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    values = {
        "seeds": sizes.seeds,
        "tuning": "lora" if sizes.lora else "full",
        "temperature": sizes.temperature,
        "learning_rate": sizes.learning_rate,
        "steps": sizes.steps,
    }
    given = params.model != "embedded" or params.profile == REAL
    return values | ({"thought_tokens": sizes.thought_tokens} if given else {})
