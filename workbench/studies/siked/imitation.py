"""On-policy distillation: a student writes, and learns a larger model's probabilities of what it has written.

Agarwal et al. 2024 (GKD, arXiv 2306.13649, equation 3, all data the student's and the divergence the
reverse one) and Gu et al. 2024 (MiniLLM, arXiv 2306.08543). Every token of a student's solution is taught
by the whole distribution of the teacher at that place, right or wrong as the solution may be; nothing is
verified. As trl's `GKDTrainer` computes it (`generalized_jsd_loss` with beta=1), which a test holds against
this, without its trainer. Different: what is learnt from is written anew once a pass, not at every step.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel, get_cosine_schedule_with_warmup

from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.engine import loading
from workbench.engine.batches import padded
from workbench.engine.sampling.sampler import SamplingParams, prompt_for
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.studies.siked.solving import Question

ROWS = 256  # solutions that a small student writes side by side: a third faster than the sampler's 64
_WARMUP = 20  # steps, at most
_TAG = 6  # tokens
_TOKENS = 60  # of a solution in a row of a batch, about: a step teaches as many tokens as another training's
Written = tuple[list[int], list[int]]
"""Tokens of a prompt, and of the solution that follows it."""


def warmup(steps: int) -> int:
    """Steps of so many over which the learning rate rises, in every training of a student."""
    return min(_WARMUP, steps // 8)


def reverse_kl(student: Tensor, teacher: Tensor, learnt: Tensor) -> Tensor:
    """KL(student ‖ teacher), nats, mean over the tokens that are learnt.

    Args:
        student: logits `[rows, tokens, vocabulary]`.
        teacher: likewise.
        learnt: bool `[rows, tokens]`.
    """
    own, wanted = F.log_softmax(student[learnt], -1), F.log_softmax(teacher[learnt], -1)
    return (own.exp() * (own - wanted)).sum(-1).mean()


def imitate(
    folder: Path,
    start: str,
    guide: str,
    questions: Sequence[Question],
    config: Any,
    steps: int,
    seed: int,
    device: str,
) -> None:
    """Trains the student that `start` holds on its own solutions by the guide's probabilities, into `folder`.

    `config.round_epochs` times over it writes as many solutions, in strategies of its choice, as the steps of
    a pass hold: three of each of the questions that it takes, or more where that is too few. It learns from
    them in the order of the seed, at half of `config.learning_rate`, and is saved in the end; a student that
    is there is kept.

    Args:
        folder: of the model.
        start: folder of the student as it begins.
        guide: folder of the larger model, of the same tokenizer.
        questions: what is solved.
        config: a `method.DistillConfig`.
        steps: how many it makes.
        seed: of solutions and order.
        device: of both models.

    Raises:
        UserError: the two do not share a vocabulary.
    """
    if (folder / "config.json").exists():
        return
    student, tokenizer = loading.load(start, device)
    teacher, other = loading.load(guide, device)
    if other.get_vocab() != tokenizer.get_vocab():
        raise UserError(
            f"{guide} has another vocabulary than the student: its probabilities cannot be learnt."
        )
    rows = max(1, config.batch_size * config.context // _TOKENS)
    passes = min(steps, max(1, round(config.round_epochs)))
    optimizer = torch.optim.AdamW(
        student.parameters(), config.learning_rate / 2, (0.9, 0.95), weight_decay=0.1
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup(steps), steps)
    for number in range(passes):
        sampler = TransformersSampler(student.eval(), tokenizer, batch_size=ROWS)
        rng = np.random.default_rng([seed, number])
        n = rows * (steps * (number + 1) // passes - steps * number // passes)
        written = _write(sampler, questions, n, config.max_new_tokens, 100 * seed + number, rng)
        student.train()
        for batch in _batches(written, rows, rng):
            optimizer.zero_grad()
            _loss(student, teacher, batch).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    loading.save(student.eval(), tokenizer, folder)


def _write(
    sampler: TransformersSampler,
    questions: Sequence[Question],
    n: int,
    longest: int,
    seed: int,
    rng: np.random.Generator,
) -> list[Written]:
    """n solutions of questions in any order, drawn from the student as it is, tags too."""
    of_each = max(len(STRATEGIES), -(-n // len(questions)))
    taken = rng.permutation(len(questions))[: -(-n // of_each)]
    prompts = [prompt_for(sampler, questions[index].text) for index in taken]
    replies = sampler.sample(prompts, SamplingParams(n=of_each, max_tokens=longest + _TAG, seed=seed))
    ids = prompt_tokens(sampler.tokenizer, prompts)
    written = [(prompt, one.tokens) for prompt, group in zip(ids, replies, strict=True) for one in group]
    return written[:n]


def _batches(written: Sequence[Written], size: int, rng: np.random.Generator) -> Iterator[list[Written]]:
    """Rows of like length together, so that there is little padding; the batches in any order."""
    order = np.argsort([len(prompt) + len(reply) for prompt, reply in written], kind="stable")
    starts = np.arange(0, len(order), size)
    for at in rng.permutation(starts):
        yield [written[index] for index in order[at : at + size]]


def _loss(student: PreTrainedModel, teacher: PreTrainedModel, batch: Sequence[Written]) -> Tensor:
    ids = padded([prompt + reply for prompt, reply in batch]).to(student.device)
    place = torch.arange(ids.shape[1] - 1, device=student.device)
    first, last = (
        torch.tensor(ends, device=student.device)[:, None] - 1
        for ends in zip(*((len(prompt), len(prompt) + len(reply)) for prompt, reply in batch), strict=True)
    )
    learnt = (place >= first) & (place < last)
    with torch.no_grad():
        wanted = teacher(input_ids=ids[:, :-1], use_cache=False).logits
    own = student(input_ids=ids[:, :-1], use_cache=False).logits
    return reverse_kl(own.float(), wanted.float(), learnt)
