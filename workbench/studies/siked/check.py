"""What 08_siked refuses before anything runs."""

from pathlib import Path
from typing import Any

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.solutions import load_rationales
from workbench.errors import UserError, nearest
from workbench.sources import SOLUTIONS
from workbench.studies.common import checks
from workbench.studies.common.checks import EMBEDDED
from workbench.studies.common.profiles import REAL, check_given
from workbench.studies.siked import mixing

LOGIC = "logic"
FEWEST = 4  # questions to learn from: one of them is held out


def check(params: Any) -> None:
    """Whether the parameters can be run with.

    Raises:
        UserError: they cannot.
    """
    checks.device(params)
    check_given(params, given=checks.model(params, EMBEDDED))
    checks.at_least(params, 1, "iterations", "samples")
    mixing.check(params.mixture, params.alpha)
    is_drawn = checks.is_word(params, "data", (LOGIC, EMBEDDED))
    in_files = _in_files(params)
    _check_together(params, is_drawn, in_files)
    least = FEWEST if params.test else FEWEST + 1  # of which a fifth is the test
    learnt = checks.problems(params, LOGIC, EMBEDDED, least=least)
    if params.test is not None:
        checks.apart(learnt, checks.problems(params, name="test", default="test"))
    if not in_files:
        checks.sampler(params, EMBEDDED, name="teacher")
    if in_files and learnt is not None and checks.limit(f"{params.data},{params.teacher}") is None:
        with checks.said_of("teacher"):
            load_rationales([params.teacher], learnt)


def _in_files(params: Any) -> bool:
    """Whether the teacher's solutions are in files; a file that nothing calls solutions is refused."""
    scheme, colon, paths = params.teacher.partition(":")
    if not colon or scheme not in SOLUTIONS:
        if Path(params.teacher).is_file() or nearest(scheme, SOLUTIONS):
            raise UserError(
                f"teacher={params.teacher} is not a sampler: solutions in files are named rationales:PATH."
            )
        return False
    if any(not part.strip() for part in paths.split(",")):
        raise UserError(
            f"teacher={params.teacher} names an empty path: write rationales:PATH or rationales:A,B."
        )
    with checks.said_of("teacher"):
        for source in rows.parsed(params.teacher, SOLUTIONS):
            if rows.is_of_hub(source, rows.FORMATS):
                raise UserError(f"There is no file or folder {source.name} with a teacher's solutions.")
            rows.find(source, rows.FORMATS)
    return True


def _check_together(params: Any, is_drawn: bool, in_files: bool) -> None:
    """Whether data, test and teacher go together."""
    if is_drawn and params.test is not None:
        raise UserError("Test files go with a file to learn from: name it too, such as data=gsm8k:PATH.")
    if is_drawn and in_files:
        raise UserError(
            "data and teacher go together: solutions of a file need its questions, such as data=svamp:PATH."
        )
    if not is_drawn and params.teacher == EMBEDDED:
        raise UserError(
            "data and teacher go together: the embedded solver knows only its own questions, so name a "
            "teacher for these, rationales:PATH or a sampler such as transformers:FOLDER."
        )
    if params.data == LOGIC and params.teacher != EMBEDDED and params.profile != REAL:
        raise UserError(
            "A sampler does not know the house of data=logic: leave the teacher out, or take other data."
        )
