"""Solutions of problems: asked of a student, verified, and kept piece by piece.

Programs run in the sandbox and nowhere else. What was asked and verified is kept by strategy and some
questions at a time, so that a call that was cut off asks only for what it lost.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast

import pandas as pd

from workbench import sandbox
from workbench.corpora import logic
from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, Strategy
from workbench.corpora.logic import LogicProblem
from workbench.corpora.problems import Problem
from workbench.engine.sampling.sampler import Sampler, SamplingParams, fits, prompt_for
from workbench.files import cached_table
from workbench.measures.answers.grading import grade_many

PIECE = 200  # questions that are asked together, and lost together when a call is cut off
_TAGGED = re.compile(r"\s*\[(\w+)\]\s?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A question to solve."""

    id: str
    text: str
    gold: str  #: the right answer
    problem: Problem | LogicProblem | None = None  #: what the embedded tasks know of it; files say no more


def solve(
    sampler: Sampler,
    questions: Sequence[Question],
    source: str,
    params: SamplingParams,
    strategy: Strategy | None = None,
) -> list[Rationale]:
    """Solutions by a student, verified; programs run in the sandbox.

    Args:
        source: the student's name in the record.
        strategy: its tag is written for the student; None lets it choose.

    Returns:
        `params.n` for each question, in order. A solution without one of the three tags is `unparsed`, of
        strategy "none"; so is the empty one of a question that fills the student's context. A program that
        did not run for lack of a sandbox is `not run`.
    """
    tag = f" [{strategy}]" if strategy else ""
    prompts = [prompt_for(sampler, question.text, tag) for question in questions]
    short = [at for at, prompt in enumerate(prompts) if fits(sampler, prompt)]
    replies = sampler.sample([prompts[at] for at in short], params)
    texts = {at: [reply.text for reply in group] for at, group in zip(short, replies, strict=True)}
    written = [
        (question, *_tagged(tag + text))
        for at, question in enumerate(questions)
        for text in texts.get(at, [""] * params.n)
    ]
    return verify(written, source)


def solve_freely(
    sampler: Sampler, questions: Sequence[Question], source: str, params: SamplingParams
) -> list[Rationale]:
    """What a model answers that knows of no tags: of strategy "none", right if its final answer is."""
    prompts = [prompt_for(sampler, question.text) for question in questions]
    short = [at for at, prompt in enumerate(prompts) if fits(sampler, prompt)]
    replies = sampler.sample([prompts[at] for at in short], params)
    texts = {at: reply.text for at, (reply,) in zip(short, replies, strict=True)}
    written: list[tuple[Question, Strategy | Literal["none"], str]]
    written = [(question, "cot", texts.get(at, "")) for at, question in enumerate(questions)]
    return [replace(one, strategy="none") for one in verify(written, source)]


def verify(
    written: Sequence[tuple[Question, Strategy | Literal["none"], str]], source: str
) -> list[Rationale]:
    """Questions, strategies and solutions with their verdicts; programs run in the sandbox.

    A solution of strategy "none" is `unparsed`; `source` says who wrote them.
    """
    programs = {_program(question, text): None for question, strategy, text in written if strategy == "pot"}
    outcomes = dict(zip(programs, sandbox.run(list(programs)), strict=True))  # equal programs run once
    solutions, graded = [], []
    for question, strategy, text in written:
        verdict, answer = "", text
        if strategy == "pot":
            verdict, answer = _of_program(outcomes[_program(question, text)])
        verdict = "unparsed" if strategy == "none" else verdict
        graded += [] if verdict else [(answer, question.gold, strategy)]
        solutions.append(
            Rationale(question.id, question.text, strategy, text, question.gold, source, verdict)
        )
    grades = iter(grade_many(*map(list, zip(*graded, strict=True))) if graded else [])
    return [one if one.verdict else replace(one, verdict=next(grades).verdict) for one in solutions]


def _program(question: Question, text: str) -> str:
    """What runs: a program about the house of the logic task calls the functions of its prelude."""
    return logic.PRELUDE + text if isinstance(question.problem, LogicProblem) else text


def _of_program(outcome: sandbox.Outcome) -> tuple[str, object]:
    """The verdict on a program that gave no value, else "" and the value."""
    if outcome.status == "ok":
        return "", outcome.value
    too_long = outcome.reason.startswith("the program is longer")
    return ("not run" if outcome.status == "not run" and not too_long else "unparsed"), None


def _tagged(text: str) -> tuple[Strategy | Literal["none"], str]:
    """(strategy, solution) of what was written."""
    match = _TAGGED.match(text)
    if match is None or match[1] not in STRATEGIES:
        return "none", text
    return cast(Strategy, match[1]), match[2]


def table(solutions: Sequence[Rationale]) -> pd.DataFrame:
    """Solutions as a table: columns id, question, strategy, text, gold, source, verdict."""
    return pd.DataFrame([asdict(solution) for solution in solutions])


def solve_in_chunks(
    folder: Path,
    questions: Sequence[Question],
    write: Callable[[Strategy, Sequence[Question], int], list[Rationale]],
    seed: int,
) -> list[Rationale]:
    """What `write(strategy, questions, seed)` gives for every strategy and question; nothing is asked twice.

    Args:
        folder: of a file for each strategy and `PIECE` questions.
        write: asks for solutions; every piece has a seed of its own.
    """
    solutions = []
    for strategy in STRATEGIES:
        for start in range(0, len(questions), PIECE):

            def make(strategy: Strategy = strategy, start: int = start) -> pd.DataFrame:
                chunk_seed = zlib.crc32(f"{seed}/{strategy}/{start}".encode())
                return table(write(strategy, questions[start : start + PIECE], chunk_seed))

            kept = cached_table(folder / f"{strategy}-{start:06}.parquet", make)
            solutions += [Rationale(*row) for row in kept.itertuples(index=False)]
    return solutions
