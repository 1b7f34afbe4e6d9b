"""The simulator's plots in few sentences: what a summary and the features need, and nothing else.

A small model that reads little text learns to follow instructions sooner the more of a story an instruction
decides. So the writer leaves out what could be left out of a story without making it another one (walks,
smiles, thanks, …), and words, names and places come from short lists.
"""

from random import Random

from workbench.corpora.stories import WORDS, scenes, words
from workbench.corpora.stories.scenes import Cast
from workbench.corpora.stories.story import Story
from workbench.corpora.stories.writer import FEATURES, Writer

PLOTS = ("forbidden", "new friend", "building", "afraid")
NOUNS = WORDS["noun"][7::26]
VERBS = words.ACTIVITIES[2::4][:16]
ADJECTIVES = words.TRAITS[1::3][:16]
_LEFT_OUT = frozenset(
    [
        "goes",
        "goes_on_day",
        "go_together",
        "feels",
        "cries",
        "smiles",
        "tries_again",
        "thanks",
        "hugs",
        "will_listen",
        "needs",
        "errand",
    ]
)


class BriefWriter(Writer):
    """Tells only the events that no story of its plot can do without."""

    def say(self, event: str, **slots: str) -> None:
        """See `Writer.say`; some events are left out, and a brother or sister is a friend."""
        if event in ("brother", "sister"):
            event = "befriended"
        if event not in _LEFT_OUT:
            super().say(event, **slots)


def write_brief(random: Random) -> Story:
    """A story of six to twelve sentences that has three random words and up to two random features."""
    wanted = {
        name: random.choice(of) for name, of in (("noun", NOUNS), ("verb", VERBS), ("adjective", ADJECTIVES))
    }
    features = frozenset(random.sample(FEATURES, random.choice([0, 1, 1, 2])))
    plot = random.choice(PLOTS)
    writer = BriefWriter(random, wanted, features, scenes.outside(plot, features))
    cast = _cast(random)
    _begin(writer, cast)
    scenes.before(writer, cast)
    summary = scenes.PLOTS[plot](writer, cast)
    scenes.after(writer, cast)
    scenes.end(writer, cast)
    asked = tuple(feature for feature in FEATURES if feature in features)
    return Story(writer.text(), plot, wanted, asked, summary, tuple(writer.sentences))


def _cast(random: Random) -> Cast:
    hero, friend = random.sample([*words.GIRLS[:6], *words.BOYS[:6]], 2)
    return Cast(hero, friend, "Mom", words.PLACES[0])


def _begin(writer: Writer, cast: Cast) -> None:
    """The hero, and the three words."""
    kind = "girl" if words.GENDER[cast.hero] == "f" else "boy"
    writer.say("introduce", a=cast.hero, t=writer.choose(ADJECTIVES, kind="adjective"), k=kind)
    writer.say("loves", a=cast.hero, v=writer.choose(VERBS, kind="verb"))
    writer.say("sees", a=cast.hero, x=writer.choose(NOUNS, kind="noun"))
