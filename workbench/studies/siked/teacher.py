"""The teacher: the embedded solver, or a sampler that is shown worked problems and asked for a solution.

The embedded solver takes one of a problem's valid paths at random and leaves some of the problems to
others, as a large model does; what it writes is right. The paper's teacher (arXiv 2410.18574) sees eight
problems, the same in every strategy, and writes ten solutions of each question. Here the embedded solver
has worked the eight. What was written is kept piece by piece, so that a call that was cut off asks nothing
twice.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from random import Random

from tqdm.auto import tqdm

from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, Strategy
from workbench.corpora.logic import LogicProblem
from workbench.corpora.problems import Problem, draw
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import Completion, SamplingParams, prompt_for
from workbench.studies.siked.embedded import question, worked
from workbench.studies.siked.solving import Question, solve_in_chunks, verify

SHOTS = 8
ASKED = {
    "cot": "Solve each word problem step by step. Write one short equation for every step, and end with "
    '"The answer is" and the number.',
    "l2m": "Solve each word problem by splitting it into smaller questions. Write each of them, answer it "
    'with an equation, and end with "The answer is" and the number.',
    "pot": "Solve each word problem with a short Python program. Use plain arithmetic, no input and no "
    "print, and leave the result in the variable ans.",
}
_NEXT = ("\nProblem:", "\nSolution:")  # a model that only continues text goes on with these
_FENCED = re.compile(r"```[\w+-]*\n(.*?)(?:```|\Z)", re.DOTALL)


def solver_solutions(
    problems: Sequence[Problem | LogicProblem], coverage: float = 1.0, seed: int = 0
) -> list[Rationale]:
    """What the embedded solver writes, all of it right, each along any of the valid paths.

    Args:
        problems: whose.
        coverage: the share of problems and strategies that it solves, drawn for each pair.
        seed: of these draws.
    """
    solutions = []
    for problem, strategy in product(problems, STRATEGIES):
        rng = Random(f"{seed}/{problem.id}/{strategy}")
        if rng.random() < coverage:
            asked, text = question(problem), worked(problem, strategy, rng)
            fields = (asked.id, asked.text, strategy, text, asked.gold, "solver", "correct")
            solutions.append(Rationale(*fields))
    return solutions


def sampled_solutions(
    spec: str,
    questions: Sequence[Question],
    folder: Path,
    *,
    samples: int = 10,
    seed: int = 0,
    max_tokens: int = 512,
    device: str = "auto",
) -> list[Rationale]:
    """What a sampler writes for each question in each strategy, verified; programs run in the sandbox.

    Drawn at temperature 0.7 from the likeliest 95 %, as the paper's students are. A solution that did not
    come to its end is `unparsed`.

    Args:
        spec: a sampler's name (`load.sampler`), which is loaded only if something is left to ask.
        folder: of what was written, see `solve_in_chunks`.
        samples: solutions of each question and strategy.
        max_tokens: longest solution.
        device: of a transformers model.

    Returns:
        `samples` for each strategy and question, with the sampler's name as source.

    Raises:
        UserError: as `load.sampler` and `Sampler.sample`; a prompt is about 1,000 tokens long.
    """
    params = SamplingParams(n=samples, max_tokens=max_tokens, temperature=0.7, top_p=0.95, stop=_NEXT)
    open_teacher = cache(lambda: load.sampler(spec, device))
    with tqdm(total=len(STRATEGIES) * len(questions), unit=" questions", desc="teacher") as bar:

        def write(strategy: Strategy, chunk: Sequence[Question], chunk_seed: int) -> list[Rationale]:
            teacher = open_teacher()
            prompts = [prompt_for(teacher, prompt(strategy, question.text)) for question in chunk]
            replies = teacher.sample(prompts, replace(params, seed=chunk_seed))
            bar.update(len(chunk))
            return _verified(strategy, chunk, replies, spec)

        return solve_in_chunks(folder, questions, write, seed)


def prompt(strategy: Strategy, question: str) -> str:
    """What the teacher is asked: the strategy in words, `SHOTS` problems solved in it, and the question."""
    shown = "".join(
        f"Problem: {problem.question}\nSolution:\n{problem.rationale(strategy)}\n\n"
        for problem in draw(SHOTS, 0)
    )
    return f"{ASKED[strategy]}\n\n{shown}Problem: {question}\nSolution:"


def _verified(
    strategy: Strategy, questions: Sequence[Question], replies: Sequence[Sequence[Completion]], source: str
) -> list[Rationale]:
    flat = [(question, reply) for question, group in zip(questions, replies, strict=True) for reply in group]
    solutions = verify([(question, strategy, _solution(reply, strategy)) for question, reply in flat], source)
    return [
        solution if reply.finish_reason == "stop" else replace(solution, verdict="unparsed")
        for solution, (_, reply) in zip(solutions, flat, strict=True)
    ]


def _solution(reply: Completion, strategy: Strategy) -> str:
    """The solution in a reply; of a program that stands between fences, as chats write it, the program."""
    text = reply.text.encode("utf-8", "replace").decode()  # half a surrogate pair can be no file's text
    fenced = _FENCED.search(text) if strategy == "pot" else None
    return (fenced[1] if fenced else text).strip()
