"""What 14_loop refuses before anything runs."""

from typing import Any

from workbench.studies.common import checks


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    checks.at_least(params, 1, "steps")
