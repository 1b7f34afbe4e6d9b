"""The modules behind a notebook's cells, found by reading and not by running: an import by a computed name
is not seen."""

import ast
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.files import version
from workbench.lab.digests import digest, digest_path

PACKAGE = Path(__file__).resolve().parent.parent
# How a run is started, shown and reported does not change what it computes.
_RUNNING = re.compile(r"workbench(\.(lab|cli|errors)\b|$)")
# Lines for IPython or the shell: %run x, !ls, files = !ls, frame?
_MAGIC = re.compile(r"(?P<kept>\s*(?:[\w, ]+=\s*)?)(?:[%!?].*|[\w.]+\?{1,2}\s*)$")
_IMPORT = re.compile(r"\s*(?:import|from)\s")
_NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)
_IMPORTING = (ast.Import, ast.ImportFrom, ast.Call, ast.Assign, ast.Constant)
_IMPORTERS = ("import_module", "__import__")
_PATH_CALLS = ("sys.path.append", "sys.path.insert", "sys.path.extend")


def digest_modules(
    names: Iterable[str], folders: Sequence[Path], left_out: Callable[[str], bool]
) -> dict[str, str]:
    """Digest every module of the package and of a project that is imported, directly or through others.

    Args:
        names: Of modules that are imported; those that are installed do not count.
        folders: Of the project, the first of which holds the others.
        left_out: Whether a module does not count.

    Returns:
        File name to digest, with the data files that lie beside modules of the package.
    """
    waiting, digests = set(names), {}
    there = {folder: _top_names(folder) for folder in folders}
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if _RUNNING.match(name) or left_out(name):
            continue
        where = [PACKAGE.parent] if top == "workbench" else [f for f in folders if top in there[f]]
        for path in _module_files(name, where):
            if path not in digests:
                inside = name if path.stem == "__init__" else name.rpartition(".")[0]
                digests[path], imports = _read_module(path, inside, version(path))
                waiting |= imports
    ours = {path.parent for path in digests if path.is_relative_to(PACKAGE)}
    beside = {file for folder in ours for file in folder.iterdir() if not file.name.startswith(".")}
    digests |= {file: digest_path(file) for file in beside if file.suffix != ".py" and file.is_file()}
    roots = (PACKAGE.parent, *folders[:1])
    return {_label(path, roots): digests[path][:12] for path in sorted(digests)}


def imported_names(part: ast.AST | str, inside: str = "") -> set[str]:
    """Names of the modules that code imports, and of all that a magic names.

    Args:
        inside: The package in which relative imports start.
    """
    if isinstance(part, str):
        return {_module_name(word) for word in re.findall(r"[\w./-]+", part)}
    return _names(_flatten(part)[1], inside)


def _names(nodes: Iterable[ast.AST], inside: str) -> set[str]:
    names = {name for node in nodes for name in _names_in(node, inside)}
    # Importing a.b.c runs a and a.b too.
    return {".".join(n.split(".")[:end]) for n in names for end in range(1, n.count(".") + 2)}


