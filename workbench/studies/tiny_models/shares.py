"""Which share of the stories is held out, so that no model reads it."""


def held_out_share(n: int, given: bool) -> float:
    """Of n stories; more of few where nothing is trained, since the model is `given`."""
    return min(0.5 if given else 0.05, 400 / n)
