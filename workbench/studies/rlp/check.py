"""What 11_rlp refuses before anything runs."""

import re
from typing import Any

from workbench.engine.facts import context_of
from workbench.errors import UserError
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import REAL, check_given
from workbench.studies.rlp.problems import FEWEST

FEWEST_TEXTS = 20  # some are for the test


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    given = checks.model(params, EMBEDDED)
    check_given(params, given=given)
    checks.above_0(params, "learning_rate", "temperature")  # thoughts are judged against others
    checks.at_least(params, 1, "steps", "thought_tokens", "horizon")
    checks.at_least(params, 2, "group")
    checks.at_least(params, 0, "next_token_weight")
    if not re.fullmatch(r"[^\s<>/]+", params.tag):
        raise UserError(f"tag={params.tag} can stand between no < and >: take a word such as think.")
    context = context_of(params.model) if given else None
    if context and params.thought_tokens and params.thought_tokens + params.horizon >= context:
        raise UserError(
            f"thought_tokens={params.thought_tokens} fill the {context} tokens that {params.model} reads at "
            "once: take fewer."
        )
    _check_together(params, given)
    checks.texts(params, EMBEDDED, name="text", least=FEWEST_TEXTS)
    learnt = checks.problems(params, least=FEWEST if params.test else 5 * FEWEST)
    checks.apart(learnt, checks.problems(params, name="test", least=FEWEST, default="test"))


def _check_together(params: Any, given: bool) -> None:
    """Whether model, text, data and test go together."""
    is_own = checks.is_word(params, "text", [EMBEDDED])
    if not given and is_own and (params.data or params.test):
        raise UserError("The embedded model answers embedded questions only: data and test need a model.")
    if given == is_own and params.profile != REAL:
        raise UserError("The embedded model knows the embedded text only: give both model and text.")
    if params.test and not params.data:
        raise UserError("test names problems to ask: name in data others, which GRPO may be rewarded for.")
