"""Where the candidates of Prismatic Synthesis come from: the grammar of problems, or any sampler.

A generator takes items as examples and writes candidates like them, each solved several times; it judges
nothing but whether a problem could be read. Candidate i of a call depends on the seed, i and the examples.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from workbench.corpora import problems
from workbench.corpora.problems import Problem
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, fits, prompt_for
from workbench.errors import UserError
from workbench.measures.answers.agreement import final_answer, final_answers
from workbench.studies.common.word_problems import Pair

SAME, RELATED = 0.8, 0.15  # of new problems: the example's template; one that shares a half of it; else any
REPEATED = 0.1  # of the grammar's candidates: an example again, word for word or behind a phrase
PHRASES = ("", "", "Solve this problem. ", "Here is a question. ", "Read carefully: ")
WRONG_BY = (-10, -2, -1, 1, 2, 10)  # a slip of the grammar's solver; two slips may agree
_NUMBER = re.compile(r"(?:(?<![\w)])-)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|/\d+)?")
_NEXT = ("\nProblem:", "\nSolution:")  # a model that only continues text goes on with these


@dataclass(frozen=True)
class Item:
    """A problem with a solution to train on."""

    id: str  #: no other item of the pool has it
    problem: str  #: the text of the question
    solution: str  #: worked, ends with the answer
    answer: str  #: as `final_answer` writes it
    source: str  #: the problem's template, or `sampler`
    round: int  #: in which it came to the pool; 0 for what was there before

    @property
    def pair(self) -> Pair:
        """What a model reads: prompt and completion."""
        return self.problem, " " + self.solution

    @property
    def text(self) -> str:
        """Problem and solution, a line each."""
        return f"{self.problem}\n{self.solution}"


@dataclass(frozen=True)
class Candidate:
    """A problem that a generator wrote, and its attempts to solve it."""

    problem: str  #: its text; where it could not be read, all that was written
    source: str  #: its template, or `sampler`
    solutions: tuple[str, ...] = ()  #: one for each attempt
    answers: tuple[str | None, ...] = ()  #: theirs; None where a solution gives none
    readable: bool = True  #: whether a problem was found in what was written, short enough to be asked


Generate = Callable[[Sequence[Item], int, int], list[Candidate]]
"""(examples, number of candidates, seed) → candidates, at most so many."""


def items(drawn: Sequence[Problem]) -> list[Item]:
    """The grammar's problems as a pool to grow from, with their worked solutions."""
    return [Item(p.id, p.question, p.rationale(), str(p.answer), p.template, 0) for p in drawn]


def _generators(seed: int, n: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([seed, number]) for number in range(n))


def _check_attempts(attempts: int) -> None:
    if attempts < 1:
        raise UserError(f"Every problem has to be solved: choose attempts of 1 or more, not {attempts}.")


# ------------------------------------------------------------------------------- the grammar
def from_grammar(
    *,
    templates: Sequence[str] | None = None,
    attempts: int = 3,
    slip: float = 0.1,
    **drawing: int | float | None,
) -> Generate:
    """A generator that imitates few-shot prompting with the grammar of `corpora.problems`.

    One candidate in ten repeats an example. The others look at one example: 80 % take its template with new
    words and numbers, 15 % another one with the same scenario or the same structure, 5 % any template.
    Nothing here knows which templates are rare.

    Args:
        templates: those that it knows; None for all that are not held out.
        attempts: solutions of each problem.
        slip: probability that one of them ends with a wrong number, independently.
        drawing: `n_words`, `largest` and `distractors` of `problems.draw`.

    Raises:
        UserError: no attempts, or a slip that is no probability.
    """
    _check_attempts(attempts)
    if not 0 <= slip <= 1:
        raise UserError(f"slip is a probability: choose 0 to 1, not {slip}.")
    known = problems.templates() if templates is None else templates

    def candidate(example: Item, rng: np.random.Generator) -> Candidate:
        if rng.random() < REPEATED:
            text = PHRASES[rng.integers(len(PHRASES))] + example.problem
            source, solution = example.source, example.solution
        else:
            source = _template(example.source, known, rng)
            problem = problems.draw(1, int(rng.integers(2**31)), templates=[source], **drawing)[0]
            text, solution = problem.question, problem.rationale()
        solutions = tuple(_slipped(solution, slip, rng) for _ in range(attempts))
        return Candidate(text, source, solutions, tuple(map(final_answer, solutions)))

    def generate(examples: Sequence[Item], n: int, seed: int) -> list[Candidate]:
        rngs = _generators(seed, n if examples else 0)
        return [candidate(examples[rng.integers(len(examples))], rng) for rng in rngs]

    return generate


