"""Load models from folders and the hub, checked beforehand, and save them whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engine import gguf
from workbench.engine.checks import check, check_tokenizer, check_vocabulary
from workbench.engine.facts import facts
from workbench.engine.hub import check_id, hub_answers
from workbench.engine.memory import check_memory
from workbench.engine.model_files import check_folder, check_names, check_shapes, other_shapes, renaming
from workbench.engine.models import text_config
from workbench.engine.named import check_preset
from workbench.engine.quiet import without_bars
from workbench.engine.tokens import begin, converses, with_beginning
from workbench.errors import UserError, reason
from workbench.files import atomic_folder
from workbench.sources import located, models_in

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast


def load(source: str | Path, device: str = "auto") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Model (evaluation mode) and tokenizer from a folder or a hub id; code and pickles in it are never run.

    Args:
        source: a folder with `config.json`, `*.safetensors` and a tokenizer, a hub id such as `org/name`, or
            `starter`, the model that comes with the package.
        device: a torch device, or `auto` for the GPU if there is one. On the CPU weights become float32,
            where sampling in bf16 is slower; on a GPU they keep the checkpoint's type.

    Raises:
        UserError: nothing loadable is there, the hub cannot be reached, or the model is not what its folder
            says: weights are missing, left over or not numbers, or `check` refuses it.
    """
    device, source = pick_device(device), resolve(str(source))
    with _explained(source):
        options = _options(source)
        if Path(source).exists():
            check_memory(Path(source), device)
            check_shapes(source)
        tokenizer = _tokenizer(source, options)
        # For pyright's complaint see `models.build`.
        model = _model(source, device, options).to(device).eval()  # pyright: ignore[reportArgumentType]
        check(model, tokenizer)
    return model, tokenizer


def read_config(source: str | Path) -> tuple[PretrainedConfig, PreTrainedTokenizerFast]:
    """Configuration and tokenizer of a model that is there to `load`; no weights are read.

    Raises:
        UserError: as `load`, but for what only the weights show.
    """
    from transformers import AutoConfig

    source = resolve(str(source))
    with _explained(source):
        options = _options(source)
        tokenizer = _tokenizer(source, options)
        config = AutoConfig.from_pretrained(source, **options)
    check_tokenizer(tokenizer)
    check_vocabulary(tokenizer, config.get_text_config().vocab_size)
    return config, tokenizer


def describe(source: str, device: str = "auto", tokenizer: PreTrainedTokenizerFast | None = None) -> str:
    """What a model is, in one line for a report: size, family, type, licence, chat or not, beginning of text.

    Args:
        source, device: as `load` takes them.
        tokenizer: its own; read where it is not given.

    Raises:
        UserError: as `read_config`.
    """
    tokenizer = tokenizer or read_config(source)[1]
    folder = _folder_here(resolve(source))
    parts = []
    if folder:
        known = facts(folder)
        parts = [f"{known.n_parameters / 1e6:,.1f}M parameters", known.family, f"stored as {known.stored}"]
        parts += ["computed in float32"] if pick_device(device) == "cpu" else []
        parts += [f"licence {known.licence or 'not stated'}"]
    first = tokenizer.convert_ids_to_tokens(begin(tokenizer))
    end = "no end-of-text token, so that its texts end at the longest length and it cannot be trained"
    parts += ["instruct (it has a chat template)" if converses(tokenizer) else "base (no chat template)"]
    parts += [f"{' '.join(first)} is put before every text" if first else "nothing is put before a text"]
    parts += [] if tokenizer.eos_token else [end]
    return f"{source}: {', '.join(parts)}."


def introduce(params: Any) -> None:
    """Print what the models are that a notebook's parameters name, and so keep it with the run.

    Args:
        params: of the notebook; what is left as it is, the models trained here and servers are left out.

    Raises:
        UserError: as `read_config`.
    """
    for name in dict.fromkeys(name for _, name in models_in(params)):
        print(describe(name, getattr(params, "device", "auto")))


def _folder_here(source: str) -> Path | None:
    """The folder of a model, or where the hub's cache holds it whole."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).exists():
        return Path(source)
    config = try_to_load_from_cache(source, "config.json")
    folder = Path(config).parent if isinstance(config, str) else None
    return folder if folder and list(folder.glob("*.safetensors")) else None


def pick_device(device: str) -> str:
    """The device itself, or for `auto` the CUDA device if there is one, as `workbench doctor` says.

    Raises:
        UserError: a GPU is asked for and there is none, the name means nothing to torch, or the device knows
            no float64, in which results are summed (Apple's mps).
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device, dtype=torch.float64)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device={device!r} cannot be used here: take auto or cpu.") from error
    return device


