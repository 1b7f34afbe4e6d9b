"""What a model loses without a head: loss, grammar and consistency of its stories, answers to questions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories import grade, make_probes
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.patching import (
    activation_patching,
    attribution_patching,
    logit_difference,
)
from workbench.engine.interpretability.reference import Reference, reference
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.training.loss import loss
from workbench.measures.statistics import bootstrap_ratios, paired_difference
from workbench.studies.attention_heads.data import Sizes
from workbench.studies.tiny_models.grading import beginnings

Head = tuple[int, int]
WHOLE = "nothing off"
ANSWERS = {"fact": "facts", "reasoning": "reasoning", "consistency": "keeping track"}


class AblationEval:
    """The items that a model is tried on with heads off: stories to score, beginnings, questions.

    Args:
        model: any transformers causal language model.
        tokenizer: its tokenizer.
        reference: per-position means of `head.*` on other texts.
        scored: texts for the loss.
        begun: frame with item and beginning (`tiny_models.beginnings`).
        n_probes: questions of each name, 0 for models that do not know the stories' language.
        exact: whether the exact grader can read the continuations.
        seed: of sampling and questions.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        reference: Reference,
        scored: Sequence[str],
        begun: pd.DataFrame,
        n_probes: int,
        *,
        exact: bool,
        seed: int,
    ) -> None:
        self.model, self.tokenizer, self.reference = model, tokenizer, reference
        self.scored, self.begun, self.exact, self.seed = list(scored), begun, exact, seed
        self.probes = make_probes(n_probes, seed=seed) if exact else []

    @contextmanager
    def without(self, heads: Sequence[Head]) -> Iterator[None]:
        """The model with these heads at their mean."""
        with ablate_heads(self.model, heads, "mean", self.reference):
            yield

    def run(self, condition: str, heads: Sequence[Head]) -> pd.DataFrame:
        """Columns condition, part (loss, grammar, facts, …), item, value, text (a continuation)."""
        with self.without(heads):
            nats = loss(self.model, self.tokenizer, self.scored)
            sampler = TransformersSampler(self.model, self.tokenizer)
            written = sampler.sample(
                self.begun["beginning"].tolist(),
                SamplingParams(max_tokens=100, temperature=0.5, seed=self.seed),
            )
            answers = sampler.score(
                [p.beginning for p in self.probes], [(p.right, p.wrong) for p in self.probes]
            )
        per_token = nats.nats * len(self.scored) / nats.n_tokens  # so that the mean is the loss per token
        rows = [("loss", item, value, "") for item, value in enumerate(per_token)]
        for item, beginning, (reply,) in zip(
            self.begun["item"], self.begun["beginning"], written, strict=True
        ):
            graded = grade(beginning + reply.text, beginning) if self.exact else None
            values = (graded.grammar, graded.consistency) if graded else (np.nan, np.nan)
            rows += [("grammar", item, values[0], reply.text), ("consistency", item, values[1], "")]
        for item, (probe, scores) in enumerate(zip(self.probes, answers, strict=True)):
            rows.append((ANSWERS[probe.kind], item, float(scores[0] > scores[1]), ""))
        return pd.DataFrame(rows, columns=["part", "item", "value", "text"]).assign(condition=condition)

    def all(self, names: Sequence[str], off: Mapping[str, Sequence[Head]]) -> pd.DataFrame:
        """`run` for every condition of these names."""
        return pd.concat([self.run(name, off[name]) for name in names], ignore_index=True)


def trial(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: LabelledTokens,
    rest: Sequence[Sequence[int]],
    sizes: Sizes,
    params: Any,
) -> AblationEval:
    """What the sizes ask for: the first texts are scored and continued, the rest give the means."""
    begun = beginnings(texts.texts, sizes.beginnings, params.seed, {"model": (model, tokenizer)})
    return AblationEval(
        model,
        tokenizer,
        reference(model, rest, ["head.*"], seed=params.seed),
        texts.texts[: sizes.scored],
        begun,
        sizes.probes,
        exact=params.data == "embedded",
        seed=params.seed,
    )


