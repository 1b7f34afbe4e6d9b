"""SIKeD, self-guided iterative knowledge distillation (Adarsh et al. 2024, arXiv 2410.18574, section 3).

A solution begins with the tag of its strategy, so a model first chooses how to solve a problem and then does
it. M_0 is trained on the teacher's correct solutions in every strategy. Then, in rounds t = 1, 2, …:

    sample   K solutions of each training question in each strategy from M_{t-1}
    verify   the answers, and keep the first correct solution of each question and strategy
    mix      them with the teacher's; alpha is the teacher's share (`mixing`)
    train    M_t on the mixture

As published: K = 10 at temperature 0.7 and top-p 0.95, the tag first, the mixtures, the bias towards a
strategy, and half the learning rate after the first distillation. Different: a round goes on from the last
weights of the one before, not from one of its checkpoints; the number of rounds is fixed beforehand and the
last one counts, so that nothing is chosen by what it scores; and a round makes as many steps as
`round_epochs` of the teacher's whole training set, however many rows its own has, so that no student is
trained for longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, Strategy
from workbench.engine import loading
from workbench.engine.models import context_length
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import framed
from workbench.engine.training.common import TrainConfig, quick_attention
from workbench.engine.training.lora import Lora
from workbench.engine.training.packing import pack
from workbench.engine.training.train import train
from workbench.engine.traits import traits
from workbench.files import cached_table
from workbench.studies.siked.imitation import ROWS, imitate, warmup
from workbench.studies.siked.mixing import (
    Mixture,
    biased,
    divergence,
    entropy,
    first_correct,
    mix,
    teacher_share,
)
from workbench.studies.siked.plans import plans
from workbench.studies.siked.solving import Question, solve, solve_freely, solve_in_chunks, table

_AT_ONCE = 2  # solutions of a question and strategy, before those that nobody has solved are asked again


@dataclass(frozen=True)
class DistillConfig:
    """How a student learns and is sampled."""

    epochs: (
        float  #: of the first distillation, over the teacher's whole training set, which says how many steps
    )
    round_epochs: float  #: of each round after it, likewise
    rounds: int  #: after the first distillation
    samples: int  #: solutions of each question and strategy (the paper's K = 10)
    batch_size: int = 16  #: rows of `context` tokens a step
    context: int = 256  #: tokens; fewer where the model's end
    learning_rate: float = 2e-3  #: the highest; in rounds half of it
    max_new_tokens: int = 96  #: longest solution
    #: of all weights, or of a LoRA that is merged in after each round.
    tuning: Literal["full", "lora"] = "full"
    #: where a round begins: `merged` goes on with the model of the round before, `base` with the one that the
    #: first began from.
    restart: Literal["merged", "base"] = "merged"


@dataclass(frozen=True)
class DistillResult:
    """What came of one student."""

    folder: Path  #: the model of the last round in which it learnt something
    #: columns round, steps (of its training), held_out (accuracy), plan (right plans), lucky (right answers
    #: by a wrong plan, of all right ones), entropy (bits, of the strategies that it chose), divergence
    #: (nats), lucky_own (wrong plans among its own solutions that it learns), and for each strategy and all
    #: the mixture's alpha_… and n_…, and what the student chose by itself, chose_…, also chose_none, without
    #: a tag. NaN where it is not known.
    rounds: pd.DataFrame


def distill(
    folder: Path,
    base: str,
    teacher: pd.DataFrame,
    questions: Sequence[Question],
    held_out: Sequence[Question],
    config: DistillConfig,
    mixture: Mixture,
    *,
    rounds: int | None = None,
    alpha: float | None = None,
    whole: pd.DataFrame | None = None,
    on_policy: bool = True,
    priority: Sequence[str] = (),
    guide: str = "",
    device: str = "auto",
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> DistillResult:
    """Teaches a student in rounds; a call that was cut off goes on in the round where it was.

    Args:
        folder: of the rounds' models and of what the student wrote in each.
        base: the model that it begins from.
        teacher: correct solutions (`mixing.first_correct`).
        questions: to be solved by the student in every round.
        held_out: training questions that nothing is learnt from.
        mixture: `teacher-only` is the usual distillation, trained for as long.
        rounds: instead of the configuration's.
        alpha: for `fixed-alpha`.
        whole: the teacher's solutions in every strategy, where `teacher` has some of them: what a training's
            number of steps is counted by.
        on_policy: each round's own solutions are the newest student's; else those that it wrote first.
        priority: biased towards the first of these strategies: of each question's solutions one is learnt, of
            the first strategy that has one (paper, "Biasing SIKeD towards a specific strategy").
        guide: a larger model whose probabilities are learnt in the rounds, instead of a mixture
            (`imitation`).
        progress: called with the share of all rounds that is done.

    Raises:
        UserError: the teacher has no solution, or alpha does not suit the mixture.
    """
    rows: list[dict[str, Any]] = []
    answers, learnt = pd.DataFrame(columns=["strategy", "verdict", "plan"]), folder
    asked = {question.id: question for question in questions}
    first, later = lengths(base, teacher if whole is None else whole, config, device)
    n_rounds = (config.rounds if rounds is None else rounds) + 1
    for t in range(n_rounds):

        def log(row: dict[str, float], t: int = t) -> None:
            progress((t + row["step"] / max(1, later if t else first)) / n_rounds)

        round_folder, round_seed, steps = folder / f"round-{t}", 1000 * seed + t, later if t else first
        previous = str(folder / f"round-{t - 1}" / "model") if t else base
        training_set, start = teacher, base if config.restart == "base" else previous
        if t and guide:
            training_set = teacher.iloc[:0]
            imitate(round_folder / "model", start, guide, questions, config, steps, round_seed, device)
        elif t and mixture != "teacher-only":
            place = round_folder if on_policy else folder / "round-1"
            sampled = sample(place / "wrote", previous, questions, config, round_seed, device)
            student = first_correct(sampled, "student")
            training_set = mix(teacher, student, mixture, alpha=alpha, seed=seed)
            if training_set.empty:  # nothing that the student wrote is right: it stays what it was
                rows.append({"round": t, "steps": 0, **_describe(training_set, answers, asked)})
                break
        if priority:
            training_set = biased(training_set, priority)
        if not (t and guide):
            _train(round_folder / "model", start, training_set, config, t, steps, round_seed, device, log)
        learnt = round_folder / "model"
        answers = cached_table(
            round_folder / "held_out.parquet", lambda learnt=learnt: answer(learnt, held_out, config, device)
        )
        rows.append({"round": t, "steps": steps, **_describe(training_set, answers, asked)})
    return DistillResult(learnt, pd.DataFrame(rows))


def lengths(base: str, whole: pd.DataFrame, config: DistillConfig, device: str) -> tuple[int, int]:
    """Steps of the first distillation, and of each round: of every student, whatever it learns from.

    They are `epochs` and `round_epochs` of the teacher's whole training set, laid out as `train` does it.
    """
    model, tokenizer = loading.load(base, device)
    context = min(config.context, context_length(model))
    with quick_attention(model, context):
        together = traits(model).parts_documents and traits(model).ignores_batch_mates
    blocks = pack(tokenizer, training_pairs(whole, tokenizer), context, one_per_row=not together)
    epochs = (config.epochs, config.round_epochs)
    counted = [TrainConfig(epochs=passes, batch_size=config.batch_size, context=context) for passes in epochs]
    first, later = (one.resolved(len(blocks.ids)).steps or 0 for one in counted)
    return first, later


def sample(
    folder: Path, model: str, questions: Sequence[Question], config: DistillConfig, seed: int, device: str
) -> list[Rationale]:
    """K verified solutions of each question in each strategy; what `folder` holds is not asked again.

    The first right one counts, so a question that one of the first `_AT_ONCE` solves is asked no more.
    """
    open_student = cache(lambda: TransformersSampler(*loading.load(model, device), batch_size=ROWS))
    params = SamplingParams(n=config.samples, max_tokens=config.max_new_tokens, temperature=0.7, top_p=0.95)

    def write(strategy: Strategy, chunk: Sequence[Question], chunk_seed: int) -> list[Rationale]:
        solutions: list[Rationale] = []
        unsolved, left = chunk, config.samples
        for number, n in enumerate((min(_AT_ONCE, left), left - _AT_ONCE)):
            if n > 0 and unsolved:
                drawn = replace(params, n=n, seed=chunk_seed + number)
                solutions += solve(open_student(), unsolved, "student", drawn, strategy)
                solved = {one.id for one in solutions if one.verdict == "correct"}
                unsolved = [question for question in chunk if question.id not in solved]
        return solutions

    return solve_in_chunks(folder, questions, write, seed)


def answer(
    model: Path,
    questions: Sequence[Question],
    config: DistillConfig,
    device: str,
    strategy: Strategy | None = None,
) -> pd.DataFrame:
    """The most likely solution of each question, in the strategy that the student chooses or in a given one.

    A `table` with a column plan, see `plans.plan_is_right`.
    """
    likeliest = SamplingParams(max_tokens=config.max_new_tokens, temperature=0)
    sampler = TransformersSampler(*loading.load(model, device), batch_size=ROWS)
    answers = table(solve(sampler, questions, "student", likeliest, strategy))
    return answers.assign(plan=plans(questions, answers["strategy"], answers["text"]))


def answer_freely(
    model: str, questions: Sequence[Question], config: DistillConfig, device: str
) -> pd.DataFrame:
    """What a model that has learnt no tag answers in its own words: `answer` in the strategy "none".

    It may write twice as much as one that was taught to be brief.
    """
    likeliest = SamplingParams(max_tokens=2 * config.max_new_tokens, temperature=0)
    sampler = TransformersSampler(*loading.load(model, device), batch_size=ROWS)
    return table(solve_freely(sampler, questions, "student", likeliest)).assign(plan=float("nan"))


def training_pairs(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, str]]:
    """What a student reads: the question, as its model is asked one, then tag and solution."""
    return [framed(tokenizer, row.question, f" [{row.strategy}] {row.text}") for row in rows.itertuples()]


def _train(
    folder: Path,
    start: str,
    training_set: pd.DataFrame,
    config: DistillConfig,
    t: int,
    steps: int,
    seed: int,
    device: str,
    log: Callable[[dict[str, float]], None],
) -> None:
    """The student after round t."""
    model, tokenizer = loading.load(start, device)
    train(
        model,
        tokenizer,
        training_pairs(training_set, tokenizer),
        TrainConfig(
            steps=steps,
            batch_size=config.batch_size,
            context=config.context,
            learning_rate=config.learning_rate / (2 if t else 1),
            warmup=warmup(steps),
            lora=Lora() if config.tuning == "lora" else None,
            seed=seed,
        ),
        folder=folder,
        log=log,
    )


def _describe(
    training_set: pd.DataFrame, answers: pd.DataFrame, asked: Mapping[str, Question]
) -> dict[str, float]:
    """A round's line: the mixture, and what the student did by itself on the held-out questions."""
    chosen = answers["strategy"].value_counts().to_dict()
    shares = teacher_share(training_set)
    own = training_set[training_set["origin"] == "student"]
    valid = pd.Series(plans([asked[name] for name in own["id"]], own["strategy"], own["text"]), dtype=float)
    right = answers[answers["verdict"] == "correct"]
    return {
        "held_out": float((answers["verdict"] == "correct").mean()),
        "plan": float(answers["plan"].mean()),
        "lucky": float(1 - right["plan"].mean()),
        "entropy": entropy(chosen),
        "divergence": divergence(training_set, chosen),
        "lucky_own": float(1 - valid.mean()),
        **{f"chose_{name}": chosen.get(name, 0) for name in (*STRATEGIES, "none")},
        **{f"alpha_{row.strategy}": row.alpha for row in shares.itertuples()},
        **{f"n_{row.strategy}": row.n for row in shares.itertuples()},
    }
