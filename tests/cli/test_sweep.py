"""A grid of parameters, on this machine and on a Ray cluster: checked first, kept, gone on with, shown."""

import json
import os
import signal
import tempfile
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import psutil
import pytest
from lab_project import command, wait_until, write_notebook
from rich.console import Console

from workbench.engine import loading, models
from workbench.errors import UserError
from workbench.lab import history, project, record, sweep, terminal

READ = """
import os, time
from workbench.claims import Claim
with open(os.environ["WORK_DONE"], "a") as done:
    done.write(f"{width} {seed}\\n")
run.log(step=0, loss=9.0, rate=0.1)
run.log(step=1, loss=float(width * 10 + seed), rate=0.1)
upstream = run.input("01_rows").table("t", lambda: 1 / 0)
if width == bad:
    raise ValueError("too wide")
run.claim(Claim("grows", "It grows.", "yes", width, width - 1, width + 1, 5, "stories"))
"""
MAKE = """
import os, pandas
with open(os.environ["WORK_DONE"], "a") as done:
    done.write("needed\\n")
run.table("t", lambda: pandas.DataFrame({"n": [n]}))
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORK_DONE", str(tmp_path / "done.txt"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_notebook(tmp_path, "01_rows", MAKE, parameters="n: int = 3")
    parameters = (
        'n: int = 3\nwidth: int = 2\nseed: int = 0\nbad: int = -1\nrate: float = 0.1\nname: str = "x"\n'
        "sizes: list[int] = [1]"
    )
    write_notebook(tmp_path, "02_read", READ, parameters=parameters, needs=["01_rows"])
    return tmp_path


def planned(root, yes=False, **given):
    return sweep.plan_sweep(project.find_notebook(root, "02"), given, yes)


def values(found, *names):
    return [tuple(getattr(job.plan.params, name) for name in names) for job in found.points]


def worked(root):
    return (root / "done.txt").read_text().split("\n")[:-1]


def alive(root):
    """Processes that were started with this project's file in their environment, this one left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(root).encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "A sweep varies parameters: give some, as -p seed=0..4"),
        (["-p", "widht=1,2"], "02_read has no parameter widht: did you mean width?"),
        (["-p", "width=64,abc"], "width=abc does not fit `width: int`"),
        (["-p", "width=1,2", "-p", "seed=0,0.5"], "seed=0.5 does not fit"),
        (["-p", "width=1", "-p", "width=2"], "a sweep takes -p width=A,B"),
        (["-p", "width"], "write -p name=value"),
        (["-p", "seed=2..0"], "write seed=0..2"),
        (["-p", "seed=0..999", "-p", "width=1..999"], "999,000 runs of 02_read: give --yes"),
        (["-p", "seed=0..1", "--address", "127.0.0.1:1"], "--address goes with --engine ray"),
    ],
)
def test_the_whole_grid_is_checked_before_anything_starts(root, say, words, said):
    code, out, err = say("sweep", "02", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (root / "runs").exists()


def test_a_need_that_is_not_there_is_found_before_anything_starts(root, say):
    write_notebook(root, "03_lost", parameters="k: int = 0", needs=["01_row"])
    code, _, err = say("sweep", "03", "-p", "k=0..3")
    assert (code, "did you mean 01_rows?" in err) == (2, True)
    assert not (root / "runs").exists()


def test_values_are_lists_ranges_and_what_run_reads(root):
    assert values(planned(root, seed="0..2"), "seed") == [(0,), (1,), (2,)]
    assert values(planned(root, bad="-1..0,7"), "bad") == [(-1,), (0,), (7,)]
    assert values(planned(root, width="1,2", seed="0..1"), "width", "seed") == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    assert values(planned(root, rate="1e-3, 2"), "rate") == [(0.001,), (2.0,)]
    assert values(planned(root, rate="1..2"), "rate") == [(1.0,), (2.0,)]
    assert values(planned(root, name=r"a\,b,c,0..2"), "name") == [("a,b",), ("c",), ("0..2",)]
    assert values(planned(root, sizes="[1, 2],[3]"), "sizes") == [([1, 2],), ([3],)]
    assert values(planned(root, name=r"C:\data"), "name") == [(r"C:\data",)]
    for name in ("one, two", "three"):
        (root / name).write_text("")
    assert values(planned(root, name="gsm8k:one, two"), "name") == [("gsm8k:one, two",)]
    assert values(planned(root, name="three,one"), "name") == [("three",), ("one",)]
    with pytest.raises(UserError, match="does not fit"):
        planned(root, seed="1.." + "9" * 5000)


def test_the_same_value_twice_is_one_run_and_what_runs_share_is_planned_once(root):
    found = planned(root, seed="0,0,1", n="3")
    assert found.varied == ["seed"]
    assert [job.plan.notebook.name for job in found.jobs] == ["01_rows", "02_read", "02_read"]
    assert len({job.folder for job in found.jobs}) == 3
    with pytest.raises(UserError, match="301 runs"):
        planned(root, seed="0..300")
    assert len(planned(root, seed="0..300", yes=True).points) == 301


def test_a_sweep_keeps_its_runs_names_what_failed_and_ends_with_a_table(root, say):
    words = ["sweep", "02", "-p", "width=1,2", "-p", "bad=2"]
    code, out, err = say(*words)
    assert code == 1
    assert worked(root)[0] == "needed"
    assert sorted(worked(root)[1:]) == ["1 0", "2 0"]
    lines = out.splitlines()
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    assert table[0] == ["width", "key", "grows", "loss", "rate"]
    assert table[1][:2] + table[1][3:] == ["1", "✓", "+1.00", "○", "10", "0.1"]
    assert table[2][:2] + table[2][3:] == ["2", "✗"]
    assert "02_read width=2: ValueError: too wide" in err
    code, out, _ = say(*words)
    assert (code, out.count("cached"), out.count("failed after")) == (1, 2, 1)
    assert sorted(worked(root)) == ["1 0", "2 0", "2 0", "needed"]
    code, out, _ = say("sweep", "02", "-p", "bad=2", "-p", "width=1")
    assert (code, out.count("cached"), "starting" in out) == (0, 2, False)


def test_a_need_that_fails_is_named_once_with_its_reason(root, say):
    write_notebook(root, "01_rows", "1 / 0", parameters="n: int = 3")
    code, out, err = say("sweep", "02", "-p", "seed=0..1")
    assert (code, out.count("skipped")) == (1, 2)
    assert [line[:26] for line in err.splitlines() if ":" in line] == ["01_rows: ZeroDivisionError"]


def test_figures_that_are_alike_in_all_points_are_said_once(root):
    found = planned(root, width="1,2")
    for job in found.points:
        record.prepare(job.plan, job.folder)
        width = job.plan.params.width
        lines = [
            {"step": 1, "model": f"{width}x8", "loss": width},
            {"step": 0, "model": f"{width}x8", "loss": 9},
        ]
        lines += [{"step": 1, "part": part, "rate": 0.5} for part in "ab"]
        (job.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        job.status = "done"
    ends = sweep.results(found)
    assert (ends.claims, ends.metrics, ends.same) == ([], ["loss"], ["rate · a", "rate · b"])
    assert [(point["width"], figures["loss"]) for point, _, figures in ends.rows] == [
        ("1", "1"),
        ("2", "2"),
    ]


def test_many_measures_of_few_points_stand_below_each_other(root):
    results = sweep.Results([], [f"metric number {n}" for n in range(20)], [], [])
    for width, job in zip(("64", "128"), planned(root, width="64,128").points, strict=True):
        results.rows.append(({"width": width}, job, dict.fromkeys(results.metrics, width)))
    console = Console(file=StringIO(), width=80)
    terminal.show_results(results, console)
    lines = [line.split() for line in console.file.getvalue().strip().splitlines()]
    assert lines[0] == ["width", "64", "128"]
    assert lines[1][0] == "key"
    assert lines[2:] == [["metric", "number", str(n), "64", "128"] for n in range(20)]
    console = Console(file=StringIO(), width=30)
    terminal.show_results(results, console)
    assert console.file.getvalue().count("key") == 20, "neither fits: a table for each"


def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(root):
    slow = "import os, time\ntime.sleep(600 if seed and not os.path.exists('quick') else 0)"
    write_notebook(root, "02_read", slow)
    process = command(root, "sweep", "02", "-p", "seed=0..1")
    wait_until(lambda: len(finished(root)) == 1 and len(alive(root)) > 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "nothing is lost" in err
    assert "Traceback" not in err
    assert alive(root) == []
    (root / "quick").touch()
    process = command(root, "sweep", "02", "-p", "seed=0..1")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert (out.count("cached"), out.count("done in")) == (1, 1)


def test_a_run_whose_kernel_dies_once_goes_on(root, say):
    die = """
import os, signal
if seed or not os.path.exists("died"):
    open("died", "w")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    write_notebook(root, "03_die", die)
    code, out, err = say("sweep", "03", "-p", "seed=0..1")
    assert code == 1
    assert "✓ 03_die seed=0" in out
    assert "03_die seed=1: The kernel died" in err
    assert "seed=0" not in err


with_ray = pytest.mark.skipif(not find_spec("ray"), reason="needs the extra ray")


@with_ray
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--address", "127.0.0.1:1"], "No Ray cluster answers at 127.0.0.1:1"),
        (["--address", "nowhere"], "No Ray cluster answers at nowhere"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(root, say, words, said):
    code, out, err = say("sweep", "02", "-p", "seed=0..1", "--engine", "ray", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (root / "runs").exists()


def test_ray_that_is_not_installed_is_one_sentence(root, say, monkeypatch):
    monkeypatch.setattr("workbench.lab.ray_cluster.find_spec", lambda name: None)
    code, out, err = say("sweep", "02", "-p", "seed=0..1", "--engine", "ray")
    assert (code, out) == (2, "")
    assert err.strip() == "--engine ray needs Ray: pip install 'small-model-workbench[ray]'."


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two nodes with a processor each; all processes of it and of the sweep know a token."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as place:
        patch.setenv("RAY_TMPDIR", place)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "a" * 64)
        from ray.cluster_utils import Cluster  # reads the token's mode when it is imported

        small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        small |= {"no_monitor": True, "include_log_monitor": False, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=small)
        nodes.second = nodes.add_node(**small)
        yield nodes
        nodes.shutdown()


@with_ray
def test_answers_of_a_file_lose_nothing_with_a_worker_of_the_cluster(root, cluster):
    tokenizer = models.train_tokenizer(["Once upon a time there was a cat."], 300)
    loading.save(models.build(models.config("tiny:0.1M", len(tokenizer)), 0), tokenizer, root / "model")
    (root / "prompts.txt").write_text("\n".join(f"Tell of cat {number}" for number in range(200)))
    words = ["generate", "prompts.txt", "--model", "model", "--max-new-tokens", "4"]
    process = command(root, *words, "shared", "--engine", "ray", "--address", cluster.address)

    def workers():
        running = psutil.process_iter(["cmdline"])  # of a zombie it is None
        return [each for each in running if "ray::_generate" in "".join(each.info["cmdline"] or ())]

    wait_until(lambda: len(workers()) == 2)
    workers()[0].kill()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    answer_files = [root / name / "answers.jsonl" for name in ("shared", "alone")]
    assert command(root, *words, "alone", "--jobs", "1").wait(timeout=300) == 0
    assert len(set(answer_files[0].read_text().splitlines())) == 200
    assert answer_files[0].read_text() == answer_files[1].read_text()


SLOW = """
import os, time
with open("done.txt", "a") as done:
    done.write(f"{seed} {os.getppid()}\\n")
time.sleep(1 if os.path.exists("quick") else 600)
"""


@with_ray
def test_a_node_and_a_worker_that_are_lost_cost_no_run(root, cluster):
    write_notebook(root, "02_read", SLOW)
    words = ["sweep", "02", "-p", "seed=0..2", "--engine", "ray", "--address", cluster.address]
    process = command(root, *words)
    wait_until(lambda: (root / "done.txt").exists() and len(worked(root)) == 2)
    workers = [int(line.split()[1]) for line in worked(root)]
    nodes = [psutil.Process(worker).ppid() for worker in workers]
    second = cluster.second.all_processes["raylet"][0].process.pid
    assert nodes.count(second) == 1, "a run on each node"
    (root / "quick").touch()
    os.kill(workers[1 - nodes.index(second)], signal.SIGKILL)
    cluster.remove_node(cluster.second, allow_graceful=False)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count("done in") == 3
    seeds = [line.split()[0] for line in worked(root)]
    assert sorted(seeds) == ["0", "0", "1", "1", "2"], "what was lost ran once more"
    assert len(finished(root)) == len(history.all_runs(root / "runs")) == 3


@with_ray
def test_ctrl_c_ends_the_cluster_that_a_sweep_started_and_this_machine_goes_on(root):
    write_notebook(root, "02_read", SLOW.replace("1 if", "0 if not seed or"))
    words = ["sweep", "02", "-p", "seed=0..1", "--engine", "ray"]
    before = alive(root)
    process = command(root, *words)
    wait_until(lambda: len(finished(root)) == 1 and len(worked(root)) == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip() == "Interrupted; nothing is lost: the same command continues."
    assert alive(root) == before == []
    assert len(finished(root)) == 1
    (root / "quick").touch()
    out, err = command(root, *words[:-2]).communicate(timeout=300)
    assert (out.count("cached"), out.count("done in"), err) == (1, 1, "")


def finished(root):
    runs = [folder for folder in history.all_runs(root / "runs") if folder.parent.name == "02_read"]
    return [folder for folder in runs if record.is_done(folder)]
