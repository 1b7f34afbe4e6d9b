"""The command `workbench models`: which models are here, and how each is given."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rich.text import Text

from workbench.cli.console import err, out, short_path
from workbench.cli.fetch import PACKAGES
from workbench.errors import UserError

_TOO_MANY = 200  # folders looked into below the working directory


def models() -> None:
    """List the models that are here: what to type as model=, size, family, licence, chat or base."""
    for give, *about in _rows():
        out.print(Text(give, style="bold"), soft_wrap=True)  # whole, to be copied
        out.print(Text("    " + " · ".join(filter(None, about)), style="dim"), soft_wrap=True)
    missing = [name for name in PACKAGES if not (Path("models") / name).exists()]
    if missing:
        out.print(Text(f"\nworkbench fetch NAME brings another: {', '.join(missing)}.", style="dim"))


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
    from workbench.engine.facts import facts
    from workbench.engine.model_files import weight_files

    try:
        known = facts(path)
        size = sum(file.stat().st_size for file in weight_files(path))
    except UserError as error:
        return _unusable(give, str(error))
    kind = "encoder" if give.startswith("encoder=") else "chat" if known.is_chat else "base"
    count, licence = f"{known.n_parameters / 1e6:,.1f}M parameters", known.licence or "licence not stated"
    return give, count, _size(size), known.family, known.stored, licence, kind


def _of_file(path: Path) -> Iterator[tuple[str, ...]]:
    from workbench.engine.gguf_header import read_header
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
