"""The key of a run: what computes makes a new one; pictures and prose do not, and are drawn again."""

import json
import shutil

import pytest
from lab_project import ROWS, run, write_notebook

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.lab import history, key, modules, project, record

PACKAGE = {
    "__init__.py": "from workbench.lab import runs",
    "lab/__init__.py": "",
    "lab/runs.py": "",
    "charts/__init__.py": "",
    "charts/view.py": "WIDTH = 1",
    "charts/atlas.js": "a",
    "studies/__init__.py": "",
    "studies/heads/__init__.py": "",
    "studies/heads/method.py": "def f():\n    from ...engine.models import load",
    "studies/heads/results.py": "from workbench.measures import share\nLEAST = 0.5",
    "studies/heads/views.py": "from workbench.charts import view\nfrom workbench.measures import ranks",
    "studies/heads/head_map.py": "",
    "studies/other.py": "",
    "engine/__init__.py": "",
    "engine/models.py": "",
    "engine/words.txt": "a",
    "measures/__init__.py": "",
    "measures/share.py": '"""Shares."""\nx = 1  # one',
    "measures/ranks.py": "",
}
CELLS = [
    "from workbench.studies.heads import method, results, views",
    'table = run.table("t", lambda: method.f(1))',
    'views.card(run.table("card", lambda: results.card(table, least=0.5)), title="A title")',
]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "package" / "workbench"
    for name, text in PACKAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(modules, "PACKAGE", folder)
    return folder


def test_the_key_follows_code_that_is_imported_and_computes(package):
    before = key.key_parts(["%matplotlib inline\n" + CELLS[0], *CELLS[1:]])["code"]
    assert set(before) == {
        "workbench/studies/__init__.py",
        "workbench/studies/heads/__init__.py",
        "workbench/studies/heads/method.py",
        "workbench/studies/heads/results.py",
        "workbench/engine/__init__.py",
        "workbench/engine/models.py",
        "workbench/engine/words.txt",
        "workbench/measures/__init__.py",
        "workbench/measures/share.py",
    }
    (package / "engine/models.py").write_text("x = 1")
    after = key.key_parts(CELLS)["code"]
    assert {name for name in before if before[name] != after[name]} == {"workbench/engine/models.py"}


TABLE, CARD = (
    'run.table("t", lambda: method.f(1))',
    'run.table("card", lambda: results.card(table, least=0.5))',
)


@pytest.mark.parametrize(
    ("cell", "changed"),
    [
        (2, f'views.card({CARD}, title="Another", wide=True)'),
        (2, f'display(views.other({CARD}, f"{{table}}"))  # shown'),
        (0, "from workbench.studies.heads import (\n    head_map, method, results, views)\n\n# of heads"),
        (1, f'table = {TABLE}\nprint(f"{{table}} is there")\nviews.card(table)\ntable'),
        (1, f'"""Tables."""\ntable = {TABLE}\nif table: views.card(table, least=3)'),
    ],
)
def test_pictures_prints_and_formatting_of_a_cell_leave_the_key(package, cell, changed):
    cells = [changed if number == cell else source for number, source in enumerate(CELLS)]
    assert key.key_parts(cells) == key.key_parts(CELLS)


@pytest.mark.parametrize(
    ("cell", "old", "new"),
    [
        (1, "f(1)", "f(2)"),
        (1, "f(1)", "f('1')"),
        (1, '"t"', '"u"'),
        (1, "table =", "tables ="),
        (1, "table = run", "%env SEED=1\ntable = run"),
        (2, "least=0.5", "least=0.6"),
        (2, "results.card", "results.other"),
        (2, "views.card(run", "if table: views.card(run"),
        (2, 'title="A title"', "title=results.title(table)"),
        (2, '"A title"', '"A title" +'),
    ],
)
def test_what_a_cell_computes_stays_in_the_key(package, cell, old, new):
    changed = [source.replace(old, new) if number == cell else source for number, source in enumerate(CELLS)]
    assert key.key_parts(changed)["notebook"] != key.key_parts(CELLS)["notebook"]


@pytest.mark.parametrize(
    ("name", "text", "counts", "shows"),
    [
        ("measures/share.py", '"""Parts."""\nx = (\n    1)', False, False),
        ("measures/share.py", "x = 2", True, True),
        ("studies/heads/results.py", "from workbench.measures import share\nLEAST = 0.6", True, True),
        ("measures/share.py", "x = (\n    1\n    % 2\n)", True, True),
        ("engine/words.txt", "b", True, True),
        ("studies/heads/views.py", "from workbench.charts import view\nRED = 1", False, True),
        ("charts/view.py", "WIDTH = 2", False, True),
        ("charts/atlas.js", "b", False, True),
        ("measures/ranks.py", "x = 2", False, True),
        ("lab/runs.py", "x = 2", False, False),
        ("studies/other.py", "x = 2", False, False),
    ],
)
def test_a_changed_module_counts_where_it_computes_and_where_it_shows(package, name, text, counts, shows):
    cells = [("code", cell) for cell in CELLS]
    before, drawn = key.key_parts(CELLS), key.drawn_digest(cells)
    (package / name).write_text(text)
    assert (key.key_parts(CELLS) != before) == counts
    assert (key.drawn_digest(cells) != drawn) == shows