def _options(source: str) -> dict[str, Any]:
    return {"local_files_only": is_offline(source), "trust_remote_code": False}


def _tokenizer(source: str, options: dict[str, Any]) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    return with_beginning(AutoTokenizer.from_pretrained(source, **options))


def _model(source: str, device: str, options: dict[str, Any]) -> PreTrainedModel:
    """The model whose weights are all of those in the folder, under their own names or behind a prefix."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.float32 if torch.device(device).type == "cpu" else "auto"
    options = {**options, "use_safetensors": True, "dtype": dtype, "output_loading_info": True}
    read: Any = AutoModelForCausalLM.from_pretrained  # its types leave out the report
    try:
        model, report = read(source, **options)
        if names := renaming(report, len(model.state_dict())):
            model, report = read(source, key_mapping=names, **options)
            model = _copy(model)
            print(
                f"The weights in {source} bear other names, as wrappers give them: read without the prefix."
            )
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise UserError(other_shapes(source)) from error
    if getattr(model, "_hf_peft_config_loaded", False):
        raise UserError(f"{source} is an adapter: merge it into its base model, or give the base model.")
    check_names(source, report)
    try:
        model.generation_config.validate(strict=True)
    except ValueError:  # a temperature without sampling, as in the first Llama chats: it could not be saved
        model.generation_config.do_sample = True
    return model


def _copy(model: PreTrainedModel) -> PreTrainedModel:
    """The same model without the names that it was read from, under which transformers would save it."""
    copy = type(model)._from_config(model.config, dtype=model.dtype)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = model.generation_config
    return copy


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Puts what reading a model raises into one sentence, and leaves out transformers' own reports."""
    try:
        with without_bars():
            yield
    except (KeyboardInterrupt, SystemExit, UserError):
        raise
    except BaseException as error:  # transformers raises whatever its readers raise, and tokenizers panics
        said = reason(str(error).partition("Model type should be one of")[0] or error)
        said = f"nothing is known as {said}" if isinstance(error, KeyError) else said
        if "trust_remote_code" in str(error):
            said = "it brings code of its own, which is never run: take a family that transformers knows"
        if Path(source).exists():
            raise UserError(f"The model in {source} cannot be loaded: {said}.") from error
        raise UserError(
            f"{source!r} is no folder here and could not be loaded from the Hugging Face hub "
            f"(check the id and the network, or give the path of a downloaded folder): {said}."
        ) from error


def is_offline(source: str) -> bool:
    """Whether a model is to be loaded without the hub: from a folder, or because the hub does not answer."""
    return Path(source).exists() or not hub_answers()


def resolve(source: str) -> str:
    """The folder of a model, of a GGUF file the one it is dequantized into, or a hub id.

    Raises:
        UserError: the name means nothing, or what is there is no whole model.
    """
    check_preset(source)
    source = located(source)
    folder = Path(source).expanduser()
    if os.path.exists(folder):  # pathlib raises for a name that is too long
        if file := gguf.file_in(folder):
            folder = gguf.folder_of(file)
        check_folder(folder)
        return str(folder)
    check_id(source)
    return source


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: str | Path) -> None:
    """Write a folder that `AutoModelForCausalLM` and vLLM load; an older one stays until it is whole.

    Raises:
        UserError: the folder cannot be written (permissions, full disk).
    """
    with atomic_folder(folder) as new, without_bars():
        write(model, tokenizer, new)


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model's files into a folder so that what is loaded again is this model, also if parts of it
    share weights that its class keeps apart."""
    with _head_as_it_is(model):
        try:
            model.save_pretrained(folder)
        except RuntimeError as error:
            if "shared tensors" not in str(error):
                raise
            copies = {name: value.clone() for name, value in model.state_dict().items()}
            model.save_pretrained(folder, state_dict=copies)
    tokenizer.save_pretrained(folder)


@contextmanager
def _head_as_it_is(model: PreTrainedModel) -> Iterator[None]:
    """The configuration says whether the head is the embedding, which can be changed by hand."""
    getters = [getattr(model, f"get_{side}_embeddings", lambda: None)() for side in ("input", "output")]
    weights = [getattr(module, "weight", None) for module in getters]
    settings = [model.config, text_config(model)] if None not in weights else []
    settings = [part for part in settings if hasattr(part, "tie_word_embeddings")]
    before = [part.tie_word_embeddings for part in settings]
    for part in settings:
        part.tie_word_embeddings = weights[0] is weights[1]
    try:
        yield
    finally:
        for part, value in zip(settings, before, strict=True):
            part.tie_word_embeddings = value
