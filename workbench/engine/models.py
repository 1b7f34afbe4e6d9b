"""Small causal language models: shapes, random weights, parameter counts, tokenizers.

The presets follow the shapes of TinyStories (Eldan & Li 2023, arXiv:2305.07759, table of released models),
but each is named after its *total* parameter count at a vocabulary of 2,048 with tied embeddings, which the
published names are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.errors import UserError, choices

if TYPE_CHECKING:
    from torch import device as Device
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

Architecture = Literal["llama", "gpt-neo", "bloom"]
SHAPES = {  # name: (layers, hidden size)
    "tiny:0.1M": (3, 32),
    "tiny:0.3M": (3, 64),
    "tiny:1M": (4, 128),
    "tiny:3M": (6, 192),
    "tiny:8M": (6, 320),
    "tiny:28M": (8, 512),
    "tiny:33M": (4, 768),
}
CONTEXT_NAMES = ("max_position_embeddings", "max_seq_len", "n_positions", "n_ctx")  # in settings of families
END_OF_TEXT = "<|endoftext|>"
# The messages' texts one after the other: a base model completes, it does not converse.
CHAT_TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"


@dataclass(frozen=True)
class Counts:
    """Parameters of a model; a weight shared by two modules counts once.

    `embedding` holds token and learned position embeddings and an untied output layer.
    """

    total: int
    embedding: int
    non_embedding: int


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """The configuration of the part that reads and writes text, which a model with vision has inside."""
    return model.config.get_text_config()


def context_length(model: PreTrainedModel, default: int = 1 << 30) -> int:
    """The tokens that a model can read at once; `default` where its configuration sets no limit."""
    settings = text_config(model)
    limits = [getattr(settings, name, None) for name in CONTEXT_NAMES]
    limit = next((limit for limit in limits if isinstance(limit, int) and limit > 0), default)
    if not getattr(settings, "is_encoder_decoder", False) and hasattr(model, "named_modules"):
        for name, part in model.named_modules():
            padding = getattr(part, "padding_idx", None)  # RoBERTa numbers its positions from behind it
            if padding is not None and name.endswith("position_embeddings"):
                limit = min(limit, part.num_embeddings - padding - 1)
    return limit


def rope_kinds(model: PreTrainedModel) -> list[dict[str, Any]]:
    """The settings of rotary positions, of which each kind of layers may have its own."""
    settings = getattr(text_config(model), "rope_parameters", None) or {}
    return [settings, *(value for value in settings.values() if isinstance(value, dict))]


def n_rows(model: PreTrainedModel) -> int:
    """Rows of the embedding: the tokens that a model can read are the numbers below."""
    return model.get_input_embeddings().get_parameter("weight").shape[0]


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards each of its modules is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def config(
    preset: str = "tiny:1M",
    vocab_size: int = 2048,
    architecture: Architecture = "llama",
    n_layers: int | None = None,
    hidden_size: int | None = None,
    context: int = 256,
) -> PretrainedConfig:
    """Configuration of a small model with tied embeddings.

    Args:
        preset: one of `SHAPES`.
        vocab_size: rows of the embedding, at least the tokenizer's length.
        architecture: `llama` (rotary positions), `gpt-neo` (learned positions; every second layer looks back
            256 tokens only, as in TinyStories) or `bloom` (ALiBi).
        n_layers: depth, if not the preset's.
        hidden_size: width, if not the preset's; a multiple of 32, or of 8 below 128.
        context: longest sequence in tokens.

    Raises:
        UserError: there is no such preset or architecture, or no such depth or width.
    """
    from transformers import BloomConfig, GPTNeoConfig, LlamaConfig

    if preset not in SHAPES:
        raise UserError(f"There is no preset {preset!r}: {choices(preset, SHAPES)}.")
    layers, hidden = SHAPES[preset]
    layers = layers if n_layers is None else n_layers
    hidden = hidden if hidden_size is None else hidden_size
    check_shape(layers, hidden)
    heads = next(n for n in range(max(2, hidden // 32), 0, -1) if hidden % n == 0)
    if architecture not in get_args(Architecture):
        raise UserError(f"There is no architecture {architecture!r}: choose llama, gpt-neo or bloom.")
    # Small init (Nguyen & Salazar 2019, arXiv 1910.05895, section 2.2): the customary 0.02 suits a width of
    # 1000, and from it narrow models lose most of a short training.
    common: dict[str, Any]
    common = {"vocab_size": vocab_size, "hidden_size": hidden, "initializer_range": (2 / (5 * hidden)) ** 0.5}
    common |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    common |= {"max_position_embeddings": context, "tie_word_embeddings": True}
    if architecture == "bloom":  # ALiBi has no limit of its own; vLLM and the sampler read the context
        return BloomConfig(n_layer=layers, n_head=heads, **common)
    if architecture == "gpt-neo":
        kinds = [[[kind], 1] for kind in ["global", "local"] * layers]
        return GPTNeoConfig(
            num_layers=layers, num_heads=heads, attention_types=kinds[:layers], window_size=256, **common
        )
    return LlamaConfig(
        intermediate_size=-(-8 * hidden // 96) * 32,  # 8/3: three matrices cost as much as two of 4x
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        **common,
    )


def check_shape(layers: int, hidden: int, names: tuple[str, str] = ("n_layers", "hidden_size")) -> None:
    """Whether there are models of this depth and width; `names` are those that messages give the two.

    Raises:
        UserError: there are none.
    """
    if layers < 1:
        raise UserError(f"{names[0]}={layers} must be 1 or more.")
    if hidden < 1 or hidden % (32 if hidden >= 128 else 8):
        raise UserError(f"{names[1]}={hidden} must be a multiple of 32 (of 8 below 128).")


def build(config: PretrainedConfig, seed: int, device: str | Device | None = None) -> PreTrainedModel:
    """A float32 model with random weights that depend on the seed alone: drawn on the CPU, then moved."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    # transformers wraps `to` so that pyright takes its argument for the model.
    return model if device is None else model.to(device)  # pyright: ignore[reportArgumentType]


def count_parameters(model: PreTrainedModel) -> Counts:
    """Total, embedding and non-embedding parameters."""
    from torch import nn

    embeddings: list[nn.Module] = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    if (unembedding := model.get_output_embeddings()) is not None:
        embeddings.append(unembedding)
    total = sum(weight.numel() for weight in model.parameters())
    weights = {weight for part in embeddings for weight in part.parameters()}
    embedding = sum(weight.numel() for weight in weights)
    return Counts(total, embedding, total - embedding)


def train_tokenizer(texts: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text encodes and decodes back; one special token begins, ends and pads.

    Raises:
        UserError: the vocabulary cannot hold the 256 bytes and the special token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < 257:
        raise UserError(f"vocab_size={vocab_size} is too small: 256 bytes and {END_OF_TEXT} need 257.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = begins_with(END_OF_TEXT)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def begins_with(token: str, number: int = 0) -> Any:
    """The post-processor that puts a token, of this number in the vocabulary, in front of every text."""
    from tokenizers.processors import TemplateProcessing

    pair = f"{token} $A $B"
    return TemplateProcessing(single=f"{token} $A", pair=pair, special_tokens=[(token, number)])
