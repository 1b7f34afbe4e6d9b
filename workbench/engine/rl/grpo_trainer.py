"""trl's `GRPOTrainer` with our sampler, rewards, advantages and checkpoints; the losses are its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from trl import GRPOTrainer

from workbench.engine.batches import padded
from workbench.engine.models import evaluating
from workbench.engine.rl.objective import Objective, RLConfig, Row, SupervisedTail, group_advantages
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.training.checkpoints import WholeCheckpoints
from workbench.errors import UserError

STATE = "objective.pt"  # in a checkpoint: what the objective and the reference have become


class PolicyTrainer(WholeCheckpoints, GRPOTrainer):
    """Draws and judges completions; the losses are trl's."""

    takes_positions = False  # these three: of the model, as `traits` and its signature say
    ignores_batch_mates = True
    spares_logits = True
    processing_class: PreTrainedTokenizerFast
    ref_model: torch.nn.Module | None

    def __init__(
        self,
        config: RLConfig,
        objective: Objective,
        sampler: Sampler,
        examples: Sequence[Row],
        **options: Any,
    ) -> None:
        super().__init__(reward_funcs=lambda **_: None, **options)  # trl wants one, but never asks ours
        self.config, self.objective, self.sampler, self.examples = config, objective, sampler, examples
        self.metrics_of_step: dict[str, float] = {}

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *args: Any, **options: Any) -> None:
        """No file beside the model's."""

    def _generate_and_score_completions(self, inputs: list[int]) -> dict[str, Tensor]:
        """A batch as `_compute_loss` wants it, from row numbers, each as often as it has completions."""
        rows = [self.examples[index] for index in inputs]
        with torch.no_grad(), evaluating(self.model):
            completions = self._sample([row["prompt"] for row in rows[:: self.config.group_size]])
            rewards = self._rewards(completions, rows).view(-1, self.config.group_size)
            tails = (
                self.objective.supervised_tails(completions, rows) if self.objective.aux_loss_weight else None
            )
            batch = self._tensors(completions, rows, tails)
            if self.config.temperature != 1 and self.config.num_iterations > 1:
                batch["old_per_token_logps"] = self._logps(self.model, batch)
            if self.beta:
                batch["ref_per_token_logps"] = self._reference_logps(batch)
        advantages = self.objective.advantages(rewards)
        if advantages is None:
            advantages = self._advantages(rewards)
        batch["advantages"] = advantages.flatten().float().to(self.args.device)
        self._note(rewards, completions, batch)
        return batch

    def _sample(self, prompts: list[str]) -> list[Completion]:
        """`group_size` completions of each prompt, in order; the draws depend on seed and step alone."""
        config, seeds = self.config, (self.args.seed, self.state.global_step, self.args.process_index)
        groups = self.sampler.sample(
            prompts,
            SamplingParams(
                n=config.group_size,
                max_tokens=config.max_new_tokens,
                temperature=config.temperature,
                stop=config.stop,
                seed=int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]),
            ),
        )
        completions = [completion for group in groups for completion in group]
        if any(len(c.tokens) != len(c.logprobs) or not c.tokens for c in completions):
            raise UserError(
                "The sampler returns no tokens with their log-probabilities, which learning needs: "
                "choose one that does."
            )
        return completions

    def _rewards(self, completions: list[Completion], rows: list[Row]) -> Tensor:
        name = getattr(self.objective._reward, "__name__", type(self.objective).__name__)
        try:
            rewards = self.objective.reward(completions, rows)
            rewards = torch.as_tensor(rewards, dtype=torch.float64).cpu()
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"The reward {name} raised {type(error).__name__}: {error}") from error
        if rewards.shape != (len(completions),):
            raise UserError(
                f"The reward {name} returned numbers of shape {list(rewards.shape)} for {len(completions)} "
                "completions: return one each."
            )
        wrong = torch.nonzero(~rewards.isfinite())[:, 0].tolist()
        if wrong:
            raise UserError(
                f"The reward {name} is {rewards[wrong[0]]} for {completions[wrong[0]].text[:40]!r} after "
                f"{rows[wrong[0]]['prompt'][-40:]!r}: return a finite number."
            )
        return rewards

    def _advantages(self, rewards: Tensor) -> Tensor:
        if self.config.scale != "batch":
            return group_advantages(rewards, self.config.scale)
        everywhere = self.accelerator.gather(rewards.float().to(self.args.device))
        return group_advantages(rewards) / (everywhere.std().cpu() + 1e-4)

    def _tensors(
        self, completions: list[Completion], rows: list[Row], tails: list[SupervisedTail] | None
    ) -> dict[str, Tensor]:
        """Prompts padded on the left, what follows on the right; only drawn tokens are in `tool_mask`."""
        group = self.config.group_size
        prompts = prompt_tokens(self.processing_class, [row["prompt"] for row in rows[::group]])
        prompts = [ids for ids in prompts for _ in range(group)]
        after = tails or [SupervisedTail([], [])] * len(rows)
        ids = [c.tokens + tail.context + tail.target for c, tail in zip(completions, after, strict=True)]
        lengths = [len(completion.tokens) for completion in completions]
        batch = {
            "prompt_ids": _pad(prompts, side="left"),
            "prompt_mask": _pad([[1] * len(row) for row in prompts], side="left"),
            "completion_ids": _pad(ids),
            "completion_mask": _pad([[1] * len(row) for row in ids]),
        }
        width = batch["completion_ids"].shape[1]
        if tails:
            counts = [len(tail.target) for tail in tails]
            targets = [[0] * (len(row) - n) + [1] * n for row, n in zip(ids, counts, strict=True)]
            batch["tool_mask"] = _pad([[1] * length for length in lengths], width)
            batch["tail_mask"] = _pad(targets)
        if self.config.temperature == 1:
            batch["old_per_token_logps"] = _pad([completion.logprobs for completion in completions], width)
        batch = {name: value.to(self.args.device) for name, value in batch.items()}
        count = torch.tensor(sum(lengths), device=self.args.device)
        batch["num_items_in_batch"] = self.accelerator.gather(count).sum()
        return batch

    def _note(self, rewards: Tensor, completions: list[Completion], batch: dict[str, Tensor]) -> None:
        lengths = [len(completion.tokens) for completion in completions]
        metrics = {
            "reward": rewards.mean().item(),
            "reward_spread": rewards.std(1).mean().item(),
            "degenerate_groups": (rewards == rewards[:, :1]).all(1).double().mean().item(),
            "length": float(np.mean(lengths)),
            "truncated": float(np.mean([c.finish_reason == "length" for c in completions])),
        } | self.objective.metrics()
        read = int(batch["prompt_mask"].sum()) + sum(lengths)
        values = torch.tensor([*metrics.values(), read], dtype=torch.float64, device=self.args.device)
        *means, read = self.accelerator.reduce(values, "mean").tolist()
        self.state.num_input_tokens_seen += round(read * self.args.world_size)
        self.metrics_of_step = dict(zip(metrics, means, strict=True))

    def _logps(self, model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
        ids, mask = (
            torch.cat([batch[f"prompt_{part}"], batch[f"completion_{part}"]], 1) for part in ("ids", "mask")
        )
        width, size = batch["completion_ids"].shape[1], self.args.per_device_train_batch_size
        return self._get_per_token_logps_and_entropies(model, ids, mask, width, size)[0]

    def _reference_logps(self, batch: dict[str, Tensor]) -> Tensor:
        if self.ref_model is not None:
            return self._logps(self.ref_model, batch)
        with self.accelerator.unwrap_model(self.model).disable_adapter():
            return self._logps(self.model, batch)

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """As in trl, but quicker where the logits fit, and with positions that padding does not shift."""
        logps, plain, entropies = [], [], []
        for part in torch.arange(len(input_ids)).split(batch_size or len(input_ids)):
            logits = self._logits(model, input_ids[part], attention_mask[part], logits_to_keep + 1)
            wanted = input_ids[part, -logits_to_keep:, None]
            logits = logits[:, :-1].float()
            if self.temperature != 1 and self.objective.aux_loss_weight:
                plain.append(logits.gather(2, wanted)[..., 0] - logits.logsumexp(-1))
            logits = logits / self.temperature if self.temperature != 1 else logits
            total = logits.logsumexp(-1)
            logps.append(logits.gather(2, wanted)[..., 0] - total)
            if compute_entropy:
                with torch.no_grad():
                    entropies.append(total - (torch.softmax(logits, -1) * logits).sum(-1))
        self.logps, self.untempered = torch.cat(logps), torch.cat(plain or logps)
        return self.logps, torch.cat(entropies) if compute_entropy else None, None

    def _logits(self, model: torch.nn.Module, ids: Tensor, mask: Tensor, kept: int) -> Tensor:
        """At the last `kept` places of padded rows `[rows, kept, vocabulary]`."""
        if self.ignores_batch_mates:
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            options = {"position_ids": positions} if self.takes_positions else {}
            return self._read(model, ids, kept, attention_mask=mask, **options)
        rows = []
        for row, there in zip(ids, mask.bool(), strict=True):  # alone, without padding
            begin, end = (int(there.nonzero()[place]) for place in (0, -1))
            logits = self._read(model, row[None, begin : end + 1], min(kept, end + 1 - begin))[0]
            after = len(row) - end - 1
            rows.append(F.pad(logits, (0, 0, max(0, kept - after - len(logits)), after))[-kept:])
        return torch.stack(rows)

    def _read(self, model: torch.nn.Module, ids: Tensor, kept: int, **options: Tensor) -> Tensor:
        spared = {"logits_to_keep": kept} if self.spares_logits else {}
        with self.accelerator.autocast():
            return model(input_ids=ids, use_cache=False, **spared, **options).logits[:, -kept:]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        # Dropout would change the ratios; to trl, training is what the outermost module says.
        for part in self.model.children():
            part.eval()
        for part in self.model.modules():
            # Only a layer that trains is checkpointed; one with a dropout of its own has to do without.
            dropout = getattr(part, "dropout", 0.0)
            drops = isinstance(dropout, float) and dropout > 0
            part.training = part.training or (getattr(part, "gradient_checkpointing", False) and not drops)
        loss = super().compute_loss(model, inputs)
        if "old_per_token_logps" in inputs:
            drawn = inputs.get("tool_mask", inputs["completion_mask"]).bool()
            by = (self.logps.detach() - inputs["old_per_token_logps"])[drawn]
            self._metrics["train"]["moved"].append((by.expm1() - by).mean().item())
        if "tail_mask" in inputs:
            nats = -(self.untempered * inputs["tail_mask"]).sum() / len(self.untempered)
            loss = loss + self.objective.aux_loss_weight * nats / self.current_gradient_accumulation_steps
        return loss

    def keep(self, folder: Path) -> None:
        state = {"objective": self.objective.state_dict()}
        if self.ref_model is not None:
            state["reference"] = self.ref_model.state_dict()
        torch.save(state, folder / STATE)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = torch.load(Path(resume_from_checkpoint) / STATE, map_location=self.args.device)
        self.objective.load_state_dict(state["objective"])
        if self.ref_model is not None:
            self.ref_model.load_state_dict(state["reference"])


def _pad(rows: list[list[Any]], width: int = 0, side: str = "right") -> Tensor:
    """Rows filled with zeros to the longest one, and on the right to at least `width`."""
    table = padded(rows, side=side)
    return F.pad(table, (0, max(0, width - table.shape[1])))
