"""The training loop: transformers' `Trainer` without its overheads, its checkpoints whole or not there.

Imported by `train.train` when it starts, because the `Trainer` alone takes seconds to import.
"""

import gc
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)

from workbench.engine.training.checkpoints import (
    SETTINGS,
    WholeCheckpoints,
    check_finite,
    damaged,
    diverged,
    latest_checkpoint,
    save_finished,
)
from workbench.engine.training.common import (
    History,
    TrainConfig,
    quick_attention,
    unchanged_length,
    world_size,
)
from workbench.engine.training.lora import Lora, adapted
from workbench.engine.training.loss import loss
from workbench.engine.training.memory import micro_batch
from workbench.engine.training.packing import Blocks, Example, Order
from workbench.engine.training.trainer import LanguageTrainer
from workbench.engine.traits import traits
from workbench.errors import UserError
from workbench.files import write_json

Log = Callable[[dict[str, float]], None]
Stop = Callable[[], bool]
Arguments = TypeVar("Arguments", bound=TrainingArguments)
# It warns of every model whose special tokens it takes from the tokenizer, which is meant.
logging.getLogger("transformers.trainer_utils").setLevel(logging.ERROR)


class Watch(TrainerCallback):
    """After each step: the progress bar, the history, checkpoints, and whether to stop."""

    title = "train"
    trainer: WholeCheckpoints  # these two from `fit`, while it trains
    bar: tqdm

    def __init__(self, log: Log | None, stop: Stop | None) -> None:
        self.log, self.stop, self.stopping, self.begun = log, stop, False, False

    def asked_to_stop(self) -> bool:
        """Whether any of the processes has ever been asked to stop."""
        self.stopping = self.stopping or bool(self.stop and self.stop())
        if self.trainer.args.world_size > 1:
            flag = torch.tensor([self.stopping], device=self.trainer.args.device)
            self.stopping = bool(self.trainer.accelerator.gather(flag).any())
        return self.stopping

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.begun = True

    def note(self, row: dict[str, float]) -> None:
        """One more row of the history."""
        self.trainer.rows.append(row)
        if self.log and self.trainer.is_world_process_zero():
            self.log(row)


class _Watch(Watch):
    """And held-out loss."""

    trainer: LanguageTrainer

    def __init__(
        self, log: Log | None, stop: Stop | None, measure: Callable[[], dict] | None, config: TrainConfig
    ) -> None:
        super().__init__(log, stop)
        self.held_out, self.config = measure, config
        self.tokens_per_step = config.rows_per_step * config.context
        self.since = (0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step)
        if self.held_out and state.global_step == 0:
            self.note({"step": 0, "tokens": 0, **self.held_out()})
        self.since = (state.global_step, time.perf_counter())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step, last = state.global_step, state.global_step == state.max_steps
        self.bar.update()
        evaluates = last or step % self.config.evaluate_every == 0
        if evaluates or step % max(1, state.max_steps // 100) == 0:
            self._row(step, evaluates)
        wants_stop = self.asked_to_stop()
        control.should_training_stop = wants_stop or last
        control.should_save = not last and (wants_stop or step % self.config.checkpoint_every == 0)

    def _row(self, step: int, evaluates: bool) -> None:
        steps, seconds = step - self.since[0], time.perf_counter() - self.since[1]
        nats, learnt = self.trainer.accelerator.reduce(self.trainer.sums).tolist()
        if not math.isfinite(nats):
            raise diverged(self.trainer.folder, "its loss is no longer a number")
        self.trainer.sums.zero_()
        row = {
            "step": step,
            "tokens": step * self.tokens_per_step,
            "loss": nats / max(1, learnt),
            "learning_rate": self.trainer.rate,
            "tokens_per_second": steps * self.tokens_per_step / seconds,
        }
        if evaluates and self.held_out:
            check_finite(self.trainer.model, self.trainer.folder)
            row |= self.held_out()
        self.note(row)
        self.bar.set_postfix(loss=f"{row['loss']:.3f}", refresh=False)
        self.since = (step, time.perf_counter())


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    blocks: Blocks,
    config: TrainConfig,
    settings: dict[str, Any],
    folder: Path,
    held_out: Sequence[Example],
    in_order: bool,
    log: Log | None,
    stop: Stop | None,
) -> History:
    """Train as `fit` does; without `in_order` rows are shuffled."""

    def measure() -> dict[str, float]:
        held = loss(model, tokenizer, held_out, config.context)
        return {"held_out_nats": held.nats_per_token, "held_out_bits_per_byte": held.bits_per_byte}

    assert config.steps is not None  # `resolved`
    n_rows = config.steps * config.rows_per_step

    def make(**options: Any) -> LanguageTrainer:
        return LanguageTrainer(
            settings["precision"] == "bf16",
            blocks,
            traits(model).parts_documents and traits(model).ignores_batch_mates,
            unchanged_length(model) < config.context,
            train_dataset=Order(len(blocks.ids), n_rows, config.seed, in_order),
            **options,
        )

    watch = _Watch(log, stop, measure if len(held_out) else None, config)
    arguments = _arguments(folder, config, config.steps, model)
    return fit(make, watch, arguments, model, tokenizer, folder, settings, config.lora, config.context)


