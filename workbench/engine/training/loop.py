"""The training loop: transformers' `Trainer` without its overheads, and with checkpoints that are whole or
not there.

Imported by `train.train` when it starts, because the `Trainer` alone takes seconds to import.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from workbench.engine.training.checkpoints import (
    WholeCheckpoints,
    latest_checkpoint,
    save_finished,
    write_start,
)
from workbench.engine.training.common import History, TrainConfig, supports_position_ids, world_size
from workbench.engine.training.lora import adapted
from workbench.engine.training.loss import loss
from workbench.engine.training.packing import IGNORED, Blocks, Example
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# It warns of every model whose special tokens it takes from the tokenizer, which is meant.
logging.getLogger("transformers.trainer_utils").setLevel(logging.ERROR)


class Order(Dataset):
    """Row numbers in the order of training: every pass shuffled anew, from the seed alone, or none."""

    def __init__(self, rows: int, length: int, seed: int, in_order: bool = False) -> None:
        numbers = range(-(-length // rows))
        passes = [np.random.default_rng([seed, n]).permutation(rows) for n in numbers]
        if in_order:
            passes = [np.arange(rows) for _ in numbers]
        self.order = np.concatenate(passes)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> int:
        return self.order[place]


class _Trainer(WholeCheckpoints, Trainer):
    """Autocast and loss of our own: accelerate's autocast copies the logits once more."""

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        bf16: bool,
        takes_positions: bool,
        folder: Path,
        rows: list[dict[str, float]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.model_accepts_loss_kwargs = True  # so that the learnt tokens of a whole step are counted
        self.bf16, self.takes_positions, self.folder, self.rows = bf16, takes_positions, folder, rows
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)  # nats, learnt tokens
        self.rate = 0.0

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        targets = inputs["shift_labels"]
        options = {"position_ids": inputs["position_ids"]} if self.takes_positions else {}
        with torch.autocast(targets.device.type, torch.bfloat16, enabled=self.bf16):
            logits = model(input_ids=inputs["input_ids"], use_cache=False, **options).logits
        nats = F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        self.sums += torch.stack((nats.detach(), (targets != IGNORED).sum()))
        self.rate = self.optimizer.param_groups[0]["lr"]
        # Times the processes, because their gradients will be averaged.
        return nats / num_items_in_batch * self.args.world_size

    def floating_point_ops(self, inputs: dict[str, Tensor]) -> int:
        return 0  # the Trainer would count the model's parameters at every step


def anywhere(trainer: Trainer, flag: bool) -> bool:
    """Whether a flag is set in any of the processes."""
    if trainer.args.world_size == 1:
        return flag
    return bool(trainer.accelerator.gather(torch.tensor([flag], device=trainer.args.device)).any())


