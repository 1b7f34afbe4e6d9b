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
    pairs = []
    for number, text in enumerate(texts):
        names = [name for name in words.GIRLS + words.BOYS if re.search(rf"\b{name}\b", text)]
        others = [name for name in words.GIRLS + words.BOYS if name not in names]
        if len(pairs) == n or not names:
            continue
        name = max(names, key=lambda name: len(re.findall(rf"\b{name}\b", text)))
        before = encode(tokenizer, [text])[0]
        for other in Random(f"{seed}/{number}").sample(others, min(20, len(others))):
            after = encode(tokenizer, [re.sub(rf"\b{name}\b", other, text)])[0]
            changed = [place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
            if len(after) == len(before) and changed:
                pairs.append((before, after, changed))
                break
    return pairs


def swap_test(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTokens, n: int, seed: int
) -> pd.DataFrame:
    """How alike a head attends to a name before and after it was swapped for another.

    The correlation, over all pairs of a later token and a token of the name, of the attention before and
    after: 1 for a head that looks at places only. Columns layer, head, value, low, high, n: means over texts.
    """
    rows = []
    for before, after, places in swap_names(tokenizer, texts.texts, n, seed):
        ids, length = torch.tensor([before, after]), len(before)
        values, _ = capture(model, ids, ["pattern.*"])
        for layer in range(len(values)):
            both = values[f"pattern.{layer}"][..., places]  # [2, heads, tokens, tokens of the name]
            later = (torch.arange(length)[:, None] > torch.tensor(places)).to(both.device)
            old, new = both[:, :, later].double()
            rows += [(layer, head, _correlation(old[head], new[head])) for head in range(len(old))]
    return summarise(pd.DataFrame(rows, columns=[*INDEX, "value"]), INDEX, "value")


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))
