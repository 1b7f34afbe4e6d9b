"""What the parameters of 04_neurons that are left open become."""

from typing import Any

from workbench.studies.neurons.method import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    return {"n_texts": SIZES[params.profile].read}
