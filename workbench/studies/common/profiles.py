"""What a profile is for."""

from typing import Any

from workbench.engine.models import SHAPES
from workbench.errors import UserError

REAL = "real-laptop"
LADDER = ("ladder", *SHAPES)
"""What names models that 02_tiny_models trains: all of them, or one preset."""


def is_ladder(model: str) -> bool:
    """Whether `model` asks for training: the ladder or one preset."""
    return model in LADDER


def check_given(params: Any, *, given: bool, give: str = "model=FOLDER or a hub id") -> None:
    """Whether `profile=real-laptop` has a model to look at.

    Args:
        params: a notebook's.
        given: whether the model is one that the user brings, none that the workbench trains or brings along.
        give: how that is done.

    Raises:
        UserError: it is not.
    """
    if params.profile == REAL and not given:
        raise UserError(f"profile={REAL} looks into a model of yours: give {give}, or take profile=laptop.")


def check_untrained(params: Any, *names: str) -> None:
    """Refuses parameters about trainings where the model is given, and so not trained here.

    Raises:
        UserError: one is set.
    """
    for name in names:
        if getattr(params, name):
            raise UserError(
                f"{name} is about trainings, and model={params.model} is not trained here: leave {name} out."
            )
