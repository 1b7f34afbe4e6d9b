"""What 06_curriculum refuses before anything runs."""

from typing import Any

from workbench.corpora import facts
from workbench.corpora.loaders.rows import TABLES
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import check_given

LEAST_UPDATES = 16  # two for each of the blocks of an interleaved order


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    check_given(params, given=checks.model(params, EMBEDDED))
    checks.at_least(params, 1, "n_facts")
    checks.at_least(params, LEAST_UPDATES, "n_updates")
    if not checks.is_word(params, "facts", [EMBEDDED]):
        with checks.said_of("facts"):
            checks.of_files(params.facts, (), TABLES, checks.of_small(facts.load))
    elif params.n_facts is not None and params.n_facts > facts.MOST:
        raise UserError(
            f"n_facts={params.n_facts} is too many: {facts.MOST:,} can be drawn, and more given in a file."
        )
