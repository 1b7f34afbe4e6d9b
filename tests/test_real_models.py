"""Every notebook with models of the usual families, given as folders as their makers publish them.

By default each notebook runs once, in this process, and each family three times or more; `-m long` runs all
notebooks on all families by the command line. What is trained and asked is made small by `SMALL`.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from model_folders import FAMILIES, folder_of, texts

import workbench.engine  # noqa: F401
from workbench.lab.record import read_run

ROOT = Path(__file__).parent.parent
PATHS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
CHATS = ("Llama", "Qwen2")
LESSON = {"epochs": 1, "round_epochs": 1, "rounds": 1, "samples": 2, "batch_size": 4, "max_new_tokens": 16}
SMALL = {  # notebook: what takes the place of what in its study, at profile=tiny
    "01": {
        "stories.SIZES": {"corpus": 300, "compared": 30},
        "stories.BLOCK_STORIES": 10,
        "stories.BLOCK_WORDS": 400,
    },
    "02": {"ladder.SIZES": {"beginnings": 8, "probes": 4}},
    "03": {
        "attention_heads.SIZES": {
            "texts": 16, "scored": 6, "beginnings": 4, "probes": 2, "pairs": 4, "repeats": 20_000
        }
    },
    "04": {"neurons.SIZES": {"read": 24, "searched": 20, "shuffles": 10, "shown": 2}},
    "05": {
        "lego.SIZES": {
            "n": 4, "n_train": 2, "steps": 12, "mimic": 4, "batch": 8, "tested": 40, "depths": (1, 2)
        }
    },
    "06": {"curriculum_task.SIZES": {"facts": 20, "updates": 16, "batch": 4, "seeds": 2, "asked": 20}},
    "07": {
        "arithmetic_task.SIZES": {
            "problems": 40, "exercises": 10, "task_tokens": 5_000, "extra_tokens": 5_000, "seeds": 2,
            "asked": 4, "per_cell": 1,
        }
    },
    "08": {"rounds.SIZES": {"lesson": LESSON, "train": 12, "held_out": 4, "asked": 5, "seeds": 2}},
    "09": {
        "prismatic.SIZES": {
            "course": {"steps": 4, "asked": 5}, "corpus": 60, "subsets": 6, "n": 12, "first": 16,
            "target": 24, "per_round": 12, "seeds": 2,
        }
    },
    "10": {"hivemind_answers._LONG": 24},
    "11": {"rlp_plan.SIZES": {"rlp": 2, "prompts": 4, "tested": 8, "draws": 2, "seeds": 2}},
    "12": {"pluralism_arms.SIZES": {"tuning_steps": 2, "pairs": 4, "seeds": 2, "samples": 6}},
}  # fmt: skip


def small(notebook):
    """(module, name, value in its place) for all that makes a notebook quick."""
    for place, value in SMALL[notebook].items():
        module, _, name = place.partition(".")
        study = import_module(f"workbench.studies.{module}")
        old = getattr(study, name)
        yield study, name, {**old, "tiny": _with(old["tiny"], value)} if isinstance(value, dict) else value


def _with(sizes, fields):
    def new(name, value):
        return _with(getattr(sizes, name), value) if isinstance(value, dict) else value

    return replace(sizes, **{name: new(name, value) for name, value in fields.items()})


def given(notebook, folders, family, place):
    """The parameters that put a family's model into a notebook."""
    model, other = folders[family], folders[FAMILIES[FAMILIES.index(family) - 1]]
    place.mkdir(exist_ok=True)
    if notebook == "01":
        return {"generator": f"transformers:{model}"}
    if notebook == "09":
        asked = f"transformers:{model}"
        return {"model": model, "chat": family in CHATS, "generator": asked, "dimension": 128}
    if notebook == "10":
        asked = place / "prompts.txt"
        asked.write_text("What is in the box?\nName a toy.\nWho is sad?\nSay something.\n")
        both = f"transformers:{model},transformers:{other}"
        return {"models": both, "prompts": str(asked), "samples": 3, "encoder": f"hidden:{model}"}
    if notebook == "11":
        lines = [json.dumps({"text": text}) + "\n" for text in texts()[:60]]
        (place / "texts.jsonl").write_text("".join(lines))
        own = {"text": str(place / "texts.jsonl"), "group": 2, "thought_tokens": 6, "tuning": "lora"}
        return {"model": model, **own}
    return {"model": model}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder for each family."""
    place = tmp_path_factory.mktemp("models")
    return {family: folder_of(family, place / family) for family in FAMILIES}


# ------------------------------------------------------------------------------- each notebook once
ONCE = (  # in the order of their needs
    ("01", "Qwen2"), ("02", "GPT2"), ("03", "GPT2"), ("02", "GPTNeoX"), ("04", "GPTNeoX"), ("02", "Llama"),
    ("05", "Llama"), ("06", "GPTNeoX"), ("07", "Qwen2"), ("08", "GPT2"), ("09", "Llama"), ("10", "Qwen2"),
    ("11", "GPTNeoX"), ("12", "Llama"),
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A runs folder with the simulator's stories, which several notebooks read."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        execute("01", {}, folder, patch)
    return folder


def execute(notebook, params, runs, patch):
    """Runs a notebook's cells in this process, results and all; returns its run."""
    patch.setenv("WORKBENCH_RUNS", str(runs))
    patch.chdir(ROOT)
    for module, name, value in small(notebook):
        patch.setattr(module, name, value)
    cells = json.loads(PATHS[notebook].read_text(encoding="utf-8"))["cells"]
    first, *others = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shell = InteractiveShell()
    try:
        with capture_output():
            shell.run_cell(first).raise_error()
            shell.user_ns.update(params)
            for cell in others:
                shell.run_cell(cell).raise_error()
    finally:
        if "run" in shell.user_ns:
            shell.user_ns["run"].close()
    return shell.user_ns["run"]


@pytest.mark.parametrize(("notebook", "family"), ONCE)
def test_a_notebook_takes_a_folder(notebook, family, folders, runs, tmp_path, monkeypatch):
    run = execute(notebook, given(notebook, folders, family, tmp_path / "own"), runs, monkeypatch)
    assert read_run(run.folder)["status"] == "done"
    assert json.loads((run.folder / "claims.json").read_text())


# ------------------------------------------------------------------------------- all by all
SHRINK = """import sys
sys.path.insert(0, {tests!r})
from test_real_models import small
for module, name, value in small({notebook!r}):
    setattr(module, name, value)
"""


@pytest.fixture(scope="session")
def shrunk(tmp_path_factory):
    """A project whose notebooks make themselves small."""
    root = tmp_path_factory.mktemp("project")
    (root / "notebooks").mkdir()
    for notebook, path in PATHS.items():
        content = json.loads(path.read_text(encoding="utf-8"))
        code = [place for place, cell in enumerate(content["cells"]) if cell["cell_type"] == "code"]
        source = SHRINK.format(tests=str(ROOT / "tests"), notebook=notebook)
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        content["cells"].insert(code[1] + 1, cell | {"id": "small"})
        (root / "notebooks" / path.name).write_text(json.dumps(content), encoding="utf-8")
    return root


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("notebook", PATHS)
def test_every_notebook_takes_a_folder_of_every_family(notebook, family, folders, shrunk, tmp_path):
    words = [f"{name}={value}" for name, value in given(notebook, folders, family, tmp_path / "own").items()]
    command = [sys.executable, "-m", "workbench", "run", notebook]
    command += [part for word in words for part in ("-p", word)]
    environment = {**os.environ, "WORKBENCH_RUNS": str(shrunk / "runs"), "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=shrunk, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
