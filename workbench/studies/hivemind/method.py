"""How alike the answers of language models are (Jiang et al. 2025, arXiv 2510.22954), prompt by prompt.

Repetition is likeness among one model's answers to one prompt, homogeneity likeness across models. Each is
measured by vectors, on a scale whose ends are measured too (answers to other prompts are 0, paraphrases 1),
and by classes of meaning, which need no encoder. Intervals are over prompts.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from workbench.claims import Claim
from workbench.measures import similarity
from workbench.measures.equivalence import collision, rarefaction
from workbench.measures.overlap import verbatim
from workbench.measures.redundancy import ead, self_bleu
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import per_input_and_across, summarise
from workbench.studies.hivemind.data import INVALID, PEOPLE, AnswerSet, agreement
from workbench.studies.hivemind.models import MEMBERS

NEAREST = (5, 10, 25, 50)
POOLED = "all models together"


# ------------------------------------------------------------------------------- prompt by prompt
def cells(answers: AnswerSet) -> pd.DataFrame:
    """One row a model (or PEOPLE) and prompt.

    Columns prompt_id, prompt, category, model, n, value (repetition), rescaled, valid (share), same (chance
    that two valid answers mean the same), meanings (different valid ones).
    """
    frame = answers.frame
    found = similarity.repetition(answers.vectors, frame["model"], frame["prompt_id"])
    rows = []
    for (prompt, model), part in frame.groupby(["prompt_id", "model"], sort=False):
        counts = part.loc[part["valid"], "meaning"].value_counts().to_numpy()
        rows.append((prompt, model, part["prompt"].iloc[0], part["category"].iloc[0], part["valid"].mean(),
                     collision(counts), len(counts)))  # fmt: skip
    names = ["prompt_id", "model", "prompt", "category", "valid", "same", "meanings"]
    table = pd.DataFrame(rows, columns=names).merge(found.rename(columns={"prompt": "prompt_id"}))
    return table.assign(rescaled=similarity.rescaled(table["value"], answers.floor, answers.ceiling))


def pairs(answers: AnswerSet) -> pd.DataFrame:
    """Homogeneity of every two models on every prompt, without self-pairs.

    Columns first, second, prompt_id, value, rescaled, same (chance that valid answers of both mean the same);
    a model with itself has its repetition.
    """
    own = answers.own
    frame = answers.frame[own]
    found = similarity.homogeneity(answers.vectors[own], frame["model"], frame["prompt_id"])
    found = found.rename(columns={"prompt": "prompt_id"})
    valid = frame[frame["valid"]]
    counts = valid.groupby(["prompt_id", "model", "meaning"]).size()
    same = []
    for row in found.itertuples():
        sides = [_of(counts, row.prompt_id, name) for name in (row.first, row.second)]
        same.append(collision(sides[0].to_numpy()) if row.first == row.second else agreement(*sides))
    rescaled = similarity.rescaled(found["value"], answers.floor, answers.ceiling)
    return found.assign(rescaled=rescaled, same=same)


def _of(counts: pd.Series, prompt: str, model: str) -> pd.Series:
    return counts.loc[prompt, model] if (prompt, model) in counts.index else pd.Series(dtype=float)


def repetitions(table: pd.DataFrame) -> pd.DataFrame:
    """Rescaled repetition of each model: columns model, value, low, high, n (prompts), valid (share)."""
    valid = table.groupby("model")["valid"].mean()
    return summarise(table, ["model"], "rescaled", "prompt_id").assign(
        valid=lambda rows: rows["model"].map(valid)
    )


def mixed(answers: AnswerSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Top-N source mixing of each prompt (prompt_id, prompt, nearest, value), and its two baselines
    (nearest, exchangeable, separated).
    """
    own = answers.own
    frame = answers.frame[own]
    counts = frame.groupby(["prompt_id", "model"]).size()
    per_prompt = counts.groupby("prompt_id").sum()
    nearest = [n for n in NEAREST if n < per_prompt.min()] or [1]
    found = similarity.mixing(answers.vectors[own], frame["model"], frame["prompt_id"], nearest)
    found = found.rename(columns={"prompt": "prompt_id"})
    baselines = pd.concat([similarity.mixing_baselines(part.to_numpy(), nearest)
                           for _, part in counts.groupby("prompt_id")])  # fmt: skip
    texts = frame.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
    found["prompt"] = found["prompt_id"].map(texts)
    return found, baselines.groupby("nearest", as_index=False).mean()


