"""Writes small GGUF files of random Llamas, as llama.cpp's converter writes them."""

import json

import gguf
import numpy as np
import torch
from transformers import LlamaConfig

from workbench.engine import models

TEXTS = ["The cat sat on the mat. It was happy.", "A dog ran to the park and saw 12 big red balls."] * 20
CHAT = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def llama():
    """A random Llama with grouped keys and untied weights, and its tokenizer."""
    tokenizer = models.train_tokenizer(TEXTS, 300)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, rms_norm_eps=1e-5,
    )  # fmt: skip
    return models.build(config, 0), tokenizer


def write(path, kind="F32", arch="llama", begins=True, pre="gpt-2", parts=0, add=(), extra=(), fields=None):
    """A GGUF file of `llama()`; returns it and its tokenizer.

    Args:
        kind: of the matrices.
        add: settings besides, as (name, value).
        extra: names of tensors besides.
        parts: into how many files the tensors go.
    """
    model, tokenizer = llama()
    config = model.config
    options = {"split_max_tensors": -(-22 // parts)} if parts else {}
    writer = gguf.GGUFWriter(str(path), arch, **options)
    writer.add_name("Small")
    writer.add_license("mit")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(len(tokenizer))
    learnt = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(learnt["vocab"]))
    writer.add_token_types([3, *[1] * (len(learnt["vocab"]) - 1)])
    writer.add_token_merges([" ".join(pair) for pair in learnt["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(begins)
    for name, value in add:
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(name, value)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        for ours, theirs in _NAMES.items():
            name = name.replace(ours, theirs)
        value, part = weight.numpy(), name.split(".")[-2]
        if part in heads:  # the two halves of a rotated head lie side by side there
            value = value.reshape(heads[part], 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        _add(writer, name, np.ascontiguousarray(value), kind if value.ndim > 1 else "F32")
    for name in extra:
        _add(writer, name, np.ones(8, np.float32), "F32")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, tokenizer


def _add(writer, name, value, kind):
    kind = gguf.GGMLQuantizationType[kind]
    if kind == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, value)
    else:
        writer.add_tensor(name, gguf.quantize(value, kind), raw_dtype=kind)


def logits(model, tokenizer, text):
    with torch.no_grad():
        return model(torch.tensor([tokenizer(text)["input_ids"]])).logits
