"""The one exception that is the user's to mend, and what another one says."""


class UserError(Exception):
    """A mistake or a missing thing on the user's side; the message is one sentence that says what to do.

    The command line prints the message alone and exits with code 2; a notebook's cell shows it alone, in red.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"\x1b[31m{self}\x1b[0m"]  # asked for by IPython, in place of the traceback


def reason(error: object, most: int = 300) -> str:
    """What an error of a library says, on one line of a message; its class where it says nothing."""
    return " ".join(str(error).split())[:most].rstrip(". ") or type(error).__name__
