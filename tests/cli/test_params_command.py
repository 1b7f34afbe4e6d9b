"""What a notebook can be told: listed, read from a file, completed by the shell."""

import pytest
from lab_project import write_notebook
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import UserError
from workbench.lab import project, sweep
from workbench.lab.params import from_strings
from workbench.lab.params_file import for_run, for_sweep, read_params_file

CELL = """
from typing import Literal
from pydantic import PositiveInt
profile: Literal["quick", "laptop"] = "quick"  # 10 s, an evening
seed: int = 0  # seed of everything random
n_texts: int | None = None  # texts that are read (None: the profile's)
layers: PositiveInt = 2
chat: bool = False  # ask through the template
rate: float = 1e-3
sizes: list[int] = [1]
data: str = ""
"""
DEFAULTS = """
def defaults(params):
    return {"n_texts": {"quick": 2_500, "laptop": 40_000}[params.profile], "rate": 7}
"""


@pytest.fixture
def study(root, fresh_studies):
    """A notebook of the user's own, with a study that says what its profiles make of open parameters."""
    (root / "studies" / "mine").mkdir(parents=True)
    (root / "studies" / "mine" / "defaults.py").write_text(DEFAULTS)
    (root / "studies" / "mine" / "method.py").write_text("")
    write_notebook(root, "02_mine", "from studies.mine import method", parameters=CELL, title="Of my own")
    return project.find_notebook(root, "02")


def test_parameters_are_listed_in_words_with_what_each_profile_makes_of_them(study, say):
    code, out, err = say("params", "mine")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[0] == "02_mine Of my own"
    for line in (
        "quick or laptop; default quick",
        "seed seed of everything random",
        "whole number, 0 or more; default 0",
        "n_texts texts that are read",
        "whole number; default the profile's, below",
        "layers whole number, above 0; default 2",
        "true or false; default false",
        "rate number; default 0.001",
        "sizes list of whole numbers; default [1]",
        "data text; default (empty)",
        "n_texts 2,500 40,000",
        "For example: workbench run 02_mine -p n_texts=5000 -p seed=1",
    ):
        assert line in lines
    assert "None: the profile's" not in out
    assert not [line for line in lines if line.startswith("rate 7")], "it is not open"


def test_a_study_that_says_nothing_leaves_the_list(study, root, say):
    (root / "studies" / "mine" / "defaults.py").unlink()
    code, out, err = say("params", "02")
    assert (code, err, "n_texts texts that are read" in " ".join(out.split())) == (0, "", True)
    assert "quick laptop" not in " ".join(out.split())


def test_a_study_that_breaks_leaves_the_list(study, root, say):
    (root / "studies" / "mine" / "defaults.py").write_text("def defaults(params):\n    return 1 / 0")
    code, out, err = say("params", "02")
    assert (code, "n_texts" in out) == (0, True)
    assert "What quick makes of them is not known: ZeroDivisionError" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "- 1\n- 2", "a.yaml holds a list: write a line `name: value` for each parameter."),
        ("a.yaml", "seed", "a.yaml holds one value"),
        ("a.yaml", "sed: 1", "02_mine has no parameter sed: did you mean seed?"),
        ("a.yaml", "seed: 1\nseed: 2", "a.yaml has seed twice"),
        ("a.json", '{"seed": 1, "seed": 2}', "a.json has seed twice"),
        ("a.yaml", "seed: x", "seed=x does not fit `seed: int`"),
        ("a.yaml", "seed: 2026-01-01", "seed=2026-01-01 does not fit"),
        ("a.yaml", "rate: .nan", "rate=NaN does not fit"),
        ("a.yaml", "seed: {a: 1}", "does not fit `seed: int`"),
        ("a.yaml", "seed: 010", "a.yaml has 010, which YAML reads in base 8 or 60"),
        ("a.yaml", "sizes: [1, 1:30]", "a.yaml has 1:30, which YAML reads in base 8 or 60"),
        ("a.yaml", "on: 1", "a.yaml names a parameter True"),
        ("a.yaml", "seed: [1", "a.yaml is not valid YAML in line"),
        ("a.yaml", "seed: !!python/object/apply:os.getcwd []", "a.yaml is not valid YAML in line 1"),
        ("a.yaml", "sizes: &a [1]\ndata: *a", "has an alias"),
        ("a.json", "{", "a.json is not valid JSON"),
        ("b.yaml", "", "Cannot read a.yaml (No such file or directory)"),
    ],
)
def test_a_file_of_parameters_that_cannot_be_is_one_sentence(study, root, say, name, text, said):
    (root / name).write_text(text)
    file = "a.yaml" if name == "b.yaml" else name
    for command in ("run", "sweep"):
        code, out, err = say(command, "02", "-P", file)
        assert (code, out) == (2, "")
        assert (said if command == "run" else said.partition("=")[0]) in err
        assert len(err.strip().splitlines()) == 1
    assert not (root / "runs").exists()


