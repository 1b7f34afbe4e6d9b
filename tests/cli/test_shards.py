"""Sketches and answers of a file by several processes: as by one, gone on with, refused when changed."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dying import dies
from lab_project import child, wait_until

from workbench import shards
from workbench.cli import shards as _shards
from workbench.corpora.loaders.generations import load_generations
from workbench.corpora.stories.story import story_at
from workbench.engine import loading, models
from workbench.engine.gradients.sketch_files import read_sketches
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import SamplingParams
from workbench.errors import UserError
from workbench.studies.hivemind.answer_files import answer_file, read_answers

PROMPTS = [f"{number}: {story_at(number, seed=0).text[:20]}" for number in range(150)]  # three shards
WORDS = ["--samples", "2", "--max-new-tokens", "8", "--top-p", "0.9", "--seed", "3"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = models.train_tokenizer([*PROMPTS, "0123456789"], 400)
    loading.save(models.build(models.config("tiny:0.1M", len(tokenizer), context=128), 0), tokenizer, folder)
    return folder


@pytest.fixture
def prompts(root):
    (root / "prompts.txt").write_text("\n".join(PROMPTS))
    return "prompts.txt"


def alone(model, folder):
    """The answers that one process gives."""
    asked = [(prompt, prompt, "") for prompt in dict.fromkeys(PROMPTS)]
    answer_file(
        sampler(str(model)), str(model), asked, folder, SamplingParams(n=2, max_tokens=8, top_p=0.9, seed=3)
    )
    return read_answers(folder)


def test_two_processes_answer_as_one_and_what_is_there_is_not_asked_again(root, say, model, prompts):
    words = ["generate", prompts, "answers", "--model", str(model), *WORDS]
    code, out, err = say(*words)
    assert (code, "300 answers to 150 prompts" in out) == (0, True), out + err
    whole = alone(model, root / "alone")
    assert read_answers(root / "answers").equals(whole)
    given = load_generations("answers/answers.jsonl")
    assert given["text"].tolist() == whole["text"].tolist()
    assert given["text"].nunique() > 250, "shards draw differently"
    shards = sorted((root / "answers").glob("shard-*"))
    before = [path.stat().st_mtime_ns for path in shards]
    shards[1].unlink()
    assert alone(model, root / "answers").equals(whole)
    assert [path.stat().st_mtime_ns == time for path, time in zip(shards, before, strict=True)] == [1, 0, 1]


def test_answers_of_another_decoding_model_or_prompts_are_refused_by_name(model, tmp_path):
    asked, decoding = [("1", "Once", ""), ("2", "There", "")], SamplingParams(max_tokens=2)
    with pytest.raises(UserError, match="the data is empty"):
        answer_file(sampler(str(model)), "m", [], tmp_path / "none", decoding)
    answer_file(sampler(str(model)), "m", asked, tmp_path / "a", decoding)
    for changed, said in [
        (("n", asked, tmp_path / "a", decoding), "model"),
        (("m", asked[:1], tmp_path / "a", decoding), "prompts"),
        (("m", asked, tmp_path / "a", SamplingParams(max_tokens=2, temperature=0.5)), "temperature"),
    ]:
        with pytest.raises(
            UserError, match=f"a holds answers with another {said}: delete it or choose another"
        ):
            answer_file(sampler(str(model)), *changed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "no.txt", "a", "--model", "m"], "no.txt"),
        (
            ["generate", "prompts.txt", "a", "--model", "no/such/folder"],
            "There is no folder 'no/such/folder'",
        ),
        (["generate", "prompts.txt", "a", "--model", "m", "--address", "h:1"], "--address goes with"),
        (["sketch", "gsm8k:no.jsonl", "a", "--model", "m"], "no.jsonl"),
    ],
)
def test_what_is_not_there_is_one_sentence(root, say, prompts, words, said):
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert said in err.strip().splitlines()[-1]


def test_two_processes_sketch_as_one(root, say, model, monkeypatch):
    rows = [
        {"id": n, "question": f"{text} How many?", "answer": f"It is {n}."} for n, text in enumerate(PROMPTS)
    ]
    (root / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(
        "workbench.engine.gradients.sketch_files.SHARD", 40
    )  # here; the others keep to a thousand
    words = ["own.jsonl", "--model", str(model), "--dimension", "64"]
    code, out, err = say("sketch", *words[:1], "shared", *words[1:])
    assert (code, "Sketches of 150 examples" in out) == (0, True), out + err
    _shards._sketch(words[0], str(model), root / "alone", settings(), "cpu", (0, 1))
    (ids, shared), (_, own) = read_sketches(root / "shared"), read_sketches(root / "alone")
    assert ids == [str(n) for n in range(150)]
    assert np.abs(shared.vectors - own.vectors).max() < 1e-3


def settings():
    return {"dimension": 64, "method": "exact", "truncate": False, "chat": False, "seed": 0}


def test_a_folder_can_be_opened_by_many_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            folder = tmp_path / str(number)
            list(pool.map(lambda _, folder=folder: shards.open_folder(folder, {"a": 1}, "answers"), range(8)))
            assert [path.name for path in folder.iterdir()] == ["manifest.json"]


# ------------------------------------------------------------------------------- processes that are killed
def test_a_process_that_is_killed_once_costs_nothing_and_twice_is_one_sentence(tmp_path, capfd):
    tasks = [(tmp_path, 1, (index, 2)) for index in range(2)]
    _shards._spread_here(dies, tasks, lambda: None)
    assert len(list(tmp_path.glob("done-*"))) == 2
    assert "killed: once more" in capfd.readouterr().err
    with pytest.raises(UserError, match=r"killed twice.* the same command goes on"):
        _shards._spread_here(dies, [(tmp_path, 9, (0, 1))], lambda: None)


SPREAD = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from dying import stays
from workbench.cli import shards
if __name__ == "__main__":
    shards._spread_here(stays, [(pathlib.Path("."), (index, 2)) for index in range(2)], lambda: None)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_command_is_interrupted_or_killed(root, how):
    (root / "spread.py").write_text(SPREAD.format(tests=str(Path(__file__).parents[1])))
    process = child(root, "spread.py")
    wait_until(lambda: len([path for path in root.glob("*.pid") if path.read_text()]) == 2)
    process.send_signal(how)
    process.communicate()
    pids = [int(path.read_text()) for path in root.glob("*.pid")]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), seconds=30)
