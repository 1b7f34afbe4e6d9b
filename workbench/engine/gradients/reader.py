"""Gradients of single examples from one batched backward pass.

Every use of a weight in the forward pass is watched; when the loss's gradient reaches that use in the
backward pass, each example's share of the weight's gradient goes into a `Sketch`, and nothing else is kept:
no gradient is stored, and autograd computes none for the weights. Models that use weights otherwise than in
linear layers, embeddings and norms, and those whose first examples come out otherwise than by autograd, are
read one example at a time (`one_by_one`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workbench.engine.gradients.one_by_one import Row, completion_losses, read_alone
from workbench.engine.gradients.sketches import Method, Sketch
from workbench.engine.models import evaluating
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# In how large a batch a model's gradients were held against autograd's; None where it gives others.
_COMPARED: WeakKeyDictionary[PreTrainedModel, int | None] = WeakKeyDictionary()


class _Inseparable(Exception):
    """The examples' shares of a weight's gradient cannot be told apart in a batch."""


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """The model in evaluation mode, its weights without gradients; afterwards as it was."""
    wanted = {weight: weight.requires_grad for weight in model.parameters()}
    with evaluating(model):
        try:
            for weight in wanted:
                weight.requires_grad_(False)
            yield
        finally:
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
        self.norms = _custom_norms(model, self.names)
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

        Raises:
            UserError: its family computes no gradients in evaluation mode, as Reformer's.
        """
        try:
            return self._read(rows)
        except (AssertionError, ValueError, TypeError) as error:  # whatever a family's own code raises
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise UserError(f"{type(self.model).__name__} gives no gradients: {reason}.") from error

    def _read(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        compared = _COMPARED.setdefault(self.model, 0)
        if compared is not None:
            try:
                vectors, losses = self._read_together(rows)
                if compared < min(2, len(rows)):
                    self._compare(rows, vectors)
                return vectors, losses
            except _Inseparable:
                _COMPARED[self.model] = None
        return read_alone(self.model, self.into, rows)

    def _read_together(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        longest = max(len(tokens) for tokens, _ in rows)
        kept = longest - (min(prompt for _, prompt in rows) - 1)
        self.examples = len(rows)
        self.rows = (len(rows) * longest, len(rows) * kept, len(rows))
        self.into.begin(len(rows), self.model.device)
        with self._norms_apart(), self, torch.enable_grad():
            losses = completion_losses(self.model, rows)
        losses.sum().backward()
        return self.into.rows, losses.detach()

    def _compare(self, rows: Sequence[Row], vectors: Tensor) -> None:
        """Whether the first and the last row come out as by autograd."""
        ends = [0, len(rows) - 1]
        right, _ = read_alone(self.model, self.into, [rows[row] for row in ends])
        apart = (vectors[ends] - right).norm(dim=1) / right.norm(dim=1).clamp(min=1e-30)
        # Losses and gradients that are not finite are said to be so, whichever way they are read.
        most = 1e-3 if self.model.dtype == torch.float32 else 0.1
        if bool(torch.isfinite(right).all()) and bool((apart > most).any()):
            raise _Inseparable
        _COMPARED[self.model] = len(rows)

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            return function(*args, **kwargs)
        used = [self.names[id(value)] for value in (*args, *kwargs.values()) if id(value) in self.names]
        if used and function is F.embedding:
            args = (self._repeated(args[0]), *args[1:])
        result = function(*args, **kwargs)
        if used and isinstance(result, Tensor) and result.is_floating_point():
            if function not in self.uses:
                raise _Inseparable
            first = not result.requires_grad
            result.requires_grad_()  # as it is where weights are not frozen
            self.uses[function](result, *args, **kwargs)
            return result.clone() if first else result  # a family may scale it in place
        return result

    def _repeated(self, ids: Tensor) -> Tensor:
        """Positions that all examples share, repeated for every example."""
        return ids.expand(self.examples, -1) if ids.dim() == 2 and len(ids) == 1 else ids

    def _tokens(self, values: Tensor) -> Tensor:
        """`[examples, tokens, width]`, whatever a module has folded together."""
        return values.reshape(self.examples, -1, values.shape[-1])

    def _addmm(self, result: Tensor, bias: Tensor, x: Tensor, weight: Tensor) -> None:
        self._linear(result, x, weight, bias, turned=True)  # GPT-2's Conv1D keeps [inputs, outputs]

    def _linear(
        self, result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None, *, turned: bool = False
    ) -> None:
        if x.shape[0] not in (self.rows if x.dim() == 2 else [self.examples]):  # as in a mixture of experts
            raise _Inseparable
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
                products = out * F.layer_norm(x, shape, None, None, eps)
                self.into.add(name, self._tokens(products).sum(1, dtype=torch.float32))
            if name := self.names.get(id(bias)):
                self.into.add(name, self._tokens(out).sum(1, dtype=torch.float32))

        result.register_hook(read)

    @contextmanager
    def _norms_apart(self) -> Iterator[None]:
        """Custom norms get a copy of their weight for every example: autograd keeps these gradients apart."""
        kept: dict[nn.Module, Any] = {}

        def before(module: nn.Module, inputs: tuple) -> None:
            kept[module] = module._parameters
            module._parameters = {}
            for attribute, (name, weight) in self.norms[module].items():
                copies = weight.expand(self.examples, *[1] * (inputs[0].dim() - 2), -1).requires_grad_()
                copies.register_hook(lambda grad, name=name: self.into.add(name, grad.flatten(1)))
                setattr(module, attribute, copies)

        def after(module: nn.Module, *_: Any) -> None:
            module._parameters = kept.pop(module)
            for attribute in self.norms[module]:
                module.__dict__.pop(attribute, None)

        with ExitStack() as stack:
            for module in self.norms:
                stack.callback(module.register_forward_pre_hook(before).remove)
                stack.callback(module.register_forward_hook(after).remove)
            try:
                yield
            finally:
                for module in list(kept):
                    after(module)


def _custom_norms(
    model: PreTrainedModel, names: dict[int, str]
) -> dict[nn.Module, dict[str, tuple[str, Tensor]]]:
    """Modules that are not torch's and hold nothing but vectors: the names and values of their attributes."""
    torchs, norms = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm), {}
    for module in model.modules():
        weights = dict(module.named_parameters(recurse=False))
        leaf = weights and not isinstance(module, torchs) and next(module.children(), None) is None
        if leaf and all(weight.dim() == 1 for weight in weights.values()):
            norms[module] = {name: (names[id(weight)], weight.detach()) for name, weight in weights.items()}
    return norms
