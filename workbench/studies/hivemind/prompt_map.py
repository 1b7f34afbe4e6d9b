"""The prompt-centred view of 10_hivemind: from all prompts to two answers side by side, on one map.

A row a prompt and a column a model; of the prompt that is chosen, all answers as points in the colours of
what they mean; and the answer that is chosen beside its nearest one by another model.
"""

import numpy as np
import pandas as pd

from workbench.charts.labels import shorten
from workbench.charts.point_map import PointMap, Sheets
from workbench.charts.view import View, with_rows
from workbench.sanitize import sanitize
from workbench.studies.hivemind.data import INVALID

PROMPTS, MODELS = 40, 30  # rows and columns; more could not be read
_ANSWERS = 6000  # in all
_BRIGHTEST = 1.25  # likeness beyond which colours do not change: there answers are copies
_QUIET = 99  # rank of what means nothing


@with_rows
def explorer(table: pd.DataFrame, points: pd.DataFrame) -> View:
    """The whole view.

    Args:
        table: of `intra_model_repetition`: columns prompt_id, prompt, model, rescaled.
        points: of `answer_map`: columns id, prompt_id, model, text, meaning, x, y, partner.
    """
    n_prompts, n_models = table["prompt_id"].nunique(), table["model"].nunique()
    drawn = list(table["model"].unique()[:MODELS])
    table = table[table["model"].isin(drawn)]
    prompts, likeness = _prompts(table, drawn)
    answers = points[points["model"].isin(drawn) & points["prompt_id"].isin(prompts)]
    each = max(2, _ANSWERS // (len(prompts) * len(drawn)))
    answers = answers[answers.groupby(["prompt_id", "model"], sort=False).cumcount() < each]
    most = float(np.clip(np.nan_to_num(table["rescaled"].quantile(0.95), nan=1.0), 0.2, _BRIGHTEST))
    shown, groups = _shown(answers, prompts)
    return PointMap(
        shown,
        "Prompts, models, answers",
        "A row is a prompt, and its cells say how alike each model's answers to it are, the most alike on "
        "top. Choose a row, and its answers appear below as points in the colours of their meanings; equal "
        "answers huddle together. Choose a model or a meaning to select its answers, and a point to read it "
        "beside the nearest answer of another model."
        + f" Of {n_prompts} prompts {len(prompts)} are shown, evenly from the most to the least alike."
        * (len(prompts) < n_prompts)
        + f" Of {n_models} models the first {MODELS} are shown." * (n_models > MODELS),
        groups=groups,
        axes="The encoder finds near answers alike (principal components; no unit).",
        group="meaning",
        kind="model",
        beside="nearest of another model",
        chosen=_opening(shown),
        sheets=Sheets("prompt", list(prompts.values()), likeness, "likeness (1: paraphrases)", (0.0, most)),
    )


def _prompts(table: pd.DataFrame, models: list[str]) -> tuple[dict[str, str], pd.DataFrame]:
    """The text of each prompt that is shown, the most alike first; and the likeness by prompt and model."""
    likeness = table.pivot_table("rescaled", "prompt_id", "model", dropna=False).reindex(columns=models)
    means = likeness.mean(axis=1).sort_values(ascending=False, kind="stable", na_position="last")
    positions = np.unique(np.linspace(0, len(means) - 1, min(PROMPTS, len(means))).round().astype(int))
    kept = means.index[positions]
    texts = table.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
    prompts = {prompt: sanitize(" ".join(texts[prompt].split())) for prompt in kept}
    return prompts, likeness.loc[kept].rename(columns=_short(models))


def _short(models: list[str]) -> dict[str, str]:
    """Names of models without what stands before the last slash, where that leaves them different."""
    last = {name: shorten(sanitize(name.rsplit("/", 1)[-1]), 40) for name in models}
    return last if len(set(last.values())) == len(models) else {name: sanitize(name, 200) for name in models}


def _shown(answers: pd.DataFrame, prompts: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points, and their meanings: those of one prompt together, the commonest first."""
    sizes = answers.groupby("prompt_id", sort=False)["meaning"].value_counts().rename("size").reset_index()
    sizes["last"] = sizes["meaning"] == INVALID
    sizes = sizes.sort_values(["prompt_id", "last", "size"], ascending=[True, True, False], kind="stable")
    sizes["rank"] = sizes.groupby("prompt_id").cumcount().where(~sizes["last"], _QUIET)
    sizes = sizes.reset_index(drop=True)
    group = pd.Series(sizes.index, index=pd.MultiIndex.from_frame(sizes[["prompt_id", "meaning"]]))
    number = pd.Series(np.arange(len(answers)), index=answers["id"])
    models = _short(list(answers["model"].unique()))
    rows = list(prompts)
    partner = answers["partner"].where(answers["partner"] != answers["id"])
    shown = pd.DataFrame(
        {
            "x": answers["x"],
            "y": answers["y"],
            "title": answers["model"].map(models),
            "text": answers["text"],
            "kind": answers["model"].map(models),
            "sheet": answers["prompt_id"].map(rows.index),
            "group": group[pd.MultiIndex.from_frame(answers[["prompt_id", "meaning"]])].to_numpy(),
            "beside": partner.map(number),
        }
    )
    meanings = sizes["meaning"].str.replace("{her}", "their")
    return shown.reset_index(drop=True), pd.DataFrame({"name": meanings, "rank": sizes["rank"]})


def _opening(shown: pd.DataFrame) -> int:
    """The first answer to the prompt with the most meanings that two answers or more have."""
    counted = shown.value_counts(["sheet", "group"], sort=False)
    several = counted[counted > 1].groupby("sheet").size()
    sheet = several.idxmax() if len(several) else shown["sheet"].iloc[0]
    return int((shown["sheet"] == sheet).to_numpy().argmax())
