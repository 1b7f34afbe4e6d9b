"""A GGUF file's model as a folder that transformers makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from importlib.metadata import version as installed
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from workbench.engine.gguf_header import Header, join
from workbench.engine.model_files import check_names
from workbench.engine.quiet import without_bars
from workbench.errors import UserError, reason
from workbench.sources import parts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# What llama.cpp splits texts by before it merges bytes (`tokenizer.ggml.pre`), where transformers' rule for
# all files (GPT-2's) is not the one: each digit apart, then GPT-2's.
_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
_GPT2 = ("gpt-2", "gpt2", "mpt", "olmo", "jais", "trillion", "granite-docling", "phi-2", "roberta-bpe")


def write_folder(head: Header, folder: Path, about: Mapping[str, str] | None = None) -> None:
    """Write the model of a file into a folder, by transformers.

    Args:
        about: for its card, in place of what the file says or besides: license, source.

    Raises:
        UserError: transformers does not read all of it, or reads another model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    alone = folder / ".gguf"  # nothing else that lies beside the file shall be read
    alone.mkdir()
    file = alone / "model.gguf"
    if len(parts := parts_of(head.file)) > 1:
        join(parts, file)
    else:
        file.symlink_to(head.file.absolute())
    options = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        with without_bars(), redirect_stderr(StringIO()):  # tqdm's own bar
            tokenizer = _tokenizer(head, alone, options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                str(alone), dtype=torch.float32, output_loading_info=True, **options
            )
            model, report = loaded
    except (ValueError, KeyError, TypeError, NotImplementedError, RuntimeError, AttributeError) as error:
        raise UserError(f"transformers cannot read {head.file} ({reason(error)}).") from error
    check_names(str(head.file), report)
    n_read = sum(weight.numel() for weight in model.parameters())
    if n_read != head.n_parameters:
        raise UserError(
            f"transformers reads {n_read:,} of the {head.n_parameters:,} weights in {head.file}, so that the "
            "model would be another one: take the model's own folder."
        )
    _make_plain(model)
    ends = {model.config.eos_token_id, head.fields.get("tokenizer.ggml.eot_token_id")} - {None}
    model.generation_config.eos_token_id = sorted(ends) if len(ends) > 1 else next(iter(ends), None)
    with without_bars(), redirect_stderr(StringIO()):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.rmtree(alone)
    card = {"license": head.fields.get("general.license"), **(about or {})}
    card |= {"dequantized_from": head.file.name, "quantization": head.quantization}
    card = {name: value for name, value in card.items() if value}
    settings = yaml.safe_dump(card, allow_unicode=True)
    text = f"---\n{settings}---\nDequantized by transformers {installed('transformers')}.\n"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _make_plain(model: PreTrainedModel) -> None:
    """Forget that the weights were quantized, which they no longer are: else they could not be saved."""
    vars(model.config).pop("quantization_config", None)
    model.hf_quantizer = None  # pyright: ignore[reportArgumentType]  # torch declares modules and tensors only


def _tokenizer(head: Header, folder: Path, options: dict[str, Any]) -> PreTrainedTokenizerFast:
    """The file's tokenizer, which splits texts as the file says."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
    split = head.fields.get("tokenizer.ggml.pre")
    if head.fields.get("tokenizer.ggml.model") != "gpt2" or split in (*_GPT2, *_splits()):
        return tokenizer
    if split in _DIGITS:
        backend = tokenizer.backend_tokenizer
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        print(
            f"{head.file.name} splits texts as {split!r}, which transformers does not know: GPT-2's way is "
            "taken, so that some tokens may be others than the model has read."
        )
    return tokenizer


def _splits() -> set[str]:
    """The ways to split texts that transformers knows by name."""
    with suppress(ImportError):  # of newer versions
        from transformers.integrations.gguf import gguf_tokenizer_mapping as own

        return {*own.GGUF_PRE_TOKENIZER_SPLITS}
    return set()
