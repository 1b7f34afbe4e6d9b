"""What MLP neurons write: value vectors in the vocabulary, agreement with triggers, and what they change.

Geva et al. 2020 (arXiv 2012.14913): the columns of the down projection are values that neurons add to the
residual stream; read through the unembedding, each favours some tokens.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.engine.interpretability.anatomy import anatomy, read_norm
from workbench.engine.interpretability.attribution import logit_lens
from workbench.engine.interpretability.interventions import ablate_neurons, steer_neuron
from workbench.engine.interpretability.reference import Reference
from workbench.engine.interpretability.stream import stream
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise_shares

_ENTRIES = 1 << 26  # of neurons times vocabulary held at once


@torch.inference_mode()
def writes(model: PreTrainedModel, k: int = 6) -> pd.DataFrame:
    """The tokens whose logits every neuron raises and lowers most when it fires.

    Value vector, centred where the final norm centres, times that norm's gain, times the unembedding. The
    norm also divides by the length of the residual stream, which changes no order. This is the direct path:
    later layers may turn what they read into something else.

    Returns:
        Columns layer, neuron, side (top: raised, bottom: lowered), rank, token (id), logit (for an activation
        of 1 and a residual stream whose root mean square is 1).
    """
    parts = anatomy(model)
    like = next(parts.norm.parameters(), torch.ones(1)).new_ones(parts.hidden_size)
    gain, _, centres = read_norm(parts.norm, like)
    unembedding = parts.unembedding.weight.float()
    frames = []
    for layer, down in enumerate(parts.down):
        weight = down.weight.float()
        values = weight if type(down).__name__ == "Conv1D" else weight.T  # [neurons, width]
        values = values - values.mean(1, keepdim=True) if centres else values
        step = max(1, _ENTRIES // len(unembedding))
        for start in range(0, len(values), step):
            logits = (values[start : start + step] * gain.float()) @ unembedding.T
            for side, sign in (("top", 1), ("bottom", -1)):
                best, tokens = (sign * logits).topk(k)
                frames.append(_long(layer, start, side, tokens.cpu().numpy(), sign * best.cpu().numpy()))
    return pd.concat(frames, ignore_index=True)


def _long(layer: int, start: int, side: str, tokens: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    neurons, ranks = np.indices(tokens.shape)
    columns = {"rank": ranks, "token": tokens, "logit": logits}
    columns = {name: column.ravel() for name, column in columns.items()}
    return pd.DataFrame({"layer": layer, "neuron": neurons.ravel() + start, "side": side, **columns})


def agreement(contexts: pd.DataFrame, written: pd.DataFrame, texts: LabelledTokens) -> pd.DataFrame:
    """Whether the token that a neuron raises most is the one that follows its strongest trigger.

    A gated neuron whose strongest activation is negative writes minus its value, and is read so. Triggers at
    a text's last token have no next one and are left out.

    Args:
        contexts: of `Extremes.contexts`.
        written: of `writes`.
        texts: those that the contexts were found in.

    Returns:
        Columns layer, neuron, says (token), follows (token), agrees.
    """
    first = contexts[contexts["rank"] == 0]
    strongest = first.loc[first.groupby(["layer", "neuron"])["activation"].apply(lambda a: a.abs().idxmax())]
    says = written[written["rank"] == 0].rename(columns={"token": "says"})
    frame = strongest.merge(says[["layer", "neuron", "side", "says"]], on=["layer", "neuron", "side"])
    places = zip(frame["text"], frame["position"] + texts.first + 1, strict=True)
    follows = [texts.rows[text][place] if place < len(texts.rows[text]) else -1 for text, place in places]
    frame = frame.assign(follows=follows)
    frame = frame[frame["follows"] >= 0]
    frame = frame.assign(agrees=frame["says"] == frame["follows"])
    return frame[["layer", "neuron", "says", "follows", "agrees"]].reset_index(drop=True)


def agreement_by_layer(agreed: pd.DataFrame) -> pd.DataFrame:
    """Share of agreeing neurons with Wilson's interval: columns layer, value, low, high, n, chance.

    Chance is `by_chance` within the layer: frequent tokens agree by chance more often.
    """
    table = summarise_shares(agreed.sort_values("layer"), ["layer"], "agrees")
    return table.assign(chance=[by_chance(part) for _, part in agreed.groupby("layer")])


def by_chance(agreed: pd.DataFrame) -> float:
    """The mean agreement of neurons' favourite tokens with the tokens that follow, paired at random."""
    says, follows = (agreed[column].value_counts() for column in ("says", "follows"))
    return float((says * follows).sum()) / len(agreed) ** 2


