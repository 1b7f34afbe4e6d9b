"""The public names of the package with their first sentences: `python docs/api.py` writes docs/api.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
HEAD = """\
# The package's public names

Written by `python docs/api.py` from the docstrings, which say more: shapes, units, what is raised, the
paper's section. A test holds this page to the code. What is not here may change without a word.
"""
PARTS = {
    "Runs and claims": "./ lab/runs claims errors files sources sanitize",
    "Models and text": "engine/ loading models tokens encoders templates",
    "Sampling": "engine/sampling/ sampler load transformers_sampler scoring answers",
    "Training": "engine/training/ common train loss packing",
    "Reinforcement": "engine/rl/ loop grpo objective",
    "Reading and changing the inside": "engine/interpretability/ capture heads anatomy interventions "
    "ablations patching attribution stream",
    "Gradients of examples": "engine/gradients/ sketches sketch_files kmeans",
    "Statistics": "measures/ statistics paired samples equivalence calibration roc",
    "Diversity and likeness": "measures/ distributions gvendi vendi similarity overlap ngrams redundancy "
    "compression vocabulary summaries",
    "Answers": "measures/answers/ extraction grading agreement",
    "Text with known truth": "corpora/ stories/writer stories/oracle stories/story lego walks homes "
    "arithmetic problems/problem problems/writing facts polls",
    "Files and hub data sets": "corpora/loaders/ texts problems solutions opinions",
    "Pictures": "charts/ view intervals atlas point_map live_view theme",
    "Arms, seeds and evidence": "studies/common/ arms evidence profiles",
    "Programs that models write": "sandbox/ __init__ outcomes",
}


def page() -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for title, modules in PARTS.items():
        parts.append(f"## {title}\n")
        folder, *names = modules.split()
        parts += [_module(folder + name) for name in names]
    return "\n".join(parts)


def _module(name: str) -> str:
    tree = ast.parse((ROOT / "workbench" / f"{name}.py").read_text(encoding="utf-8"))
    name = name.removeprefix("./")
    dotted = "workbench." + name.removesuffix("/__init__").replace("/", ".")
    lines = [f"### [`{dotted}`](../workbench/{name}.py)\n", f"{_sentence(tree)}\n"]
    lines += [entry for node in tree.body for entry in _entries(node)]
    return "\n".join(lines) + "\n"


def _entries(node: ast.stmt, inside: str = "") -> Iterator[str]:
    """A public function or class, and the public methods of the class."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return
    if not inside or ast.get_docstring(node):
        call = f"({_arguments(node)})" if isinstance(node, ast.FunctionDef) and not _is_property(node) else ""
        yield f"{'  - ' if inside else '- '}**`{inside}{node.name}{call}`** {_sentence(node)}".rstrip()
    if isinstance(node, ast.ClassDef):
        for method in node.body:
            yield from _entries(method, f"{node.name}.")


def _is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def _arguments(node: ast.FunctionDef) -> str:
    """Names and defaults, without types, which the source has."""
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return re.sub(r"^(self|cls)(, |$)", "", ast.unparse(node.args))


def _sentence(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
