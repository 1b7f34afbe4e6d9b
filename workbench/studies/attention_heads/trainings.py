"""Heads of several trained models, measured and switched off in each by itself, so that trainings count."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.corpora.labelled_tokens import simulated_stories
from workbench.engine.training.loss import loss
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads import groups, method
from workbench.studies.attention_heads.ablation import WHOLE, AblationEval, changes
from workbench.studies.attention_heads.data import Labelled, Sizes, read_texts
from workbench.studies.attention_heads.experiment import Pair

LADDER = "trained in 02"
UNTRAINED = 0.75  # of the loss of a model that knows nothing: what a training must stay below
CHOSEN_ON, CONFIRMED_ON = "chosen on", "confirmed on"
Trained = tuple[str, int]
"""The name of a model, and the seed of its training."""


def left_out(table: pd.DataFrame) -> str:
    """A sentence about the trainings that failed."""
    if table.empty:
        return "Nothing is trained at this profile: what follows is about the model that is given."
    failed = table[~table["learnt"].astype(bool)]
    if failed.empty:
        return f"All {len(table)} trainings have learnt something."
    names = ", ".join(f"{row.model} (seed {row.seed}, {row.nats:.2f} nats)" for row in failed.itertuples())
    return (
        f"{len(failed)} of {len(table)} trainings are left out, since their loss is not below "
        f"{UNTRAINED:.0%} of that of a model that knows nothing: {names}."
    )


class Trainings:
    """Trained models, and the texts and sizes with which each is looked into.

    Args:
        fitted: the models; those named `LADDER` have learnt from texts like `labelled`, all others from the
            simulator's.
        labelled: texts that none of them has read.
        sizes: how many are used for each (`Sizes.each`).
        exact: see `AblationEval`.
        seed: of sampling, questions and random groups.
        placebo: whether the quarters of heads are drawn, whatever their range.
    """

    def __init__(
        self,
        fitted: Mapping[Trained, Pair],
        labelled: Labelled,
        sizes: Sizes,
        *,
        exact: bool,
        seed: int,
        placebo: bool = False,
    ) -> None:
        self.fitted, self.sizes, self.exact, self.seed = dict(fitted), sizes, exact, seed
        self.placebo = placebo
        self.given = labelled[: 2 * sizes.each]
        self.simulated = self.given if exact or not fitted else simulated_stories(2 * sizes.each, seed)

    def losses(self, n: int = 20) -> pd.DataFrame:
        """Which trainings have learnt something: columns model, seed, nats, learnt.

        The rule was fixed before anything was trained: a training counts as failed, and is left out of
        figures and claims, if its loss on the first n new texts is not below `UNTRAINED` of ln(vocabulary),
        the loss of a model that knows nothing.
        """
        rows = []
        for (name, seed), (model, tokenizer) in self.fitted.items():
            texts = [text for text, _ in self._labelled(name)[:n]]
            nats = loss(model, tokenizer, texts).nats_per_token
            rows.append((name, seed, nats, nats < UNTRAINED * float(np.log(len(tokenizer)))))
        return pd.DataFrame(rows, columns=["model", "seed", "nats", "learnt"])

    def which(self, losses: pd.DataFrame, name: str | None = None) -> list[Trained]:
        """The trainings that have learnt something; those of one model only if it is named."""
        learnt = losses[
            losses["learnt"].astype(bool) & losses["model"].isin(losses["model"] if name is None else [name])
        ]
        return [(row.model, int(row.seed)) for row in learnt.itertuples()]

    def _labelled(self, name: str) -> Labelled:
        return self.given if name == LADDER else self.simulated

    def measure(self, which: Sequence[Trained]) -> pd.DataFrame:
        """Measures of every head of some of the models: those of `method.measure_heads`, with columns model,
        seed and half (`CHOSEN_ON` or `CONFIRMED_ON`).
        """
        frames = []
        for name, seed in which:
            model, tokenizer = self.fitted[name, seed]
            _, *halves, _ = read_texts(model, tokenizer, self._labelled(name), self.sizes.each)
            for half, corpus in zip((CHOSEN_ON, CONFIRMED_ON), halves, strict=True):
                table, _ = method.measure_heads(model, *corpus, seed=self.seed)
                frames.append(table.assign(model=name, seed=seed, half=half))
        return pd.concat(frames, ignore_index=True)

    def ablate(self, which: Sequence[Trained], measured: pd.DataFrame) -> pd.DataFrame:
        """What some of the models lose without groups of heads: `AblationEval.run`, with model and seed.

        Args:
            which: of the models.
            measured: of `measure`; the half that chooses says which heads have which range.
        """
        frames = []
        for name, seed in which:
            rows = measured[(measured["model"] == name) & (measured["seed"] == seed)]
            model, tokenizer = self.fitted[name, seed]
            texts, _, _, rest = read_texts(model, tokenizer, self._labelled(name), self.sizes.each)
            sizes = replace(self.sizes, probes=0)  # questions are asked of one model only
            evaluation = AblationEval(model, tokenizer, texts, rest, sizes, exact=self.exact, seed=self.seed)
            off = groups.range_groups(
                method.wide(rows[rows["half"] == CHOSEN_ON]),
                evaluation.losses,
                self.sizes.groups,
                self.seed + seed,
                self.seed + seed if self.placebo else None,
            )
            frames.append(evaluation.run_all([(WHOLE, 0, []), *off]).assign(model=name, seed=seed))
        return pd.concat(frames, ignore_index=True)


def with_model(
    measured: pd.DataFrame | None, name: str, seed: int, chosen_on: pd.DataFrame, confirmed_on: pd.DataFrame
) -> pd.DataFrame:
    """What `Trainings.measure` gave, if it did, behind the measures of one more model on both halves."""
    halves = {CHOSEN_ON: chosen_on, CONFIRMED_ON: confirmed_on}
    frames = [table.assign(model=name, seed=seed, half=half) for half, table in halves.items()]
    return pd.concat([*frames, *([] if measured is None else [measured])], ignore_index=True)


def changes_by_training(trials: pd.DataFrame) -> pd.DataFrame:
    """`ablation.changes` of each training, and then the mean over trainings, with its interval over them."""
    each = [changes(part) for _, part in trials.groupby("seed")]
    return summarise(pd.concat(each, ignore_index=True), ["condition", "part"], "value")
