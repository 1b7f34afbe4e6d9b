"""Spectrum-style tuning: a model learns the answers of several people, one after another in its context.

Sorensen et al. 2025, arXiv 2510.06084: a row holds several inputs of one source, each with an output drawn
from that source, and

    loss = - sum_i log pi(y_i | x_1, y_1, ..., x_i)

is taken over the outputs alone, so that the likeliest model gives every output its share, and reads the
source off the outputs before.

As published: several draws of one source in a row, in any order, and no loss on the inputs. Different: the
source is a group of people that is never named (the paper describes it in some rows); its share of the rows
is that of its people, so that the first answer of a row is anybody's; and there is one small set of
questions, where the paper has more than ninety tasks.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerFast

from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine import loading
from workbench.engine.batches import padded
from workbench.engine.models import context_length
from workbench.engine.tokens import encode_pairs, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.packing import IGNORED, Blocks, end_token
from workbench.engine.training.train import train
from workbench.errors import UserError

IN_CONTEXT = 4  # people in a row
Row = list[tuple[str, str]]


def rows_of_people(questions: Sequence[Question], n: int, seed: int) -> list[Row]:
    """`n` rows of `IN_CONTEXT` people of one group, each with a question and an answer drawn from the group.

    Args:
        questions: as they are put; of those without groups everybody answers.
        n: rows.
        seed: of the draws.
    """
    rng = Random(seed)
    sizes = {name: part.n or 1 for question in questions for name, part in question.groups.items()}
    groups = rng.choices(list(sizes), list(sizes.values()), k=n) if sizes else [None] * n
    return [[_answered(rng, rng.choice(questions), group) for _ in range(IN_CONTEXT)] for group in groups]


def _answered(rng: Random, question: Question, group: str | None) -> tuple[str, str]:
    people = question.people if group is None else question.groups.get(group, question.people)
    order = rng.sample(question.options, len(question.options))
    (answer,) = rng.choices(question.options, people.dist)
    return format_question(question.prompt, order, letters=False), f" {answer}"


def tune(folder: Path, source: str, rows: Sequence[Row], config: TrainConfig, device: str) -> None:
    """Learns the rows' answers; a call that was cut off goes on.

    Args:
        folder: of the tuned model.
        source: the model before.
        rows: of `rows_of_people`.
        config: its batches are rows.
        device: where it is trained.

    Raises:
        UserError: a question and its answer do not fit into the model's context.
    """
    model, tokenizer = loading.load(source, device)
    asked = [[(framed(tokenizer, question, ANSWER), answer) for question, answer in row] for row in rows]
    pairs = [[(prompt + begun, answer) for (prompt, begun), answer in row] for row in asked]
    train(model, tokenizer, in_context(tokenizer, pairs, context_length(model)), config, folder=folder)


def in_context(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row], context: int) -> Blocks:
    """Each row of (prompt, answer) as one document, of which answers are learnt, and that they end.

    Whoever does not fit into the context is left out.

    Raises:
        UserError: of a row nobody fits.
    """
    pairs = iter(encode_pairs(tokenizer, [pair for row in rows for pair in row]))
    end = end_token(tokenizer)
    documents = [_document([next(pairs) for _ in row], end, context) for row in rows]
    columns = zip(*((ids, targets, range(len(ids))) for ids, targets in documents), strict=True)
    filled = (padded(column, fill) for column, fill in zip(columns, (0, IGNORED, 0), strict=True))
    return Blocks(*(column.int().numpy() for column in filled))


def _document(
    pairs: list[tuple[list[int], list[int]]], end: int, context: int
) -> tuple[list[int], list[int]]:
    """Tokens, and for each the next one if it is learnt."""
    tokens, targets = list[int](), list[int]()
    for prompt, answer in pairs:
        if len(tokens) + len(prompt) + len(answer) > context:
            break
        tokens += [*prompt, *answer, end]
        targets += [*[IGNORED] * len(prompt), *answer, end]
    if not tokens:
        raise UserError(
            f"A question and its answer take more than the {context} tokens that the model reads."
        )
    return tokens[:-1], targets[1:]
