"""What the key of a run is made of: code that can change a number. Pictures and prose do not count."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.lab.digests import canonical, digest, digest_path

PACKAGE = Path(__file__).resolve().parent.parent
# How a run is started, shown and reported does not change what it computes.
_RUNNING = re.compile(r"workbench(\.(lab|cli|errors)\b|$)")
_DRAWING = re.compile(r"workbench\.(charts|studies\.\w+\.(views|\w+_views|\w+_map))\b")
_SHOWING = ("display", "print")
_MARKUP = (
    ast.JoinedStr | ast.FormattedValue | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Starred | ast.keyword
)


def key_parts(sources: Sequence[str]) -> dict[str, Any]:
    """What a notebook's code cells and the modules behind them contribute to the key.

    Returns:
        notebook: digest of the cells' computing parts; code: file name to the digest of its content, for
        every module that these import, and for the data files beside it.
    """
    cells = [_parse(source) for source in sources]
    drawing = _drawing_names(cells)
    kept = _kept_drawings(cells, drawing)
    reduce = _Computing({name for name, module in drawing.items() if module not in kept})
    statements = [statement for cell in cells for statement in reduce.visit(cell).body]
    magics = [line for source in sources for line in source.splitlines() if _is_magic(line)]
    shapes = [_shape(line) for line in [*statements, *magics]]
    names = {name for _, imports in shapes for name in _imported(imports)}
    modules = _modules(names, lambda name: bool(_DRAWING.match(name)) and name not in kept)
    return {"notebook": digest(canonical([shape for shape, _ in shapes])), "code": modules}


def drawn_digest(cells: Sequence[tuple[str, str]]) -> str:
    """Digest of what an executed notebook shows: its cells (type and source) and all modules behind them."""
    imports = [node for kind, source in cells if kind == "code" for node in _shape(_parse(source))[1]]
    return digest(canonical([cells, _modules(_imported(imports), lambda name: False)]))[:12]


# ------------------------------------------------------------------------------- cells
class _Computing(ast.NodeTransformer):
    """Leaves of a cell what computes: no import of drawing modules, of a picture its computed arguments."""

    def __init__(self, drawing: set[str]) -> None:
        self.drawing = drawing | set(_SHOWING)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> ast.stmt | None:
        node.names = [alias for alias in node.names if (alias.asname or alias.name) not in self.drawing]
        return node if node.names else None

    visit_ImportFrom = visit_Import

    def visit_Call(self, node: ast.Call) -> ast.expr:
        shows = _root(node) in self.drawing and all(keyword.arg != "file" for keyword in node.keywords)
        self.generic_visit(node)
        return ast.Tuple(_computed(node.func, *node.args, *node.keywords)) if shows else node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        self.generic_visit(node)
        computed = _computed(node.value)
        return ast.Expr(computed[0] if len(computed) == 1 else ast.Tuple(computed)) if computed else None

    def visit_If(self, node: ast.If) -> ast.stmt | None:
        self.generic_visit(node)
        return node if node.body or node.orelse or _computed(node.test) else None


def _computed(*nodes: ast.AST) -> list[Any]:
    """The expressions in what is shown that call something; texts and names alone do not count."""
    parts = []
    for node in nodes:
        if isinstance(node, _MARKUP):
            parts += _computed(*ast.iter_child_nodes(node))
        elif any(isinstance(inner, ast.Call | ast.NamedExpr | ast.Await) for inner in ast.walk(node)):
            parts.append(node)
    return parts


def _drawing_names(trees: Iterable[ast.Module]) -> dict[str, str]:
    """The names that cells import from drawing modules, each with its module."""
    names = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {name: match[0] for name, module in names.items() if (match := _DRAWING.match(module))}


def _kept_drawings(trees: Iterable[ast.Module], drawing: dict[str, str]) -> set[str]:
    """The drawing modules whose results go into what the run keeps, at once or by a variable."""
    behind = {name: {module} for name, module in drawing.items()}
    kept: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Assign):
            modules = set().union(*(behind.get(name, set()) for name in _names(node.value)))
            if modules:
                behind |= {name: modules for target in node.targets for name in _names(target)}
        elif isinstance(node, ast.Call) and _root(node) == "run":
            kept |= set().union(*(behind.get(name, set()) for name in _names(node)))
    return kept


def _names(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _root(node: ast.AST) -> str:
    """The name that a chain of attributes and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


