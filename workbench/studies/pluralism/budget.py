"""Equal budgets: every tuned model is brought as far from the model before as the others, measured as KL.

What a tuning costs is how far it takes the model from the one before, on the questions that it was tuned on
(the penalty in the objective of Rafailov et al. 2023, arXiv 2305.18290, equation 3):

    KL = mean over prompts of  sum_y pi(y|x) log pi(y|x) / pi_0(y|x)

over the options, and over everything else as one more. A tuned model that has gone further than the budget is
moved back on the straight line between the weights, pi_0 + w (pi - pi_0), until its KL is the budget
(Wortsman et al. 2022, arXiv 2109.01903, interpolate so); one that has not stays where it is. On the way
the model is read at several weights, so that arms can be compared at any KL, or any reward, that both reach.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import log_softmax, rel_entr

from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine import loading
from workbench.engine.sampling.sampler import prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.memory import master_weights

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the last weight: where the path is read
_CLOSE = 0.02  # relative, of the KL to the budget
_TRIES = 10


def kl(after: ArrayLike, before: ArrayLike) -> float:
    """Mean over prompts of the KL, in nats, between two sets of `log_shares`."""
    return float(rel_entr(np.exp(after), np.exp(before)).sum(-1).mean())


def log_shares(sampler: TransformersSampler, questions: Sequence[Question], seed: int) -> np.ndarray:
    """Log-probabilities of the options, shown in some order, and of everything else.

    Returns:
        `[questions, most options + 1]`; of a question with fewer options the others have probability 0.
    """
    rng = Random(seed)
    shown = [(question.prompt, rng.sample(question.options, len(question.options))) for question in questions]
    texts = [format_question(prompt, order, letters=False) for prompt, order in shown]
    prompts = [prompt_for(sampler, text, ANSWER) for text in texts]
    options = [[f" {option}" for option in question.options] for question in questions]
    scores = sampler.score(prompts, options)
    logs = np.full((len(questions), max(map(len, options)) + 1), -np.inf)
    for row, score in zip(logs, scores, strict=True):
        row[: len(score)] = score
        row[-1] = np.log(max(1e-9, 1 - np.exp(score).sum()))
    return log_softmax(logs, axis=1)


def weight_for(budget: float, kl_at: Callable[[float], float]) -> float:
    """The weight from 0 to 1 at which the KL is the budget; 1 where even that is less.

    The KL grows about as the square of the weight: each try takes the root of what is missing.
    """
    weight = 1.0
    for _ in range(_TRIES):
        reached = kl_at(weight)
        if abs(reached / budget - 1) < _CLOSE or (weight == 1 and reached < budget):
            break
        weight = min(1.0, weight * (budget / reached) ** 0.5)
    return weight


class Between:
    """The models on the line from one to another.

    Args:
        source: the model before.
        tuned: the one after.
        device: where they are asked.
    """

    def __init__(self, source: str | Path, tuned: str | Path, device: str) -> None:
        self.model, self.tokenizer = loading.load(source, device)
        master_weights(self.model)
        after, _ = loading.load(tuned, device)
        ends = dict(after.named_parameters())
        self._ends = [
            (value, value.detach().clone(), ends[name].detach().float())
            for name, value in self.model.named_parameters()
        ]
        self.sampler = TransformersSampler(self.model, self.tokenizer)

    def move(self, weight: float) -> TransformersSampler:
        """To a place on the line: 0 is the model before, 1 the tuned one."""
        for value, start, end in self._ends:
            value.data.copy_(start.lerp(end, weight))
        return self.sampler


def bring_to(
    folder: Path,
    between: Between,
    prompts: Sequence[Question],
    budget: float,
    read: Callable[[TransformersSampler], pd.DataFrame],
    fractions: Sequence[float] = FRACTIONS,
) -> pd.DataFrame:
    """Leaves the model whose KL is the budget in a folder, and what it answers on the way there.

    Args:
        folder: of the model.
        between: the line.
        prompts: what the KL is measured on.
        budget: of the KL, in nats.
        read: asks a model.
        fractions: where on the way, of the last weight; the last is 1.

    Returns:
        What `read` returns at each of `fractions` of the way, and where the tuning itself ended, if that is
        further; and columns weight, kl and beyond (whether it is that end).
    """
    before = log_shares(between.move(0), prompts, 0)

    def kl_at(weight: float) -> float:
        return kl(log_shares(between.move(weight), prompts, 0), before)

    last = weight_for(budget, kl_at)
    points = [(1.0, True)] * (last < 1) + [(last * fraction, False) for fraction in fractions]
    frames = [
        read(between.move(weight)).assign(weight=weight, kl=kl_at(weight), beyond=beyond)
        for weight, beyond in points
    ]
    loading.save(between.model, between.tokenizer, folder)
    return pd.concat(frames, ignore_index=True)
