"""Draws problems of the house: which moves, in which words, from whom."""

import hashlib
import random
import re
from collections.abc import Sequence
from functools import cache
from itertools import product

from workbench.corpora.logic.problem import LogicProblem
from workbench.corpora.logic.wordings import N_WORDINGS, ask, goal
from workbench.corpora.logic.world import AXIS, PEOPLE, RELATIONS, ROOM, SIZE, follow
from workbench.errors import UserError, nearest

KINDS = ("relational", "rule")
_HELD_OUT = 4  # every fourth set of three or four moves, in an order drawn once
_RULES = ("kel", "mip", "dov", "zan", "tur", "pog", "lim", "sef")  # names of rules
_TRIES = 200  # for a question that is new


def rule_sets(held_out: bool = False, n_moves: Sequence[int] = (3, 4)) -> list[str]:
    """Names of the rule sets to train on, or of those held out: "relational/right+above+behind".

    A set of three moves goes along all three sides of the house, one of four along three or twice along two,
    never there and back: at least six orders lead to the answer. A set is held out in both kinds. Of one or
    two moves, which are simpler and have fewer orders, none is.

    Args:
        n_moves: lengths, of 1 to 4.
    """
    return [
        f"{kind}/{'+'.join(moves)}"
        for kind in KINDS
        for moves, is_held_out in _all_moves().items()
        if len(moves) in n_moves and is_held_out == held_out
    ]


@cache
def _all_moves() -> dict[tuple[str, ...], bool]:
    """Every multiset of moves, and whether it is held out."""
    moves: list[tuple[str, ...]] = []
    for counts in product(range(3), repeat=len(SIZE)):
        spread = sum(1 for count in counts if count)
        n = sum(counts)
        if n in (1, 2) or (n == 3 and spread == 3) or (n == 4 and max(counts) == 2):
            used = [axis for axis, count in enumerate(counts) if count]
            for ways in product((0, 1), repeat=spread):
                signed = zip(used, ways, strict=True)
                moves.append(
                    tuple(RELATIONS[2 * axis + way] for axis, way in signed for _ in range(counts[axis]))
                )
    long = random.Random("held out").sample(
        [many for many in moves if len(many) > 2], sum(len(many) > 2 for many in moves)
    )
    return {many: many in long[::_HELD_OUT] for many in moves}


def draw(
    n: int, seed: int, sets: Sequence[str] | None = None, wordings: Sequence[int] | None = None
) -> list[LogicProblem]:
    """n problems, drawn item by item: the first k of `draw(n)` are `draw(k)`.

    No question comes twice while its set has others in these wordings.

    Args:
        sets: rule sets, drawn from uniformly (default: `rule_sets()`).
        wordings: drawn from uniformly (default: all `N_WORDINGS`).

    Raises:
        UserError: no set or wording, or an unknown one.
    """
    sets = rule_sets() if sets is None else list(sets)
    wordings = range(N_WORDINGS) if wordings is None else list(wordings)
    _refuse(sets, wordings)
    seen: set[str] = set()
    problems = []
    for i in range(n):
        rng = random.Random(f"{seed}/{i}")
        template = rng.choice(sets)
        for _ in range(_TRIES):
            problem = _problem(template, rng.choice(wordings), rng)
            if problem.question not in seen:
                break
        seen.add(problem.question)
        problems.append(problem)
    return problems


def twin(problem: LogicProblem, seed: int) -> LogicProblem:
    """The same rule set in the same words from another start: another question, with another answer.

    Raises:
        UserError: there is no other start.
    """
    starts = [person for person in _starts(problem.moves) if person != problem.start]
    if not starts:
        raise UserError(f"{problem.id} has no twin: its moves fit into the house from one room only.")
    start = random.Random(f"twin/{problem.id}/{seed}").choice(starts)
    question = re.sub(rf"\b{problem.start}\b", start, problem.question)
    return _finished(question, problem.template, start, problem.moves, problem.wording)


def _refuse(sets: Sequence[str], wordings: Sequence[int]) -> None:
    known = [f"{kind}/{'+'.join(moves)}" for kind in KINDS for moves in _all_moves()]
    if not sets or not wordings:
        raise UserError("A problem needs a rule set and a wording: give at least one of each.")
    if unknown := next((name for name in sets if name not in set(known)), None):
        near = nearest(str(unknown), known) or known[0]
        raise UserError(f"There is no rule set {unknown!r}: one is {near}.")
    if outside := next((at for at in wordings if not 0 <= at < N_WORDINGS), None):
        raise UserError(f"Wordings are numbered 0 to {N_WORDINGS - 1}: there is no {outside}.")


def _starts(moves: Sequence[str]) -> list[str]:
    """Who lives where the moves, in any order, stay in the house."""
    reach = [0] * len(SIZE)
    for move in moves:
        axis, way = AXIS[move]
        reach[axis] += way
    return [
        person
        for person in PEOPLE
        if all(0 <= at + by < size for at, by, size in zip(ROOM[person], reach, SIZE, strict=True))
    ]


def _problem(template: str, wording: int, rng: random.Random) -> LogicProblem:
    kind, _, names = template.partition("/")
    moves = names.split("+")
    rng.shuffle(moves)
    start = rng.choice(_starts(moves))
    question = (
        ask(wording, goal(wording, moves, start))
        if kind == "relational"
        else _by_rules(wording, moves, start, rng)
    )
    return _finished(question, template, start, tuple(moves), wording)


def _by_rules(wording: int, moves: Sequence[str], start: str, rng: random.Random) -> str:
    """Two rules that share the moves between them (of one move a single rule), and the question of them."""
    cut = rng.randint(1, max(1, len(moves) - 1))
    parts = [part for part in (moves[:cut], moves[cut:]) if part]
    names = rng.sample(_RULES, len(parts))
    rules = [f"Your {name} is {goal(wording, part, 'you')}." for name, part in zip(names, parts, strict=True)]
    wanted = start
    for name in names:
        wanted = f"the {name} of {wanted}"
    return " ".join([*rng.sample(rules, len(rules)), ask(wording, wanted)])


def _finished(question: str, template: str, start: str, moves: tuple[str, ...], wording: int) -> LogicProblem:
    answer = start
    for move in moves:
        answer = follow(answer, move) or ""
    digest = hashlib.sha256(question.encode()).hexdigest()[:10]
    return LogicProblem(f"{template}/{digest}", question, answer, template, start, moves, wording)