@pytest.mark.parametrize(
    "cell",
    [
        'run.table("m", lambda: head_map.layout(table))',
        'places = head_map.layout(table)\nrun.table("m", lambda: places)',
    ],
)
def test_a_map_whose_numbers_are_kept_counts(package, cell):
    cells = ["from workbench.studies.heads import head_map", cell]
    before = key.key_parts(cells)
    assert "workbench/studies/heads/head_map.py" in before["code"]
    assert key.key_parts([cells[0], cell.replace("table)", "table, 2)")])["notebook"] != before["notebook"]


# ------------------------------------------------------------------------------- the user's own modules
OWN = {
    "helpers.py": "import deep\nx = 1",
    "deep.py": "from mylib.a import f",
    "mylib/__init__.py": "",
    "mylib/a.py": "from .b import g\nfrom . import c\ndef f():\n    from ..mylib import d",
    "mylib/b.py": "from workbench.measures import share",
    "mylib/c.py": "",
    "mylib/d.py": "",
    "mylib/unused.py": "",
    "spaced/one.py": "",
    "notebooks/beside.py": "",
    "src/inner.py": "",
    "lib/added.py": "",
    "script.py": "",
    "other.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["y = 1"], "outputs": []}]}),
    "late.py": "",
    "broken.py": "def (",
    "latin.py": "x = 'a'",
}
OWN_CELLS = [
    "import helpers, numpy, random, not_there\nimport beside as b",
    "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path('..') / 'lib'))",
    "from inner import x\nfrom spaced.one import y\nimport added, broken, latin",
    "import importlib\nlate = importlib.import_module('late')",
    "%run -i script.py\n%run ./other.ipynb",
]


@pytest.fixture
def own(root, package):
    for name, text in OWN.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    write_notebook(root, "01_study", *OWN_CELLS)
    return lambda: project.find_notebook(root, "01").key_parts["code"]


def test_every_module_that_a_notebook_imports_from_its_project_counts(own, root):
    before = own()
    assert set(OWN) - set(before) == {"mylib/unused.py"}
    assert "workbench/measures/share.py" in before
    assert not any("numpy" in name or str(root) in name for name in before)
    for name in set(OWN) - {"mylib/unused.py"}:
        (root / name).write_text(OWN[name].replace("y = 1", "y = 2") if "ipynb" in name else "x = 7")
        after = own()
        assert {other for other in before if before[other] != after.get(other)} >= {name}
        (root / name).write_text(OWN[name])
    (root / "mylib/unused.py").write_text("x = 2")
    (root / "mylib/c.py").write_text("# prose alone\n")
    assert own() == before


@pytest.mark.parametrize(
    "cell",
    [
        "files = !ls\nfrom mylib import c",
        "for n in range(2):\n    %time n\nimport mylib.c",
        "mylib?\nimport mylib.c as c",
        "%time from mylib import c",
        "%%bash\necho $HOME\nimport mylib.c",
        "%run -m mylib.c",
        "result = %run mylib/c.py",
        "%load_ext mylib.c",
        "%aimport mylib.c",
        "!python ./mylib/c.py --fast",
        "exec(open('mylib/c.py').read())",
        "import runpy\nrunpy.run_path('./mylib/c.py')",
        "from helpers_of_all import *",
    ],
)
def test_a_module_counts_however_a_cell_has_it_run(own, root, cell):
    (root / "helpers_of_all").mkdir()
    (root / "helpers_of_all" / "__init__.py").write_text("__all__ = ['inner']")
    (root / "helpers_of_all" / "inner.py").write_text("import mylib.c")
    write_notebook(root, "01_study", cell)
    before = own()
    (root / "mylib" / "c.py").write_text("x = 2")
    assert own() != before


def test_a_text_whose_lines_look_like_magics_is_a_text():
    cell = 'text = """\n%s\nReally?\n!\n"""\nx = (7\n  % 2)'
    assert modules.magics(cell) == []
    assert key.key_parts([cell])["notebook"] != key.key_parts([cell.replace("% 2", "% 3")])["notebook"]


def test_an_operator_at_the_start_of_a_line_is_no_magic(package):
    (package / "measures/share.py").write_text("x = (\n    1\n    % 2\n)")
    before = key.key_parts(CELLS)
    (package / "measures/share.py").write_text("x = (\n    1\n    % 3\n)")
    assert key.key_parts(CELLS) != before


def test_an_edited_helper_is_another_run_and_named(own, root, say):
    folder = finished(root)
    (root / "helpers.py").write_text("x = 2")
    assert finished(root) != folder
    assert "code helpers.py" in say("show", "01", "--why")[1]
    (root / "latin.py").write_bytes("x = 'ä'".encode("latin-1"))
    assert finished(root) != folder


