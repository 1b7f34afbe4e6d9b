"""What a training leaves in its folder: checkpoints that are whole or not there, the model at the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engine.loading import without_bars, write
from workbench.errors import UserError
from workbench.files import atomic_folder, sync, write_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, Trainer
else:
    Trainer = object  # the classes that mix it in bring it, and it takes seconds to import

SETTINGS = "training.json"  # in the folder of a training, with its history once it is finished
ROWS = "history.json"  # written last: a checkpoint without it is half written


def load_if_finished(
    folder: Path, settings: dict[str, Any], model: PreTrainedModel
) -> list[dict[str, float]] | None:
    """The history of a finished training, whose weights are loaded; None if it is none, or half done."""
    if folder.exists() and not (folder / SETTINGS).exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files: choose an empty folder to train in.")
    if not (folder / SETTINGS).exists():
        return None
    try:
        saved = json.loads((folder / SETTINGS).read_text())
        before, finished, rows = (saved[key] for key in ("settings", "finished", "rows"))
        differing = sorted(key for key in settings if before.get(key) != settings[key])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, error) from error
    if differing:
        raise UserError(
            f"{folder} holds a training with other {', '.join(differing)}: delete it or choose another."
        )
    if not finished:
        return None
    load_weights(model, folder)
    return rows


def is_finished(folder: Path) -> bool:
    """Whether a training came to its end in a folder; what cannot be read has not."""
    try:
        return json.loads((folder / SETTINGS).read_text())["finished"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_weights(model: PreTrainedModel, folder: str | Path) -> None:
    """Give a model the fp32 weights saved in a folder, where some families have other names for them."""
    try:
        json.loads((Path(folder) / "config.json").read_text())  # without it there would be a model of 7B
        with without_bars():
            saved = type(model).from_pretrained(folder, local_files_only=True)
        model.float().load_state_dict(saved.state_dict())
    except Exception as error:  # safetensors, torch, json and the system have a class each
        raise damaged(Path(folder), error) from error


def damaged(folder: Path, error: Exception) -> UserError:
    """What there is to say of files in a folder that cannot be read as they were written."""
    reason = " ".join(str(error).split())[:100] or type(error).__name__
    return UserError(f"{folder} is damaged ({reason}): delete it and run again.")


def describe(model: PreTrainedModel) -> dict[str, Any]:
    """A model's configuration without what loading, training and saving set in it."""
    passing = ("_name_or_path", "architectures", "dtype", "bos_token_id", "eos_token_id", "pad_token_id")
    settings = json.loads(model.config.to_json_string(use_diff=False))
    return {key: value for key, value in settings.items() if key not in passing}


def latest_checkpoint(folder: Path) -> tuple[str | None, list[dict[str, float]]]:
    """The newest whole checkpoint in a folder and the history up to it."""
    whole = [checkpoint for checkpoint in folder.glob("checkpoint-*") if (checkpoint / ROWS).exists()]
    if not whole:
        return None, []
    last = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]))
    try:
        return str(last), json.loads((last / ROWS).read_text())
    except (OSError, ValueError) as error:
        raise damaged(last, error) from error


def save_finished(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    settings: dict[str, Any],
    rows: list[dict[str, float]],
) -> None:
    """Put the trained model and its history in the place of the checkpoints."""
    with atomic_folder(folder) as new, without_bars():
        write(model, tokenizer, new)
        write_json(new / SETTINGS, {"settings": settings, "finished": True, "rows": rows})


def diverged(folder: Path, what: str) -> UserError:
    """What there is to say of a training for which `what` is true."""
    last, _ = latest_checkpoint(folder)
    kept = f"; {Path(last).name} is the last that is sound" if last else ""
    return UserError(
        f"The training in {folder} has diverged: {what}{kept}. Delete the folder and run "
        "again with a lower learning rate, or look for broken examples."
    )


def check_finite(model: torch.nn.Module, folder: Path) -> None:
    """Refuse to keep weights that are not numbers.

    Raises:
        UserError: one is not.
    """
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise diverged(folder, "its weights are no longer numbers")


class WholeCheckpoints(Trainer):
    """Of a transformers `Trainer` that has a `folder` and the `rows` of its history."""

    model: torch.nn.Module

    def __init__(self, folder: Path, rows: list[dict[str, float]], **options: Any) -> None:
        super().__init__(**options)
        self.folder, self.rows = folder, rows

    def floating_point_ops(self, inputs: dict[str, torch.Tensor]) -> int:
        return 0  # the Trainer would count the model's parameters at every step

    def keep(self, checkpoint: Path) -> None:
        """Write what else a checkpoint has to hold."""

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        from transformers import PreTrainedModel

        if isinstance(self.model, PreTrainedModel):
            # The Trainer passes over weights of another name.
            load_weights(self.model, resume_from_checkpoint)
        else:  # an adapter
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _save_checkpoint(self, model: torch.nn.Module, trial: None) -> None:
        checkpoint = self.folder / f"checkpoint-{self.state.global_step}"
        check_finite(self.model, self.folder)
        try:
            with without_bars():
                super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                self.keep(checkpoint)
                sync(checkpoint)
                write_json(checkpoint / ROWS, self.rows)
                for other in self.folder.glob("checkpoint-*"):
                    if other != checkpoint:
                        shutil.rmtree(other)
        except Exception as error:  # safetensors, torch and the system have a class each for a full disk
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise UserError(
                f"Checkpoint {self.state.global_step} could not be written to {self.folder} ({error}): "
                "make room and run again, it goes on from the checkpoint before."
            ) from error
