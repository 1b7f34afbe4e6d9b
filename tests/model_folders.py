"""Small models in folders as their makers publish them: no tokenizer, weight or setting follows our habits.

Each stands for a family: an early Llama chat (pieces with ▁, bytes for what is missing, no padding token,
weights in several files), Qwen2 instruct (ChatML, no beginning of text, two ends, settings of its own for
sampling), GPT-2 (an almost empty tokenizer_config.json), Pythia (GPT-NeoX: untied, in half precision) and one
that is short of everything (a Llama with a context of 512, whose tokenizer has an end of text and no more).
Their vocabularies and a few steps of training come from texts that the notebooks' own corpora generate.
"""

import json
from functools import cache

import torch
import transformers
from families import CHATML
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer

from workbench.corpora import lego, walks
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.corpora.problems import draw
from workbench.corpora.stories import story_at
from workbench.corpora.stories.words import BOYS, GIRLS

FAMILIES = ("Llama", "Qwen2", "GPT2", "GPTNeoX", "Short")
CONTEXT, SHORT, WIDTH, STEPS = 768, 512, 64, 60
END = "<|endoftext|>"
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": WIDTH, "intermediate_size": 128}
GATED = {**SHAPE, "num_key_value_heads": 2}
TINY_CHAT = (  # as TinyLlama's: it ends with the mark, and the reply begins on a line of its own
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
WORDS = [*walks.PLACES[:5], *walks.WAYS[:3], *lego.VALUES, *lego.OPERATIONS, *BOYS[:6], *GIRLS[:6]]
QWEN_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@cache
def texts():
    """Stories, worked problems and, often enough to become tokens, the words that some notebooks need."""
    told = [story_at(number, seed=0).text for number in range(40)]
    told += [
        f"{each.question} [{name}] {each.rationale(name)}" for each in draw(60, 0) for name in STRATEGIES
    ]
    return told + ["".join(f" {word}" for word in WORDS)] * 150


# ------------------------------------------------------------------------------- tokenizers
def _bytes(size, *first, digits=False):
    """Byte-level BPE: GPT-2's way, or with single digits Qwen2's; the special tokens come first."""
    made = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not digits)
    split = pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if digits else level
    made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts(),
        BpeTrainer(
            vocab_size=size, special_tokens=list(first), initial_alphabet=alphabet, show_progress=False
        ),
    )
    return made


def _pieces(size):
    """BPE on pieces that begin with ▁, as sentencepiece makes it: <unk>, <s>, </s>, 256 bytes, the pieces."""
    first = Tokenizer(models.BPE())
    first.pre_tokenizer = pre_tokenizers.Metaspace()
    first.train_from_iterator(texts(), BpeTrainer(vocab_size=size - 259, show_progress=False))
    learnt = json.loads(first.to_str())["model"]
    head = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {piece: place for place, piece in enumerate([*head, *learnt["vocab"]])}
    merges = [tuple(pair) for pair in learnt["merges"]]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in head[:3]])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def _write(place, name, content):
    (place / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=2))