def test_a_file_says_what_the_command_line_would(study, root):
    (root / "a.yaml").write_text("seed: 3\nrate: 2e-4\nchat: yes\nn_texts:\nsizes: [1, 2]\ndata: 'a, b'\n")
    (root / "a.json").write_text(
        '{"seed": 3, "rate": 2e-4, "chat": true, "n_texts": null, "sizes": [1, 2], "data": "a, b"}'
    )
    wanted = {"seed": 3, "rate": 2e-4, "chat": True, "n_texts": None, "sizes": [1, 2], "data": "a, b"}
    for name in ("a.yaml", "a.json"):
        values = for_run(read_params_file(root / name))
        assert from_strings(study.model, values, "02_mine") == wanted
    (root / "empty.yaml").write_text("# nothing yet\n")
    assert read_params_file(root / "empty.yaml") == read_params_file(None) == {}
    (root / "zeros.yaml").write_text("a: 0\nb: -0\nc: 00.5\nd: 0x10\ne: '010'\nf: 1_000\n")
    assert list(read_params_file(root / "zeros.yaml").values()) == [0, 0, 0.5, 16, "010", 1000]


def test_in_a_sweep_a_list_is_several_values(study):
    values = {"seed": "0..2", "rate": [0.1, 1], "sizes": [[1, 2], [3]], "data": ["a,b", "c"], "layers": 2}
    planned = sweep.plan_sweep(study, for_sweep(values, study.model), False)
    assert planned.varied == ["seed", "rate", "sizes", "data"]
    assert len(planned.points) == 3 * 2 * 2 * 2
    first = planned.points[0].plan.params
    assert (first.sizes, first.data, first.layers) == ([1, 2], "a,b", 2)
    one = sweep.plan_sweep(study, for_sweep({"sizes": [1, 2], "data": "a,b"}, study.model), False)
    assert [(job.plan.params.sizes, job.plan.params.data) for job in one.points] == [([1, 2], "a,b")]
    with pytest.raises(UserError, match="A sweep varies parameters"):
        sweep.plan_sweep(study, {}, False)


def test_the_command_line_overrides_the_file(study, root, say):
    (root / "a.yaml").write_text("seed: x\nlayers: 0\n")
    assert "layers=0 does not fit" in say("run", "02", "-P", "a.yaml", "-p", "seed=1")[2]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("run 0", ["01_study", "02_mine"]),
        ("params mi", ["mine"]),
        ("run 02 -p s", ["seed=", "sizes="]),
        ("sweep 02_mine -p profile=l", ["profile=laptop"]),
        ("run 02 -p chat=", ["chat=", "chat=true", "chat=false"]),
        ("run nothing -p s", []),
        ("show 0", []),
    ],
)
def test_the_shell_completes_notebooks_and_parameters(study, words, offered):
    typed = f"workbench {words}"
    told = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words.split())),
        "_WORKBENCH_COMPLETE": "complete_bash",
    }
    result = CliRunner().invoke(app.app, prog_name="workbench", env=told)
    assert result.stdout.split() == offered


def test_version_and_help_are_plain(say):
    import workbench

    assert say("--version") == (0, f"workbench {workbench.__version__}\n", "")
    for words in (["--help"], ["run", "--help"], ["sweep", "--help"]):
        out = say(*words)[1]
        assert "<bool>" not in out
        assert "list[str]" not in out
        assert "range" not in out
    assert "--install-completion" in say("--help")[1]
