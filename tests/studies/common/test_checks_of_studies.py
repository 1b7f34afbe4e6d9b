"""What the studies refuse before anything runs: one sentence that names the parameter and what to do."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from repository import ROOT

from workbench.engine.facts import context_of
from workbench.errors import UserError
from workbench.lab import project
from workbench.lab.params import from_strings
from workbench.lab.study_check import check_study, check_values
from workbench.lab.sweep import plan_sweep

NOTEBOOKS = [path.stem for path in project.notebook_paths(ROOT)]
SUMS = [
    {"question": f"Tom has {n} apples and buys {n} more. How many are there?", "answer": f"So.\n#### {2 * n}"}
    for n in range(120)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with data of several kinds, good and bad."""
    folder = tmp_path_factory.mktemp("files")
    polled = {"options": ["a", "b"], "dist": [0.7, 0.3]}
    tables = {
        "sums": SUMS,
        "few": SUMS[:3],
        "others": [{**row, "question": row["question"].replace("Tom", "Ann")} for row in SUMS],
        "texts": [{"text": f"Lily saw cat {n}. She was happy."} for n in range(40)],
        "stories": [{"text": f"Lily saw cat {n}. {'She was very happy. ' * 12}"} for n in range(240)],
        "three": [{"text": f"Lily saw cat {n}."} for n in range(3)],
        "answers": [{"prompt": f"What is {n}?", "model": "m", "text": "It is a fig."} for n in range(3)],
        "polls": [{"id": n, "prompt": f"Which of {n}?", **polled} for n in range(6)],
        "agreed": [{"id": n, "prompt": f"Which of {n}?", **polled, "dist": [1, 0]} for n in range(6)],
        "fact": [{"entity": "Ann", "attribute": "pet", "value": "cat"}],
        "empty": [],
    }
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "lines.txt").write_text("One.\nTwo.\n")
    (folder / "notes.docx").write_text("x")
    (folder / "labels").mkdir()
    (folder / "labels" / "config.json").write_text('{"id2label": {"0": "good"}}')
    return folder


def checked(files, number, given=""):
    """A notebook's study looks at parameters as the command line gives them; {} is the folder of files."""
    notebook = project.find_notebook(ROOT, number)
    texts = dict(re.findall(r"(\w+)=(.*?)(?= \w+=|$)", given.replace("{}", str(files))))
    check_values(notebook, from_strings(notebook.model, texts, notebook.name))


