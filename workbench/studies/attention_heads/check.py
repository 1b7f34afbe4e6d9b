"""What 03_attention_heads refuses before anything runs."""

from typing import Any

from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import LADDER, check_given

FEWEST = 16  # texts: half choose heads, and half confirm


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, "starter", *LADDER)
    check_given(params, given=given)
    if params.n_texts is not None and params.n_texts < FEWEST:
        raise UserError(
            f"n_texts={params.n_texts} is too few: half choose heads and half confirm; give {FEWEST}."
        )
    checks.texts(params, EMBEDDED, least=2 * FEWEST)
