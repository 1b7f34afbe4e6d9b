"""SIKeD: a student that learns several strategies from a teacher, then from itself (arXiv 2410.18574).

A solution begins with the tag of its strategy, so a model first chooses how to solve a problem and then does
it. After learning from the teacher the student solves the training questions in every strategy, keeps what
is right, mixes it with the teacher's (`mixing`), learns on, and so forth. The round to stop at is chosen on
training questions that are held out; the test is touched once.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench import sandbox
from workbench.corpora.problems import Problem
from workbench.corpora.rationales import STRATEGIES, Rationale, Strategy
from workbench.engine import models
from workbench.engine.adapters import Lora
from workbench.engine.folders import kept
from workbench.engine.generate import Sampler, TransformersSampler
from workbench.engine.tokens import encode, framed
from workbench.engine.train import train
from workbench.measures.answers import judge
from workbench.studies.mixing import Mix, alphas, divergence, first_correct, mix

_TAGGED = re.compile(r"\s*\[(\w+)\]\s?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A question to solve: its id, its text and the right answer."""

    id: str
    text: str
    gold: str


@dataclass(frozen=True)
class Lesson:
    """How a student learns and is sampled.

    Attributes:
        epochs: of the first distillation.
        round_epochs: of each round after it.
        rounds: at most.
        samples: solutions of each question and strategy (the paper's K = 10).
        batch_size: rows of `context` tokens a step.
        context: tokens; fewer where the model's end.
        learning_rate: the highest; in rounds half of it.
        least_gain: of the held-out accuracy, below which a round is the last.
        max_new_tokens: longest solution.
        tuning: of all weights, or of a LoRA that is merged in after each round.
        restart: where a round begins: `merged` goes on with the model of the round before, `base` with the
            one that the first began from.
    """

    epochs: float
    round_epochs: float
    rounds: int
    samples: int
    batch_size: int = 16
    context: int = 256
    learning_rate: float = 2e-3
    least_gain: float = 0.0
    max_new_tokens: int = 96
    tuning: Literal["full", "lora"] = "full"
    restart: Literal["merged", "base"] = "merged"


def taught(problems: Sequence[Problem], strategies: Sequence[Strategy] = STRATEGIES) -> list[Rationale]:
    """What the embedded solver writes for each problem, in each strategy; all of it is right."""
    return [
        Rationale(each.id, each.question, name, each.rationale(name), str(each.answer), "solver", "correct")
        for each in problems
        for name in strategies
    ]


def pairs(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, str]]:
    """What a student reads: the question, as its model is asked one, then tag and solution."""
    return [framed(tokenizer, row.question, f" [{row.strategy}] {row.text}") for row in rows.itertuples()]


# ------------------------------------------------------------------------------- solving
def solve(
    sampler: Sampler,
    questions: Sequence[Question],
    source: str,
    *,
    strategy: Strategy | None = None,
    n: int = 1,
    temperature: float = 0.7,
    top_p: float = 0.95,
    seed: int = 0,
    max_new_tokens: int = 96,
) -> list[Rationale]:
    """Solutions by a student, judged; programs run in the sandbox.

    Args:
        sampler: the student.
        questions: to solve.
        source: the student's name in the record.
        strategy: its tag is written for the student; None lets it choose.
        n: solutions of each question.
        temperature: 0 takes the most likely solution.
        top_p: as `Sampler.sample`.
        seed: of the draws.
        max_new_tokens: longest solution.

    Returns:
        `n` for each question, in order. A solution without one of the three tags is `unparsed`, of the
        strategy that its tag names or of "cot"; so is the empty one of a question that fills the student's
        context. A program that did not run for lack of a sandbox is
        `not run`.
    """
    tag = f" [{strategy}]" if strategy else ""
    prompts = [_prompt(sampler, question.text, tag) for question in questions]
    short = [at for at, prompt in enumerate(prompts) if _fits(sampler, prompt)]
    replies = sampler.sample(
        [prompts[at] for at in short],
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )
    texts = {at: [reply.text for reply in own] for at, own in zip(short, replies, strict=True)}
    written = [
        (question, *_tagged(tag + text))
        for at, question in enumerate(questions)
        for text in texts.get(at, [""] * n)
    ]
    return judged(written, source)


