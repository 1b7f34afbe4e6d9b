"""The wheel and the sdist stand alone: they hold all that the checkout has, and work where there is none."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from lab_project import wait_until
from repository import ROOT

import workbench

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BESIDE = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


def tracked(*folders):
    """The files of the checkout that are to be installed; new ones, which git does not know yet, too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def build(kind, folder, out):
    # setuptools reads sys.argv too, so that it gets none of ours
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, built from a copy of what it is made of, and the wheel built from that."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in (*tracked("workbench", "notebooks"), *BESIDE):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    build("sdist", source, out)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(source / "unpacked", filter="data")
    build("wheel", next((source / "unpacked").iterdir()), out)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


def as_installed(name):
    return f"workbench/{name}" if name.startswith("notebooks/") else name


def test_the_wheel_holds_every_file_of_the_package_and_the_notebooks(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {as_installed(name) for name in tracked("workbench", "notebooks/[0-9]*.ipynb")}
    assert held == wanted


def test_the_sdist_holds_what_a_wheel_is_made_of(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked("workbench", "notebooks/[0-9]*.ipynb"), *BESIDE} <= held


def test_version_and_command(wheel):
    assert workbench.__version__ == VERSION
    archive = zipfile.ZipFile(wheel)
    about = {
        Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name
    }
    assert Parser().parsestr(about["METADATA"])["Version"] == VERSION
    assert "workbench = workbench.cli.app:main" in about["entry_points.txt"]


@pytest.mark.long
def test_it_works_where_there_is_no_checkout(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    # What it needs is installed here already: not the checkout, whose own .pth is not followed from there.
    (site,) = (tmp_path / "env").glob("lib/*/site-packages")
    (site / "installed_here.pth").write_text(sysconfig.get_path("purelib"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH")}

    def give(*words, folder=tmp_path):
        command = [python, "-m", *words]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
        )

    installed = give("pip", "install", "--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    assert give("workbench", "init", "my-lab").returncode == 0
    lab = tmp_path / "my-lab"
    assert give("workbench", "new", "90_mine", folder=lab).returncode == 0
    ran = give("workbench", "run", "01", "90", folder=lab)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in ("01_stories", "90_mine"):
        page = (lab / "runs" / "reports" / f"{name}.html").read_text(encoding="utf-8")
        assert "window.workbenchEmbed" in page
        assert str(ROOT) not in page
    record = next((lab / "runs" / "90_mine").glob("*/run.json")).read_text(encoding="utf-8")
    assert f'"workbench": "{VERSION}"' in record


@pytest.mark.long
def test_jupyterlab_starts_on_a_project_and_ends(tmp_path):
    (tmp_path / "notebooks").mkdir()
    words = ["lab", "--", "--no-browser", "--allow-root", "--port=0", "--ServerApp.port_retries=0"]
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench", *words], cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: "/lab/tree/notebooks" in (tmp_path / "log").read_text())
        finally:
            server.terminate()
            server.wait(timeout=30)