GSM, TAUGHT = "data=gsm8k:{}/sums.jsonl", "teacher=transformers:starter"
REFUSED = [
    ("01", "n_stories=0", "n_stories=0 is too small: take 1 or more"),
    ("01", "n_compared=99", "n_compared=99 is too small: take 100"),
    ("01", "price=-1", "price=-1 is too small"),
    ("01", "generator=simulator:brod", "did you mean 'simulator:broad'"),
    ("01", "generator=simulator:narrow", "generator and second are both simulator:narrow"),
    ("01", "generator=opnai:http://x#y", "no sampler 'opnai': did you mean 'openai'"),
    ("01", "generator=openai:http://localhost", "generator: 'openai:http://localhost' names no model"),
    ("01", "generator=http://localhost#m", "write openai:http://localhost#MODEL"),
    ("01", "second=openai:ftp://x#m", "second: 'ftp://x' is no server address"),
    ("01", "generator=nowhere/at/all", "generator: there is no folder 'nowhere/at/all'"),
    ("01", "data=embeded", "data=embeded: nothing here has this name; did you mean embedded"),
    ("01", "data=none.txt", "data: there is no file or folder none.txt"),
    ("01", "data={}/empty.jsonl", "empty.jsonl is empty"),
    ("01", "data={}/notes.docx", "has a format that is not read here"),
    ("01", "data={}/lines.txt", "name it as paragraphs:"),
    ("01", "data={}/texts.jsonl", "so that it has 100 stories and 8,000 words at least"),
    ("01", "data={}/stories.jsonl n_stories=99", "the 99 stories of the set “your data” are too few"),
    ("03", "data={}/texts.jsonl", "so that it has 100 stories"),
    ("01", "data=lnes:{}/lines.txt", "Did you mean lines:"),
    ("01", "profile=real-laptop", "give generator=transformers:FOLDER"),
    ("02", "width=100", "width=100 must be a multiple of 32 (of 8 below 128)"),
    ("02", "depth=0", "depth=0 must be 1 or more"),
    ("02", "model=tiny:2M", "did you mean tiny:28M"),
    ("02", "model=gtp2", "did you mean gpt2"),
    ("02", "model=notebooks", "model: notebooks holds no model"),
    ("02", "model=starter width=64", "leave them out with model=starter"),
    ("02", "model=starter seeds=3", "seeds is about trainings"),
    ("02", "model=starter placebo=true", "placebo is about trainings"),
    ("02", "model=starter n_tokens=9", "model=starter is not trained here: leave n_tokens out"),
    ("02", "model=tiny:1M placebo=true", "placebo=true compares the models of the ladder"),
    ("02", "n_tokens=0", "n_tokens=0 is too small"),
    ("02", "judge=non", "did you mean none"),
    ("02", "device=gpu", "device=gpu names nothing that torch knows: take auto, cpu or cuda"),
    ("02", "profile=real-laptop model=starter", "give model=FOLDER or a hub id"),
    ("03", "n_texts=15", "n_texts=15 is too small: take 16"),
    ("03", "model=startr", "did you mean starter"),
    ("03", "data={}/three.jsonl", "holds too few texts, 3"),
    ("03", "profile=real-laptop model=tiny:1M", "give model=FOLDER"),
    ("03", "data={}/texts.jsonl model=ladder", "of these 40 there are"),
    ("04", "question=verbs", "question=verbs is no label: did you mean 'verb'?"),
    ("04", "question=foo", "question=foo is no label: choose among main character, introduced;"),
    ("04", "question=main character unhappy data={}/texts.jsonl", "known of the simulator's stories alone"),
    ("04", "layer=4", "There is no layer=4: starter has 0 to 3"),
    ("04", "layer=-1 model=ladder", "There is no layer=-1: they are counted from 0"),
    ("04", "neuron=256", "There is no neuron=256: starter has 0 to 255"),
    ("04", "n_texts=19", "n_texts=19 is too small: take 20"),
    ("05", "n_clauses=24", "n_clauses=24 is too many: there are names for chains of 23 at most"),
    ("05", "n_train=1", "n_train=1 must be from 2"),
    ("05", "n_clauses=3", "to below the 3 clauses of a chain"),
    ("05", "n_steps=23", "n_steps=23 is too few"),
    ("05", "model=laddr", "did you mean ladder"),
    ("06", "n_facts=0", "n_facts=0 is too small: take 1 or more"),
    ("06", "n_facts=100000", "9,024 can be drawn"),
    ("06", "n_updates=15", "n_updates=15 is too small: take 16 or more"),
    ("06", "facts={}/fact.jsonl", "facts: {}/fact.jsonl holds 1 facts: give 20 or more"),
    ("06", "model=tiny:1M", "model: 'tiny:1M' is a shape without weights"),
    ("07", "first=arithmetik", "did you mean 'arithmetic'"),
    ("07", "first=,", "first names no stage"),
    ("07", "tuning=lora", "tuning=lora adapts a model that has learnt"),
    ("07", "test={}/sums.jsonl", "Test files go with a file to learn from"),
    ("07", "data=gms8k:{}/sums.jsonl", "Did you mean gsm8k:"),
    ("07", "data=svamp:{}/sums.jsonl", "line 1 has no Body and no Equation, as svamp has"),
    ("07", "data=gsm8k:{}/few.jsonl", "judged, 3: give 10 or more"),
    ("07", "data=gsm8k:{}/sums.jsonl:test", "is one file and has no split: leave :test out"),
    ("07", f"{GSM} test=gsm8k:{{}}/sums.jsonl", "Training and test share 120 questions"),
    ("07", f"{GSM} test=gsm8k:{{}}/none.jsonl", "test: there is no file or folder {}/none.jsonl"),
    ("08", "alpha=2", "alpha=2 is the teacher's share in mixture=fixed-alpha: leave it out with mixture="),
    ("08", "mixture=fixed-alpha", "mixture=fixed-alpha needs alpha"),
    ("08", "mixture=fixed-alpha alpha=1.5", "between 0 and 1, not 1.5"),
    ("08", "iterations=0", "iterations=0 is too small"),
    ("08", "data=logik", "did you mean logic"),
    ("08", "teacher=transformers:starter", "A sampler does not know the house of data=logic"),
    ("08", "data=embedded teacher=opnai:x", "teacher: there is no sampler 'opnai'"),
    ("08", GSM, "the embedded solver knows only its own questions"),
    ("08", f"{GSM} teacher={{}}/sums.jsonl", "solutions in files are named rationales:PATH"),
    ("08", f"{GSM} teacher=rationales:", "names an empty path"),
    ("08", f"{GSM} teacher=rationales:{{}}/sums.jsonl", "line 1 is no solution"),
    ("08", f"data=gsm8k:{{}}/few.jsonl {TAUGHT}", "judged, 3: give 5 or more"),
    ("08", "profile=real-laptop", "give model=FOLDER"),
    ("09", "dimension=0", "dimension=0 is too small"),
    ("09", "learning_rate=0", "learning_rate=0 is not above 0"),
    ("09", "n_subsets=5", "n_subsets=5 is too few for a correlation"),
    ("09", "n_subsets=-6", "n_subsets=-6 is too few"),
    ("09", "tuning=lora", "tuning=lora adapts a given model"),
    ("09", "chat=true", "The embedded model has no chat template"),
    ("09", "model=starter chat=true", "model: starter has no chat template"),
    ("09", "placebo=true n_subsets=0", "placebo=true compares students of pools"),
    ("09", "placebo=true data=gsm8k:{}/sums.jsonl", "placebo=true compares students of pools"),
    ("09", "save_clusters=the big ones", "names no clusters"),
    ("09", "save_clusters=0,2", "the map of 60 problems has no cluster 2, only 0 to 1"),
    (
        "09",
        "save_clusters=3 data=gsm8k:{}/sums.jsonl",
        "the map of 120 problems has no cluster 3, only 0 to 1",
    ),
    ("09", "data=gsm8k:missing.jsonl", "data: there is no file or folder missing.jsonl"),
    ("09", "data=gsm8k:{}/few.jsonl", "give 80 or more, or n_subsets=0 to train nothing"),
    ("09", "test={}/sums.jsonl", "data=logic asks its own questions"),
    ("09", "sketches=none", "there is no folder none: `workbench sketch` fills one"),
    ("09", "sketches={}", "holds no finished sketches"),
    ("10", "temperature=-1", "temperature=-1 is too small: take 0 or more"),
    ("10", "top_p=1.5", "top_p=1.5: take a share above 0, up to 1"),
    ("10", "top_p=0", "top_p=0: take a share"),
    ("10", "min_p=-0.1", "min_p=-0.1: take a share from 0 to 1"),
    ("10", "samples=1", "samples=1 is too small: take 2 or more"),
    ("10", "iterations=1", "iterations=1 is too small: take 2 or more"),
    ("10", "models=starter,transformers:starter,starter", "models names starter twice"),
    ("10", "models=,", "models names no sampler"),
    ("10", "models=starter,opnai:x#y", "models: there is no sampler 'opnai'"),
    ("10", "encoder=hidden:no/where/at/all", "encoder: there is no folder 'no/where/at/all'"),
    ("10", "encoder={}", "encoder: the folder {} holds no model"),
    ("10", "generations={}/answers.jsonl models=starter", "either generations, or models and prompts"),
    ("10", "generations={}/answers.jsonl seeds=2", "seeds is about the embedded models"),
    ("10", "generations={}/answers.jsonl placebo=true", "placebo is about the embedded models"),
    ("10", "generations={}/sums.jsonl", "generations: {}/sums.jsonl line 1 has no prompt"),
    ("10", "prompts={}/empty.jsonl", "empty.jsonl is empty"),
    ("10", "annotations={}/sums.jsonl", "has no column item"),
    ("10", "verbalized=true", "verbalized asks the models that models names"),
    ("10", "profile=real-laptop", "give models=transformers:FOLDER"),
    ("11", "group=1", "group=1 is too small: take 2 or more"),
    ("11", "temperature=0", "temperature=0 is not above 0"),
    ("11", "steps=0", "steps=0 is too small"),
    ("11", "horizon=0", "horizon=0 is too small"),
    ("11", "tag=<x>", "take a word such as think"),
    (
        "11",
        "model=starter text={}/texts.jsonl thought_tokens=9999",
        "thought_tokens=9999 fill the 384 tokens",
    ),
    ("11", "text={}/texts.jsonl", "give both model and text"),
    ("11", "model=starter", "give both model and text"),
    ("11", "data={}/sums.jsonl", "data and test need a model"),
    ("11", "model=starter text={}/three.jsonl", "holds too few texts, 3: give 20 or more"),
    ("11", "model=starter text={}/texts.jsonl test={}/sums.jsonl", "name in data others"),
    ("11", "model=starter text={}/texts.jsonl data={}/few.jsonl", "judged, 3: give 50 or more"),
    ("12", "questions=polis:PATH", "name a model for questions=polis:PATH"),
    ("12", "model=starter questions=polis:none.csv", "questions: there is no file or folder none.csv"),
    ("12", "model=starter questions=polis:{}/polls.jsonl", "line 1 lacks a statement"),
    ("12", "model=starter questions=plis:{}/polls.jsonl", "Did you mean polis:"),
    ("12", "model=starter questions={}/agreed.jsonl", "of one opinion in every question"),
    ("12", "model=starter questions={}/polls.jsonl persona=As one: ", "write {group} there"),
    ("12", "model=starter questions={}/polls.jsonl limit=1", "Tuning needs two questions"),
    ("12", "kl=0", "kl=0 is not above 0"),
    ("12", "beta=-1", "beta=-1 is not above 0"),
    ("12", "populations=0", "populations=0 is too small"),
    ("12", "model=starter populations=2", "populations are drawn for the embedded model alone"),
    ("12", "model=openai:http://127.0.0.1:9/v1#m", "set tune to False"),
    ("12", "model=starter tune=false seeds=2", "is only asked, not trained"),
    ("12", "nli={}/labels", "knows no entailment: its labels are good"),
    ("13", "n_tokens=895", "n_tokens=895 is too small: take 896 or more"),
    ("13", "model=starter seeds=2", "seeds is about trainings, and model=starter is not trained"),
    ("13", "data={}/texts.jsonl", "needs a story, and at least one of words"),
    ("13", "profile=real-laptop model=starter", "give model=FOLDER"),
    ("14", "steps=0", "steps=0 is too small: take 1 or more"),
]


