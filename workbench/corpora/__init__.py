"""Text with known ground truth, and loaders for the real thing."""
