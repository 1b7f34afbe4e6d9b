"""Pictures of 02_tiny_models: losses, grades by size, samples, questions, and what is copied."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.charts.intervals import intervals
from workbench.charts.live_view import Example, live_or_why_not
from workbench.charts.parts import axis_order, looks, panels, same_color, tips
from workbench.charts.theme import series
from workbench.charts.view import Chart, Explorer, Table, Texts, View, menu, with_rows
from workbench.corpora.stories import grade
from workbench.engine.live import block
from workbench.engine.models import count_parameters
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.measures.summaries import summarise_measures
from workbench.studies.tiny_models.given import ASKED
from workbench.studies.tiny_models.grading import WHOLE
from workbench.studies.tiny_models.judge import agreement
from workbench.studies.tiny_models.ladder import ASIDE, Fitted
from workbench.studies.tiny_models.results import FLOOR, accuracies, by_unit, summary

_OVER = "they are over trainings where each model was trained five times or more, else over items"


def parameter_table(frame: pd.DataFrame) -> Table:
    """Sizes of the models, parameters counted apart."""
    return Table(
        frame,
        "The models",
        "A name says neither all parameters nor those outside the embedding, so both are here; weights used "
        "twice (embedding and output) count once.",
    )


def loss_view(curves: pd.DataFrame, losses: pd.DataFrame) -> View:
    """Held-out loss while training and at the end; without a training, the figures alone."""
    title = "Loss on held-out stories"
    if curves.empty:
        final = summary(losses, ["nats_per_token", "bits_per_byte"])
        return Table(final, title, f"Each story is scored by itself; {_OVER}.")
    ends = summary(losses, ["nats_per_token"])
    # Beside each other, or those of models that end alike would hide each other.
    ends["tokens"] = curves["tokens"].max() * (1.025 + 0.02 * np.arange(len(ends)))
    read = curves[curves["tokens"] > 0].groupby(["model", "tokens"], sort=False, as_index=False)
    read, look = read["held_out_nats"].mean(), series("model", "model")
    x = alt.X("tokens:Q", title="tokens read").axis(format="~s")
    style = {"names": ["held_out_nats"], "look": look, "scale": {"zero": False}, "mark": "line"}
    lines = intervals(read, x, "held-out loss (nats per token)", **style)
    ends = alt.Chart(ends).encode(same_color(look, alt.Stroke), x="tokens:Q")
    bars = ends.mark_rule(strokeWidth=2.5).encode(y="low:Q", y2="high:Q")
    means = ends.mark_tick(orient="horizontal", size=11, thickness=2.5).encode(
        y="value:Q", tooltip=["model", *tips(".3f", "value", "low", "high")]
    )
    return Chart(
        lines + bars + means,
        title,
        "Each line is one model while it trains, the mean of its trainings; lower is better. The marks at "
        f"the right end are the final means with their 95 % intervals; {_OVER}.",
    )


ABILITIES = {
    "grammar": "grammar",
    "coherent": "coherent",
    "consistency": "consistency",
    "keeps": "keeps the names",
    "no_repeats": "no repetition",
    "like_ending": "like the true ending",
}


def beside_endings(measured: pd.DataFrame, true: pd.DataFrame) -> Chart:
    """Overlaps of a given model's continuations beside those of the true endings, which no grader reads."""
    known = {name: title for name, title in ABILITIES.items() if measured[name].notna().any()}
    frame = pd.concat([measured, true], ignore_index=True)
    frame = summarise_measures(by_unit(frame, ["model"], list(known)), ["model"], known)
    look = {**looks("model"), "yOffset": alt.YOffset("model:N", sort=None)}
    chart = intervals(
        frame, "measure", "mean over held-out stories", form=".1%", tooltip=["model"], look=look,
        scale={"domain": [0, 1]}, step=52,
    )  # fmt: skip
    return Chart(
        chart.properties(width=420),
        "Stories beside true endings",
        "Names of the beginning that come up again, stories without a repeated 4-gram, word pairs shared "
        f"with the true ending: none of these needs a grader. Behind “{ASKED.strip(', ')}” an instruct model "
        "was asked, through its chat template, to go on; otherwise it goes on as with any text. Lines are "
        "95 % intervals over stories.",
    )


