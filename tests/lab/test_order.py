"""In which order notebooks run, and how many at once."""

import pytest
from lab_project import write_notebook

from workbench.errors import UserError
from workbench.lab import execute, order, project


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(root, given=None):
    notebooks = [project.read_notebook(path) for path in project.notebook_paths(root)]
    return execute.jobs_for(notebooks, given or {}, False)


def names(jobs):
    return [job.plan.notebook.name for job in jobs]


def test_what_others_need_comes_first_then_what_is_quick(root):
    write_notebook(root, "01_slow", minutes=9)
    write_notebook(root, "02_base", minutes=5)
    write_notebook(root, "03_middle", minutes=0.1, needs=["02_base"])
    write_notebook(root, "04_after", minutes=3, needs=["03_middle"])
    write_notebook(root, "05_quick", minutes=1)
    write_notebook(root, "06_unknown")
    jobs = order.in_order(planned(root))
    assert names(jobs) == ["02_base", "03_middle", "05_quick", "04_after", "01_slow", "06_unknown"]


@pytest.mark.parametrize(("n", "most"), [(1, 1), (2, 2), (3, 2), (4, 2), (6, 3), (8, 4), (64, 4)])
def test_auto_suits_the_processor(root, monkeypatch, n, most):
    monkeypatch.setattr(order, "cores", lambda: n)
    for number in range(6):
        write_notebook(root, f"0{number}_study")
    assert order.side_by_side("auto", planned(root)) == most
    assert order.side_by_side("5", planned(root)) == 5


def test_a_chain_of_notebooks_has_all_cores_for_each(root, monkeypatch):
    monkeypatch.setattr(order, "cores", lambda: 8)
    write_notebook(root, "01_rows")
    write_notebook(root, "02_read", needs=["01_rows"])
    assert order.side_by_side("auto", planned(root)) == 1
    write_notebook(root, "03_alone")
    assert order.side_by_side("auto", planned(root)) == 2


@pytest.mark.parametrize("asked", ["0", "-1", "two", "", "1.5", "²"])
def test_another_number_of_jobs_is_refused(root, asked):
    with pytest.raises(UserError, match="from 1 on, or auto"):
        order.side_by_side(asked, [])


def test_a_placebo_is_compared_with_what_its_run_needs(root):
    parameters = "n: int = 3\nplacebo: bool = False"
    write_notebook(root, "01_rows", parameters=parameters)
    write_notebook(root, "02_read", parameters=parameters, needs=["01_rows"])
    read = project.find_notebook(root, "02")
    plain, placebo = (project.plan(read, {"placebo": value}).parts["inputs"] for value in (False, True))
    assert plain == placebo
    assert project.plan(read, {"n": 4}).parts["inputs"] != plain


def test_no_notebook_takes_the_folder_of_pages_for_its_runs(root):
    write_notebook(root, "reports")
    with pytest.raises(UserError, match=r"reports\.ipynb cannot name its runs"):
        project.find_notebook(root, "reports")


def test_the_next_one_starts_before_the_page_of_the_last_is_written(root):
    for number in range(3):
        write_notebook(root, f"0{number}_study")
    jobs, seen = planned(root), []

    def work(job, _stop):
        job.status = "done"

    def finished(job):
        seen.append((job.plan.notebook.name, [other.status != "waiting" for other in jobs]))

    execute.run_jobs(jobs, 1, lambda: None, finished, work)
    assert seen == [
        ("00_study", [True, True, False]),
        ("01_study", [True, True, True]),
        ("02_study", [True, True, True]),
    ]
