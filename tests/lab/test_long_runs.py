"""A chain of real notebooks that is killed at random moments, or whose disk fills, ends as one left alone."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from itertools import islice

import nbformat
import psutil
import pytest
from lab_project import child, command, wait_until, write_notebook
from nbformat.v4 import new_code_cell
from repository import ROOT

from workbench import files
from workbench.engine.sampling.response_cache import ResponseCache
from workbench.engine.sampling.sampler import Completion
from workbench.errors import UserError
from workbench.lab import history, record

SHORTER = {  # a cell behind the first of each notebook, with the sizes that no parameter sets
    "01_stories": """
from workbench.studies.stories.method import SIZES, Sizes
SIZES["quick"] = Sizes(400, 200)""",
    "02_tiny_models": """
from dataclasses import replace
from workbench.studies.tiny_models import ladder
ladder.SIZES["quick"] = replace(ladder.SIZES["quick"], vocab_size=600, beginnings=6, probes=4)""",
    "08_siked": """
from dataclasses import replace
from workbench.studies.siked.data import SIZES
usual = SIZES["quick"]
lesson = replace(usual.lesson, epochs=1, max_new_tokens=24)
SIZES["quick"] = replace(usual, lesson=lesson, train=24, held_out=8, n_test=12, seeds=1)""",
    "09_prismatic": """
from dataclasses import replace
from workbench.studies.prismatic.data import SIZES
usual = SIZES["quick"]
student = replace(usual.student, steps=4, n_test=12)
SIZES["quick"] = replace(
    usual, student=student, corpus=15, n=24, first=16, target=32, per_round=16, students=2, pools=2
)""",
}
CALLS = 2  # of a sampler, at most, for what is kept at once
# Read by every Python that finds it: what a model was asked and answered is noted in a file.
NOTING = """
import importlib.util, os, sys, zlib

