"""Does a head follow a name or its position? The same text with two names swapped."""

import re
from collections.abc import Sequence
from random import Random

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories import words
from workbench.engine.interpretability.capture import capture
from workbench.engine.tokens import encode
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads.method import INDEX


def swap_names(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], n: int, seed: int
) -> list[tuple[list[int], list[int], list[int]]]:
    """Texts with one name put in another's place throughout, by as many tokens.

    Returns:
        (tokens before, tokens after, positions of the name) of the first n texts where it can be done.
    """
    swaps = []
    for number, text in enumerate(texts):
        names = [name for name in words.GIRLS + words.BOYS if re.search(rf"\b{name}\b", text)]
        others = [name for name in words.GIRLS + words.BOYS if name not in names]
        if len(swaps) == n or not names:
            continue
        name = max(names, key=lambda name: len(re.findall(rf"\b{name}\b", text)))
        (before,) = encode(tokenizer, [text])
        for other in Random(f"{seed}/{number}").sample(others, min(20, len(others))):
            (after,) = encode(tokenizer, [re.sub(rf"\b{name}\b", other, text)])
            changed = [position for position, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
            if len(after) == len(before) and changed:
                swaps.append((before, after, changed))
                break
    return swaps


def swap_test(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTokens, n: int, seed: int
) -> pd.DataFrame:
    """How alike a head attends to a name before and after it was swapped for another.

    The correlation, over all pairs of a later token and a token of the name, of the attention before and
    after: 1 for a head that looks at places only. Columns layer, head, value, low, high, n: means over texts.
    """
    rows = []
    for before, after, positions in swap_names(tokenizer, texts.texts, n, seed):
        later = torch.arange(len(before))[:, None] > torch.tensor(positions)
        values, _ = capture(model, torch.tensor([before, after]), ["pattern.*"])
        for layer in range(len(values)):
            both = values[f"pattern.{layer}"][..., positions]  # [2, heads, tokens, tokens of the name]
            both = both[:, :, later.to(both.device)].double()
            old, new = both - both.mean(-1, keepdim=True)
            correlations = (old * new).sum(-1) / (old.norm(dim=-1) * new.norm(dim=-1)).clamp(min=1e-12)
            rows += [(layer, head, value) for head, value in enumerate(correlations.tolist())]
    return summarise(pd.DataFrame(rows, columns=[*INDEX, "value"]), INDEX, "value")
