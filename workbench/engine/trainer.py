"""The training loop: transformers' `Trainer` without its overheads, and with checkpoints that are whole or
not there.

Imported by `train.train` when it starts, because the `Trainer` alone takes seconds to import.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
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

from workbench.engine.adapters import Lora, adapted
from workbench.engine.folders import replacing, sync, without_bars, write_json
from workbench.engine.packing import IGNORED, Blocks, Example
from workbench.engine.train import SETTINGS, History, loss, refill, tells_documents_apart, world_size
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# It warns of every model whose special tokens it takes from the tokenizer, which is meant.
logging.getLogger("transformers.trainer_utils").setLevel(logging.ERROR)

ROWS = "history.json"  # written last: a checkpoint without it is half written


class Order(Dataset):
    """Row numbers in the order of training: every pass shuffled anew, from the seed alone."""

    def __init__(self, rows: int, length: int, seed: int) -> None:
        passes = [np.random.default_rng([seed, n]).permutation(rows) for n in range(-(-length // rows))]
        self.order = np.concatenate(passes)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> int:
        return self.order[place]


class _Trainer(Trainer):
    """Autocast, loss and checkpoints of our own: accelerate's autocast copies the logits once more."""

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

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        if isinstance(self.model, PreTrainedModel):
            refill(self.model, resume_from_checkpoint)  # the Trainer passes over weights of another name
        else:  # an adapter
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _save_checkpoint(self, model: torch.nn.Module, trial: None) -> None:
        place = self.folder / f"checkpoint-{self.state.global_step}"
        try:
            with without_bars():
                super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                sync(place)
                write_json(place / ROWS, self.rows)
                for other in self.folder.glob("checkpoint-*"):
                    if other != place:
                        shutil.rmtree(other)
        except (
            Exception
        ) as error:  # safetensors, torch and the system each have their own class for a full disk
            shutil.rmtree(place, ignore_errors=True)
            raise UserError(
                f"Checkpoint {self.state.global_step} could not be written to {self.folder} ({error}): "
                "make room and run again, it goes on from the checkpoint before."
            ) from error


class _Watch(TrainerCallback):
    """After each step: the progress bar, the history, held-out loss, checkpoints, and whether to stop."""

    def __init__(
        self,
        held_out: Callable[[], dict[str, float]] | None,
        every: tuple[int, int],
        tokens_per_step: int,
        bar: tqdm,
    ) -> None:
        self.held_out, self.tokens_per_step, self.bar = held_out, tokens_per_step, bar
        self.evaluate_every, self.checkpoint_every = every
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
        evaluates = last or step % self.evaluate_every == 0
        if evaluates or step % max(1, state.max_steps // 100) == 0:
            self._row(step, evaluates)
        wants_stop = bool(self.stop and self.stop())
        if args.world_size > 1:
            flags = self.trainer.accelerator.gather(torch.tensor([wants_stop], device=args.device))
            wants_stop = bool(flags.any())
        control.should_training_stop = wants_stop or last
        control.should_save = not last and (wants_stop or step % self.checkpoint_every == 0)

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
    held_out: Sequence[Example],
    folder: Path,
    settings: dict[str, Any],
    every: tuple[int, int],
    log: Callable[[dict[str, float]], None] | None,
    stop: Callable[[], bool] | None,
    lora: Lora | None,
) -> History:
    """Train from the newest whole checkpoint in `folder`, or from the start; `every`: steps to evaluate, to
    checkpoint.
    """
    arguments = _arguments(folder, settings, model)
    if arguments.world_size != world_size():
        raise UserError(
            f"{world_size()} processes were started but {arguments.world_size} train: use torchrun."
        )
    rows_per_step = settings["batch_size"] * settings["gradient_accumulation"]
    checkpoint, rows = _newest(folder)

    def measure() -> dict[str, float]:
        found = loss(model, tokenizer, held_out, settings["context"])
        return {"held_out_nats": found.nats_per_token, "held_out_bits_per_byte": found.bits_per_byte}

    main = arguments.process_index == 0
    quiet = not main or os.environ.get("TQDM_DISABLE") == "1"  # tqdm itself reads it only when imported
    with (
        tqdm(total=settings["steps"], unit="step", desc="train", disable=quiet) as bar,
        adapted(model, lora, settings["seed"]) as learner,
    ):
        watch = _Watch(measure if len(held_out) else None, every, rows_per_step * settings["context"], bar)
        trainer = _Trainer(
            settings["precision"] == "bf16",
            tells_documents_apart(model),
            folder,
            rows,
            model=learner,
            args=arguments,
            train_dataset=Order(len(blocks.ids), settings["steps"] * rows_per_step, settings["seed"]),
            data_collator=lambda places: _tensors(blocks, places),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        watch.trainer, watch.log, watch.stop = trainer, log, stop
        if main:
            _write_start(folder, settings)
        with _attention(model, settings["context"]):
            trainer.train(resume_from_checkpoint=checkpoint)
        finished = trainer.state.global_step == settings["steps"]
        if finished and lora:
            learner.merge_adapter()
    model.eval()
    if finished and main:
        with replacing(folder) as new, without_bars():
            model.save_pretrained(new)
            tokenizer.save_pretrained(new)
            write_json(new / SETTINGS, {"settings": settings, "finished": True, "rows": rows})
    trainer.accelerator.wait_for_everyone()
    return History(rows, finished)


@contextmanager
def _attention(model: PreTrainedModel, context: int) -> Iterator[None]:
    """On the CPU, plain attention for short rows: its backward pass is twice as fast as the fused one."""
    usual = model.config._attn_implementation
    if model.device.type == "cpu" and context <= 512:
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def _arguments(folder: Path, settings: dict[str, Any], model: PreTrainedModel) -> TrainingArguments:
    device = model.device.type
    schedules = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
    if settings["schedule"] not in schedules:
        raise UserError(f"schedule={settings['schedule']!r} is not one of {', '.join(schedules)}.")
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings["steps"],
        per_device_train_batch_size=settings["batch_size"] // world_size(),
        gradient_accumulation_steps=settings["gradient_accumulation"],
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=schedules[settings["schedule"]],
        warmup_steps=settings["warmup"],
        weight_decay=0.1,
        adam_beta2=0.95,
        optim="adamw_torch_fused",
        seed=settings["seed"],
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and world_size() > 1 else None,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=device != "cpu",
        use_cache=getattr(model.config, "use_cache", True),  # the Trainer writes it into the configuration
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
    )
    arguments._n_gpu = min(
        1, arguments.n_gpu
    )  # several GPUs only under torchrun: DataParallel would change the batch
    return arguments


def _tensors(blocks: Blocks, places: list[int]) -> dict[str, Tensor]:
    ids, targets, positions = (
        torch.from_numpy(part[places]).long() for part in (blocks.ids, blocks.targets, blocks.positions)
    )
    return {"input_ids": ids, "position_ids": positions, "labels": targets, "shift_labels": targets}


def _newest(folder: Path) -> tuple[str | None, list[dict[str, float]]]:
    whole = [place for place in folder.glob("checkpoint-*") if (place / ROWS).exists()]
    if not whole:
        return None, []
    newest = max(whole, key=lambda place: int(place.name.rpartition("-")[2]))
    return str(newest), json.loads((newest / ROWS).read_text())


def _write_start(folder: Path, settings: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS, {"settings": settings, "finished": False, "rows": []})
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another folder.") from error
