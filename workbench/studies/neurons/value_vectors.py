"""What MLP neurons write: value vectors in the vocabulary, agreement with triggers, and what they change.

Geva et al. 2020 (arXiv 2012.14913): the columns of the down projection are values that neurons add to the
residual stream; read through the unembedding, each favours some tokens. As published: how often a neuron's
favourite token is the one that follows its strongest trigger. Otherwise: values pass the final norm's gain,
as they do in the model; gated neurons, whose trigger may be negative, are read with its sign; and neurons are
held at their means or steered, to see what the model loses.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.engine.interpretability.additions import logit_factor, mlp_additions
from workbench.engine.interpretability.anatomy import anatomy, linear_weight, read_norm
from workbench.engine.interpretability.attribution import logit_lens
from workbench.engine.interpretability.interventions import ablate_neurons, steer_neuron
from workbench.engine.interpretability.reference import Reference
from workbench.engine.interpretability.stream import stream
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures.statistics import bootstrap_mean

_ENTRIES = 1 << 26  # of neurons times vocabulary held at once
Change = Literal["as it is", "off", "steered"]


@torch.inference_mode()
def writes(model: PreTrainedModel, k: int = 6, layers: Sequence[int] | None = None) -> pd.DataFrame:
    """The tokens whose logits every neuron raises and lowers most when it fires.

    Value vector, as the layer adds it to the residual stream (`additions`: through a norm behind the MLP
    where there is one), centred where the final norm centres, times that norm's gain, times the unembedding.
    Norms also divide by a length, which changes no order. This is the direct path: later layers may turn what
    they read into something else.

    Returns:
        Columns layer, neuron, side (top: raised, bottom: lowered), rank, token (id), logit (for an activation
        of 1 and normed values, the residual stream's and those of an MLP with a norm behind it, whose root
        mean square is 1; before a cap on logits).

    Raises:
        UserError: what the MLPs add to the residual stream, or the logits, cannot be told from their weights.
    """
    parts, additions, factor = anatomy(model), mlp_additions(model), logit_factor(model)
    like = next(parts.norm.parameters(), torch.ones(1)).new_ones(parts.hidden_size)
    gain, _, centres = read_norm(parts.norm, like)
    unembedding = parts.unembedding.get_parameter("weight").float() * factor
    frames = []
    for layer in range(parts.n_layers) if layers is None else layers:
        down, addition = parts.down[layer], additions[layer]
        values = linear_weight(model, down).float()  # [neurons, width]
        values = values - values.mean(1, keepdim=True) if addition.centres else values
        values = values * addition.gain.to(values)
        values = values - values.mean(1, keepdim=True) if centres else values
        step = max(1, _ENTRIES // len(unembedding))
        for start in range(0, len(values), step):
            logits = (values[start : start + step] * gain.float()) @ unembedding.T
            for side, sign in (("top", 1), ("bottom", -1)):
                best, tokens = (part.cpu().numpy() for part in (sign * logits).topk(k))
                neurons, ranks = (index.ravel() for index in np.indices(tokens.shape))
                columns = {"rank": ranks, "token": tokens.ravel(), "logit": sign * best.ravel()}
                about = {"layer": layer, "neuron": neurons + start, "side": side}
                frames.append(pd.DataFrame(about | columns))
    return pd.concat(frames, ignore_index=True)


def agreement(contexts: pd.DataFrame, written: pd.DataFrame, texts: LabelledTokens) -> pd.DataFrame:
    """Whether the token that a neuron raises most is the one that follows its strongest trigger.

    A gated neuron whose strongest activation is negative writes minus its value, and is read so. Triggers at
    a text's last token have no next one and are left out.

    Args:
        contexts: of `TopActivations.contexts`.
        written: of `writes`.
        texts: those that the contexts are of.

    Returns:
        Columns layer, neuron, says (token), follows (token), agrees.
    """
    first = contexts[contexts["rank"] == 0]
    strongest = first.loc[first.groupby(["layer", "neuron"])["activation"].apply(lambda a: a.abs().idxmax())]
    says = written[written["rank"] == 0].rename(columns={"token": "says"})
    frame = strongest.merge(says[["layer", "neuron", "side", "says"]], on=["layer", "neuron", "side"])
    rows = [texts.rows[text] for text in frame["text"]]
    following = zip(rows, frame["position"] + texts.first + 1, strict=True)
    frame["follows"] = [row[index] if index < len(row) else -1 for row, index in following]
    frame["agrees"] = frame["says"] == frame["follows"]
    columns = ["layer", "neuron", "says", "follows", "agrees"]
    return frame.loc[frame["follows"] >= 0, columns].reset_index(drop=True)


def by_chance(agreed: pd.DataFrame) -> float:
    """The mean agreement of neurons' favourite tokens with the tokens that follow, paired at random."""
    says, follows = (agreed[column].value_counts() for column in ("says", "follows"))
    return float((says * follows).sum()) / len(agreed) ** 2


