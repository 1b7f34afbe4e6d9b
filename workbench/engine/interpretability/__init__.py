"""Read, ablate, patch and attribute what a model computes inside.

A `model` is any transformers causal language model that `anatomy` can read.
"""
