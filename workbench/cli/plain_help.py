"""Help that says what an option takes in words, and nothing where it is a switch."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

_WORDS = {
    "<int>": "N",
    "<int range>": "N",
    "<float>": "NUMBER",
    "<float range>": "NUMBER",
    "<str>": "TEXT",
    "<list[str]>": "TEXT",
    "<path>": "PATH",
}


class PlainCommand(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, those of --help included."""
        return [_in_words(param, ctx) for param in super().get_params(ctx)]


class PlainGroup(TyperGroup):
    """The commands together."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Their common parameters, those of --help included."""
        return [_in_words(param, ctx) for param in super().get_params(ctx)]


def _in_words(param: Any, ctx: Any) -> Any:
    if param.param_type_name == "argument":
        param.display_type = lambda ctx: ""  # its name says what it is
    elif getattr(param, "is_flag", False):
        param.metavar = ""
    elif param.metavar is None:
        param.metavar = _WORDS.get(param.display_type(ctx))
    return param
