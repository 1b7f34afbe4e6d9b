"""Every notebook with models of the usual families, given as folders as their makers publish them.

By default each notebook runs once, in this process, and each family three times or more; `-m long` runs all
notebooks on all families by the command line. What is trained and asked is made small by `SMALL`.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pandas as pd
import pytest
import torch
import transformers
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from model_folders import FAMILIES, SYSTEM, folder_of, texts
from repository import ROOT

from workbench.corpora import lego, walks
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import Framed, continued, encode, end_tokens
from workbench.lab.record import read_run
from workbench.studies.hivemind import asking
from workbench.studies.prismatic import generators
from workbench.studies.prismatic.tasks import WordTask
from workbench.studies.stories import method
from workbench.studies.tiny_models.judge import judge

PATHS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
CHATS = ("Llama", "Qwen2")
LESSON = {"epochs": 1, "round_epochs": 1, "rounds": 1, "samples": 2, "batch_size": 4, "max_new_tokens": 16}
SMALL = {  # notebook: what takes the place of what in its study, at profile=quick
    "01": {
        "stories.method.SIZES": {"corpus": 100, "compared": 20, "block": (10, 100)},
    },
    "02": {"tiny_models.ladder.SIZES": {"beginnings": 8, "probes": 4}},
    "03": {
        "attention_heads.data.SIZES": {
            "texts": 16, "scored": 6, "beginnings": 4, "probes": 2, "pairs": 4, "asked": 4, "each": 16,
            "induction": {"tokens": 20_000}, "one_layer": {"tokens": 4_000},
        }
    },
    "04": {"neurons.method.SIZES": {"read": 24, "searched": 20, "shuffles": 10, "shown": 2}},
    "05": {
        "lego.settings.SIZES": {
            "n": 4, "n_train": 2, "steps": 24, "mimic": 4, "batch": 8, "tested": 40, "depths": (1, 2)
        },
        "lego.results.TRAINED": 0.0,  # in so few steps nothing is learnt
    },
    "06": {
        "curriculum.data.SIZES": {"n_facts": 20, "updates": 16, "batch_size": 4, "seeds": 2, "n_test": 20},
        "curriculum.results.LEAST_FALL": -9.0,
    },
    "07": {
        "arithmetic.settings.SIZES": {
            "problems": 40, "exercises": 100, "task_tokens": 2_500, "extra_tokens": 2_500, "seeds": 1,
            "n_test": 4, "n_exercises": 2, "first": ("arithmetic", "rules"),
        }
    },
    "08": {"siked.data.SIZES": {"lesson": LESSON, "train": 12, "held_out": 4, "n_test": 5, "seeds": 1}},
    "09": {
        "prismatic.data.SIZES": {
            "student": {"steps": 4, "n_test": 5}, "corpus": 60, "subsets": 6, "n": 12, "first": 16,
            "target": 24, "per_round": 12, "students": 1, "pools": 1,
        }
    },
    "10": {"hivemind.data.SIZES": {"longest": 24}, "hivemind.evaluators._ITEMS": 60},
    "11": {"rlp.plan.SIZES": {"steps": 2, "prompts_per_step": 4, "n_test": 8, "draws": 2, "seeds": 1}},
    "12": {"pluralism.experiment.SIZES": {"tuning_steps": 2, "pairs": 4, "seeds": 1, "samples": 4}},
}  # fmt: skip


def small(notebook):
    """(module, name, value in its place) for all that makes a notebook quick."""
    for place, value in SMALL[notebook].items():
        module, _, name = place.rpartition(".")
        study = import_module(f"workbench.studies.{module}")
        old = getattr(study, name)
        yield study, name, {**old, "quick": _with(old["quick"], value)} if isinstance(value, dict) else value


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
        asked = f"transformers:{folders['Llama'] if family == 'Short' else model}"  # 512 hold no examples
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
    ("11", "GPTNeoX"), ("12", "Llama"), ("03", "Short"), ("06", "Short"), ("08", "Short"), ("11", "Short"),
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A runs folder with the simulator's stories, which several notebooks read."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        execute("01", {}, folder, patch)
    return folder


def execute(notebook, params, runs, patch):
    """Runs a notebook's cells in this process; returns its run, and what they showed as plain text."""
    patch.setenv("WORKBENCH_RUNS", str(runs))
    patch.chdir(ROOT)
    for module, name, value in small(notebook):
        patch.setattr(module, name, value)
    cells = json.loads(PATHS[notebook].read_text(encoding="utf-8"))["cells"]
    first, *others = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shell = InteractiveShell()
    try:
        with capture_output() as shown:
            shell.run_cell(first).raise_error()
            shell.user_ns.update(params)
            for cell in others:
                shell.run_cell(cell).raise_error()
    finally:
        if "run" in shell.user_ns:
            shell.user_ns["run"].close()
    return shell.user_ns["run"], shown.stdout


