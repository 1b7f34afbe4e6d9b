"""The parameters cell is the schema: read without running it, checked before a kernel starts."""

import ast
import difflib
import io
import json
import os
import tokenize
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from workbench.errors import UserError
from workbench.lab.digests import digest_path, map_texts, strip_credentials

_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (int, float, str, bool, list)}
_BOUNDED = ("PositiveInt", "NonNegativeInt", "PositiveFloat", "NonNegativeFloat")
_TYPES |= {name: getattr(pydantic, name) for name in _BOUNDED}
_WORDS = {"true": True, "false": False, "none": None, "null": None}
_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, protected_namespaces=())


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
    except SyntaxError as error:
        raise UserError(f"{notebook}: line {error.lineno} of the parameters cell is not Python.") from error
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
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
        fields[line.target.id] = _field(line, comments.get(line.end_lineno or line.lineno), notebook)
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
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise _invalid(model, str(first["loc"][0]), first["input"], first["msg"], notebook) from None


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
            near = difflib.get_close_matches(name, declared, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(declared) or 'none'}."
            raise UserError(f"{notebook} has no parameter {name}: {hint}")


def content(params: BaseModel) -> dict[str, Any]:
    """The parameters as they enter a run's key: a named file or folder stands for its bytes.

    Returns:
        Name to value, without credentials; a path is {"sha256": digest}, and with a kind before it (as in
        gsm8k:PATH) {"kind": …, "sha256": digest}.
    """
    values = {}
    for name, value, kind, path in _with_paths(params):
        if path:
            values[name] = ({"kind": kind} if kind else {}) | {"sha256": digest_path(Path(path))}
        else:
            values[name] = map_texts(value, strip_credentials)
    return values


def shown(params: BaseModel) -> dict[str, Any]:
    """The parameters as run.json keeps them: no credentials, no absolute path."""
    return {name: map_texts(value, strip_credentials) for name, value in relative(params).items()}


def relative(params: BaseModel) -> dict[str, Any]:
    """The parameters with absolute paths made relative to the working directory."""
    return {
        name: kind + os.path.relpath(path) if os.path.isabs(path) else value
        for name, value, kind, path in _with_paths(params)
    }


def changed(params: BaseModel) -> dict[str, Any]:
    """The parameters that differ from their defaults."""
    defaults = type(params)().model_dump()
    return {name: value for name, value in params.model_dump().items() if value != defaults[name]}


def changed_relative(params: BaseModel) -> dict[str, Any]:
    """The parameters that differ from their defaults, with relative paths: what starts the same run again."""
    values = relative(params)
    return {name: values[name] for name in changed(params)}


def _with_paths(params: BaseModel) -> Iterator[tuple[str, Any, str, str]]:
    """Every parameter with the file or folder that it names, if it is a text (no Literal) and that exists.

    Yields:
        Name, value, what stands before the path with its colon, as in "gsm8k:PATH", and the path; or "", "".
    """
    for name, value in params.model_dump().items():
        candidates = []
        if isinstance(value, str) and get_origin(type(params).model_fields[name].annotation) is not Literal:
            before, colon, rest = value.partition(":")
            candidates = [("", value), (before + colon, rest)]
        paths = [(kind, path) for kind, path in candidates if path and os.path.exists(path)]
        yield name, value, *(paths[0] if paths else ("", ""))


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
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if text.startswith("[") and text.endswith("]"):
        readings.append([part.strip() for part in text[1:-1].split(",") if part.strip()])
    return [*readings, text]


def _invalid(model: type[BaseModel], name: str, value: Any, problem: str, notebook: str) -> UserError:
    wanted = (model.model_fields[name].json_schema_extra or {})["declared"]
    reason = problem[0].lower() + problem[1:]
    return UserError(f"{notebook}: {name}={value} does not fit `{name}: {wanted}` ({reason}).")


def _field(line: ast.AnnAssign, comment: str | None, notebook: str) -> tuple[Any, Any]:
    declared = ast.unparse(line.annotation)
    try:
        kind = _type(line.annotation)
        default = ast.literal_eval(line.value)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{notebook}: `{ast.unparse(line)}` in the parameters cell: the type must be one of"
            f" {', '.join(_TYPES)}, Literal[...] or a union of them, and the value a literal."
        ) from error
    return kind, Field(default, description=comment, json_schema_extra={"declared": declared})


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
