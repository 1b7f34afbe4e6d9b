"""The models that have read stories before they learn chains, and the shape and tokenizer of all arms."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.lego import CHAINS, OPERATIONS, VALUES, n_tokens, words
from workbench.corpora.stories import write_stories
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine import loading, models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.lego.settings import EMBEDDED, Sizes
from workbench.studies.tiny_models import ladder

VOCABULARY = 768  # tokens, of story models that are trained here
ROW = 128  # tokens of a row of stories
BATCH = 8  # rows a step
READING_RATE = 3e-3
FIRST = 300  # stories that the tokenizer is made from
Log = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class StoryModels:
    """Where a seed's model that has read stories comes from."""

    like: str  #: a model of the shape and with the tokenizer of all arms
    given: tuple[str, ...] = ()  #: models that have read stories, one for each seed by turns
    texts: tuple[str, ...] = ()  #: without them: what one is trained on for each seed

    def of(self, seed: int, sizes: Sizes, device: str, folder: Path, log: Log) -> PreTrainedModel:
        """The story model of a seed; trained in `folder` where none is given."""
        if self.given:
            return loading.load(self.given[seed % len(self.given)], device)[0]
        like, tokenizer = loading.load(self.like, "cpu")
        model = models.build(models.text_config(like), seed, device)
        settings = TrainConfig(
            steps=sizes.reading, batch_size=BATCH, context=ROW, learning_rate=READING_RATE, seed=seed
        )
        train(model, tokenizer, list(self.texts), settings, folder=folder, log=log)
        return model


def story_models(model: str, sizes: Sizes, folder: Path, trained: Path | None = None) -> StoryModels:
    """The story models that the notebook's `model` names.

    Args:
        model: "embedded", "ladder" or a preset of 02's, or a folder or hub id.
        sizes: of what is trained here.
        folder: for the shape and the tokenizer of models that are trained here.
        trained: 02's models, where they are needed.

    Raises:
        UserError: 02 has none of this name.
    """
    if model == EMBEDDED:
        texts = tuple(story.text for story in write_stories(sizes.stories, seed=0))
        if not folder.exists():
            _write_shape(folder, texts, sizes)
        return StoryModels(str(folder), texts=texts)
    if not ladder.is_ladder(model):
        return StoryModels(model, (model,))
    assert trained is not None  # the notebook needs 02 where it names one of 02's
    name = ladder.RUNGS["quick"][0].name if model == "ladder" else model
    seeds = sorted(int(inner.name.removeprefix("seed-")) for inner in trained.glob("seed-*"))
    given = tuple(str(ladder.trained(trained, name, seed)) for seed in seeds)
    return StoryModels(given[0], given)


def _write_shape(folder: Path, texts: tuple[str, ...], sizes: Sizes) -> None:
    """An untrained model of the arms' shape and a tokenizer of stories that has every word of the chains."""
    needed = "".join(f" {word}" for word in (*OPERATIONS, *VALUES, *BOYS, *GIRLS))
    tokenizer = models.train_tokenizer([*texts[:FIRST], *[needed] * FIRST], VOCABULARY)
    loading.save(models.build(_config(len(tokenizer), sizes), 0), tokenizer, folder)


def _config(vocab_size: int, sizes: Sizes) -> PretrainedConfig:
    """A small Llama with enough heads and context."""
    context = max(ROW, n_tokens(sizes.n))
    llama = models.config("tiny:0.1M", vocab_size, "llama", sizes.layers, sizes.width, context)
    # Mimicking takes two heads of a layer; as many are left to do otherwise.
    heads = max(4, llama.num_attention_heads)
    shape = {"num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": sizes.width // heads}
    return LlamaConfig.from_dict({**llama.to_dict(), **shape})


def check(like: str, sizes: Sizes) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model of the arms' shape and its tokenizer, if they can take chains.

    Raises:
        UserError: not enough names in the tokenizer, a context that is too short, or one head a layer.
    """
    model, tokenizer = loading.load(like, "cpu")
    words(tokenizer, sizes.n)
    length, context = n_tokens(sizes.n), models.context_length(model)
    if length > context:
        raise UserError(
            f"{CHAINS} chains of {sizes.n} take {length} tokens, more than the context of {context}: shorten "
            "them."
        )
    if anatomy(model).n_heads < 2:
        raise UserError("Mimicking needs two heads a layer: choose a model with more heads.")
    return model, tokenizer


def seen(ids: torch.Tensor, both_ways: bool) -> dict[str, torch.Tensor]:
    """What a causal model is given beside tokens so that each of them sees all: an added mask of zeros."""
    if not both_ways:
        return {}
    return {"attention_mask": torch.zeros(1, 1, ids.shape[1], ids.shape[1], device=ids.device)}


@torch.no_grad()
def reads_both_ways(model: PreTrainedModel) -> bool:
    """Whether a causal model takes a mask under which its first token sees the last one."""
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5]], device=model.device)
    model.set_attn_implementation("eager")
    try:
        with models.evaluating(model):
            first = model(ids, use_cache=False, **seen(ids, True)).logits[:, 0]
    except Exception:  # whatever a family's own code raises at a mask of four dimensions
        return False
    return bool(first.isfinite().all()) and not torch.equal(first[0], first[1])
