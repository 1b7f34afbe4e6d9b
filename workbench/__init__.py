"""A notebook-first research workbench for reasoning in small language models."""

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["start"]

# jsonschema, below altair and nbformat, would compile a grammar of addresses: a second in every process.
# An optional import of theirs, so that None will do.
sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType]

if TYPE_CHECKING:
    from workbench.lab.runs import start


def __getattr__(name: str) -> Any:
    # Lazy, so that `workbench --help` and the engine do not pay for the lab's imports.
    if name == "start":
        from workbench.lab.runs import start

        return start
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")
