"""A project of one notebook and its open run, and how the tests are shared out over the cores."""

import os
import sys

import pytest
from all_notebooks import BESIDE, Beside, folder_of, needs_runs, project  # noqa: F401  a fixture
from lab_project import write_notebook

import workbench
from workbench.cli import app
from workbench.lab.environment import cores

# Read by torch: there is a process a core, and the notebooks are beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
MOST = 4  # processes: each holds torch and transformers, a gigabyte


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN", "WORKBENCH_ANSWERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORK_DONE", str(tmp_path / "done.txt"))
    write_notebook(tmp_path, "01_study")
    return tmp_path


@pytest.fixture
def run(root):
    opened = workbench.start("01_study", {"seed": 0})
    yield opened
    opened.close()


@pytest.fixture
def fresh_studies():
    """Studies of a project of this test alone: those of other tests have the same modules' names."""

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] == "studies"]:
            del sys.modules[name]

    forget()
    yield
    forget()


@pytest.fixture
def say(root, monkeypatch, capfd):
    """Give a command in this process; returns exit code, stdout and stderr."""

    def give(*words, width=120):
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        monkeypatch.setattr(app.out, "_width", width)
        capfd.readouterr()  # what was printed before
        with pytest.raises(SystemExit) as ended:
            app.main()
        return (ended.value.code or 0, *capfd.readouterr())

    return give


# ------------------------------------------------------------------------------- side by side
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """A process a core; what is in one file needs no second one, which would only import the same."""
    one = len(config.args) == 1 and config.args[0].partition("::")[0].endswith(".py")
    return 0 if one else min(MOST, cores())


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, those of the notebooks' runs last; a file stays in one process."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    late = {item.path for item in items if needs_runs(item)}
    items.sort(key=lambda item: (item.path in late, item.path not in slow))


# The notebooks belong to the process that is no worker: it starts them once one of their tests was found.
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.stash[BESIDE] = Beside()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["notebooks"] = str(node.config.stash[BESIDE].folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    config = session.config
    if any(map(needs_runs, session.items)) and not config.option.collectonly:
        folder_of(config).mkdir(exist_ok=True)
        (folder_of(config) / "wanted").touch()
    if BESIDE in config.stash:
        config.stash[BESIDE].start_if_wanted()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node):
    node.config.stash[BESIDE].start_if_wanted()


def pytest_unconfigure(config):
    if BESIDE in config.stash:
        config.stash[BESIDE].end()
