"""Pictures of 01_stories: the stories, the world behind one, and how diverse sets of them are."""

from random import Random

import altair as alt
import ipywidgets
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks
from workbench.charts.theme import CONTROL, series
from workbench.charts.view import Chart, Explorer, Table, Texts, View, with_rows
from workbench.corpora.stories import FEATURES, PLOTS, WORDS, Story, grade, words, write_story
from workbench.corpora.stories.words import GENDER
from workbench.errors import UserError
from workbench.measures.summaries import summarise
from workbench.studies.stories.constraints import BY_CHANCE
from workbench.studies.stories.results import BASELINES, FALLS, MEASURES
from workbench.words import words as split_words


def shelf(frame: pd.DataFrame, count: int = 3, title: str = "A few stories") -> Texts:
    """A few stories side by side, with what was asked of them marked."""
    items = []
    for row in frame.head(count).itertuples():
        wanted = [word for word in (row.noun, row.verb, row.adjective) if word]
        label = " · ".join(filter(None, [row.plot or "story", ", ".join(wanted), row.features]))
        items.append({"label": label, "text": row.story, "marks": _marks(row.story, wanted)})
    return Texts(
        items,
        title,
        "Above each story its plot, the three words and the features it was asked for; words asked for and "
        "names are marked.",
    )


def _marks(text: str, wanted: list[str]) -> list[tuple[int, int, str]]:
    forms = {form for word in wanted for form in (word, words.past(word))}
    marks, at = [], 0
    for token in text.replace("\n", " ").split(" "):
        bare = token.strip('.,!?"')
        start = at + token.find(bare)
        if bare in GENDER:
            marks.append((start, start + len(bare), "character"))
        elif any(bare.startswith(form) for form in forms) and bare:
            marks.append((start, start + len(bare), "asked for"))
        at += len(token) + 1
    return marks


def world_table(story: Story) -> Table:
    """What is true after each sentence of a story."""
    rows = []
    for sentence in story.sentences:
        people, things = sentence.state["people"], sentence.state["things"]
        rows.append(
            {
                "sentence": sentence.text,
                "event": sentence.event.replace("_", " "),
                "who holds what": "; ".join(f"{t['holder']}: {t['noun']}" for t in things if t["holder"]),
                "what is wrong": "; ".join(
                    f"{t['noun']} {' '.join(t['state'])}" for t in things if t["state"]
                ),
                "moods": " ".join(f"{p['name']} {'−0+'[p['mood'] + 1]}" for p in people),
            }
        )
    return Table(
        pd.DataFrame(rows),
        "The world behind a story",
        "Each row is a sentence with the event it tells and what is true after it: who holds what, what is "
        "lost or broken, who feels well (+) or bad (−). The grader rebuilds all this from the text alone.",
    )


KEEPING = "Do the stories keep to what was asked?"


def constraint_shares(frame: pd.DataFrame) -> View:
    """Share of stories that have what was asked for, beside that by chance where it is known."""
    if "stories" in frame:
        return _beside_chance(frame)
    if len(frame) and (frame["share"] == 1).all():  # a picture of equal bars would say less
        asked = [str(name) for name in frame["asked"]]
        return Texts(
            [],
            KEEPING,
            f"All of them do: each of the {len(asked)} things that can be asked for ({', '.join(asked)}) is "
            f"in every story that was asked for it, {frame['n'].min():,} stories or more each. Their 95 % "
            f"intervals begin at {frame['low'].min():.1%} or above.",
        )
    style = {"form": ".1%", "tooltip": ["asked"], "step": 26, "scale": {"zero": False}}
    chart = intervals(frame.rename(columns={"share": "value"}), "asked", "share of stories", **style)
    return Chart(
        chart,
        KEEPING,
        "Of the stories that were asked for a thing, the share that has it; lines are 95 % intervals over "
        "stories. The axis does not start at zero.",
    )


def _beside_chance(frame: pd.DataFrame) -> Chart:
    look = looks("stories", None, axis_order(frame["stories"]), {BY_CHANCE: CONTROL})
    look["yOffset"] = alt.YOffset("stories:N", sort=None)
    style = {"form": ".0%", "look": look, "step": 44, "scale": {"domain": [0, 1]}}
    chart = intervals(frame.rename(columns={"share": "value"}), "asked", "share of stories", **style)
    return Chart(
        chart.properties(width=420),
        KEEPING,
        "Share of stories that have the noun, the verb, the adjective they were asked for, beside stories of "
        "the same writer that were asked for nothing: what these have of it is chance. Lines are 95 % "
        "intervals over stories.",
    )


