"""Whether questions that are asked were among those that were learnt."""

from collections.abc import Collection

from workbench.errors import UserError
from workbench.measures.overlap import contamination

GRAMS = 10  # words in a row that test questions are searched for in training


def contamination_report(asked: Collection[str], learnt: Collection[str]) -> str:
    """How many questions resemble one that is learnt, as a sentence.

    Raises:
        UserError: one of them is learnt.
    """
    shared, alike = contamination(list(asked), list(learnt), GRAMS)
    if shared:
        raise UserError(f"Training and test share {shared} questions: take them out of one of the two.")
    sentence = f"{alike:,} of {len(asked):,} test questions share {GRAMS} words in a row with training"
    return f"{sentence}, as variants of one question do" if alike else sentence
