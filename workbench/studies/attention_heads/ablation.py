"""What a model loses without a head: loss, grammar and consistency of its stories, answers to questions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories import grade, make_probes
from workbench.engine.interpretability import patching
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.reference import reference
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.training.loss import loss
from workbench.measures.statistics import bootstrap_ratios
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads.data import Sizes
from workbench.studies.attention_heads.method import product_frame
from workbench.studies.tiny_models.grading import beginnings

Head = tuple[int, int]
WHOLE = "nothing off"
ANSWERS = {"fact": "facts", "reasoning": "reasoning", "consistency": "keeping track"}


class AblationEval:
    """The items that a model is tried on with heads off: stories to score, beginnings, questions.

    Args:
        model: any transformers causal language model.
        tokenizer: its tokenizer.
        texts: the first of them are scored and continued.
        rest: tokens of other texts, which give the heads' means.
        sizes: how many of each.
        exact: whether texts are the simulator's: the exact grader can read them, and questions are asked.
        seed: of sampling and questions.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        texts: LabelledTokens,
        rest: Sequence[Sequence[int]],
        sizes: Sizes,
        *,
        exact: bool,
        seed: int,
    ) -> None:
        self.model, self.tokenizer, self.exact, self.seed = model, tokenizer, exact, seed
        self.reply = sizes.reply
        self.scored = texts.texts[: sizes.scored]
        self.begun = beginnings(texts.texts, sizes.beginnings, seed, {"model": (model, tokenizer)})
        self.probes = make_probes(sizes.probes, seed=seed) if exact else []
        self.reference = reference(model, rest, ["head.*"], seed=seed)

    def run(self, condition: str, heads: Sequence[Head]) -> pd.DataFrame:
        """What the model does with these heads at their mean.

        Columns condition, part (loss, grammar, facts, …), item, value, text (a continuation).
        """
        begun = self.begun["beginning"].tolist()
        with ablate_heads(self.model, heads, "mean", self.reference):
            nats = loss(self.model, self.tokenizer, self.scored)
            sampler = TransformersSampler(self.model, self.tokenizer)
            drawn = SamplingParams(max_tokens=self.reply, temperature=0.5, seed=self.seed)
            replies = sampler.sample(begun, drawn)
            questions = [probe.beginning for probe in self.probes]
            answers = sampler.score(questions, [(probe.right, probe.wrong) for probe in self.probes])
        per_token = nats.nats * len(self.scored) / nats.n_tokens  # so that the mean is the loss per token
        rows = [("loss", item, value, "") for item, value in enumerate(per_token)]
        for item, beginning, (reply,) in zip(self.begun["item"], begun, replies, strict=True):
            graded = grade(beginning + reply.text, beginning) if self.exact else None
            rows.append(("grammar", item, graded.grammar if graded else np.nan, reply.text))
            rows.append(("consistency", item, graded.consistency if graded else np.nan, ""))
        for item, (probe, (right, wrong)) in enumerate(zip(self.probes, answers, strict=True)):
            rows.append((ANSWERS[probe.kind], item, float(right > wrong), ""))
        return pd.DataFrame(rows, columns=["part", "item", "value", "text"]).assign(condition=condition)

    def run_all(self, conditions: Sequence[tuple[str, Sequence[Head]]]) -> pd.DataFrame:
        """`run` for several conditions."""
        return pd.concat([self.run(*condition) for condition in conditions], ignore_index=True)


def conditions(measured: pd.DataFrame, placebo: int | None = None) -> dict[str, list[Head]]:
    """What is switched off: nothing, each head alone, the quarters of heads of shortest and longest range.

    With a seed as `placebo` the two quarters are drawn, whatever their range.
    """
    by_range = measured.sort_values("distance_without_first", kind="stable")
    by_range = by_range if placebo is None else by_range.sample(frac=1, random_state=placebo)
    heads = [(int(layer), int(head)) for layer, head in by_range[["layer", "head"]].to_numpy()]
    quarter = max(1, len(heads) // 4)
    alone = {f"{layer}.{head}": [(layer, head)] for layer, head in sorted(heads)}
    groups = {"shortest range": heads[:quarter], "longest range": heads[-quarter:]}
    return {WHOLE: [], **alone, **(groups if len(heads) > 1 else {})}


def changes(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean change of every part by condition, over the same items as with nothing off.

    Columns condition, part, value, low, high, n; the loss rises where a head is missed, the others fall.
    """
    off, whole = trials[trials["condition"] != WHOLE], trials[trials["condition"] == WHOLE]
    pairs = off.merge(whole, on=["part", "item"], suffixes=("", "_whole"))
    pairs = pairs.assign(change=pairs["value"] - pairs["value_whole"]).dropna(subset=["change"])
    return summarise(pairs, ["condition", "part"], "change")


def token_losses(model: PreTrainedModel, ids: Sequence[int]) -> np.ndarray:
    """Surprise of each token at its predecessors, in nats `[tokens]`; NaN for the first."""
    with torch.inference_mode():
        rows = torch.tensor([list(ids)], device=model.device)
        logits = model(rows, use_cache=False).logits[0, :-1].float()
    nats = torch.nn.functional.cross_entropy(logits, rows[0, 1:], reduction="none")
    return np.concatenate([[np.nan], nats.cpu().numpy()])


# ------------------------------------------------------------------------------- patching
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


def patch_heads(model: PreTrainedModel, pairs: Sequence[PromptPair]) -> pd.DataFrame:
    """How far each head's output from the clean prompt brings the clean answer back in the corrupt one.

    Columns layer, head, value, low, high, n: the logit difference's change as a share of that between the two
    prompts, both summed over pairs; `first_order`, what attribution patching predicts for it; and the mean
    logit difference `clean` and `corrupt`.
    """
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
    columns["clean"], columns["corrupt"] = np.mean(ends, axis=0)
    return product_frame(columns, layer=range(n_layers), head=range(n_heads))