# ------------------------------------------------------------------------------- over prompts
def rarefied(answers: AnswerSet, most: int = 20) -> pd.DataFrame:
    """Expected different valid meanings among k answers: columns model, k, value (mean over prompts).

    Answers are drawn without replacement, valid or not; POOLED draws from all models' answers together, as
    many as the model with most answers allows.
    """
    frame = answers.frame
    pooled = frame[answers.own].assign(model=POOLED)
    fewest = frame.groupby(["model", "prompt_id"]).size().groupby("model").min()
    rows = []
    for model, part in pd.concat([frame, pooled]).groupby("model", sort=False):
        ks = np.arange(1, min(most, fewest.get(model, fewest.max())) + 1)
        curves = [_new_meanings(own, ks) for _, own in part.groupby("prompt_id")]
        rows += [(model, k, value) for k, value in zip(ks, np.mean(curves, axis=0), strict=True)]
    return pd.DataFrame(rows, columns=["model", "k", "value"])


def _new_meanings(part: pd.DataFrame, ks: np.ndarray) -> np.ndarray:
    counts, invalid = part["meaning"].value_counts().to_numpy(), int((part["meaning"] == INVALID).sum())
    # what is not valid counts as one class more, which is taken off again where it is drawn
    return rarefaction(counts, ks) - hypergeom.sf(0, len(part), invalid, ks)


def spelled_out(answers: AnswerSet) -> pd.DataFrame:
    """What several models say word for word: columns prompt, identical, longest, shared (see `verbatim`)."""
    frame = answers.frame[answers.own]
    return verbatim(frame["text"].tolist(), frame["model"], frame["prompt"])


def wording(answers: AnswerSet, size: int = 6) -> pd.DataFrame:
    """Diversity of wording, within a prompt and across prompts: columns measure, model, sets, value, low,
    high, n (squares of prompts by answers, of `size` or as many as every model answered).
    """
    measures = {"EAD": ead, "1 − self-BLEU": lambda texts: 1 - self_bleu(texts)}
    fewest = answers.frame.groupby(["model", "prompt_id"]).size().min()
    size = min(size, answers.frame["prompt_id"].nunique(), fewest)
    frames = [
        per_input_and_across(answers.frame, measure, size).assign(measure=name)
        for name, measure in measures.items()
    ]
    return pd.concat(frames, ignore_index=True)


# ------------------------------------------------------------------------------- the map
def layout(answers: AnswerSet, each: int = 10) -> pd.DataFrame:
    """A place for the first answers of each model to each prompt: the first two principal components.

    Columns of the frame, x, y (rows of a prompt have axes of their own), id, partner (id of the nearest
    answer by another model, or by the same one where there is no other; itself where there is none).
    """
    rows = answers.frame[answers.own].reset_index(names="row")
    rows = rows.groupby(["prompt_id", "model"], sort=False).head(each).reset_index(drop=True)
    rows = rows.assign(id=np.arange(len(rows)), x=0.0, y=0.0, partner=np.arange(len(rows)))
    for _, part in rows.groupby("prompt_id", sort=False):
        vectors = answers.vectors[part["row"]]
        rows.loc[part.index, ["x", "y"]] = _principal(vectors)
        cosines = vectors @ vectors.T
        models = part["model"].to_numpy()
        alone = len(set(models)) == 1
        cosines[np.eye(len(part), dtype=bool) if alone else models[:, None] == models] = -np.inf
        nearest = part["id"].to_numpy()[cosines.argmax(axis=1)]
        rows.loc[part.index, "partner"] = np.where(np.isinf(cosines.max(axis=1)), part["id"], nearest)
    return rows


def _principal(vectors: np.ndarray) -> np.ndarray:
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    places = np.zeros((len(vectors), 2))
    kept = min(2, len(s))
    places[:, :kept] = (u * s)[:, :kept]
    return places


