"""Sampling: prompts in, several completions each out, the same whatever the batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from workbench.engine.checks import check
from workbench.engine.memory import free_memory
from workbench.engine.models import context_length, evaluating, n_rows
from workbench.engine.sampling.batching import ContinuousBatch
from workbench.engine.sampling.decoding import PACKED_FROM, LlamaStep
from workbench.engine.sampling.equal_lengths import EqualLengths
from workbench.engine.sampling.paths import decoding_path
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, by_prompt, rooms
from workbench.engine.sampling.scoring import prompt_tokens, token_logprobs
from workbench.engine.tokens import converses, encode_pairs, end_tokens, first_token
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Precision = Literal["float32", "bfloat16", "auto"]


class TransformersSampler(Sampler):
    """Samples from any transformers causal language model.

    The tokens of prompt i, sample j come from a random stream of (seed, i, j) alone, so that neither the
    batch size nor the other rows change them, except where floating-point rounding does.
    """

    tokenizer: PreTrainedTokenizerFast
    context: int
    logprobs = True

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int = 64,
        dtype: Precision = "float32",
    ) -> None:
        """`batch_size` rows are decoded at a time; a row that ends makes room for the next.

        Args:
            model: any causal language model of transformers.
            tokenizer: its tokenizer.
            batch_size: rows.
            dtype: `bfloat16` has a Llama that is kept in float32 write with its layers' weights rounded to
                bfloat16, 1.3 times as fast on a CPU that multiplies so; prompts and candidates are still read
                in float32. `auto` is bfloat16 where that is faster. Any other model is sampled in its own
                type.

        Raises:
            UserError: bfloat16 is asked of another model, or of a device or CPU that gains nothing by it.
        """
        check(model, tokenizer)
        self.dtype = _dtype(model, dtype)
        if self.dtype == torch.bfloat16:
            self.determinism = (
                "every row has a seed of its own that fixes its draws; it is written with weights rounded to "
                "bfloat16, and log-probabilities are those of the rounded model."
            )
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.context = context_length(model)
        self.chat = converses(tokenizer)
        self._stops: dict[tuple[str, ...], Tensor] = {}

    @torch.inference_mode()
    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """See `Sampler.sample`; a row also ends (`length`) where the model's context does.

        Raises:
            UserError: a prompt fills the context, or is empty and no beginning of a text is known; or there
                is no memory for so many tokens.
        """
        if not len(prompts):
            return []
        n, stop = params.n, params.stop
        ids = prompt_tokens(self.tokenizer, prompts)
        limits = [min(params.max_tokens, room) for room in rooms(ids, self.context)]
        _check_memory(len(ids) * n, max(limits))
        with evaluating(self.model):
            batch = self._batch(ids, limits, params)
            rows = batch.run(params.temperature, params.top_p, params.min_p, params.filter_first)
        return by_prompt([self._completion(ids[at // n], *row, stop) for at, row in enumerate(rows)], n)

    def _batch(self, ids: list[list[int]], limits: list[int], params: SamplingParams) -> ContinuousBatch:
        path = decoding_path(
            self.model, max(len(row) + limit for row, limit in zip(ids, limits, strict=True))
        )
        kind = ContinuousBatch if path.columns else partial(EqualLengths, path=path)
        return kind(
            self.model,
            ids,
            limits=limits,
            n=params.n,
            size=self.batch_size,
            seed=params.seed,
            end_tokens=self._ends(params.stop),
            may_end=self._may_end(params.stop),
            ends=lambda prompt, tokens: self._stop_at(prompt, tokens, params.stop) is not None,
            dtype=self.dtype,
        )

    def _ends(self, stop: Sequence[str]) -> list[int]:
        """Tokens that end a text; a stop string that is a special token never shows in a decoded text."""
        known = self.tokenizer.get_added_vocab()
        return [*end_tokens(self.model, self.tokenizer), *(known[text] for text in stop if text in known)]

    def _text(self, prompt: list[int], tokens: list[int]) -> str:
        # Decoded behind the prompt's last token, because some tokenizers drop the first space of a text.
        before = str(self.tokenizer.decode(prompt[-1:], skip_special_tokens=True))
        return str(self.tokenizer.decode(prompt[-1:] + tokens, skip_special_tokens=True))[len(before) :]

    def _stop_at(self, prompt: list[int], tokens: list[int], stop: Sequence[str]) -> int | None:
        text = self._text(prompt, tokens)
        return min((at for at in map(text.find, stop) if at >= 0), default=None)

    def _completion(
        self, prompt: list[int], tokens: list[int], logprobs: list[float], ended: bool, stop: Sequence[str]
    ) -> Completion:
        text = self._text(prompt, tokens)
        if stop:
            text = text[: self._stop_at(prompt, tokens, stop)]
        return Completion(text, tokens, logprobs, "stop" if ended else "length")

    def _may_end(self, stop: Sequence[str]) -> Tensor | None:
        """Bool per token: whether it may hold the last character of a stop string."""
        key = tuple(stop)
        if not key:
            return None
        if key not in self._stops:
            size = max(n_rows(self.model), len(self.tokenizer))
            flags = torch.zeros(size, dtype=torch.bool)
            last = {text[-1] for text in stop}
            for token in range(len(self.tokenizer)):
                # One token's text may be part of a character, and decoding may strip the word mark.
                piece = str(self.tokenizer.convert_ids_to_tokens(token)).replace("▁", " ")
                text = str(self.tokenizer.decode([token])) + piece
                flags[token] = "\ufffd" in text or not last.isdisjoint(text)
            self._stops[key] = flags.to(self.model.device)
        return self._stops[key]

    @torch.inference_mode()
    def score(self, prompts: Sequence[str], completions: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Natural log-probability of whole completions, the candidates of each prompt, for forced choice.

        Returns:
            For each prompt an array over its candidates: sums of their tokens' values at temperature 1.

        Raises:
            UserError: a candidate is empty or does not fit into the context with its prompt.
        """
        counts = [len(candidates) for candidates in completions]
        if len(counts) != len(prompts):
            raise UserError(f"There are {len(prompts)} prompts, but completions for {len(counts)}.")
        pairs = [(prompt, text) for prompt, texts in zip(prompts, completions, strict=True) for text in texts]
        rows = encode_pairs(self.tokenizer, pairs)
        rows = [(prompt or [first_token(self.tokenizer)], completion) for prompt, completion in rows]
        if not all(completion for _, completion in rows):
            raise UserError("A candidate completion is empty: it has no probability to compare.")
        if rows:
            rooms([prompt + completion[:-1] for prompt, completion in rows], self.context)
        sums = np.zeros(len(rows))
        with evaluating(self.model):
            for part, values in token_logprobs(self.model, rows, self.batch_size):
                sums[part] = [row.sum() for row in values]
        return np.split(sums, np.cumsum(counts)[:-1]) if counts else []


def _dtype(model: PreTrainedModel, wanted: Precision) -> torch.dtype:
    """Of the lean step's products with weights."""
    if wanted not in get_args(Precision):
        raise UserError(f"dtype is {' or '.join(get_args(Precision))}, not {wanted!r}.")
    faster = LlamaStep.fits(model) and LlamaStep.packs(model) and torch.cpu._is_avx512_bf16_supported()
    if wanted == "bfloat16" and not faster:
        raise UserError(
            f"Sampling in bfloat16 is for Llamas in float32, from {PACKED_FROM} wide, on a CPU with "
            "AVX512-BF16: take dtype=float32, or load the model itself in bfloat16."
        )
    return torch.bfloat16 if faster and wanted != "float32" else torch.float32


def _check_memory(rows: int, longest: int) -> None:
    """Random numbers, tokens and log-probabilities of all rows are held at once, 20 bytes a token."""
    needed, free = 20 * rows * longest, free_memory()
    if needed > free:
        raise UserError(
            f"{rows:,} completions of up to {longest:,} tokens need {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free: lower max_tokens, or draw fewer."
        )
