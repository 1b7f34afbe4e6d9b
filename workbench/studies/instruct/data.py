"""Stories with what was asked of them, and which combinations are kept for the test."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import lowered
from workbench.corpora.loaders.rows import Malformed
from workbench.corpora.loaders.texts import hold_out, load_corpus
from workbench.corpora.stories import grade
from workbench.engine import loading
from workbench.errors import UserError
from workbench.studies.common.profiles import REAL
from workbench.studies.instruct.brief_stories import write_brief
from workbench.studies.instruct.requests import HEADINGS, KINDS

COMBINATIONS = ("seen", "unseen")
HELD_OUT_PAIRS = 0.15  # of first words and features: never asked together in training
_SEEN_SHARE = 0.05  # of the other stories, held out by their content
_EXACT = 0.9  # share of sentences that the exact grader reads, from which it grades a file's stories
_FEWEST = 40  # stories of a file
_HEADING = re.compile(rf"^({'|'.join(HEADINGS.values())}|Story):[ \t]*", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """What is read and asked, and by which models."""

    shapes: tuple[tuple[int, int], ...]  #: (layers, width) of equal size, from the shallowest to the deepest
    n_tokens: int  #: that each model reads, instructions and padding included
    n_stories: int  #: to learn from and to test with; each pass asks something else of them
    n_test: int  #: stories of each kind of combination, seen and unseen
    seeds: int  #: trainings of each arm
    learning_rate: float = 8e-3  #: the highest of one layer, and twice that of more
    vocab_size: int = 768  #: of the tokenizer of given stories
    context: int = 224  #: tokens of a row: two stories with their instructions
    batch_size: int = 4  #: rows
    max_tokens: int = 130  #: of a story that is written
    plain: bool = False  #: asks a given model in plain English, and for what any text can be graded on alone
    processes: int | None = None  #: trainings at a time; None for one a thread
    model: str = "train"  #: as the notebook's parameter; likewise data, seed, device and placebo
    data: str = "embedded"
    seed: int = 0
    device: str = "cpu"
    placebo: bool = False

    @property
    def all_seeds(self) -> range:
        """The seeds, one for each repetition of all arms."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def trains(self) -> bool:
        """Whether models are trained here, and none is given."""
        return self.model == "train"


SIZES = {
    "quick": Settings(((1, 72), (2, 56)), 300_000, 2_000, 40, 1, processes=1),
    "laptop": Settings(((1, 72), (2, 56), (4, 40)), 1_500_000, 6_000, 60, 5),
    REAL: Settings((), 1_000, 1_000, 30, 1, max_tokens=160, plain=True),
    "paper": Settings(
        ((1, 640), (2, 448), (4, 320), (8, 224)), 200_000_000, 400_000, 500, 5, 1e-3, 4_096, 512, 64, 300
    ),
}


def settings(params: Any) -> Settings:
    """The profile's sizes with what the notebook's parameters say.

    Raises:
        UserError: there is no such device.
    """
    profile = SIZES[params.profile]
    if params.model != "train":
        profile = replace(profile, seeds=1)
    return replace(
        profile,
        seeds=params.seeds or profile.seeds,
        n_tokens=profile.n_tokens if params.n_tokens is None else params.n_tokens,
        model=params.model,
        data=params.data,
        seed=params.seed,
        device=loading.pick_device(params.device),
        placebo=params.placebo,
    )


# ------------------------------------------------------------------------------- stories
def shelf(settings: Settings) -> pd.DataFrame:
    """Stories with what can be asked of them.

    Returns:
        Columns item, story, words and features (with ", " between them), summary and sentence; empty where
        nothing is known. An empty sentence may be any of the story's.

    Raises:
        UserError: a file without stories and instructions.
    """
    if settings.data != "embedded":
        return load(settings.data, settings.n_stories)
    return pd.DataFrame([_written(index) for index in range(settings.n_stories)])


def _written(index: int) -> dict[str, Any]:
    """Story number `index`, the same for every seed: seeds differ in what they ask of it."""
    story = write_brief(Random(f"instruct/{index}"))
    asked = {"words": ", ".join(story.words.values()), "features": ", ".join(story.features)}
    return {"item": index, "story": story.text, **asked, "summary": story.summary, "sentence": ""}


