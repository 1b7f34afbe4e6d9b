"""What 03_attention_heads refuses before anything runs."""

from typing import Any

from workbench.corpora.loaders.texts import hold_out
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import LADDER, check_given
from workbench.studies.tiny_models.shares import held_out_share

FEWEST = 16  # texts: half choose heads, and half confirm


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, "starter", *LADDER)
    check_given(params, given=given)
    checks.at_least(params, FEWEST, "n_texts")
    read = checks.texts(params, EMBEDDED, least=2 * FEWEST)
    if read is not None:
        share = held_out_share(len(read), given or params.model == "starter")
        n = len(hold_out(read, share, params.seed)[1])
        if n < FEWEST:
            raise UserError(
                f"data={params.data}: heads are measured on {FEWEST} texts that are held out, and of these "
                f"{len(read)} there are {n}: give more."
            )
