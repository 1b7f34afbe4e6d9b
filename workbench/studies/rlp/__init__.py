"""11: reinforcement as a pre-training objective (RLP)."""
