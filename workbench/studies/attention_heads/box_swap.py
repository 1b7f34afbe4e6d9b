"""Which head carries the answer: prompts that differ only in who put which thing into which box."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import make_probes
from workbench.engine.interpretability import patching
from workbench.engine.interpretability.ablations import patched_heads
from workbench.engine.tokens import encode, encode_pairs
from workbench.measures.statistics import bootstrap_ratios
from workbench.studies.attention_heads.method import product_frame

FEWEST = 10  # pairs that the model answers rightly: from fewer nothing is said
PromptPair = tuple[list[int], list[int], int, int]
"""Tokens of the clean and of the corrupt prompt, and the first token of the answer to each."""


def box_pairs(tokenizer: PreTrainedTokenizerFast, n: int, seed: int) -> list[PromptPair]:
    """Prompts about what is in a box, and the same with the two things exchanged, token by token.

    Those of the first 10 n, and n at most, whose things have equally many tokens.
    """
    pairs: list[PromptPair] = []
    for probe in make_probes(10 * n, seed=seed):
        if probe.name != "what is in the box" or len(pairs) == n:
            continue
        right, wrong = probe.right.strip(), probe.wrong.strip()
        swapped = probe.beginning.replace(right, "\0").replace(wrong, right).replace("\0", wrong)
        clean, corrupt = encode(tokenizer, [probe.beginning, swapped])
        asked = [(probe.beginning, answer) for answer in (probe.right, probe.wrong)]
        (_, a), (_, b) = encode_pairs(tokenizer, asked)
        differing = sum(x != y for x, y in zip(clean, corrupt, strict=False))
        if len(clean) == len(corrupt) and 0 < differing <= 2 * (len(a) + len(b)) and a[0] != b[0]:
            pairs.append((clean, corrupt, a[0], b[0]))
    return pairs


@torch.inference_mode()
def answered(model: PreTrainedModel, pairs: Sequence[PromptPair]) -> list[PromptPair]:
    """The pairs of which the model prefers the right answer to both prompts: where it does not, there is no
    answer that a head could carry.
    """
    right = []
    for pair in pairs:
        *prompts, a, b = pair
        logits = model(torch.tensor(prompts, device=model.device), use_cache=False).logits[:, -1]
        clean, corrupt = (logits[:, a] - logits[:, b]).tolist()
        if clean > 0 > corrupt:
            right.append(pair)
    return right


def too_few(pairs: Sequence[PromptPair], asked: Sequence[PromptPair]) -> str:
    """Why nothing is patched."""
    return (
        f"Not testable here: the model answers {len(pairs)} of {len(asked)} pairs of prompts rightly both "
        f"ways, and {FEWEST} are needed."
    )


def patch_heads(
    model: PreTrainedModel,
    pairs: Sequence[PromptPair],
    asked: int,
    n: int | None = None,
    drawn: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """How far each head's output from the clean prompt brings the clean answer back in the corrupt one.

    Args:
        model: any transformers causal language model.
        pairs: those that it has `answered`.
        asked: of how many.
        n: heads of largest first-order estimate that are patched; None for every head.
        drawn: heads drawn at random beside them.
        seed: of the draw.

    Returns:
        Columns layer, head, value, low, high, n, asked: the logit difference's change as a share of that
        between the two prompts, both summed over pairs; `first_order`, what attribution patching predicts for
        it; and the mean logit difference `clean` and `corrupt`. Of a head that was not patched value, low and
        high are NaN. Empty where there are fewer than `FEWEST` pairs.
    """
    if len(pairs) < FEWEST:
        names = ["layer", "head", "value", "low", "high", "first_order", "n", "asked", "clean", "corrupt"]
        return pd.DataFrame(columns=names)
    metrics = [patching.logit_difference(a, b) for *_, a, b in pairs]
    linear = [
        patching.attribution_patching(model, clean, corrupt, metric, "head", "unit")
        for (clean, corrupt, *_), metric in zip(pairs, metrics, strict=True)
    ]
    estimates = np.stack([sweep.raw - sweep.corrupt for sweep in linear])  # [pairs, layers, heads]
    _, n_layers, n_heads = estimates.shape
    order = np.argsort(-np.abs(estimates.sum(0)), axis=None, kind="stable")
    n = len(order) if n is None else n
    others = np.random.default_rng(seed).permutation(order[n:])[:drawn]
    heads = sorted((int(index) // n_heads, int(index) % n_heads) for index in (*order[:n], *others))
    changes = np.full(estimates.shape, np.nan)
    for pair, (sweep, metric) in enumerate(zip(linear, metrics, strict=True)):
        clean, corrupt, *_ = pairs[pair]
        changes[pair][tuple(zip(*heads, strict=True))] = (
            patched_heads(model, clean, corrupt, metric, heads) - sweep.corrupt
        )
    ends = np.array([(sweep.clean, sweep.corrupt) for sweep in linear])
    spans = np.repeat(ends[:, :1] - ends[:, 1:], n_layers * n_heads, axis=1)
    patched = ~np.isnan(changes[0]).ravel()
    value, low, high = np.full((3, n_layers * n_heads), np.nan)
    flat = changes.reshape(len(pairs), -1)[:, patched]
    value[patched], low[patched], high[patched] = bootstrap_ratios(list(flat), spans[:, patched])
    first_order = estimates.reshape(len(pairs), -1).sum(0) / spans.sum(0)
    columns = {"value": value, "low": low, "high": high, "first_order": first_order, "n": len(pairs)}
    columns |= {"asked": asked}
    columns["clean"], columns["corrupt"] = ends.mean(0)
    return product_frame(columns, layer=range(n_layers), head=range(n_heads))
