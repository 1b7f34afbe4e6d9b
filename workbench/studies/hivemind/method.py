"""The Artificial Hivemind (Jiang et al. 2025, arXiv 2510.22954): how alike models answer open-ended prompts.

As published (in the part on intra- and inter-model homogeneity): every model answers every prompt n times,
answers become unit vectors, and of these are measured

- intra-model repetition, the mean cosine over the n (n − 1) / 2 pairs of one model's answers to a prompt;
- inter-model homogeneity, the mean of all n × n cosines of two models' answers to a prompt;
- top-N source mixing (figure 8, per answer as in the paper's code), how many models wrote the N answers
  nearest to an answer;
- verbatim overlap, which the paper shows by examples and we count.

What differs. A cosine is read between two measured ends, the mean of answers to different prompts (0) and of
paraphrases (1), because a threshold of 0.8 does not travel from encoder to encoder. A model with itself
leaves out self-pairs, which the paper's diagonal counts. Source mixing has its two baselines. And answers are
put into equivalence classes of one meaning (NoveltyBench, arXiv 2504.05228), which need no encoder: an oracle
knows those of embedded requests, ROUGE-1 finds those of others. Everything is measured prompt by prompt, for
intervals over prompts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from workbench.corpora import open_ended
from workbench.corpora.loaders.generations import usable_answers
from workbench.engine.encoders import encode
from workbench.measures import similarity
from workbench.measures.equivalence import collision, equivalence_classes, rarefaction, rouge_same
from workbench.measures.overlap import verbatim
from workbench.measures.redundancy import ead, self_bleu
from workbench.measures.summaries import per_input_and_across
from workbench.studies.hivemind.data import INVALID, PEOPLE, Plan, asked, graded, people_answers

NEAREST = (5, 10, 25, 50)  # N of source mixing
DRAWS = 20  # answers drawn at most for a rarefaction curve
SQUARE = 6  # prompts, and answers to each, of a set of wordings
POOLED = "all models together"


@dataclass(frozen=True)
class AnswerSet:
    """What is compared."""

    #: columns prompt_id, prompt, category, model, sample, text, finish, valid, meaning (the class; INVALID
    #: where the oracle says so). Embedded models come with rows of PEOPLE.
    frame: pd.DataFrame
    vectors: np.ndarray  #: unit rows, one a row of the frame
    floor: float  #: mean cosine of answers to different prompts
    ceiling: float  #: mean cosine of answers that say the same in other words
    n_meanings: Mapping[str, int]  #: valid meanings of each prompt; empty where nobody knows
    notes: list[str]  #: what was noticed
    seed: int = 0  #: of the models' training

    @property
    def of_models(self) -> pd.DataFrame:
        """The rows of models; their index is that of the vectors."""
        return self.frame[self.frame["model"] != PEOPLE]

    @property
    def models(self) -> list[str]:
        """Names in their order."""
        return list(self.of_models["model"].unique())


# ------------------------------------------------------------------------------- classes, vectors and ends
def answer_sets(generations: pd.DataFrame, plan: Plan) -> list[AnswerSet]:
    """One set for each training of the embedded models; of others one for all."""
    if "seed" not in generations:
        return [answer_set(generations, plan)]
    return [
        replace(answer_set(part.drop(columns="seed").reset_index(drop=True), plan), seed=int(seed))
        for seed, part in generations.groupby("seed", sort=False)
    ]


def every_seed(sets: Sequence[AnswerSet], measure: Callable[[AnswerSet], pd.DataFrame]) -> pd.DataFrame:
    """A table of every set below the other, with a column seed."""
    return pd.concat([measure(each).assign(seed=each.seed) for each in sets], ignore_index=True)


def answer_set(generations: pd.DataFrame, plan: Plan) -> AnswerSet:
    """What was collected, made ready to be compared: with classes of meaning, vectors, and their two ends.

    Answers from outside have no oracle: they are all valid, and their classes are those of `rouge_same`
    over all models; where there are more than `plan.sampling.n` of a model to a prompt, so many are drawn.
    """
    n, seed = plan.sampling.n, plan.seed
    frame, notes = usable_answers(generations)
    paraphrases, n_meanings = [], {}
    if plan.embedded:
        requests = {request.id: request for request in asked(plan)}
        people = people_answers(requests.values(), n, seed)
        frame = graded(pd.concat([frame, people], ignore_index=True), requests)
        for name, request in requests.items():
            paraphrases += open_ended.paraphrases(request, 10, seed)
            n_meanings[name] = len(open_ended.meanings(request))
    else:
        groups = frame.sample(frac=1, random_state=seed).groupby(["prompt_id", "model"], sort=False)
        drawn = groups.head(n).sort_index()
        if len(drawn) < len(frame):
            notes.append(f"{n} answers of each model to each prompt drawn")
        frame = classified(drawn.reset_index(drop=True))
    # One call for all: the embedded encoder's axes come from the texts it is given.
    texts = [*frame["text"], *(text for pair in paraphrases for text in pair)]
    vectors, others = np.split(encode(texts, plan.encoder, plan.device), [len(frame)])
    floor, ceiling, remarks = scale(frame, vectors, others)
    return AnswerSet(frame, vectors, floor, ceiling, n_meanings, notes + remarks)


def scale(
    frame: pd.DataFrame, vectors: np.ndarray, paraphrases: np.ndarray
) -> tuple[float, float, list[str]]:
    """The two ends of a cosine, and what was noticed: the floor is the mean of answers to different prompts,
    the ceiling that of paraphrases (pairs of rows), or of answers of one class where there are none.
    """
    floor, notes = similarity.floor(vectors, frame["prompt_id"]), []
    if len(paraphrases):
        ceiling = similarity.ceiling(paraphrases[::2], paraphrases[1::2])
    else:
        classes = list(zip(frame["prompt_id"], frame["meaning"], strict=True))
        ceiling = similarity.ceiling_of_classes(vectors, classes)
    if np.isnan(floor):
        floor = 0.0
        notes.append("there is one prompt only, so that 0 stands for a cosine of 0")
    if not ceiling > floor:
        ceiling = 1.0
        notes.append("no two answers say the same in other words, so that 1 stands for copies")
    return floor, ceiling, notes


def classified(frame: pd.DataFrame) -> pd.DataFrame:
    """Answers in the equivalence classes of their prompt: adds valid and meaning, a class's first answer."""
    meaning = pd.Series("", index=frame.index)
    for _, texts in frame.groupby("prompt_id", sort=False)["text"]:
        labels = equivalence_classes(texts.tolist(), rouge_same())
        firsts = texts.groupby(labels).first()
        meaning[texts.index] = [f"{label + 1}: {firsts[label][:40].strip()}" for label in labels]
    return frame.assign(valid=True, meaning=meaning)