def _llama(place):
    _pieces(640).save(str(place / "tokenizer.json"))
    about = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": False,
        "add_bos_token": True,
        "model_max_length": 2048,
    }
    about |= {"add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    _write(place, "tokenizer_config.json", about)
    _write(place, "chat_template.jinja", TINY_CHAT)


def _qwen2(place):
    made = _bytes(600, digits=True)
    special = [END, "<|im_start|>", "<|im_end|>"]
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    made.save(str(place / "tokenizer.json"))
    about = {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "add_prefix_space": False}
    about |= {"bos_token": None, "eos_token": special[2], "pad_token": END, "unk_token": None}
    about |= {"additional_special_tokens": special[1:], "errors": "replace", "model_max_length": 32768}
    template = "{% if messages[0]['role'] != 'system' %}{{ '" + SYSTEM + "' }}{% endif %}" + CHATML
    _write(place, "tokenizer_config.json", about | {"chat_template": template})


def _gpt2(place):
    learnt = json.loads(_bytes(600).to_str())["model"]
    _write(place, "vocab.json", learnt["vocab"] | {END: len(learnt["vocab"])})
    _write(place, "merges.txt", "\n".join(["#version: 0.2", *map(" ".join, learnt["merges"]), ""]))
    _write(place, "tokenizer_config.json", {"model_max_length": CONTEXT})


def _neox(place):
    _bytes(600, END, "<|padding|>").save(str(place / "tokenizer.json"))
    about = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    about |= {"tokenizer_class": "GPTNeoXTokenizer", "add_prefix_space": False}
    _write(place, "tokenizer_config.json", about)


def _short(place):
    _bytes(600, END).save(str(place / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "model_max_length": SHORT}
    _write(place, "tokenizer_config.json", about)


# ------------------------------------------------------------------------------- models
def _config(family, vocabulary):
    """The settings that the family's makers publish, but for the size."""
    end = vocabulary - 1
    common = {"max_position_embeddings": CONTEXT}
    if family == "Llama":
        ends = {"bos_token_id": 1, "eos_token_id": 2}
        return transformers.LlamaConfig(vocab_size=vocabulary, **GATED, **common, **ends)
    if family == "Short":
        none = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
        return transformers.LlamaConfig(vocab_size=vocabulary, **GATED, max_position_embeddings=SHORT, **none)
    if family == "Qwen2":  # more rows than tokens; a beginning that the tokenizer does not have
        ends = {"bos_token_id": end - 2, "eos_token_id": end, "tie_word_embeddings": True}
        return transformers.Qwen2Config(vocab_size=vocabulary + 25, **GATED, **common, **ends)
    if family == "GPT2":
        shape = {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
        return transformers.GPT2Config(vocab_size=vocabulary, bos_token_id=end, eos_token_id=end, **shape)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "rotary_pct": 0.25}
    return transformers.GPTNeoXConfig(vocab_size=vocabulary + 27, **SHAPE, **common, **ends)


def _learn(model, tokenizer, steps):
    """A few steps on the texts, so that what is written has words and spaces."""
    end = [tokenizer.eos_token_id]
    ids = [token for text in texts() for token in [*tokenizer(text, verbose=False).input_ids, *end]]
    rows = torch.tensor(ids[: len(ids) // 128 * 128]).view(-1, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        part = rows[torch.randint(len(rows), (8,))]
        model(part, labels=part).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


SETTINGS = {  # generation_config.json
    "Llama": {"temperature": 0.9, "top_p": 0.6},  # without do_sample, as the first Llama 2 chats had them
    "Qwen2": {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 2.0},
}


def folder_of(family, place, steps=STEPS):
    """Writes a family's folder; returns its path as text."""
    place.mkdir(parents=True)
    {"Llama": _llama, "Qwen2": _qwen2, "GPT2": _gpt2, "GPTNeoX": _neox, "Short": _short}[family](place)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind = "llama" if family == "Short" else getattr(transformers, f"{family}Config").model_type
        _write(place, "config.json", {"model_type": kind})  # says which tokenizer GPT-2's is
        tokenizer = transformers.AutoTokenizer.from_pretrained(place)
        config = _config(family, len(tokenizer))
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        _learn(model, tokenizer, steps)
    dtype = {"Llama": torch.bfloat16, "Qwen2": torch.bfloat16, "GPTNeoX": torch.float16}.get(family)
    many = {"max_shard_size": "100KB"} if family == "Llama" else {}
    model.to(dtype or torch.float32).save_pretrained(place, **many)
    if family == "GPT2":  # published without the prefix
        weights = load_file(place / "model.safetensors")
        bare = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
        save_file(bare, place / "model.safetensors", {"format": "pt"})
    ends = {"Qwen2": [config.eos_token_id, config.bos_token_id]}.get(family, config.eos_token_id)
    own = {"bos_token_id": config.bos_token_id, "eos_token_id": ends, **SETTINGS.get(family, {})}
    _write(place, "generation_config.json", own)
    return str(place)