# ------------------------------------------------------------------------------- layer by layer
def lens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: LabelledTokens,
    index: int,
    length: int = 24,
) -> pd.DataFrame:
    """What each layer would say next, at the first tokens of a text.

    Returns:
        Columns layer (the last: the model's own answer), position, token, says (most likely next token),
        probability (of the token that really follows).
    """
    row = texts.rows[index][: length + texts.first + 1]
    logits = logit_lens(model, row[:-1])[:, texts.first :].float()
    right = torch.tensor(row[texts.first + 1 :], device=logits.device)
    chances = logits.softmax(-1)[:, torch.arange(len(right)), right].cpu().numpy()
    best = logits.argmax(-1).cpu().numpy()
    layers, positions = np.indices(best.shape)
    return pd.DataFrame(
        {
            "layer": layers.ravel(),
            "position": positions.ravel(),
            "token": np.array(texts.pieces[index][: len(right)], dtype=object)[positions.ravel()],
            "says": [token_text(tokenizer, token) for token in best.ravel()],
            "probability": chances.ravel(),
        }
    )


def token_text(tokenizer: PreTrainedTokenizerFast, token: int) -> str:
    """A token as it stands in running text, its leading space included."""
    written = tokenizer.convert_ids_to_tokens(int(token))
    if tokenizer.decode([int(token)]) and written.startswith("▁"):
        return " " + written[1:]
    return tokenizer.decode([int(token)])


# ------------------------------------------------------------------------------- switching off and on
def changed(
    model: PreTrainedModel, layer: int, neuron: int, how: str, value: float, kept: Reference
) -> AbstractContextManager[Any]:
    """The model as it is, with a neuron held at its mean (off), or held at a value (steered)."""
    if how == "off":
        return ablate_neurons(model, [(layer, neuron)], "mean", kept)
    return steer_neuron(model, layer, neuron, value) if how == "steered" else nullcontext()


def continuations(
    pair: tuple[PreTrainedModel, PreTrainedTokenizerFast],
    beginning: str,
    layer: int,
    neuron: int,
    value: float,
    kept: Reference,
    max_tokens: int = 40,
) -> dict[str, str]:
    """How the model goes on with a beginning, most likely word by word: as it is, neuron off, neuron steered.

    Raises:
        UserError: the beginning is empty or fills the context.
    """
    if not beginning.strip():
        raise UserError("There is no beginning to go on with: write some words.")
    sampler, written = TransformersSampler(*pair), {}
    for how in ("as it is", "off", "steered"):
        with changed(pair[0], layer, neuron, how, value, kept):
            reply = sampler.sample([beginning], SamplingParams(max_tokens=max_tokens, temperature=0))
        written[how] = reply[0][0].text
    return written


@torch.inference_mode()
def losses(model: PreTrainedModel, texts: LabelledTokens, which: Sequence[int]) -> list[np.ndarray]:
    """Surprise (nats) at the token that follows each token of some texts; the last one has none."""
    found: dict[int, np.ndarray] = {}
    for batch, logits in stream(model, [texts.rows[index] for index in which], {}, logits=True):
        scores = logits[:, :-1].float()
        nats = scores.logsumexp(-1) - scores.gather(2, batch.ids[:, 1:, None])[..., 0]
        for row, index in enumerate(batch.index):
            found[index] = nats[row, texts.first : int(batch.lengths[row]) - 1].cpu().numpy()
    return [found[index] for index in range(len(which))]


def without(
    model: PreTrainedModel,
    texts: LabelledTokens,
    which: Sequence[int],
    units: pd.DataFrame,
    label: str,
    kept: Reference,
    *,
    seed: int,
    counts: Sequence[int] = (1, 5, 20),
) -> pd.DataFrame:
    """How much more surprised a model is, after tokens with a label and elsewhere, with neurons held at their
    means: the best ones for the label, and as many others of the same layers.

    Args:
        model: any transformers causal language model that `anatomy` can read.
        texts: labelled texts.
        which: those to read; the reference should be made of others.
        units: columns layer and unit, the best neuron first.
        label: one of `texts.names`.
        kept: `reference(model, rows, ["neuron.*"])`.
        seed: of the other neurons.
        counts: how many neurons are switched off together.

    Returns:
        Columns neurons ("best", "others"), count, where ("after the label", "elsewhere"), value, low, high
        (nats a token, interval over texts), n (texts).
    """
    column, rng = texts.names.index(label), np.random.default_rng(seed)
    marked = [texts.labels[index][:-1, column] for index in which]
    whose = np.repeat(np.arange(len(which)), [len(flags) for flags in marked])
    flags, usual = np.concatenate(marked), np.concatenate(losses(model, texts, which))
    best = list(zip(units["layer"].tolist(), units["unit"].tolist(), strict=True))
    free = [
        unit for unit in np.ndindex(anatomy(model).n_layers, anatomy(model).n_neurons) if unit not in best
    ]
    rows = []
    for count in counts:
        others = [[unit for unit in free if unit[0] == layer] for layer, _ in best[:count]]
        drawn = [unit[rng.integers(len(unit))] for unit in others if unit]
        for name, neurons in (("best", best[:count]), ("others", drawn)):
            with ablate_neurons(model, neurons, "mean", kept):
                more = np.concatenate(losses(model, texts, which)) - usual
            for where, chosen in (("after the label", flags), ("elsewhere", ~flags)):
                mean = bootstrap_mean(more[chosen], groups=whose[chosen])
                rows.append({"neurons": name, "count": count, "where": where, **mean.row()})
    return pd.DataFrame(rows)
