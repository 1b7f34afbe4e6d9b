"""The loop behind `reinforce`: trl's `GRPOTrainer` with our sampler, rewards and checkpoints.

Imported when a training starts, because trl alone takes seconds to import.
"""

from __future__ import annotations

import copy
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from tqdm.auto import tqdm
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig

from workbench.engine.rl.grpo_trainer import PolicyTrainer
from workbench.engine.rl.objective import Objective, RLConfig, Row
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.checkpoints import latest_checkpoint, save_finished, write_start
from workbench.engine.training.common import History, supports_position_ids, world_size
from workbench.engine.training.loop import Order, anywhere, common, on_one_gpu, quick_attention
from workbench.engine.training.lora import Lora, adapted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


logger = logging.getLogger(__name__)
MEASURED = {"entropy": "entropy", "clipped": "clip_ratio/region_mean", "moved": "moved", "kl": "kl"}


class _Watch(TrainerCallback):
    """After each step: the objective, the history, the reference, checkpoints, and whether to stop."""

    def __init__(
        self,
        every: int,
        bar: tqdm,
        log: Callable[[dict[str, float]], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.every, self.bar, self.log, self.stop = every, bar, log, stop
        self.trainer: PolicyTrainer | None = None
        self.since, self.wants_stop = 0.0, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step)
        self.since = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer, step = self.trainer, state.global_step
        config, last = trainer.config, step == state.max_steps
        trainer.objective.after_step()
        if config.reference_every and step % config.reference_every == 0:
            trainer.ref_model.load_state_dict(trainer.model.state_dict())
        self._row(step, state.num_input_tokens_seen)
        self.bar.update()
        self.wants_stop = anywhere(trainer, self.wants_stop or bool(self.stop and self.stop()))
        # In between, completions that are still learnt from would be missing from a checkpoint.
        between = step % config.num_iterations != 0
        control.should_training_stop = last or (self.wants_stop and not between)
        due = step // self.every > (step - config.num_iterations) // self.every
        control.should_save = not last and not between and (self.wants_stop or due)

    def _row(self, step: int, tokens: int) -> None:
        trainer, now = self.trainer, time.perf_counter()
        row = {"step": step, "tokens": tokens, **trainer.metrics_of_step}
        logged = trainer._metrics["train"]
        row |= {ours: float(np.mean(logged[name])) for ours, name in MEASURED.items() if logged.get(name)}
        logged.clear()
        row["seconds"], self.since = now - self.since, now
        trainer.rows.append(row)
        if self.log and trainer.is_world_process_zero():
            self.log(row)
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
    log: Callable[[dict[str, float]], None] | None,
    stop: Callable[[], bool] | None,
    lora: Lora | None,
) -> History:
    """Train from the newest whole checkpoint in `folder`, or the start; `every`: steps to a checkpoint."""
    arguments = _arguments(folder, settings, config, model)
    checkpoint, rows = latest_checkpoint(folder)
    main = arguments.process_index == 0
    quiet = not main or os.environ.get("TQDM_DISABLE") == "1"  # tqdm itself reads it only when imported
    reference = _reference(model, config, lora)
    with (
        tqdm(total=settings["steps"], unit="step", desc="reinforce", disable=quiet) as bar,
        adapted(model, lora, settings["seed"]) as learner,
        _as_it_was(model, tokenizer),
    ):
        watch = _Watch(every, bar, log, stop)
        trainer = PolicyTrainer(
            config,
            objective,
            sampler or TransformersSampler(model, tokenizer, settings["batch_size"]),
            examples,
            folder,
            rows,
            model=learner,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": [""]}),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        prompts = -(-settings["steps"] // config.num_iterations) * config.prompts_per_step
        trainer.train_dataset = Order(len(examples), prompts, settings["seed"])
        trainer.takes_positions = supports_position_ids(model)
        trainer.beta, trainer.ref_model = config.kl, reference
        watch.trainer = trainer
        if main:
            write_start(folder, settings)
        asked = prompt_tokens(tokenizer, [row["prompt"] for row in examples])
        with quick_attention(model, max(map(len, asked)) + config.max_new_tokens):
            trainer.train(resume_from_checkpoint=checkpoint)
        finished = trainer.state.global_step == settings["steps"]
        if finished and lora:
            learner.merge_adapter()
    model.eval()
    if main:
        _warn(rows)
    if finished and main:
        save_finished(model, tokenizer, folder, settings, rows)
    trainer.accelerator.wait_for_everyone()
    return History(rows, finished)


def _warn(rows: list[dict[str, float]]) -> None:
    if rows and all(row["degenerate_groups"] == 1 for row in rows):
        logger.warning("The rewards of every group were equal at every step: nothing could be learnt.")
    if rows and all(row["truncated"] == 1 for row in rows):
        logger.warning("No completion ever ended by itself: raise max_new_tokens or teach the model to end.")


def _reference(model: PreTrainedModel, config: RLConfig, lora: Lora | None) -> PreTrainedModel | None:
    """The model at the start; not as trl gets it, which loads it again from where the name says."""
    if not config.kl or lora:
        return None
    return copy.deepcopy(model).eval().requires_grad_(False)


@contextmanager
def _as_it_was(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Iterator[None]:
    """A token to pad with; what trl does to model and tokenizer is undone."""
    pads = model.config.pad_token_id, model.generation_config.pad_token_id, tokenizer.pad_token
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
        arguments = GRPOConfig(
            **common(folder, settings["steps"], settings["seed"], model),
            per_device_train_batch_size=settings["batch_size"],
            gradient_accumulation_steps=rows // settings["batch_size"],
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant",
            bf16=settings["precision"] == "bf16",
            gradient_checkpointing=False,
            num_generations=config.group_size,
            max_completion_length=config.max_new_tokens,
            temperature=config.temperature,
            loss_type=config.loss,
            epsilon=config.clip_low,
            epsilon_high=config.clip_high,
            num_iterations=config.num_iterations,
            importance_sampling_level=config.importance_level,
            shuffle_dataset=False,
        )
    return on_one_gpu(arguments)