def _prompt(sampler: Sampler, question: str, tag: str) -> str:
    if isinstance(sampler, TransformersSampler):
        question, tag = framed(sampler.tokenizer, question, tag)
    return question + tag  # a server has the frame of its own model


def _fits(sampler: Sampler, prompt: str) -> bool:
    if not isinstance(sampler, TransformersSampler):
        return True
    context = getattr(sampler.model.config, "max_position_embeddings", None) or 1 << 30
    return len(encode(sampler.tokenizer, [prompt])[0]) < context


def judged(written: Sequence[tuple[Question, Strategy | Literal[""], str]], source: str) -> list[Rationale]:
    """Solutions with their verdicts; programs run in the sandbox.

    Args:
        written: question, strategy and solution; without a strategy a solution is `unparsed`, and counts
            as of "cot".
        source: who wrote them.
    """
    outcomes = iter(sandbox.run([text for _, strategy, text in written if strategy == "pot"]))
    found = []
    for question, strategy, text in written:
        if strategy == "pot":
            verdict = _of_program(next(outcomes), question.gold)
        else:
            verdict = judge(text, question.gold, strategy).verdict if strategy else "unparsed"
        found.append(
            Rationale(question.id, question.text, strategy or "cot", text, question.gold, source, verdict)
        )
    return found


def _of_program(outcome: sandbox.Outcome, gold: str) -> str:
    if outcome.status == "ok":
        return judge(outcome.value, gold, "pot").verdict
    too_long = outcome.reason.startswith("the program is longer")
    return "not run" if outcome.status == "not run" and not too_long else "unparsed"


def _tagged(text: str) -> tuple[Strategy | Literal[""], str]:
    """(strategy, solution) of what was written; the strategy is empty without one of the three tags."""
    found = _TAGGED.match(text)
    return (found[1], found[2]) if found and found[1] in STRATEGIES else ("", text)


def table(found: Sequence[Rationale]) -> pd.DataFrame:
    """Solutions as a table: columns id, question, strategy, text, gold, source, verdict."""
    return pd.DataFrame([asdict(each) for each in found])


# ------------------------------------------------------------------------------- learning
@dataclass(frozen=True)
class Learnt:
    """What came of one student.

    Attributes:
        folder: the chosen model.
        rounds: columns round, held_out (accuracy), chosen (bool), divergence (nats), and for each strategy
            and all the mixture's alpha_… and n_…, and what the student chose by itself, chose_….
    """

    folder: Path
    rounds: pd.DataFrame


