"""What touches tensors: models, training, generation."""
