"""What 05_lego refuses before anything runs."""

from typing import Any

from workbench.corpora.lego import CHAINS, n_tokens
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine.facts import context_of
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
    given, n = checks.model(params, EMBEDDED, *LADDER), choose_sizes(params).n
    if n > _MOST:
        raise UserError(f"n_clauses={n} is too many: there are names for chains of {_MOST} at most.")
    context = context_of(params.model) if given else None
    if context is not None and n_tokens(n) > context:
        raise UserError(
            f"n_clauses={n}: {CHAINS} chains of so many take {n_tokens(n)} tokens, more than the context of "
            f"{context} of {params.model}: shorten them."
        )
