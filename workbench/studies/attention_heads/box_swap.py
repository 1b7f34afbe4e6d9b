"""Which head carries the answer: prompts that differ only in who put which thing into which box."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import make_probes
from workbench.engine.interpretability import patching
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


def patch_heads(model: PreTrainedModel, pairs: Sequence[PromptPair], asked: int) -> pd.DataFrame:
    """How far each head's output from the clean prompt brings the clean answer back in the corrupt one.

    Args:
        model: any transformers causal language model.
        pairs: those that it has `answered`.
        asked: of how many.

    Returns:
        Columns layer, head, value, low, high, n, asked: the logit difference's change as a share of that
        between the two prompts, both summed over pairs; `first_order`, what attribution patching predicts for
        it; and the mean logit difference `clean` and `corrupt`. Empty where there are fewer than `FEWEST`.
    """
    if len(pairs) < FEWEST:
        names = ["layer", "head", "value", "low", "high", "first_order", "n", "asked", "clean", "corrupt"]
        return pd.DataFrame(columns=names)
    changes, estimates, ends = [], [], []
    for clean, corrupt, a, b in pairs:
        arguments = (model, clean, corrupt, patching.logit_difference(a, b), "head", "unit")
        sweep, linear = patching.activation_patching(*arguments), patching.attribution_patching(*arguments)
        changes.append((sweep.raw - sweep.corrupt).ravel())
        estimates.append((linear.raw - linear.corrupt).ravel())
        ends.append((sweep.clean, sweep.corrupt))
    n_layers, n_heads = sweep.raw.shape
    spans = np.repeat([[clean - corrupt] for clean, corrupt in ends], n_layers * n_heads, axis=1)
    value, low, high = bootstrap_ratios(changes, spans)
    first_order = np.sum(estimates, axis=0) / spans.sum(0)
    columns = {"value": value, "low": low, "high": high, "first_order": first_order, "n": len(pairs)}
    columns |= {"asked": asked}
    columns["clean"], columns["corrupt"] = np.mean(ends, axis=0)
    return product_frame(columns, layer=range(n_layers), head=range(n_heads))
