"""Samplers: transformers, vLLM, servers; decoding and scoring."""
