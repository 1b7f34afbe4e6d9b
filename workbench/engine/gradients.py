"""Gradients of single examples, for any transformers causal language model, from one batched backward pass.

Every use of a weight in the forward pass is watched; when the loss's gradient reaches that place in the
backward pass, each example's share of the weight's gradient goes into a `Sketch`, and nothing else is kept:
no gradient is stored, and autograd computes none for the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workbench.engine.packing import IGNORED
from workbench.engine.sketches import Method, Sketch
from workbench.engine.tokens import encode_pairs
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Row = tuple[list[int], int]
"""Tokens of an example, and how many of them are its prompt."""


@dataclass(frozen=True)
class Sketches:
    """Sketched gradients of examples, in the order of the examples.

    Attributes:
        vectors: `[examples, d]` float32, unit length: their dot products estimate the gradients' cosines.
        norms: length of each sketched gradient, `[examples]`.
        losses: mean loss of each completion, nats per token, `[examples]`.
        n_tokens: scored tokens, `[examples]`.
        n_truncated: examples that lost their end.
    """

    vectors: np.ndarray
    norms: np.ndarray
    losses: np.ndarray
    n_tokens: np.ndarray
    n_truncated: int


def sketch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[tuple[str, str]],
    *,
    dimension: int = 1024,
    seed: int = 0,
    method: Method = "exact",
    truncate: bool = False,
    chat: bool = False,
    batch_tokens: int = 2048,
    ids: Sequence[str] | None = None,
) -> Sketches:
    """Gradients of −log P(completion | prompt) over all weights, as G-Vendi compares them.

    Jung et al. 2025, arXiv 2505.20161, section 2.1. The loss is the mean over the completion's tokens and
    the end-of-text token behind it; the model is in evaluation mode.

    Args:
        model: the proxy, any transformers causal language model.
        tokenizer: its tokenizer.
        examples: (prompt, completion) pairs.
        dimension: d of the sketch; its cost does not hang on d.
        seed: of the sketch.
        method: `exact`, or `kronecker` where tensors of the weights' size do not fit (see `sketches`).
        truncate: cut examples to the model's context instead of refusing them: they lose their end, and
            where the prompt alone fills the context, its beginning too, down to half the context.
        chat: write each pair in the tokenizer's chat template, a completion without spaces around it.
        batch_tokens: tokens of a batch, padding included.
        ids: names of the examples in errors; their places, counted from 0, when None.

    Raises:
        UserError: an empty completion, an example beyond the context, a gradient that is zero or not finite,
            or a model with weights that cannot be watched.
    """
    ids = ids or [str(index) for index in range(len(examples))]
    rows, n_truncated = prepare(model, tokenizer, examples, ids, truncate=truncate, chat=chat)
    return read(Reader(model, dimension, seed, method), rows, ids, n_truncated, batch_tokens)


def read(
    reader: Reader, rows: Sequence[Row], ids: Sequence[str], n_truncated: int, batch_tokens: int = 2048
) -> Sketches:
    """`sketch` for rows that are prepared, with a reader that can be used again."""
    model = reader.model
    vectors = np.zeros((len(rows), reader.into.dimension), dtype=np.float32)
    norms, losses = np.zeros(len(rows)), np.zeros(len(rows))
    with frozen(model):
        for part in batches(rows, batch_tokens, model.config.vocab_size):
            found, loss = reader.read([rows[index] for index in part])
            lengths = found.norm(dim=1)
            for place, index in enumerate(part):
                if not 0 < lengths[place] < float("inf"):
                    what = "zero" if lengths[place] == 0 else "not finite"
                    raise UserError(f"The gradient of example {ids[index]} is {what}: leave it out.")
            vectors[part] = (found / lengths[:, None]).cpu().numpy()
            norms[part], losses[part] = lengths.cpu().numpy(), loss.cpu().numpy()
    n_tokens = np.array([len(tokens) - prompt for tokens, prompt in rows])
    return Sketches(vectors, norms, losses, n_tokens, n_truncated)


def fold(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """The unit vectors `[examples, dimension]` that `sketch` gives with a smaller dimension.

    Entries that share a bucket of the smaller sketch have theirs a multiple of `dimension` apart in the
    larger one, so nothing is computed anew.

    Raises:
        ValueError: `dimension` does not divide that of the vectors.
    """
    if vectors.shape[1] % dimension:
        raise ValueError(f"{dimension} does not divide the sketch's dimension {vectors.shape[1]}")
    folded = vectors.reshape(len(vectors), -1, dimension).sum(1)
    return folded / np.linalg.norm(folded, axis=1, keepdims=True)


def prepare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[tuple[str, str]],
    ids: Sequence[str],
    *,
    truncate: bool = False,
    chat: bool = False,
) -> tuple[list[Row], int]:
    """Tokens of each example and the number of tokens of its prompt; and how many examples were cut.

    Raises:
        UserError: as `sketch`.
    """
    pairs = _chat_pairs(tokenizer, examples) if chat else encode_pairs(tokenizer, examples)
    end = [] if chat or tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    context = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    rows, n_truncated = [], 0
    for index, (prompt, completion) in zip(ids, pairs, strict=True):
        if not completion:
            raise UserError(f"Example {index} has an empty completion, and so no gradient: leave it out.")
        if not prompt:
            raise UserError(f"Example {index} has an empty prompt: give it at least a word.")
        if len(prompt + completion + end) > context:
            if not truncate:
                raise UserError(
                    f"Example {index} has {len(prompt + completion + end)} tokens, more than the model's "
                    f"context of {context}: set truncate=True, or leave it out."
                )
            n_truncated += 1
            if len(prompt) >= context:
                prompt = prompt[-(context // 2) :]
        row = (prompt + completion + end)[:context]
        rows.append((row, len(prompt)))
    return rows, n_truncated


def _chat_pairs(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    if not tokenizer.chat_template:
        raise UserError("The tokenizer has no chat template: set chat=False, or choose an instruct model.")
    pairs = []
    for prompt, completion in examples:
        asked = [{"role": "user", "content": prompt}]
        # The space that parts a completion from its prompt would be the template's to write.
        told = [*asked, {"role": "assistant", "content": completion.strip()}]
        before = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        both = tokenizer.apply_chat_template(told, return_dict=False)
        # Some templates open a reply that is there in another way than one that is asked for.
        same = [a == b for a, b in zip(before, both, strict=False)]
        shared = same.index(False) if False in same else len(same)
        pairs.append((both[:shared], both[shared:] if completion.strip() else []))
    return pairs


def batches(rows: Sequence[Row], batch_tokens: int, vocab_size: int) -> Iterator[list[int]]:
    """Indices of rows of like length, as many as `batch_tokens` and a gigabyte of logits allow."""
    most = min(batch_tokens, (1 << 27) // vocab_size)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index][0]))
    while order:
        size = max(1, most // len(rows[order[-1]][0]))
        yield order[-size:]
        del order[-size:]


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """The model in evaluation mode, its weights without gradients; afterwards as it was."""
    training = [(module, module.training) for module in model.modules()]
    wanted = {weight: weight.requires_grad for weight in model.parameters()}
    model.eval()
    try:
        for weight in wanted:
            weight.requires_grad_(False)
        yield
    finally:
        for module, mode in training:
            module.training = mode
        for weight, needs in wanted.items():
            weight.requires_grad_(needs)


class Reader(TorchFunctionMode):
    """Sees every use of a model's weights and reads the examples' gradients there."""

    def __init__(self, model: PreTrainedModel, dimension: int, seed: int, method: Method) -> None:
        """As `sketch`."""
        super().__init__()
        weights = dict(model.named_parameters())
        packed = next((name for name, weight in weights.items() if not weight.is_floating_point()), None)
        if packed:
            raise UserError(
                f"{packed} holds {weights[packed].dtype} and so has no gradient: load the model unquantised."
            )
        self.model = model
        self.into = Sketch({name: w.shape for name, w in weights.items()}, dimension, seed, method)
        self.names = {id(weight): name for name, weight in weights.items()}
        self.norms = _own_norms(model, self.names)
        self.examples = 0
        self.rows: tuple[int, ...] = ()  # that a table of all examples' tokens can have
        self.uses: dict[Callable, Callable] = {
            F.linear: self._linear,
            torch.addmm: self._addmm,
            F.embedding: self._embedding,
            F.layer_norm: self._layer_norm,
        }

    def read(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Sketched gradients `[rows, d]` and mean losses `[rows]` (nats per token) of some examples.

        The model must be `frozen`.
        """
        device = self.model.device
        longest, shortest = max(len(tokens) for tokens, _ in rows), min(prompt for _, prompt in rows)
        # Padding stands on the right, where no earlier token sees it, and has no loss.
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        targets = torch.full((len(rows), longest), IGNORED)
        for place, (tokens, prompt) in enumerate(rows):
            ids[place, : len(tokens)] = torch.tensor(tokens)
            targets[place, prompt - 1 : len(tokens) - 1] = ids[place, prompt : len(tokens)]
        kept = longest - (shortest - 1)  # before the first completion no logits are needed
        targets = targets[:, longest - kept :].to(device)
        self.examples = len(rows)
        self.rows = (len(rows) * longest, len(rows) * kept, len(rows))
        self.into.begin(len(rows), device)
        with self._norms_apart(), self, torch.enable_grad():
            ids = ids.to(device)
            ones = torch.ones_like(ids)  # a mask of the padding would cost the fast attention
            logits = self.model(ids, attention_mask=ones, use_cache=False, logits_to_keep=kept).logits
        surprise = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        losses = surprise.view(len(rows), -1).sum(1) / (targets != IGNORED).sum(1)
        losses.sum().backward()
        return self.into.rows, losses.detach()

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        used = [self.names[id(given)] for given in (*args, *kwargs.values()) if id(given) in self.names]
        if used and function is F.embedding:
            args = (self._each(args[0]), *args[1:])
        result = function(*args, **kwargs)
        if used and isinstance(result, Tensor) and result.is_floating_point():
            if function not in self.uses:
                raise UserError(
                    f"The gradient of {used[0]} cannot be read: {type(self.model).__name__} uses it in "
                    f"{getattr(function, '__name__', function)}."
                )
            self.uses[function](result, *args, **kwargs)
        return result

    def _each(self, ids: Tensor) -> Tensor:
        """Positions that all examples share, once for each."""
        return ids.expand(self.examples, -1) if ids.dim() == 2 and len(ids) == 1 else ids

    def _tokens(self, values: Tensor) -> Tensor:
        """`[examples, tokens, width]`, whatever a module has folded together."""
        return values.reshape(self.examples, -1, values.shape[-1])

    def _linear(self, result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        self._products(result, weight, bias, x)

    def _addmm(self, result: Tensor, bias: Tensor, x: Tensor, weight: Tensor) -> None:
        self._products(result, weight, bias, x, turned=True)  # GPT-2's Conv1D keeps [inputs, outputs]

    def _products(
        self, result: Tensor, weight: Tensor, bias: Tensor | None, x: Tensor, turned: bool = False
    ) -> None:
        if x.shape[0] not in (self.rows if x.dim() == 2 else [self.examples]):  # as in a mixture of experts
            name = self.names.get(id(weight)) or self.names[id(bias)]
            raise UserError(
                f"The gradient of {name} cannot be read: {type(self.model).__name__} picks or moves tokens."
            )
        into = self._tokens(x.detach())

        def read(out: Tensor) -> None:
            out = self._tokens(out)
            if name := self.names.get(id(weight)):
                self.into.add_products(name, *((into, out) if turned else (out, into)))
            if name := self.names.get(id(bias)):
                self.into.add(name, out.sum(1, dtype=torch.float32))

        result.register_hook(read)

    def _embedding(
        self, result: Tensor, ids: Tensor, weight: Tensor, padding_idx: int | None = None, *_: Any, **__: Any
    ) -> None:
        name, ids = self.names[id(weight)], ids.reshape(self.examples, -1)

        def read(out: Tensor) -> None:
            out = self._tokens(out)
            if padding_idx is not None:  # autograd keeps that row as it is
                out = out * (ids != padding_idx % len(weight))[..., None]
            self.into.add_rows(name, ids, out)

        result.requires_grad_()
        result.register_hook(read)

    def _layer_norm(
        self,
        result: Tensor,
        x: Tensor,
        shape: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> None:
        x = x.detach()

        def read(out: Tensor) -> None:
            if name := self.names.get(id(weight)):
                each = out * F.layer_norm(x, shape, None, None, eps)
                self.into.add(name, self._tokens(each).sum(1, dtype=torch.float32))
            if name := self.names.get(id(bias)):
                self.into.add(name, self._tokens(out).sum(1, dtype=torch.float32))

        result.register_hook(read)

    @contextmanager
    def _norms_apart(self) -> Iterator[None]:
        """Norms of a family's own make get a copy of their weight for each example: autograd parts them."""
        kept: dict[nn.Module, Any] = {}

        def before(module: nn.Module, inputs: tuple) -> None:
            kept[module] = module._parameters
            module._parameters = {}
            for own, (name, weight) in self.norms[module].items():
                copies = weight.expand(self.examples, *[1] * (inputs[0].dim() - 2), -1).requires_grad_()
                copies.register_hook(lambda grad, name=name: self.into.add(name, grad.flatten(1)))
                setattr(module, own, copies)

        def after(module: nn.Module, *_: Any) -> None:
            module._parameters = kept.pop(module)
            for own in self.norms[module]:
                module.__dict__.pop(own, None)

        with ExitStack() as stack:
            for module in self.norms:
                stack.callback(module.register_forward_pre_hook(before).remove)
                stack.callback(module.register_forward_hook(after).remove)
            try:
                yield
            finally:
                for module in list(kept):
                    after(module)


def _own_norms(
    model: PreTrainedModel, names: dict[int, str]
) -> dict[nn.Module, dict[str, tuple[str, Tensor]]]:
    """Modules of a family's own make that hold nothing but vectors: each vector's attribute, name, values."""
    known, found = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm), {}
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        alone = own and not isinstance(module, known) and next(module.children(), None) is None
        if alone and all(weight.dim() == 1 for weight in own.values()):
            found[module] = {name: (names[id(weight)], weight.detach()) for name, weight in own.items()}
    return found


def dense_sketch(
    model: PreTrainedModel, rows: Sequence[Row], dimension: int = 1024, seed: int = 0, together: int = 32
) -> np.ndarray:
    """The published projection, as a reference: one backward pass an example, a dense Rademacher matrix.

    Jung et al. 2025, section 2.1. The matrix `[d, weights]` of ±1/√d is drawn anew in blocks for every
    `together` examples, whose gradients are held in full.

    Returns:
        `[rows, d]` float32, not scaled.
    """
    vectors = np.zeros((len(rows), dimension), dtype=np.float32)
    for first in range(0, len(rows), together):
        full = torch.stack([full_gradient(model, row) for row in rows[first : first + together]])
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros(len(full), dimension)
        for block in full.split(1 << 16, dim=1):
            signs = 2.0 * torch.randint(0, 2, (block.shape[1], dimension), generator=generator) - 1
            total += block @ signs
        vectors[first : first + together] = (total / dimension**0.5).numpy()
    return vectors


def full_gradient(model: PreTrainedModel, row: Row) -> Tensor:
    """One example's gradient by autograd, `[weights]` float32, in the order of `named_parameters`."""
    tokens, prompt = row
    ids = torch.tensor([tokens], device=model.device)
    with torch.enable_grad():
        logits = model(ids, use_cache=False).logits[0, prompt - 1 : -1].float()
        loss = F.cross_entropy(logits, ids[0, prompt:])
        grads = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([grad.flatten().float().cpu() for grad in grads])
