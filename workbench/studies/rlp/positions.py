"""Where in a document to think: at one random token, as RLP does, or where the next token is uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from workbench.engine.models import context_length
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Position = tuple[str, str]  # a document up to a token, and from it on
Criterion = Literal["random", "entropy", "surprise"]


def positions(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    *,
    horizon: int = 1,
    criterion: Criterion = "random",
    model: PreTrainedModel | None = None,
    band: tuple[float, float] = (1.0, 4.5),
    longest: int | None = None,
    seed: int = 0,
) -> tuple[list[Position], int]:
    """One position of each text, at least one token in and `horizon` tokens before its end.

    Args:
        texts: documents.
        tokenizer: cuts them into tokens.
        horizon: tokens that have to follow.
        criterion: `random` (RLP, arXiv 2510.01265, section 3), `entropy` of the next token under the model
            (RPT, arXiv 2506.08007, section 3) or `surprise`, the nats of the real next token.
        model: measures either; texts are cut at its context.
        band: nats (low, high) that entropy or surprise has to lie in.
        longest: tokens that may stand before a position; None for any number.
        seed: of the choice.

    Returns:
        Positions, and how many texts have none.

    Raises:
        UserError: no text has one, or a model is missing.
    """
    if criterion != "random" and model is None:
        raise UserError(f"Positions by {criterion} need a model that measures it.")
    rng, cut_texts = np.random.default_rng(seed), []
    for text in texts:
        ends = _token_ends(tokenizer, text)
        last = min(len(ends) - horizon, longest or len(ends))
        n_before = np.arange(1, last + 1)  # tokens before a position
        if criterion != "random" and len(n_before):
            nats = _nats(model, tokenizer, text, criterion)
            n_before = n_before[n_before < len(nats)]
            n_before = n_before[(nats[n_before] >= band[0]) & (nats[n_before] <= band[1])]
        if len(n_before):
            cut = ends[int(rng.choice(n_before)) - 1]
            cut_texts.append((text[:cut], text[cut:]))
    if not cut_texts:
        in_band = f" with an {criterion} of {band[0]} to {band[1]} nats."
        raise UserError(
            f"None of the {len(texts)} texts has a position {horizon} tokens before its end"
            + (": give longer ones." if criterion == "random" else in_band)
        )
    return cut_texts, len(texts) - len(cut_texts)


def _token_ends(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The character behind each token."""
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_offsets_mapping": True}
    return [end for _, end in tokenizer(text, **options)["offset_mapping"]]


@torch.inference_mode()
def _nats(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str, criterion: Criterion
) -> np.ndarray:
    """Entropy or surprise at each token of the text itself, the first one's among them."""
    ids = torch.tensor(prompt_tokens(tokenizer, [text])[0][: context_length(model)], device=model.device)
    logps = model(ids[None], use_cache=False).logits[0].float().log_softmax(-1)[:-1]
    entropy, surprise = -(logps.exp() * logps).sum(-1), -logps.gather(1, ids[1:, None])[:, 0]
    # Without a token that begins a text nothing is known of the first.
    unknown = [] if tokenizer.bos_token_id is not None else [np.nan]
    return np.concatenate((unknown, (entropy if criterion == "entropy" else surprise).cpu().numpy()))
