"""The loop's steps: imitation of a pool's solutions, of one's own right ones, and reinforcement.

1. **Imitation**: supervised training on (question, solution) pairs. The solver's solution of a question takes
   one of its valid paths, drawn once.
2. **Own solutions** (Adarsh et al. 2024, arXiv 2410.18574, section 3; rejection sampling in Yuan et al. 2023,
   arXiv 2308.01825, section 3.2): the model draws K solutions of each question; those with the right answer,
   each text once, join the solver's. Half the learning rate, as there.
3. **Reinforcement** (GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1): a reply with the right answer is
   worth 1, any other 0, against the mean of its group.

The control spends what steps 2 and 3 cost on more of step 1. Cost is counted in passes of a token through the
model: 1 to draw it, 3 to learn from it (Kaplan et al. 2020, arXiv 2001.08361, section 2.1: the backward pass
takes twice a forward one).

As published but for the sizes; and nothing is weighed against a reference model (no KL term), as is usual
since DAPO (Yu et al. 2025, arXiv 2503.14476, section 2.3).
"""

from collections.abc import Sequence
from random import Random

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.corpora import logic
from workbench.corpora.logic import LogicProblem
from workbench.engine.rl.objective import Row
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams
from workbench.engine.tokens import encode

Pair = tuple[str, str]
"""A question, and the solution that follows it."""

DRAWN, LEARNT = 1, 3  # passes of a token that is drawn, and of one that is learnt from


def taught(problems: Sequence[LogicProblem], seed: int) -> list[Pair]:
    """The solver's solution of each problem, along a path that the seed draws."""
    pairs = []
    for problem in problems:
        path = Random(f"{seed}/{problem.id}").choice(problem.paths())
        pairs.append((problem.question, f" {problem.rationale(path=path)}"))
    return pairs


def drawn(sampler: Sampler, problems: Sequence[LogicProblem], params: SamplingParams) -> pd.DataFrame:
    """A model's own solutions: columns question, solution, right and n_tokens."""
    replies = sampler.sample([problem.question for problem in problems], params)
    rows = [
        (problem.question, f" {reply.text.strip()}", is_right(problem, reply.text), len(reply.tokens))
        for problem, group in zip(problems, replies, strict=True)
        for reply in group
    ]
    return pd.DataFrame(rows, columns=["question", "solution", "right", "n_tokens"])


def right_pairs(solutions: pd.DataFrame) -> list[Pair]:
    """The right ones of `drawn`, each text once."""
    right = solutions.loc[solutions["right"], ["question", "solution"]].drop_duplicates()
    return list(right.itertuples(index=False, name=None))


def is_right(problem: LogicProblem, reply: str) -> bool:
    """Whether a reply's answer is right: all that is rewarded."""
    return logic.check(problem, reply, "cot").answer


def reward(completions: list[Completion], rows: list[Row]) -> list[float]:
    """1 for each reply whose answer is right, else 0."""
    return [float(is_right(row["problem"], reply.text)) for reply, row in zip(completions, rows, strict=True)]


def right_path(problem: LogicProblem, reply: str) -> str | None:
    """The moves of a reply that is, word for word, a worked solution along a valid path; None for others."""
    solutions = {problem.rationale(path=path): path for path in problem.paths()}
    path = solutions.get(reply.strip())
    return None if path is None else " ".join(path)


def mean_length(tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair]) -> float:
    """Tokens of a question with its solution and the end, on average."""
    return float(np.mean([len(ids) + 1 for ids in encode(tokenizer, [a + b for a, b in pairs])]))
