"""What 05_lego refuses before anything runs."""

from typing import Any

from workbench.corpora.lego import CHAINS
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.profiles import LADDER
from workbench.studies.lego.settings import EMBEDDED, choose_sizes

_MOST = (len(BOYS) + len(GIRLS) - 1) // CHAINS  # clauses of a chain, each of which has a name of its own


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    checks.model(params, EMBEDDED, *LADDER)
    if choose_sizes(params).n > _MOST:
        raise UserError(
            f"n_clauses={params.n_clauses} is too many: there are names for chains of {_MOST} at most."
        )