@pytest.mark.parametrize(("notebook", "family"), ONCE)
def test_a_notebook_takes_a_folder(notebook, family, folders, runs, tmp_path, monkeypatch):
    run, shown = execute(notebook, given(notebook, folders, family, tmp_path / "own"), runs, monkeypatch)
    assert read_run(run.folder)["status"] == "done"
    assert json.loads((run.folder / "claims.json").read_text())
    if notebook == "10":
        assert set(run.table("generations")["model"]) == {"Qwen2", "Llama"}
    unknown = [line for line in shown.splitlines() if re.search(r"\bnan\b", line)]
    assert not unknown


# ------------------------------------------------------------------------------- what folders bring along
def test_a_folder_is_the_same_after_it_was_loaded_and_saved(folders, tmp_path):
    text = "Once upon a time, Tom’s 12 toys were 3 * 4: <|im_end|> </s> ✓"
    for family, folder in folders.items():
        model, tokenizer = loading.load(folder, "cpu")
        loading.save(model, tokenizer, tmp_path / family)
        again, same = loading.load(tmp_path / family, "cpu")
        (ids,) = encode(tokenizer, [text])
        assert encode(same, [text]) == [ids]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert (same.chat_template, same.pad_token) == (tokenizer.chat_template, tokenizer.pad_token)
        assert torch.equal(again(torch.tensor([ids])).logits, model(torch.tensor([ids])).logits)
        own, kept = (each.generation_config for each in (model, again))
        assert (own.temperature, own.top_p, own.eos_token_id) == (
            kept.temperature,
            kept.top_p,
            kept.eos_token_id,
        )


def test_settings_in_a_folder_do_not_change_how_it_is_sampled(folders):
    model, tokenizer = loading.load(folders["Qwen2"], "cpu")
    assert model.generation_config.repetition_penalty == 2
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert end_tokens(model, tokenizer) == sorted(ends)
    sampler = TransformersSampler(model, tokenizer)
    prompts, params = ["Once upon"], SamplingParams(n=8, max_tokens=30)
    drawn = sampler.sample(prompts, params)
    likeliest = sampler.sample(prompts, replace(params, temperature=0))[0][0]
    (ids,) = encode(tokenizer, prompts)
    by_transformers = model.generate(torch.tensor([ids]), max_new_tokens=30, do_sample=False)
    assert by_transformers[0, len(ids) :].tolist() != likeliest.tokens  # penalised
    ends = model.generation_config.eos_token_id
    model.generation_config = transformers.GenerationConfig(eos_token_id=ends)
    assert sampler.sample(prompts, params) == drawn
    plain = model.generate(torch.tensor([ids]), max_new_tokens=30, do_sample=False, pad_token_id=0)
    assert plain[0, len(ids) :].tolist() == likeliest.tokens


def test_words_are_found_whatever_a_tokenizer_does_at_a_beginning(folders):
    for folder in folders.values():
        _, tokenizer = loading.load(folder, "cpu")
        found = lego.words(tokenizer, 4)
        assert found.begin in tokenizer.all_special_ids
        tokens = [*found.operations, *found.values, *walks.words(tokenizer, 5, 3).places]
        said = [tokenizer.decode(int(token)).strip() for token in tokens]
        assert said == [*lego.OPERATIONS, *lego.VALUES, *walks.PLACES[:5]]
        for text in (" happy", "</think>\n", "\n<think>", "Tom"):
            (ids,) = encode(tokenizer, ["It is"])
            assert tokenizer.decode(ids + continued(tokenizer, text)).endswith("It is" + text)


# ------------------------------------------------------------------------------- questions
class Notes(TransformersSampler):
    """Remembers what it was asked."""

    def __init__(self, *pair):
        super().__init__(*pair)
        self.prompts = []

    def sample(self, prompts, params):
        self.prompts += prompts
        return super().sample(prompts, replace(params, max_tokens=4))


def questions_to(sampler):
    """What 01, 10, 09 and a judge ask it."""
    method.ask(sampler, [0], seed=0)
    asked = pd.DataFrame({"prompt_id": ["a"], "prompt": ["Name a toy."], "category": [""]})
    asking.ask(sampler, "x", asked, SamplingParams(max_tokens=4, top_p=0.9), 0)
    generators.from_sampler(sampler)(WordTask().draw(2, 0, ["marbles/lose-gain"], range(3)), 1, 0)
    judge([("Tom had a", " toy.")], sampler)
    return sampler.prompts


def test_instruct_models_are_asked_through_their_template_and_base_models_are_not(folders):
    frames = {
        "Llama": ("<|user|>\n", "</s>", "<|assistant|>"),
        "Qwen2": (SYSTEM, "<|im_end|>", "assistant\n"),
    }
    for family, folder in folders.items():
        sampler = Notes(*loading.load(folder, "cpu"))
        prompts = questions_to(sampler)
        assert len(prompts) == 5
        assert prompts[-1].count("Tom had a") == 1  # the judge is told again what it was told first
        for prompt, ids in zip(prompts, encode(sampler.tokenizer, prompts), strict=True):
            if family not in CHATS:
                assert not isinstance(prompt, Framed)
                assert prompt.startswith(("Write", "Name", "Below", "Question"))
                continue
            begins, mark, ends = frames[family]
            assert prompt.startswith(begins)
            assert prompt.endswith(ends)
            assert ids.count(sampler.tokenizer.convert_tokens_to_ids(mark)) == prompt.count(mark) > 0


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
