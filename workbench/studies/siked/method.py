"""SIKeD: a student that learns several strategies from a teacher, then from itself (arXiv 2410.18574).

A solution begins with the tag of its strategy, so a model first chooses how to solve a problem and then does
it. After learning from the teacher the student solves the training questions in every strategy, keeps what
is right, mixes it with the teacher's (`mixing`), learns on, and so forth. The round to stop at is chosen on
training questions that are held out; the test is touched once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, Strategy
from workbench.corpora.problems import Problem
from workbench.engine import loading
from workbench.engine.models import context_length
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.siked.mixing import Mix, biased, divergence, first_correct, mix, teacher_share
from workbench.studies.siked.solving import Question, solve, solve_in_chunks, table


@dataclass(frozen=True)
class DistillConfig:
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


def solver_solutions(
    problems: Sequence[Problem], strategies: Sequence[Strategy] = STRATEGIES
) -> list[Rationale]:
    """What the embedded solver writes for each problem, in each strategy; all of it is right."""
    return [
        Rationale(each.id, each.question, name, each.rationale(name), str(each.answer), "solver", "correct")
        for each in problems
        for name in strategies
    ]


def pairs(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, str]]:
    """What a student reads: the question, as its model is asked one, then tag and solution."""
    return [framed(tokenizer, row.question, f" [{row.strategy}] {row.text}") for row in rows.itertuples()]


# ------------------------------------------------------------------------------- learning
@dataclass(frozen=True)
class DistillResult:
    """What came of one student.

    Attributes:
        folder: the chosen model.
        rounds: columns round, held_out (accuracy), chosen (bool), divergence (nats), and for each strategy
            and all the mixture's alpha_… and n_…, and what the student chose by itself, chose_…, also
            chose_none, without a tag.
    """

    folder: Path
    rounds: pd.DataFrame


def distill(
    folder: Path,
    base: str,
    teacher: pd.DataFrame,
    questions: Sequence[Question],
    held_out: Sequence[Question],
    lesson: DistillConfig,
    how: Mix,
    *,
    alpha: float | None = None,
    on_policy: bool = True,
    priority: Sequence[str] = (),
    device: str = "auto",
    seed: int = 0,
) -> DistillResult:
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
        priority: biased towards the first of these strategies: of each question's solutions one is learnt, of
            the first strategy that has one (paper, "Biasing SIKeD towards a specific strategy").
        device: see `models.load`.
        seed: of order and draws.

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
            student = cache(partial(_sampler, writer, device))
            wrote = solve_in_chunks(
                place / "wrote", questions, partial(_wrote, student, lesson), 1000 * seed + number
            )
            mixed = mix(teacher, first_correct(wrote, "student"), how, alpha=alpha, seed=seed)
            if mixed.empty:  # nothing of its own is right: it stays what it was
                rows.append({"round": number, **_state(mixed, answered)})
                break
        mixed = biased(mixed, priority) if priority else mixed
        model, tokenizer = _learn(place / "model", start, mixed, lesson, number, seed, device)
        sampler = TransformersSampler(model, tokenizer)
        answered = cached_table(place / "held_out.parquet", partial(answers, sampler, held_out, lesson))
        rows.append({"round": number, **_state(mixed, answered)})
        gain = rows[-1]["held_out"] - max((row["held_out"] for row in rows[:-1]), default=-1)
        if gain < lesson.least_gain:
            break
    frame = pd.DataFrame(rows)
    chosen = int(frame["held_out"].idxmax())
    return DistillResult(folder / f"round-{chosen}" / "model", frame.assign(chosen=frame["round"] == chosen))


def answers(sampler: Sampler, questions: Sequence[Question], lesson: DistillConfig) -> pd.DataFrame:
    """The most likely solution of each question, in the strategy that the student chooses: a `table`."""
    likeliest = SamplingParams(max_tokens=lesson.max_new_tokens, temperature=0)
    return table(solve(sampler, questions, "student", likeliest))


def _sampler(model: str, device: str) -> Sampler:
    return TransformersSampler(*loading.load(model, device))


def _wrote(
    student: Callable[[], Sampler],
    lesson: DistillConfig,
    strategy: Strategy,
    questions: Sequence[Question],
    seed: int,
) -> list[Rationale]:
    """What a student writes for some questions in a strategy."""
    params = SamplingParams(
        n=lesson.samples, max_tokens=lesson.max_new_tokens, temperature=0.7, top_p=0.95, seed=seed
    )
    return solve(student(), questions, "student", params, strategy)


def _learn(
    folder: Path, start: str, mixed: pd.DataFrame, lesson: DistillConfig, number: int, seed: int, device: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    model, tokenizer = loading.load(start, device)
    train(
        model.float(),
        tokenizer,
        pairs(mixed, tokenizer),
        TrainConfig(
            epochs=lesson.round_epochs if number else lesson.epochs,
            batch_size=lesson.batch_size,
            context=min(lesson.context, context_length(model)),
            learning_rate=lesson.learning_rate / (2 if number else 1),
            lora=Lora() if lesson.tuning == "lora" else None,
            seed=1000 * seed + number,
        ),
        folder=folder,
    )
    return model, tokenizer


def _state(mixed: pd.DataFrame, answered: pd.DataFrame) -> dict[str, float]:
    """A round's line: the mixture, and what the student did by itself on the held-out questions."""
    chose = answered["strategy"].value_counts().to_dict()
    shares = teacher_share(mixed)
    return {
        "held_out": float((answered["verdict"] == "correct").mean()),
        "divergence": divergence(mixed, chose),
        **{f"chose_{name}": chose.get(name, 0) for name in (*STRATEGIES, "none")},
        **{f"alpha_{row.strategy}": row.alpha for row in shares.itertuples()},
        **{f"n_{row.strategy}": row.n for row in shares.itertuples()},
    }
