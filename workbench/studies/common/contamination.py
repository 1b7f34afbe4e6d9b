"""Whether test questions were among those that a model was trained on."""

from collections.abc import Collection, Sequence

from workbench.corpora.loaders.problems import FileProblem
from workbench.errors import UserError
from workbench.measures.vocabulary import question_key

GRAMS = 10  # words in a row that test questions are searched for in training


def contamination_report(test: Collection[str], training: Collection[str]) -> str:
    """How many test questions resemble one of the training questions, as a sentence.

    Raises:
        UserError: both hold the same question.
    """
    from workbench.measures.overlap import contamination

    check_apart(test, training)
    _, alike = contamination(list(test), list(training), GRAMS)
    sentence = f"{alike:,} of {len(test):,} test questions share {GRAMS} words in a row with training"
    return f"{sentence}, as variants of one question do" if alike else sentence


def check_apart(test: Collection[str], training: Collection[str]) -> None:
    """Refuses test questions that are learnt from as well, by `question_key`.

    Raises:
        UserError: there are some.
    """
    learnt = set(map(question_key, training))
    if shared := sum(question_key(question) in learnt for question in test):
        raise UserError(f"Training and test share {shared} questions: take them out of one of the two.")


def distinct_problems(problems: Sequence[FileProblem]) -> tuple[list[FileProblem], list[str]]:
    """Every question once, by `question_key`, and what was left out, as sentences.

    Where one question has different answers nobody knows which is right: all of it is left out.
    """
    first: dict[str, FileProblem] = {}
    answers: dict[str, set[str]] = {}
    for problem in problems:
        key = question_key(problem.question)
        first.setdefault(key, problem)
        answers.setdefault(key, set()).add(question_key(problem.gold))
    kept = [problem for key, problem in first.items() if len(answers[key]) == 1]
    reasons = {
        "they stand in the data twice": len(problems) - len(first),
        "they stand there with different answers": len(first) - len(kept),
    }
    return kept, [f"questions left out because {reason}: {n:,}" for reason, n in reasons.items() if n]
