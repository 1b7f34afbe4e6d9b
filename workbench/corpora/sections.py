"""Text files beside the modules, which hold words, sentences and tables."""

from pathlib import Path

Entries = list[tuple[str, str]]


def read_sections(module: str, file: str) -> dict[str, Entries]:
    """The sections of a text file beside a module (its `__file__`), each with its entries (name, text) in
    order; names may repeat.

    `== title` begins a section and `name: text` an entry; indented lines go on with the entry above them, and
    what stands before the first section is not read.
    """
    text = Path(module).with_name(file).read_text(encoding="utf-8").replace("\n    ", " ")
    sections: dict[str, Entries] = {}
    for section in text.split("\n== ")[1:]:
        title, *lines = section.splitlines()
        sections[title] = [
            (name, entry) for name, _, entry in (line.partition(": ") for line in lines if line)
        ]
    return sections