def added_folders(tree: ast.AST, folders: Sequence[Path]) -> list[Path]:
    """Folders of the project that code adds to `sys.path`, where their names stand in it."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    added = []
    for call in (call for call in calls if ast.unparse(call.func) in _PATH_CALLS):
        constants = (node.value for node in ast.walk(call) if isinstance(node, ast.Constant))
        texts = [text for text in constants if isinstance(text, str) and "\0" not in text]
        added += [folder / text for folder in folders for text in {"/".join(texts), *texts}]
    root = folders[0].resolve() if folders else None
    return [path.resolve() for path in added if root and path.is_dir() and root in path.resolve().parents]


def parse(source: str) -> ast.Module:
    """The tree of a cell without its magics; of what is not Python, the text as a name and the imports."""
    lines = source.splitlines()
    for text in (source, "\n".join(map(_without_magic, lines))):
        with suppress(*_NOT_PYTHON):
            return ast.parse(text)
    imports = [_parse_module(line.strip()).body[0] for line in lines if _IMPORT.match(line)]
    return ast.Module([ast.Global([source]), *imports], [])


def _parse_module(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except _NOT_PYTHON:
        return ast.Module([ast.Global([source])], [])


def magics(source: str) -> list[str]:
    """The lines of a cell that are for IPython or the shell."""
    try:
        ast.parse(source)
        return []  # a line of a text or a sum may begin so
    except _NOT_PYTHON:
        return [line for line in source.splitlines() if _MAGIC.match(line)]


def _without_magic(line: str) -> str:
    line = re.sub(r"^(\s*)%time\s+", r"\1", line)  # which runs the Python behind it
    match = _MAGIC.match(line)
    if not match:
        return line
    return match["kept"] + ("None" if "=" in match["kept"] else "pass")


def shape(tree: ast.AST | str) -> list[str | int]:
    """A tree as a flat list without comments, positions and docstrings."""
    return _flatten(tree)[0]


def _flatten(tree: ast.AST | str) -> tuple[list[str | int], list[ast.AST]]:
    """The flat list, and the nodes that may import something."""
    flat: list[str | int] = []
    importing = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AST):
            flat.append(type(node).__name__)
            if isinstance(node, _IMPORTING):
                importing.append(node)
            for name in node._fields:
                value = getattr(node, name, None)
                if value is not None and value != [] and name not in ("ctx", "kind"):
                    flat.append(name)
                    waiting.append(value)
        elif isinstance(node, list):
            # A constant that stands alone is a docstring.
            kept = [e for e in node if not (isinstance(e, ast.Expr) and isinstance(e.value, ast.Constant))]
            flat.append(len(kept))
            waiting += kept
        else:
            flat.append(repr(node))
    return flat, importing


@lru_cache(maxsize=1024)
def _read_module(path: Path, inside: str, version: tuple[int, ...]) -> tuple[str, frozenset[str]]:
    """Digest of a module without its prose, and what it imports; the version is for the cache alone."""
    if path.suffix not in (".py", ".ipynb"):
        return digest_path(path), frozenset()
    source = path.read_bytes().decode("utf-8", "backslashreplace")
    lines: list[str] = []
    if path.suffix == ".ipynb":
        source = _cells(source)
        lines = magics(source)
    flat, importing = _flatten(parse(source) if lines else _parse_module(source))
    names = frozenset(_names(importing, inside).union(*map(imported_names, lines)))
    return digest(repr([flat, *lines] if lines else flat).encode("utf-8", "backslashreplace")), names


def _cells(text: str) -> str:
    """The code cells of a notebook as one text; a file that is no notebook as it is."""
    try:
        cells = json.loads(text)["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def _names_in(node: ast.AST, inside: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = inside.split(".")[: inside.count(".") + 2 - node.level] if node.level else []
        base = ".".join(filter(None, [*start, node.module or ""]))
        yield base
        yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
    elif isinstance(node, ast.Call) and node.args and _last_name(node.func) in _IMPORTERS:
        name = getattr(node.args[0], "value", None)
        if isinstance(name, str):
            yield name
    elif isinstance(node, ast.Assign) and "__all__" in map(_last_name, node.targets):
        texts = (getattr(text, "value", None) for text in ast.walk(node.value))  # `import *` imports these
        yield from (f"{inside}.{text}" for text in texts if isinstance(text, str))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
        yield _module_name(node.value)  # a script that is read or run


def _module_name(path: str) -> str:
    return path.removeprefix("./").removesuffix(".py").replace("/", ".")


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _module_files(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """The files in some folders that may be a module."""
    if not all(part.isidentifier() or part == "ipynb" for part in name.replace("-", "_").split(".")):
        return
    for folder in folders:
        stem = folder.joinpath(*name.split("."))
        if stem.name == "ipynb":  # of %run
            candidates = [stem.parent.with_name(f"{stem.parent.name}.ipynb")]
        else:
            candidates = [stem.with_name(f"{stem.name}.py"), stem / "__init__.py"]
        source = next((path for path in candidates if path.is_file()), None)
        yield from [source] if source else sorted(stem.parent.glob(f"{stem.name}.*.so"))  # or compiled


def _top_names(folder: Path) -> set[str]:
    """Names of the modules and packages that may lie in a folder, which need not exist."""
    try:
        return {name.partition(".")[0] for name in os.listdir(folder)}
    except OSError:
        return set()


def _label(path: Path, roots: Sequence[Path]) -> str:
    """The name of a file in the key: the same wherever the project lies."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return path.relative_to(root).as_posix()