class Noting:
    def find_spec(name, path=None, target=None):
        if name != "workbench.engine.sampling.transformers_sampler":
            return None
        sys.meta_path.remove(Noting)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            sample = module.TransformersSampler.sample

            def noted(self, prompts, params):
                found = sample(self, prompts, params)
                key = zlib.crc32(repr((list(prompts), params, found)).encode())
                with open(os.environ["CHAIN_ASKED"], "a") as file:
                    file.write(f"{key:08x}\\n")
                return found

            module.TransformersSampler.sample = noted

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Noting)
"""


class Chain:
    """The commands of a chain, in a project whose notebooks are shorter, into a folder of runs of its own.

    The stories that 02 reads are taken from another chain, where there is one.
    """

    def __init__(self, project, runs, other=None):
        if other:
            shutil.copytree(other.runs / "01_stories", runs / "01_stories")
        self.project, self.runs = project, runs
        self.asked = project / f"{runs.name}-asked.txt"
        self.environment = {
            "WORKBENCH_RUNS": str(self.runs),
            "CHAIN_ASKED": str(self.asked),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(project), os.environ.get("PYTHONPATH")))),
            "TQDM_DISABLE": "1",
        }
        self.asked.touch()
        self.took = {}

    def commands(self):
        """What a researcher types one after the other; each reads a model that the one before has left."""
        yield ["run", "02", "-p", "model=tiny:0.1M", "-p", "n_tokens=24000"]
        model = self.only("02_tiny_models/*/artifacts/models/seed-0/0.1M/model")
        yield ["run", "08", "-p", f"model={model}", "-p", "iterations=1", "-p", "samples=1"]
        student = self.only("08_siked/*/artifacts/students/seed-0/SIKeD/round-0/model")
        yield ["run", "09", "-p", f"model={student}", "-p", "n_subsets=6", "-p", "dimension=64"]

    def only(self, pattern):
        (found,) = self.runs.glob(pattern)
        return found

    def start(self, *words):
        return child(self.project, "-m", "workbench", *words, **self.environment)

    def run(self, n, seconds=None, kill=None):
        """Give the first n commands of the chain; false when it was killed after so many seconds."""
        end = time.monotonic() + (seconds or 3600)
        for words in islice(self.commands(), n):
            began, process = time.monotonic(), self.start(*words)
            try:
                _, err = process.communicate(timeout=max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                assert kill, "the chain hangs"
                kill(process)
                process.communicate()
                return False
            assert process.returncode == 0, err
            self.took.setdefault(words[1], time.monotonic() - began)
        return True

    def alive(self):
        """Every process of the chain, also those whose parents are gone."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("WORKBENCH_RUNS") == str(self.runs):
                    found.append(process)
        return found

    def cut_power(self, process):
        """Kill everything at once."""
        while found := self.alive():
            for each in found:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()
            psutil.wait_procs(found)

    def kill_command(self, process):
        """Kill the command alone, as `kill -9` does; what it started ends by itself."""
        started = [each for each in self.alive() if each.pid != process.pid]
        process.kill()
        psutil.wait_procs(started, timeout=60)
        wait_until(lambda: not self.alive(), 60)

    def kept(self):
        """Tables, weights and arrays that are whole: path to (inode, time of writing)."""
        found = {}
        for path in self.runs.rglob("*"):
            parts = path.relative_to(self.runs).parts
            half = [part for part in parts if part.startswith(".") and part.endswith((".new", ".old"))]
            checkpoint = next((at for at in path.parents if at.name.startswith("checkpoint-")), None)
            if checkpoint and not (checkpoint / "history.json").exists():
                half.append(checkpoint)
            if path.suffix in (".parquet", ".npz", ".safetensors") and not half and ".part" not in path.name:
                found[str(path.relative_to(self.runs))] = (path.stat().st_ino, path.stat().st_mtime_ns)
        return found

    def answers(self):
        """What models answered, each time."""
        return Counter(self.asked.read_text().split())

    def was_doing(self):
        """The notebook that ran, and the newest of what it kept."""
        folders = [f.parent.name for f in history.all_runs(self.runs) if history.state(f) == "unfinished"]
        written, newest = max(((self.runs / path).stat().st_mtime, path) for path in self.kept())
        ago = f"{time.time() - written:.1f} s after {re.sub('/[0-9a-f]{12}', '', newest)}"
        return f"in {', '.join(folders) or 'no notebook'}, {ago}"

    def look(self):
        """What a person asks for in between."""
        for words in [["list"], *(["show", each.name] for each in history.all_runs(self.runs)[:1])]:
            process = self.start(*words)
            _, err = process.communicate()
            assert (process.returncode, err) == (0, "")
        assert "running" not in map(history.state, history.all_runs(self.runs))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A chain that nobody disturbs; each test has it run as far as it needs."""
    project = tmp_path_factory.mktemp("project")
    (project / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        places = [at for at, cell in enumerate(notebook.cells) if "workbench.start(" in cell.source]
        if path.stem in SHORTER:
            notebook.cells.insert(places[0] + 1, new_code_cell(SHORTER[path.stem]))
            nbformat.write(notebook, project / "notebooks" / path.name)
    (project / "sitecustomize.py").write_text(NOTING)
    return Chain(project, project / "whole")


@pytest.mark.long
@pytest.mark.parametrize(("n", "kills"), [(2, 3), (3, 20)], ids=["02-08", "02-08-09"])
def test_a_chain_that_is_killed_again_and_again_ends_as_one_that_was_not(whole, n, kills):
    whole.run(n)
    length, draw, left = sum(whole.took.values()), random.Random(kills), kills
    print(f"undisturbed: {length:.0f} s, {whole.answers().total()} calls of a model")
    while left:
        chain, kept, before = Chain(whole.project, whole.project / f"killed-{n}-{left}", whole), {}, left
        while left:
            seconds = draw.uniform(0, length * (0.2 + 1.2 / kills))  # a restart takes a tenth
            kill = draw.choice([chain.cut_power, chain.kill_command])
            if chain.run(n, seconds, kill):
                break
            left -= 1
            print(f"{kills - left}: {kill.__name__} after {seconds:.1f} s {chain.was_doing()}")
            kept = nothing_lost(kept, chain)
            chain.look()
        assert chain.run(n)
        nothing_lost(kept, chain)
        same(whole.runs, chain.runs)
        again = chain.answers() - whole.answers()
        print(f"the same after {before - left} kills; {again.total()} calls again")
        assert not whole.answers() - chain.answers()
        assert again.total() <= 2 * CALLS * (before - left)  # what two processes at most had not yet kept


def nothing_lost(before, chain):
    """What was kept is there, and was not written again; what has gone was taken up in something larger."""
    now = chain.kept()
    assert {path: now[path] for path in before if path in now} == {
        p: v for p, v in before.items() if p in now
    }
    gone = [path for path in before if path not in now]
    assert all(re.search(r"/tables/[^/]+/|/checkpoint-|/\.", path) for path in gone), gone
    return now


def same(first, second):
    """All files of the runs are equal, and nothing but what belongs there is left."""
    own = {folder.parent.name for folder in history.all_runs(second)}
    one, other = contents(first, own), contents(second, own)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert files.orphans(second) == []
    for folder in history.all_runs(second):
        assert record.read_run(folder)["status"] == "done"
        assert not record.is_locked(folder)


def contents(runs, notebooks):
    """Notebook and path in its run to what has to be the same: bytes, or what they say without times."""
    found = {}
    for folder in history.all_runs(runs):
        for path in folder.rglob("*"):
            if path.is_file() and folder.parent.name in notebooks:
                found[f"{folder.parent.name}/{path.relative_to(folder)}"] = content(path)
    return found


def content(path):
    if path.name in ("run.json", "log.txt", "notebook.ipynb"):  # when and where, and how far a bar had come
        return None
    if path.name == "metrics.jsonl":  # the last line of a step counts
        rows = [untimed(json.loads(line)) for line in path.read_text().splitlines()]
        return {(row["model"], row.get("step")): row for row in rows}
    if path.name == "training.json":
        kept = json.loads(path.read_text())
        return kept | {"rows": [untimed(row) for row in kept["rows"]]}
    whole = path.read_bytes()
    if path.suffix == ".safetensors":  # its notes stand in any order
        start = 8 + int.from_bytes(whole[:8], "little")
        return json.loads(whole[8:start]), whole[start:]
    return whole


def untimed(row):
    return {name: value for name, value in row.items() if name not in ("time", "tokens_per_second")}


# ------------------------------------------------------------------------------- a full disk
class Disk:
    """A small file system of its own, that can be filled to the last byte."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / "filler"

    def fill(self):
        with open(self.filler, "ab") as file, suppress(OSError):
            while free := os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)

    def free(self):
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk" / "reports"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def one_sentence(process, code=2):
    out, err = process.communicate(timeout=300)
    said_in_one_sentence(process.returncode, out, err, code)


