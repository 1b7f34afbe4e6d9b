"""Do other trainings grow the same heads and neurons? Units matched between models by how they respond.

Gurnee et al. 2024 (Universal Neurons in GPT2 Language Models, arXiv 2401.12181, section 3): the largest
correlation of a neuron's activations, over the same tokens, with any neuron of another training, beyond what
random rotations of that model's neurons give.

As published: Pearson correlation over tokens, the best unit of any layer, rotations within a layer as
control. What differs: the best unit is chosen on one half of the texts and judged on the other, a unit is
matched or not, and models that were never trained are a second control. Heads are matched as well: a head
responds with its attention from every token to every other, less the mean over texts at the same two
positions, so that looking back a distance is no match by itself; random directions mix all heads of a model.
Then: do matched units answer to the same label, and do matched heads cost alike when they are switched off?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens, label_tokens
from workbench.corpora.stories.labels import Spans
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.reference import reference
from workbench.engine.interpretability.stream import Batch, stream
from workbench.engine.models import build
from workbench.errors import UserError
from workbench.measures.statistics import rank_correlations
from workbench.studies.attention_heads import data
from workbench.studies.tiny_models import ladder

Kind = Literal["head", "neuron"]
Models = Mapping[tuple[str, int], tuple[PreTrainedModel, PreTrainedTokenizerFast]]
"""By the model's name in 02's ladder and the seed of its training."""

UNTRAINED = "untrained"  # in place of the other model's name
LENGTH = 96  # tokens of each text that are read, so that texts can change places
TEXTS = 24  # on either half: one chooses matches, the other judges them
ROTATIONS = {"head": 20, "neuron": 2}  # random directions have fewer dimensions among heads, and vary more
CHANCE = 0.05  # of random directions that count as matched


@dataclass(frozen=True)
class Units:
    """How the heads or neurons of a model respond to the texts of either half."""

    kind: Kind
    index: np.ndarray  #: layer and number of each, `[units, 2]`
    #: responses `[units, texts, items]` of either half, of mean 0 and variance 1
    halves: tuple[np.ndarray, np.ndarray]
    products: tuple[np.ndarray, np.ndarray]  #: correlations of the units with one another on either half
    label: np.ndarray  #: which label each answers to: the one of largest correlation on the first half


# ------------------------------------------------------------------------------- responses
def choose_texts(texts: LabelledTokens, n: int = TEXTS) -> tuple[np.ndarray, np.ndarray]:
    """Tokens `[2 n, LENGTH]` of texts that are long enough, and their labels `[2 n, LENGTH, labels]`.

    Raises:
        UserError: there are fewer than eight.
    """
    index = [number for number, row in enumerate(texts.rows) if len(row) >= LENGTH][: 2 * n]
    if len(index) < 8:
        raise UserError(
            f"Matching units needs eight texts of {LENGTH} tokens, and there are {len(index)}: give more."
        )
    index = index[: len(index) // 2 * 2]
    labels = np.zeros((len(index), LENGTH, len(texts.names)), dtype=bool)
    for row, number in enumerate(index):
        labels[row, texts.first :] = texts.labels[number][: LENGTH - texts.first]
    return np.array([texts.rows[number][:LENGTH] for number in index]), labels


def respond(model: PreTrainedModel, rows: np.ndarray, labels: np.ndarray, kind: Kind) -> Units:
    """The responses of all heads or neurons of a model; every second text is of the first half.

    Args:
        model: any transformers causal language model that `anatomy` can read.
        rows: tokens `[texts, LENGTH]`.
        labels: of the tokens, bool `[texts, LENGTH, labels]`.
        kind: head or neuron.
    """
    parts = anatomy(model)
    layers: list[list[np.ndarray]] = [[] for _ in range(parts.n_layers)]
    queries, keys = np.tril_indices(rows.shape[1])

    def see(value: torch.Tensor, point: HookPoint, batch: Batch) -> None:
        array = value.float().cpu().numpy()
        seen = array[..., queries, keys] if kind == "head" else array[:, 1:].transpose(0, 2, 1)
        layers[point.layer].append(seen)  # [texts, units, items]; rows of one length keep their order

    name = "pattern.*" if kind == "head" else "neuron.*"
    for _ in stream(model, rows.tolist(), {name: see}, to_the_end=False):
        pass
    values = np.concatenate([np.concatenate(layer).transpose(1, 0, 2) for layer in layers])
    index = [(layer, unit) for layer, seen in enumerate(layers) for unit in range(seen[0].shape[1])]
    first, second = (_standard(values[:, half::2], by_position=kind == "head") for half in (0, 1))
    told = labels[::2][:, keys] if kind == "head" else labels[::2, 1:]
    masks = _standard(np.moveaxis(told, 2, 0).astype(np.float32), by_position=kind == "head")
    products = (_correlations(first, first), _correlations(second, second))
    label = np.abs(_correlations(first, masks)).argmax(1)
    return Units(kind, np.array(index), (first, second), products, label)


def _standard(values: np.ndarray, *, by_position: bool = False) -> np.ndarray:
    """Mean 0 and variance 1 of each unit; `by_position` the mean over texts is taken off first."""
    centred = values - values.mean(1 if by_position else (1, 2), keepdims=True)
    return centred / np.maximum(centred.std((1, 2), keepdims=True), 1e-9)


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b = (side.reshape(len(side), -1) for side in (first, second))
    return a @ b.T / a.shape[1]


# ------------------------------------------------------------------------------- matching
def best_matches(chosen: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each unit of a model the one of another that correlates best, and how well on other texts.

    Args:
        chosen: correlations `[units, units of the other]` on the half of the texts that chooses.
        judged: the same on the other half.

    Returns:
        Numbers `[units]`, and correlations `[units]` on the second half in the direction of the first.
    """
    best, rows = np.abs(chosen).argmax(1), np.arange(len(chosen))
    return best, np.sign(chosen[rows, best]) * judged[rows, best]


