"""Which files of a folder are one split of one configuration: told by names, README.md or saved data sets.

As on the hub, `train.jsonl`, `test-00000-of-00001.parquet` and `test/1.json` are of a split, and a folder
above (`main/test.jsonl`) or what else stands in a name (`test_socratic.jsonl`) is of a configuration. One
split of one configuration is read; where the names leave open which, a sentence lists them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.corpora.loaders.formats import is_saved, suffix
from workbench.errors import UserError
from workbench.sources import Source

SPLITS = {
    "train": ("train", "training", "trainset"),
    "validation": ("validation", "valid", "val", "dev", "devset"),
    "test": ("test", "testing", "testset", "eval", "evaluation"),
}
"""The usual splits, and the words that name them."""
_CANONICAL = {word: split for split, words in SPLITS.items() for word in words}
# 00000, of, part1: which piece of a split a file is
_PIECE = re.compile(r"(?:part|shard|chunk|file|batch)?\d*|of|data|splits?")
_WORDS = re.compile(r"[-_. =]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ABOUT = re.compile(r"(?i)(?:(?:upstream_)?readme|licen[cs]e|copying|citation)(?:$|[._-])")
_INFOS = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json")


@dataclass(frozen=True)
class _Part:
    """A file of a folder, or a folder in it with a saved data set."""

    path: Path
    configuration: str  #: "" where the names tell of none
    split: str | None  #: one of `SPLITS`, another that README.md names, or None
    names: tuple[str, ...] = ()  #: its name without format and piece, and those of the folders above


def canonical(split: str) -> str:
    """ "validation" of "dev", and of any other name for a usual split; else the name itself."""
    return _CANONICAL.get(split.lower(), split)


def choose(source: Source, formats: Sequence[str], default: str = "train") -> list[Path]:
    """The files of a folder that are read; what is left out by default is said in a printed line.

    Args:
        source: names the folder, and perhaps its configuration and split.
        formats: of files that are read.
        default: split that is read where `source` names none and files bear the names of splits.

    Raises:
        UserError: no file is left, or several configurations are.
    """
    folder = _snapshot(Path(source.name).expanduser())
    files = sorted(path for path in _files(folder) if suffix(path) in formats)
    files = [path for path in files if path.is_dir() or not _is_packed_copy(path, files)]
    if not files:
        raise UserError(f"The folder {folder} holds no {', '.join(formats)} file.")
    parts = _by_readme(folder, files) or [_by_name(folder, path) for path in files]
    configuration, split = source.configuration, source.split
    if split and configuration is None and _is_configuration(split, parts, folder):
        configuration, split = split, None
    if configuration is not None:
        parts = _of_configuration(configuration, parts, folder)
    chosen = _one_configuration(_of_split(split, parts, default, folder), folder, split)
    if split is None and len(chosen) < len(parts):
        _say(folder, chosen, parts)
    return sorted(part.path for part in chosen)


def _say(folder: Path, chosen: Sequence[_Part], parts: Sequence[_Part]) -> None:
    others = [part for part in parts if part not in chosen]
    read, left = (
        _listed([part.path.relative_to(folder).as_posix() for part in some]) for some in (chosen, others)
    )
    print(f"{folder}: reads {read}; leaves out {left} (another split is named behind a colon, as in :test)")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


# ------------------------------------------------------------------------------- files
def _snapshot(folder: Path) -> Path:
    """Of a folder in the hub's cache the revision that is in use, so that none is read beside another."""
    revisions = sorted((folder / "snapshots").glob("*/")) if (folder / "refs").is_dir() else []
    head = folder / "refs" / "main"
    if len(revisions) > 1 and head.is_file():
        revisions = [path for path in revisions if path.name == head.read_text(encoding="utf-8").strip()]
    return revisions[0] if len(revisions) == 1 else folder


def _files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """What may be data: no hidden files, no licences, nothing that describes other files."""
    if is_saved(folder):
        yield folder
        return
    above = (*above, folder.resolve())
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from () if path.resolve() in above else _files(path, above)  # a link may lead back up
        elif path.is_file() and path.name not in _INFOS and not _ABOUT.match(path.name):
            yield path


def _is_packed_copy(path: Path, files: Sequence[Path]) -> bool:
    return path.suffix.lower() != suffix(path) and path.with_suffix("") in files


def _by_name(folder: Path, path: Path) -> _Part:
    above = path.relative_to(folder).parts[:-1]
    stem = path.name if path.is_dir() else path.name[: len(path.name) - len("".join(_formats(path)))]
    if path == folder:  # a saved data set knows its split
        stem = str(_object(path / "state.json").get("_split") or "")
    splits = _splits_in(stem)
    at = next((at for at, name in enumerate(above) if name.lower() in _CANONICAL), len(above))
    if at == len(above) and not splits:  # split=test/1.json, gsm8k_test/1.json
        at = next((at for at, name in enumerate(above) if _splits_in(name)), at)
    namer = above[at] if at < len(above) else stem  # what else stands in it tells of the configuration
    splits |= _splits_in(namer)
    kept = [word for word in _words(namer) if not (_splits_in(word) or _PIECE.fullmatch(word.lower()))]
    variant = "_".join(kept) if splits else ""
    dirs = [name for name in above[:at] if name != "data"] if splits else []
    bare = "_".join(word for word in _words(stem) if not re.fullmatch(r"\d+|of", word))
    return _Part(
        path, "/".join(filter(None, [*dirs, variant])), "+".join(sorted(splits)) or None, (bare, *above)
    )


