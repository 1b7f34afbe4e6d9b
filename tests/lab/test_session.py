"""Outside the runner: an edited copy and unsaved edits never write into the run of the saved notebook."""

import json
import sys
from types import SimpleNamespace

import pytest
from lab_project import run, write_notebook

from workbench.errors import UserError
from workbench.lab import execute, history, project, record
from workbench.lab.ledger import read_claims

CELLS = [
    "import pandas\nfrom workbench.claims import Claim\nfactor = 2",
    'table = run.table("t", lambda: pandas.DataFrame({"x": [factor]}))',
    'run.log(step=1, loss=float(factor))\nrun.artifact("a").parent.mkdir(exist_ok=True)',
    'claim = run.claim(Claim("grows", "It grows.", "yes", float(table.x[0]), 0.1, 9, 5, "stories"))',
    "run.finish()",
]


class Kernel:
    """What IPython keeps of the cells that it executes."""

    def __init__(self, path, **more):
        self.namespace = {"In": [""], **more}
        self.path = path

    def cells(self):
        cells = json.loads(self.path.read_text())["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    def execute(self, *sources):
        for source in sources:
            self.namespace["In"].append(source)
            exec(source, self.namespace)

    def execute_all(self, *changes):
        """All cells in order, some with an edit that is not saved."""
        for source in self.cells():
            for old, new in changes:
                source = source.replace(old, new)
            self.execute(source)


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def notebook(root):
    return write_notebook(root, "01_study", *CELLS)


@pytest.fixture
def original(notebook):
    """The finished run of the notebook as it is saved."""
    kernel = Kernel(notebook)
    kernel.execute_all()
    return kernel.namespace["run"].folder


EDITS = [
    ("factor = 2", "factor = 3"),
    ("[factor]", "[factor + 1]"),
    ("float(table.x[0])", "99.0"),
    ("loss=float(factor)", "loss=0.0"),
    ("import pandas", "import pandas\nfactor = table = None"),
    ("run.finish()", "factor = 4\nrun.finish()"),
]


@pytest.mark.parametrize("change", EDITS)
@pytest.mark.parametrize("finished", [True, False])
def test_an_edit_that_is_not_saved_writes_nothing(notebook, change, finished, request):
    if finished:
        folder = request.getfixturevalue("original")
        before = contents(folder)
    kernel = Kernel(notebook)
    with pytest.raises(UserError, match=r"is not in 01_study\.ipynb as it was when its run was opened"):
        kernel.execute_all(change)
    folder = kernel.namespace["run"].folder
    if finished:
        assert contents(folder) == before
    else:
        assert not record.is_done(folder)
        assert [claim.effect for claim in read_claims(folder)] in ([], [2.0])
    kernel.namespace["run"].close()


@pytest.mark.parametrize("change", EDITS)
def test_a_saved_edit_is_a_run_of_its_own(notebook, original, change):
    before = contents(original)
    edit(notebook, *(text.replace("\n", "\\n") for text in change))
    kernel = Kernel(notebook)
    kernel.execute_all()
    assert kernel.namespace["run"].folder != original
    assert contents(original) == before


def test_pictures_prose_and_a_look_at_something_may_change(notebook, original):
    kernel = Kernel(notebook)
    kernel.execute("extra = 1")
    kernel.execute_all(
        ("factor = 2", "factor = 2  # the factor"), ("run.finish()", "run.finish()\nprint('x')")
    )
    kernel.execute(
        "table.head()", "mine = table.x.sum()", 'run.table("t")', 'run.artifact("..") if False else 1'
    )
    assert kernel.namespace["run"].folder == original


def test_a_name_set_again_by_its_own_cell_is_as_planned(notebook):
    kernel = Kernel(notebook)
    cells = kernel.cells()
    kernel.execute(*cells[:3], "factor = 7")
    with pytest.raises(UserError, match="factor = 7"):
        kernel.execute(cells[3])
    kernel.execute(cells[2], cells[3], "table.drop(index=0, inplace=True)")
    with pytest.raises(UserError, match="inplace"):
        kernel.execute(*cells[4:])
    kernel.execute(*cells[2:])
    assert record.is_done(kernel.namespace["run"].folder)
    assert kernel.namespace["table"].x[0] == 2


def test_nothing_is_written_after_the_end(notebook, original):
    before = contents(original)
    kernel = Kernel(notebook)
    kernel.execute_all()
    kernel.execute(*kernel.cells()[2:])
    assert contents(original) == before
    path = write_notebook(notebook.parents[1], "02_new", *CELLS)
    kernel = Kernel(path)
    kernel.execute_all()
    folder = kernel.namespace["run"].folder
    before = contents(folder)
    kernel.execute(*kernel.cells()[2:])
    for edited in ("factor = 3", 'run.claim(Claim("new", "It grows.", "yes", 9, 8, 10, 5, "stories"))'):
        with pytest.raises(UserError, match="edited code gets its own run"):
            kernel.execute(edited, CELLS[3])
    assert contents(folder) == before


def test_parameters_set_by_hand_before_the_start_are_those_of_the_run(notebook):
    kernel = Kernel(notebook)
    first, *rest = kernel.cells()
    kernel.execute(first.replace("= 0", "= 5"), *rest)
    folder = kernel.namespace["run"].folder
    assert record.read_run(folder)["params"] == {"seed": 5}
    (job,) = execute.jobs_for([project.find_notebook(notebook.parents[1], "01")], {"seed": "5"}, False)
    assert job.folder == folder


def test_cells_edited_and_saved_after_the_start_write_nothing(notebook):
    kernel = Kernel(notebook)
    kernel.execute(*kernel.cells()[:2])
    edit(notebook, "factor = 2", "factor = 3")
    with pytest.raises(UserError, match="run it from the first cell"):
        kernel.execute(*kernel.cells()[2:])
    kernel.execute(*kernel.cells()[1:])
    assert kernel.namespace["table"].x[0] == 3


@pytest.mark.parametrize("where", ["notebooks", "elsewhere"])
@pytest.mark.parametrize("known_by", ["__session__", "__vsc_ipynb_file__", "JPY_SESSION_NAME"])
def test_an_edited_copy_has_a_run_of_its_own(notebook, original, where, known_by, monkeypatch, capsys):
    before = contents(original)
    copy = notebook.parents[1] / where / "01_study-Copy1.ipynb"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(notebook.read_text().replace("factor = 2", "factor = 3"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(copy))
    kernel = Kernel(copy, **({} if known_by.isupper() else {known_by: str(copy)}))
    kernel.execute_all()
    assert kernel.namespace["table"].x[0] == 3
    assert kernel.namespace["run"].folder.parent.name == "01_study-Copy1"
    assert f"{where}/01_study-Copy1.ipynb is not notebooks/01_study.ipynb" in capsys.readouterr().out
    assert contents(original) == before


def test_a_module_beside_a_copy_counts(notebook, root):
    copy = root / "scratch" / "copy.ipynb"
    copy.parent.mkdir()
    copy.write_text(notebook.read_text().replace("factor = 2", "factor = 2\\nif False:\\n    import beside"))
    folders = set()
    for text in ("x = 1", "x = 2"):
        (copy.parent / "beside.py").write_text(text)
        kernel = Kernel(copy, __session__=str(copy))
        kernel.execute_all()
        folders.add(kernel.namespace["run"].folder)
    assert len(folders) == 2


@pytest.mark.parametrize(
    "said", ["{root}/none.ipynb", "{root}/notebooks/02_other.ipynb", "console-1", "\0.ipynb", ""]
)
def test_a_file_that_is_not_the_one_that_runs_is_not_taken_for_it(notebook, root, said):
    write_notebook(root, "02_other")
    kernel = Kernel(notebook, __session__=said.format(root=root))
    kernel.execute_all()
    assert kernel.namespace["run"].folder.parent.name == "01_study"


def test_an_edited_copy_under_plain_papermill_is_one_sentence(notebook, original, root):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    before = contents(original)
    (root / "copy.ipynb").write_text(notebook.read_text().replace("factor = 2", "factor = 3"))
    with pytest.raises(PapermillExecutionError, match="save the notebook") as raised:
        papermill.execute_notebook("copy.ipynb", "out.ipynb", progress_bar=False, kernel_name="python3")
    assert raised.value.ename == "UserError"
    assert contents(original) == before


def test_an_edited_copy_that_jupyter_has_open_has_a_run_of_its_own(notebook, original, root, monkeypatch):
    import papermill

    before = contents(original)
    (root / "copy.ipynb").write_text(
        notebook.read_text().replace("factor = 2", "factor = 3\\n%timeit -n 1 -r 1 1")
    )
    monkeypatch.setenv("JPY_SESSION_NAME", str(root / "copy.ipynb"))
    papermill.execute_notebook("copy.ipynb", "out.ipynb", progress_bar=False, kernel_name="python3")
    (folder,) = (root / "runs" / "copy").glob("[!.]*")
    assert record.is_done(folder)
    assert read_claims(folder)[0].effect == 3
    assert contents(original) == before


def test_a_copy_among_the_notebooks_runs_as_itself(notebook, original, root):
    before = contents(original)
    copy = root / "notebooks" / "03_copy.ipynb"
    copy.write_text(
        notebook.read_text()
        .replace("factor = 2", "factor = 3")
        .replace("seed: int = 0", "seed: int = 0\\nmore: int = 1")
    )
    job = run(root, "03", more="2")["03_copy"]
    assert job.status == "done", job.error
    assert record.read_run(job.folder)["params"] == {"seed": 0, "more": 2}
    assert read_claims(job.folder)[0].effect == 3
    assert contents(original) == before
    assert len(history.all_runs(root / "runs")) == 2


def test_a_number_that_a_copy_shares_names_neither(notebook, root):
    notebook.with_name("01_study-Copy1.ipynb").write_text(notebook.read_text())
    assert project.find_notebook(root, "study").path == notebook
    with pytest.raises(UserError, match=r"01 may be 01_study(-Copy1)? and 01_study\S*: give the whole name"):
        project.find_notebook(root, "01")


def test_a_notebook_changed_while_it_waits_is_not_run_under_its_old_key(notebook, root):
    write_notebook(root, "02_later", "x = 1", needs=["01_study"])
    jobs = execute.jobs_for([project.find_notebook(root, "02")], {}, False)

    changes = iter([("x = 1", "x = 2")])

    def refresh():
        if jobs[0].status == "running":
            for change in changes:
                edit(root / "notebooks" / "02_later.ipynb", *change)

    execute.run_jobs(jobs, 1, refresh, lambda job: None)
    assert [job.status for job in jobs] == ["done", "failed"]
    assert "02_later, or what it reads, was changed while it waited" in jobs[1].error
    assert not record.is_done(jobs[1].folder)


class Shell:
    """The part of IPython that a session asks for."""

    def __init__(self, namespace):
        self.history_manager = SimpleNamespace(input_hist_raw=namespace["In"])
        self.events, self._before = self, []

    def register(self, event, call):
        assert event == "pre_run_cell"
        self._before.append(call)

    def unregister(self, event, call):
        self._before.remove(call)

    def before(self, source):
        for call in self._before:
            call(SimpleNamespace(raw_cell=source))


STALE = "seed has changed since the run was opened: run the cell with `workbench.start` again"


@pytest.mark.parametrize("use", [*CELLS[1:], 'run.table("t")', 'run.artifact("a")'])
def test_a_run_is_not_used_with_other_parameters_than_it_was_opened_with(notebook, original, use):
    before = contents(original)
    kernel = Kernel(notebook)
    kernel.execute_all()
    kernel.execute(kernel.cells()[0].replace("= 0", "= 1"))
    with pytest.raises(UserError, match=STALE):
        kernel.execute(use)
    assert contents(original) == before
    kernel.execute(*kernel.cells()[1:])
    assert kernel.namespace["run"].seed == 1


def test_a_cell_that_only_shows_something_says_that_it_is_of_other_parameters(notebook, capsys):
    kernel = Kernel(notebook)
    shell = Shell(kernel.namespace)
    kernel.namespace["get_ipython"] = lambda: shell
    kernel.execute_all()
    shell.before("table.head()")
    assert capsys.readouterr().err == ""
    kernel.execute("seed = 1")
    for source in ("table.head()", kernel.cells()[1], 'run.table("t")'):
        shell.before(source)
    assert capsys.readouterr().err.count(STALE) == 1
    kernel.execute(*kernel.cells()[1:])
    shell.before("table.head()")
    assert capsys.readouterr().err == ""


def test_a_notebook_may_use_a_parameters_name_for_something_else(root):
    kernel = Kernel(write_notebook(root, "03_reuse", "import pandas\nseed = pandas.Series([1, 2])", *CELLS))
    kernel.execute_all()
    kernel.execute('run.table("t")')


def test_a_module_that_was_edited_in_an_open_kernel_gives_no_run(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    module = root / "edited_method.py"
    module.write_text("factor = 2\n")
    cell = "import pandas, edited_method\n" + CELLS[1].replace("[factor]", "[edited_method.factor]")
    path = write_notebook(root, "01_study", cell)
    kernel = Kernel(path)
    try:
        kernel.execute_all()
        module.write_text("factor = 2  # a comment changes nothing\n")
        kernel.execute_all()
        module.write_text("factor = 3\n")
        with pytest.raises(UserError, match=r"edited_method\.py was edited .*: restart the kernel"):
            kernel.execute_all()
        assert len([*(root / "runs" / "01_study").glob("*/run.json")]) == 1
        module.write_text("factor = 2\n")
        kernel.execute_all()
        assert kernel.namespace["table"].x.tolist() == [2]
    finally:
        sys.modules.pop("edited_method", None)
