"""What every sampler is: prompts in, completions out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.engine.tokens import encode, framed
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt."""

    text: str  #: without special tokens, cut before the stop string that ended it
    tokens: list[int]  #: every token drawn, with the one that ended the text
    #: natural log-probability of each token under the model itself: temperature 1, nothing cut off.
    logprobs: list[float]
    finish_reason: Literal["stop", "length"]  #: `stop` (end of text or a stop string) or `length`


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How completions are drawn, by vLLM's names.

    Raises:
        UserError: a value is out of range.
    """

    max_tokens: int  #: longest completion
    n: int = 1  #: completions of each prompt
    temperature: float = 1.0  #: 0 takes the most likely token
    top_p: float = 1.0  #: draw from the smallest set of tokens that holds this share of the probability
    min_p: float = 0.0  #: leave out tokens less likely than this share of the most likely one
    stop: Sequence[str] = ()  #: strings before which a completion ends
    seed: int = 0  #: fixes every draw
    #: apply top_p and min_p before the temperature, so that no heat lets in what is unlikely at temperature
    #: 1. In transformers and vLLM the temperature comes first; servers know only that.
    filter_first: bool = False

    def __post_init__(self) -> None:
        in_range = 0 < self.top_p <= 1 and 0 <= self.min_p <= 1 and 0 <= self.temperature < math.inf
        if not in_range or min(self.n, self.max_tokens) < 1:
            raise UserError(
                "Sampling needs n and max_tokens >= 1, temperature >= 0, 0 < top_p <= 1, 0 <= min_p <= 1."
            )
        if isinstance(self.stop, str) or not all(self.stop):
            raise UserError("Stop strings are a list of texts, none of them empty.")

    def check_order(self) -> None:
        """For samplers that apply the temperature first.

        Raises:
            UserError: `filter_first` is set.
        """
        if self.filter_first:
            raise UserError("Only the transformers sampler filters before the temperature.")


class Sampler(Protocol):
    """Anything that completes prompts."""

    #: of the model; None where only the server cuts prompts into tokens.
    tokenizer: PreTrainedTokenizerFast | None = None
    #: tokens that a prompt and its completion may have together; None where nobody knows.
    context: int | None = None
    chat: bool = False  #: whether the model converses: it is an instruct model, or a server's chat
    #: whether it can score given completions: it then has `score`, as `TransformersSampler`.
    logprobs: bool = False

    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """`params.n` completions of each prompt."""
        ...


def by_prompt(rows: Sequence[Completion], n: int) -> list[list[Completion]]:
    """Completions in a row as `sample` returns them, `n` of each prompt."""
    return [list(rows[begin : begin + n]) for begin in range(0, len(rows), n)]


def rooms(prompts: Sequence[Sequence[int]], context: int) -> list[int]:
    """How many more tokens a context holds behind each prompt, given as tokens.

    Raises:
        UserError: a prompt fills the context.
    """
    longest = max(map(len, prompts))
    if longest >= context:
        raise UserError(
            f"A prompt of {longest} tokens leaves no room in the model's context of {context}: shorten it, "
            "or take a model with a longer one."
        )
    return [context - len(prompt) for prompt in prompts]


def prompt_for(sampler: Sampler, question: str, reply: str = "") -> str:
    """A sampler's prompt for a question, through the chat template of an instruct model.

    The reply begins with `reply`, as in `tokens.framed`. A server without tokenizer frames what it is sent.
    """
    if sampler.tokenizer is not None:
        question, reply = framed(sampler.tokenizer, question, reply)
    return question + reply


def fits(sampler: Sampler, prompt: str, more: int = 1) -> bool:
    """Whether a prompt leaves `more` tokens of the context; true where nobody knows the context."""
    if sampler.tokenizer is None or sampler.context is None:
        return True
    return len(encode(sampler.tokenizer, [prompt])[0]) + more <= sampler.context
