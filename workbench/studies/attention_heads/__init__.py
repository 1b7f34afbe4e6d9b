"""03: attention heads of tiny models."""