class _Watch(TrainerCallback):
    """After each step: the progress bar, the history, held-out loss, checkpoints, and whether to stop."""

    def __init__(
        self, held_out: Callable[[], dict[str, float]] | None, config: TrainConfig, bar: tqdm
    ) -> None:
        self.held_out, self.config, self.bar = held_out, config, bar
        self.tokens_per_step = config.rows_per_step * config.context
        self.trainer: _Trainer | None = None
        self.log: Callable[[dict[str, float]], None] | None = None
        self.stop: Callable[[], bool] | None = None
        self.since = (0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step)
        if self.held_out and state.global_step == 0:
            self._note({"step": 0, "tokens": 0} | self.held_out())
        self.since = (state.global_step, time.perf_counter())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step, last = state.global_step, state.global_step == state.max_steps
        self.bar.update()
        evaluates = last or step % self.config.evaluate_every == 0
        if evaluates or step % max(1, state.max_steps // 100) == 0:
            self._row(step, evaluates)
        wants_stop = anywhere(self.trainer, bool(self.stop and self.stop()))
        control.should_training_stop = wants_stop or last
        control.should_save = not last and (wants_stop or step % self.config.checkpoint_every == 0)

    def _row(self, step: int, evaluates: bool) -> None:
        steps, seconds = step - self.since[0], time.perf_counter() - self.since[1]
        nats, learnt = self.trainer.accelerator.reduce(self.trainer.sums).tolist()
        self.trainer.sums.zero_()
        row = {
            "step": step,
            "tokens": step * self.tokens_per_step,
            "loss": nats / max(1, learnt),
            "learning_rate": self.trainer.rate,
            "tokens_per_second": steps * self.tokens_per_step / seconds,
        }
        if evaluates and self.held_out:
            row |= self.held_out()
        self._note(row)
        self.bar.set_postfix(loss=f"{row['loss']:.3f}", refresh=False)
        self.since = (step, time.perf_counter())

    def _note(self, row: dict[str, float]) -> None:
        self.trainer.rows.append(row)
        if self.log and self.trainer.is_world_process_zero():
            self.log(row)


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    blocks: Blocks,
    config: TrainConfig,
    settings: dict[str, Any],
    folder: Path,
    held_out: Sequence[Example],
    in_order: bool,
    log: Callable[[dict[str, float]], None] | None,
    stop: Callable[[], bool] | None,
) -> History:
    """Train from the newest whole checkpoint in `folder`, or from the start; `settings` are kept there."""
    arguments = _arguments(folder, config, model)
    checkpoint, rows = latest_checkpoint(folder)

    def measure() -> dict[str, float]:
        found = loss(model, tokenizer, held_out, config.context)
        return {"held_out_nats": found.nats_per_token, "held_out_bits_per_byte": found.bits_per_byte}

    main = arguments.process_index == 0
    quiet = not main or os.environ.get("TQDM_DISABLE") == "1"  # tqdm itself reads it only when imported
    with (
        tqdm(total=config.steps, unit="step", desc="train", disable=quiet) as bar,
        adapted(model, config.lora, config.seed) as learner,
    ):
        watch = _Watch(measure if len(held_out) else None, config, bar)
        trainer = _Trainer(
            settings["precision"] == "bf16",
            supports_position_ids(model),
            folder,
            rows,
            model=learner,
            args=arguments,
            train_dataset=Order(len(blocks.ids), config.steps * config.rows_per_step, config.seed, in_order),
            data_collator=lambda places: _tensors(blocks, places),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        watch.trainer, watch.log, watch.stop = trainer, log, stop
        if main:
            write_start(folder, settings)
        with quick_attention(model, config.context), unsearched():
            trainer.train(resume_from_checkpoint=checkpoint)
        watch.trainer = None  # no ring: what was trained is freed when nobody has it, not at the next search
        finished = trainer.state.global_step == config.steps
        if finished and config.lora:
            learner.merge_adapter()
    model.eval()
    if finished and main:
        save_finished(model, tokenizer, folder, settings, rows)
    trainer.accelerator.wait_for_everyone()
    return History(rows, finished)


@contextmanager
def quick_attention(model: PreTrainedModel, context: int) -> Iterator[None]:
    """On the CPU, plain attention for short rows: its backward pass is twice as fast as the fused one."""
    usual = model.config._attn_implementation
    if model.device.type == "cpu" and context <= 512:
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


@contextmanager
def unsearched() -> Iterator[None]:
    """Spare what is there the search for garbage with which a `Trainer` begins: half a second each time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _arguments(folder: Path, config: TrainConfig, model: PreTrainedModel) -> TrainingArguments:
    schedules = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
    if config.schedule not in schedules:
        raise UserError(f"schedule={config.schedule!r} is not one of {', '.join(schedules)}.")
    arguments = TrainingArguments(
        **common(folder, config.steps, config.seed, model),
        per_device_train_batch_size=config.batch_size // world_size(),
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=schedules[config.schedule],
        warmup_steps=config.warmup,
        weight_decay=0.1,
        adam_beta2=0.95,
        train_sampling_strategy="sequential",
    )
    return on_one_gpu(arguments)


def common(folder: Path, steps: int, seed: int, model: PreTrainedModel) -> dict[str, Any]:
    """Arguments of every `Trainer` here: it logs nothing, draws nothing, and saves when it is told to."""
    device = model.device.type
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "optim": "adamw_torch_fused",
        "seed": seed,
        "use_cpu": device == "cpu",
        "ddp_backend": "gloo" if device == "cpu" and world_size() > 1 else None,
        "dataloader_pin_memory": device != "cpu",
        "use_cache": getattr(model.config, "use_cache", True),  # the Trainer writes it into the configuration
        "save_strategy": "no",
        "logging_strategy": "no",
        "logging_nan_inf_filter": False,
        "remove_unused_columns": False,
        "report_to": [],
        "disable_tqdm": True,
    }


def on_one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """Several GPUs only under torchrun: DataParallel would change the batch.

    Raises:
        UserError: processes were started, but not by torchrun.
    """
    if arguments.world_size != world_size():
        raise UserError(
            f"{world_size()} processes were started but {arguments.world_size} train: use torchrun."
        )
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _tensors(blocks: Blocks, places: list[int]) -> dict[str, Tensor]:
    ids, targets, positions = (
        torch.from_numpy(part[places]).long() for part in (blocks.ids, blocks.targets, blocks.positions)
    )
    return {"input_ids": ids, "position_ids": positions, "labels": targets, "shift_labels": targets}
