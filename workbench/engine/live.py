"""A small model as a block of JSON that `charts/live.js` runs in a page.

Llama, GPT-2, GPT-Neo and Bloom are written in one form: a norm, attention, a norm, a feed-forward part, each
added to the residual stream; positions rotary, learnt or by ALiBi. What does not fit is refused by its name.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.engine.live_tokens import tokenizer_block
from workbench.engine.models import context_length
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from workbench.engine.interpretability.reference import Reference

MAX_PARAMETERS = 5_000_000
MAX_CONTEXT = 1024  # tokens that a page keeps keys and values of
Dtype = Literal["int8", "int16", "fp32"]
_STEPS = {"int8": 127, "int16": 32767}
_ACTIVATIONS = {"silu": "silu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
_Arrays = dict[str, np.ndarray]


def block(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: Dtype = "int16",
    causal: bool = True,
    reference: Reference | None = None,
    about: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the page needs to run a model; the same model gives the same block.

    Args:
        dtype: of the matrices: int8 or int16 with a float32 scale a row (1 or 2 bytes a weight), or fp32 (4
            bytes). Logits of small models differ by some tenths with int8, which changes words at a toss-up,
            and by thousandths with int16. Norms and biases are fp32 in any case.
        causal: whether a token sees those before it alone, or all of its text.
        reference: holds `head.L` of every layer, so that heads can be switched off to their means.
        about: names and values that the page says of the model.

    Returns:
        JSON: `format`, `shape`, `tensors` ([name, rows, columns, dtype] in the order of the bytes), `weights`
        (base64), `checksum` (CRC-32 of the bytes), `tokenizer`, `ends` (tokens that end a text), `about`.

    Raises:
        UserError: another architecture or setting than these four have, more than `MAX_PARAMETERS`, or a
            tokenizer that is neither byte-level BPE nor one token a word.
    """
    total = sum(weight.numel() for weight in model.parameters())
    if total > MAX_PARAMETERS:
        raise UserError(
            f"A page runs models of up to {MAX_PARAMETERS / 1e6:.0f}M parameters, and this one has "
            f"{total / 1e6:.1f}M: show a smaller one, or leave the live model out."
        )
    kind = model.config.model_type
    if kind not in _WRITERS:
        raise UserError(f"A page runs Llama, GPT-2, GPT-Neo and Bloom models, not {kind}.")
    written = tokenizer_block(tokenizer)
    state = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
    shape, arrays = _WRITERS[kind](model.config, state)
    shape |= {"vocabulary": len(arrays["embedding"]), "context": min(context_length(model), MAX_CONTEXT)}
    shape["causal"] = causal
    if len(written["tokens"]) > shape["vocabulary"]:
        raise UserError("The tokenizer has more tokens than the model's embedding has rows.")
    if reference is not None:
        for layer in range(shape["layers"]):
            mean = reference.table(f"head.{layer}", "mean", 0).numpy()
            arrays[f"{layer}.mean"] = mean.reshape(len(mean), -1)
    tensors, data = _packed(arrays, dtype)
    ends = model.config.eos_token_id
    return {
        "format": 1,
        "shape": shape,
        "tensors": tensors,
        "weights": base64.b64encode(data).decode("ascii"),
        "checksum": zlib.crc32(data),
        "tokenizer": written,
        "ends": [ends] if isinstance(ends, int) else ends or [],
        "about": dict(about or {}),
    }


def _packed(arrays: _Arrays, dtype: Dtype) -> tuple[list[list[Any]], bytes]:
    """The directory of the tensors, and their bytes."""
    tensors, parts = [], []
    for name, array in arrays.items():
        matrix = array.ndim == 2
        rows, columns = array.shape if matrix else (1, len(array))
        kind = dtype if matrix else "fp32"
        tensors.append([name, rows, columns, kind])
        if kind == "fp32":
            parts.append(array.astype("<f4").tobytes())
            continue
        steps = _STEPS[kind]
        scales = np.maximum(np.abs(array).max(axis=1), 1e-12).astype("<f4") / np.float32(steps)
        codes = np.rint(array / scales[:, None]).clip(-steps, steps).astype(f"<i{np.dtype(kind).itemsize}")
        parts += [scales.tobytes(), codes.tobytes()]
    return tensors, b"".join(parts)