def _template(source: str, templates: Sequence[str], rng: np.random.Generator) -> str:
    """A template for a problem like one of `source`, by the shares that `from_grammar` states."""
    ticket = rng.random()
    if ticket < SAME and source in templates:
        return source
    halves = source.split("/")
    related = [name for name in templates if name != source and set(name.split("/")) & set(halves)]
    choice = related if ticket < SAME + RELATED and related else templates
    return choice[rng.integers(len(choice))]


def _slipped(solution: str, slip: float, rng: np.random.Generator) -> str:
    answer = final_answer(solution)
    if rng.random() >= slip or answer is None:
        return solution
    *_, last = _NUMBER.finditer(solution)
    wrong = Fraction(answer) + WRONG_BY[rng.integers(len(WRONG_BY))]
    return f"{solution[: last.start()]}{wrong}{solution[last.end() :]}"


# ------------------------------------------------------------------------------- a sampler
def from_sampler(sampler: Sampler, *, shots: int = 4, attempts: int = 3, max_tokens: int = 256) -> Generate:
    """A generator that shows a sampler a few problems and asks for another, and then for solutions.

    A text is read as a problem when it holds a question mark and at least six words and was not cut off; the
    answer is the last number of a solution that came to its end.

    Args:
        sampler: any; a model that only continues text and one that chats both know what to do.
        shots: examples in a prompt, fewer when there are fewer.
        attempts: solutions of each problem.
        max_tokens: longest problem, and longest solution.

    Raises:
        UserError: no shots or attempts.
    """
    _check_attempts(attempts)
    if shots < 1:
        raise UserError(f"A prompt has to show something: choose shots of 1 or more, not {shots}.")
    params = SamplingParams(max_tokens=max_tokens, stop=_NEXT)

    def generate(examples: Sequence[Item], n: int, seed: int) -> list[Candidate]:
        size, rngs = min(shots, len(examples)), _generators(seed, n if examples else 0)
        shown = [[examples[i] for i in rng.choice(len(examples), size, replace=False)] for rng in rngs]
        prompts = [prompt_for(sampler, _ask_problem(few)) for few in shown]
        written = [reply for (reply,) in sampler.sample(prompts, replace(params, seed=seed))]
        texts = [_read_problem(reply) for reply in written]
        prompts = {
            i: prompt_for(sampler, _ask_solution(shown[i], text)) for i, text in enumerate(texts) if text
        }
        # A problem that is too long to be asked back is as if it could not be read.
        prompts = {i: prompt for i, prompt in prompts.items() if fits(sampler, prompt)}
        solved = sampler.sample(list(prompts.values()), replace(params, n=attempts, seed=seed + 1))
        candidates = [Candidate(reply.text, "sampler", readable=False) for reply in written]
        ended = [[reply.text if reply.finish_reason == "stop" else "" for reply in group] for group in solved]
        for i, replies, answers in zip(prompts, solved, final_answers(ended), strict=True):
            solutions = tuple(reply.text.strip() for reply in replies)
            candidates[i] = Candidate(texts[i], "sampler", solutions, tuple(answers))
        return candidates

    return generate


def _ask_problem(examples: Sequence[Item]) -> str:
    shown = "".join(f"Problem: {example.problem}\n\n" for example in examples)
    return (
        "Below are word problems, each with one number as its answer. Write one more, complete in itself, "
        "with a story and a way to its answer that none of them has. Write its text alone, in one paragraph."
        f"\n\n{shown}Problem:"
    )


def _ask_solution(examples: Sequence[Item], problem: str) -> str:
    shown = "".join(f"Problem: {example.problem}\nSolution: {example.solution}\n\n" for example in examples)
    return (
        "Each problem is followed by its solution, worked step by step; the last number of the solution is "
        f"the answer.\n\n{shown}Problem: {problem}\nSolution:"
    )


def _read_problem(completion: Completion) -> str | None:
    """What was written up to its first paragraph with a question, without a label or a line before it."""
    text = re.split(r"\n\s*(?:Solution|Answer)\b", completion.text.replace("**", "").strip())[0]
    paragraphs = re.split(r"\n\s*\n", text.removeprefix("Problem:").strip())
    if paragraphs[0].endswith((":", "!")):
        paragraphs = paragraphs[1:]
    end = next((number for number, part in enumerate(paragraphs, 1) if "?" in part), None)
    problem = "\n".join(paragraphs[:end]).removeprefix("Problem:").strip()
    unfinished = completion.finish_reason == "length" and not problem.endswith("?")
    return None if end is None or len(problem.split()) < 6 or unfinished else problem
