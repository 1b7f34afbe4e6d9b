"""The one exception that is the user's to mend."""


class UserError(Exception):
    """A mistake or a missing thing on the user's side; the message is one sentence that says what to do.

    The command line prints the message alone and exits with code 2.
    """
