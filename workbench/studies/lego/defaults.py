"""What the parameters of 05_lego that are left open become."""

from typing import Any

from workbench.studies.lego.settings import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    return {
        "seeds": sizes.seeds,
        "n_clauses": sizes.n,
        "n_train": sizes.n_train,
        "n_steps": sizes.steps,
    }
