"""What most people answer: which questions can be tuned on."""

from collections.abc import Sequence
from random import Random

from workbench.corpora.loaders.opinions import Question
from workbench.errors import UserError


def majority(question: Question) -> str | None:
    """The option that most people choose; None where two are level."""
    dist = question.people.dist
    return question.options[dist.index(max(dist))] if dist.count(max(dist)) == 1 else None


def tuned_on(questions: Sequence[Question], seed: int) -> set[str]:
    """Ids of the questions to tune on: every second one, at random, of those with a majority.

    Raises:
        UserError: fewer than two questions have one.
    """
    names = sorted(question.id for question in questions if majority(question))
    if len(names) < 2:
        raise UserError("Tuning needs two questions with an answer that most people give: set tune to False.")
    Random(seed).shuffle(names)
    return set(names[::2])


def check_opinions(questions: Sequence[Question]) -> list[str]:
    """What is to be noticed about questions that a model is tuned on: those on which all people agree.

    Raises:
        UserError: people agree on all of them, so that there is no distribution to lose.
    """
    agreed = sum(max(question.people.dist) > 1 - 1e-9 for question in questions)
    if agreed == len(questions):
        raise UserError(
            "The people are of one opinion in every question, so tuning can lose nothing: set tune to False."
        )
    return [f"{agreed:,} questions on which all people agree"] if agreed else []
