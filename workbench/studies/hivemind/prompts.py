"""What the models of 10_hivemind are asked: the embedded requests, or prompts of files."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from workbench.corpora import open_ended
from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import lowered, question_of
from workbench.corpora.loaders.formats import of_file, opened, suffix
from workbench.corpora.loaders.generations import COLUMNS
from workbench.corpora.open_ended import Request
from workbench.errors import UserError
from workbench.sources import Source


def prompts_of(requests: Iterable[Request]) -> pd.DataFrame:
    """Requests as they are asked: columns prompt_id, prompt, category."""
    rows = [(request.id, request.prompt, request.kind) for request in requests]
    return pd.DataFrame(rows, columns=COLUMNS[:3])


def read_prompts(source: str, seed: int = 0) -> pd.DataFrame:
    """What is asked: columns prompt_id, prompt, category. What stands there twice is asked once.

    Args:
        source: "embedded" for the embedded requests, or a file: text (one a line) or rows with prompt.
        seed: of the names in the embedded requests.

    Raises:
        UserError: the file has no prompts, a row has none, or two have one id.
    """
    if source == "embedded":
        return prompts_of(open_ended.requests(seed))
    prompts = [prompt for one in rows.parsed(source, ()) for prompt in _prompts_of(one)]
    if not prompts:
        raise UserError(f"{source} holds no prompt.")
    frame = pd.DataFrame(prompts, columns=COLUMNS[:3]).drop_duplicates()
    again = frame.loc[frame["prompt_id"].duplicated(), "prompt_id"]
    if len(again):
        raise UserError(f"{source} has two prompts with the id {again.iloc[0]}: give each its own.")
    twice = frame.loc[frame["prompt"].duplicated(), "prompt"]
    if len(twice):
        raise UserError(f"{source} has two ids for the prompt {twice.iloc[0]!r:.60}: keep one of them.")
    return frame


def _prompts_of(source: Source) -> Iterator[tuple[str, str, str]]:
    files, hub = rows.find(source, (".txt", *rows.FORMATS))
    for path in files:
        if suffix(path) == ".txt":
            with opened(path) as file:
                yield from ((line, line, "") for line in map(str.strip, file) if line)
        else:
            yield from (_prompt_of(where, row) for where, row in of_file(path))
    if hub is not None:
        yield from (_prompt_of(where, row) for where, row in rows.of_hub(hub, None))


def _prompt_of(where: str, row: Any) -> tuple[str, str, str]:
    with rows.checked(where, row if isinstance(row, dict) else {"prompt": row}) as entries:
        fields = lowered(entries)
        prompt = question_of(fields, ("prompt",)) if fields.get("prompt") else ""
        if not prompt:
            raise rows.Malformed("has no prompt")
        prompt_id = prompt if fields.get("id") is None else rows.name_of(fields["id"], "an id")
        return prompt_id, prompt, str(fields.get("category") or "")
