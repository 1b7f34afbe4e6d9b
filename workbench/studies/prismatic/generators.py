"""Where the candidates of Prismatic Synthesis come from: a task's grammar, or any sampler.

A generator takes items as examples and writes candidates like them, each solved several times; it judges
nothing but whether a problem could be read. Candidate i of a call depends on the seed, i and the examples.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, fits, prompt_for
from workbench.errors import UserError
from workbench.measures.answers.agreement import final_answers
from workbench.studies.prismatic.items import Candidate, Generate, Item
from workbench.studies.prismatic.tasks import LogicTask, WordTask

SAME, RELATED = 0.8, 0.15  # of new problems: the example's structure; one that shares a half of it; else any
SAME_WORDING = 0.8  # of new problems: the example's; else any
REPEATED = 0.1  # of the grammar's candidates: an example again, word for word or behind a phrase
PHRASES = ("", "", "Solve this problem. ", "Here is a question. ", "Read carefully: ")
_NEXT = ("\nProblem:", "\nSolution:")  # a model that only continues text goes on with these


def _generators(seed: int, n: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([seed, number]) for number in range(n))


def _check_attempts(attempts: int) -> None:
    if attempts < 1:
        raise UserError(f"Every problem has to be solved: choose attempts of 1 or more, not {attempts}.")


# ------------------------------------------------------------------------------- the grammar
def from_grammar(task: LogicTask | WordTask, *, attempts: int = 3, slip: float = 0.1) -> Generate:
    """A generator that imitates few-shot prompting with a task's grammar.

    One candidate in ten repeats an example. The others look at one example: 80 % take its structure, from
    another beginning; 15 % another one that shares a half of it, 5 % any. Apart from that, 80 % take its
    wording, the others any. Nothing here knows which are rare.

    Args:
        task: whose structures and wordings it knows.
        attempts: solutions of each problem.
        slip: probability that one of them ends with a wrong answer, independently.

    Raises:
        UserError: no attempts, or a slip that is no probability.
    """
    _check_attempts(attempts)
    if not 0 <= slip <= 1:
        raise UserError(f"slip is a probability: choose 0 to 1, not {slip}.")
    known = task.structures

    def candidate(example: Item, rng: np.random.Generator) -> Candidate:
        if rng.random() < REPEATED:
            drawn = replace(example, problem=PHRASES[rng.integers(len(PHRASES))] + example.problem)
        else:
            structure = _structure(example.source, known, rng)
            kept = example.wording >= 0 and rng.random() < SAME_WORDING
            wordings = [example.wording] if kept else range(task.wordings)
            (drawn,) = task.draw(1, int(rng.integers(2**31)), [structure], wordings)
        solutions = tuple(_slipped(task, drawn.solution, slip, rng) for _ in range(attempts))
        answers = tuple(map(task.read, solutions))
        return Candidate(drawn.problem, drawn.source, solutions, answers, wording=drawn.wording)

    def generate(examples: Sequence[Item], n: int, seed: int) -> list[Candidate]:
        rngs = _generators(seed, n if examples else 0)
        return [candidate(examples[int(rng.integers(len(examples)))], rng) for rng in rngs]

    return generate


def _structure(source: str, known: Sequence[str], rng: np.random.Generator) -> str:
    """A structure for a problem like one of `source`, by the shares that `from_grammar` states."""
    ticket = rng.random()
    if ticket < SAME and source in known:
        return source
    halves = source.split("/")
    related = [name for name in known if name != source and set(name.split("/")) & set(halves)]
    choice = related if ticket < SAME + RELATED and related else known
    return choice[int(rng.integers(len(choice)))]


def _slipped(task: LogicTask | WordTask, solution: str, slip: float, rng: np.random.Generator) -> str:
    answer = task.read(solution)
    if rng.random() >= slip or answer is None:
        return solution
    before, _, after = solution.rpartition(answer)
    return f"{before}{task.wrong(answer, rng)}{after}"


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
            candidates[i] = Candidate(texts[i] or "", "sampler", solutions, tuple(answers))
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