def said_in_one_sentence(found, out, err, code=2):
    assert found == code, out + err
    assert len(err.strip().splitlines()) == 1, err
    assert re.search("disk is full|make room", err), err


STAGES = [  # what is there when the disk fills
    "02_tiny_models/*/artifacts/models/seed-0/0.1M/model/training.json",
    "02_tiny_models/*/artifacts/models/seed-0/0.1M/model/checkpoint-*",
    "02_tiny_models/*/tables/losses.parquet",
]


@pytest.mark.long
def test_a_disk_that_fills_again_and_again_in_a_real_notebook_loses_nothing(whole, disk):
    whole.run(1)
    chain, kept = Chain(whole.project, disk.folder / "runs", whole), {}
    words = next(chain.commands())
    for stage in STAGES:
        process = chain.start(*words)
        wait_until(
            lambda stage=stage, process=process: any(chain.runs.glob(stage)) or process.poll() is not None
        )
        disk.fill()
        one_sentence(process)
        kept = nothing_lost(kept, chain)
        chain.look()
        disk.free()
    process = chain.start(*words)
    _, err = process.communicate()
    assert process.returncode == 0, err
    nothing_lost(kept, chain)
    same(whole.runs, chain.runs)


FILL = """
import os
if not os.path.exists("freed"):
    with open(os.path.join(os.environ["DISK"], "filler"), "ab") as file:
        while free := os.statvfs(file.name).f_bavail * os.statvfs(file.name).f_frsize:
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
display({"text/html": "<p>many words</p>" * 9000}, raw=True)
"""
KEEP = """
import pandas
def make():
    with open(os.environ["WORK_DONE"], "a") as done:
        done.write("made\\n")
    return pandas.DataFrame({"n": [1]})
run.table("t", make)
"""


