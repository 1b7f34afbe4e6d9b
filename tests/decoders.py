"""A tiny random decoder of every family that transformers knows: settings by what their fields are called."""

import dataclasses

import torch

from workbench.engine import models

VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT = 300, 32, 2, 4, 64
NAMES = {  # what the families call the same thing
    "width": "hidden_size n_embd d_model dim emb_dim word_embed_proj_dim embedding_size lru_width embed_dim",
    "layers": "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers",
    "heads": "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads "
    "mamba_n_heads linear_num_key_heads linear_num_value_heads num_decoder_attention_heads mamba_num_heads "
    "swa_num_attention_heads",
    "experts": "num_experts n_routed_experts num_local_experts moe_num_experts num_routed_experts "
    "moe_num_primary_experts",
    "two": "num_key_value_heads num_experts_per_tok moe_k moe_topk top_k_experts num_experts_per_token "
    "swa_num_key_value_heads",
    "inner": "intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim n_inner dff moe_intermediate_size "
    "shared_expert_intermediate_size dense_intermediate_size shared_intermediate_size ffn_hidden_size "
    "expert_ffn_hidden_size intermediate_size_mlp block_ff_dim moe_shared_expert_intermediate_size",
    "head": "head_dim global_head_dim attention_head_dim state_size mamba_d_state linear_key_head_dim "
    "linear_value_head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim swa_head_dim swa_v_head_dim "
    "query_pre_attn_scalar chunk_size mamba_chunk_size rotary_dim ssm_state_size",
    "sixteen": "sliding_window q_lora_rank kv_lora_rank mamba_d_head window_size mamba_head_dim",
    "context": "max_position_embeddings n_positions n_ctx max_seq_len seq_length model_max_length",
    "vocabulary": "vocab_size vocab_size_per_layer_input",
    "one": "n_group topk_group n_groups mamba_n_groups n_shared_experts num_shared_experts pad_token_id",
    "zero": "first_k_dense_replace num_nextn_predict_layers bos_token_id eos_token_id decoder_start_token_id",
    "spread": "initializer_range init_std",
    "yes": "is_decoder",
}
VALUES = {
    "width": WIDTH,
    "layers": LAYERS,
    "heads": HEADS,
    "experts": 4,
    "two": 2,
    "inner": 48,
    "head": 8,
    "sixteen": 16,
    "context": CONTEXT,
    "vocabulary": VOCABULARY,
    "one": 1,
    "zero": 0,
    "spread": 0.2,
    "yes": True,
}
SIZES = {name: VALUES[kind] for kind, names in NAMES.items() for name in names.split()}
MIXED = {"layer_types": ["linear_attention", "full_attention"]}
SHORT_THEN_WHOLE = {"layer_types": ["sliding_attention", "full_attention"]}
ALL_HEADS = {"num_key_value_heads": HEADS}  # in latent attention every head has keys of its own
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION |= {"image_size": 28, "patch_size": 14}
SPECIAL = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "minicpm3"), ALL_HEADS),
    **dict.fromkeys(
        ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "bailing_hybrid", "olmo_hybrid"), MIXED
    ),
    **dict.fromkeys(("gemma3_text", "exaone4", "cohere2", "afmoe", "ministral"), SHORT_THEN_WHOLE),
    "youtu": ALL_HEADS,
    "cpmant": {"dim_ff": 48, "dim_head": 8},
    "deepseek_v4": {"o_lora_rank": 16, "o_groups": 2, "index_n_heads": 2, "index_head_dim": 8},
    "dots3_note_text": ALL_HEADS,
    "inkling_text": {},
    "kimi_linear": MIXED | ALL_HEADS | {"linear_head_dim": 8, "linear_num_heads": 4},
    "reformer": {"axial_pos_embds_dim": [8, 24], "axial_pos_shape": [8, 8], "attn_layers": ["local", "lsh"]},
    "rembert": {"input_embedding_size": 32, "output_embedding_size": 32},
    "roc_bert": {"shape_vocab_size": 30, "pronunciation_vocab_size": 30, "shape_embed_dim": 8}
    | {"pronunciation_embed_dim": 8},
    "xmod": {"default_language": "en_XX"},
    "bailing_hybrid": MIXED | ALL_HEADS,
    "bamba": {"attn_layer_indices": [1]},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3": {"vision_config": VISION, "mm_tokens_per_image": 1, "image_token_index": 298}
    | {"boi_token_index": 297, "eoi_token_index": 296},
    "gemma3n_text": {"hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0},
    "gemma4_text": {"hidden_size_per_layer_input": 8, "head_dim": 8, "global_head_dim": 16}
    | SHORT_THEN_WHOLE,
    "glm_moe_dsa": ALL_HEADS | {"index_n_heads": 2, "index_topk": 64},
    "deepseek_v32": ALL_HEADS | {"index_n_heads": 2, "index_topk": 64},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": MIXED,
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": ALL_HEADS | {"zero_expert_num": 2, "qk_head_dim": 16},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "phimoe": {"router_jitter_noise": 0.0, "input_jitter_noise": 0.0},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 4, "intermediate_size": 48},
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 16},
}


def settings(kind):
    """Small sizes for a class of configurations; nothing is dropped at random."""
    names = {field.name for field in dataclasses.fields(kind)} | set(getattr(kind, "attribute_map", {}))
    small = {name: value for name, value in SIZES.items() if name in names}
    return small | {
        name: 0.0 for name in names if "drop" in name and isinstance(getattr(kind, name, None), float)
    }


def config(family):
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family]
    text = kind.sub_configs.get("text_config")
    inner = {"text_config": settings(text)} if text else {}
    return kind(**settings(kind) | inner | SPECIAL.get(family, {}))


QUICK = ["llama", "gpt2", "bloom", "gemma2", "lfm2", "mixtral"]
# Families that need pictures or sounds, or whose sizes cannot be set so small.
NOT_HERE = (
    "blt cohere_compass_text dbrx dots3_note emu3 fuyu gemma3n gemma4 gemma4_assistant gemma4_unified "
    "gemma4_unified_assistant git got_ocr2 llama4 mllama moss_transcribe_diarize musicgen musicgen_melody "
    "phi4_multimodal qwen3_5 qwen3_5_moe qwen4_exp zamba"
)


def families():
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return [name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name not in NOT_HERE.split()]


FAMILIES = families()


def build(family):
    """In evaluation mode, with random weights; vectors are not all one or zero."""
    made = config(family)
    model = models.build(made, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight += torch.randn(weight.shape, generator=generator) * 0.1
    return model


TEXTS = [
    "The red fox sat by the well and looked at the moon.",
    "Ada has 12 plums and gives 5 to Bo. How many are left?",
    "A small boat went down the river; it was cold, but nobody minded.",
    "Two and three make five, and five and one make six.",
]
TOKENIZER = models.train_tokenizer(TEXTS * 8, VOCABULARY)
