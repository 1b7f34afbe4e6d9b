"""Draws word problems: who, what and which wording, then numbers with which every step comes out."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import accumulate

from workbench.corpora.problems import structures
from workbench.corpora.problems.problem import Problem, Step
from workbench.corpora.problems.scenarios import OUTSIDE, SCENARIOS, TRAINING
from workbench.corpora.problems.structures import DeadEnd, Move
from workbench.corpora.problems.writing import Text, choose_words, write
from workbench.errors import UserError, nearest

_KNOWN = dict.fromkeys([*TRAINING, *OUTSIDE])
_TRIES = 200  # of an item or a twin, for a question that is new
_NUMBER_TRIES = 5000  # for numbers that work to the end: of some structures with small bounds, few do
_FEWEST_WORDS = 3  # some problems speak of three people
_LARGEST_ASIDE = 12  # ages, cousins, floors
_ENOUGH = 20  # every template has numbers up to here


def templates(held_out: bool = False) -> list[str]:
    """The templates to train on; or the ones held out for tests outside the training distribution.

    A template is "scenario/structure". Held out are compositions of relations that each scenario tells
    otherwise, one structure in every scenario ("fewer-total") and one scenario ("library").
    """
    return list(OUTSIDE if held_out else TRAINING)


def draw(
    n: int,
    seed: int,
    *,
    templates: Sequence[str] | Mapping[str, float] | None = None,
    n_words: int | None = None,
    largest: int = 20,
    distractors: float = 0.0,
) -> list[Problem]:
    """n problems, drawn item by item: the first k of `draw(n)` are `draw(k)`.

    Numbers are whole, and 2 or more but for the answer, which may be 1. No question comes twice while its
    template has others.

    Args:
        templates: drawn from uniformly, or with these weights (default: all training templates).
        n_words: how many different names the texts use, and how many things each scenario (default: all).
        largest: bound of every number, in the text or between.
        distractors: the share of problems with a number that is not needed.

    Raises:
        UserError: an unknown template, no template, weights, a share or a bound that cannot be.
    """
    names, weights = _weighted(TRAINING if templates is None else templates)
    if n_words is not None and n_words < _FEWEST_WORDS:
        raise UserError(
            f"n_words must be {_FEWEST_WORDS} or more, as some texts speak of three, not {n_words}."
        )
    if not 0 <= distractors <= 1:
        raise UserError(f"distractors is a share and must lie between 0 and 1, not {distractors}.")
    if n < 0:
        raise ValueError(f"the number of problems must be 0 or more, not {n}")
    seen: set[str] = set()
    problems = []
    for i in range(n):
        rng = random.Random(f"{seed}/{i}")
        template = rng.choices(names, cum_weights=weights)[0]
        for _ in range(_TRIES):
            problem = _problem(template, rng, n_words, largest, distractors)
            if problem.question not in seen:
                break
        seen.add(problem.question)
        problems.append(problem)
    return problems


def twin(problem: Problem, seed: int) -> Problem:
    """The same words with other numbers, still within `problem.largest`.

    Raises:
        UserError: no other numbers fit.
    """
    rng = random.Random(f"twin/{problem.id}/{seed}")
    questions, names = ([getattr(step, part) for step in problem.steps] for part in ("question", "name"))
    text = Text(problem.frame, questions, names, problem.n_distractors)
    for _ in range(_TRIES):
        other = _filled(problem.template, text, problem.largest, rng)
        if other.rationale() != problem.rationale():
            return other
    raise UserError(
        f"{problem.question!r} has no twin with numbers up to {problem.largest}: set largest higher."
    )


def _weighted(chosen: Sequence[str] | Mapping[str, float]) -> tuple[list[str], list[float]]:
    """Names and cumulative weights."""
    names = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in names:
        if name not in _KNOWN:
            near = nearest(name, _KNOWN, 0)
            raise UserError(f"There is no problem template {name!r}: did you mean {near!r}?")
    weights = [float(chosen[name]) for name in names] if isinstance(chosen, Mapping) else [1.0] * len(names)
    if not names or not all(0 <= weight < float("inf") for weight in weights) or sum(weights) == 0:
        raise UserError("Problems need at least one template, and weights of 0 or more that are not all 0.")
    return names, list(accumulate(weights))


_plan = cache(structures.plan)


def _problem(
    template: str, rng: random.Random, n_words: int | None, largest: int, distractors: float
) -> Problem:
    name, structure = template.split("/")
    scenario, moves = SCENARIOS[name], _plan(structure)
    words = choose_words(scenario, rng, n_words)
    text = write(scenario, structure, moves, words, rng, int(rng.random() < distractors))
    return _filled(template, text, largest, rng)


def _filled(template: str, text: Text, largest: int, rng: random.Random) -> Problem:
    """The problem with numbers for its holes."""
    moves = _plan(template.split("/")[1])
    numbers = _numbers(template, moves, rng, largest)
    unneeded = [rng.randint(2, min(largest, _LARGEST_ASIDE)) for _ in range(text.n_distractors)]
    question = text.frame.format(*numbers, *unneeded)
    steps = []
    worked = structures.work(moves, numbers)
    for move, sub_question, name, values in zip(moves, text.questions, text.names, worked, strict=True):
        left, right, result = map(Fraction, values)
        terms = [str(numbers[i]) if i >= 0 else text.names[~i] for i in move.operands]
        steps.append(Step(sub_question, left, move.operation, right, result, name, (terms[0], terms[1])))
    return Problem(
        id=f"{template}:{hashlib.sha256(question.encode()).hexdigest()[:10]}",
        question=question,
        answer=steps[-1].result,
        template=template,
        steps=tuple(steps),
        n_distractors=text.n_distractors,
        frame=text.frame,
        largest=largest,
    )


def _numbers(template: str, moves: list[Move], rng: random.Random, largest: int) -> list[int]:
    for _ in range(_NUMBER_TRIES):
        try:
            return structures.choose(moves, rng, largest)
        except DeadEnd:
            continue
    raise UserError(
        f"The template {template} has no numbers up to {largest}: set largest to {_ENOUGH} or more, "
        "or leave this template out."
    )
