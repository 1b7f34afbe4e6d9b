"""What a parameter may name: one grammar for those who read it and for the key of a run.

A text names one source or several with commas between them, each written
`[KIND:]NAME[:CONFIGURATION][:SPLIT]`: `gsm8k:train.jsonl`, `FOLDER:main:test`, `org/name:test`,
`rationales:A,B`, `transformers:FOLDER`, `openai:URL#MODEL`. A file or folder that exists wins over the
grammar, so that a path may hold a comma, a colon or an equals sign.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROBLEMS = ("asdiv", "svamp", "multiarith", "aqua", "math", "gsm8k", "plain")
"""Kinds of word problems."""
OPINIONS = ("own", "polis", "moralchoice", "globalopinionqa")
"""Kinds of questions with people's answers."""
SOLUTIONS = ("rationales",)
"""What stands before files with a teacher's solutions."""
TEXTS = ("lines", "paragraphs")
"""How a text file is divided, where no end-of-text mark does: a text a line, or blank lines between texts."""
SAMPLERS = ("transformers", "vllm", "openai", "openai-chat")
"""What stands before a model or a server that is sampled."""
MODELS = (*SAMPLERS, "hidden", "tiny")
"""What stands before a model, a server, or a preset; no configuration or split follows."""
KINDS = (*PROBLEMS, *OPINIONS, *SOLUTIONS, *TEXTS, *MODELS)
SHIPPED = {"starter": Path(__file__).resolve().parent / "assets" / "starter"}
"""Models that come with the package, each by the name that names it; a file of that name here wins."""
_LOADED = ("transformers", "vllm", "hidden")  # kinds of sources that are models to be loaded
_MODEL_NAMES = (
    "model",
    "models",
    "generator",
    "second",
    "judge",
)  # parameters in which a bare name is a model's
_NO_MODELS = ("embedded", "ladder", "train", "simulator", "none")  # words in them that name something else
_PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")


def _vllm() -> Path:
    with suppress(FileNotFoundError):  # the folder that a process is in may be gone
        for folder in Path(".venv-vllm").absolute().parents:
            if (folder / ".venv-vllm").is_dir():
                return folder / ".venv-vllm"
    return Path(__file__).resolve().parents[1] / ".venv-vllm"


VLLM = _vllm()
"""vLLM's own environment, where it is not in this one: here, in a folder above, or beside the package."""
_COMMAS = 8  # in one path, at most
_LONGEST_LIST = 256  # entries; in a longer list every comma divides


@dataclass(frozen=True)
class Source:
    """One file, folder, hub id, model or server that a parameter names."""

    kind: str | None  #: what stands before the name, in lower case; None where nothing does
    name: str  #: a path, a hub id, a preset or a server's address
    configuration: str | None = None  #: of a data set that has several
    split: str | None = None  #: train, test …; of a hub id that alone follows, it may be a configuration

    def __str__(self) -> str:
        parts = (self.kind, self.name, self.configuration, self.split)
        return ":".join(part for part in parts if part is not None)


def parse(text: str, kinds: Collection[str] = KINDS) -> list[Source]:
    """The sources that a text names, in its order; empty entries of the list are left out.

    Args:
        text: see the module.
        kinds: what may stand before a name; anything else before a colon belongs to the name.
    """
    return [_source(entry, kinds)[1] for entry in _entries(text, kinds)]


def paths_in(text: str) -> list[Path]:
    """Every file and folder here that a text names, each once, as it is written (`~` expanded)."""
    names = (source.name for source in parse(text))
    return list(dict.fromkeys(Path(name).expanduser() for name in names if _exists(name)))


def models_in(params: Any) -> list[tuple[str, str]]:
    """The models to be loaded that parameters name where they are not left as they are: (parameter, name).

    Args:
        params: of a notebook, a pydantic model of which every field has a default.
    """
    defaults, named = type(params)().model_dump(), []
    for parameter, text in params.model_dump().items():
        if isinstance(text, str) and text != defaults[parameter]:
            for source in parse(text):
                bare = source.kind is None and parameter in _MODEL_NAMES and source.name not in _NO_MODELS
                named += [(parameter, source.name)] if source.kind in _LOADED or bare else []
    return named


def map_paths(text: str, change: Callable[[str], str]) -> str:
    """The text with every path in it that exists changed; what stands before and behind a path stays.

    Args:
        change: gets a path as it is written, and returns what stands in its place.
    """
    written, rest = "", text
    for entry in _entries(text, KINDS):
        before, source = _source(entry, KINDS)
        begin = rest.index(entry) + len(before)
        end = begin + len(source.name)
        written += rest[:begin] + (change(source.name) if _exists(source.name) else source.name)
        rest = rest[end:]
    return written + rest


def parts_of(path: Path) -> list[Path]:
    """The parts of a GGUF file that llama.cpp has divided (NAME-00001-of-00003.gguf); else the path alone."""
    match = _PART.fullmatch(path.name)
    if not match:
        return [path]
    count = int(match["count"])
    return [path.with_name(f"{match['name']}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]


def located(name: str) -> str:
    """The path of what comes with the package (`SHIPPED`); any other name as it is."""
    return str(SHIPPED[name]) if name in SHIPPED and not os.path.exists(name) else name


def _entries(text: str, kinds: Collection[str]) -> Iterator[str]:
    """The entries of a list; as many commas as possible belong to a path that exists."""
    parts = text.split(",")
    most = _COMMAS if len(parts) <= _LONGEST_LIST else 0
    while parts:
        ends = range(min(len(parts), most + 1), 1, -1)
        whole = (end for end in ends if _exists(_source(",".join(parts[:end]).strip(), kinds)[1].name))
        end = next(whole, 1)
        entry = ",".join(parts[:end]).strip()
        del parts[:end]
        if entry:
            yield entry


def _source(entry: str, kinds: Collection[str]) -> tuple[str, Source]:
    """What stands before the name, as it is written, and the source."""
    before, colon, rest = entry.partition(":")
    kind = before.strip().lower() if colon and not _exists(entry) else ""
    kind, rest = (kind, rest.strip()) if kind in kinds else (None, entry)
    written = entry[: len(entry) - len(rest)]
    if kind in MODELS or _exists(rest) or "://" in rest:
        return written, Source(kind, rest)
    return written, Source(kind, *_name_and_split(rest))


def _name_and_split(text: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and split; the longest name that exists, else a hub id without colons."""
    parts = text.split(":")
    ends = [end for end in (len(parts) - 1, len(parts) - 2) if end > 0 and _is_behind(parts[end:])]
    end = next((end for end in ends if _exists(":".join(parts[:end]))), ends[-1] if ends else len(parts))
    name, behind = ":".join(parts[:end]), parts[end:]
    return name, behind[0] if len(behind) > 1 else None, behind[-1] if behind else None


def _is_behind(parts: list[str]) -> bool:
    """Whether these may be a configuration and a split: no path, and not empty."""
    return all(part and "/" not in part and "\\" not in part for part in parts)


def _exists(name: str) -> bool:
    try:
        return bool(name) and any(map(os.path.exists, (name, os.path.expanduser(name), located(name))))
    except ValueError:  # a null byte
        return False
