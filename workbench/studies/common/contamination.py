"""Whether test questions were among those that a model was trained on."""

from collections.abc import Collection

from workbench.errors import UserError
from workbench.measures.overlap import contamination

GRAMS = 10  # words in a row that test questions are searched for in training


def contamination_report(test: Collection[str], training: Collection[str]) -> str:
    """How many test questions resemble one of the training questions, as a sentence.

    Raises:
        UserError: both hold the same question.
    """
    shared, alike = contamination(list(test), list(training), GRAMS)
    if shared:
        raise UserError(f"Training and test share {shared} questions: take them out of one of the two.")
    sentence = f"{alike:,} of {len(test):,} test questions share {GRAMS} words in a row with training"
    return f"{sentence}, as variants of one question do" if alike else sentence
