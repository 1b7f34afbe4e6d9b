"""Pictures of 13_instruct: instructions, what is met of them by depth and combination, stories, and a try."""

from collections.abc import Mapping, Sequence

import altair as alt
import ipywidgets
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, panels
from workbench.charts.theme import CONTROL, TREATED
from workbench.charts.view import Chart, Explorer, MarkedText, Table, Texts, View, menu, with_rows
from workbench.corpora.stories import FEATURES
from workbench.studies.instruct.data import COMBINATIONS, Settings
from workbench.studies.instruct.experiment import as_asked, write
from workbench.studies.instruct.requests import KINDS, Request, Written, forms
from workbench.studies.instruct.results import UNTRAINED
from workbench.words import words as split_words

Models = Mapping[str, tuple[PreTrainedModel, PreTrainedTokenizerFast]]
_MEANS = (
    "Points are means over trainings and lines their 95 % intervals, or over stories where there is one "
    "training."
)


# ------------------------------------------------------------------------------- instructions and sizes
def instructions(asked: Sequence[Request], stories: Sequence[str], count: int = 3) -> Texts:
    """A few instructions of the test with the stories that they were made from."""
    shown = zip(asked[:count], map(Written, stories), strict=False)
    return Texts(
        [
            _checked(f"instruction {number}", request, story)
            for number, (request, story) in enumerate(shown, 1)
        ],
        "Instructions, and stories that follow them",
        "A model reads the instruction and has to write the story. Marked is what was asked for, where it "
        "stands in the story; features and summaries are read from the events.",
    )


def _checked(label: str, request: Request, story: Written) -> dict:
    """An instruction and its story, what was asked for marked."""
    text = MarkedText()
    text.add(request.prompt() + "\n")
    start = len(text.text)
    text.add(story.text)
    text.marks = [(start + begin, start + end, kind) for begin, end, kind in _marks(request, story.text)]
    return text.item(label)


def _marks(request: Request, story: str) -> list[tuple[int, int, str]]:
    """Where the words and the sentence of a request stand in a story."""
    marks = []
    if request.sentence and (at := story.find(request.sentence)) >= 0:
        marks.append((at, at + len(request.sentence), "sentence"))
    wanted = frozenset().union(*(forms(word) for word in request.words.split(", ") if word))
    at = 0
    for piece in story.replace("\n", " ").split(" "):
        bare = piece.strip('.,!?"')
        if bare and not wanted.isdisjoint(split_words(bare)):
            begin = at + piece.find(bare)
            marks.append((begin, begin + len(bare), "word"))
        at += len(piece) + 1
    return marks


def shapes(counts: pd.DataFrame) -> Table:
    """Parameters by depth. Columns: layers, width, total, embedding, other."""
    return Table(
        counts,
        "Models of one size",
        "Deeper models are narrower, so that all have about equally many parameters in total; the narrower a "
        "model, the smaller its embedding.",
    )


# ------------------------------------------------------------------------------- what is met
@with_rows
def by_layers(table: pd.DataFrame) -> Chart:
    """How many layers until an instruction arrives. Columns: layers, kind, value, low, high, n."""
    rows = table.assign(model=table["layers"].map(_layers))
    x = alt.X("model:N", title="layers", sort=[_layers(number) for number in sorted(set(table["layers"]))])
    look = looks(
        "kind", "what is asked", [kind for kind in KINDS if kind in set(table["kind"])], orient="bottom"
    )
    look["xOffset"] = alt.XOffset("kind:N", sort=list(KINDS))
    chart = intervals(rows, x, "share met beyond chance", form=".1%", tooltip=["model", "kind"], look=look)
    return Chart(
        chart.properties(width=alt.Step(16, **{"for": "offset"}), height=260),
        "How many layers until an instruction arrives?",
        "The share of what is asked that stories do, less what stories for other instructions do of it. "
        f"{_MEANS}",
    )


def _layers(number: int) -> str:
    return str(number) if number else "as given"


@with_rows
def met(table: pd.DataFrame) -> Chart:
    """Met, and met by chance. Columns: arm, kind, measure, value, low, high, n."""
    look = looks("measure", None, ["met", "by chance"], {"met": TREATED, "by chance": CONTROL}, orient="top")
    chart = intervals(
        table, "arm", "share of what is asked", form=".1%", tooltip=["arm", "kind", "measure"],
        look=look, scale={"domain": [0, 1]}, step=30,
    )  # fmt: skip
    return Chart(
        panels(
            chart.properties(width=230),
            "kind",
            [kind for kind in KINDS if kind in set(table["kind"])],
            columns=2,
        ),
        "Met, and met by chance",
        "By chance: the same share of the same instruction, read from the stories that were written for the "
        f"others. Shuffled: the control, which learnt that instructions say nothing. {_MEANS}",
    )