# ------------------------------------------------------------------------------- architectures
def _common(n_layers: int, hidden: int, heads: int, activation: str, eps: float) -> dict[str, Any]:
    if activation not in _ACTIVATIONS:
        raise UserError(f"A page knows the activations {', '.join(_ACTIVATIONS)}, not {activation}.")
    return {
        "layers": n_layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "scale": (hidden // heads) ** -0.5,
        "theta": 0,
        "slopes": None,
        "windows": [0] * n_layers,
        "activation": _ACTIVATIONS[activation],
        "eps": eps,
    }


def _layers(state: _Arrays, n_layers: int, prefix: str, names: Mapping[str, str]) -> _Arrays:
    """The tensors of all layers under our names, weights and whatever biases there are."""
    return {
        f"{layer}.{ours}.{part}": state[theirs]
        for layer in range(n_layers)
        for ours, name in names.items()
        for part in ("weight", "bias")
        if (theirs := f"{prefix}.{layer}.{name}.{part}") in state
    }


def _output(config: Any, state: _Arrays) -> _Arrays:
    return {} if config.tie_word_embeddings else {"output": state["lm_head.weight"]}


def _llama(config: Any, state: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise UserError(f"A page knows plain rotary positions, not the kind {rope['rope_type']!r}.")
    heads = config.num_attention_heads
    shape = _common(
        config.num_hidden_layers, config.hidden_size, heads, config.hidden_act, config.rms_norm_eps
    )
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    shape |= {"kv_heads": config.num_key_value_heads, "head_dim": size, "scale": size**-0.5}
    shape |= {"theta": rope["rope_theta"], "neurons": config.intermediate_size}
    names = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}
    names |= {name: f"self_attn.{name}_proj" for name in "qkvo"}
    names |= {name: f"mlp.{name}_proj" for name in ("gate", "up", "down")}
    return shape, {
        "embedding": state["model.embed_tokens.weight"],
        **_layers(state, shape["layers"], "model.layers", names),
        "norm.weight": state["model.norm.weight"],
        **_output(config, state),
    }


def _gpt_neo(config: Any, state: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    shape = _common(
        config.num_layers, config.hidden_size, config.num_heads, config.activation_function,
        config.layer_norm_epsilon,
    )  # fmt: skip
    local = [config.window_size if kind == "local" else 0 for kind in config.attention_layers]
    shape |= {"scale": 1.0, "windows": local, "neurons": config.intermediate_size or 4 * config.hidden_size}
    names = {"norm1": "ln_1", "norm2": "ln_2", "o": "attn.attention.out_proj"}
    names |= {name: f"attn.attention.{name}_proj" for name in "qkv"}
    names |= {"up": "mlp.c_fc", "down": "mlp.c_proj"}
    return shape, _learnt(config, state) | _layers(state, shape["layers"], "transformer.h", names)


def _gpt2(config: Any, state: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    if not config.scale_attn_weights or config.scale_attn_by_inverse_layer_idx:
        raise UserError("A page knows GPT-2 with its usual scale of attention only.")
    shape = _common(
        config.n_layer, config.n_embd, config.n_head, config.activation_function, config.layer_norm_epsilon
    )
    shape["neurons"] = config.n_inner or 4 * config.n_embd
    for name in [name for name in state if ".c_" in name and name.endswith(".weight")]:
        state[name] = np.ascontiguousarray(state[name].T)  # Conv1D keeps inputs x outputs
    arrays = _learnt(config, state)
    names = {"norm1": "ln_1", "norm2": "ln_2", "o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    arrays |= _layers(state, shape["layers"], "transformer.h", names)
    for layer in range(shape["layers"]):
        for part in ("weight", "bias"):
            fused = state[f"transformer.h.{layer}.attn.c_attn.{part}"]
            for name, piece in zip("qkv", np.split(fused, 3), strict=True):
                arrays[f"{layer}.{name}.{part}"] = piece
    return shape, arrays


def _learnt(config: Any, state: _Arrays) -> _Arrays:
    """Embeddings with learnt positions, and the last norm."""
    names = {"embedding": "wte.weight", "positions": "wpe.weight", "norm.weight": "ln_f.weight"}
    names["norm.bias"] = "ln_f.bias"
    arrays = {ours: state[f"transformer.{theirs}"] for ours, theirs in names.items()}
    arrays["positions"] = arrays["positions"][:MAX_CONTEXT]
    return arrays | _output(config, state)


def _bloom(config: Any, state: _Arrays) -> tuple[dict[str, Any], _Arrays]:
    import torch
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    if config.apply_residual_connection_post_layernorm:
        raise UserError("A page knows Bloom with its usual residual connection only.")
    heads, hidden = config.n_head, config.hidden_size
    shape = _common(config.n_layer, hidden, heads, "gelu_pytorch_tanh", config.layer_norm_epsilon)
    alibi = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    shape |= {"slopes": alibi.reshape(heads, 2)[:, 1].tolist(), "neurons": 4 * hidden}
    names = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm", "o": "self_attention.dense"}
    names |= {"up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}
    arrays = {
        ours + part: state[f"transformer.{theirs}{part}"]
        for ours, theirs in {"embedding_norm": "word_embeddings_layernorm", "norm": "ln_f"}.items()
        for part in (".weight", ".bias")
    }
    arrays["embedding"] = state["transformer.word_embeddings.weight"]
    arrays |= _layers(state, shape["layers"], "transformer.h", names) | _output(config, state)
    for layer in range(shape["layers"]):
        for part in ("weight", "bias"):
            fused = state[f"transformer.h.{layer}.self_attention.query_key_value.{part}"]
            split = fused.reshape(heads, 3, hidden // heads, -1).swapaxes(0, 1)
            for name, piece in zip("qkv", split, strict=True):
                arrays[f"{layer}.{name}.{part}"] = piece.reshape(hidden, -1).squeeze()
    return shape, arrays


_WRITERS: dict[str, Callable[[Any, _Arrays], tuple[dict[str, Any], _Arrays]]] = {
    "llama": _llama,
    "gpt_neo": _gpt_neo,
    "gpt2": _gpt2,
    "bloom": _bloom,
}