@with_rows
def diversity_chart(summary: pd.DataFrame) -> Chart:
    """Every measure for every set, the baselines in words: drawn, they would press all sets together."""
    sides = []
    for measure, meaning in MEASURES.items():
        part = summary[summary["measure"] == measure]
        ends = part.set_index("set")["value"]
        sets = part[~part["set"].isin(BASELINES)]
        if not len(sets):  # the plots of given texts are not known
            continue
        scale = "; ".join(f"{name}: {ends[name]:.3g}" for name in BASELINES if name in ends)
        title = alt.TitleParams(measure, subtitle=scale, anchor="start")
        chart = intervals(sets, "set", meaning, step=26, scale={"zero": False})
        sides.append(chart.properties(title=title, width=520))
    return Chart(
        alt.vconcat(*sides, spacing=26),
        "How diverse is each set?",
        "Points are means over blocks of equal size, lines 95 % intervals; above each panel the ends of its "
        "scale (shuffled texts share all topics and are no ceiling for the embedding). Higher is more "
        "diverse for Vendi scores and word pairs, lower for the others. Axes do not start at zero.",
    )


@with_rows
def bought_chart(bought: pd.DataFrame) -> Chart:
    """What words and features buy each generator, by the measures of the claims."""
    look = {**looks("generator"), "yOffset": alt.YOffset("generator:N", sort=None)}
    sides = [
        intervals(part, "step", _unit(str(measure)), look=look, step=52, references=[0]).properties(
            title=alt.TitleParams(str(measure), anchor="start"), width=520
        )
        for measure, part in bought.groupby("measure", sort=False)
    ]
    return Chart(
        alt.vconcat(*sides, spacing=26),
        "What do words and features buy?",
        "How much more diverse stories are when three words are asked for, and when features are asked for "
        "as well; to the right of zero is more diverse in every panel. Lines are 95 % intervals over blocks.",
    )


def _unit(measure: str) -> str:
    return "less of it (share of stories)" if measure in FALLS else "more of it"


def cost_table(costs: pd.DataFrame) -> Table:
    """What a story costs each generator."""
    shown = costs.dropna(axis="columns", how="all").rename(
        columns={"seconds": "seconds a story", "dollars": "dollars a thousand stories"}
    )
    return Table(
        shown,
        "What does a story cost?",
        "Means over all sets, the prompt's tokens apart from the story's. Seconds are those of this machine. "
        "Tokens are known of language models only, money where a price was given.",
    )


@with_rows
def copying_chart(copied: pd.DataFrame) -> Chart:
    """What stories share with the examples in their prompt, and with those of another prompt."""
    long = copied.melt(["item", "measure"], ["own", "other"], "examples", "share")
    frame = summarise(long, ["measure", "examples"], "share")
    look = {**looks("examples"), "yOffset": alt.YOffset("examples:N", sort=None)}
    chart = intervals(frame, "measure", "share that stands in the examples", look=look, step=52, form=".1%")
    return Chart(
        chart.properties(width=420),
        "How much is copied from the examples?",
        "Share of a story's words (those of the word list, without the three that were asked for) and word "
        "pairs that stand in the examples of its own prompt, beside those of another prompt, which it never "
        "saw. Lines are 95 % intervals over stories.",
    )


def coverage_chart(curve: pd.DataFrame) -> Chart:
    """Share of the word list met, by number of stories read."""
    x = alt.X("stories:Q", title="stories read (log scale)").scale(type="log")
    style = {"names": ["share"], "form": ".1%", "look": series("set", "set"), "mark": "line"}
    return Chart(
        intervals(curve, x, "share of the listed words met", **style),
        "Words met along the way",
        "The steeper a curve, the sooner a reader of these stories meets new words of the list.",
    )


def story_explorer() -> Explorer:
    """Pick words and features; see the story and which constraints hold."""

    def draw(
        plot: str, noun: str, verb: str, adjective: str, features: tuple[str, ...], number: int
    ) -> Texts:
        wanted = {"noun": noun, "verb": verb, "adjective": adjective}
        wanted = {kind: word.strip() for kind, word in wanted.items() if word.strip()}
        chosen = None if plot == "any" else plot
        try:
            return _checked(write_story(Random(number), wanted=wanted, features=features, plot=chosen))
        except UserError as error:
            return Texts([{"label": "not possible", "text": str(error)}], "Your story", "Choose other words.")

    def word(kind: str, value: str) -> ipywidgets.Combobox:
        return ipywidgets.Combobox(value=value, options=WORDS[kind], continuous_update=False)

    return Explorer(
        draw,
        plot=["any", *PLOTS],
        noun=word("noun", "kite"),
        verb=word("verb", "polish"),
        adjective=word("adjective", "shiny"),
        features=ipywidgets.SelectMultiple(options=FEATURES, value=("dialogue", "moral value"), rows=6),
        number=ipywidgets.IntSlider(1, 0, 99, continuous_update=False),
    )


def _checked(story: Story) -> Texts:
    graded, tokens = grade(story.text), set(split_words(story.text))
    held = {word: bool(tokens & {word, words.past(word)}) for word in story.words.values()}
    held |= {feature: feature in graded.features for feature in story.features}
    kept = ", ".join(f"{'✓' if holds else '✗'} {what}" for what, holds in held.items())
    sentence = (
        f"{kept or 'nothing was asked for'}. Grammar {graded.grammar:.0%}, consistency "
        f"{graded.consistency:.0%} by the exact grader."
    )
    item = {"label": story.plot, "text": story.text, "marks": _marks(story.text, list(story.words.values()))}
    return Texts([item], "Your story", sentence)
