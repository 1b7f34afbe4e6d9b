"""A small finished run, written as the lab writes one, with every kind of view and of hostile text."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import altair as alt
import ipywidgets
import nbformat
import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.charts.theme import ON_BRIGHT, ON_DIM, PALETTE, series
from workbench.charts.view import Chart, Explorer, Table, Texts

SCRIPT = "</script><script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 2'>"
HOSTILE = [
    SCRIPT,
    IMAGE,
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "right\u202eto left",
    "nul \x00 end",
    "surrogate \ud800 end",
    "'\"><svg onload='window.hacked = 3'>",
    '=HYPERLINK("http://example.invalid")',
]

IN_FRAMES = [text for text in HOSTILE if "\ud800" not in text]  # pandas 3 holds no lone surrogate


def loss_chart() -> Chart:
    rows = [
        {"model": model, "step": step, "loss": 1.15 + floor + 5.2 * step**-0.42}
        for model, floor in [("0.1M", 0.62), ("0.4M", 0.34), ("1M", 0.16), ("3M", 0.0)]
        for step in range(20, 1001, 70)
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("step:Q", title="training step"),
            y=alt.Y("loss:Q", title="held-out loss (nats per token)").scale(zero=False),
            tooltip=["model", "step", alt.Tooltip("loss", format=".3f")],
            **series("model", "Parameters"),
        )
    )
    sentence = (
        "Each line is one model; lower is better. The order of sizes is settled after 200 steps and keeps."
    )
    return Chart(chart, "Larger models reach lower loss", sentence)


def grades_chart() -> Chart:
    rows = [
        {"size": size, "grade": grade, "score": score, "low": score - 4.1, "high": score + 4.1}
        for grade, scores in [("grammar", (61, 83, 91, 93)), ("consistency", (22, 35, 52, 68))]
        for size, score in zip(["0.1M", "0.4M", "1M", "3M"], scores, strict=True)
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(x=alt.X("size:O", title="parameters", sort=None))
    bars = base.mark_rule(strokeWidth=1.5).encode(
        y="low:Q", y2="high:Q", stroke=alt.Stroke("grade:N", legend=None)
    )
    points = base.mark_line(point=alt.OverlayMarkDef(size=90)).encode(
        y=alt.Y("score:Q", title="stories without a mistake (%)"),
        tooltip=["size", "grade", "score"],
        **series("grade", "Grade"),
    )
    sentence = (
        "Bars are 95 % intervals over 200 stories. Grammar flattens at 0.4M while consistency still rises."
    )
    return Chart(bars + points, "Grammar saturates before consistency", sentence)


def map_chart() -> Chart:
    random = np.random.default_rng(0)
    rows = [
        {"x": round(float(x), 3), "y": round(float(y), 3), "topic": topic, "story": text}
        for topic, (cx, cy) in [("animals", (-1.6, 0.4)), ("family", (1.2, 1.1)), ("playground", (0.4, -1.5))]
        for x, y, text in zip(
            random.normal(cx, 0.6, 60), random.normal(cy, 0.5, 60), [f"A story of {topic}."] * 60, strict=True
        )
    ]
    for row, text in zip(rows, IN_FRAMES, strict=False):
        row["story"] = text
    brush = alt.selection_interval(name="brush")
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_point()
        .encode(
            x=alt.X("x:Q", title="first principal component"),
            y=alt.Y("y:Q", title="second principal component"),
            color=alt.when(brush).then(alt.Color("topic:N", title="Topic")).otherwise(alt.value("#8a8a86")),
            shape=alt.Shape("topic:N", title="Topic"),
            tooltip=["story", "topic"],
        )
        .add_params(brush)
    )
    sentence = "One point is one story; drag over the map to keep a region in colour, hover to read."
    return Chart(chart, "Three topics stand apart", sentence)


def heads_explorer() -> Explorer:
    random = np.random.default_rng(1)
    entropy = random.uniform(0.2, 4.0, (4, 6, 8))

    def draw(layers: int) -> Chart:
        rows = [
            {"layer": layer + 1, "head": head + 1, "entropy": float(entropy[0, layer, head])}
            for layer in range(layers)
            for head in range(8)
        ]
        base = alt.Chart(pd.DataFrame(rows), height=layers * 38).encode(
            x=alt.X("head:O", title="head", axis=alt.Axis(labelAngle=0)), y=alt.Y("layer:O", title="layer")
        )
        cells = base.mark_rect().encode(color=alt.Color("entropy:Q", title="Entropy (bits)"))
        light = alt.when("datum.entropy > 2.6").then(alt.value(ON_BRIGHT)).otherwise(alt.value(ON_DIM))
        labels = base.mark_text(fontSize=11).encode(text=alt.Text("entropy:Q", format=".1f"), color=light)
        sentence = f"Entropy of attention in the first {layers} layers; dark heads look at few tokens."
        return Chart(cells + labels, "Early heads are sharp", sentence)

    return Explorer(draw, layers=ipywidgets.IntSlider(4, 1, 6))


def facet_chart() -> Chart:
    rows = [
        {
            "length": length,
            "accuracy": max(4, 100 - slope * max(0, length - 4)),
            "from": start,
            "depth": depth,
        }
        for start, extra in [("scratch", 9), ("stories", 5)]
        for depth, slope in [("2 layers", extra + 4), ("4 layers", extra), ("8 layers", extra - 3)]
        for length in range(1, 13)
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows), width=190, height=160)
        .mark_line(point=True)
        .encode(
            x=alt.X("length:Q", title="chain length"),
            y=alt.Y("accuracy:Q", title="accuracy (%)"),
            column=alt.Column("depth:N", title=None),
            tooltip=["from", "depth", "length", "accuracy"],
            **series("from", "Trained from"),
        )
    )
    return Chart(
        chart, "Depth buys steps of reasoning", "Accuracy falls past four links, later in deeper models."
    )


def bars_chart() -> Chart:
    frame = pd.DataFrame(
        {"words": [18, 34, 61], "condition": ["none", "three words", "three words and features of the story"]}
    )
    base = alt.Chart(frame, height=120).encode(
        y=alt.Y("condition:N", title="condition", sort=None),
        x=alt.X("words:Q", title="effective number of stories"),
    )
    labels = base.mark_text(align="left", dx=5).encode(text="words:Q")
    chart = base.mark_bar(color=PALETTE[0]) + labels
    return Chart(
        chart, "Conditioning raises diversity", "Vendi score of 200 stories each; 200 would be all different."
    )


def stories_texts() -> Texts:
    story = (
        "Lily had a red ball. She gave the ball to Tom. Tom was happy. Lily played with her red ball all day."
    )
    good = "Lily had a red ball. She gave the ball to Tom. Tom threw it high and Lily laughed."
    return Texts(
        [
            {"label": "0.1M", "text": story, "marks": [(0, 4, "character"), (61, 101, "contradiction")]},
            {
                "label": "3M",
                "text": good,
                "marks": [(0, 4, "character"), (42, 45, "character"), (47, 50, "character")],
            },
            {"label": IMAGE, "text": "\n".join(HOSTILE), "marks": [(0, 9, SCRIPT)]},
        ],
        "The same beginning, told by two models",
        "The small model forgets that the ball was given away.",
    )


def grades_table() -> Table:
    frame = pd.DataFrame(
        {
            "model": ["0.1M", "0.4M", "1M", "3M"],
            "parameters": [102_400, 398_336, 1_066_112, 3_051_264],
            "loss (nats per token)": [2.0431, 1.7215, 1.5514, 1.3902],
            "grammar": [0.61, 0.83, 0.91, 0.93],
            "example": ["Tom ran ran.", SCRIPT, "Lily was sad.", None],
        }
    )
    return Table(frame, "The ladder in numbers", "Grammar: share of 200 stories without a mistake.")


CLAIMS = [
    {"name": "depth-context", "says": "Depth buys context tracking, width buys facts.",
     "paper": "Section 4.2, qualitative.", "effect": 0.041, "low": -0.018, "high": 0.102, "n": 96,
     "over": "questions", "unit": "", "delta": 0.01, "delta_reason": "one question in a hundred",
     "verdict": "not resolved at this scale", "view": "Depth buys steps of reasoning"},
    {"name": "grammar-first", "says": "Grammar saturates at a smaller size than consistency.",
     "paper": "Eldan and Li (2023), figure 4: grammar flat from 3M, consistency rising to 33M.",
     "effect": 31.2, "low": 22.4, "high": 40.3, "n": 200, "over": "stories", "trainings": 2, "unit": "points",
     "published": 38.0, "headline": True, "verdict": "seen in 2 trainings",
     "view": "Grammar saturates before consistency"},
    {"name": "no-copies", "says": "Generated stories are not copies of the training set.",
     "paper": "ROUGE-2 precision below 0.2 for most stories.", "effect": -0.32, "low": -0.41, "high": -0.22,
     "n": 1500, "unit": "bits", "verdict": "opposite", "view": "A figure that is not there"},
    {"name": "hostile", "says": SCRIPT, "paper": IMAGE, "effect": None, "low": float("nan"), "high": None,
     "n": None, "over": IMAGE, "unit": "", "delta": 0.5, "delta_reason": "\n".join(HOSTILE[2:]),
     "gates": [{"name": IMAGE, "value": None, "low": 0.2, "high": 0.8}],
     "verdict": "not resolved at this scale", "view": None},
]  # fmt: skip

RUN = {
    "schema": 1, "notebook": "02_tiny_models", "title": "Tiny models and the order in which abilities emerge",
    "key": "3fa9c1d2b7e0", "status": "done", "seed": 0, "seconds": 83.4,
    "started": "2026-11-20T21:30:00+00:00",
    "params": {"profile": "laptop", "seed": 0, "data": "embedded", "n_stories": None,
               "prompt": "Once upon a time"},
    "set": ["profile", "prompt"],
    "inputs": {"01_stories": "9c0ffee12345"},
    "environment": {"python": "3.11.2", "git": "a1b2c3d4e5f6", "device": "cpu, 2 threads", 
                    "packages": {"torch": "2.13.0", "altair": "6.3.0"}},
}  # fmt: skip

INTRODUCTION = r"""# Tiny models and the order in which abilities emerge

