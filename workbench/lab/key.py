"""What the key of a run is made of: code that can change a number. Pictures and prose do not count."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.lab.digests import canonical, digest
from workbench.lab.modules import added_folders, digest_modules, imported_names, magics, parse, shape

_DRAWING = re.compile(r"workbench\.charts\b|(workbench\.)?studies\.\w+\.(views|\w+_views|\w+_map)\b")
_SHOWING = ("display", "print")
_MARKUP = (
    ast.JoinedStr | ast.FormattedValue | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Starred | ast.keyword
)


class Code:
    """The code cells of a notebook, each reduced to what computes; pictures and prose do not count."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        trees = [parse(source) for source in sources]
        drawing = _drawing_names(trees)
        self.kept_drawings = _kept_drawings(trees, drawing)
        self._left_out = {name for name, module in drawing.items() if module not in self.kept_drawings}

    def parts(self, *sources: str) -> list[ast.stmt | str]:
        """What computes in cells: statements, then magics."""
        statements = [
            statement for text in sources for statement in _Computing(self._left_out).visit(parse(text)).body
        ]
        return [*statements, *(line for text in sources for line in magics(text))]

    def shape(self, source: str) -> str:
        """What computes in a cell, as a text that is the same for the same code."""
        return repr([shape(part) for part in self.parts(source)])


def key_parts(sources: Sequence[str], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """What a notebook's code cells and the modules behind them contribute to the key.

    Args:
        sources: Of the code cells.
        folders: Of the project, the first of which holds the others: where modules of its own lie.

    Returns:
        notebook: digest of the cells' computing parts; code: file name to the digest of its content, for
        every module of the package and the project that these import, and for the package's data files
        beside them.
    """
    code = Code(sources)
    parts = code.parts(*sources)
    names = {name for part in parts for name in imported_names(part)}
    folders = [
        *folders,
        *(path for part in parts if isinstance(part, ast.AST) for path in added_folders(part, folders)),
    ]
    modules = digest_modules(
        names, folders, lambda name: bool(_DRAWING.match(name)) and name not in code.kept_drawings
    )
    return {"notebook": digest(canonical([shape(part) for part in parts])), "code": modules}


def drawn_digest(cells: Sequence[tuple[str, str]], folders: Sequence[Path] = ()) -> str:
    """Digest of what an executed notebook shows: its cells (type and source) and all modules behind them."""
    names = {name for kind, text in cells if kind == "code" for name in imported_names(parse(text))}
    return digest(canonical([cells, digest_modules(names, folders, lambda name: False)]))[:12]


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
