"""What the files of a run folder must look like before anything is made of them, whoever wrote them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from workbench.errors import UserError
from workbench.files import read_json

_LARGEST_NOTEBOOK = 2**28  # bytes
_LARGEST = 4 * 2**20  # bytes of run.json and claims.json
_DEEPEST = 40  # brackets within brackets


def is_name(text: str) -> bool:
    """Whether a notebook or a key can be called so: one plain file name, whatever the system."""
    plain = text.isprintable() and not set(text) & set('/\\:*?"<>|')
    return plain and 0 < len(text.encode()) <= 150 and text == text.strip(" .")


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("it cannot be the name of a file")
    return text


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    if not 1970 < moment.year < 9999:
        raise ValueError("it is no time of our days")
    return moment.isoformat(timespec="milliseconds")


Name = Annotated[str, AfterValidator(_name)]
Moment = Annotated[str, AfterValidator(_moment)]
Text = Annotated[str, BeforeValidator(lambda text: "" if text is None else text)]
_CONFIG = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Parts(BaseModel):
    """What the key was made of."""

    model_config = _CONFIG
    notebook: Text = ""
    code: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    inputs: dict[str, Name] = {}
    revisions: dict[str, str] = {}


class Record(BaseModel):
    """run.json; what an older workbench did not write yet may be absent."""

    model_config = _CONFIG
    notebook: Name
    key: Name
    title: Text = ""
    status: Literal["running", "done", "failed", "unknown"] = "unknown"
    params: dict[str, Any] = {}
    set: list[str] = []
    effective: dict[str, Any] = {}  # what parameters became that were left open
    seed: int | None = None
    inputs: dict[Name, Name] = {}
    revisions: dict[str, str] = {}  # of hub ids, as the run found them
    parts: Parts = Parts()
    drawn: str | None = None
    environment: dict[str, Any] = {}
    started: Moment | None = None
    finished: Moment | None = None
    seconds: Annotated[float, Field(ge=0, le=1e10)] | None = None
    error: str | None = None


class Gate(BaseModel):
    """A gate of a claim; a side without a bound is None."""

    model_config = _CONFIG
    name: Text = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Entry(BaseModel):
    """A claim in claims.json; of an older workbench nobody knows what its n counts."""

    model_config = _CONFIG
    name: Text = ""
    says: Text = ""
    paper: Text = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: Annotated[int, Field(ge=0, le=2**63)] | None = None
    over: Annotated[Text, AfterValidator(lambda text: text.strip() or "items")] = "items"
    unit: Text = ""
    view: str | None = None
    trainings: Annotated[int, Field(ge=0, le=2**63)] | None = None
    gates: list[Gate] = []
    delta: Annotated[float, Field(gt=0)] | None = None
    delta_reason: Text = ""
    published: float | None = None
    headline: bool = False


class Output(BaseModel):
    """What a cell showed."""

    model_config = _CONFIG
    output_type: str
    name: str = ""
    text: str | list[str] = ""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = []


class CellMetadata(BaseModel):
    """What a notebook says of a cell."""

    model_config = _CONFIG
    tags: list[str] = []


class Cell(BaseModel):
    """A cell of a notebook."""

    model_config = _CONFIG
    cell_type: str
    source: str | list[str] = ""
    metadata: CellMetadata = CellMetadata()
    outputs: list[Output] = []


class Study(BaseModel):
    """What a notebook says of itself, under "workbench" in its metadata."""

    model_config = _CONFIG
    needs: list[str] = []  # see `project.needed`
    title: Text = ""
    minutes: float | None = None


class Metadata(BaseModel):
    """What a notebook says of all its cells."""

    model_config = _CONFIG
    workbench: Study = Study()


class Notebook(BaseModel):
    """A notebook, as far as it is run and shown."""

    model_config = _CONFIG
    cells: list[Cell]
    metadata: Metadata = Metadata()


_CLAIMS = TypeAdapter(list[Entry])


def read_record(folder: Path) -> tuple[int, Callable[[], dict[str, Any]]]:
    """Read run.json.

    Returns:
        Its schema, and what checks the rest, which may look otherwise in a newer one.

    Raises:
        UserError: It cannot be read, or is not the record of a run.
    """
    path = folder / "run.json"
    content = _read(path)
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise UserError(f"{path} is not the record of a run (it has no schema).")
    content.setdefault("key", folder.name)
    content["set"] = [name for name in _list(content.get("set")) if name in _dict(content.get("params"))]
    return schema, lambda: _checked(Record.model_validate, content, path, "the record of a run").model_dump()


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Read claims.json, in the order in which the claims were made.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    path = folder / "claims.json"
    return [
        entry.model_dump()
        for entry in _checked(_CLAIMS.validate_python, _read(path), path, "a list of claims")
    ]


def read_cells(path: Path, follow: bool) -> dict[str, Any]:
    """Read a notebook.

    Args:
        follow: Whether it may be a link to another file.

    Raises:
        UserError: It cannot be read, or is not a notebook.
    """
    content = read_json(path, _LARGEST_NOTEBOOK, follow)
    checked = _checked(Notebook.model_validate, content, path, "a Jupyter notebook (nbformat 4)")
    return checked.model_dump(exclude_unset=True)


def _read(path: Path) -> Any:
    content = read_json(path, _LARGEST, follow=False)
    level = [content]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return content
    raise UserError(f"{path} is nested too deeply.")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _checked(check: Any, content: Any, path: Path, what: str) -> Any:
    try:
        return check(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:60]
        raise UserError(f"{path} is not {what} ({f'{where}: ' if where else ''}{first['msg']}).") from None


def _list(value: Any) -> list[Any]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