# ------------------------------------------------------------------------------- modules
def _modules(names: Iterable[str], left_out: Callable[[str], bool]) -> dict[str, str]:
    """Digest every module of the package that is imported, directly or through other modules.

    Found by reading, not by running: an import by a computed name is not seen.
    """
    waiting, digests = set(names), {}
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        if path is None or path in digests or _RUNNING.match(name) or left_out(name):
            continue
        state = path.stat()
        inside = name if path.stem == "__init__" else name.rpartition(".")[0]
        digests[path], imports = _read_module(path, inside, state.st_size, state.st_mtime_ns)
        waiting |= imports
    beside = {file for folder in {path.parent for path in digests} for file in folder.iterdir()}
    digests |= {file: digest_path(file) for file in beside if file.suffix != ".py" and file.is_file()}
    return {
        path.relative_to(PACKAGE.parent).as_posix(): digests[path][:12]
        for path in sorted(digests)
        if not path.name.startswith(".")
    }


@lru_cache(maxsize=1024)
def _read_module(path: Path, inside: str, size: int, modified: int) -> tuple[str, frozenset[str]]:
    """Digest of a module without its prose, and what it imports; `inside` is where relative imports start."""
    source = path.read_text(encoding="utf-8")
    shape, imports = _shape(_parse(source))
    return digest(repr(shape).encode("utf-8", "backslashreplace")), _imported(imports, inside)


def _imported(imports: Iterable[ast.Import | ast.ImportFrom], inside: str = "") -> frozenset[str]:
    """Names of our modules that are imported."""
    names: set[str] = set()
    for node in imports:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            start = inside.split(".")[: inside.count(".") + 2 - node.level] if node.level else []
            base = ".".join(filter(None, [*start, node.module or ""]))
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    ours = {name for name in names if name.split(".")[0] == "workbench"}
    # Importing a.b.c runs a and a.b too.
    return frozenset({".".join(n.split(".")[:end]) for n in ours for end in range(1, n.count(".") + 2)})


def _parse(source: str) -> ast.Module:
    """The tree of a cell or module, magics left out; of what is not Python, the text as a single name."""
    try:
        return ast.parse("\n".join("" if _is_magic(line) else line for line in source.splitlines()))
    except (SyntaxError, ValueError):
        return ast.Module([ast.Global([source])], [])


def _is_magic(line: str) -> bool:
    return line.lstrip().startswith(("%", "!"))


def _shape(tree: ast.AST | str) -> tuple[list[str | int], list[ast.Import | ast.ImportFrom]]:
    """A tree as a flat list without comments, positions and docstrings, and the imports in it."""
    shape: list[str | int] = []
    imports = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AST):
            shape.append(type(node).__name__)
            for name in node._fields:
                value = getattr(node, name, None)
                if value is not None and value != [] and name not in ("ctx", "kind"):
                    shape.append(name)
                    waiting.append(value)
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
        elif isinstance(node, list):
            # A constant that stands alone is a docstring.
            kept = [e for e in node if not (isinstance(e, ast.Expr) and isinstance(e.value, ast.Constant))]
            shape.append(len(kept))
            waiting += kept
        else:
            shape.append(repr(node))
    return shape, imports


def _module_file(name: str) -> Path | None:
    stem = PACKAGE.parent.joinpath(*name.split("."))
    candidates = (stem.with_name(stem.name + ".py"), stem / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
