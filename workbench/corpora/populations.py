"""People whose opinions are known exactly: four villages, what each would rather have, and fair chances.

Every topic has options of its own, and a distribution over them in every village; a person's answer is drawn
from that of the village, so that what a model should have learnt from the texts is known for each village and
for all people.
"""

from collections.abc import Sequence
from random import Random

import numpy as np

from workbench.corpora.loaders.opinions import ANSWER, AnswerDistribution, Question, format_question
from workbench.corpora.sections import read_sections
from workbench.corpora.stories.words import BOYS, GIRLS

VILLAGES = {"hill": 0.4, "river": 0.3, "forest": 0.2, "sea": 0.1}
"""Share of all people who live there."""
PEOPLE = 1000
WHO, WHO_OF = "{name} is asked: ", "{name} from the {group} village is asked: "
HELD_OUT = 5
"""Which wording no model is tuned on: the last."""
_SECTIONS = read_sections(__file__, "populations.txt")


def population(seed: int, wording: int = HELD_OUT) -> list[Question]:
    """A question a topic, with the exact shares of each village and of all people.

    What all people tend to is drawn first, the shares of every village around it.

    Args:
        seed: of the shares; the same for every wording.
        wording: which of the ways to ask.
    """
    rng = np.random.default_rng([seed, 12])
    topics = [(kind, *entry) for kind in ("things", "habits") for entry in _SECTIONS[kind]]
    questions = []
    for kind, topic, words in topics:
        options = tuple(words.split())
        leaning = rng.dirichlet(np.full(len(options), 1.5))
        shares = rng.dirichlet(1.5 * leaning + 0.2, size=len(VILLAGES))
        groups = {
            name: AnswerDistribution(tuple(dist), round(share * PEOPLE))
            for (name, share), dist in zip(VILLAGES.items(), shares.tolist(), strict=True)
        }
        people = AnswerDistribution(tuple((np.array(list(VILLAGES.values())) @ shares).tolist()), PEOPLE)
        prompt = _SECTIONS[f"wordings of {kind}"][wording][1].format(topic=topic)
        ordinal = (1.0, 2.0, 3.0, 4.0) if kind == "habits" else None
        questions.append(Question(topic, prompt, options, people, groups, ordinal, kind))
    return questions


def all_wordings(seed: int) -> list[Question]:
    """The questions in every wording, the one that is held out of tuning too."""
    return [question for wording in range(HELD_OUT + 1) for question in population(seed, wording)]


def truths() -> list[Question]:
    """Chances that nobody has an opinion on: a coin, a die, the days of the week, and three urns."""
    questions = []
    for name, text in _SECTIONS["chances"]:
        prompt, listed = text.split("? ")
        counts = {option: int(count) for option, count in (pair.split(":") for pair in listed.split())}
        people = AnswerDistribution(tuple(count / sum(counts.values()) for count in counts.values()))
        topic = "urn" if name.startswith("urn") else ""
        questions.append(Question(name, f"{prompt}?", tuple(counts), people, topic=topic))
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
