"""A run as one HTML page, and the index of all."""
