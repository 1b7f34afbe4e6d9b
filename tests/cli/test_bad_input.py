"""What a reader may give the studies by mistake: one clear sentence, exit code 2, nothing lost."""

import os
import subprocess
import sys

import pytest
from repository import ROOT


def workbench(folder, *words):
    environment = {**os.environ, "WORKBENCH_RUNS": str(folder / "runs"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "01_stories", "-p", "n_storys=3"], "n_stories"),
        (["run", "01_stories", "-p", "seed=one"], "seed"),
        (["run", "02_tiny_models", "-p", "architecture=bert"], "llama"),
        (["run", "02_tiny_models", "-p", "profile=huge"], "tiny"),
        (["run", "09_prismatic", "-p", "method=fast"], "kronecker"),
        (["run", "07_arithmetic", "-p", "tuning=qlora"], "lora"),
        (["run", "08_siked", "-p", "mixture=fixed"], "fixed-alpha"),
        (["run", "01_story"], "01_stories"),
    ],
)
def test_a_wrong_parameter_ends_before_any_kernel(tmp_path, words, said):
    code, message = workbench(tmp_path, *words)
    assert code == 2
    assert said in message
    assert len(message.splitlines()) == 1
    assert not list(tmp_path.glob("runs/*/*/notebook.ipynb"))


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "01_stories", "-p", "data=no_such_file.txt"], "no_such_file.txt"),
        (["run", "01_stories", "-p", "data=LICENSE"], "LICENSE"),
        (["run", "01_stories", "-p", "generator=opnai:http://x#y"], "'openai'"),
        (["run", "09_prismatic", "-p", "n_subsets=3"], "n_subsets=3 is too few"),
        (["run", "09_prismatic", "-p", "data=gsm8k:no_such_file.jsonl"], "no_such_file.jsonl"),
        (["run", "09_prismatic", "-p", "generator=opnai:http://x#y"], "'openai'"),
        (["run", "07_arithmetic", "-p", "model=notebooks"], "notebooks holds no model"),
        (["run", "08_siked", "-p", "data=svamp:no_such_file.json", "-p", "teacher=x/y"], "no_such_file.json"),
        (["run", "08_siked", "-p", "model=notebooks", "-p", "teacher=openai:http://x#y"], "holds no model"),
    ],
)
def test_a_wrong_file_or_generator_is_one_sentence(tmp_path, words, said):
    code, message = workbench(tmp_path, *words)
    assert code == 2, message
    assert said in message
    assert "Traceback" not in message