def above_chance(agreed: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Each neuron's agreement minus chance in its layer, and whether its layer is in the later half."""
    chance = agreed.groupby("layer")[["says", "follows"]].apply(by_chance)
    above = agreed["agrees"] - agreed["layer"].map(chance)
    return above, agreed["layer"] >= (agreed["layer"].max() + 1) / 2


# ------------------------------------------------------------------------------- layer by layer
def lens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTokens, index: int, length: int
) -> pd.DataFrame:
    """What each layer would say next, at the first tokens of a text.

    Returns:
        Columns layer (the last: the model's own answer), position, token, says (most likely next token),
        probability (of the token that really follows).
    """
    row = texts.rows[index][: length + texts.first + 1]
    logits = logit_lens(model, row[:-1])[:, texts.first :].float()
    right = torch.tensor(row[texts.first + 1 :], device=logits.device)
    layers, positions = (grid.ravel() for grid in np.indices(logits.shape[:2]))
    return pd.DataFrame(
        {
            "layer": layers,
            "position": positions,
            "token": np.array(texts.pieces[index][: len(right)], dtype=object)[positions],
            "says": [token_text(tokenizer, token) for token in logits.argmax(-1).flatten().tolist()],
            "probability": logits.softmax(-1)[:, torch.arange(len(right)), right].cpu().numpy().ravel(),
        }
    )


def token_text(tokenizer: PreTrainedTokenizerFast, token: int) -> str:
    """A token as it stands in running text, its leading space included."""
    piece, text = str(tokenizer.convert_ids_to_tokens(token)), str(tokenizer.decode([token]))
    return " " + piece[1:] if text and piece.startswith("▁") else text


# ------------------------------------------------------------------------------- switching off and on
def changed(
    model: PreTrainedModel, layer: int, neuron: int, change: Change, value: float, means: Reference
) -> AbstractContextManager[Any]:
    """The model as it is, with a neuron held at its mean (off), or held at a value (steered)."""
    if change == "off":
        return ablate_neurons(model, [(layer, neuron)], "mean", means)
    return steer_neuron(model, layer, neuron, value) if change == "steered" else nullcontext()


def continuations(
    pair: tuple[PreTrainedModel, PreTrainedTokenizerFast],
    beginning: str,
    layer: int,
    neuron: int,
    value: float,
    means: Reference,
    max_tokens: int = 40,
    usual: str | None = None,
) -> dict[Change, str]:
    """How the model goes on with a beginning, most likely word by word: as it is, neuron off, neuron steered.

    `usual` is the first of them, if it is known.

    Raises:
        UserError: the beginning is empty or fills the context.
    """
    if not beginning.strip():
        raise UserError("There is no beginning to go on with: write some words.")
    sampler, params = TransformersSampler(*pair), SamplingParams(max_tokens=max_tokens, temperature=0)
    written: dict[Change, str] = {} if usual is None else {"as it is": usual}
    for change in get_args(Change)[len(written) :]:
        with changed(pair[0], layer, neuron, change, value, means):
            written[change] = sampler.sample([beginning], params)[0][0].text
    return written


@torch.inference_mode()
def losses(model: PreTrainedModel, texts: LabelledTokens, which: Sequence[int]) -> list[np.ndarray]:
    """Surprise (nats) at the token that follows each token of some texts; the last one has none."""
    surprise = [np.empty(0)] * len(which)
    for batch, logits in stream(model, [texts.rows[index] for index in which], {}, logits=True):
        assert logits is not None  # they were asked for
        scores = logits[:, :-1].float()
        nats = scores.logsumexp(-1) - scores.gather(2, batch.ids[:, 1:, None])[..., 0]
        for index, row, n in zip(batch.index, nats, batch.lengths.tolist(), strict=True):
            surprise[index] = row[texts.first : n - 1].cpu().numpy()
    return surprise


def without(
    model: PreTrainedModel,
    texts: LabelledTokens,
    which: Sequence[int],
    units: pd.DataFrame,
    label: str,
    means: Reference,
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
        means: `reference(model, rows, ["neuron.*"])`.
        seed: of the other neurons.
        counts: how many neurons are switched off together.

    Returns:
        Columns neurons ("best", "others"), count, where ("after the label", "elsewhere"), value, low, high
        (nats a token, interval over texts), n (texts).
    """
    column, rng = texts.names.index(label), np.random.default_rng(seed)
    marked = [texts.labels[index][:-1, column] for index in which]
    text = np.repeat(np.arange(len(which)), list(map(len, marked)))
    after, usual = np.concatenate(marked), np.concatenate(losses(model, texts, which))
    best = list(zip(units["layer"].tolist(), units["unit"].tolist(), strict=True))
    parts, rows = anatomy(model), []
    free = [unit for unit in np.ndindex(parts.n_layers, parts.n_neurons) if unit not in best]
    for count in counts:
        others = [[unit for unit in free if unit[0] == layer] for layer, _ in best[:count]]
        drawn = [same_layer[rng.integers(len(same_layer))] for same_layer in others if same_layer]
        for name, neurons in (("best", best[:count]), ("others", drawn)):
            with ablate_neurons(model, neurons, "mean", means):
                added = np.concatenate(losses(model, texts, which)) - usual
            for where, chosen in (("after the label", after), ("elsewhere", ~after)):
                mean = bootstrap_mean(added[chosen], groups=text[chosen])
                rows.append({"neurons": name, "count": count, "where": where, **mean.row()})
    return pd.DataFrame(rows)
