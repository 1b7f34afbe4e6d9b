"""What the parameters of 01_stories that are left open become."""

from typing import Any

from workbench.studies.stories.method import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    return {"n_stories": sizes.corpus, "n_compared": sizes.compared}
