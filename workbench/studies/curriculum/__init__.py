"""06: what to read, and in which order."""
