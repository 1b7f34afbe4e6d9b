"""Natural-language inference: the probability that one text entails another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.loading import is_offline, pick_device, without_bars
from workbench.errors import UserError

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

        options = {"local_files_only": is_offline(source), "trust_remote_code": False}
        try:
            with without_bars():
                self.tokenizer = AutoTokenizer.from_pretrained(source, **options)
                model = AutoModelForSequenceClassification.from_pretrained(
                    source, use_safetensors=True, **options
                )
        except Exception as error:  # transformers raises OSError, ValueError and safetensors errors alike
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"The inference model {source!r} cannot be loaded: {first}") from error
        self.model: PreTrainedModel = model.to(pick_device(device)).eval()
        labels = {name.lower(): int(number) for number, name in self.model.config.id2label.items()}
        self.label = next((labels[name] for name in labels if name.startswith("entail")), None)
        if self.label is None:
            raise UserError(
                f"The model {source!r} knows no entailment: its labels are {', '.join(labels) or 'none'}."
            )

    def scores(self, premises: Sequence[str], hypotheses: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Probability that each premise entails the hypothesis at its side, float `[pairs]`.

        Texts too long for the model lose their end.
        """
        import torch

        scores = np.zeros(len(premises))
        order = np.argsort([len(a) + len(b) for a, b in zip(premises, hypotheses, strict=True)])
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                part = order[start : start + batch_size]
                pairs = [premises[i] for i in part], [hypotheses[i] for i in part]
                inputs = self.tokenizer(*pairs, padding=True, truncation=True, return_tensors="pt")
                logits = self.model(**inputs.to(self.model.device)).logits.float()
                scores[part] = logits.softmax(-1)[:, self.label].cpu().numpy()
        return scores