def test_a_disk_that_is_full_when_the_executed_notebook_is_written(root, disk, say, monkeypatch):
    write_notebook(root, "01_study", "import os" + KEEP, FILL)
    monkeypatch.setenv("DISK", str(disk.folder))
    monkeypatch.setenv("WORKBENCH_RUNS", str(disk.folder / "runs"))
    said_in_one_sentence(*say("run", "01"))
    said_in_one_sentence(*say("run", "01"))  # it is still full
    disk.free()
    (root / "freed").touch()
    code, _, err = say("run", "01")
    assert (code, err) == (0, "")
    assert (root / "done.txt").read_text() == "made\n"
    (folder,) = history.all_runs(disk.folder / "runs")
    assert files.orphans(folder) == []


def test_a_disk_that_is_full_when_the_report_is_written(root, disk, say, monkeypatch):
    write_notebook(root, "01_study", "import os" + KEEP, FILL)
    monkeypatch.setenv("DISK", str(disk.folder))
    monkeypatch.setenv("WORKBENCH_RUNS", str(disk.folder.parent))
    said_in_one_sentence(*say("run", "01"), 1)
    disk.free()
    code, out, err = say("run", "01")
    assert (code, err) == (0, "")
    assert "cached" in out
    assert sorted(path.name for path in disk.folder.iterdir()) == ["01_study.html", "index.html"]


def test_answers_that_a_full_disk_cut_short_are_asked_for_again_and_no_others(disk, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ANSWERS", str(disk.folder / "answers.jsonl"))
    rows = {f"{number:032x}": Completion("a}}" * number, [number], [0.5], "stop") for number in range(3000)}
    first, second = dict(list(rows.items())[:9]), dict(list(rows.items())[9:])
    ResponseCache().keep(first)
    disk.fill()
    with pytest.raises(UserError, match="free some space"):
        ResponseCache().keep(second)
    disk.free()
    again = ResponseCache()
    assert all(again.get(key) == row for key, row in first.items())
    again.keep({key: row for key, row in second.items() if again.get(key) is None})
    last = ResponseCache()
    assert all(last.get(key) == row for key, row in rows.items())


# ------------------------------------------------------------------------------- signals
SLOW = """
import os, time, pandas
def work(items):
    with open(os.environ["WORK_DONE"], "a") as done:
        done.writelines(f"{seed}/{item}\\n" for item in items)
    time.sleep(0.3)
    return pandas.DataFrame({"item": items})
run.rows("r", range(8), work, piece=1)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_ended_goes_on_where_it_was(root, say, end):
    write_notebook(root, "01_study", SLOW)
    words = ["sweep", "01", "-p", "seed=0..1"]
    process = command(root, *words)
    worked = lambda: (root / "done.txt").read_text().split() if (root / "done.txt").exists() else []
    wait_until(lambda: len(worked()) >= 6)
    process.send_signal(end)
    process.communicate()
    assert process.returncode == (130 if end == signal.SIGTERM else -end)
    code, _, err = say(*words)
    assert (code, err) == (0, "")
    assert set(worked()) == {f"{seed}/{item}" for seed in range(2) for item in range(8)}
    assert len(worked()) <= 16 + 2  # both points may have been at work


def test_ctrl_c_twice_while_a_kernel_starts_leaves_nothing_behind(root):
    write_notebook(root, "01_study", "import time\ntime.sleep(600)")
    process = command(root, "run", "01")
    wait_until(lambda: any(root.glob("runs/01_study/*/run.json")))
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)  # the second comes while the first is heeded
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [each for each in psutil.process_iter() if marked(each, root)] == []


def marked(process, root):
    with suppress(psutil.Error):
        return process.environ().get("WORKBENCH_RUN", "").startswith(str(root))
