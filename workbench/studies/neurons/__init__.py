"""04: neurons of tiny models."""
