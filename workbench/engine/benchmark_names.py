"""Which benchmarks lm-evaluation-harness has, and which data they read; told without importing it.

The harness (the extra `lm-eval`) takes seconds to be imported, and minutes to read its fourteen thousand
files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from workbench.engine.gguf import cache_folder
from workbench.engine.hub import hub_answers
from workbench.errors import UserError, nearest, reason
from workbench.files import write_json

INSTALL = "pip install 'lm-eval>=0.4.13'"
# How a task's file says what it is: task, group or tags, a word or a list of lines.
_SAYS = re.compile(
    rb"^['\"]?(task|group|tag|include)['\"]?:[ \t]*(?:['\"]?([\w.+/:()-]+)['\"]?[ \t]*(?:#.*)?$"
    rb"|((?:\r?\n[ \t]*-[ \t]*[^\n]+)+))",
    re.M,
)


@dataclass(frozen=True)
class Benchmark:
    """A task, or a group of tasks, of the harness or of a YAML file in its format."""

    name: str
    file: Path
    is_group: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What its file says, with what it includes; functions are left as their names."""
        return _settings(self.file)

    @property
    def data_set(self) -> str:
        """The hub id, or the builder (`json`), that its data come from; "" where a program makes them."""
        settings = self.settings
        known = not (self.is_group or settings.get("class") or settings.get("custom_dataset"))
        return str(settings.get("dataset_path") or "") if known else ""

    def splits(self, shots: int | None) -> tuple[str, str | None]:
        """The split that is asked, and the one that worked examples are taken from (None: no examples)."""
        settings = self.settings
        asked = settings.get("test_split") or settings.get("validation_split") or "test"
        n = settings.get("num_fewshot") or 0 if shots is None else shots
        written = isinstance(settings.get("fewshot_config"), dict) and settings["fewshot_config"].get(
            "samples"
        )
        if not n or written:
            return asked, None
        return asked, settings.get("fewshot_split") or settings.get("training_split") or asked


def version() -> str:
    """The version of the harness.

    Raises:
        UserError: it is not installed.
    """
    try:
        return distribution("lm-eval").version
    except PackageNotFoundError:
        raise UserError(f"Benchmarks need lm-evaluation-harness: {INSTALL}") from None


def find(names: Sequence[str]) -> list[Benchmark]:
    """Tasks and groups by name, all tasks of a tag, or YAML files of tasks; each once.

    Raises:
        UserError: the harness is not installed or has no such task; the near name is given.
    """
    version()
    found: dict[str, Benchmark] = {}
    for name in names:
        for one in _find(name):
            found.setdefault(one.name, one)
    return list(found.values())


def _find(name: str) -> list[Benchmark]:
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"There is no file {name}, which should describe a task.")
        own = _settings(path).get("task")
        if not isinstance(own, str):
            raise UserError(f"{name} describes no task of lm-evaluation-harness (it has no line task: NAME).")
        return [Benchmark(own, path.absolute())]
    root = _root()
    # Most tasks are in files of their names: no other need be read.
    for path in (root / name.split("_")[0] / f"{name}.yaml", root / name / f"{name}.yaml"):
        if path.is_file() and _said(path).get("task") == name:
            return [Benchmark(name, path)]
    known = _known()
    if name in known:
        return [Benchmark(name, root / known[name]["file"], known[name]["is_group"])]
    tagged = [task for task, about in known.items() if name in about["tags"]]
    if tagged:
        return [Benchmark(task, root / known[task]["file"]) for task in sorted(tagged)]
    near = nearest(name, known)
    hint = f": did you mean {near}?" if near else "."
    raise UserError(f"lm-evaluation-harness {version()} has no task {name!r}{hint}")


def _root() -> Path:
    return Path(str(distribution("lm-eval").locate_file("lm_eval"))) / "tasks"


def _known() -> dict[str, dict[str, Any]]:
    """Every task and group: file, is_group, tags; kept, as the harness has fourteen thousand files."""
    kept = cache_folder() / f"lm-eval-{version()}.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    root, known = _root(), {}
    for path in sorted(root.rglob("*.yaml")):
        said = _said(path)
        name = said.get("group") or said.get("task")
        if isinstance(name, str):
            is_group = "group" in said
            about = {"file": path.relative_to(root).as_posix(), "is_group": is_group}
            known.setdefault(name, about | {"tags": [] if is_group else _tags(path)})
    write_json(kept, known)
    return known


