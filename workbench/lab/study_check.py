"""What a study says of its parameters before anything runs.

A notebook's metadata may name a module with a function `check(params)`: it raises a `UserError` for what the
notebook would refuse or stumble over later. It is imported by that name, so that the lab knows no study, and
it is no part of a run's key, since it changes no result.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError, reason
from workbench.lab.params import check
from workbench.lab.project import Notebook, needs

if TYPE_CHECKING:
    from pydantic import BaseModel


def check_values(notebook: Notebook, values: Mapping[str, Any], above: tuple[str, ...] = ()) -> None:
    """`check_study` of a run and of those that it needs, before a digest is made of what they read.

    Args:
        values: Of the parameters that are given, of the right types.
        above: The notebooks that led here: `plan` says what is wrong with a circle.

    Raises:
        UserError: As `check_study`, or a parameter is unknown or invalid.
    """
    params = check(notebook.model, values, notebook.name)
    check_study(notebook, params)
    if notebook.name not in above:
        for upstream, shared in needs(notebook, params):
            check_values(upstream, shared, (*above, notebook.name))


def check_study(notebook: Notebook, params: "BaseModel") -> None:
    """Let a notebook's study look at the parameters of a run: values, files, labels, what goes together.

    Raises:
        UserError: The study refuses them; or the module is not there, does not import, or breaks.
    """
    name = notebook.metadata.get("check")
    if name is None:
        return
    try:
        with notebook.importable():
            importlib.import_module(str(name)).check(params)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{notebook.name}: its check, {name}, breaks with {type(error).__name__} ({reason(error, 200)}): "
            'mend it, or take "check" out of the notebook\'s metadata.'
        ) from error