def abilities(measured: pd.DataFrame, counts: pd.DataFrame) -> Chart:
    """Grades and overlaps by number of parameters, without the pair of shapes."""
    frame = summarise_measures(by_unit(measured, ["model"], list(ABILITIES)), ["model"], ABILITIES)
    frame = frame.merge(counts[["model", "total"]], on="model")
    frame = frame[~frame["model"].isin(ASIDE)]
    x = alt.X("total:Q", title="parameters (log scale)").scale(type="log", nice=False).axis(format="~s")
    look, scale = series("measure", "measure"), {"domain": [0, 1]}
    style = {"form": ".1%", "tooltip": ["model", "measure"], "look": look, "scale": scale, "mark": "line"}
    return Chart(
        intervals(frame, x, "mean over held-out stories", **style),
        "Grades by size",
        "Shares of sentences by the exact grader: grammatical; of these, consistent with all before; of all, "
        "coherent, which is both. Names kept, stories without "
        "a repeated 4-gram, word pairs shared with the true ending need no grader. Upright lines are 95 % "
        f"intervals; {_OVER}.",
    )


@with_rows
def judge_table(judged: pd.DataFrame) -> Table:
    """Scores of the judge by model, and how they agree with exact rules."""
    scores = summary(judged, ["grammar", "creativity", "consistency"])
    agreed = agreement(judged).assign(model="all", measure=lambda rows: rows["score"] + " ~ " + rows["rule"])
    failed = int((judged["failure"] != "").sum())
    return Table(
        pd.concat([scores, agreed[scores.columns]]),
        "What the judge says",
        f"Mean scores out of ten with 95 % intervals; {failed} of {len(judged)} replies could not be "
        "read. Rows with ~ are rank correlations of a score with a rule that needs no judge.",
    )


def accuracy_chart(answers: pd.DataFrame) -> Chart:
    """Accuracy on questions by kind and model, chance at one half."""
    style = {"form": ".1%", "tooltip": ["model", "kind"], "scale": {"domain": [0, 1]}, "step": 26}
    shares = accuracies(answers[answers["read"] == WHOLE])
    chart = intervals(shares, "model", "right answers", references=[0.5], **style)
    return Chart(
        panels(chart.properties(width=150), "kind", ["fact", "reasoning", "consistency", "lure"], columns=2),
        "Facts, reasoning, consistency",
        "Two ways to go on, one right; the dashed line is guessing. A lure is the commonest word: who reads "
        f"nothing takes it. Points are shares of right answers, lines 95 % intervals; {_OVER}.",
    )


@with_rows
def question_table(questions: pd.DataFrame) -> Table:
    """What was asked, and how often it was answered rightly: `results.questions`."""
    return Table(
        questions,
        "Question by question",
        "Shares of right answers of the smallest and of the largest model; under one sentence, the largest "
        "model's when all of the story but the sentence before is cut away. Where the largest answers fewer "
        f"than {FLOOR:.0%}, a question tells nothing about these models.",
    )


@with_rows
def samples(completed: pd.DataFrame, *, exact: bool) -> Texts:
    """The first beginning, its true ending, and how each model of one seed goes on; objections are marked."""
    first = completed.iloc[0]
    rows = completed[(completed["item"] == first["item"]) & (completed["seed"] == first["seed"])]
    items = [
        {"label": "the beginning", "text": first["beginning"] + " …"},
        {"label": "the true ending", "text": "…" + first["ending"]},
    ]
    for row in rows.itertuples():
        marks = objections(row.beginning, row.completion) if exact else []
        items.append({"label": row.model, **_from_the_first_word(row.completion, marks)})
    return Texts(
        items,
        "The same beginning, told by every model",
        "Marked are what the grader cannot read as a sentence of the stories' language, and sentences that "
        "cannot be true after what was told before."
        if exact
        else "No grader reads these stories: nothing is marked.",
    )


def _from_the_first_word(text: str, marks: list[tuple[int, int, str]]) -> dict[str, Any]:
    """A completion without the blank that joins it to its beginning."""
    shown = text.lstrip(" ")
    blank = len(text) - len(shown)
    return {"text": shown, "marks": [(max(a - blank, 0), b - blank, kind) for a, b, kind in marks]}


