"""The parameters cell is the schema: read without running it, checked before a kernel starts."""

import ast
import io
import json
import os
import tokenize
import types
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from workbench.errors import UserError, nearest
from workbench.lab.digests import canonical, digest, digest_path, map_texts
from workbench.sanitize import redact, sanitize
from workbench.sources import located, map_paths, parts_of

_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (int, float, str, bool, list)}
_BOUNDED = ("PositiveInt", "NonNegativeInt", "PositiveFloat", "NonNegativeFloat")
_TYPES |= {name: getattr(pydantic, name) for name in _BOUNDED}
_LIMITS = {"seed": {"ge": 0, "lt": 2**31}, "seeds": {"ge": 1}}  # NumPy and torch take no other seeds
_WORDS = {"true": True, "false": False, "none": None, "null": None}
_CONFIG = ConfigDict(
    extra="forbid",
    frozen=True,
    strict=True,
    validate_default=True,
    protected_namespaces=(),
    allow_inf_nan=False,  # in a key, which is made of JSON, they would be None
)


def model_of(source: str, notebook: str) -> type[BaseModel]:
    """Build the pydantic model that a parameters cell declares.

    Args:
        source: Lines such as `seed: int = 0  # seed of everything random`.
        notebook: Named in messages.

    Raises:
        UserError: The cell is not made of typed names with literal values.
    """
    try:
        statements = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        line = f"line {error.lineno} of " if isinstance(error, SyntaxError) and error.lineno else ""
        raise UserError(f"{notebook}: {line}the parameters cell is not Python.") from error
    comments = {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}
    fields: dict[str, Any] = {}
    for line in statements:
        is_text = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
        if isinstance(line, ast.Import | ast.ImportFrom) or is_text:
            continue
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value):
            raise UserError(
                f"{notebook}: the parameters cell holds `{ast.unparse(line)}`; write `name: type = value`."
            )
        name = line.target.id
        if name.startswith("_") or (name.startswith("model_") and hasattr(BaseModel, name)):
            raise UserError(f"{notebook}: a parameter cannot be called {name}: give it another name.")
        fields[name] = _field(line, comments.get(line.end_lineno or line.lineno), notebook)
    with warnings.catch_warnings(action="ignore"):  # a parameter may be called schema or copy
        model = create_model(notebook, __config__=_CONFIG, **fields)
    check(model, {}, notebook)
    return model


