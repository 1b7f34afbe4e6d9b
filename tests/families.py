"""A tiny random model of each family of transformers that the tests of the engine look into."""

import copy
from functools import cache

import torch

from workbench.engine import models

WIDTH, LAYERS, HEADS, VOCABULARY, CONTEXT = 32, 2, 4, 260, 64
SHAPE = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": WIDTH}
GATED = {**SHAPE, "intermediate_size": 48, "num_key_value_heads": 2}  # grouped key-value heads
OTHERS = {  # class of the config: its settings
    "Llama": GATED,
    "Qwen2": GATED,  # biases of queries, keys and values
    "Qwen3": {**GATED, "head_dim": 16},  # norms of queries and keys, heads wider than the model
    "Gemma2": {**GATED, "head_dim": 8, "query_pre_attn_scalar": 8},  # norms behind the projections
    "GPTNeoX": {**SHAPE, "intermediate_size": 64},  # attention and MLP read the same stream
    "Phi": {**SHAPE, "intermediate_size": 64},  # as GPTNeoX, with one norm for both
    "OPT": {**SHAPE, "ffn_dim": 64, "word_embed_proj_dim": WIDTH},
    "GPT2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT},
    "GPTNeo": {
        "hidden_size": WIDTH,
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "Bloom": {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS},
}
FAMILIES = list(OTHERS)
HAVE_VALUE_BIAS = ["Qwen2", "GPTNeoX", "Phi", "OPT", "GPT2", "Bloom"]
HAVE_NORM_BIAS = ["GPTNeoX", "Phi", "OPT", "GPT2", "GPTNeo", "Bloom"]


def fresh(family, vocab_size=VOCABULARY):
    """A model whose biases are not zero, and which nothing ends."""
    import transformers

    settings = {"max_position_embeddings": CONTEXT, **OTHERS[family]}
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    config = getattr(transformers, f"{family}Config")(
        vocab_size=vocab_size, initializer_range=0.2, **settings, **special
    )
    model = models.build(config, seed=0)
    model.generation_config.eos_token_id = None
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight += torch.randn(weight.shape, generator=generator) * 0.3
    return model


tiny = cache(fresh)  # shared by all tests, which leave it as it was


def texts(lengths, seed=0):
    """Random tokens, one row a length."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def logits_of(model, row):
    """What transformers computes for one text, `[tokens, vocabulary]`."""
    with torch.inference_mode():
        return model(torch.tensor([row]), use_cache=False).logits[0]


def hooks_of(model):
    """How many hooks its modules carry."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def with_chat(tokenizer, template=CHATML):
    """The tokenizer of an instruct model: its template's marks are special tokens, one of them the end."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    tokenizer.chat_template = template
    return tokenizer
