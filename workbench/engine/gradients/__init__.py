"""Gradients of single examples: sketch them, keep them in shards, cluster them."""
