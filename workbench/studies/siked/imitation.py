"""On-policy distillation: a student writes, and learns a larger model's probabilities of what it has written.

Agarwal et al. 2024 (GKD, arXiv 2306.13649, equation 3, all data the student's and the divergence the
reverse one) and Gu et al. 2024 (MiniLLM, arXiv 2306.08543). Every token of a student's solution is taught
by the whole distribution of the teacher at that place, right or wrong as the solution may be; nothing is
verified. As trl's `GKDTrainer` computes it (`generalized_jsd_loss` with beta=1), which a test holds against
this, without its trainer. Different: what is learnt from is written anew once a pass over the questions,
not at every step.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

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
_WARMUP = 20  # steps, as in all trainings
_TAG = 6  # tokens
_TOKENS = 60  # of a solution in a row of a batch, about: a step teaches as many tokens as another training's
Written = tuple[list[int], list[int]]
"""Tokens of a prompt, and of the solution that follows it."""


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
    config: object,
    seed: int,
    device: str,
) -> None:
    """Trains the student that `start` holds on its own solutions by the guide's probabilities, into `folder`.

    It writes three solutions of each question, in strategies of its choice, `config.round_epochs` times
    over, learns from them in the order of the seed, at half of `config.learning_rate`, and is saved in the
    end; a student that is there is kept.

    Args:
        folder: of the model.
        start: folder of the student as it begins.
        guide: folder of the larger model, of the same tokenizer.
        questions: what is solved.
        config: a `method.DistillConfig`.
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
    passes = max(1, round(config.round_epochs))
    steps = passes * -(-len(questions) * len(STRATEGIES) // rows)
    optimizer = torch.optim.AdamW(
        student.parameters(), config.learning_rate / 2, (0.9, 0.95), weight_decay=0.1
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, min(_WARMUP, steps // 2), steps)
    for number in range(passes):
        sampler = TransformersSampler(student.eval(), tokenizer, batch_size=ROWS)
        written = _write(sampler, questions, config.max_new_tokens, 100 * seed + number)
        student.train()
        for batch in _batches(written, rows, np.random.default_rng([seed, number])):
            optimizer.zero_grad()
            _loss(student, teacher, batch).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    loading.save(student.eval(), tokenizer, folder)


def _write(
    sampler: TransformersSampler, questions: Sequence[Question], longest: int, seed: int
) -> list[Written]:
    """A solution of each question for each strategy there is, drawn from the student as it is, tags too."""
    prompts = [prompt_for(sampler, question.text) for question in questions]
    params = SamplingParams(n=len(STRATEGIES), max_tokens=longest + _TAG, seed=seed)
    replies = sampler.sample(prompts, params)
    ids = prompt_tokens(sampler.tokenizer, prompts)
    return [(prompt, one.tokens) for prompt, group in zip(ids, replies, strict=True) for one in group]


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