def check(model: type[BaseModel], values: Mapping[str, Any], notebook: str) -> BaseModel:
    """Validate values (of the right types already) against a notebook's model.

    Raises:
        UserError: A name is not declared (the near one is named) or a value is not of its type.
    """
    check_names(values, model.model_fields, notebook)
    try:
        params = model(**values)
        canonical(params.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        raise _invalid(model, str(first["loc"][0]), first["input"], first["msg"], notebook) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{notebook}: a parameter has too many digits or brackets ({error}).") from None
    return params


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Take the command line's `-p name=text` apart.

    Raises:
        UserError: One has no "=", or a name stands twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign:
            raise UserError(f"-p {text}: write -p name=value.")
        if name in values:
            raise UserError(f"-p {name} is given twice: give it once (a sweep takes -p {name}=A,B).")
        values[name] = value
    return values


def from_strings(model: type[BaseModel], given: Mapping[str, str], notebook: str) -> dict[str, Any]:
    """Turn the command line's `-p name=text` into values of the declared types.

    "3" becomes an int where one is declared and stays text where text is; likewise "true", "none", "[1, 2]".

    Raises:
        UserError: As `check` does.
    """
    check_names(given, model.model_fields, notebook)
    return {name: _coerce(model, name, text, notebook) for name, text in given.items()}


def check_names(names: Iterable[str], declared: Iterable[str], notebook: str) -> None:
    """Raise a UserError for a name that no parameters cell declares; the near one is named."""
    declared = list(declared)
    for name in names:
        if name not in declared:
            near = nearest(name, declared)
            has = (
                f"it has {', '.join(declared)}." if declared else "none of its cells has the tag parameters."
            )
            hint = f"did you mean {near}?" if near else has
            raise UserError(
                f"{notebook} {'have' if ' + ' in notebook else 'has'} no parameter {name}: {hint}"
            )


def content(params: BaseModel) -> dict[str, Any]:
    """The parameters as they enter a run's key: named files and folders stand for their bytes.

    Returns:
        Name to value, without credentials; a text that names paths (see `workbench.sources`) is
        {"sha256": digest}, with what else it says, as in gsm8k:PATH, {"kind": …, "sha256": digest}.
    """
    return {name: _content(params, name, value) for name, value in params.model_dump().items()}


def shown(params: BaseModel) -> dict[str, Any]:
    """The parameters as run.json keeps them: no credentials, no absolute path."""
    return {name: map_texts(value, redact) for name, value in relative(params).items()}


def relative(params: BaseModel) -> dict[str, Any]:
    """The parameters with absolute paths made relative to the working directory."""
    return {
        name: value if _is_choice(params, name) else map_texts(value, partial(map_paths, change=_relative))
        for name, value in params.model_dump().items()
    }


def changed(params: BaseModel) -> dict[str, Any]:
    """The parameters that differ from their defaults."""
    defaults = type(params)().model_dump()
    return {name: value for name, value in params.model_dump().items() if value != defaults[name]}


def changed_relative(params: BaseModel) -> dict[str, Any]:
    """The parameters that differ from their defaults, with relative paths: what starts the same run again."""
    values = relative(params)
    return {name: values[name] for name in changed(params)}


def _content(params: BaseModel, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_content(params, name, entry) for entry in value]
    paths: list[str] = []
    if isinstance(value, str) and not _is_choice(params, name):
        # What is left says how the paths are read: kinds, splits, what else stands in the list.
        value = map_paths(value, lambda path: paths.append(path) or "")
    value = map_texts(value, redact)
    if not paths:
        return value
    files = [part for path in paths for part in parts_of(Path(located(path)).expanduser())]
    digests = [digest_path(file) for file in files if file.exists()]
    one = digests[0] if len(digests) == 1 else digest(canonical(digests))
    return ({"kind": value} if value else {}) | {"sha256": one}


def _is_choice(params: BaseModel, name: str) -> bool:
    """Whether a parameter takes one of a few words, none of which is a path."""
    return get_origin(type(params).model_fields[name].annotation) is Literal


def _relative(path: str) -> str:
    return os.path.relpath(path) if os.path.isabs(path) else path


def _coerce(model: type[BaseModel], name: str, text: str, notebook: str) -> Any:
    problems = []
    for candidate in _readings(text):
        try:
            return getattr(model(**{name: candidate}), name)
        except ValidationError as error:
            problems.append(error.errors()[0])
    # The reading that failed on its value, not on its type, says most: "-1" for a PositiveInt.
    best = next((p for p in problems if not p["type"].endswith("_type")), problems[-1])
    raise _invalid(model, name, text, best["msg"], notebook)


def _readings(text: str) -> list[Any]:
    """What a text may stand for, the most particular first; the text itself last."""
    readings = [_WORDS[text.lower()]] if text.lower() in _WORDS else []
    for read in (json.loads, ast.literal_eval, float):
        try:
            readings.append(read(text))
            break
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    if text.startswith("[") and text.endswith("]"):
        readings.append([part.strip() for part in text[1:-1].split(",") if part.strip()])
    return [*readings, text]


_RENAMED = {"tiny": "quick", "small": "laptop"}  # profiles of version 0.1


def _invalid(model: type[BaseModel], name: str, value: Any, problem: str, notebook: str) -> UserError:
    wanted = cast(dict[str, str], model.model_fields[name].json_schema_extra)["declared"]
    if name == "profile" and _RENAMED.get(str(value), "?") in wanted:
        return UserError(f"{notebook}: profile={value} is called {_RENAMED[value]} now.")
    reason = sanitize(problem[0].lower() + problem[1:], 200)
    return UserError(f"{notebook}: {name}={_short(value)} does not fit `{name}: {wanted}` ({reason}).")


def _short(value: Any) -> str:
    try:
        return " ".join(sanitize(value, 100).split())
    except ValueError:  # Python writes no integer of thousands of digits
        return "…"


def _field(line: ast.AnnAssign, comment: str | None, notebook: str) -> tuple[Any, Any]:
    declared = ast.unparse(line.annotation)
    assert isinstance(line.target, ast.Name)  # `model_of` has seen to both
    assert line.value is not None
    try:
        kind = _type(line.annotation)
        default = ast.literal_eval(line.value)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{notebook}: `{ast.unparse(line)}` in the parameters cell: the type must be one of"
            f" {', '.join(_TYPES)}, Literal[...] or a union of them, and the value a literal."
        ) from error
    limits: dict[str, Any] = _LIMITS.get(line.target.id, {}) if kind in (int, int | None) else {}
    return kind, Field(default, description=comment, json_schema_extra={"declared": declared}, **limits)


def _type(node: ast.expr) -> Any:
    """Evaluate an annotation from the few names allowed; nothing in it is executed."""
    if isinstance(node, ast.Name):
        return _TYPES[node.id]
    if isinstance(node, ast.Constant) and node.value is None:
        return type(None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _type(node.left) | _type(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        if node.value.id == "Literal":
            values = ast.literal_eval(node.slice)
            return Literal[values if isinstance(values, tuple) else (values,)]
        if node.value.id == "list":
            return types.GenericAlias(list, _type(node.slice))
    raise ValueError(ast.unparse(node))