@pytest.mark.parametrize(("number", "given", "said"), REFUSED)
def test_what_a_study_cannot_run_with_is_one_sentence(files, monkeypatch, number, given, said):
    monkeypatch.setattr("workbench.engine.hub.hub_answers", lambda: False)
    with pytest.raises(UserError) as caught:
        checked(files, number, given)
    assert said.replace("{}", str(files)) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


ACCEPTED = [
    *((name, "") for name in NOTEBOOKS),
    ("01", "data={}/stories.jsonl generator=openai:http://127.0.0.1:9/v1#m price=0.5"),
    ("02", "model=tiny:1M width=64 depth=2 n_tokens=5000"),
    ("03", "model=starter data=lines:{}/lines.txt,{}/stories.jsonl n_texts=16"),
    ("04", "question=main character unhappy layer=3 neuron=255 n_texts=20"),
    ("05", "n_clauses=23 n_train=22 model=starter"),
    ("06", "n_facts=9024 n_updates=16"),
    ("07", f"{GSM} test=gsm8k:{{}}/others.jsonl model=starter first=rules,algebra"),
    ("08", f"{GSM} {TAUGHT} mixture=fixed-alpha alpha=0"),
    ("08", "profile=real-laptop model=starter teacher=transformers:starter"),
    ("09", "data=gsm8k:{}/sums.jsonl model=starter tuning=lora save_clusters=0,1"),
    ("09", "data=gsm8k:{}/few.jsonl n_subsets=0"),
    ("10", "temperature=0 top_p=1 min_p=1 encoder=hidden:starter"),
    ("10", "generations={}/answers.jsonl"),
    ("11", "model=starter text={}/texts.jsonl data={}/sums.jsonl test={}/others.jsonl"),
    ("12", "model=starter questions=own:{}/polls.jsonl"),
    ("12", "model=openai:http://127.0.0.1:9/v1#m tune=false"),
]