def _tags(path: Path) -> list[str]:
    """A task's own tags, or those that it has from a file which it includes."""
    said = _said(path)
    if "tag" in said:
        return said["tag"] if isinstance(said["tag"], list) else [said["tag"]]
    included = said.get("include", [])
    files = [path.parent / name for name in ([included] if isinstance(included, str) else included)]
    return [tag for file in files if file.is_file() for tag in _tags(file)]


@lru_cache(maxsize=100_000)
def _said(path: Path) -> dict[str, Any]:
    """task, group and tag of a file, by its lines: a hundred times as fast as reading the YAML."""
    said: dict[str, Any] = {}
    data = path.read_bytes()
    for key, word, lines in _SAYS.findall(data):
        entries = [line.strip(b" \t\r-'\"").decode() for line in lines.split(b"\n")[1:]]
        said.setdefault(key.decode(), word.decode() or entries)
    if re.search(rb"^class:", data, re.M):  # a program: one task, whatever it is grouped with
        said.pop("group", None)
    return said


def _settings(path: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def function(loader: Loader, node: yaml.ScalarNode) -> str:
        return str(loader.construct_scalar(node))

    Loader.add_constructor("!function", function)
    try:
        own = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({reason(error)}).") from error
    if not isinstance(own, dict):
        raise UserError(f"{path} describes no task of lm-evaluation-harness.")
    included = own.pop("include", [])
    merged: dict[str, Any] = {}
    for other in [included] if isinstance(included, str) else included:
        merged |= _settings(path.parent / other)
    return merged | own


def check_data(benchmarks: Sequence[Benchmark], given: Mapping[str, Any]) -> None:
    """Whether the data of tasks are given, in the hub's cache, or can be fetched.

    Raises:
        UserError: they are not, or data are given for what cannot take any.
    """
    from huggingface_hub import constants

    for name in given:
        taking = [one for one in benchmarks if one.name == name]
        if not taking:
            asked = ", ".join(one.name for one in benchmarks)
            raise UserError(f"--data names {name}, which is not asked: the tasks are {asked}.")
        if not taking[0].data_set:
            raise UserError(f"{name} takes no data: it is a group, or a program of its own reads them.")
    local = ("", "json", "csv", "parquet", "text", "arrow")
    answers = cache(hub_answers)
    for asked in benchmarks:
        for one in members(asked):
            name = one.data_set
            if one.name in given or name in local or Path(name).exists():
                continue
            kept = Path(constants.HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}"
            made = Path(constants.HF_HOME) / "datasets" / name.replace("/", "___")
            if not (kept.exists() or made.exists() or answers()):
                alone = f"ask the tasks of {asked.name} one by one, and " if asked.is_group else ""
                raise UserError(
                    f"{one.name} reads {name} from the Hugging Face hub, which cannot be reached: {alone}give"
                    f" the data as --data {one.name}=PATH, a folder or file with the same fields."
                )


def members(benchmark: Benchmark) -> list[Benchmark]:
    """A group, with the groups and tasks in it; a task alone."""
    if not benchmark.is_group:
        return [benchmark]
    root, known = _root(), _known()
    inside, waiting = dict[str, Benchmark](), [benchmark.name]
    while waiting:
        name = waiting.pop()
        if name in inside:
            continue
        waiting += [task for task, about in known.items() if name in about["tags"]]
        if name in known:
            one = inside[name] = Benchmark(name, root / known[name]["file"], known[name]["is_group"])
            for member in (one.settings.get("task") or []) if one.is_group else []:
                inner = member if isinstance(member, dict) else {"task": member}
                for entry in (inner.get("task"), inner.get("group")):
                    waiting += entry if isinstance(entry, list) else [entry]
    return list(inside.values())


def folders_of(group: Benchmark) -> set[Path]:
    """The harness's folders that a group's tasks are in: to read all of them takes it minutes."""
    root = _root()
    return {root / one.file.relative_to(root).parts[0] for one in members(group)}
