"""One decoding step over a preallocated key-value store, for any transformers model and, leaner, for Llama.

The store is one tensor `[layers, 2, rows, heads, columns, head dim]`. All rows write the same column at the
same step, so that a row which began later simply begins at a later column; columns before a row's first are
masked.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache


@dataclass(frozen=True)
class Window:
    """The columns a step reads, `first` up to and with `column`, which it writes.

    Attributes:
        hidden: bool `[rows, column - first + 1]`, true where a row has not yet begun; None if all rows see
            all.
    """

    first: int
    column: int
    hidden: Tensor | None


def prefill(model: PreTrainedModel, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Read prompts that are padded on the right: in a causal model the padding cannot reach the text before
    it.

    Args:
        model: any transformers causal language model with a plain attention cache.
        ids: `[rows, columns]`.
        lengths: tokens of each row.

    Returns:
        Logits at each row's last token `[rows, vocabulary]` and the store `[layers, 2, rows, heads, columns,
        dim]`.

    Raises:
        UserError: the model keeps something else than keys and values of all its layers.
    """
    from transformers import DynamicCache

    ends = lengths.unique()
    cache = DynamicCache()
    logits = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=ends - 1).logits
    layers = [(layer.keys, layer.values) for layer in cache.layers]
    if not layers or any(keys is None or keys.shape != layers[0][0].shape for keys, _ in layers):
        raise UserError(f"{type(model).__name__} does not keep plain keys and values: sample it with vLLM.")
    rows = torch.arange(len(ids), device=ids.device)
    return logits[rows, torch.searchsorted(ends, lengths)], torch.stack(
        [torch.stack(pair) for pair in layers]
    )


class PlainStep:
    """The model's own forward pass over a view of the store."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters

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
            return tuple(self.pair[:, :, :, window.first : window.column + 1])

        def get_seq_length(self) -> int:
            return window.column - window.first

    return Cache(layers=[Slice(pair) for pair in store])


class LlamaStep:
    """The same step for Llama in float32, with the query-key-value and the gate-up products fused.

    Built per call of the sampler, because the fused weights are copies.
    """

    def __init__(self, model: PreTrainedModel, longest: int) -> None:
        config, self.model = model.config, model.model
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = model.model.layers[0].self_attn.head_dim
        self.scale = model.model.layers[0].self_attn.scaling
        self.unembedding = model.lm_head.weight
        places = torch.arange(longest, device=model.device)[None]
        cos, sin = model.model.rotary_emb(self.unembedding, places)
        half = self.head_dim // 2
        self.cos, self.sin = cos[0, :, None], torch.cat((-sin[0, :, :half], sin[0, :, half:]), -1)[:, None]
        self.layers = [
            (
                layer,
                torch.cat([getattr(layer.self_attn, f"{part}_proj").weight for part in "qkv"]),
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight]),
            )
            for layer in model.model.layers
        ]

    @staticmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether the model is a float32 Llama without biases, adapters or position tables that change as
        they grow.
        """
        from transformers import LlamaForCausalLM

        config = model.config
        return (
            type(model) is LlamaForCausalLM
            and all(p.dtype == torch.float32 for p in model.parameters())
            and all(
                type(m) is nn.Linear and m.bias is None
                for m in model.modules()
                if "Linear" in type(m).__name__
            )
            and config.hidden_act == "silu"
            and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
        )

    def __call__(self, tokens: Tensor, positions: Tensor, store: Tensor, window: Window) -> Tensor:
        """Logits `[rows, vocabulary]` after `tokens`, which stand at `positions`; see `Window`."""
        x = self.model.embed_tokens.weight[tokens]
        cos, sin = self.cos[positions], self.sin[positions]
        mask = None
        if window.hidden is not None:
            mask = torch.zeros_like(window.hidden, dtype=x.dtype).masked_fill_(window.hidden, -torch.inf)
            mask = mask[:, None, None]
        for (layer, qkv, gate_up), pair in zip(self.layers, store, strict=True):
            h = F.linear(_norm(x, layer.input_layernorm), qkv).view(len(x), -1, self.head_dim)
            turned = h[:, : self.heads + self.groups]
            turned = turned * cos + turned.roll(self.head_dim // 2, -1) * sin
            pair[0, :, :, window.column] = turned[:, self.heads :]
            pair[1, :, :, window.column] = h[:, self.heads + self.groups :]
            keys, values = pair[:, :, :, window.first : window.column + 1]
            # The query heads that share a key-value head stand as its queries: no copy of keys is needed.
            query = turned[:, : self.heads].reshape(len(x), self.groups, -1, self.head_dim)
            seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=self.scale)
            x = x + F.linear(seen.reshape(len(x), -1), layer.self_attn.o_proj.weight)
            gate, up = F.linear(_norm(x, layer.post_attention_layernorm), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.mlp.down_proj.weight)
        return F.linear(_norm(x, self.model.norm), self.unembedding)


def _norm(x: Tensor, norm: nn.Module) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)
