"""Ways to put a question: sixteen frames, each in eight dialects of the relations."""

from collections.abc import Sequence

from workbench.corpora.logic.world import RELATIONS

_FRAMES = (
    "Who is {goal}?",
    "Name {goal}.",
    "Find {goal}.",
    "What is the name of {goal}?",
    "Tell me who is {goal}.",
    "We look for {goal}. Who is it?",
    "The post is for {goal}. Who gets it?",
    "This key belongs to {goal}. Whose is it?",
    "The noise comes from {goal}. Who makes it?",
    "The cat sleeps with {goal}. Who feeds it?",
    "Tea waits with {goal}. Who pours it?",
    "Ring the bell of {goal}. Who opens?",
    "Water drips on {goal}. Who gets wet?",
    "A letter came from {goal}. Who wrote it?",
    "Tonight {goal} has guests. Who cooks?",
    "I saw {goal} today. Whom did I see?",
)
_DIALECTS = (
    ("right of", "left of", "above", "below", "behind", "before"),
    ("on the right of", "on the left of", "over", "under", "at the back of", "in front of"),
    ("east of", "west of", "up from", "down from", "north of", "south of"),
    ("rightward of", "leftward of", "upward of", "downward of", "backward of", "forward of"),
    ("next right to", "next left to", "next over", "next under", "next behind", "next before"),
    (
        "past the right wall of", "past the left wall of", "past the ceiling of", "past the floor of",
        "past the back wall of", "past the front wall of",
    ),
    (
        "a door to the right of", "a door to the left of", "a floor higher than", "a floor lower than",
        "a row further than", "a row nearer than",
    ),
    (
        "at the right hand of", "at the left hand of", "on top of", "at the bottom of", "at the rear of",
        "at the front of",
    ),
)  # fmt: skip
N_WORDINGS = len(_FRAMES) * len(_DIALECTS)


def goal(wording: int, moves: Sequence[str], start: str) -> str:
    """ "the one behind the one above Ann"; the move made first is said last."""
    dialect: dict[str, str] = dict(zip(RELATIONS, _DIALECTS[wording % len(_DIALECTS)], strict=True))
    text = start
    for move in moves:
        text = f"the one {dialect[move]} {text}"
    return text


def ask(wording: int, wanted: str) -> str:
    """The question for a person who is described."""
    return _FRAMES[wording // len(_DIALECTS)].format(goal=wanted)