How small can a language model be and still speak coherent English? Eldan and Li trained models of one to
thirty-three million parameters on stories that a three-year-old understands, and saw abilities arrive one
after the other: grammar first, then consistency, then something like reasoning.

Here the stories come from a small simulated world, so who holds what is *known* for every sentence and a
story can be graded exactly. A model with parameters $\theta$ is trained on next-token loss,

$$\mathcal{L}(\theta) = -\frac{1}{T}\sum_{t=1}^{T} \log p_\theta(x_t \mid x_{<t}),$$

and graded by the share of its stories that contain no mistake.

## Training the ladder
"""

GRADING = """Grading is exact: the simulator replays each sentence and notes where it *breaks*.

## Grammar, then consistency

Two grades tell the sizes apart."""

MISTAKES = """### What the mistakes look like

The text of the smallest model reads well, sentence by sentence; it is the *story* that falls apart."""

INSIDE = """## Inside the models

Heads differ in how widely they look, and depth differs in how far a chain can be followed."""

INERT = rf"""## Things that must stay inert

{SCRIPT}

[link](javascript:alert(1)) ![picture](http://example.invalid/x.png) $\text{{{IMAGE}}}$ and {IMAGE}"""


def example_notebook() -> nbformat.NotebookNode:
    """Return the example as an executed notebook."""
    widget = {"text/plain": "HBox(children=…)", "application/vnd.jupyter.widget-view+json": {"model_id": "0"}}
    noise = [
        new_output("stream", name="stderr", text="100%|█████| 40/40 [00:01<00:00, 31.2it/s]\n"),
        new_output("stream", name="stdout", text="\r 10%\r 90%\rtrained 4 models\n\x1b[32mdone\x1b[0m\n"),
        new_output("display_data", data=widget),
    ]
    foreign = {"text/html": f"<b>raw</b>{SCRIPT}", "text/plain": "a foreign object"}
    hostile = [
        new_output("stream", name="stdout", text="\n".join(HOSTILE) + "\n" + "x" * 1_000_000),
        new_output("display_data", data=foreign),
    ]
    training = "history = train_ladder(stories)  # four models\nfor model in history:\n    print(model)"
    cells = [
        new_markdown_cell(INTRODUCTION),
        new_code_cell("profile: str = 'tiny'  # sizes", metadata={"tags": ["parameters"]}),
        new_code_cell(training, outputs=noise),
        _shown("loss_curves(history)", loss_chart()),
        new_markdown_cell(GRADING),
        _shown("grades(history)", grades_chart()),
        _shown("numbers(history)", grades_table()),
        new_markdown_cell(MISTAKES),
        _shown("samples(history)", stories_texts()),
        new_markdown_cell("## A map of the stories\n\nSimilar stories lie near each other."),
        _shown("story_map(stories)", map_chart()),
        _shown("diversity(stories)", bars_chart()),
        new_markdown_cell(INSIDE),
        _shown("heads(model)", heads_explorer()),
        _shown("chains(history)", facet_chart()),
        new_markdown_cell(INERT),
        new_code_cell("print(texts)", outputs=hostile),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(metadata={"kernelspec": kernel}, cells=cells)


def unpacked(text: str) -> str:
    """What a page has packed, as its script unpacks it."""
    return gzip.decompress(base64.b64decode(text)).decode()


def write_example_run(runs: Path, **changes: Any) -> Path:
    """Write the run folder below `runs` and return it; `changes` replace entries of run.json."""
    run = {**RUN, **changes}
    folder = runs / run["notebook"] / run["key"]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "claims.json").write_text(json.dumps(CLAIMS))
    (folder / "notebook.ipynb").write_text(json.dumps(example_notebook()))
    return folder


def _shown(source: str, view: Any) -> nbformat.NotebookNode:
    data, metadata = view._repr_mimebundle_()
    return new_code_cell(source, outputs=[new_output("display_data", data=data, metadata=metadata)])
