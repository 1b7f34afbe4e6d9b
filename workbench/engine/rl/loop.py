"""The loop behind `reinforce`: trl's `GRPOTrainer` with our sampler, rewards and checkpoints.

Imported when a training starts, because trl alone takes seconds to import.
"""

import copy
import inspect
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import GRPOConfig

from workbench.engine.rl.grpo_trainer import PolicyTrainer
from workbench.engine.rl.objective import Objective, RLConfig, Row
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.checkpoints import check_finite
from workbench.engine.training.common import History, unchanged_length, world_size
from workbench.engine.training.loop import Log, Stop, Watch, arguments_of, fit
from workbench.engine.training.lora import Lora
from workbench.engine.training.memory import micro_batch
from workbench.engine.training.packing import Order
from workbench.engine.traits import traits

logger = logging.getLogger(__name__)
MEASURED = {"entropy": "entropy", "clipped": "clip_ratio/region_mean", "moved": "moved", "kl": "kl"}


class _Watch(Watch):
    """And the objective and the reference."""

    title = "reinforce"
    trainer: PolicyTrainer

    def __init__(self, log: Log | None, stop: Stop | None, every: int) -> None:
        super().__init__(log, stop)
        self.every, self.since = every, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step)
        self.since = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer, step = self.trainer, state.global_step
        config, last = trainer.config, step == state.max_steps
        check_finite(trainer.model, trainer.folder)
        trainer.objective.after_step()
        if config.reference_every and step % config.reference_every == 0:
            assert trainer.ref_model is not None  # `reinforce` has seen to it
            trainer.ref_model.load_state_dict(trainer.model.state_dict())
        self._row(step, state.num_input_tokens_seen)
        self.bar.update()
        wants_stop = self.asked_to_stop()
        # In between, completions that are still learnt from would be missing from a checkpoint.
        between = step % config.num_iterations != 0
        control.should_training_stop = last or (wants_stop and not between)
        due = step // self.every > (step - config.num_iterations) // self.every
        control.should_save = not last and not between and (wants_stop or due)

    def _row(self, step: int, tokens: int) -> None:
        trainer, now = self.trainer, time.perf_counter()
        row = {"step": step, "tokens": tokens, **trainer.metrics_of_step}
        logged = trainer._metrics["train"]
        row |= {ours: float(np.mean(logged[name])) for ours, name in MEASURED.items() if logged.get(name)}
        logged.clear()
        row["seconds"], self.since = now - self.since, now
        self.note(row)
        self.bar.set_postfix(reward=f"{row['reward']:.3f}", refresh=False)


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Row],
    objective: Objective,
    config: RLConfig,
    sampler: Sampler | None,
    folder: Path,
    settings: dict[str, Any],
    every: int,
    log: Log | None,
    stop: Stop | None,
    lora: Lora | None,
) -> History:
    """Train as `training.loop.fit` does; `every`: steps to a checkpoint."""
    # The model at the start; not as trl gets it, which loads it again from where the name says.
    reference = copy.deepcopy(model).eval().requires_grad_(False) if config.kl and not lora else None

    def make(**options: Any) -> PolicyTrainer:
        drawing = sampler or TransformersSampler(model, tokenizer, settings["batch_size"])
        options["train_dataset"] = Dataset.from_dict({"prompt": [""]})
        trainer = PolicyTrainer(config, objective, drawing, examples, **options)
        n_prompts = -(-settings["steps"] // config.num_iterations) * config.prompts_per_step
        trainer.train_dataset = Order(len(examples), n_prompts, settings["seed"])
        trainer.takes_positions = traits(model).takes_positions
        trainer.ignores_batch_mates = unchanged_length(model) > 0
        trainer.spares_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        trainer.beta, trainer.ref_model = config.kl, reference
        return trainer

    arguments = _arguments(folder, settings, config, model)
    prompts = prompt_tokens(tokenizer, [row["prompt"] for row in examples])
    context = max(map(len, prompts)) + config.max_new_tokens
    micro = micro_batch(model, settings["batch_size"], context, scored=config.max_new_tokens + 1)
    arguments.activation_checkpointing = micro.checkpointing
    watch, around = _Watch(log, stop, every), _as_it_was(model, tokenizer)
    history = fit(make, watch, arguments, model, tokenizer, folder, settings, lora, context, around)
    if arguments.process_index == 0:
        _warn(history.rows)
    return history


def _warn(rows: list[dict[str, float]]) -> None:
    if rows and all(row["degenerate_groups"] == 1 for row in rows):
        logger.warning("The rewards of every group were equal at every step: nothing could be learnt.")
    if rows and all(row["truncated"] == 1 for row in rows):
        logger.warning("No completion ever ended by itself: raise max_new_tokens or teach the model to end.")


@contextmanager
def _as_it_was(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Iterator[None]:
    """A token to pad with; what trl does to model and tokenizer is undone."""
    before = getattr(model.config, "pad_token_id", None)  # settings with vision inside have none
    pads = before, model.generation_config.pad_token_id, tokenizer.pad_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    try:
        yield
    finally:
        model.config.pad_token_id, model.generation_config.pad_token_id, tokenizer.pad_token = pads
        vars(model).pop("forward", None)


def _arguments(
    folder: Path, settings: dict[str, Any], config: RLConfig, model: PreTrainedModel
) -> GRPOConfig:
    rows = config.prompts_per_step * config.group_size // world_size()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # trl sets it by its older name
        return arguments_of(
            GRPOConfig,
            folder,
            settings["steps"],
            settings["seed"],
            model,
            per_device_train_batch_size=settings["batch_size"],
            gradient_accumulation_steps=rows // settings["batch_size"],
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant",
            bf16=settings["precision"] == "bf16",
            gradient_checkpointing=False,
            num_generations=config.group_size,
            max_completion_length=config.max_new_tokens,
            temperature=config.temperature,
            # trl's bnpo takes means of passes: of all completions of a step, it is dapo.
            loss_type="dapo" if config.loss == "bnpo" else config.loss,
            epsilon=config.clip_low,
            epsilon_high=config.clip_high,
            num_iterations=config.num_iterations,
            importance_sampling_level=config.importance_level,
            shuffle_dataset=False,
        )
