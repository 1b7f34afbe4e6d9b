"""What every sampler is: prompts in, completions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.engine.tokens import framed

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt.

    Attributes:
        text: without special tokens, cut before the stop string that ended it.
        tokens: every token drawn, with the one that ended the text.
        logprobs: natural log-probability of each token under the model itself: temperature 1, nothing cut
            off.
        finish_reason: `stop` (end of text or a stop string) or `length`.
    """

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish_reason: Literal["stop", "length"]


class Sampler(Protocol):
    """Anything that completes prompts."""

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int = 1,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> list[list[Completion]]:
        """`n` completions of each prompt.

        Args:
            prompts: texts to continue.
            n: completions of each.
            max_new_tokens: longest completion, in tokens.
            temperature: 0 takes the most likely token.
            top_p: draw from the smallest set of tokens that holds this share of the probability.
            min_p: leave out tokens less likely than this share of the most likely one.
            stop: strings before which a completion ends.
            seed: fixes every draw.
        """
        ...


def prompt_for(sampler: Sampler, question: str, reply: str = "") -> str:
    """A sampler's prompt for a question, through the chat template of an instruct model.

    The reply begins with `reply`, as in `tokens.framed`. A sampler without `tokenizer`, a server's, has the
    frame of its own model.
    """
    tokenizer = getattr(sampler, "tokenizer", None)
    if tokenizer is not None:
        question, reply = framed(tokenizer, question, reply)
    return question + reply
