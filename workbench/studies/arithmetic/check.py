"""What 07_arithmetic refuses before anything runs."""

from typing import Any

from workbench.errors import UserError
from workbench.studies.arithmetic import settings
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    checks.model(params, EMBEDDED)
    with checks.said_of("first"):
        settings.plan(params)
    learnt = checks.problems(params, EMBEDDED, least=settings.FEWEST)
    if params.test is None:
        return
    if params.data == EMBEDDED:
        raise UserError("Test files go with a file to learn from: name it too, such as data=gsm8k:PATH.")
    checks.apart(learnt, checks.problems(params, name="test", default="test"))
