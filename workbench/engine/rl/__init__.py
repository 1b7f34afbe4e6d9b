"""Reinforcement learning of language models: GRPO and its relatives."""
