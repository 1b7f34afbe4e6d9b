"""Natural-language inference: the probability that one text entails another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.checks import check_vocabulary, check_weights
from workbench.engine.loading import is_offline, pick_device, without_bars
from workbench.engine.model_files import check_names
from workbench.engine.models import context_length, n_rows, text_config
from workbench.engine.sampling.scoring import not_a_number
from workbench.engine.tokens import check_texts
from workbench.errors import UserError, reason

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Entailment:
    """A sequence classifier of pairs of texts, one of whose labels is entailment."""

    def __init__(self, source: str, device: str = "auto") -> None:
        """`source`: a folder or hub id; `device`: see `loading.load`.

        Raises:
            UserError: nothing loadable is there, or it has no label of entailment.
        """
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        device = pick_device(device)
        options = {"local_files_only": is_offline(source), "trust_remote_code": False}
        try:
            with without_bars():
                self.tokenizer = AutoTokenizer.from_pretrained(source, **options)
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    source, use_safetensors=True, output_loading_info=True, **options
                )
        except Exception as error:  # transformers raises OSError, ValueError and safetensors errors alike
            raise UserError(f"The inference model {source!r} cannot be loaded: {reason(error)}.") from error
        check_names(source, report | {"unexpected_keys": []})  # such models leave out a pooler that they had
        check_vocabulary(self.tokenizer, n_rows(model))
        check_weights(model)
        self.model: PreTrainedModel = model.to(device).eval()
        self.longest = min(context_length(model), self.tokenizer.model_max_length)
        if self.tokenizer.pad_token is not None and text_config(model).pad_token_id is None:
            text_config(model).pad_token_id = self.tokenizer.pad_token_id
        named = self.model.config.id2label or {}
        labels = {name.lower(): int(number) for number, name in named.items()}
        self.label = next((labels[name] for name in labels if name.startswith("entail")), None)
        if self.label is None:
            raise UserError(
                f"The model {source!r} knows no entailment: its labels are {', '.join(labels) or 'none'}."
            )

    def scores(self, premises: Sequence[str], hypotheses: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Probability that each premise entails the hypothesis at its side, float `[pairs]`.

        Of pairs too long for the model the longer text loses its end.

        Raises:
            UserError: as `tokens.check_texts`, or what the model computes is not a number.
        """
        import torch

        check_texts([*premises, *hypotheses])
        if self.tokenizer.pad_token is None:
            batch_size = 1
        options = {"padding": batch_size > 1, "truncation": True, "max_length": self.longest}
        scores = np.zeros(len(premises))
        order = np.argsort([len(a) + len(b) for a, b in zip(premises, hypotheses, strict=True)])
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                part = order[start : start + batch_size]
                pairs = [premises[i] for i in part], [hypotheses[i] for i in part]
                inputs = self.tokenizer(*pairs, return_tensors="pt", **options)
                logits = self.model(**inputs.to(self.model.device)).logits.float()
                scores[part] = logits.softmax(-1)[:, self.label].cpu().numpy()
        if np.isnan(scores).any():
            raise not_a_number(self.model)
        return scores