def fit(
    make: Callable[..., WholeCheckpoints],
    watch: Watch,
    arguments: TrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    settings: dict[str, Any],
    lora: Lora | None,
    context: int,
    around: AbstractContextManager[None] | None = None,
) -> History:
    """Train from the newest whole checkpoint in `folder`, or from the start; `settings` are kept there.

    Args:
        make: a `WholeCheckpoints` trainer from its options.
        context: the most tokens of a row.
        around: entered while it trains, and left before the model is saved.
    """
    checkpoint, rows = latest_checkpoint(folder)
    main = arguments.process_index == 0
    quiet = not main or os.environ.get("TQDM_DISABLE") == "1"  # tqdm itself reads it only when imported
    with (
        quick_attention(model, context),
        tqdm(total=settings["steps"], unit="step", desc=watch.title, disable=quiet) as watch.bar,
        adapted(model, lora, settings["seed"]) as learner,
        around or nullcontext(),
    ):
        options = {"model": learner, "processing_class": tokenizer, "args": arguments, "callbacks": [watch]}
        watch.trainer = trainer = make(folder=folder, rows=rows, **options)
        trainer.remove_callback(PrinterCallback)
        if main:
            write_json(folder / SETTINGS, {"settings": settings, "finished": False, "rows": []})
        with ExitStack() as stack:
            if arguments.activation_checkpointing:
                stack.callback(model.activation_checkpointing_disable)
            gc.freeze()  # spares what is there the Trainer's search for garbage: half a second each time
            stack.callback(gc.unfreeze)
            try:
                trainer.train(resume_from_checkpoint=checkpoint)
            except Exception as error:  # whatever those raise who read its files
                if checkpoint and not (watch.begun or isinstance(error, UserError)):
                    raise damaged(Path(checkpoint), error) from error
                raise
        del watch.trainer  # no ring: what was trained is freed when nobody has it, not at the next search
        finished = trainer.state.global_step == settings["steps"]
        if finished and lora:
            model.float()  # in half precision most of what was learnt would be rounded away
            learner.merge_adapter()
    model.eval()
    if finished:
        check_finite(model, folder)
    if finished and main:
        save_finished(model, tokenizer, folder, settings, rows)
    trainer.accelerator.wait_for_everyone()
    return History(rows, finished)


def _arguments(folder: Path, config: TrainConfig, steps: int, model: PreTrainedModel) -> TrainingArguments:
    schedules = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
    if config.schedule not in schedules:
        raise UserError(f"schedule={config.schedule!r} is not one of {', '.join(schedules)}.")
    rows = config.batch_size // world_size()
    micro = micro_batch(model, rows, config.context)
    return arguments_of(
        TrainingArguments,
        folder,
        steps,
        config.seed,
        model,
        per_device_train_batch_size=micro.rows,
        gradient_accumulation_steps=config.gradient_accumulation * (rows // micro.rows),
        activation_checkpointing=micro.checkpointing,
        learning_rate=config.learning_rate,
        lr_scheduler_type=schedules[config.schedule],
        warmup_steps=config.warmup,
        weight_decay=0.1,
        adam_beta2=0.95,
        train_sampling_strategy="sequential",
    )


def arguments_of(
    kind: type[Arguments], folder: Path, steps: int, seed: int, model: PreTrainedModel, **more: Any
) -> Arguments:
    """Arguments of every `Trainer` here: it logs nothing, draws nothing, and saves when it is told to.

    Several GPUs only under torchrun: DataParallel would change the batch.

    Raises:
        UserError: processes were started, but not by torchrun.
    """
    device = model.device.type
    arguments = kind(
        output_dir=str(folder),
        max_steps=steps,
        optim="adamw_torch_fused",
        seed=seed,
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and world_size() > 1 else None,
        dataloader_pin_memory=device != "cpu",
        use_cache=getattr(model.config, "use_cache", True),  # the Trainer writes it into the configuration
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        **more,
    )
    if arguments.world_size != world_size():
        raise UserError(f"{world_size()} processes started but {arguments.world_size} train: use torchrun.")
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
