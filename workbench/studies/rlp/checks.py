"""What can be known of RLP without training: identities, published numbers, and whether thinking pays."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import parameters_to_vector

from workbench.corpora import thoughts
from workbench.engine import loading
from workbench.engine.tokens import encode
from workbench.studies.rlp.data import Embedded
from workbench.studies.rlp.method import InformationGain, group_relative_advantages, rlp, score
from workbench.studies.rlp.plan import Plan
from workbench.studies.rlp.results import pass_at

AVERAGES: tuple[tuple[Literal["group", "ema"], float], ...]
AVERAGES = (("group", 1.0), ("group", 0.999), ("group", 0.0), ("ema", 1.0), ("ema", 0.0))
STEPS, PROMPTS, CHAINS = 5, 4, 300  # of a short training, and whose answers are scored


def identities() -> pd.DataFrame:
    """Examples that a reader can check by hand: columns what, by hand, here."""
    rewards = torch.tensor([[-0.8, -0.6, -0.5, -0.3]])
    advantages = group_relative_advantages(rewards)[0]
    policy = torch.softmax(0.5 * advantages, 0)
    shifted = group_relative_advantages(rewards + 7)[0]
    rows = [
        ("RLP: advantages of the rewards -.8, -.6, -.5, -.3 in a group of four",
         "-.3333 -.0667 .0667 .3333", _digits(advantages)),
        ("the same when every reward is 7 higher", "no change", _digits(shifted)),
        ("RLP: four equal probabilities, times exp(advantage / 2)",
         ".2101 .2401 .2566 .2932", _digits(policy)),
        ("and the expected reward, from -.55", "-.5284", _digits((policy * rewards[0]).sum()[None])),
        ("pass@5 of 10 replies, 3 right: 1 - C(7, 5) / C(10, 5)", ".9167", f"{pass_at(10, 3, 5):.4f}"[1:]),
        ("RLP: “+19 %” is 36.03 / 30.32, relative and not points", "18.8%", f"{36.03 / 30.32 - 1:.1%}"),
        ("RLP: the 12B model's 18.51 points on 42.81", "43.2%", f"{18.51 / 42.81:.1%}"),
        ("RLP against RPT, 42.86 / 35.68 (16.2 % in the appendix)", "20.1%", f"{42.86 / 35.68 - 1:.1%}"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "by hand", "here"])


def _digits(values: torch.Tensor) -> str:
    return " ".join(f"{value:.4f}".replace("0.", ".", 1) for value in values.tolist())


def averages(folder: Path, plan: Plan) -> pd.DataFrame:
    """The same short RLP with other averages as the judge of a world without thoughts.

    Within a group the average's log-probability is one number, so it cancels in rewards against their mean:
    decay 1 (it stays what it was), 0 (it is the model itself) and 0.999 must end with the same weights.

    Args:
        folder: of the first seed, which holds the base; keeps the trainings.

    Returns:
        Columns baseline, decay, moved (largest change of a weight in training), apart (largest difference
        from the weights of the first row with the same baseline).
    """
    config, rows, firsts = replace(plan.config, prompts_per_step=PROMPTS), [], {}
    for baseline, decay in AVERAGES:
        model, tokenizer = loading.load(plan.base(folder), plan.device)
        positions = plan.source.positions(PROMPTS * STEPS, plan.seed, model, tokenizer)
        begin = parameters_to_vector(model.parameters()).detach().clone()
        objective = InformationGain(model, tokenizer, plan.source.thinking, decay=decay, baseline=baseline)
        rlp(objective, positions, config, steps=STEPS, seed=plan.seed,
            folder=folder / "averages" / f"{baseline}-{decay}")  # fmt: skip
        weights = parameters_to_vector(model.parameters()).detach()
        moved, apart = weights - begin, weights - firsts.setdefault(baseline, weights)
        rows.append((baseline, decay, moved.abs().max().item(), apart.abs().max().item()))
    return pd.DataFrame(rows, columns=["baseline", "decay", "moved", "apart"])


def worth(folder: Path, plan: Plan) -> pd.DataFrame:
    """What the base's answer to a chain costs after thoughts that we write.

    Args:
        folder: of the first seed, which holds the base.

    Returns:
        Columns thought (none, useful, idle), nats, right (share whose most likely word is the answer), n.
    """
    assert isinstance(plan.source, Embedded)  # no other text has chains
    model, tokenizer = loading.load(folder / "base", "cpu")
    rng, chains = np.random.default_rng(plan.seed), plan.source.chains(CHAINS, plan.seed)
    shuffled = [_written(rng.permutation(chain.operations)) for chain in chains]
    kinds = {
        "none": ["" for _ in chains],
        "useful: the value after each operation": [_marked(_written(chain.steps)) for chain in chains],
        "idle: the operations in another order": [_marked(operations) for operations in shuffled],
    }
    answers = [ids[1:2] for ids in encode(tokenizer, [chain.answer for chain in chains])]
    rows = []
    for kind, texts in kinds.items():
        before = encode(tokenizer, [chain.question + text for chain, text in zip(chains, texts, strict=True)])
        nats, right = score(model, list(zip(before, answers, strict=True)))
        rows.append({"thought": kind, "nats": nats.mean(), "right": right.mean(), "n": CHAINS})
    return pd.DataFrame(rows)


def _written(words: Iterable[str]) -> str:
    return "".join(f" {word}" for word in words)


def _marked(thought: str) -> str:
    return f"{thoughts.OPENING}{thought}{thoughts.CLOSING}"
