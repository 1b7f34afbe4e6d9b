"""People whose opinions are known exactly: four villages, what each would rather have, and fair chances.

Every topic has a distribution over its options in every village; a person's answer is drawn from that of the
village, so that what a model should have learnt from the texts is known for each village and for all people.
"""

from collections.abc import Sequence
from random import Random

import numpy as np

from workbench.corpora.loaders.opinions import ANSWER, AnswerDistribution, Question, format_question
from workbench.corpora.stories.words import BOYS, GIRLS

VILLAGES = {"hill": 0.4, "river": 0.3, "forest": 0.2, "sea": 0.1}
"""Share of all people who live there."""
PEOPLE = 1000
WHO, WHO_OF = "{name} is asked: ", "{name} from the {group} village is asked: "
WORDINGS = {
    "things": (
        "Which {topic} do you like best?",
        "What {topic} would you rather have?",
        "What is your favourite {topic}?",
        "Which {topic} do you want?",
        "Tell us the {topic} that you like most.",
        "If you could choose one {topic}, which would it be?",
    ),
    "habits": (
        "How often do you like to {topic}?",
        "If it were up to you, when would you {topic}?",
        "How much do you {topic}?",
        "When do you want to {topic}?",
        "Tell us how often you {topic}.",
        "If you could choose, how often would you {topic}?",
    ),
}
"""Ways to ask about things and about habits; the last is held out of the texts."""
HELD_OUT = 5
HABITS = ["swim", "sing", "run", "read", "climb", "paint"]
SCALE = ("never", "rarely", "often", "always")
THINGS = {
    "lunch": "soup bread fish pie",
    "fruit": "apple pear plum cherry",
    "pet": "dog cat rabbit bird",
    "toy": "ball doll kite boat",
    "colour": "red blue green yellow",
    "season": "spring summer autumn winter",
    "drink": "milk tea juice water",
    "game": "chess tag cards hopscotch",
    "place": "lake park farm cave",
    "weather": "sun rain snow wind",
    "story": "dragon pirate princess robot ghost",
    "sweet": "cake candy cookie jam",
    "tree": "oak pine birch willow",
    "job": "baker doctor farmer singer sailor",
    "flower": "rose tulip daisy",
    "gift": "book hat drum lamp",
    "sport": "football tennis skating rowing",
    "hour": "morning noon evening night",
}
_COLOURS = ("red", "blue", "green")


def population(seed: int, wording: int = HELD_OUT) -> list[Question]:
    """A question a topic, with the exact shares of each village and of all people.

    What all people tend to is drawn first, the shares of every village around it.

    Args:
        seed: of the shares; the same for every wording.
        wording: which of the `WORDINGS`.
    """
    rng = np.random.default_rng([seed, 12])
    topics = [("things", topic, tuple(words.split())) for topic, words in THINGS.items()]
    topics += [("habits", topic, SCALE) for topic in HABITS]
    questions = []
    for kind, topic, options in topics:
        leaning = rng.dirichlet(np.full(len(options), 1.5))
        shares = rng.dirichlet(1.5 * leaning + 0.2, size=len(VILLAGES))
        groups = {
            name: AnswerDistribution(tuple(dist), round(share * PEOPLE))
            for (name, share), dist in zip(VILLAGES.items(), shares.tolist(), strict=True)
        }
        people = AnswerDistribution(tuple((np.array(list(VILLAGES.values())) @ shares).tolist()), PEOPLE)
        prompt = WORDINGS[kind][wording].format(topic=topic)
        ordinal = (1.0, 2.0, 3.0, 4.0) if kind == "habits" else None
        questions.append(Question(topic, prompt, options, people, groups, ordinal, kind))
    return questions


def truths() -> list[Question]:
    """Chances that nobody has an opinion on: a coin, a die, the days of the week, and three urns."""
    fair = {
        "coin": ("A fair coin is thrown. What does it show?", "heads tails"),
        "die": ("A fair die is thrown. Which number does it show?", "one two three four five six"),
        "weekday": (
            "A day of the week is drawn from a hat. Which day is it?",
            "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        ),
    }
    questions = []
    for name, (prompt, words) in fair.items():
        options = tuple(words.split())
        people = AnswerDistribution((1 / len(options),) * len(options))
        questions.append(Question(name, prompt, options, people))
    for balls in ((3, 2, 1), (1, 1, 4), (2, 6, 2)):
        held = ", ".join(f"{count} {colour}" for count, colour in zip(balls, _COLOURS, strict=True))
        prompt = f"A ball is drawn from an urn with these: {held}. Which colour is it?"
        people = AnswerDistribution(tuple(count / sum(balls) for count in balls))
        name = "urn " + "-".join(map(str, balls))
        questions.append(Question(name, prompt, _COLOURS, people, topic="urn"))
    return questions


def draw(questions: Sequence[Question], n: int, seed: int) -> list[tuple[str, str]]:
    """What `n` people were asked, and the answers they gave: pairs of prompt and answer.

    One in three says nothing of the village, and answers as all people do. Options stand in any order, and
    are never lettered: a model that learns from this knows nothing of letters.
    """
    rng, pairs = Random(seed), []
    for _ in range(n):
        question = rng.choice(questions)
        group = rng.choice(list(question.groups)) if question.groups and rng.random() < 2 / 3 else None
        name = rng.choice(["Somebody", *GIRLS, *BOYS])
        who = (WHO_OF if group else WHO if question.groups else "").format(name=name, group=group)
        dist = question.groups[group].dist if group else question.people.dist
        (answer,) = rng.choices(question.options, dist)
        order = rng.sample(question.options, len(question.options))
        pairs.append((format_question(who + question.prompt, order, letters=False) + ANSWER, f" {answer}"))
    return pairs
