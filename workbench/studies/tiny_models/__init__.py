"""02: a ladder of tiny models (TinyStories)."""
