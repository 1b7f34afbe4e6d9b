"""The one exception that is the user's to mend, and parts of its sentence."""

import difflib
from collections.abc import Collection, Iterable


class UserError(Exception):
    """A mistake or a missing thing on the user's side; the message is one sentence that says what to do.

    The command line prints the message alone and exits with code 2; a notebook's cell shows it alone, in red.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"\x1b[31m{self}\x1b[0m"]  # asked for by IPython, in place of the traceback


def reason(error: object, most: int = 300) -> str:
    """What an error of a library says, on one line of a message; its class where it says nothing."""
    return " ".join(str(error).split())[:most].rstrip(". ") or type(error).__name__


def nearest(name: str, names: Iterable[str], least: float = 0.6) -> str | None:
    """The most similar of some names, whatever their case; None where none is near.

    Args:
        name: that was given.
        names: that there are.
        least: similarity that is near, from 0 to 1 (difflib's ratio).
    """
    spelled = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.strip().lower(), spelled, n=1, cutoff=least)
    return spelled[close[0]] if close else None


def choices(name: str, names: Collection[str], between: str = ", ") -> str:
    """The end of a message about a name that is not among `names`: the near one if there is, and all."""
    near, listed = nearest(name, names), between.join(names)
    return f"did you mean {near!r}? There are {listed}" if near else f"choose among {listed}"