def distil(
    folder: Path,
    base: str,
    teacher: pd.DataFrame,
    questions: Sequence[Question],
    held_out: Sequence[Question],
    lesson: Lesson,
    how: Mix,
    *,
    alpha: float | None = None,
    on_policy: bool = True,
    device: str = "auto",
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Learnt:
    """Teaches a student in rounds; a call that was cut off goes on in the round where it was.

    The paper's round goes on from one of the checkpoints of the round before; this one from its end.

    Args:
        folder: of the rounds' models and of what the student wrote in each.
        base: the model that it begins from.
        teacher: correct solutions (`mixing.first_correct`).
        questions: to be solved by the student in every round.
        held_out: training questions that nothing is learnt from; they choose the round.
        lesson: how much.
        how: the mixture; `teacher-only` is the usual distillation, trained for as long.
        alpha: for `fixed-alpha`.
        on_policy: each round's own solutions are the newest student's; else always the first one's.
        device: see `models.load`.
        seed: of order and draws.
        stop: asked between rounds; when true the call returns early, to be repeated.

    Raises:
        UserError: the teacher has no solution, or alpha does not suit the mixture.
    """
    rows: list[dict[str, Any]] = []
    answered = pd.DataFrame()  # the latest round's
    for number in range(lesson.rounds + 1):
        place = folder / f"round-{number}"
        before = str(folder / f"round-{number - 1}" / "model") if number else base
        start = base if lesson.restart == "base" else before
        mixed = teacher
        if number and how != "teacher-only":
            writer = before if on_policy else str(folder / "round-0" / "model")
            write = partial(_wrote, writer, questions, lesson, seed + number, device)
            wrote = kept(place / "wrote.parquet", write)
            mixed = mix(teacher, first_correct(rationales(wrote), "student"), how, alpha=alpha, seed=seed)
            if mixed.empty:  # nothing of its own is right: it stays what it was
                rows.append({"round": number, **_state(mixed, answered)})
                break
        model, tokenizer = _learn(place / "model", start, mixed, lesson, number, seed, device)
        sampler = TransformersSampler(model, tokenizer)
        answered = kept(place / "held_out.parquet", partial(answers, sampler, held_out, lesson))
        rows.append({"round": number, **_state(mixed, answered)})
        gain = rows[-1]["held_out"] - max((row["held_out"] for row in rows[:-1]), default=-1)
        if stop() or gain < lesson.least_gain:
            break
    frame = pd.DataFrame(rows)
    chosen = int(frame["held_out"].idxmax())
    return Learnt(folder / f"round-{chosen}" / "model", frame.assign(chosen=frame["round"] == chosen))


def answers(sampler: Sampler, questions: Sequence[Question], lesson: Lesson) -> pd.DataFrame:
    """The most likely solution of each question, in the strategy that the student chooses: a `table`."""
    longest = lesson.max_new_tokens
    return table(solve(sampler, questions, "student", temperature=0, max_new_tokens=longest))


def _wrote(model: str, questions: Sequence[Question], lesson: Lesson, seed: int, device: str) -> pd.DataFrame:
    """What a student writes for every question in every strategy."""
    sampler = TransformersSampler(*models.load(model, device))
    how = {"n": lesson.samples, "seed": seed, "max_new_tokens": lesson.max_new_tokens}
    frames = [table(solve(sampler, questions, "student", strategy=name, **how)) for name in STRATEGIES]
    return pd.concat(frames, ignore_index=True)


def _learn(
    folder: Path, start: str, mixed: pd.DataFrame, lesson: Lesson, number: int, seed: int, device: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    model, tokenizer = models.load(start, device)
    longest = getattr(model.config, "max_position_embeddings", None) or lesson.context
    train(
        model.float(),  # half-precision weights would lose small steps
        tokenizer,
        pairs(mixed, tokenizer),
        folder=folder,
        epochs=lesson.round_epochs if number else lesson.epochs,
        batch_size=lesson.batch_size,
        context=min(lesson.context, longest),
        learning_rate=lesson.learning_rate / (2 if number else 1),
        lora=Lora() if lesson.tuning == "lora" else None,
        seed=seed + number,
    )
    return model, tokenizer


def _state(mixed: pd.DataFrame, answered: pd.DataFrame) -> dict[str, float]:
    """A round's line: the mixture, and what the student did by itself on the held-out questions."""
    chose = answered["strategy"].value_counts().to_dict()
    shares = alphas(mixed)
    return {
        "held_out": float((answered["verdict"] == "correct").mean()),
        "divergence": divergence(mixed, chose),
        **{f"chose_{name}": chose.get(name, 0) for name in STRATEGIES},
        **{f"alpha_{row.strategy}": row.alpha for row in shares.itertuples()},
        **{f"n_{row.strategy}": row.n for row in shares.itertuples()},
    }


def rationales(frame: pd.DataFrame) -> list[Rationale]:
    """The solutions of a `table`."""
    return [Rationale(*row) for row in frame.itertuples(index=False)]