def objections(beginning: str, completion: str) -> list[tuple[int, int, str]]:
    """Spans of a completion that the exact grader objects to."""
    start = len(beginning)
    return [
        (max(s.start - start, 0), s.end - start, "cannot be true" if s.event else "not a sentence")
        for s in grade(beginning + completion, beginning).sentences
        if s.event is None or s.violations
    ]


def greedy(texts: pd.DataFrame) -> Texts:
    """What the models write from nothing at temperature 0."""
    return Texts(
        [{"label": row.model, "text": row.text} for row in texts.itertuples()],
        "From nothing, the most likely word each time",
        "Greedy decoding from the beginning of a text: a model's favourite story, which may turn in circles.",
    )


def copying(measured: pd.DataFrame) -> Chart:
    """How much of a completion stands in one training story, beside the true ending."""
    endings = pd.DataFrame({"model": "the true endings", "copied": measured["copied_ending"]})
    frame = pd.concat([measured[["model", "copied"]], endings.iloc[: measured["item"].nunique()]])
    boxes = alt.Chart(frame, height=alt.Step(30)).mark_boxplot(size=16, outliers={"size": 12, "opacity": 0.5})
    boxes = boxes.encode(
        x=alt.X("copied:Q", title="largest share of word pairs in one training story").axis(format="%"),
        y=alt.Y("model:N", title=None, sort=axis_order(frame["model"])),
    )
    return Chart(
        boxes,
        "Are the stories copies?",
        "A box holds the middle half of a model's completions, its line is the median. Copies would stand "
        "near 100 %; the last row is what true endings of the same length share with one.",
    )


def longest_copies(copies: pd.DataFrame) -> Table:
    """The longest verbatim copies (columns model, words, text)."""
    return Table(
        copies,
        "The longest verbatim copies",
        "Runs of words that a completion has in common with one training story, longest first.",
    )


def live_stories(fitted: Fitted, names: Sequence[str], beginnings: Sequence[str]) -> View:
    """Models that go on with the reader's beginning, or one of these, side by side, in the page itself."""

    def blocks() -> dict[str, dict[str, Any]]:
        return {name: block(*fitted[name], about={"size": _parameters(fitted[name][0])}) for name in names}

    return live_or_why_not(
        blocks,
        "Your beginning, every model",
        "Type, and all models go on; below each stand the words that it finds likeliest at the cursor. The "
        "models are part of this page: nothing is sent anywhere, and no kernel runs.",
        examples=[Example(f"… {' '.join(text.split()[-4:])}", text) for text in beginnings],
    )


def _parameters(model: PreTrainedModel) -> str:
    return f"{count_parameters(model).total:,} parameters"


def story_teller(fitted: Fitted, beginning: str, *, exact: bool) -> Explorer:
    """Type a beginning, choose a model and a temperature, and read on."""

    def draw(model: str, temperature: float, number: int, beginning: str) -> Texts:
        sampler = TransformersSampler(*fitted[model])
        params = SamplingParams(max_tokens=180, temperature=temperature, seed=number)
        (reply,) = sampler.sample([beginning], params)[0]
        items: list[dict[str, Any]] = [{"label": "the beginning", "text": beginning + " …"}]
        sentence, marks = f"{model} goes on at temperature {temperature:g}.", []
        if exact and (graded := grade(beginning + reply.text, beginning)).sentences:
            marks = objections(beginning, reply.text)
            # Where no sentence is one of the language, none says anything.
            said = "" if pd.isna(graded.consistency) else f", consistency {graded.consistency:.0%}"
            sentence += f" Grammar {graded.grammar:.0%}{said} by the exact grader."
        items.append({"label": model, **_from_the_first_word(reply.text, marks)})
        return Texts(items, "Go on with a story", sentence)

    largest = max(fitted, key=lambda name: count_parameters(fitted[name][0]).total)
    return Explorer(
        draw,
        model=menu(fitted, largest),
        temperature=ipywidgets.FloatSlider(0.5, min=0, max=1.5, step=0.1, continuous_update=False),
        number=ipywidgets.IntSlider(0, 0, 20, continuous_update=False),
        beginning=ipywidgets.Textarea(beginning, continuous_update=False),
    )