def with_directions(
    tables: Sequence[np.ndarray], other: Units, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations with random orthogonal directions in place of the other model's units, on either half.

    There are as many directions as units: among the neurons of a layer, or among all heads. Nothing is
    computed again: a direction's correlation is that mix of its units' correlations over its own length.
    """
    layer = other.index[:, 0] if other.kind == "neuron" else np.zeros(len(other.index), dtype=int)
    turned = (np.empty_like(tables[0]), np.empty_like(tables[1]))
    for number in np.unique(layer):
        own = np.flatnonzero(layer == number)
        mix = np.linalg.qr(rng.standard_normal((len(own), len(own))))[0].astype(np.float32)
        for table, product, new in zip(tables, other.products, turned, strict=True):
            length = np.sqrt(((mix @ product[np.ix_(own, own)]) * mix).sum(1))
            new[:, own] = table[:, own] @ mix.T / np.maximum(length, 1e-9)
    return turned


def match(first: Units, second: Units, seed: int, *, placebo: bool = False) -> pd.DataFrame:
    """Which units of a model are matched in another: better than random directions are, all but `CHANCE`.

    Each unit is compared with its own best random directions. In a placebo run further random directions
    stand for the other model's units.

    Returns:
        A row a unit: layer, unit, other (its best match's number), r, excess (of r over the mean of random
        directions), matched; and whether another draw of directions (control), and the other model's units
        with its texts exchanged (shuffled), would have been matched.
    """
    rng = np.random.default_rng([seed, len(first.index), len(second.index)])
    tables = [_correlations(*pair) for pair in zip(first.halves, second.halves, strict=True)]
    exchanged = [np.roll(half, 1, axis=1) for half in second.halves]
    strangers = [_correlations(*pair) for pair in zip(first.halves, exchanged, strict=True)]

    def control() -> np.ndarray:
        return best_matches(*with_directions(tables, second, rng))[1]

    draws = np.stack([control() for _ in range(ROTATIONS[first.kind])])
    mean = draws.mean(0)
    apart = (draws - mean) * len(draws) / (len(draws) - 1)  # of each draw from the mean of the others
    least = np.quantile(apart, 1 - CHANCE)
    best, r = best_matches(*tables)
    r = control() if placebo else r
    columns = {"layer": first.index[:, 0], "unit": first.index[:, 1], "other": best, "r": r}
    columns |= {"excess": r - mean, "matched": r - mean > least, "control": control() - mean > least}
    return pd.DataFrame(columns | {"shuffled": best_matches(*strangers)[1] - mean > least})


# ------------------------------------------------------------------------------- what heads cost
def head_costs(model: PreTrainedModel, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """What each head costs in nats a token when it puts out its mean over the first half; and the loss."""
    kept = reference(model, rows[::2].tolist(), ["head.*"], keep=0)
    parts, whole = anatomy(model), _loss(model, rows[1::2])
    costs = []
    for layer in range(parts.n_layers):
        for head in range(parts.n_heads):
            with ablate_heads(model, [(layer, head)], "mean", kept):
                costs.append(_loss(model, rows[1::2]) - whole)
    return np.array(costs), whole


@torch.inference_mode()
def _loss(model: PreTrainedModel, rows: np.ndarray) -> float:
    ids = torch.as_tensor(rows, device=model.device)
    logits = model(ids, use_cache=False).logits[:, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()))


def agreement(costs: np.ndarray, others: np.ndarray, best: np.ndarray, layer: np.ndarray) -> float:
    """Rank correlation of heads' costs with their matches', beyond that with other heads of those layers.

    Args:
        costs: of the heads of a model.
        others: of those of another.
        best: for each of the first the number of its match.
        layer: of each head of the other model.
    """
    rng, draws = np.random.default_rng(0), []
    for _ in range(100):
        shuffled = rng.permutation(len(layer))
        draws.append([shuffled[layer[shuffled] == layer[number]][0] for number in best])
    chosen = others[np.array([best, *draws])]
    rho = rank_correlations(np.broadcast_to(costs, chosen.shape), chosen)
    return float(rho[0] - np.nanmean(rho[1:])) if np.isfinite(rho[1:]).any() else np.nan


# ------------------------------------------------------------------------------- all models
def load_ladder(folder: Path, params: Any, seeds: Sequence[int]) -> Models:
    """02's models of every size and shape and of every seed, but for those that read noise.

    Args:
        folder: of 02's models.
        params: profile and device.
        seeds: of the trainings.
    """
    names = [rung.name for rung in ladder.SIZES[params.profile].rungs if not rung.noise]
    by_name = {name: data.load_rung(folder, name, seeds, params.device) for name in names}
    return {(name, seed): pair for name, pairs in by_name.items() for seed, pair in pairs.items()}


def compare_models(
    models: Models, labelled: Sequence[tuple[str, Spans]], seed: int, *, placebo: bool = False
) -> pd.DataFrame:
    """Every two trainings of a model, and the models of different size of each seed, in either direction.

    Each is compared with one of its own shape that was never trained, too (other is `UNTRAINED`).

    Columns model, other, seed, other_seed, kind, loss (the first's, over that of guessing), units, r,
    matched, control, shuffled (shares, see `match`), same_label (share of matched units whose match answers
    to the same label, less that of shuffled pairs), costs (of heads, see `agreement`).

    Raises:
        UserError: models read different tokens, or as `choose_texts`.
    """
    vocabularies = [tokenizer.get_vocab() for _, tokenizer in models.values()]
    if any(vocabulary != vocabularies[0] for vocabulary in vocabularies):
        raise UserError("Units are matched over the same tokens, and these models have different tokenizers.")
    rows, labels = choose_texts(label_tokens(*next(iter(models.values())), labelled[: 4 * TEXTS]))
    costs = {name: head_costs(model, rows) for name, (model, _) in models.items()}
    compared = []
    for kind in ("head", "neuron"):
        units = {name: respond(model, rows, labels, kind) for name, (model, _) in models.items()}
        for name, (model, _) in models.items():
            fresh = build(model.config, name[1] + 10_000, model.device)  # not the seed that it began with
            untrained = respond(fresh, rows, labels, kind)
            compared.append(_compared(name, (UNTRAINED, name[1]), units[name], untrained, seed, placebo))
        for a, b in permutations(models, 2):
            if (a[0] == b[0]) != (a[1] == b[1]):  # not of another size and another seed
                compared.append(_compared(a, b, units[a], units[b], seed, placebo, costs))
    table = pd.DataFrame(compared)
    guessing = np.log(len(vocabularies[0]))
    losses = [costs[name][1] / guessing for name in zip(table["model"], table["seed"], strict=True)]
    return table.assign(loss=losses)


def _compared(
    a: tuple[str, int],
    b: tuple[str, int],
    first: Units,
    second: Units,
    seed: int,
    placebo: bool,
    costs: Mapping[tuple[str, int], tuple[np.ndarray, float]] | None = None,
) -> dict[str, Any]:
    matches = match(first, second, seed, placebo=placebo)
    best = matches["other"].to_numpy()
    row = {"model": a[0], "other": b[0], "seed": a[1], "other_seed": b[1], "kind": first.kind}
    row |= {"units": len(matches), **matches[["r", "matched", "control", "shuffled"]].mean()}
    row["same_label"] = _same_label(matches["matched"].to_numpy(), first.label, second.label[best])
    row["costs"] = np.nan
    if costs is not None and first.kind == "head":
        row["costs"] = agreement(costs[a][0], costs[b][0], best, second.index[:, 0])
    return row


def _same_label(matched: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    if not matched.any():
        return np.nan
    own, other = own[matched], other[matched]
    n = max(own.max(), other.max()) + 1
    by_chance = np.bincount(own, minlength=n) @ np.bincount(other, minlength=n) / len(own) ** 2
    return float((own == other).mean() - by_chance)
