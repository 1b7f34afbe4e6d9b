"""Where the command line writes: results to one, mistakes to the other."""

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
