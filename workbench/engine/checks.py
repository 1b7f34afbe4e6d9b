"""Whether a loaded model can be trusted: its numbers, its reading direction, its vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from workbench.engine.models import context_length, evaluating, n_rows, text_config
from workbench.errors import UserError, reason

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SENTENCE = "The red fox sat by the well, and 12 of its 3.5 friends didn't."
_MOST_TOKENS, _PATIENCE = 1000, 10  # of that sentence; seconds
# The tokenizer that a model was checked with, and its length then.
_CHECKED: WeakKeyDictionary[PreTrainedModel, tuple[Any, int]] = WeakKeyDictionary()


def check(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Whether a model and its tokenizer can be used together; asked again, it answers at once.

    Raises:
        UserError: weights or logits that are not numbers, a model that reads what comes later (BERT), or a
            tokenizer with tokens that the model does not have.
    """
    now = ref(tokenizer), len(tokenizer)
    if _CHECKED.get(model) == now:
        return
    check_tokenizer(tokenizer)
    check_vocabulary(tokenizer, n_rows(model))
    check_weights(model)
    _check_direction(model)
    _CHECKED[model] = now


def check_weights(model: PreTrainedModel) -> None:
    """Whether every weight is a number.

    Raises:
        UserError: some are NaN or infinite; it names one.
    """
    import torch

    weights = {name: value.detach() for name, value in model.named_parameters() if value.dtype.itemsize > 1}
    weights = {name: value for name, value in weights.items() if value.is_floating_point() and value.numel()}
    sums = [value.sum(dtype=torch.float32) for value in weights.values()]  # a quick pass: NaN stays NaN in it
    if not sums or bool(torch.stack(sums).isfinite().all()):
        return
    broken = [name for name, value in weights.items() if not bool(torch.isfinite(value).all())]
    if not broken:
        return
    kind = "NaN" if any(bool(torch.isnan(weights[name]).any()) for name in broken) else "infinite values"
    raise UserError(
        f"{_name(model)} is broken: its weights are not finite, they hold {kind} ({broken[0]}). Load or "
        "train it again."
    )


def check_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    """Whether a tokenizer reads a sentence, soon and in about as many tokens as it has characters.

    Raises:
        UserError: it does not.
    """
    result: list[Any] = []

    def read() -> None:
        try:
            result.append(len(tokenizer(_SENTENCE, verbose=False)["input_ids"]))
            if not tokenizer(_SENTENCE, add_special_tokens=False, verbose=False)["input_ids"]:
                result[0] = "it knows none of its characters"
        except BaseException as error:  # tokenizers raises whatever it likes, and panics
            result.append(error)

    thread = Thread(target=read, daemon=True)  # an endless regular expression cannot be interrupted
    thread.start()
    thread.join(_PATIENCE)
    length = result[0] if result else f"it takes more than {_PATIENCE} seconds"
    if isinstance(length, int):
        length = f"it makes {length:,} tokens of {len(_SENTENCE)} characters" if length > _MOST_TOKENS else ""
    if length:
        name = getattr(tokenizer, "name_or_path", "")
        raise UserError(
            f"The tokenizer of {name or 'the model'} cannot read a sentence: {reason(length, 200)}."
        )


def check_vocabulary(tokenizer: PreTrainedTokenizerFast, rows: int) -> None:
    """Whether a model with so many rows of embeddings has all tokens that its tokenizer may give.

    Special tokens that neither the tokenizer nor its chat template uses do not count: those of pictures in
    the text-only models of Gemma 3 lie beyond the embedding.

    Raises:
        UserError: it does not.
    """
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= rows}
    unused = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    used = {value for value in tokenizer.special_tokens_map.values() if isinstance(value, str)}
    template = str(tokenizer.chat_template or "")
    unused = {token for token in unused - used if token not in template}
    beyond = {token: number for token, number in beyond.items() if token not in unused}
    if beyond:
        token, largest = max(beyond.items(), key=lambda item: item[1])
        raise UserError(
            f"Token {largest} ({token!r}) is not among the model's {rows}: the tokenizer belongs to another "
            "model, or the embedding was not enlarged (resize_token_embeddings)."
        )


def _check_direction(model: PreTrainedModel) -> None:
    """Two rows that part in the middle: a causal model's logits are the same up to there."""
    import torch

    length = min(16, context_length(model))
    if length < 2:
        return
    half = length // 2
    ids = random_tokens(model, 2, length)
    ids[1, :half] = ids[0, :half]
    try:
        with torch.no_grad(), probing(model):
            logits = model(ids, use_cache=False).logits.float()
    except Exception as error:  # whatever a family's own code raises
        raise UserError(
            f"{_name(model)} cannot read tokens alone, as a decoder does: {reason(error, 200)}."
        ) from error
    if not bool(torch.isfinite(logits).all()):
        raise UserError(f"{_name(model)} is broken: what it computes is not finite (NaN or infinite).")
    early, late = (difference(*logits[:, part]) for part in (slice(0, half), slice(half, None)))
    if early > tolerance(model) * max(late, 1e-6):
        raise UserError(
            f"{_name(model)} reads what comes later ({type(model).__name__}): it is not causal and cannot "
            "write or score texts. Take a decoder such as Llama or GPT-2."
        )


def difference(first: Tensor, second: Tensor) -> float:
    """How far two logits of the same tokens `[tokens, vocabulary]` are apart where they are so most."""
    return float((first.float() - second.float()).pow(2).mean(-1).sqrt().max())


def tolerance(model: PreTrainedModel) -> float:
    """The share of logits' spread by which rounding alone may move them."""
    import torch

    return 1e-4 + 8 * torch.finfo(model.dtype).eps


def random_tokens(model: PreTrainedModel, rows: int, length: int) -> Tensor:
    """Tokens `[rows, length]` that stand for nothing else than text, the same at every call."""
    import torch

    settings = {**vars(text_config(model)), **vars(model.config)}
    named = [value for name, value in settings.items() if "token_i" in name]
    special = {number for value in named for number in (value if isinstance(value, list) else [value])}
    usual = [number for number in range(min(n_rows(model), 1024)) if number not in special] or [0]
    picked = torch.randint(len(usual), (rows, length), generator=torch.Generator().manual_seed(0))
    return torch.tensor(usual)[picked].to(model.device)


@contextmanager
def probing(model: PreTrainedModel) -> Iterator[None]:
    """The model in evaluation mode, and out of sight of whoever hooks into it."""
    foreign = []
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if not getattr(hook, "__module__", "").startswith(("torch.", "transformers.", "accelerate.")):
                    foreign.append((hooks, list(hooks.items())))
                    del hooks[key]
    try:
        with evaluating(model):
            yield
    finally:
        for hooks, items in reversed(foreign):
            hooks.clear()
            hooks.update(items)


def _name(model: PreTrainedModel) -> str:
    source = getattr(model, "name_or_path", "")
    return f"The model {source}" if source else "The model"
