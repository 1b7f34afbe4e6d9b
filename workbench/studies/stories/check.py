"""What 01_stories refuses before anything runs."""

from typing import Any

from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import check_given
from workbench.studies.stories import method
from workbench.studies.stories.blocks import blocks_of
from workbench.studies.stories.method import SIMULATORS, SIZES


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.at_least(params, 1, "n_stories")
    checks.at_least(params, 0, "price", "second_price")
    checks.at_least(params, 2 * SIZES[params.profile].block[0], "n_compared")  # two blocks to compare
    writes = [_is_model(params, name) for name in ("generator", "second")]
    check_given(params, given=any(writes) or params.data != EMBEDDED, give="generator=transformers:FOLDER")
    if params.generator == params.second:
        raise UserError(
            f"generator and second are both {params.generator}: name two, or there is nothing to compare."
        )
    _check_data(params)


def _check_data(params: Any) -> None:
    """Whether given stories are enough to be compared; where those read here do not do, that shows later."""
    read, sizes = checks.texts(params, EMBEDDED), method.sizes(params)
    n = min(sizes.corpus, sizes.compared)
    if read is not None and (len(read) >= n or checks.limit(params.data) is None):
        with checks.said_of("data"):
            blocks_of("your data", read[:n], params.seed, sizes.block)


def _is_model(params: Any, name: str) -> bool:
    value = getattr(params, name)
    if value.partition(":")[0] == "simulator":
        checks.one_of(name, value, SIMULATORS, "simulator")
    return checks.sampler(params, *SIMULATORS, name=name)