@pytest.mark.parametrize(("number", "given"), ACCEPTED)
def test_what_a_study_can_run_with_is_let_through(files, number, given):
    checked(files, number, given)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_names_its_check(name):
    assert project.find_notebook(ROOT, name).metadata["check"].startswith("workbench.studies.")


def test_no_check_needs_torch():
    """In a process of its own, where nothing else has imported it: defaults, a model, and files."""
    script = f"""
import sys
from pathlib import Path
from workbench.lab import project
from workbench.lab.study_check import check_values
for path in project.notebook_paths(Path({str(ROOT)!r})):
    check_values(project.read_notebook(path), {{}})
check_values(project.find_notebook(Path({str(ROOT)!r}), "02"), {{"model": "starter"}})
print(sorted({{"torch", "transformers", "scipy", "sklearn", "datasets"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_sweep_looks_at_every_point_and_at_what_the_runs_need(files):
    study = project.find_notebook(ROOT, "10")
    with pytest.raises(UserError, match=r"temperature=-1 is too small"):
        plan_sweep(study, {"temperature": "1,0.5,-1"}, False)
    upstream = project.find_notebook(ROOT, "03")
    with pytest.raises(UserError, match="no folder"):
        check_values(upstream, {"data": "embedded", "model": "no/model/at-all"})


def test_a_hub_data_set_that_nobody_has_is_refused_without_a_wait(monkeypatch, tmp_path):
    monkeypatch.setattr("workbench.engine.hub.hub_answers", lambda: False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="data: there is no file or folder some/set"):
        checked(tmp_path, "09", "data=gsm8k:some/set")
    (tmp_path / "some___set").mkdir()
    checked(tmp_path, "09", "data=gsm8k:some/set")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "raise ValueError('torn')",
            r"01_mine: its check, studies\.mine\.check, breaks with Value",
        ),
        ("import no_such_module", "breaks with ModuleNotFoundError"),
        ("x = 1", "breaks with AttributeError"),
        ("def check(params):\n    return params.nothing", "breaks with AttributeError"),
        ("def check(params): raise UserError('n is odd: take 2.')", "^n is odd: take 2.$"),
    ],
)
def test_the_check_of_a_study_of_ones_own(tmp_path, monkeypatch, source, said):
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    begin = "from workbench.errors import UserError\n"
    (tmp_path / "studies" / "mine" / "check.py").write_text(begin + source)
    for name in [name for name in sys.modules if name.partition(".")[0] == "studies"]:
        monkeypatch.delitem(sys.modules, name)
    notebook = project.Notebook(tmp_path / "notebooks" / "01_mine.ipynb", [], {"check": "studies.mine.check"})
    with pytest.raises(UserError, match=said):
        check_study(notebook, SimpleNamespace())
    assert str(tmp_path) not in sys.path
    for name in [name for name in sys.modules if name.partition(".")[0] == "studies"]:
        del sys.modules[name]


def test_chains_that_do_not_fit_a_models_context_are_refused(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"text_config": {"n_positions": 96}}')
    assert context_of(str(tmp_path)) == 96
    assert context_of("some/hub-id") is None
    monkeypatch.setattr("workbench.studies.lego.check.context_of", lambda source: 96)
    checked(tmp_path, "05", "model=starter n_clauses=6 n_train=2")
    with pytest.raises(UserError, match="n_clauses=9: 2 chains of so many take 109 tokens"):
        checked(tmp_path, "05", "model=starter n_clauses=9 n_train=2")


def test_a_notebook_without_a_check_is_let_through(tmp_path):
    check_study(project.Notebook(tmp_path / "notebooks" / "01_mine.ipynb", [], {}), SimpleNamespace())


def test_bounds_that_a_check_repeats_are_those_of_the_study():
    from workbench.studies.curriculum import check as curriculum
    from workbench.studies.curriculum.data import BLOCKS
    from workbench.studies.rlp import check as rlp
    from workbench.studies.rlp.data import FEWEST_TEXTS
    from workbench.studies.siked import check as siked
    from workbench.studies.siked import data

    assert curriculum.LEAST_UPDATES == 2 * BLOCKS
    assert rlp.FEWEST_TEXTS == FEWEST_TEXTS
    assert siked.FEWEST == data.FEWEST
