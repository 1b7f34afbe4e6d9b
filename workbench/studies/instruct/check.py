"""What 13_instruct refuses before anything runs."""

from typing import Any

from workbench.corpora.loaders import rows, texts
from workbench.sources import TEXTS
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import check_given, check_untrained
from workbench.studies.instruct.data import SIZES, load

TRAIN, STARTER = "train", "starter"


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, TRAIN)
    check_given(params, given=given and params.model != STARTER)
    if given:
        check_untrained(params, "seeds", "n_tokens", "placebo")
    sizes = SIZES[params.profile]
    checks.at_least(params, sizes.batch_size * sizes.context, "n_tokens")  # one update
    if not checks.is_word(params, "data", [EMBEDDED]):
        formats = texts.FORMATS if params.data.endswith(".txt") else rows.TABLES
        with checks.said_of("data"):
            most = sizes.n_stories
            checks.of_files(params.data, TEXTS, formats, lambda text, first: load(text, first or most))
