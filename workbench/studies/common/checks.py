"""What the studies' `check(params)` share: whether values are in range, and files and models there.

Files are read by the loaders, large ones in part, so that what is refused at once is what would be refused
later, in the same words. Nothing here imports torch or transformers: a check takes less than a second.
"""

import io
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from workbench.corpora.loaders import problems as loader
from workbench.corpora.loaders import rows
from workbench.corpora.loaders.problems import FileProblem
from workbench.corpora.loaders.texts import FORMATS, load_corpus
from workbench.engine import hub, named
from workbench.engine.model_files import read_settings
from workbench.errors import UserError, choices, nearest
from workbench.sources import TEXTS, paths_in

EMBEDDED = "embedded"
LARGE, FIRST = 4 << 20, 2_000  # bytes of files of which only so many rows are read here
_SENTENCES = ("There ", "The ", "No ", "Every ", "All ", "A ")
T = TypeVar("T")


# ------------------------------------------------------------------------------- numbers
def at_least(params: Any, least: float, *names: str) -> None:
    """Refuses parameters below the least value; None stands for the profile's.

    Raises:
        UserError: one is below it.
    """
    for name in names:
        value = getattr(params, name)
        if value is not None and value < least:
            raise UserError(f"{name}={_shown(value)} is too small: take {_shown(least)} or more.")


def above_0(params: Any, *names: str) -> None:
    """Refuses parameters that are not above 0; None stands for the profile's.

    Raises:
        UserError: one is not.
    """
    for name in names:
        value = getattr(params, name)
        if value is not None and not value > 0:
            raise UserError(f"{name}={_shown(value)} is not above 0: take a number that is.")


def share(params: Any, name: str, *, from_0: bool = True) -> None:
    """Refuses a parameter that is no share: from 0, or from above 0, to 1; None stands for the profile's.

    Raises:
        UserError: it is not.
    """
    value = getattr(params, name)
    if value is not None and not (0 <= value <= 1 and (from_0 or value)):
        wanted = "from 0 to 1" if from_0 else "above 0, up to 1"
        raise UserError(f"{name}={_shown(value)}: take a share {wanted}.")


