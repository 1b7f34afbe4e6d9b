"""Parameters from a file, YAML or JSON: the same names and values as `-p`, checked by the same schema."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from workbench.errors import UserError
from workbench.files import read_bytes
from workbench.lab.defaults import text

_LARGEST = 2**20  # bytes


def read_params_file(path: Path | None) -> dict[str, Any]:
    """Read a mapping of parameters to values.

    Args:
        path: A .json file, or one of YAML; None stands for no parameters.

    Returns:
        Name to value as the file has it: a text, a number, true or false, nothing, a list.

    Raises:
        UserError: The file is not there, cannot be read, is no mapping, or has a name twice.
    """
    if path is None:
        return {}
    try:
        written = read_bytes(path, _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text: write a line `name: value` for each parameter.") from None
    content = _from_json(written, path) if path.suffix == ".json" else _from_yaml(written, path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = {list: "a list"}.get(type(content), "one value")
        raise UserError(f"{path} holds {kind}: write a line `name: value` for each parameter.")
    if odd := [name for name in content if not isinstance(name, str)]:
        raise UserError(f"{path} names a parameter {odd[0]!r}: a name is a word, such as seed.")
    return content


def for_run(values: Mapping[str, Any]) -> dict[str, str]:
    """Values of a file as texts that read as they would behind `run -p name=`."""
    return {name: _text(value) for name, value in values.items()}


def for_sweep(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, str]:
    """Values of a file as texts that read as they would behind `sweep -p name=`, where a list is several.

    Of a parameter that takes a list, a list of lists is several.
    """
    lists = [name for name, field in model.model_fields.items() if _takes_list(field.annotation)]
    texts = {}
    for name, value in values.items():
        several = isinstance(value, list) and (name not in lists or all(isinstance(v, list) for v in value))
        # A comma within a text or a list is no comma between values.
        texts[name] = ",".join(
            _text(one) if isinstance(one, list) else _text(one).replace(",", "\\,")
            for one in (value if several else [value])
        )
    return texts


def _takes_list(kind: Any) -> bool:
    inner = () if get_origin(kind) is Literal else get_args(kind)
    return list in (kind, get_origin(kind)) or any(map(_takes_list, inner))


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return text(value)
    plain = isinstance(value, bool | int | float | list | dict)
    return json.dumps(value, default=str) if plain else str(value)  # YAML knows dates


def _from_json(written: str, path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _check_once([name for name, _ in pairs], path)
        return dict(pairs)

    try:
        return json.loads(written, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None


def _from_yaml(written: str, path: Path) -> Any:
    import yaml

    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(written)):
            # A few of them can stand for billions of values.
            raise UserError(f"{path} has an alias (*name): write the value out.")
        node = yaml.compose(written, Loader=yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode):  # of a name that stands twice yaml would take the last
            _check_once([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)], path)
        content = yaml.safe_load(written)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path} is not valid YAML{line} ({error.problem or error.context}).") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({reason}).") from None
    if node and (odd := next(_odd_numbers(node), None)):
        raise UserError(f"{path} has {odd}, which YAML reads in base 8 or 60: write it as a decimal number.")
    return content


def _odd_numbers(node: Any) -> Iterator[str]:
    """Numbers that YAML 1.1 reads as others than they seem: 010 as 8, and 1:30 as 90."""
    if isinstance(node.value, list):
        for part in node.value:
            for inner in part if isinstance(part, tuple) else (part,):
                yield from _odd_numbers(inner)
    elif node.tag.endswith((":int", ":float")) and re.match(r"[-+]?0[0-7_]+$|.*:", node.value):
        yield node.value


def _check_once(names: list[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path} has {name} twice: give it once.")
