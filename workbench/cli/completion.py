"""What the shell completes behind a command: notebooks, runs, parameters. It never complains."""

from collections.abc import Iterator
from contextlib import suppress

import typer


def notebooks(incomplete: str) -> list[str]:
    """The project's notebooks whose names begin so, or what follows their numbers."""
    from workbench.lab import project

    with suppress(Exception):  # outside a project there is nothing to complete
        names = [path.stem for path in project.notebook_paths(project.find_root())]
        if incomplete[:1].isalpha():
            names += [name.partition("_")[2] for name in names]
        return [name for name in names if name.startswith(incomplete)]
    return []


def runs(incomplete: str) -> list[str]:
    """Notebooks that have runs, and once one is named its runs, the newest first."""
    from workbench.lab import history, project

    with suppress(Exception):
        folders = history.all_runs(project.runs_folder())
        if "/" in incomplete:
            names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
        else:
            names = list(dict.fromkeys(folder.parent.name for folder in folders))
            names += [folder.name for folder in folders if incomplete]
        return [name for name in names if name.startswith(incomplete)]
    return []


def parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Parameters of the notebooks named before, each with its =; behind that, the words it may be."""
    with suppress(Exception):
        return [text for text in _parameters(ctx) if text.startswith(incomplete)]
    return []


def _parameters(ctx: typer.Context) -> Iterator[str]:
    from typing import get_args

    from workbench.errors import UserError
    from workbench.lab import project

    named = [*(ctx.params.get("notebooks") or ()), ctx.params.get("notebook"), *ctx.args]
    root = project.find_root()
    fields = {}
    for name in filter(None, named):
        with suppress(UserError):
            fields |= project.find_notebook(root, name).model.model_fields
    for name, field in fields.items():
        choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
        if field.annotation is bool:
            choices = ["true", "false"]
        yield f"{name}="
        yield from (f"{name}={choice}" for choice in choices)