def conditions(measured: pd.DataFrame) -> dict[str, list[Head]]:
    """What is switched off: nothing, each head alone, the quarters of heads of shortest and longest range."""
    by_range = measured.sort_values("distance_without_first", kind="stable")
    heads = [(int(layer), int(head)) for layer, head in by_range[["layer", "head"]].to_numpy()]
    quarter = max(1, len(heads) // 4)
    alone = {f"{layer}.{head}": [(layer, head)] for layer, head in sorted(heads)}
    groups = {"shortest range": heads[:quarter], "longest range": heads[-quarter:]}
    return {WHOLE: [], **alone, **(groups if len(heads) > 1 else {})}


def changes(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean change of every part by condition, over the same items as with nothing off.

    Columns condition, part, value, low, high, n; the loss rises where a head is missed, the others fall.
    """
    rows = []
    for part, frame in trials.groupby("part", sort=False):
        values = frame.pivot(index="item", columns="condition", values="value")
        for condition in frame["condition"].unique():
            if condition != WHOLE and (values[condition] - values[WHOLE]).notna().any():
                found = paired_difference(values[condition], values[WHOLE])
                rows.append((condition, part, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["condition", "part", "value", "low", "high", "n"])


def token_losses(model: PreTrainedModel, ids: Sequence[int]) -> np.ndarray:
    """Surprise of each token at its predecessors, in nats `[tokens]`; NaN for the first."""
    with torch.inference_mode():
        logits = model(torch.tensor([list(ids)], device=model.device), use_cache=False).logits[0].float()
    logprobs = torch.log_softmax(logits[:-1], -1)
    own = logprobs.gather(1, torch.tensor(ids[1:], device=model.device)[:, None])[:, 0]
    return np.concatenate([[np.nan], -own.cpu().numpy()])


# ------------------------------------------------------------------------------- patching
def box_pairs(
    tokenizer: PreTrainedTokenizerFast, n: int, seed: int
) -> list[tuple[list[int], list[int], int, int]]:
    """Prompts about what is in a box, and the same with the two things exchanged, token by token.

    Returns:
        (clean tokens, corrupt tokens, token of the clean answer, of the corrupt one); those pairs of the
        first 10 n whose things have equally many tokens.
    """
    found = []
    for probe in make_probes(10 * n, seed=seed):
        if probe.name != "what is in the box" or len(found) == n:
            continue
        right, wrong = probe.right.strip(), probe.wrong.strip()
        swapped = probe.beginning.replace(right, "\0").replace(wrong, right).replace("\0", wrong)
        clean, corrupt = encode(tokenizer, [probe.beginning, swapped])
        pairs = [(probe.beginning, probe.right), (probe.beginning, probe.wrong)]
        (_, a), (_, b) = encode_pairs(tokenizer, pairs)
        differing = sum(x != y for x, y in zip(clean, corrupt, strict=False))
        if len(clean) == len(corrupt) and 0 < differing <= 2 * (len(a) + len(b)) and a[0] != b[0]:
            found.append((clean, corrupt, a[0], b[0]))
    return found


def patch_heads(
    model: PreTrainedModel, pairs: Sequence[tuple[list[int], list[int], int, int]]
) -> pd.DataFrame:
    """How far each head's output from the clean prompt brings the clean answer back in the corrupt one.

    Columns layer, head, value, low, high, n: the logit difference's change as a share of that between the two
    prompts, both summed over pairs; `first_order`, what attribution patching predicts for it; and the mean
    logit difference `clean` and `corrupt`.
    """
    over, under, estimate, ends = [], [], [], []
    for clean, corrupt, a, b in pairs:
        metric = logit_difference(a, b)
        sweep = activation_patching(model, clean, corrupt, metric, "head", "unit")
        linear = attribution_patching(model, clean, corrupt, metric, "head", "unit")
        over.append((sweep.raw - sweep.corrupt).ravel())
        estimate.append((linear.raw - linear.corrupt).ravel())
        under.append(np.full(sweep.raw.size, sweep.clean - sweep.corrupt))
        ends.append((sweep.clean, sweep.corrupt))
    value, low, high = bootstrap_ratios(over, under)
    first_order = np.sum(estimate, axis=0) / np.sum(under, axis=0)
    index = pd.MultiIndex.from_product(map(range, sweep.raw.shape), names=["layer", "head"])
    columns = {"value": value, "low": low, "high": high, "first_order": first_order, "n": len(pairs)}
    columns["clean"], columns["corrupt"] = np.mean(ends, axis=0)
    return pd.DataFrame(columns, index=index).reset_index()
