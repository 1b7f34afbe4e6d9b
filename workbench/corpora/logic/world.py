"""The house: who lives where, and what is right of, above or behind whom."""

import random
from itertools import product

SIZE = (5, 4, 4)  # rooms in a row, floors, rows
RELATIONS = ("right", "left", "above", "below", "behind", "before")
OF = {"right": "right of", "left": "left of"} | {name: name for name in RELATIONS[2:]}
"""A relation as a fact says it, before the person that it starts from."""

AXIS = {name: (at // 2, 1 - 2 * (at % 2)) for at, name in enumerate(RELATIONS)}
"""Along which side of the house a relation goes, and which way."""

_NAMES = """Ada Alf Amy Ana Ann Art Bea Ben Bo Bob Cai Cal Cam Cid Coe Dan Del Dex Don Dot
    Ed Eli Ema Eve Fay Flo Fox Gil Gus Guy Hal Hue Ian Ida Ike Ira Ivy Jan Jay Jed
    Jim Jo Kay Ken Kim Kit Lea Lee Len Leo Liv Lou Lyn Mae Max Meg Mia Moe Ned Nat
    Nia Oli Ona Pam Pat Peg Pia Ray Rex Rob Ron Roy Sal Sam Sid Sue Ted Tim Una Zoe"""
PEOPLE = tuple(_NAMES.split())
_ROOMS = list(product(*map(range, SIZE)))
PERSON = dict(zip(_ROOMS, random.Random("house").sample(PEOPLE, len(PEOPLE)), strict=True))
ROOM = {person: room for room, person in PERSON.items()}


def follow(person: str, relation: str) -> str | None:
    """Who lives there from a person; None beyond the walls, and for who does not live in the house.

    Raises:
        KeyError: another relation than `RELATIONS`.
    """
    axis, way = AXIS[relation]
    room = list(ROOM.get(person, ()))
    if not room:
        return None
    room[axis] += way
    return PERSON.get(tuple(room))


def step(person: str, relation: str, result: str) -> str:
    """ "Right of Ann is Bob." """
    said = OF[relation]
    return f"{said[0].upper()}{said[1:]} {person} is {result}."


def facts() -> list[str]:
    """Everything that holds in the house, a sentence a pair of neighbours and direction."""
    pairs = ((person, relation, follow(person, relation)) for person in PEOPLE for relation in RELATIONS)
    return [step(person, relation, result) for person, relation, result in pairs if result]


def _prelude() -> str:
    lines = []
    for relation in RELATIONS:
        table = {person: result for person in PEOPLE if (result := follow(person, relation))}
        lines.append(f"def {relation}(person):\n    return {table!r}[person]")
    return "\n".join(lines) + "\n"


PRELUDE = _prelude()
"""Python functions of the six relations, for the programs; beyond the walls they raise KeyError."""