def load(source: str, limit: int) -> pd.DataFrame:
    """The first stories of a file that have an instruction, in the columns of `shelf`.

    Args:
        source: a .txt in the format of TinyStories-Instruct ("Words: …", "Features: …", "Summary: …", "Random
            sentence: …", "Story: …", with the end-of-text token between stories), or rows with fields story
            and any of words, features, summary and sentence.
        limit: stories.

    Raises:
        UserError: nothing there, no such fields, or too few stories.
    """
    kept: dict[str, dict[str, str]] = {}
    for fields in _fields(source):
        kept.setdefault(fields["story"], fields)
        if len(kept) == limit:
            break
    if len(kept) < _FEWEST:
        raise UserError(f"{source} holds {len(kept)} stories with an instruction: give {_FEWEST} or more.")
    return pd.DataFrame([{"item": number, **fields} for number, fields in enumerate(kept.values())])


def _fields(source: str) -> Iterator[dict[str, str]]:
    if source.split(":")[-1].endswith(".txt"):
        for text in load_corpus(source).texts:
            if fields := parse(text):
                yield fields
        return
    for where, row in rows.of_source(source, formats=rows.TABLES):
        with rows.checked(where, row) as fields:
            yield _of_row(lowered(fields))


def parse(text: str) -> dict[str, str] | None:
    """The parts of a story in the format of TinyStories-Instruct; None without a story or an instruction."""
    _, *pieces = _HEADING.split(text)
    parts = {heading.lower(): piece for heading, piece in zip(pieces[::2], pieces[1::2], strict=True)}
    fields = {kind: " ".join(parts.get(heading.lower(), "").split()) for kind, heading in HEADINGS.items()}
    story = parts.get("story", "").strip()
    return {"story": story, **fields} if story and any(fields.values()) else None


def _of_row(row: dict[str, Any]) -> dict[str, str]:
    names = {"story": ("story",)} | {kind: (kind, heading.lower()) for kind, heading in HEADINGS.items()}
    fields = {kind: _text(row, *spellings) for kind, spellings in names.items()}
    if not fields["story"] or not any(fields[kind] for kind in KINDS):
        raise Malformed(f"needs a story, and at least one of {', '.join(KINDS)}")
    return fields


def _text(row: dict[str, Any], *names: str) -> str:
    """The first of these fields that is there, as one text; a list with commas between its members."""
    value = next((row[name] for name in names if row.get(name) is not None), "")
    if isinstance(value, (list, tuple, np.ndarray)):
        value = ", ".join(map(str, value))
    return str(value).strip()


def is_exact(stories: Sequence[str]) -> bool:
    """Whether stories are in the simulator's language, so that features and summaries can be graded."""
    grammar = [grade(story).grammar for story in stories[:50]]
    return sum(value >= _EXACT for value in grammar) >= _EXACT * len(grammar)


# ------------------------------------------------------------------------------- what is kept for the test
def split(shelf: pd.DataFrame, seed: int, n_test: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training, test) by content: no story of the test, and none of its combinations, is learnt from.

    A share of all pairs of a first word and a feature is held out by a hash of theirs: stories with such a
    pair are *unseen* combinations. The other half of the test are stories that were held out by themselves,
    all of whose pairs are free to be read: *seen* combinations.

    Returns:
        Rows of `shelf`; those of the test, up to `n_test` of each, with a column combination.
    """
    pairs = zip(shelf["words"], shelf["features"], strict=True)
    unseen = np.array([_has_held_out_pair(*pair, seed) for pair in pairs])
    rest = shelf[~unseen]
    share = min(0.5, max(_SEEN_SHARE, 2 * n_test / max(1, len(rest))))
    held_out = rest["story"].isin(hold_out(rest["story"].tolist(), share, seed)[1])
    test = {"seen": rest[held_out], "unseen": shelf[unseen]}
    parts = [_alike(part).head(n_test).assign(combination=name) for name, part in test.items()]
    return rest[~held_out], pd.concat(parts, ignore_index=True)


def _alike(stories: pd.DataFrame) -> pd.DataFrame:
    """Those of which words and features can be asked, if there are any: both halves are alike in that."""
    both = stories[(stories["words"] != "") & (stories["features"] != "")]
    return both if len(both) else stories


def _has_held_out_pair(words: str, features: str, seed: int) -> bool:
    first = words.split(", ")[0]
    return any(
        first and feature and _hash(f"{seed}/{first}/{feature}") < HELD_OUT_PAIRS
        for feature in features.split(", ")
    )


def _hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
