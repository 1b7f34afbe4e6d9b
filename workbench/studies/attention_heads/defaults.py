"""What the parameters of 03_attention_heads that are left open become."""

from typing import Any

from workbench.studies.attention_heads.data import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    trains = sizes.one_layer is not None
    return {"n_texts": sizes.texts} | ({"seeds": sizes.seeds} if trains else {})
