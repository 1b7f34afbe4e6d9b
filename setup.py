"""What pyproject.toml cannot say: the notebooks at the root are installed as `workbench/notebooks`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["workbench*"]), "workbench.notebooks"],
    package_dir={"workbench.notebooks": "notebooks"},
)
