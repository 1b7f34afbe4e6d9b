"""The words of a small child, from words.txt: nouns, verbs and adjectives by what they can do in a story."""

from workbench.corpora.sections import read_sections

_SECTIONS = read_sections(__file__, "words.txt")
_LISTS = {name: words.split() for entries in _SECTIONS.values() for name, words in entries}


def _pairs(name: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in _LISTS[name])


def _joined(names: str) -> list[str]:
    return [word for name in names.split() for word in _LISTS[name]]


# ---------------------------------------------------------------- who
GIRLS = _LISTS["girls"]
BOYS = _LISTS["boys"]
GROWN_UPS = _pairs("grown_ups")
ANIMAL_NAMES = _pairs("animal_names")
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
MENDING = _LISTS["mending"]
REACHING = _LISTS["reaching"]
CONTAINERS = _LISTS["containers"]
SHARP_OR_HOT = _LISTS["sharp_or_hot"]
MAKEABLE = _LISTS["makeable"]
BUILDABLE = _LISTS["buildable"]
FEARS = _LISTS["fears"]
STUCK_THINGS = _LISTS["stuck_things"]
OUTSIDE = _LISTS["outside"]
PLACES = _LISTS["places"]

THINGS = _joined("toys treasures foods animals containers furniture outside tools clothes people")
_KINDS_OF_NOUNS = (
    "toys treasures foods animals containers furniture outside tools clothes places people more_things "
    "makeable buildable sharp_or_hot fears drinks mending"
)
NOUNS = list(dict.fromkeys([*_joined(_KINDS_OF_NOUNS), *ANIMAL_FOOD.values()]))

# where something can be: the preposition goes with the noun
SPOTS = [f"{preposition} the {noun}" for preposition, _ in _SECTIONS["spots"] for noun in _LISTS[preposition]]

# ---------------------------------------------------------------- how
LOOKS = _LISTS["looks"]
TRAITS = _LISTS["traits"]
GOOD_FEELINGS = _LISTS["good_feelings"]
BAD_FEELINGS = _LISTS["bad_feelings"]
FEELINGS = GOOD_FEELINGS + BAD_FEELINGS
DAYS = _LISTS["days"]
ADJECTIVES = list(dict.fromkeys(LOOKS + TRAITS + FEELINGS + DAYS + _LISTS["more_adjectives"]))

ACTIVITIES = _LISTS["activities"]
HANDLING = _LISTS["handling"]
VERBS = list(dict.fromkeys(ACTIVITIES + HANDLING + _LISTS["more_verbs"]))

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
