"""What a model can do while it learns: its snapshots asked, read and let write.

Eldan & Li 2023 (arXiv 2305.07759) evaluate models at the end of training and along it (Figure 4). Here every
snapshot of every training is asked the same questions and loses on the same held-out stories, so that an
ability can be set against the loss it needs.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.stories import make_probes
from workbench.engine import loading
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.loss import loss
from workbench.studies.tiny_models import grading
from workbench.studies.tiny_models.grading import Trained
from workbench.studies.tiny_models.ladder import checkpoints, trained

LEARNT = 0.75  # of the first held-out loss: a training that ends above it has learnt nothing, and is left out
_SAME = 0.98  # of a training's tokens: a snapshot from there on is as good as the last one
_WRITTEN = (0.0, 0.2, 0.5)  # where in a training snapshots write; at its end the finished model does


def untrained(models_folder: Path, which: Sequence[Trained]) -> pd.DataFrame:
    """Trainings that did not learn by the rule of `LEARNT`: columns seed, model, first, last (nats)."""
    rows = []
    for seed, name in which:
        text = (trained(models_folder, name, seed) / "training.json").read_text(encoding="utf-8")
        nats = [row["held_out_nats"] for row in json.loads(text)["rows"] if "held_out_nats" in row]
        if not nats[-1] <= LEARNT * nats[0]:  # nor is NaN
            rows.append((seed, name, nats[0], nats[-1]))
    return pd.DataFrame(rows, columns=["seed", "model", "first", "last"])


def leave_out(
    fitted: Mapping[int, Mapping[str, Any]], failed: pd.DataFrame
) -> tuple[dict[int, dict[str, Any]], str]:
    """The trainings that learnt, and a sentence on how many did not; all of them where none has."""
    bad = set(zip(failed["seed"], failed["model"], strict=True))
    left = {
        seed: {name: model for name, model in of_seed.items() if (seed, name) not in bad}
        for seed, of_seed in fitted.items()
    }
    left = {seed: of_seed for seed, of_seed in left.items() if of_seed}
    total = sum(map(len, fitted.values()))
    rule = f"their loss on held-out stories stays above {LEARNT:.0%} of what it was before training"
    if not bad:
        return left, f"All {total} trainings have learnt by the rule fixed beforehand: none is left out."
    if not left:
        said = (
            f"None of {total} trainings has learnt: {rule}. They are shown, and no claim is made about them."
        )
        return {seed: dict(of_seed) for seed, of_seed in fitted.items()}, said
    names = ", ".join(f"{name} (seed {seed})" for seed, name in sorted(bad))
    return left, f"Left out are {len(bad)} of {total} trainings: {names}; {rule}."


def snapshots(models_folder: Path, name: str, seed: int) -> list[tuple[int, Path]]:
    """`ladder.checkpoints` without the one before the first step, and without one just before the last."""
    kept = [snapshot for snapshot in checkpoints(models_folder, name, seed) if snapshot[0]]
    end = kept[-1][0]
    return [(tokens, folder) for tokens, folder in kept if tokens == end or tokens < _SAME * end]


def course(
    models_folder: Path, which: Sequence[Trained], held_out: Sequence[str], n: int, device: str
) -> pd.DataFrame:
    """What each snapshot of some trainings loses and answers, but for the one before the first step.

    Args:
        models_folder: see `ladder.checkpoints`.
        which: seeds and names.
        held_out: stories for the loss.
        n: questions of each name, others for each seed; 0 for the loss alone.
        device: a torch device, or auto.

    Returns:
        Columns seed, model, tokens, nats, kind, name, right (share of the questions of a name).
    """
    frames = []
    for of_seed, name in which:
        probes = make_probes(n, seed=of_seed)
        for tokens, folder in snapshots(models_folder, name, of_seed):
            model, tokenizer = loading.load(folder, device)
            rows = grading.ask(TransformersSampler(model, tokenizer), probes)
            table = rows.groupby(["kind", "name"], sort=False, as_index=False)["right"].mean()
            nats = loss(model, tokenizer, list(held_out)).nats_per_token
            table = table if len(table) else pd.DataFrame({"kind": [""], "name": [""], "right": [np.nan]})
            frames.append(table.assign(seed=of_seed, model=name, tokens=tokens, nats=nats))
    columns = ["seed", "model", "tokens", "nats", "kind", "name", "right"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def drafts(
    models_folder: Path, which: Sequence[Trained], beginnings: pd.DataFrame, seed: int, device: str
) -> pd.DataFrame:
    """How some unfinished snapshots of trainings go on: `grading.complete`, with column tokens."""
    frames = []
    for of_seed, name in which:
        kept = snapshots(models_folder, name, of_seed)
        for index in sorted({round(share * (len(kept) - 1)) for share in _WRITTEN}):
            tokens, folder = kept[index]
            samplers = {(of_seed, name): TransformersSampler(*loading.load(folder, device))}
            written = grading.complete(samplers, list(samplers), beginnings, seed)
            frames.append(written.assign(tokens=tokens))
    columns = ["item", "beginning", "ending", "seed", "model", "completion", "tokens"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
