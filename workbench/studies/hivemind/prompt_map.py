"""The prompt-centred view of 10_hivemind: from all prompts to two answers side by side, in one chart.

A heat map of prompts by models; for the prompt that is clicked, a matrix of pairs of models and a map of its
answers, classes of meaning outlined; and the answer that is clicked beside its nearest one by another model,
with the words that both share marked. All of it is one Vega-Lite chart, so that it lives in a report too.
"""

from itertools import accumulate

import altair as alt
import numpy as np
import pandas as pd
from scipy.spatial import ConvexHull, QhullError

from workbench.charts.labels import short_labels, shorten, wrap
from workbench.charts.parts import axis_order, tips
from workbench.charts.theme import INK, MUTED, PALETTE
from workbench.charts.vegalite import MAX_ROWS
from workbench.charts.view import Chart, with_rows
from workbench.sanitize import sanitize
from workbench.studies.hivemind.data import INVALID

PROMPTS, MODELS = 40, 30  # rows and columns of the heat map; more could not be read
CLASSES = 6  # of one prompt that are outlined and named
_LINES, _COLUMNS = 9, 38  # of an answer that is read
_CHARACTER = 6.5  # pixels of one in the answers
_BRIGHTEST = 1.25  # likeness beyond which colours do not change: there answers are copies
_SIGNS = "regexp('[.,;:!?\"()*]', 'g')"
_CELL = ["model", "rescaled", "same", "valid", "meanings"]
_PAIR = ["first", "second", "rescaled", "same"]
_POINT = ["id", "model", "text", "meaning", "x", "y", "partner"]
_MODELS = {
    "labelAngle": -45,
    "orient": "top",
    "labelOverlap": False,
    "labelFontSize": 10.5,
    "labelLimit": 130,
}
_NO_AXIS = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
_ONE = {"toggle": False, "empty": False, "clear": False}
_PAIR_CLICKED = alt.selection_point(name="pair", fields=["first", "second"], toggle=False)
_CHOSEN = alt.selection_point(name="chosen", fields=["id", "prompt"], **_ONE)


@with_rows
def explorer(table: pd.DataFrame, pairs: pd.DataFrame, points: pd.DataFrame) -> Chart:
    """The whole view.

    Args:
        table: of `intra_model_repetition`: columns prompt_id, prompt, model, rescaled, same, valid, meanings.
        pairs: of `inter_model_homogeneity`: columns first, second, prompt_id, rescaled, same.
        points: of `answer_map`: columns id, prompt_id, model, text, meaning, x, y, partner.
    """
    n_prompts, n_models = table["prompt_id"].nunique(), table["model"].nunique()
    table, pairs, points = _shown(table, pairs, points)
    labels, models = list(table["prompt"].unique()), list(points["model"].unique())
    asked = alt.selection_point(name="asked", fields=["prompt"], value=[{"prompt": labels[0]}], **_ONE)
    rows = _points(points)
    most = np.nan_to_num(table["rescaled"].quantile(0.95), nan=1.0)
    shades = alt.Scale(domain=[0, round(float(np.clip(most, 0.2, _BRIGHTEST)), 2)], clamp=True)
    right = alt.vconcat(_matrix(pairs, models, asked, shades), _cloud(rows, asked), spacing=14)
    top = alt.hconcat(_heat(table, models, asked, shades), right, spacing=14)
    read = alt.hconcat(_read(rows, mine=True), _read(rows, mine=False), spacing=24)
    own = {"color": "independent"}
    return Chart(
        alt.vconcat(top, read, spacing=18).resolve_scale(**own).resolve_legend(**own),
        "Prompts, models, answers",
        "Click a cell on the left to choose its prompt. On the right: how alike two models' answers to it "
        "are (click a pair to fade the others), and its answers as points, meanings outlined. Click a point "
        "to read it beside the nearest answer of another model; what both share is marked."
        + f" Of {n_prompts} prompts {len(labels)} are shown, evenly from the most to the least repetitive."
        * (len(labels) < n_prompts)
        + f" Of {n_models} models the first {MODELS} are shown." * (n_models > MODELS),
    )