# ------------------------------------------------------------------------------- claims
def claims(answers: AnswerSet, table: pd.DataFrame, met: pd.DataFrame) -> list[Claim]:
    """What models share with each other; intervals over prompts.

    Args:
        answers: what was compared.
        table: of `cells`.
        met: of `pairs`.
    """
    paper = "Inter-model similarity is 71-82 %; answers to other prompts lie at 10-20 %"
    view = "Which models answer alike"
    apart = _trained_apart(answers)
    who = "models trained apart" if answers.n_meanings else "different models"
    between = met[[frozenset(pair) in apart for pair in zip(met["first"], met["second"], strict=True)]]
    if met["prompt_id"].nunique() < 2:  # nothing to draw for an interval, and no answers to other prompts
        return []
    by_prompt = between.groupby("prompt_id")[["rescaled", "same"]].mean()
    made = _claim(
        by_prompt["rescaled"],
        name="models-agree-more-than-chance",
        says=f"Answers of {who} are more alike than answers to different prompts.",
        paper=paper,
        unit="of the way from the random floor to paraphrases",
        view=view,
    )
    if answers.n_meanings:
        chance = by_prompt.index.map(lambda prompt: 1 / answers.n_meanings[prompt]).to_numpy()
        people = table[table["model"] == PEOPLE].set_index("prompt_id")["same"]
        made += [
            *_claim(
                by_prompt["same"] - chance,
                name="models-agree-more-than-valid-answers",
                says="Answers of models trained apart mean the same more often than random valid answers.",
                paper=paper,
                view=view,
            ),
            *_claim(
                by_prompt["same"] - people.reindex(by_prompt.index),
                name="models-agree-more-than-people",
                says="Answers of models trained apart mean the same more often than people's answers.",
                paper="implied: models converge where people differ",
                view=view,
            ),
            *_tuning(table),
            *_united(met, view),
        ]
    return made


def _claim(
    gain: pd.Series, *, name: str, says: str, paper: str, view: str, unit: str = "chance of one meaning"
) -> list[Claim]:
    """None where no prompt says anything: one model, one answer each, or the same answer everywhere."""
    if gain.isna().all():
        return []
    return [Claim.of(bootstrap_mean(gain), name=name, says=says, paper=paper, unit=unit, view=view)]


def _trained_apart(answers: AnswerSet) -> set[frozenset[str]]:
    """Pairs of models that do not descend from each other or from one teacher; of foreign models, all."""
    tuned = {each.name for each in MEMBERS if each.of}
    known = [name for name in answers.models if not (answers.n_meanings and name in tuned)]
    return set(map(frozenset, combinations(known, 2)))


def _tuning(table: pd.DataFrame) -> list[Claim]:
    """What fine-tuning does to the chance that two answers of a model mean the same."""
    same = table.pivot(index="prompt_id", columns="model", values="same")
    claimed = {
        "teacher": ("teacher-lowers-diversity", "Fine-tuning on samples of one teacher makes a model's own "
                    "answers mean the same more often.", "aligned models repeat themselves more"),
        "best": ("best-answers-lower-diversity", "Fine-tuning on single best answers makes a model's own "
                 "answers mean the same more often.", "implied: rewards for one preferred answer"),
    }  # fmt: skip
    made = []
    for reads, (name, says, paper) in claimed.items():
        members = [member for member in MEMBERS if member.reads == reads and member.name in same]
        if members:
            rises = [same[member.name] - same[member.of] for member in members]
            rise = pd.concat(rises, axis=1).mean(axis=1)
            made += _claim(rise, name=name, says=says, paper=paper, view="How much each model repeats itself")
    return made


def _united(met: pd.DataFrame, view: str) -> list[Claim]:
    """What one teacher does to the chance that answers of two of its students mean the same."""
    same = {
        frozenset(pair): part.set_index("prompt_id")["same"]
        for pair, part in met.groupby(["first", "second"])
    }
    students = [member for member in MEMBERS if member.reads == "teacher"]
    rises = [
        same[frozenset((a.name, b.name))] - same[frozenset((a.of, b.of))]
        for a, b in combinations(students, 2)
        if frozenset((a.name, b.name)) in same
    ]
    if not rises:
        return []
    return _claim(
        pd.concat(rises, axis=1).mean(axis=1),
        name="teacher-unites-students",
        says="Fine-tuning on samples of one teacher makes answers of two models mean the same more often.",
        paper="implied: models trained on each other's samples converge",
        view=view,
    )
