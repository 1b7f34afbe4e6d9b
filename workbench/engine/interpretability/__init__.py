"""Read, ablate, patch and attribute what a model computes inside."""
