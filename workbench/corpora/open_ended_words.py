"""What the requests of `open_ended` ask, and what can be answered, from open_ended.txt."""

from dataclasses import dataclass
from importlib.resources import files

Lines = list[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of request.

    Attributes:
        asks: the prompt.
        says: styles of answering.
        topics: options of each topic, the fitting first.
        also: options of a second part of the meaning, the same for all topics.
    """

    asks: str
    says: tuple[str, ...]
    topics: dict[str, tuple[str, ...]]
    also: tuple[tuple[str, ...], ...] = ()


def _sections() -> dict[str, Lines]:
    """The sections of the file, `== name`, with their lines `name: text`; indented lines go on."""
    text = files(__package__).joinpath("open_ended.txt").read_text(encoding="utf-8").replace("\n    ", " ")
    sections = {}
    for section in text.split("\n== ")[1:]:
        name, *lines = section.split("\n")
        sections[name] = [tuple(line.split(": ", 1)) for line in lines if line]
    return sections


def _kind(lines: Lines) -> Kind:
    topics = {}
    for names, options in lines:
        if names not in ("asks", "says", "also"):
            topics |= dict.fromkeys(names.split(" / "), tuple(options.split(", ")))
    also = tuple(tuple(text.split(", ")) for name, text in lines if name == "also")
    return Kind(dict(lines)["asks"], tuple(text for name, text in lines if name == "says"), topics, also)


_SECTIONS = _sections()
FILLERS = {name: tuple(options.split(", ")) for name, options in _SECTIONS.pop("wording")}
KINDS = {name: _kind(lines) for name, lines in _SECTIONS.items()}