# ------------------------------------------------------------------------------- on the command line
def finished(root, **values):
    """A finished run with an executed notebook, made without a kernel."""
    opened = workbench.start("01_study", {"seed": 0} | values)
    shutil.copy(root / "notebooks" / "01_study.ipynb", opened.folder / "notebook.ipynb")
    opened.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
    opened.finish()
    return opened.folder


def edit(path, old, new):
    """Change the text of a notebook."""
    path.write_text(path.read_text().replace(old, new))


def test_a_changed_caption_is_cached_and_the_page_is_said_to_be_old(root, package, say):
    path = write_notebook(root, "01_study", *CELLS)
    folder = finished(root)
    assert "draws it again" not in say("run", "01")[1]
    edit(path, "The work", "The labour")
    code, out, _ = say("run", "01")
    assert (code, "cached" in out) == (0, True)
    assert "The page of this run is older than the notebook: workbench report 01_study draws it again." in out
    (package / "studies/heads/views.py").write_text("RED = 1")
    assert "cached" in say("run", "01")[1]
    assert workbench.start("01_study", {"seed": 0}).folder == folder
    assert len(history.all_runs(root / "runs")) == 1


def test_a_page_of_an_older_run_is_named_by_its_key(root, say):
    path = write_notebook(root, "01_study")
    older = finished(root)
    newer = finished(root, seed=1)
    edit(path, "The work", "The labour")
    assert f"workbench report 01_study/{older.name} draws it again" in say("run", "01")[1]
    assert "workbench report 01_study draws it again" in say("run", "01", "-p", "seed=1")[1]
    assert newer.exists()


DRAWN = [
    "from workbench.claims import Claim",
    ROWS + 'rows = run.rows("r", range(3), work)\nrun.log(step=0, loss=1.0)',
    'print("it is", "red")',
    'run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))\nrun.finish()',
]


def kept(folder):
    """What a run keeps, but for its executed notebook and its log."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in paths if path.suffix in (".jsonl", ".parquet", ".json")}


def test_report_draws_again_and_computes_nothing(root, say):
    path = write_notebook(root, "01_study", *DRAWN)
    folder = run(root, "01")["01_study"].folder
    before = kept(folder)
    assert say("report", "01")[0] == 0
    assert kept(folder) == before
    edit(path, "The work", "The labour")
    edit(path, "red", "blue")
    code, _, err = say("report")
    assert (code, err) == (0, "")
    page = (root / "runs" / "reports" / "01_study.html").read_text()
    assert "The labour" in page
    assert "it is blue" in page
    assert (root / "done.txt").read_text().split() == ["0", "1", "2"]
    after = kept(folder)
    drawn = [json.loads(kept.pop("run.json")) for kept in (before, after)]
    assert after == before
    assert drawn[0].pop("drawn") != drawn[1].pop("drawn")
    assert drawn[0] == drawn[1]
    out = say("run", "01")[1]
    assert "cached" in out
    assert "draws it again" not in out
    assert "The labour" in (root / "runs" / "reports" / "01_study.html").read_text()


def test_a_picture_that_fails_leaves_the_run_and_its_page_as_they_were(root, say):
    path = write_notebook(root, "01_study", *DRAWN)
    folder = run(root, "01")["01_study"].folder
    edit(path, r"\"red\"", "1 / 0")
    before = kept(folder) | {"notebook": (folder / "notebook.ipynb").read_bytes()}
    code, _, err = say("report", "01")
    assert code == 1
    assert "01_study could not be drawn again (ZeroDivisionError: division by zero)" in err
    assert len(err.strip().splitlines()) == 1
    assert kept(folder) | {"notebook": (folder / "notebook.ipynb").read_bytes()} == before
    assert "it is red" in (root / "runs" / "reports" / "01_study.html").read_text()


@pytest.mark.parametrize("case", ["an older run", "a record without the field", "a moved folder"])
def test_the_page_of_another_run_is_made_from_what_it_keeps(root, say, case):
    path = write_notebook(root, "01_study", *DRAWN)
    folder = finished(root)
    edit(path, "The work", "The labour")
    asked = "01"
    if case == "an older run":
        edit(path, "range(3)", "range(4)")
    elif case == "a moved folder":
        asked = str(shutil.move(folder, root / "moved"))
    else:
        described = record.read_run(folder)
        del described["drawn"]
        files.write_json(folder / "run.json", described)
        assert "01_study" in say("list")[1]
        assert "It grows." in say("show", "01")[1]
        assert "cached" in say("run", "01")[1]
    assert say("report", asked)[0] == 0
    assert "The work" in (root / "runs" / "reports" / "01_study.html").read_text()
    assert not (root / "done.txt").exists()


def test_why_names_what_computes(root, package, say):
    path = write_notebook(root, "01_study", *CELLS)
    finished(root)
    edit(path, "The work", "The labour")
    (package / "studies/heads/results.py").write_text("LEAST = 0.6")
    finished(root)
    out = say("show", "01", "--why")[1]
    assert "code workbench/studies/heads/results.py" in out
    assert "code workbench/measures/share.py" in out
    assert "cells changed" not in out
    assert out.count("→") == 3  # results, share, and the package that holds it
