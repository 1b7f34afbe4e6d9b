"""Benchmarks by lm-evaluation-harness: its own figures, kept and not asked twice; runs before and after."""

import json
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec

import pandas as pd
import pytest
from lab_project import run as run_notebook
from lab_project import write_notebook

from workbench.engine import benchmark_names, benchmarks, loading, models
from workbench.errors import UserError
from workbench.files import read_json

needs_harness = pytest.mark.skipif(not find_spec("lm_eval"), reason=f"needs {benchmark_names.INSTALL}")

CHOOSE = """
task: own_choice
dataset_path: json
dataset_kwargs: {data_files: {test: %s/choice.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
metadata: {version: 7}
"""
WRITE = """
task: own_writing
dataset_path: json
dataset_kwargs: {data_files: {test: %s/choice.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["."], max_gen_toks: 8}
metric_list: [{metric: exact_match}]
"""
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
QUESTIONS = [f"Lily has {n} hats and finds {n + 1} more. How many hats are there?" for n in range(8)]


def make_model(folder, seed=0, template=None):
    texts = [*QUESTIONS, "Question: Answer: #### 0123456789 yes no"]
    tokenizer = models.train_tokenizer(texts, 300)
    tokenizer.chat_template = template or tokenizer.chat_template
    loading.save(
        models.build(models.config("tiny:0.1M", len(tokenizer), context=512), seed), tokenizer, folder
    )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def tasks(root):
    rows = [
        {"question": text, "choices": [" yes", " no"], "answer": n % 2} for n, text in enumerate(QUESTIONS)
    ]
    (root / "choice.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (root / "choose.yaml").write_text(CHOOSE % root)
    (root / "write.yaml").write_text(WRITE % root)
    return "choose.yaml,write.yaml"


@pytest.fixture
def gsm8k(root):
    for split, n in (("train", 0), ("test", 4)):
        rows = [
            {"question": QUESTIONS[k], "answer": f"{k} + {k + 1}\n#### {2 * k + 1}"} for k in range(n, n + 4)
        ]
        (root / "gsm8k").mkdir(exist_ok=True)
        (root / f"gsm8k/{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return "gsm8k=gsm8k"


def kept(root):
    return sorted((root / "runs/evaluate").glob("[!.]*"))


@needs_harness
def test_figures_are_those_of_the_harness_alone_and_are_kept(root, say, model, tasks, monkeypatch):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    code, _, err = say("evaluate", str(model), "--tasks", tasks, "--limit", "4")
    assert code == 0, err
    (folder,) = kept(root)
    figures = read_json(folder / "results.json")["figures"]
    alone = simple_evaluate(
        "hf",
        model_args={"pretrained": str(model), "device": "cpu"},
        tasks=[str(root / name) for name in tasks.split(",")],
        task_manager=TaskManager(include_defaults=False),
        limit=4,
    )
    for row in figures:
        own = alone["results"][row["task"]]
        assert row["value"] == own[f"{row['metric']},{row['rule']}"]
        assert row["stderr"] == own[f"{row['metric']}_stderr,{row['rule']}"]
        assert row["n"] == 4
    assert {(row["task"], row["metric"], row["version"]) for row in figures} == {
        ("own_choice", "acc", "7"),
        ("own_choice", "acc_norm", "7"),
        ("own_writing", "exact_match", "Yaml"),
    }
    said = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [one["resps"] for one in said] == json.loads(
        json.dumps([one["resps"] for task in alone["samples"].values() for one in task])
    )
    answers = pd.read_parquet(folder / "tables/answers.parquet")
    chosen = answers[answers["task"] == "own_choice"]
    assert ((chosen["reply"] == chosen["target"]) == (chosen["acc"] == 1)).all()

    monkeypatch.setattr(benchmarks, "ask", None)  # what is there is not asked again
    code, again, err = say("evaluate", str(model), "--tasks", tasks, "--limit", "4")
    assert (code, kept(root)) == (0, [folder])
    assert "own_choice" in again
    code, listed, _ = say("list")
    assert folder.name in listed
    code, shown, _ = say("show", "evaluate")
    assert "exact_match" in shown


@needs_harness
def test_given_data_stand_in_for_the_hubs(root, say, model, gsm8k):
    words = ["evaluate", str(model), "--tasks", "gsm8k", "--data", gsm8k, "--max-new-tokens", "8"]
    code, _, err = say(*words, "--shots", "1", "--limit", "3")
    assert code == 0, err
    (folder,) = kept(root)
    figures = read_json(folder / "results.json")["figures"]
    assert {(row["rule"], row["n"], row["version"]) for row in figures} == {
        ("strict-match", 3, "3.0"),
        ("flexible-extract", 3, "3.0"),
    }
    prompt = json.loads((folder / "samples.jsonl").read_text().splitlines()[0])["arguments"][0][0]
    assert prompt.endswith(f"Question: {QUESTIONS[4]}\nAnswer:")
    assert sum(question in prompt for question in QUESTIONS[:4]) == 1, "one example, of the training split"

    rows = (root / "gsm8k/test.jsonl").read_text()
    (root / "gsm8k/test.jsonl").write_text(rows.replace("question", "riddle"))
    code, _, err = say(*words, "--shots", "0")
    assert code == 2
    assert "'question' is undefined; the given rows have answer, riddle" in err
    assert len(kept(root)) == 2, "other data are another run"


@needs_harness
def test_a_prompt_that_does_not_fit_is_told_and_a_reply_that_does_not_is_refused(root, say, model, gsm8k):
    words = ["evaluate", str(model), "--tasks", "gsm8k", "--data", gsm8k, "--shots", "4", "--limit", "1"]
    code, _, err = say(*words, "--max-new-tokens", "450")
    assert (code, "1 of 1 prompts were longer than the model's context of 512" in err) == (0, True)
    code, _, err = say(*words, "--max-new-tokens", "512")
    assert (code, "give --max-new-tokens, such as 128" in err) == (2, True)


@needs_harness
def test_chat_templates_are_used_where_there_is_one(root, say, tasks):
    make_model(root / "talks", template=CHAT)
    for words, begins in [([], "<user>Lily"), (["--no-chat"], "Lily")]:
        code, _, err = say("evaluate", "talks", "--tasks", "write.yaml", "--limit", "1", *words)
        assert code == 0, err
        (folder,) = [
            path for path in kept(root) if read_json(path / "run.json")["params"]["chat"] != bool(words)
        ]
        prompt = json.loads((folder / "samples.jsonl").read_text().splitlines()[0])["arguments"][0][0]
        assert prompt.startswith(begins)


@needs_harness
def test_a_task_that_fails_leaves_those_before_it(root, say, model, tasks, monkeypatch):
    asked, ask = [], benchmarks.ask

    def fails(model, tokenizer, benchmark, *others):
        asked.append(benchmark.name)
        if len(asked) == 2:
            raise UserError("The power went out.")
        return ask(model, tokenizer, benchmark, *others)

    monkeypatch.setattr(benchmarks, "ask", fails)
    words = ["evaluate", str(model), "--tasks", tasks, "--limit", "2"]
    assert say(*words)[0] == 2
    (folder,) = kept(root)
    assert read_json(folder / "run.json")["status"] == "failed"
    assert say(*words)[0] == 0
    assert read_json(folder / "run.json")["status"] == "done"
    assert asked == ["own_choice", "own_writing", "own_writing"]


TRAINS = """
import shutil
for arm, source in (("SIKeD", "after"), ("combined", "before")):
    for number in (9, 10):
        made = run.artifact("students") / "seed-0" / arm / ("round-%d" % number) / "model"
        shutil.copytree(ROOT + "/" + (source if number == 10 else "before"), made, dirs_exist_ok=True)
shutil.copytree(ROOT + "/before", run.artifact("base"), dirs_exist_ok=True)
run.finish()
"""


@needs_harness
def test_of_a_run_the_base_and_the_trained_model_are_asked_and_their_answers_paired(root, say, tasks):
    make_model(root / "before"), make_model(root / "after", seed=1)
    write_notebook(root, "08_siked", TRAINS.replace("ROOT", repr(str(root))))
    job = run_notebook(root, "08_siked")["08_siked"]
    assert job.status == "done", job.failure or job.error
    code, out, err = say("evaluate", "08", "--tasks", "choose.yaml")
    assert code == 0, err
    assert "SIKeD, after − base, before: own_choice acc (none)" in out
    assert "n = 8" in out
    by_title = {read_json(path / "run.json")["title"]: path for path in kept(root)}
    before, after = by_title["base, before: own_choice"], by_title["SIKeD, after: own_choice"]
    first, second = (pd.read_parquet(path / "tables/answers.parquet") for path in (before, after))
    assert f"acc (none) {second['acc'].mean() - first['acc'].mean():+.4f}" in out
    assert read_json(after / "run.json")["inputs"].keys() == {"08_siked"}
    assert "round-10" in read_json(after / "run.json")["params"]["model"]

    code, out, _ = say("evaluate", "08", "--tasks", "choose.yaml", "--arm", "combined")
    assert (code, len(kept(root))) == (0, 2), "the combined model is the base's copy: nothing is asked again"
    code, _, err = say("evaluate", "08", "--tasks", "choose.yaml", "--arm", "GRPO")
    assert (code, "has no arm 'GRPO': there are SIKeD, combined." in err) == (2, True)
    code, out, err = say("compare", f"evaluate/{before.name}", f"evaluate/{after.name}")
    assert (code, "answers, paired by" in out) == (0, True), err


@needs_harness
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no/such/model", "--tasks", "gsm8k"], "'no/such/model'"),
        (["MODEL", "--tasks", "gsmk8"], "has no task 'gsmk8': did you mean gsm8k?"),
        (["MODEL", "--tasks", ","], "--tasks names no task"),
        (["MODEL", "--tasks", "own.yaml"], "There is no file own.yaml"),
        (["MODEL", "--tasks", "gsm8k", "--limit", "0"], "greater than or equal to 1"),
        (["MODEL", "--tasks", "gsm8k"], "cannot be reached: give the data as --data gsm8k=PATH"),
        (["MODEL", "--tasks", "gsm8k", "--data", "gsm8k"], "--data takes TASK=PATH"),
        (["MODEL", "--tasks", "gsm8k", "--data", "gsm8k=no.jsonl"], "no.jsonl"),
        (["MODEL", "--tasks", "gsm8k", "--data", "svamp=a"], "svamp, which is not asked"),
        (["MODEL", "--tasks", "gsm8k", "--data", "gsm8k=gsm8k/test.jsonl"], "or --shots 0"),
        (["MODEL", "--tasks", "blimp"], "ask the tasks of blimp one by one, and give the data"),
        (["MODEL", "--tasks", "mmlu", "--data", "mmlu=gsm8k"], "mmlu takes no data"),
        (["MODEL", "--tasks", "gsm8k", "--chat"], "has no chat template"),
        (["MODEL", "--tasks", "gsm8k", "--arm", "SIKeD"], "--arm is about a run's models"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_loaded(
    root, say, model, gsm8k, monkeypatch, words, said
):
    monkeypatch.setattr("workbench.engine.benchmark_names.hub_answers", lambda: False)
    monkeypatch.setattr("workbench.engine.hub.hub_answers", lambda: False)
    monkeypatch.setattr(loading, "load", None)
    monkeypatch.setenv("HF_HOME", str(root / "empty"))
    code, _, err = say("evaluate", *(str(model) if word == "MODEL" else word for word in words))
    assert (code, kept(root)) == (2, [])
    assert said in " ".join(err.split())


def test_without_the_harness_a_sentence_says_how_to_get_it(root, say, model, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(benchmark_names, "distribution", missing)
    code, _, err = say("evaluate", str(model), "--tasks", "gsm8k")
    assert code == 2
    assert err.strip() == f"Benchmarks need lm-evaluation-harness: {benchmark_names.INSTALL}"


@needs_harness
def test_groups_and_tags_are_found_without_reading_every_file_of_the_harness(root):
    (group,) = benchmark_names.find(["mmlu"])
    names = [one.name for one in benchmark_names.find(["ai2_arc", "arc_easy"])]
    assert names == ["arc_challenge", "arc_easy"]
    inside = {one.name: one for one in benchmark_names.members(group)}
    assert sum(not one.is_group for one in inside.values()) == 57
    assert {path.name for path in benchmark_names.folders_of(group)} == {"mmlu"}
