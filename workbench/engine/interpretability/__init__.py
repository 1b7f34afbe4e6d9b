"""A model's inside: read, change, patch, attribute."""
