"""How a notebook becomes a run, and a run a report."""