@with_rows
def combinations(table: pd.DataFrame) -> Chart:
    """Words and features by whether they were ever asked together.

    Columns: arm, kind, combination, value, low, high, n.
    """
    look = looks(
        "combination", "combination", COMBINATIONS, {"seen": CONTROL, "unseen": TREATED}, orient="top"
    )
    chart = intervals(
        table, "arm", "share met beyond chance", form=".1%", tooltip=["arm", "kind", "combination"],
        look=look, step=30,
    )  # fmt: skip
    return Chart(
        panels(chart.properties(width=230), "kind", ["words", "features"], columns=2),
        "Seen and unseen combinations",
        "Unseen: a first word and a feature that no training story joins, though each is in many. If both "
        f"halves are alike, a model has learnt the parts and not the pairs. {_MEANS}",
    )


@with_rows
def against_loss(table: pd.DataFrame) -> Chart:
    """What is met at equal loss. Columns: arm, seed, loss, excess, grammar."""
    base = alt.Chart(table, width=360, height=260).mark_point(filled=True, size=90)
    x = alt.X("loss:Q", title="loss on the test's stories (nats per token)").scale(zero=False)
    y = alt.Y("excess:Q", title="share met beyond chance").axis(format="%")
    names = list(dict.fromkeys(table["arm"]))
    tooltip = ["arm", "seed", alt.Tooltip("loss", format=".3f"), alt.Tooltip("excess", format=".1%")]
    return Chart(
        base.encode(x=x, y=y, tooltip=tooltip, **looks("arm", None, names, orient="bottom")),
        "At equal loss",
        "A point is a training. If depth only helped because deeper models predict better, all points would "
        "lie on one falling line; a group above the others follows more than its loss says.",
    )


def stories(answers: pd.DataFrame) -> Texts:
    """What each model of the first seed writes for the first instruction.

    Columns: as `experiment.train_all` returns them.
    """
    first = answers[answers["seed"] == answers["seed"].min()]
    first = first[first["item"] == first["item"].min()]
    items = [
        {"label": f"{arm}: {_ticks(part)}", "text": part["story"].iloc[0]}
        for arm, part in first.groupby("arm", sort=False)
    ]
    prompt = first["prompt"].iloc[0] if len(first) else ""
    return Texts(
        [{"label": "the instruction", "text": prompt}, *items],
        "One instruction, every model",
        "Always the most likely token. Behind each name the share that was met of each kind.",
    )


def _ticks(rows: pd.DataFrame) -> str:
    return ", ".join(f"{row.kind} {row.met:.0%}" for row in rows.itertuples())


def left_out(answers: pd.DataFrame, seeds: Sequence[int]) -> str:
    """A sentence on the trainings that a rule leaves out."""
    if answers["layers"].max() == 0:
        return "Nothing was trained here, so that nothing is left out."
    total, bound = answers["seed"].nunique() + len(seeds), f"{UNTRAINED:g} nats a token"
    if not seeds:
        return f"Seeds counted: all ({total}). No model ended above {bound}."
    named = ", ".join(map(str, seeds))
    return f"{len(seeds)} of {total} seeds left out, because a model ended above {bound}: {named}."


# ------------------------------------------------------------------------------- try it
def try_instruction(models: Models, request: Request, kinds: Sequence[str], settings: Settings) -> Explorer:
    """Type an instruction, choose a model, and see what is met."""

    def draw(model: str, words: str, features: tuple[str, ...], summary: str, sentence: str) -> View:
        asked = Request(words.strip(), ", ".join(features), summary.strip(), sentence.strip())
        if not asked.kinds:
            return Texts([], "Give an instruction", "Nothing is asked for: type a word.")
        prompt = as_asked(asked, models[model][1], settings)
        (story,) = write(*models[model], [prompt], settings.max_tokens)
        return Texts([_checked(model, asked, story)], "Give an instruction", _said(asked, story, kinds))

    def text(value: str) -> ipywidgets.Text:
        return ipywidgets.Text(value=value, continuous_update=False)

    chosen = tuple(name for name in request.features.split(", ") if name in FEATURES)
    return Explorer(
        draw,
        model=menu(models),
        words=text(request.words),
        features=ipywidgets.SelectMultiple(options=FEATURES, value=chosen, rows=6),
        summary=text(request.summary),
        sentence=text(request.sentence),
    )


def _said(request: Request, story: Written, kinds: Sequence[str]) -> str:
    """Ticks for what can be graded, and a word on what cannot."""
    said = []
    for kind in request.kinds:
        share = story.meets(request, kind) if kind in kinds else float("nan")
        mark = (
            "not graded" if pd.isna(share) else "✓" if share == 1 else "✗" if share == 0 else f"{share:.0%}"
        )
        said.append(f"{kind} {mark}")
    met = ", ".join(said)
    return f"Met: {met}. The most likely story is written, so that the same words give the same story."
