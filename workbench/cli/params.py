"""The command `workbench params`: what a notebook can be told, and what it takes where it is told nothing."""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from rich.table import Table
from rich.text import Text

from workbench.cli.console import err, out
from workbench.cli.options import NOTEBOOK
from workbench.errors import UserError, reason
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from workbench.lab.project import Notebook

_KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list"}
_PLURAL = ("whole number", "number", "text")
_LIMITS = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "{} or less"}
_LARGEST = 2**31  # a limit of seeds that nobody comes near
_BY_PROFILE = re.compile(r" ?\(None: the profile's\)$")


def params(notebook: Annotated[str, NOTEBOOK]) -> None:
    """List a notebook's parameters: what each means and takes, its default, and its size in each profile."""
    from workbench.lab import project
    from workbench.lab.defaults import text

    study = project.find_notebook(project.find_root(), notebook)
    fields = study.model.model_fields
    title = sanitize(study.metadata.get("title", ""), 200)
    out.print(Text.assemble((study.name, "bold"), f"  {title}"))
    if not fields:
        out.print("It has no parameters: none of its cells has the tag parameters.")
        return
    grid = Table.grid(padding=(0, 2))
    for name, field in fields.items():
        meaning, by_profile = _BY_PROFILE.subn("", field.description or "")
        meaning = sanitize(meaning, 300)
        default = "the profile's, below" if by_profile else sanitize(text(field.default), 200)
        about = Text(f"{takes(field)}; default {default or '(empty)'}", style="dim")
        grid.add_row(Text(name, style="bold"), Text(f"{meaning}\n" if meaning else "").append_text(about))
    out.print("", grid, sep="\n")
    became = _became(study, _profiles(fields))  # after what needs no waiting
    if became and any(field.default is None for field in fields.values()):
        _print_profiles(became)
    _print_examples(study, became)


def takes(field: "FieldInfo") -> str:
    """What a parameter takes, in words: whole number, 0 or more; quick, laptop or paper; true or false."""
    return _in_words(field.annotation, field.metadata)


def _in_words(kind: Any, limits: Any = ()) -> str:
    if get_origin(kind) is Literal:
        *others, last = [str(choice) for choice in get_args(kind) if choice is not None]
        return f"{', '.join(others)} or {last}" if others else last
    if get_origin(kind) is Annotated:
        return _in_words(get_args(kind)[0], get_args(kind)[1:])
    if get_origin(kind) is list:
        inner = _in_words(get_args(kind)[0])
        return f"list of {inner}{'s' if inner in _PLURAL else ''}"
    if kind in _KINDS:
        bounds = [
            words.format(bound)
            for limit in limits
            for name, words in _LIMITS.items()
            if (bound := getattr(limit, name, None)) is not None and bound != _LARGEST
        ]
        return ", ".join([_KINDS[kind], *bounds])
    return " or ".join(_in_words(one, limits) for one in get_args(kind) if one is not NoneType)


def _profiles(fields: "Mapping[str, FieldInfo]") -> list[str]:
    if "profile" not in fields:
        return []
    choices = get_args(fields["profile"].annotation)
    return [str(choice) for choice in choices] or [str(fields["profile"].default)]


def _became(study: "Notebook", profiles: list[str]) -> dict[str, dict[str, Any]]:
    """By profile, what the study makes of the parameters that are left open."""
    from workbench.lab.defaults import defaults
    from workbench.lab.params import check

    became = {}
    # The study's modules import torch.
    with err.status("Reading the study's sizes") if err.is_terminal else nullcontext():
        for profile in profiles:
            try:
                became[profile] = defaults(study, check(study.model, {"profile": profile}, study.name))
            except Exception as error:  # the user's own study may break in any way
                kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                said = sanitize(f"{kind}{reason(error)}", 200)
                err.print(Text(f"What {profile} makes of them is not known: {said}", style="yellow"))
    return became


def _print_profiles(became: Mapping[str, Mapping[str, Any]]) -> None:
    """What the profiles make of parameters that are left open."""
    from workbench.lab.defaults import amount

    names = dict.fromkeys(name for values in became.values() for name in values)
    if not names:
        out.print(
            Text("\nIts study does not say what the profiles set (see defaults.py in CONTRIBUTING).", "dim")
        )
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("if left open", no_wrap=True)
    for profile in became:
        table.add_column(profile, justify="right", overflow="fold")
    for name in names:
        cells = [sanitize(amount(values[name]), 60) if name in values else "–" for values in became.values()]
        table.add_row(Text(name, style="bold"), *cells)
    out.print("", table, sep="\n")


def _print_examples(study: "Notebook", became: Mapping[str, Mapping[str, Any]]) -> None:
    fields = study.model.model_fields
    default = became.get(fields["profile"].default, {}) if "profile" in fields else {}
    sizes = {name: 2 * value for name, value in default.items() if type(value) is int and name != "seeds"}
    seeds = {"seed": 1} if "seed" in fields else {}
    chosen = dict([*list(sizes.items())[:1], *seeds.items()])
    words = " ".join(f"-p {name}={value}" for name, value in chosen.items())
    command = f"workbench run {study.name}"
    out.print(Text.assemble("\nFor example: ", (f"{command} {words}".rstrip(), "bold")), soft_wrap=True)
    if chosen:
        lines = " and ".join(f"`{name}: {value}`" for name, value in chosen.items())
        lines = f"a line {lines}" if len(chosen) == 1 else f"the lines {lines}"
        out.print(Text(f"From a file: {command} -P params.yaml, with {lines}", "dim"), soft_wrap=True)
