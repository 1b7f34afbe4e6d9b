"""The shape of the house: short files and functions, no circle, one folder a study, pictures apart."""

import ast
import statistics

import grimp
import pytest
from repository import ROOT

PACKAGE = ROOT / "workbench"
MODULES = sorted(PACKAGE.rglob("*.py"))
STUDIES = sorted(path.name for path in (PACKAGE / "studies").iterdir() if (path / "__init__.py").exists())
LONGEST_FILE = 300  # lines
MEDIAN_FUNCTION = 15  # lines, without the docstring


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("workbench")


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def length(function):
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = function.body[0] if documented else None
    spent = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - spent


def draws(module):
    """Whether a study's module is one that draws."""
    last = module.rpartition(".")[2]
    return last == "views" or last.endswith(("_views", "_map"))


def test_a_file_is_read_in_one_sitting():
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name: n for name, n in sizes.items() if n > LONGEST_FILE}
    assert not long


def test_a_function_does_one_thing():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert statistics.median(map(length, functions)) <= MEDIAN_FUNCTION


def test_no_modules_import_each_other_in_a_circle(graph):
    inside = graph.modules - {"workbench"}  # the door: it opens on the lab, which asks it for the version
    imported = {module: graph.find_modules_directly_imported_by(module) & inside for module in inside}
    while leaves := [module for module, others in imported.items() if not others]:
        for leaf in leaves:
            del imported[leaf]
        imported = {module: others - set(leaves) for module, others in imported.items()}
    assert not imported  # what remains imports itself through others


def test_a_notebook_its_study_and_its_tests_bear_one_name():
    notebooks = sorted(path.stem.partition("_")[2] for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks == [name for name in STUDIES if name != "common"]
    for name in notebooks:
        assert list((ROOT / "tests" / "studies" / name).glob("test_*.py")), f"no tests of {name}"


def test_only_views_and_maps_of_a_study_draw(graph):
    charts = graph.find_descendants("workbench.charts") | {"workbench.charts"}
    drawing = {module for chart in charts for module in graph.find_modules_that_directly_import(chart)}
    of_studies = {module for module in drawing if module.startswith("workbench.studies.")}
    assert not {module for module in of_studies if not draws(module)}


def test_studies_know_each_other_only_through_the_ladder_of_tiny_models(graph):
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            here, there = (name.split(".")[2:3] for name in (module, other))
            if module.startswith("workbench.studies.") and other.startswith("workbench.studies."):
                shared = there == here or there == ["common"]
                readers = here[0] in ("attention_heads", "neurons", "lego") and there == ["tiny_models"]
                assert shared or readers, f"{module} imports {other}"
