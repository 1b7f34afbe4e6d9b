"""The language model's `Trainer`: what a batch is, and its loss.

Imported where a training starts, because transformers' `Trainer` alone takes seconds to import.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Trainer

from workbench.engine.training.checkpoints import WholeCheckpoints
from workbench.engine.training.packing import IGNORED, Blocks, separated
from workbench.errors import UserError


class LanguageTrainer(WholeCheckpoints, Trainer):
    """Autocast and loss of our own: accelerate's autocast copies the logits once more."""

    loss_is_scaled_for_ga = True

    def __init__(self, bf16: bool, blocks: Blocks, packed: bool, alone: bool, **options: Any) -> None:
        """The trainer of rows laid out in `blocks`.

        Args:
            bf16: autocasts.
            packed: the model keeps the documents of a row apart.
            alone: it reads a row in another way beside a longer one.
        """
        super().__init__(data_collator=partial(_batch, blocks, packed), **options)
        self.model_accepts_loss_kwargs = True  # so that the learnt tokens of a whole step are counted
        self.bf16, self.packed, self.alone = bf16, packed, alone
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
        passes = _single_rows(inputs) if self.alone else [inputs]
        first, *others = [self._nats(model, part) for part in passes]
        nats = sum(others, first)
        assert self.optimizer is not None
        assert num_items_in_batch is not None
        self.sums += torch.stack((nats.detach(), (targets != IGNORED).sum()))
        self.rate = self.optimizer.param_groups[0]["lr"]
        # Times the processes, because their gradients will be averaged.
        return nats / num_items_in_batch * self.args.world_size

    def _nats(self, model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        targets = inputs["shift_labels"]
        options = {"position_ids": inputs["position_ids"]} if self.packed else {}
        try:
            with torch.autocast(targets.device.type, torch.bfloat16, enabled=self.bf16):
                logits = model(input_ids=inputs["input_ids"], use_cache=False, **options).logits
        except (AssertionError, TypeError, ValueError) as error:  # whatever a family's own code raises
            reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
            raise UserError(f"{type(model).__name__} cannot be trained here: {reason}.") from error
        return F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )


def _batch(blocks: Blocks, packed: bool, rows: list[int]) -> dict[str, Tensor]:
    """Rows as they are, or their documents one by one where the model would not keep them apart."""
    chosen = Blocks(blocks.ids[rows], blocks.targets[rows], blocks.positions[rows])
    chosen = chosen if packed else separated(chosen)
    ids, targets, positions = (
        torch.from_numpy(part).long() for part in (chosen.ids, chosen.targets, chosen.positions)
    )
    return {"input_ids": ids, "position_ids": positions, "labels": targets, "shift_labels": targets}


def _single_rows(inputs: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The rows of a batch of single documents, each without its padding."""
    for row, targets in enumerate(inputs["shift_labels"]):
        length = int(torch.nonzero(targets != IGNORED)[-1:].sum()) + 1
        yield {name: values[row : row + 1, :length] for name, values in inputs.items()}
