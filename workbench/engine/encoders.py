"""Vectors of texts: hashed words, a sentence encoder, or the hidden states of any language model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.engine.tokens import check_texts
from workbench.errors import UserError
from workbench.words import words

_HIDDEN = "hidden:"
_TOKENS = 8192  # of one batch, padding included


def encode(texts: Sequence[str], encoder: str = "embedded", device: str = "auto") -> np.ndarray:
    """Unit vectors of texts, shape (n, d); the dot product of two rows is their cosine.

    Cosines of different encoders do not compare: see `measures.similarity.floor` and `ceiling`.

    Args:
        texts: at least one; equal texts are read once.
        encoder: `embedded` (see `embed`; needs no download), a sentence-transformers folder or hub id (needs
            the `embeddings` extra), or `hidden:` and the folder or hub id of a causal language model, for
            the mean of its last hidden states over the text's tokens, those that the tokenizer adds (a
            beginning of the text, which is alike in all of them) left out.
        device: a torch device, or `auto` for the GPU if there is one.

    Returns:
        Rows in the order of the texts. With `hidden:` a text without tokens has a row of zeros.

    Raises:
        ValueError: there are no texts.
        UserError: the extra is missing, the model cannot be loaded or returns values that are not finite, or
            as `tokens.check_texts`.
    """
    if encoder == "embedded":
        return embed(texts)
    if not len(texts):
        raise ValueError("there is no text to encode")
    check_texts(texts)
    number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    if encoder.startswith(_HIDDEN):
        rows = _hidden_means(list(number), encoder.removeprefix(_HIDDEN), device)
    else:
        rows = _sentence_vectors(list(number), encoder, device)
    if not np.isfinite(rows).all():
        raise UserError(f"The encoder {encoder} returns values that are not finite: choose another one.")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit[[number[text] for text in texts]]


def embed(texts: Sequence[str], *, dimensions: int = 128, seed: int = 0) -> np.ndarray:
    """Unit vectors of texts, shape (n, d), float64, from the words alone.

    TF-IDF of words and word pairs (hashed, so there is no vocabulary to fit), reduced to `dimensions` by a
    truncated SVD (latent semantic analysis, Deerwester et al. 1990). Weights and axes come from the given
    texts: **sets that are to be compared go through one call together**. Texts without a word share one
    further axis. d is at most the number of texts plus one.

    Raises:
        ValueError: there are no texts.
    """
    if not len(texts):
        raise ValueError("there is no text to embed")
    rows = _latent_semantic(texts, dimensions, seed)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _latent_semantic(texts: Sequence[str], dimensions: int, seed: int) -> np.ndarray:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    hashing = HashingVectorizer(
        tokenizer=words,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
        n_features=2**16,
        alternate_sign=False,
        norm=None,
    )
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(hashing.transform(texts))
    wordless = np.diff(weighted.indptr)[:, None] == 0
    if len(texts) == 1 or wordless.all():
        return np.ones((len(texts), 1))
    reduced = _leading_axes(weighted, min(dimensions, len(texts)), seed)
    return np.hstack([reduced, wordless]) if wordless.any() else reduced


def _leading_axes(table: Any, d: int, seed: int) -> np.ndarray:
    """Left singular vectors times singular values of a sparse (n, m) table, the d largest.

    Subspace iteration (Halko et al. 2011, arXiv 0909.4061) that orthogonalises on the short side only:
    scikit-learn's also does so on the m hashed columns, ten times slower here.
    """
    n = table.shape[0]
    basis = np.random.default_rng(seed).normal(size=(n, min(d + 10, n)))
    for _ in range(5):
        basis, _ = np.linalg.qr(table @ (table.T @ basis))
    projected = table.T @ basis
    squares, axes = np.linalg.eigh(projected.T @ projected)
    largest = slice(None, -d - 1, -1)
    return (basis @ axes[:, largest]) * np.sqrt(np.clip(squares[largest], 0, None))


def _sentence_vectors(texts: list[str], model: str, device: str) -> np.ndarray:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise UserError(
            'A sentence-transformers model needs the extra: pip install "small-model-workbench[embeddings]"'
        ) from None
    from workbench.engine.loading import is_offline, pick_device, without_bars
    from workbench.engine.models import context_length

    device = pick_device(device)
    try:
        with without_bars():
            encoder: Any = SentenceTransformer(model, device=device, local_files_only=is_offline(model))
    except Exception as error:  # the library raises whatever its readers and the hub's client raise
        raise UserError(
            f"The embedding model {model} could not be loaded ({type(error).__name__}): "
            "give a sentence-transformers folder, or a hub id while the network is up."
        ) from error
    network = encoder[0].auto_model if hasattr(encoder[0], "auto_model") else None
    if network is not None:
        _check_encoder(network, model)
        limit = context_length(network)
        encoder.max_seq_length = min(encoder.max_seq_length or limit, limit)
    return np.asarray(encoder.encode(texts, show_progress_bar=False), dtype=float)


def _check_encoder(network: Any, model: str) -> None:
    """Whether an encoder has its folder's weights: the library takes random ones for those that are lost."""
    from transformers import AutoModel

    from workbench.engine.checks import check_weights
    from workbench.engine.loading import without_bars
    from workbench.engine.model_files import check_names

    check_weights(network)
    folder = network.config.name_or_path
    if not any(Path(folder).glob("*.safetensors")):
        return
    with without_bars():
        _, report = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    missing = [name for name in report["missing_keys"] if "pooler" not in name]  # which means do not read
    check_names(model, {"missing_keys": missing, "unexpected_keys": [], "error_msgs": report["error_msgs"]})


def _hidden_means(texts: list[str], model: str, device: str) -> np.ndarray:
    """Means, shape (n, width), of what the final norm hands to the output layer."""
    import torch

    from workbench.engine import loading
    from workbench.engine.batches import batches, padded
    from workbench.engine.models import context_length
    from workbench.engine.traits import traits

    network, tokenizer = loading.load(model, device)
    limit = context_length(network, _TOKENS)
    # A text that spells a special token out is still a text.
    options: dict[str, Any] = {"split_special_tokens": True, "verbose": False}
    read = tokenizer(texts, truncation=True, max_length=limit, return_special_tokens_mask=True, **options)
    tokens, special = read["input_ids"], read["special_tokens_mask"]
    rows = np.zeros((len(texts), network.config.get_text_config().hidden_size))
    kept = [number for number, marks in enumerate(special) if not all(marks)]
    rows_at_once = 1 << 30 if traits(network).ignores_batch_mates else 1
    for part in batches([len(tokens[number]) for number in kept], _TOKENS, rows_at_once):
        batch = [kept[index] for index in part]
        ids = padded([tokens[i] for i in batch]).to(network.device)
        mask = padded([[1] * len(tokens[i]) for i in batch]).to(network.device)
        counted = 1 - padded([special[i] for i in batch], 1).to(network.device).unsqueeze(-1)
        with torch.inference_mode():
            states = network.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False)[0].float()
        rows[batch] = ((states * counted).sum(1) / counted.sum(1)).cpu().numpy()
    return rows
