"""The paper's own figures: how many pairs of answers are more alike than 0.8, within and between models.

Jiang et al. 2025 (arXiv 2510.22954, the part on intra- and inter-model homogeneity) count prompts to which
the mean cosine of one model's answers is above 0.8 (79 % of them, mean of 25 models) and average the cosines
of two models (71 to 82 %), with OpenAI's text-embedding-3-small. A model's provider is read from its name:
companies train several of their models on much of the same text.

Answers of the embedded models are of a few styles of one short sentence each: most of what an encoder sees in
them is the style, so that 0.8 says nothing about what is meant. They are left out.
"""

import re
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.studies.hivemind.data import Plan
from workbench.studies.hivemind.method import AnswerSet
from workbench.studies.hivemind.verbalized import own_name

ALIKE = 0.8  # the paper's threshold, of its encoder
ONE, PROVIDER, OTHERS = "one model", "two models, one provider", "two models, two providers"
_FAMILIES = {
    "OpenAI": r"gpt(?!-?neo|-?j)|davinci|chatgpt|\bo[134]\b",
    "Anthropic": r"claude",
    "Google": r"gemini|gemma|palm|\bt5",
    "Meta": r"llama|\bopt\b",
    "Alibaba": r"qwen|qwq",
    "Mistral": r"mistral|mixtral|ministral",
    "DeepSeek": r"deepseek",
    "Microsoft": r"\bphi",
    "Cohere": r"command|\baya\b",
    "Ai2": r"olmo|tulu",
    "xAI": r"grok",
}


def means_something(plan: Plan) -> bool:
    """Whether a threshold is worth drawing: for given answers, or with a given encoder."""
    return not plan.embedded or plan.encoder != "embedded"


def provider(model: str) -> str:
    """Who made a model, by its name ("gpt-4o": "OpenAI"); else what stands before a slash, or the name."""
    for company, pattern in _FAMILIES.items():
        if re.search(pattern, model.lower()):
            return company
    return model.partition("/")[0]


def above(answers: AnswerSet, threshold: float = ALIKE) -> pd.DataFrame:
    """Shares of pairs of answers above a threshold, a row a pair of models (or one model) and prompt.

    Answers drawn from lists (`verbalized`), or at another temperature, are not held against other models'.

    Returns:
        Columns kind (ONE, PROVIDER or OTHERS), first, second, prompt_id, pairs (share above), prompts
        (whether the mean cosine is above). A single answer of a model makes no row.
    """
    frame, rows = answers.of_models, []
    for prompt, part in frame.groupby("prompt_id", sort=False):
        vectors = {name: answers.vectors[of.index] for name, of in part.groupby("model", sort=False)}
        for name, own in vectors.items():
            within = (own @ own.T)[np.triu_indices(len(own), 1)]
            if len(within):
                rows.append((ONE, name, name, prompt, *_above(within, threshold)))
        direct = [name for name in vectors if own_name(name) == name]
        for first, second in combinations(direct, 2):
            kind = PROVIDER if provider(first) == provider(second) else OTHERS
            cosines = (vectors[first] @ vectors[second].T).ravel()
            rows.append((kind, first, second, prompt, *_above(cosines, threshold)))
    return pd.DataFrame(rows, columns=["kind", "first", "second", "prompt_id", "pairs", "prompts"])


def _above(cosines: np.ndarray, threshold: float) -> tuple[float, bool]:
    return float((cosines > threshold).mean()), bool(cosines.mean() > threshold)
