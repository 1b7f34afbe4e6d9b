"""One decoding step over a preallocated key-value store, for any transformers model and, leaner, for Llama.

The store is one tensor `[layers, 2, rows, heads, columns, head dim]`. All rows write the same column at the
same step, so that a row which began later begins at a later column; those before it are masked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.engine.sampling.scoring import last_logits
from workbench.engine.traits import traits

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

PACKED_FROM = 256  # the smallest hidden size at which packed weights are faster


@dataclass(frozen=True)
class Window:
    """The columns a step reads, `first` up to and with `column`, which it writes."""

    first: int
    column: int
    #: bool `[rows, column - first + 1]`, true where a row has not yet begun; None if all have.
    hidden: Tensor | None


def prefill(model: PreTrainedModel, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Read prompts that are padded on the right, where padding cannot reach the text before it.

    Args:
        ids: `[rows, columns]`.
        lengths: tokens of each row.

    Returns:
        Logits at each row's last token `[rows, vocabulary]` and the store `[layers, 2, rows, heads, columns,
        dim]`.

    Raises:
        ValueError: the model keeps something else than keys and values of all its layers.
    """
    from transformers import DynamicCache

    ends = lengths.unique()
    cache = DynamicCache()
    logits = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=ends - 1).logits
    layers: list[tuple[Any, Any]] = [
        (getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in cache.layers
    ]
    if not layers or any(keys is None or keys.shape != layers[0][0].shape for keys, _ in layers):
        raise ValueError(f"{type(model).__name__} does not keep plain keys and values")
    rows = torch.arange(len(ids), device=ids.device)
    store = torch.stack([torch.stack(pair) for pair in layers])
    return logits[rows, torch.searchsorted(ends, lengths)], store


class PlainStep:
    """The model's own forward pass over a view of the store."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.takes_positions = traits(model).takes_positions

    def room(self, memory: Tensor, *shape: int) -> Tensor:
        """An empty store of this shape in the given memory."""
        return memory[: math.prod(shape)].zero_().view(shape)

    def adopt(self, read: Tensor) -> Tensor:
        """What `prefill` read, as this step stores it: as it is."""
        return read

    def __call__(self, tokens: Tensor, positions: Tensor, store: Tensor, window: Window) -> Tensor:
        """Logits `[rows, vocabulary]` after `tokens`, which stand at `positions`; see `Window`."""
        options = {"position_ids": positions[:, None]} if self.takes_positions else {}
        if window.hidden is not None:
            options["attention_mask"] = (~window.hidden).long()
        cache = _view(store, window)
        return self.model(tokens[:, None], past_key_values=cache, use_cache=True, **options).logits[:, -1]


def _view(store: Tensor, window: Window) -> Cache:
    """A transformers cache whose layers write into the store and return slices of it."""
    from transformers.cache_utils import Cache, DynamicLayer

    class Slice(DynamicLayer):
        def __init__(self, pair: Tensor) -> None:
            super().__init__()
            self.pair, self.is_initialized = pair, True

        def update(
            self, keys: Tensor, values: Tensor, *args: object, **options: object
        ) -> tuple[Tensor, Tensor]:
            self.pair[0, :, :, window.column] = keys[:, :, 0]
            self.pair[1, :, :, window.column] = values[:, :, 0]
            read = self.pair[:, :, :, window.first : window.column + 1]
            return read[0], read[1]

        def get_seq_length(self) -> int:
            return window.column - window.first

    return Cache(layers=[Slice(pair) for pair in store])


class EqualRows:
    """Texts of equal lengths, read with the cache that the model makes for itself, or without one."""

    def __init__(self, model: PreTrainedModel, cached: bool) -> None:
        self.model, self.cached = model, cached
        self.cache: dict[str, Any] = {}  # what the model gave back, by the name that it takes it by

    def __call__(self, texts: Tensor) -> Tensor:
        """Logits `[rows, vocabulary]` behind texts: those of the last call, each with a token more."""
        if not self.cached:
            return last_logits(self.model, texts, 1)[:, 0]
        out = self.model(texts[:, -1:] if self.cache else texts, use_cache=True, **self.cache)
        names = ("past_key_values", "cache_params", "state")
        self.cache = {name: out[name] for name in names if out.get(name) is not None}
        if not self.cache:
            raise ValueError(f"{type(self.model).__name__} keeps nothing of what it has read")
        return out.logits[:, -1]


class Product:
    """A product with a weight `[out, in]`, `x @ weight.T`."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.T

    def __call__(self, x: Tensor) -> Tensor:
        """`[rows, in]` to `[rows, out]`."""
        return x @ self.weight

    def onto(self, rest: Tensor, x: Tensor) -> Tensor:
        """The product added to `rest`."""
        return torch.addmm(rest, x, self.weight)


class PackedProduct:
    """`Product` with the weight in the order in which oneDNN reads it, which it otherwise makes at each call.

    For few rows and large weights that is two to four times as fast (AMD EPYC, MKL 2024), and as exact.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> None:
        """Args:
        weight: `[out, in]`.
        dtype: float32 or bfloat16, to which factors and products are rounded; sums are float32 inside.
        """
        self.dtype = dtype
        # The order chosen for 16 rows is good for any number of them, that for one row is not.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), 16)

    def __call__(self, x: Tensor) -> Tensor:
        """`[rows, in]` in float32 to `[rows, out]` in float32."""
        x = x.to(self.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "").float()

    def onto(self, rest: Tensor, x: Tensor) -> Tensor:
        """The product added to `rest`."""
        return self(x).add_(rest)


class LlamaStep:
    """`PlainStep` for a small Llama in float32, in as few and as large operations as it can be written.

    Built per call of the sampler, because the fused weights are copies: queries, keys and values in one
    product, gate and up in another, the norms' weights folded into them. Query and key dimensions stand in
    pairs, so that the rotary embedding (Su et al. 2021, arXiv:2104.09864) is one complex product in place.
    """

    def __init__(self, model: PreTrainedModel, longest: int, dtype: torch.dtype = torch.float32) -> None:
        """Args:
        model: one that `fits`.
        longest: tokens of the longest text.
        dtype: bfloat16 rounds the layers' weights, where they are packed, and what is multiplied with
            them; the output layer, norms, attention and sums stay in float32.
        """
        config, attention = model.config, model.model.layers[0].self_attn
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.head_dim, self.eps = attention.head_dim, config.rms_norm_eps
        self.embedding, self.final = model.model.embed_tokens.weight, model.model.norm.weight
        packs = self.packs(model)
        self.product: Callable[[Tensor], Product | PackedProduct]
        self.product = partial(PackedProduct, dtype=dtype) if packs else Product
        # Logits rounded to bfloat16 would be off by up to 1/16.
        self.unembed = (PackedProduct if packs else Product)(model.lm_head.weight)
        cos, sin = model.model.rotary_emb(self.embedding, torch.arange(longest, device=model.device)[None])
        half = self.head_dim // 2
        self.turns = torch.complex(cos[0, :, None, :half], sin[0, :, None, :half])
        self.pairs = torch.arange(self.head_dim, device=model.device).view(2, half).T.flatten()
        self.layers = [self._fuse(layer) for layer in model.model.layers]

    def _fuse(self, layer: LlamaDecoderLayer) -> tuple[Product | PackedProduct, ...]:
        q, k, v = (getattr(layer.self_attn, f"{part}_proj").weight for part in "qkv")
        q, k = (part.unflatten(0, (-1, self.head_dim))[:, self.pairs].flatten(0, 1) for part in (q, k))
        gate_up = torch.cat((layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight))
        weights = (
            torch.cat((q * layer.self_attn.scaling, k, v)) * layer.input_layernorm.weight,
            layer.self_attn.o_proj.weight,
            gate_up * layer.post_attention_layernorm.weight,
            layer.mlp.down_proj.weight,
        )
        return tuple(map(self.product, weights))

    @staticmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether it is a small float32 Llama without biases, adapters, hooks or changing positions."""
        from transformers import LlamaForCausalLM

        config, modules = model.config, list(model.modules())
        hooks = [
            hook for part in modules for hook in (part._forward_hooks | part._forward_pre_hooks).values()
        ]
        linear = [part for part in modules if "Linear" in type(part).__name__]
        return (
            type(model) is LlamaForCausalLM
            # Hooks want to see, or change, what the modules compute; transformers' own lie idle here.
            and all(getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)
            and model.num_parameters() < 500_000_000  # where copies are cheap and overheads matter
            and all("forward" not in vars(part) for part in modules)  # as patches by hand leave it
            and all(weight.dtype == torch.float32 for weight in model.parameters())
            and all(type(part) is nn.Linear and part.bias is None for part in linear)
            and config.hidden_act == "silu"
            and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
        )

    @staticmethod
    def packs(model: PreTrainedModel) -> bool:
        """Whether its products are `PackedProduct`s."""
        here = model.device.type == "cpu" and torch.backends.mkldnn.is_available()
        return here and model.config.hidden_size >= PACKED_FROM

    def room(self, memory: Tensor, *shape: int) -> Tensor:
        """An empty store in the given memory; columns lie side by side, which products of few rows like."""
        return memory[: math.prod(shape)].zero_().view(*shape[:-2], shape[-1], shape[-2]).mT

    def adopt(self, read: Tensor) -> Tensor:
        """What `prefill` read, with key dimensions in this step's order."""
        return torch.stack((read[:, 0][..., self.pairs], read[:, 1]), 1)

    def __call__(self, tokens: Tensor, positions: Tensor, store: Tensor, window: Window) -> Tensor:
        """Logits `[rows, vocabulary]` after `tokens`, which stand at `positions`; see `Window`."""
        x, turns, rows = self.embedding[tokens], self.turns[positions], len(tokens)
        turned = self.heads + self.groups
        for (qkv, out, gate_up, down), pair in zip(self.layers, store, strict=True):
            h = qkv(self._norm(x)).view(rows, -1, self.head_dim)
            torch.view_as_complex(h[:, :turned].unflatten(2, (-1, 2))).mul_(turns)
            pair[:, :, :, window.column] = h[:, self.heads :].unflatten(1, (2, -1)).transpose(0, 1)
            keys, values = pair[:, :, :, window.first : window.column + 1]
            # The query heads that share a key-value head stand as its queries: no copy of keys is needed.
            query = h[:, : self.heads].unflatten(1, (self.groups, -1))
            scores = query @ keys.mT
            if window.hidden is not None:
                scores.masked_fill_(window.hidden[:, None, None], -torch.inf)
            seen = torch.softmax(scores, -1) @ values
            x = out.onto(x, seen.reshape(rows, -1))
            gate, up = gate_up(self._norm(x)).chunk(2, -1)
            x = down.onto(x, F.silu(gate).mul_(up))
        return self.unembed(self._norm(x) * self.final)

    def _norm(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], None, self.eps)