def agreement(first: pd.Series, second: pd.Series) -> float:
    """Chance that an answer of each side means the same, from counts by meaning; NaN if a side has none."""
    if first.empty or second.empty:
        return float("nan")
    return float((first / first.sum()).mul(second / second.sum(), fill_value=0).sum())


def _valid_meanings(frame: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Counts of valid answers by meaning, of each prompt and model."""
    groups = frame.groupby(["prompt_id", "model"], sort=False)
    return {key: part.loc[part["valid"], "meaning"].value_counts().sort_index() for key, part in groups}


# ------------------------------------------------------------------------------- likeness
def intra_model_repetition(answers: AnswerSet) -> pd.DataFrame:
    """How much one model's answers to one prompt repeat each other, a row a model (or PEOPLE) and prompt.

    Columns prompt_id, model, prompt, category, valid (share), same (chance that two valid answers mean the
    same), meanings (different valid ones), value (repetition), n, rescaled.
    """
    frame = answers.frame
    cosines = similarity.repetition(answers.vectors, frame["model"], frame["prompt_id"])
    groups = frame.groupby(["prompt_id", "model"], sort=False)
    table = groups.agg(prompt=("prompt", "first"), category=("category", "first"), valid=("valid", "mean"))
    counts = _valid_meanings(frame).values()
    table = table.assign(same=list(map(collision, counts)), meanings=list(map(len, counts)))
    table = table.reset_index().merge(cosines.rename(columns={"prompt": "prompt_id"}))
    return table.assign(rescaled=similarity.rescaled(table["value"], answers.floor, answers.ceiling))


def inter_model_homogeneity(answers: AnswerSet) -> pd.DataFrame:
    """How alike two models' answers to one prompt are, a row a pair and prompt, without self-pairs.

    Columns first, second, prompt_id, value, rescaled, same (chance that valid answers of both mean the same);
    a model with itself has its repetition.
    """
    frame = answers.of_models
    pairs = similarity.homogeneity(answers.vectors[frame.index], frame["model"], frame["prompt_id"])
    pairs = pairs.rename(columns={"prompt": "prompt_id"})
    counts, same = _valid_meanings(frame), []
    for row in pairs.itertuples():
        first, second = counts[row.prompt_id, row.first], counts[row.prompt_id, row.second]
        same.append(collision(first) if row.first == row.second else agreement(first, second))
    rescaled = similarity.rescaled(pairs["value"], answers.floor, answers.ceiling)
    return pairs.assign(rescaled=rescaled, same=same)


def source_mixing(answers: AnswerSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Top-N source mixing of each prompt (prompt_id, nearest, value, prompt), and its two baselines
    (nearest, exchangeable, separated).
    """
    frame = answers.of_models
    counts = frame.groupby(["prompt_id", "model"]).size()
    fewest = counts.groupby("prompt_id").sum().min()
    nearest = [n for n in NEAREST if n < fewest] or [1]
    mixing = similarity.mixing(answers.vectors[frame.index], frame["model"], frame["prompt_id"], nearest)
    mixing = mixing.rename(columns={"prompt": "prompt_id"})
    mixing["prompt"] = mixing["prompt_id"].map(frame.groupby("prompt_id")["prompt"].first())
    pools = [pool.to_numpy() for _, pool in counts.groupby("prompt_id")]
    baselines = pd.concat([similarity.mixing_baselines(pool, nearest) for pool in pools])
    return mixing, baselines.groupby("nearest", as_index=False).mean()


# ------------------------------------------------------------------------------- meanings and words
def rarefied(answers: AnswerSet) -> pd.DataFrame:
    """Expected different valid meanings among k answers: columns model, k, value (mean over prompts).

    Answers are drawn without replacement, valid or not; POOLED draws from all models' answers together, as
    many as the model with most answers allows.
    """
    frame = answers.frame
    fewest = frame.groupby(["model", "prompt_id"]).size().groupby("model").min()
    curves = []
    pooled = pd.concat([frame, answers.of_models.assign(model=POOLED)])
    for model, part in pooled.groupby("model", sort=False):
        k = np.arange(1, min(DRAWS, fewest.get(model, fewest.max())) + 1)
        values = [_new_meanings(meanings, k) for _, meanings in part.groupby("prompt_id")["meaning"]]
        curves.append(pd.DataFrame({"model": model, "k": k, "value": np.mean(values, axis=0)}))
    return pd.concat(curves, ignore_index=True)


def _new_meanings(meanings: pd.Series, k: np.ndarray) -> np.ndarray:
    invalid = int((meanings == INVALID).sum())
    # what is not valid counts as one class more, which is taken off again where it is drawn
    return rarefaction(meanings.value_counts(), k) - hypergeom.sf(0, len(meanings), invalid, k)


def verbatim_overlap(answers: AnswerSet) -> pd.DataFrame:
    """What several models say word for word: columns prompt, identical, longest, shared (see `verbatim`)."""
    frame = answers.of_models
    return verbatim(frame["text"].tolist(), frame["model"], frame["prompt"])


def wording(answers: AnswerSet) -> pd.DataFrame:
    """Diversity of wording, within a prompt and across prompts: columns model, sets, value, low, high, n
    (squares of prompts by answers, of `SQUARE` or as many as every model answered), measure.
    """
    frame = answers.frame
    fewest = frame.groupby(["model", "prompt_id"]).size().min()
    size = min(SQUARE, frame["prompt_id"].nunique(), fewest)
    measures = {"EAD": ead, "1 − self-BLEU": lambda texts: 1 - self_bleu(texts)}
    tables = [per_input_and_across(frame, measures[name], size).assign(measure=name) for name in measures]
    return pd.concat(tables, ignore_index=True)


# ------------------------------------------------------------------------------- the map
def answer_map(answers: AnswerSet, n: int) -> pd.DataFrame:
    """The first `n` answers of each model to each prompt, on their first two principal components.

    Columns of the frame, x, y (rows of a prompt have axes of their own), id, partner (id of the nearest
    answer by another model, or by the same one where there is no other; itself where there is none).
    """
    frame = answers.of_models.reset_index(names="row")
    frame = frame.groupby(["prompt_id", "model"], sort=False).head(n).reset_index(drop=True)
    ids = np.arange(len(frame))
    frame = frame.assign(id=ids, x=0.0, y=0.0, partner=ids)
    for _, part in frame.groupby("prompt_id", sort=False):
        vectors, models = answers.vectors[part["row"]], part["model"].to_numpy()
        u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
        frame.loc[part.index, ["x", "y"][: len(s)]] = (u * s)[:, :2]
        cosines = vectors @ vectors.T
        alone = len(set(models)) == 1
        cosines[np.eye(len(part), dtype=bool) if alone else models[:, None] == models] = -np.inf
        nearest = part["id"].to_numpy()[cosines.argmax(axis=1)]
        frame.loc[part.index, "partner"] = np.where(np.isinf(cosines.max(axis=1)), part["id"], nearest)
    return frame