def _formats(path: Path) -> list[str]:
    """The endings that say how a file is read: [".jsonl", ".gz"]."""
    kind = suffix(path)
    return path.suffixes[-1:] if path.suffix.lower() == kind else path.suffixes[-2:]


def _words(name: str) -> list[str]:
    return [word for word in _WORDS.split(name) if word]


def _splits_in(name: str) -> set[str]:
    """The usual splits that the words of a name tell of; "test2" is a piece of one."""
    bare = (word.lower().rstrip("0123456789") for word in _words(name))
    return {_CANONICAL[word] for word in bare if word in _CANONICAL}


def _object(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; empty if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# ------------------------------------------------------------------------------- README.md
def _by_readme(folder: Path, files: Sequence[Path]) -> list[_Part]:
    """The parts that the front matter of README.md lists, as on the hub; empty if it lists none."""
    known, parts = set(files), []
    for entry in _configs(folder):
        name, data = str(entry.get("config_name") or "default"), entry.get("data_files")
        listed = data if isinstance(data, list) and data and isinstance(data[0], dict) else [{"path": data}]
        for one in listed:
            split, paths = str(one.get("split") or "train"), one.get("path")
            for pattern in paths if isinstance(paths, list) else [paths]:
                matches = _matches(folder, pattern) & known
                parts += [_Part(path, name, canonical(split)) for path in sorted(matches)]
    return parts


def _configs(folder: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
        matter = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
    except (OSError, ValueError, IndexError, RecursionError, yaml.YAMLError):
        return []
    configs = matter.get("configs") if isinstance(matter, dict) else None
    entries = configs if isinstance(configs, list) else []
    entries = [entry for entry in entries if isinstance(entry, dict)]
    return sorted(entries, key=lambda entry: not entry.get("default"))


def _matches(folder: Path, pattern: Any) -> set[Path]:
    if not isinstance(pattern, str) or not pattern or pattern.startswith(("/", "..")):
        return set()
    try:
        return set(folder.glob(pattern))
    except (ValueError, NotImplementedError):
        return set()


# ------------------------------------------------------------------------------- choosing
def _is_configuration(name: str, parts: Sequence[_Part], folder: Path) -> bool:
    """Whether a single name behind a folder's is a configuration: no split has it."""
    configurations = {part.configuration for part in parts if part.split}
    known = name in configurations or [name] == list(_object(folder / "dataset_infos.json"))
    return known and canonical(name) not in {part.split for part in parts}


def _of_configuration(name: str, parts: Sequence[_Part], folder: Path) -> list[_Part]:
    chosen = [part for part in parts if part.configuration == name]
    if chosen:
        return chosen
    infos = list(_object(folder / "dataset_infos.json"))
    if infos == [name] and len({part.configuration for part in parts}) == 1:
        return list(parts)
    known = sorted({part.configuration for part in parts} - {""}) or infos
    raise UserError(
        f"The folder {folder} has no configuration {name}"
        + (f": it has {_listed(known)}." if known else f": leave it out, as in {folder}:test.")
    )


def _of_split(split: str | None, parts: list[_Part], default: str, folder: Path) -> list[_Part]:
    splits = sorted({part.split for part in parts if part.split})
    if split is not None:
        wanted = canonical(split)
        exact = [part for part in parts if split in part.names[:1]]
        named = [part for part in parts if part.split == wanted] or exact
        chosen = named or [part for part in parts if split in part.names]
        if not chosen:
            has = f"it has {_listed(splits)}" if splits else "its names tell of none, so leave it out"
            raise UserError(f"The folder {folder} holds no file of the split {split}: {has}.")
        return chosen
    chosen = [part for part in parts if part.split == default] if splits else parts
    chosen = chosen or [part for part in parts if part.split is None]
    if not chosen:
        raise UserError(
            f"The folder {folder} has no files of the split {default}, only of {_listed(splits)}: "
            f"name one, as in {folder}:{splits[0]}, if that is what you mean."
        )
    return chosen


def _one_configuration(parts: list[_Part], folder: Path, split: str | None) -> list[_Part]:
    configurations = sorted({part.configuration for part in parts})
    if len(configurations) == 1:
        return parts
    defaults = [name for name in ("", "default", *_defaults(folder)) if name in configurations]
    if not defaults:
        behind = f":{split}" if split else ""
        raise UserError(
            f"The folder {folder} has several configurations ({_listed(configurations)}): name one, as in "
            f"{folder}:{configurations[0]}{behind}."
        )
    return [part for part in parts if part.configuration == defaults[0]]


def _defaults(folder: Path) -> list[str]:
    return [str(entry.get("config_name")) for entry in _configs(folder) if entry.get("default") is True]