def _shown(table: pd.DataFrame, pairs: pd.DataFrame, points: pd.DataFrame) -> list[pd.DataFrame]:
    """What the view needs of each, with short names; prompts whose answers most often agree come first."""
    drawn = list(table["model"].unique()[:MODELS])
    table, points = table[table["model"].isin(drawn)], points[points["model"].isin(drawn)]
    pairs = pairs[pairs["first"].isin(drawn) & pairs["second"].isin(drawn)]
    n_pairs = len(pairs.drop_duplicates(["first", "second"]))
    most = min(PROMPTS, MAX_ROWS // max(1, n_pairs))
    order = table.groupby("prompt_id")["same"].mean().sort_values(ascending=False, kind="stable").index
    kept = list(order[np.unique(np.linspace(0, len(order) - 1, most).round().astype(int))])
    texts = table.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
    prompts = dict(zip(kept, _labels([texts[prompt] for prompt in kept]), strict=True))
    models = _short(list(table["model"].unique()))
    shown = []
    for frame, columns in ((table, _CELL), (pairs, _PAIR), (points, _POINT)):
        part = frame[frame["prompt_id"].isin(kept)]
        names = {name: part[name].map(models) for name in ("model", "first", "second") if name in columns}
        part = part.assign(prompt=part["prompt_id"].map(prompts), **names)[["prompt", *columns]]
        shown.append(part.round(3))  # a report carries every digit
    rank = list(prompts.values()).index
    shown[0] = shown[0].sort_values("prompt", key=lambda prompt: prompt.map(rank), kind="stable")
    return shown


def _labels(prompts: list[str]) -> list[str]:
    """Prompts short enough for an axis, each a different one."""
    short = [shorten(sanitize(" ".join(prompt.split())), 35) for prompt in prompts]
    copies = pd.Series(short).groupby(short).cumcount()
    return [
        f"{label} ({number + 1})" if number else label for label, number in zip(short, copies, strict=True)
    ]


def _short(models: list[str]) -> dict[str, str]:
    """Names of models without what stands before the last slash, where that leaves them different."""
    last = {name: shorten(sanitize(name.rsplit("/", 1)[-1]), 40) for name in models}
    return last if len(set(last.values())) == len(models) else {name: sanitize(name, 200) for name in models}


def _points(points: pd.DataFrame) -> pd.DataFrame:
    """At most MAX_ROWS of them, wrapped, with the rank of their class and whether they come first."""
    cells = points.groupby(["prompt", "model"], sort=False)
    kept = points[cells.cumcount() < max(2, MAX_ROWS // cells.ngroups)]
    kept = kept.assign(partner=kept["partner"].where(kept["partner"].isin(kept["id"]), kept["id"]))
    sizes = kept[kept["meaning"] != INVALID].groupby("prompt")["meaning"].value_counts()
    rank = sizes.groupby("prompt").rank(method="first", ascending=False)
    ranks = rank.reindex(pd.MultiIndex.from_frame(kept[["prompt", "meaning"]])).to_numpy()
    meanings = kept["meaning"].str.replace("{her}", "their")
    return kept.assign(
        text=kept["text"].map(_wrapped),
        meaning=meanings.replace(short_labels(meanings, 60)),
        head=[
            f"{shorten(name, 20)}: {shorten(meaning, 20)}"
            for name, meaning in zip(kept["model"], meanings, strict=True)
        ],
        rank=np.where(ranks <= CLASSES, ranks, 0).astype(int),
        opens=~kept.duplicated("prompt"),
    )


def _wrapped(text: str) -> str:
    return "\n".join(wrap(" ".join(sanitize(text, 400).split()), _COLUMNS, _LINES))


# ------------------------------------------------------------------------------- all prompts
def _heat(table: pd.DataFrame, models: list[str], asked: alt.Parameter, shades: alt.Scale) -> alt.LayerChart:
    prompts, step = axis_order(table["prompt"]), min(16, 240 // table["model"].nunique())
    base = alt.Chart(table, width=alt.Step(step), height=alt.Step(15)).encode(
        x=alt.X("model:N", title=None, sort=axis_order([*models, *table["model"]])).axis(**_MODELS),
        y=alt.Y("prompt:N", title=None, sort=prompts).axis(labelFontSize=10, labelLimit=190),
    )
    color = alt.Color("rescaled:Q", title="likeness (1: paraphrases)", scale=shades)
    cells = base.mark_rect(cursor="pointer").encode(
        color=color.legend(orient="bottom", gradientLength=150, titleLimit=300),
        tooltip=["prompt", "model", "meanings", *tips(".2f", "rescaled", "same", "valid")],
    )
    ring = base.mark_rect(fillOpacity=0, stroke=PALETTE[1], strokeWidth=1.8).transform_filter(asked)
    return cells.add_params(asked) + ring


# ------------------------------------------------------------------------------- one prompt
def _matrix(pairs: pd.DataFrame, models: list[str], asked: alt.Parameter, shades: alt.Scale) -> alt.Chart:
    step = 205 / max(len(models), 3)
    chart = alt.Chart(pairs, width=alt.Step(step), height=alt.Step(min(step, 19)))
    # The data hold each pair once: the page would be half as large again with both orders.
    cells = (
        chart.transform_filter(asked)
        .transform_calculate(turned="datum.first == datum.second ? [0] : [0, 1]")
        .transform_flatten(["turned"])
        .transform_calculate(
            left="datum.turned ? datum.second : datum.first",
            right="datum.turned ? datum.first : datum.second",
        )
        .transform_calculate(first="datum.left", second="datum.right")
        .mark_rect(cursor="pointer")
    )
    cells = cells.encode(
        x=alt.X("first:N", title=None, sort=models).axis(**_MODELS),
        y=alt.Y("second:N", title=None, sort=models).axis(labelLimit=120, labelFontSize=10.5),
        color=alt.Color("rescaled:Q", legend=None, scale=shades),
        opacity=alt.when(_PAIR_CLICKED).then(alt.value(1)).otherwise(alt.value(0.35)),
        tooltip=["first", "second", *tips(".2f", "rescaled", "same")],
    )
    return cells.add_params(_PAIR_CLICKED)


def _cloud(rows: pd.DataFrame, asked: alt.Parameter) -> alt.LayerChart:
    x = alt.X("x:Q", title="its answers (principal components)").axis(_NO_AXIS).scale(zero=False, padding=12)
    y = alt.Y("y:Q", title=None).axis(_NO_AXIS).scale(zero=False, padding=12)
    ranks = alt.Scale(domain=range(CLASSES + 1), range=[MUTED, *PALETTE[:CLASSES]])
    outlines = alt.Chart(_outlines(rows)).transform_filter(asked)
    fill = alt.Fill("rank:N", scale=ranks, legend=None)
    outlines = outlines.mark_line(interpolate="linear-closed", filled=True, fillOpacity=0.14)
    outlines = outlines.encode(x=x, y=y, order="corner:Q", detail="meaning:N", fill=fill)
    of_pair = "!pair.first || indexof(pair.first, datum.model) >= 0 || indexof(pair.second, datum.model) >= 0"
    base = alt.Chart(rows).transform_filter(asked).encode(x=x, y=y)
    dots = base.mark_point(filled=True, size=55, cursor="pointer").encode(
        color=alt.Color("rank:N", scale=ranks, legend=None),
        opacity=alt.when(of_pair).then(alt.value(0.85)).otherwise(alt.value(0.08)),
        tooltip=["model", "meaning", "text"],
    )
    ring = base.mark_point(filled=False, size=190, strokeWidth=2.5, color=PALETTE[1]).transform_filter(_READ)
    names = alt.Chart(_names(rows)).transform_filter(asked)
    names = names.mark_text(fontSize=11, fontWeight=600, color=INK)
    names = names.encode(x=x, y=y, text="name:N")
    # points last: what lies on top takes the clicks
    return (outlines + names + ring + dots.add_params(_CHOSEN)).properties(width=260, height=280)


def _names(rows: pd.DataFrame) -> pd.DataFrame:
    """Where the names of classes stand: in their middle, one above the other where they would overlap."""
    named = rows[rows["rank"] > 0].groupby(["prompt", "meaning"], sort=False)
    middles, spread = named[["x", "y"]].mean().reset_index(), []
    for prompt, part in middles.groupby("prompt", sort=False):
        ordered, every = part.sort_values("y"), rows.loc[rows["prompt"] == prompt, "y"]
        gap = (every.max() - every.min()) / 18
        heights = list(accumulate(ordered["y"], lambda below, y, gap=gap: max(y, below + gap)))
        shift = (sum(heights) - ordered["y"].sum()) / len(heights)  # as far from the middles up as down
        spread.append(ordered.assign(y=[height - shift for height in heights]))
    named = pd.concat(spread) if spread else middles
    return named.assign(name=[shorten(meaning, 22) for meaning in named["meaning"]])


def _outlines(rows: pd.DataFrame) -> pd.DataFrame:
    """Corners of the convex hull of every class that is named and has three places."""
    outlines = []
    for (prompt, meaning), part in rows[rows["rank"] > 0].groupby(["prompt", "meaning"], sort=False):
        answers = part[["x", "y"]].drop_duplicates().to_numpy()
        try:
            corners = answers[ConvexHull(answers).vertices] if len(answers) > 2 else []
        except QhullError:  # all on one line
            corners = []
        rank = part["rank"].iloc[0]
        outlines += [(prompt, meaning, rank, number, *corner) for number, corner in enumerate(corners)]
    return pd.DataFrame(outlines, columns=["prompt", "meaning", "rank", "corner", "x", "y"])


# ------------------------------------------------------------------------------- two answers
# The chosen answer, or the first one of the prompt when the choice was made for another prompt.
_READ = (
    "asked.prompt && datum.prompt == asked.prompt[0] && "
    "(chosen.prompt && chosen.prompt[0] == asked.prompt[0] ? datum.id == chosen.id[0] : datum.opens)"
)


def _read(rows: pd.DataFrame, mine: bool) -> alt.LayerChart:
    """The chosen answer (`mine`) or the one beside it; runs of two and more words of both are marked."""
    this, other = ("", "2") if mine else ("2", "")
    partner = alt.LookupData(rows, "id", ["text", "head"])
    chosen = alt.Chart(rows).transform_filter(_READ)
    chosen = chosen.transform_lookup("partner", partner, as_=["text2", "head2"])
    chosen = chosen.transform_calculate(
        there=f"' ' + {_spelled(f'datum.text{other}')} + ' '",
        line=f"split(datum.text{this}, '\\n')",
    )
    height = 2 + int(rows["text"].str.count("\n").max())
    words = _words(chosen).encode(
        x=alt.X("begin:Q").axis(None).scale(domain=[0, _COLUMNS], nice=False),
        y=alt.Y("number:Q").axis(None).scale(domain=[height, 0], nice=False),
    )
    style = {"align": "left", "baseline": "middle"}
    heading = chosen.mark_text(**style, fontWeight=600, color=INK, fontSize=12).encode(
        x=alt.value(0), y=alt.value(2), text=f"head{this}:N"
    )
    marked = words.transform_filter("datum.shared").mark_rule(strokeWidth=2.5, color=PALETTE[1], yOffset=8)
    spelled = words.mark_text(**style, font="monospace", fontSize=10.5).encode(
        text="word:N",
        color=alt.when("datum.shared").then(alt.value(PALETTE[1])).otherwise(alt.value(INK)),
    )
    size = {"width": round(_COLUMNS * _CHARACTER), "height": 18 * height}
    return (heading + marked.encode(x2="stop:Q") + spelled).properties(**size)


def _words(chosen: alt.Chart) -> alt.Chart:
    """Every word of the chosen answer: its line, where in it it begins and ends, whether it is shared."""
    return (
        chosen.transform_flatten(["line"])
        .transform_window(number="row_number()")
        .transform_calculate(word="split(datum.line, ' ')")
        .transform_flatten(["word"])
        .transform_calculate(length="length(datum.word) + 1", plain=_spelled("datum.word"))
        .transform_window(before="lag(plain)", after="lead(plain)")
        .transform_window(end="sum(length)", groupby=["number"], frame=[None, 0])
        .transform_calculate(
            begin="datum.end - datum.length",
            stop="datum.end - 1",
            shared="indexof(datum.there, ' ' + datum.before + ' ' + datum.plain + ' ') >= 0 || "
            "indexof(datum.there, ' ' + datum.plain + ' ' + datum.after + ' ') >= 0",
        )
    )


def _spelled(text: str) -> str:
    """An expression: small letters, without signs, in one line."""
    return f"lower(replace(replace({text}, regexp('\\\\n', 'g'), ' '), {_SIGNS}, ''))"
