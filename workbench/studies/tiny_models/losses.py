"""How large the models of a ladder are, and their losses: while they learn, and on stories held out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.engine import models
from workbench.engine.training.loss import loss
from workbench.studies.tiny_models.ladder import Fitted, flat


def curves(metrics: Path) -> pd.DataFrame:
    """What was logged in training: columns model, seed, step, tokens, held_out_nats, …; empty if nothing."""
    columns = ["model", "seed", "step", "tokens", "held_out_nats"]
    logged = pd.read_json(metrics, lines=True) if metrics.exists() else pd.DataFrame(columns=columns)
    if "held_out_nats" not in logged:  # a given model's grades alone
        return pd.DataFrame(columns=columns)
    return logged.dropna(subset=["held_out_nats"]).drop_duplicates(["model", "seed", "step"], keep="last")


def parameters(fitted: Fitted) -> pd.DataFrame:
    """Columns model, layers, width, total, embedding, other: parameters counted once each."""
    rows = []
    for name, (model, _) in fitted.items():
        counts, config = models.count_parameters(model), models.text_config(model)
        shape = (config.num_hidden_layers, config.hidden_size)
        rows.append((name, *shape, counts.total, counts.embedding, counts.non_embedding))
    return pd.DataFrame(rows, columns=["model", "layers", "width", "total", "embedding", "other"])


def held_out_losses(fitted: Mapping[int, Fitted], texts: Sequence[str]) -> pd.DataFrame:
    """Loss of each text by itself: columns seed, model, item, nats_per_token, bits_per_byte.

    The total of a text is divided by the mean length of all, so that the column's mean is the loss per token.
    """
    frames = []
    for (seed, name), (model, tokenizer) in flat(fitted).items():
        scored = loss(model, tokenizer, list(texts))
        per_token = scored.nats * len(texts) / scored.n_tokens
        per_byte = scored.nats / np.log(2) * len(texts) / scored.n_bytes
        columns = {"item": range(len(texts)), "nats_per_token": per_token, "bits_per_byte": per_byte}
        frames.append(pd.DataFrame(columns).assign(seed=seed, model=name))
    return pd.concat(frames, ignore_index=True)
