"""Training of language models: loop, loss, packing, checkpoints, LoRA."""
