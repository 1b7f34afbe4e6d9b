"""Random sketches of a model's gradient, one weight at a time and without ever holding the whole.

The gradient of a weight W `[outputs, inputs]` for one example is a sum of outer products over its tokens,
G = Σ_t u_t v_tᵀ: u is the loss's gradient at the weight's output, v the weight's input. Two sketches of G:

* exact: G is formed and its entries, each with a random sign, are dealt round-robin into the d buckets (a
  count sketch, Charikar et al. 2002, with a fixed deal: one pass over G whatever d is);
* kronecker: u and v are first projected to 64 dimensions each by random signs, so nothing of W's size
  arises, and the small product is dealt out (LoGra, Choe et al. 2024, arXiv 2405.13954, with random axes).

Both keep inner products in expectation over the signs: E⟨Sg, Sh⟩ = ⟨g, h⟩. The signs hang on the seed and
the weight's name alone; all weights share the buckets, each beginning where the last one ended.
"""

import hashlib
from collections.abc import Mapping
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from workbench.errors import UserError

Method = Literal["exact", "kronecker"]
RANK = 64  # of a kronecker sketch's two sides
_PIECE = 1 << 20  # numbers of a gradient at hand at a time: they stay in the processor's cache


class Sketch:
    """Sums the sketched gradients of a batch of examples, `rows` `[examples, d]` float32."""

    def __init__(self, shapes: Mapping[str, torch.Size], dimension: int, seed: int, method: Method) -> None:
        """`shapes`: of all weights by name, a shared one once.

        Raises:
            UserError: a dimension below 1.
        """
        if dimension < 1:
            raise UserError(f"The dimension of a sketch must be 1 or more, not {dimension}.")
        self.dimension, self.seed, self.method = dimension, seed, method
        self.shapes = dict(shapes)
        sizes = (shape.numel() for shape in shapes.values())
        self.starts = dict(zip(shapes, accumulate(sizes, initial=0), strict=False))
        self._signs: dict[str, Tensor] = {}
        self.rows = torch.zeros(0)

    def begin(self, examples: int, device: torch.device) -> None:
        """Starts a batch."""
        self.rows = torch.zeros(examples, self.dimension, device=device)

    def add(self, name: str, values: Tensor) -> None:
        """A vector weight's gradients `[examples, size]`."""
        self._deal(values, self._sign(name, values.shape[1], values.device), self.starts[name])

    def add_products(self, name: str, out: Tensor, into: Tensor) -> None:
        """Σ_t out_t into_tᵀ for a weight `[outputs, inputs]`.

        Args:
            out: `[examples, tokens, outputs]`.
            into: `[examples, tokens, inputs]`.
        """
        outputs, inputs = out.shape[2], into.shape[2]
        if self.method == "kronecker":
            self._deal_narrow(name, self._narrow(name, "outputs", out), self._narrow(name, "inputs", into))
            return
        signs = self._sign(name, outputs * inputs, out.device)
        step = max(1, _PIECE // (len(out) * inputs))
        for first in range(0, outputs, step):
            piece = torch.bmm(out[:, :, first : first + step].transpose(1, 2), into).flatten(1)
            start = first * inputs
            self._deal(piece, signs[start : start + piece.shape[1]], self.starts[name] + start)

    def add_rows(self, name: str, ids: Tensor, out: Tensor) -> None:
        """An embedding's gradient: row ids[t] gets out_t.

        Args:
            name: of the weight `[rows, width]`.
            ids: `[examples, tokens]`.
            out: `[examples, tokens, width]`.
        """
        n_rows, width = self.shapes[name]
        if self.method == "kronecker":
            ones = self._axis(name, "outputs", n_rows, out.device)
            narrow = self._narrow(name, "inputs", out)
            self._deal_narrow(name, ones[ids].to(narrow.dtype), narrow)
            return
        signs = self._sign(name, n_rows * width, out.device).view(n_rows, width)
        column = torch.arange(width, device=out.device)
        bucket = (self.starts[name] + ids[..., None] * width + column) % self.dimension
        self.rows.scatter_add_(1, bucket.flatten(1), (out.float() * signs[ids]).flatten(1))

    def add_gradient(self, name: str, gradient: Tensor) -> None:
        """The whole gradient of a weight, for the one example of a batch."""
        if self.method == "exact" or gradient.dim() < 2:
            self.add(name, gradient.reshape(1, -1))
            return
        matrix = gradient.reshape(-1, gradient.shape[-1]).float()
        outputs, inputs = (
            self._axis(name, side, size, matrix.device)
            for side, size in zip(("outputs", "inputs"), matrix.shape, strict=True)
        )
        small = (outputs.float().T @ matrix @ inputs.float()).reshape(1, -1)
        self._deal(small, self._sign(f"{name} narrow", small.shape[1], small.device), self.starts[name])

    def _deal_narrow(self, name: str, out: Tensor, into: Tensor) -> None:
        small = torch.bmm(out.transpose(1, 2), into).flatten(1)
        self._deal(small, self._sign(f"{name} narrow", small.shape[1], small.device), self.starts[name])

    def _deal(self, values: Tensor, signs: Tensor, start: int) -> None:
        """Entry i, with its sign, into bucket (start + i) mod d."""
        d, shift = self.dimension, start % self.dimension
        values = values.float()
        whole = values.shape[1] // d * d
        if whole:
            laps = values[:, :whole].view(len(values), -1, d) * signs[:whole].view(-1, d)
            self.rows += torch.roll(laps.sum(1), shift, 1)
        rest = values[:, whole:] * signs[whole:]
        before_end = min(rest.shape[1], d - shift)
        self.rows[:, shift : shift + before_end] += rest[:, :before_end]
        self.rows[:, : rest.shape[1] - before_end] += rest[:, before_end:]

    def _narrow(self, name: str, side: str, values: Tensor) -> Tensor:
        size = values.shape[2]
        if size <= RANK:
            return values
        return values @ self._axis(name, side, size, values.device).to(values.dtype)

    def _axis(self, name: str, side: str, size: int, device: torch.device) -> Tensor:
        """One side's projection `[size, RANK]`, or the identity of a side that is narrow already."""
        if size <= RANK:
            return torch.eye(size, device=device)
        return self._sign(f"{name} {side}", size * RANK, device).view(size, RANK) * RANK**-0.5

    def _sign(self, name: str, size: int, device: torch.device) -> Tensor:
        """Random signs, int8: a byte a weight, drawn on the CPU so that every device has the same."""
        if name not in self._signs:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
            signs = torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8)
            self._signs[name] = (2 * signs - 1).to(device)
        return self._signs[name]
