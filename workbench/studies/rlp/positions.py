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


def positions(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    *,
    horizon: int = 1,
    how: Literal["random", "entropy", "surprise"] = "random",
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
        how: `random` (RLP, arXiv 2510.01265, section 3), `entropy` of the next token under the model (RPT,
            arXiv 2506.08007, section 3) or `surprise`, the nats of the real next token.
        model: measures either; texts are cut at its context.
        band: nats (low, high) that entropy or surprise has to lie in.
        longest: tokens that may stand before a position; None for any number.
        seed: of the choice.

    Returns:
        Positions, and how many texts have none.

    Raises:
        UserError: no text has one, or a model is missing.
    """
    if how != "random" and model is None:
        raise UserError(f"Positions by {how} need a model that measures it.")
    rng = np.random.default_rng(seed)
    found = []
    for text in texts:
        ends = _ends(tokenizer, text)
        last = min(len(ends) - horizon, longest or len(ends))
        places = np.arange(1, last + 1)  # a place is the number of tokens before it
        if how != "random" and len(places):
            nats = _nats(model, tokenizer, text, how)
            places = places[places < len(nats)]
            places = places[(nats[places] >= band[0]) & (nats[places] <= band[1])]
        if len(places):
            cut = ends[int(rng.choice(places)) - 1]
            found.append((text[:cut], text[cut:]))
    if not found:
        raise UserError(
            f"None of the {len(texts)} texts has a position {horizon} tokens before its end"
            + (
                f" with an {how} of {band[0]} to {band[1]} nats."
                if how != "random"
                else ": give longer ones."
            )
        )
    return found, len(texts) - len(found)


def _ends(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The character behind each token."""
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_offsets_mapping": True}
    return [end for _, end in tokenizer(text, **options)["offset_mapping"]]


@torch.inference_mode()
def _nats(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str, how: str) -> np.ndarray:
    """Entropy or surprise at each token of the text itself, the first one's among them."""
    context = context_length(model)
    ids = torch.tensor(prompt_tokens(tokenizer, [text])[0][:context], device=model.device)
    logps = model(ids[None], use_cache=False).logits[0].float().log_softmax(-1)[:-1]
    own = -(logps.exp() * logps).sum(-1) if how == "entropy" else -logps.gather(1, ids[1:, None])[:, 0]
    # Without a token that begins a text nothing is known of the first.
    unknown = [] if tokenizer.bos_token_id is not None else [np.nan]
    return np.concatenate((unknown, own.cpu().numpy()))
