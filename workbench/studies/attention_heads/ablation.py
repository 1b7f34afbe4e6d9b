"""What a model loses without some heads: loss, grammar and consistency of its stories, and answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories import grade, make_probes
from workbench.engine.interpretability.ablations import estimate_without, nats_without
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.reference import reference
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads.data import Sizes, flags
from workbench.studies.attention_heads.groups import Condition, Head
from workbench.studies.attention_heads.method import product_frame
from workbench.studies.attention_heads.threads import suited_threads
from workbench.studies.tiny_models.grading import beginnings

WHOLE = "nothing off"
ANSWERS = {"fact": "facts", "reasoning": "reasoning", "consistency": "keeping track"}
READ_ONLY = "consistency of what is read"  # without the sentences that the grader cannot read
ENTITIES, OTHERS = "loss of names and nouns", "loss of other words"


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
        self.reply, self.alone = sizes.reply, sizes.alone
        self.scored = [(row[:1], row[1:]) for row in texts.rows[: sizes.scored]]
        self.entities = [flag[1:].any(1) for flag in flags(texts)[: sizes.scored]]
        self.begun = beginnings(texts.texts, sizes.beginnings, seed, {"model": (model, tokenizer)})
        probes = make_probes(sizes.probes, seed=seed) if exact else []
        self.probes = [probe for probe in probes if probe.kind in ANSWERS]
        self.reference = reference(model, rest, ["head.*"], seed=seed)
        self.known: dict[frozenset[Head], list[np.ndarray]] = {}  # surprise without a group, text by text

    def run(self, condition: str, group: int, heads: Sequence[Head]) -> pd.DataFrame:
        """What the model does with these heads at their mean.

        Columns condition, group, part (loss, grammar, facts, …), item, value, text (a continuation).
        """
        whole = self.alone or "." not in condition  # a single head's name is layer.head
        begun, probes = (self.begun, self.probes) if whole else (self.begun.head(0), [])
        (nats,) = self._nats([heads])
        with self._off(heads):
            sampler = TransformersSampler(self.model, self.tokenizer)
            drawn = SamplingParams(max_tokens=self.reply, temperature=0.5, seed=self.seed)
            replies = sampler.sample(begun["beginning"].tolist(), drawn)
            questions = [probe.beginning for probe in probes]
            answers = sampler.score(questions, [(probe.right, probe.wrong) for probe in probes])
        rows = self._losses(nats)
        for item, beginning, (reply,) in zip(begun["item"], begun["beginning"], replies, strict=True):
            rows += [(part, item, *value) for part, value in self._graded(beginning, reply.text).items()]
        for item, (probe, (right, wrong)) in enumerate(zip(probes, answers, strict=True)):
            rows.append((ANSWERS[probe.kind], item, float(right > wrong), ""))
        table = pd.DataFrame(rows, columns=["part", "item", "value", "text"])
        return table.assign(condition=condition, group=group)

    def run_all(self, conditions: Sequence[Condition]) -> pd.DataFrame:
        """`run` for several conditions, whose losses are computed together."""
        self._nats([heads for *_, heads in conditions])
        return pd.concat([self.run(*condition) for condition in conditions], ignore_index=True)

    def losses(self, groups: Sequence[Sequence[Head]]) -> list[float]:
        """Loss in nats per token with each group of heads at their mean."""
        return [float(np.concatenate(nats).mean()) for nats in self._nats(groups)]

    @contextmanager
    def _off(self, heads: Sequence[Head]) -> Iterator[None]:
        threads = suited_threads(self.model.num_parameters())
        with threads, ablate_heads(self.model, heads, "mean", self.reference):
            yield

    def _nats(self, groups: Sequence[Sequence[Head]]) -> list[list[np.ndarray]]:
        """Without each group, the surprise of every token of the scored texts but the first, in nats; no
        group is read twice.
        """
        new = list({frozenset(group) for group in groups} - set(self.known))
        if new:
            rows = [before + scored for before, scored in self.scored]
            with suited_threads(self.model.num_parameters()):
                nats = nats_without(
                    self.model, rows, [sorted(group) for group in new], "mean", self.reference
                )
            self.known.update(zip(new, nats, strict=True))
        return [self.known[frozenset(group)] for group in groups]

    def estimates(self, n: int) -> pd.DataFrame:
        """What each head is expected to cost, from the gradients of the first n texts: columns layer, head,
        estimate (nats a token at its mean), size (mean over texts of its absolute value).
        """
        rows = [before + scored for before, scored in self.scored[:n]]
        with suited_threads(self.model.num_parameters()):
            values = estimate_without(self.model, rows, self.reference)
        _, layers, heads = values.shape
        columns = {"estimate": values.mean(0).ravel(), "size": np.abs(values).mean(0).ravel()}
        return product_frame(columns, layer=range(layers), head=range(heads))

    def _losses(self, nats: Sequence[np.ndarray]) -> list[tuple[str, int, float, str]]:
        """Rows of all tokens, of names and nouns, and of the others: each text's total over the mean number
        of such tokens, so that the mean is the loss per token.
        """
        rows = []
        chosen = {"loss": [np.ones_like(flag) for flag in self.entities], ENTITIES: self.entities}
        chosen[OTHERS] = [~flag for flag in self.entities]
        for part, masks in chosen.items():
            mean = sum(mask.sum() for mask in masks) / len(masks)
            totals = [values[mask].sum() for values, mask in zip(nats, masks, strict=True)]
            rows += [(part, item, total / mean, "") for item, total in enumerate(totals) if mean]
        return rows

    def _graded(self, beginning: str, reply: str) -> dict[str, tuple[float, str]]:
        """Shares of the sentences that were written: those that can be read, those that can be read and can
        be true, and the latter among the former; and the text.
        """
        if not self.exact:
            return dict.fromkeys(("grammar", "consistency", READ_ONLY), (np.nan, reply))
        graded = grade(beginning + reply, beginning)
        true = [sentence.event is not None and not sentence.violations for sentence in graded.sentences]
        both = float(np.mean(true)) if true else np.nan
        return {
            "grammar": (graded.grammar, reply),
            "consistency": (both, ""),
            READ_ONLY: (graded.consistency, ""),
        }


def changes(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean change of every part by condition, over the same items as with nothing off.

    Columns condition, part, value, low, high, n; the loss rises where a head is missed, the others fall. Of
    several groups of one condition the mean of each item is taken.
    """
    means = trials.groupby(["condition", "part", "item"], sort=False)["value"].mean().reset_index()
    off, whole = means[means["condition"] != WHOLE], means[means["condition"] == WHOLE]
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
