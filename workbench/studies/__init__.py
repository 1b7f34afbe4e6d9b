"""One file per study: the published method, step by step."""