def _shown(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if abs(value) > 10**6 else str(value)


# ------------------------------------------------------------------------------- words
def is_word(params: Any, name: str, words: Collection[str]) -> bool:
    """Whether a parameter is one of some words, and not a path or an id.

    Raises:
        UserError: it is nearly one of them, and nothing here has that name.
    """
    value = getattr(params, name)
    if value is None or value in words:
        return True
    near = nearest(value, words, 0.75)  # less may be the id of a model
    if near and not os.path.exists(value):
        raise UserError(f"{name}={value}: nothing here has this name; did you mean {near}?")
    return False


def one_of(name: str, value: str, values: Collection[str], what: str) -> None:
    """Refuses what is not among some values; the near one is named.

    Raises:
        UserError: it is not.
    """
    if value not in values:
        raise UserError(f"{name}={value} is no {what}: {choices(value, values, '; ')}.")


@contextmanager
def said_of(name: str) -> Iterator[None]:
    """Puts the parameter's name before what is wrong with what it names; what readers print is left out."""
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except UserError as error:
        sentence = str(error)
        if sentence.startswith(name):
            raise
        begin = sentence[0].lower() if sentence.startswith(_SENTENCES) else sentence[0]
        raise UserError(f"{name}: {begin}{sentence[1:]}") from error


# ------------------------------------------------------------------------------- models
def device(params: Any) -> None:
    """Refuses a device that cannot be here.

    Raises:
        UserError: as `named.check_device`.
    """
    named.check_device(params.device)


def model(params: Any, *words: str, name: str = "model", chats: bool = False) -> bool:
    """Whether a parameter names a model, which must be there and whole, and none of some words.

    Raises:
        UserError: as `named.check_model`.
    """
    if is_word(params, name, words):
        return False
    with said_of(name):
        check_model(params, getattr(params, name), chats)
    return True


def check_model(params: Any, source: str, chats: bool = False) -> None:
    """Whether a model is there and whole, and fits into the memory of where `device` puts it.

    Raises:
        UserError: as `named.check_model`.
    """
    named.check_model(source, _on_cpu(params), chats)


def sampler(params: Any, *words: str, name: str) -> bool:
    """Whether a parameter names a sampler, which must have what it needs, and none of some words.

    Raises:
        UserError: as `named.check_sampler`.
    """
    if is_word(params, name, words):
        return False
    with said_of(name):
        check_sampler(params, getattr(params, name))
    return True


def check_sampler(params: Any, spec: str) -> None:
    """Whether a sampler has what it needs.

    Raises:
        UserError: as `named.check_sampler`.
    """
    named.check_sampler(spec, _on_cpu(params))


def settings_of(source: str) -> dict[str, Any]:
    """What `config.json` says in the folder of a model of any kind; nothing of one on the hub.

    Raises:
        UserError: there is no such folder, nor a model of that name on the hub, or it has no whole settings.
    """
    folder = Path(source).expanduser()
    config, of_encoder = folder / "config.json", folder / "modules.json"
    if not os.path.exists(folder):
        hub.check_known(source)
    elif not config.is_file() and not of_encoder.is_file():
        raise UserError(f"The folder {folder} holds no model: it has no config.json.")
    return read_settings(config) if config.is_file() else {}


def _on_cpu(params: Any) -> bool:
    return named.is_on_cpu(getattr(params, "device", "auto"))


# ------------------------------------------------------------------------------- files
def limit(text: str) -> int | None:
    """How many rows of the files that a text names are read at once: all of small ones."""
    sizes = [path.stat().st_size if path.is_file() else LARGE + 1 for path in paths_in(text)]
    return FIRST if sum(sizes) > LARGE else None


def of_files(
    text: str, kinds: Collection[str], formats: Sequence[str], read: Callable[[str, int | None], T]
) -> T | None:
    """What files and folders hold, as far as it is read at once; None where the hub has a part of it.

    Args:
        text: names them, see `workbench.sources`.
        kinds: that may stand before a name.
        formats: of files that are read.
        read: the loader; it gets the text and how many rows are wanted.

    Raises:
        UserError: as the loader, or a data set of the hub is neither in a cache nor to be had.
    """
    of_hub = [source.name for source in rows.parsed(text, kinds) if rows.is_of_hub(source, formats)]
    for name in of_hub:
        hub.check_data_set(name)
    return None if of_hub else read(text, limit(text))


def of_small(load: Callable[[str], T]) -> Callable[[str, int | None], T | None]:
    """A loader that reads to the end, for `of_files`: of large files it reads nothing."""
    return lambda text, most: load(text) if most is None else None


def texts(params: Any, *words: str, name: str = "data", least: int = 1) -> list[str] | None:
    """The first texts that a parameter names; None where it is one of some words, or on the hub.

    Raises:
        UserError: as `load_corpus`, or there are fewer than `least`.
    """
    if is_word(params, name, words):
        return None
    value = getattr(params, name)
    with said_of(name):
        read = of_files(value, TEXTS, FORMATS, lambda text, most: _texts(text, most, _stamps(text)))
    if read is not None and len(read) < least:
        raise UserError(f"{name}={value} holds too few texts, {len(read)}: give {least} or more.")
    return read


def problems(
    params: Any, *words: str, name: str = "data", least: int = 1, default: str = "train", instead: str = ""
) -> list[FileProblem] | None:
    """The first problems that a parameter names, each once; None where it is a word, or on the hub.

    Args:
        params, words, name: as for `texts`.
        least: problems that must have an answer which can be judged; 0 where nothing is asked.
        default: the split of a folder that names none.
        instead: the end of a message about too few: what else can be done.

    Raises:
        UserError: as `load_problems`, or there are fewer than `least`.
    """
    if is_word(params, name, words):
        return None
    value = getattr(params, name)

    def read(text: str, most: int | None) -> list[FileProblem]:
        return _problems(text, most, default, _stamps(text))

    with said_of(name):
        loaded = of_files(value, tuple(loader.KINDS), (".xml", *rows.FORMATS), read)
    if loaded is None or not least:
        return loaded
    kept = _judged(loaded)
    if len(kept) < least:
        raise UserError(
            f"{name}={value} holds too few different problems whose answer can be judged, {len(kept)}: "
            f"give {least} or more{instead}."
        )
    return kept


@lru_cache(maxsize=8)  # the points of a sweep read the same
def _texts(text: str, most: int | None, stamps: tuple[Any, ...]) -> list[str]:
    return load_corpus(text, limit=most).texts


@lru_cache(maxsize=8)
def _problems(text: str, most: int | None, default: str, stamps: tuple[Any, ...]) -> list[FileProblem]:
    return loader.load_problems(text, most, default)


def _stamps(text: str) -> tuple[Any, ...]:
    """What changes with the files that a text names."""
    return tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths_in(text))


def _judged(loaded: Sequence[FileProblem]) -> list[FileProblem]:
    from workbench.measures.answers.grading import scorable
    from workbench.studies.common.contamination import distinct_problems

    kept, _ = distinct_problems(loaded)
    can_be_judged = scorable([problem.gold for problem in kept])
    return [problem for problem, can in zip(kept, can_be_judged, strict=True) if can]


def apart(learnt: Sequence[FileProblem] | None, asked: Sequence[FileProblem] | None) -> None:
    """Refuses problems to be asked that are learnt as well, as far as both were read.

    Raises:
        UserError: some are.
    """
    from workbench.studies.common.contamination import check_apart

    check_apart(*([problem.question for problem in of or ()] for of in (asked, learnt)))
