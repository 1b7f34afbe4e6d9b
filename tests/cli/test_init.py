"""workbench init: a folder of the user's own, written whole or not at all."""

import json

import pytest
from repository import ROOT

from workbench.lab import project

SHIPPED = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_a_project_is_there(say, root):
    code, printed, _ = say("init", "my-lab")
    assert code == 0
    lab = root / "my-lab"
    assert [path.name for path in project.notebook_paths(lab)] == SHIPPED
    for name in SHIPPED:
        assert (lab / "notebooks" / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes()
    assert (lab / "studies" / "__init__.py").exists()
    assert {"/runs/", "/models/", "/data/"} <= set((lab / ".gitignore").read_text().splitlines())
    assert (lab / "README.md").read_text().startswith("# my-lab\n")
    assert "cd my-lab" in printed
    assert f"holds {len(SHIPPED)} notebooks" in printed


def test_readme_names_commands_that_exist_and_a_number_that_is_free(say, root):
    say("init", "my-lab")
    readme = (root / "my-lab" / "README.md").read_text()
    asked = {line.split()[1] for line in readme.splitlines() if line.startswith("workbench ")}
    for command in asked:
        assert say(command, "--help")[0] == 0
    free = readme.partition("workbench new ")[2].split("_")[0]
    assert not [name for name in SHIPPED if name.startswith(free)]


def test_a_folder_with_git_and_an_environment_alone_is_empty(say, root, monkeypatch):
    for name in (".git", ".venv"):
        (root / "lab" / name).mkdir(parents=True)
    monkeypatch.chdir(root / "lab")
    code, printed, _ = say("init", ".")
    assert code == 0
    assert "cd " not in printed
    assert (root / "lab" / "notebooks").is_dir()


@pytest.mark.parametrize("name", [".gitignore", "thesis.tex", "notebooks"])
def test_a_folder_that_holds_anything_stays_as_it_is(say, root, name):
    (root / "full").mkdir()
    (root / "full" / name).write_text("mine")
    code, printed, complaint = say("init", "full")
    assert (code, printed) == (2, "")
    assert complaint == "full is not empty: name a new folder, such as my-lab.\n"
    assert {path.name: path.read_text() for path in (root / "full").iterdir()} == {name: "mine"}


def test_a_file_is_no_folder(say, root):
    (root / "notes").write_text("mine")
    code, _, complaint = say("init", "notes")
    assert (code, complaint) == (2, "notes is a file: name a new folder, such as my-lab.\n")


def test_a_project_of_its_own_is_found_from_inside(say, root, monkeypatch):
    say("init", "my-lab")
    monkeypatch.chdir(root / "my-lab" / "studies")
    assert project.find_root() == root / "my-lab"
    notebook = json.loads((root / "my-lab" / "notebooks" / SHIPPED[0]).read_text(encoding="utf-8"))
    assert notebook["metadata"]["workbench"]["title"]


def test_without_a_project_the_way_to_one_is_named(say, root, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    code, _, complaint = say("new", "02_mine")
    assert code == 2
    assert "workbench init my-lab" in complaint
