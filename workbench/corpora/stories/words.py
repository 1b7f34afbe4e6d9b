"""The words of a small child, from words.txt: nouns, verbs and adjectives by what they can do in a story."""

from importlib.resources import files


_TEXT = files(__package__).joinpath("words.txt").read_text(encoding="utf-8").replace("\n    ", " ")
_LISTS = {
    name: words.split()
    for name, words in (line.split(": ", 1) for line in _TEXT.partition("\n\n")[2].splitlines())
}


def _pairs(name: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in _LISTS[name])


# ---------------------------------------------------------------- who
GIRLS = _LISTS["girls"]
BOYS = _LISTS["boys"]
GROWN_UPS = {"Mom": "f", "Dad": "m", "Grandma": "f", "Grandpa": "m"}
ANIMAL_NAMES = {
    **dict.fromkeys(["Spot", "Rex", "Buddy", "Bingo", "Fuzz", "Rusty", "Pip", "Bruno"], "m"),
    **dict.fromkeys(["Kitty", "Fluffy", "Dot", "Honey", "Pearl", "Snowy", "Ginger", "Coco"], "f"),
}
GENDER = {**dict.fromkeys(GIRLS, "f"), **dict.fromkeys(BOYS, "m"), **GROWN_UPS, **ANIMAL_NAMES}
KINDS = {"girl": "f", "boy": "m"}

# what an animal eats and says: facts that a story must not get wrong
ANIMAL_FOOD = _pairs("animal_food")
ANIMAL_SOUND = _pairs("animal_sound")
ANIMALS = _LISTS["animals"]

# ---------------------------------------------------------------- what
TOYS = _LISTS["toys"]
TREASURES = _LISTS["treasures"]
FOODS = _LISTS["foods"]
MASS_NOUNS = frozenset(_LISTS["mass_nouns"])
DRINKS = _LISTS["drinks"]
MENDING = _LISTS["mending"]
REACHING = _LISTS["reaching"]
CONTAINERS = _LISTS["containers"]
SHARP_OR_HOT = _LISTS["sharp_or_hot"]
MAKEABLE = _LISTS["makeable"]
BUILDABLE = _LISTS["buildable"]
FEARS = _LISTS["fears"]
STUCK_THINGS = _LISTS["stuck_things"]

FURNITURE = _LISTS["furniture"]
OUTSIDE = _LISTS["outside"]
TOOLS = _LISTS["tools"]
CLOTHES = _LISTS["clothes"]
PLACES = _LISTS["places"]
PEOPLE = _LISTS["people"]
MORE_THINGS = _LISTS["more_things"]

THINGS = TOYS + TREASURES + FOODS + ANIMALS + CONTAINERS + FURNITURE + OUTSIDE + TOOLS + CLOTHES + PEOPLE
NOUNS = list(
    dict.fromkeys(
        TOYS + TREASURES + FOODS + list(ANIMALS) + CONTAINERS + FURNITURE + OUTSIDE + TOOLS + CLOTHES
        + PLACES + PEOPLE + MORE_THINGS + MAKEABLE + BUILDABLE + SHARP_OR_HOT + FEARS + DRINKS + MENDING
        + list(ANIMAL_FOOD.values())
    )
)  # fmt: skip

# where something can be: the preposition goes with the noun
SPOTS = [
    f"{preposition} the {noun}"
    for preposition, nouns in {
        "under": "bed table chair sofa rug bench blanket pillow",
        "behind": "tree door curtain couch bush fence rock barn shed",
        "in": "box basket bag drawer closet nest hole pond bucket log",
        "on": "shelf desk stairs roof swing stump windowsill",
        "near": "gate well slide river hill stream",
    }.items()
    for noun in nouns.split()
]

# ---------------------------------------------------------------- how
LOOKS = _LISTS["looks"]
TRAITS = _LISTS["traits"]
GOOD_FEELINGS = _LISTS["good_feelings"]
BAD_FEELINGS = _LISTS["bad_feelings"]
FEELINGS = GOOD_FEELINGS + BAD_FEELINGS
DAYS = _LISTS["days"]
MORE_ADJECTIVES = _LISTS["more_adjectives"]
ADJECTIVES = list(dict.fromkeys(LOOKS + TRAITS + FEELINGS + DAYS + MORE_ADJECTIVES))

ACTIVITIES = _LISTS["activities"]
HANDLING = _LISTS["handling"]
MORE_VERBS = _LISTS["more_verbs"]
VERBS = list(dict.fromkeys(ACTIVITIES + HANDLING + MORE_VERBS))

_IRREGULAR_PAST = _pairs("irregular_past")
_DOUBLED = frozenset(_LISTS["doubled"])


def past(verb: str) -> str:
    """The past tense of one of this module's verbs: `dance` → `danced`, `swim` → `swam`."""
    if verb in _IRREGULAR_PAST:
        return _IRREGULAR_PAST[verb]
    if verb in _DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


PAST = {past(verb): verb for verb in ACTIVITIES + HANDLING}


def article(phrase: str) -> str:
    """`red ball` → `a red ball`, `apple` → `an apple`, `milk` → `some milk`."""
    if phrase.split()[-1] in MASS_NOUNS:
        return f"some {phrase}"
    vowel = phrase[0] in "aeiou" and not phrase.startswith(("useful", "unique", "usual", "unif"))
    return f"an {phrase}" if vowel or phrase.startswith("honest") else f"a {phrase}"
