"""01: making a corpus (TinyStories)."""
