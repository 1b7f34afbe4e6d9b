"""A run: a folder that can be copied, moved and read without us, and the object a notebook writes it with."""

import ast
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import files
from workbench.errors import UserError
from workbench.lab import digests, tracking
from workbench.lab.defaults import note_defaults
from workbench.lab.outlook import announcement, unfinished
from workbench.lab.project import Notebook, Plan, find_notebook, find_root, needed, plan
from workbench.lab.record import is_done, mark, prepare, read_run, wait_for
from workbench.lab.session import Session, check_modules, running_notebook
from workbench.sanitize import redact, sanitize

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic import BaseModel

    from workbench.claims import Claim

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def start(notebook: str, namespace: dict[str, Any]) -> "Run":
    """Open this notebook's run: the same parameters, code and inputs give the same folder.

    Under `workbench run` that is the folder the runner made; in JupyterLab and plain papermill it is worked
    out here, and waited for if another process is writing in it. What then runs must be what the notebook's
    file held: an edited cell that was not saved writes nothing.

    Args:
        notebook: Its name, such as "01_stories".
        namespace: The notebook's `globals()`, which hold the parameters.

    Raises:
        UserError: A parameter is unknown, invalid or refused by the study, or the folder cannot be used.
    """
    from workbench.lab.params import check, check_names
    from workbench.lab.study_check import check_values

    tracker = tracking.wanted()
    headless = os.environ.get("WORKBENCH_RUN")
    if headless:
        study = find_notebook(find_root(), read_run(Path(headless))["notebook"])
    else:
        study = running_notebook(find_root(), notebook, namespace)
    if str(study.root) not in sys.path:
        sys.path.insert(0, str(study.root))  # where the project's own studies/ is
    model = study.model
    check_names(_injected(namespace), model.model_fields, notebook)
    missing = [name for name in model.model_fields if name not in namespace]
    if missing:
        raise UserError(f"{notebook}: run the parameters cell first ({', '.join(missing)} not set).")
    for value in list(namespace.values()):
        if isinstance(value, Run):  # the cell is run again in the same kernel
            value.close(for_good=True)
    values = {name: namespace[name] for name in model.model_fields}
    if headless:
        folder, params = Path(headless), check(model, values, notebook)
    else:
        check_values(study, values)
        check_modules(study)
        planned = plan(study, values)
        folder, params = planned.folder, planned.params
    is_new = not (folder / "run.json").exists()
    lock = digests.lock(folder, "writer")
    wait_for(lock, folder)
    try:
        record = read_run(folder) if headless else prepare(planned, folder)
        followed = tracking.Followed(folder, tracker if record["finished"] is None else None)
        if not headless:
            print(announcement(planned, record, is_new=is_new))
    except BaseException:
        lock.release()  # the traceback, which the kernel keeps, would hold it
        raise
    if headless:
        _plain_progress()
    run = Run(folder, record, params)
    run._lock, run._study = lock, study
    run._session = None if headless else Session(study, namespace, values)
    os.environ["WORKBENCH_ANSWERS"] = str(folder / "answers.jsonl")  # for the engine, which knows no runs
    run._followed = followed
    return run


class Run:
    """One run of one notebook.

    Attributes:
        key: Also the name of its folder.
        folder: Where everything about it is kept.
        params: Validated parameters, by attribute.
        seed: The parameter of that name; 0 where the notebook declares none.
    """

    def __init__(self, folder: Path, record: dict[str, Any], params: "BaseModel") -> None:
        self.folder, self.params = folder, params
        self.notebook: str = record["notebook"]
        self.key: str = record["key"]
        self.seed = int(getattr(params, "seed", 0))
        self._inputs: dict[str, str] = record["inputs"]
        self._was_finished = record["finished"] is not None
        self._lock: Any = None
        self._study: Notebook | None = None
        self._session: Session | None = None
        self._followed = tracking.Followed(folder, None)

    def __repr__(self) -> str:
        return f"Run {self.notebook}/{self.key}"

    def input(self, notebook: str) -> "Run":
        """The finished run of a notebook that this one needs; computed first, behind a bar, if absent.

        Raises:
            UserError: The notebook's metadata does not name it, or its run fails.
        """
        self._check_parameters()
        if notebook not in self._inputs:
            raise UserError(
                f'{self.notebook} reads {notebook}: add it to "needs" in the notebook\'s metadata.'
            )
        plans = needed(self._study or find_notebook(find_root(), self.notebook), self.params)
        upstream = next(planned for planned in plans if planned.notebook.name == notebook)
        folder = self.folder.parent.parent / notebook / self._inputs[notebook]
        if not is_done(folder):
            for planned in [*unfinished(upstream), upstream]:
                _compute(planned)
        files.check_no_links(folder)
        return Run(folder, read_run(folder), upstream.params)

    def table(self, name: str, make: "Callable[[], DataFrame] | None" = None) -> "DataFrame":
        """The table tables/<name>.parquet; made and kept when it is absent.

        Raises:
            UserError: It is absent and `make` is not given.
        """
        path = self._path("tables", name, ".parquet")
        self._check_parameters()
        if make is not None:
            self._check_code()
            return files.cached_table(path, make)
        if not path.exists():
            raise UserError(f"{self!r} has no table {name}: run {self.notebook} again.")
        return files.read_table(path)

    def rows(
        self, name: str, items: Sequence[Any], work: "Callable[[list[Any]], DataFrame]", piece: int = 64
    ) -> "DataFrame":
        """Work through items piece by piece; each is kept as it ends, so a killed run continues after it.

        Args:
            name: The table's name: tables/<name>.parquet at the end, tables/<name>/00000.parquet … before.
            items: What to work on; the same items in the same order when the run is continued.
            work: A piece of the items to its rows. Seed it by item: which pieces ran before must not matter.
            piece: Items a piece, the most that a kill can lose.
        """
        self._check_code()
        path = self._path("tables", name, ".parquet")
        pieces = path.with_suffix("")
        table = files.cached_table(path, lambda: _in_pieces(pieces, items, work, piece))
        shutil.rmtree(pieces, ignore_errors=True)
        return table

    def artifact(self, name: str) -> Path:
        """The path artifacts/<name>, for whoever writes or reads it there."""
        path = self._path("artifacts", name)
        self._check_parameters()
        if not path.exists():
            self._check_code()
        return path

    def log(self, **metrics: Any) -> None:
        """Append a line to metrics.jsonl (NaN becomes null); a run that was finished before keeps its record.

        After a kill the steps since the last checkpoint are logged again: the last line of a step counts.
        """
        self._check_code()
        if not self._was_finished:
            values = digests.map_texts(files.plain({"time": time.time(), **metrics}), redact)
            line = json.dumps(values, ensure_ascii=False)
            files.append_line(self.folder / "metrics.jsonl", line)
            self._followed.catch_up()

    def claim(self, claim: "Claim") -> "Claim":
        """Enter a claim in the ledger; one of the same name is replaced. A finished run keeps its claims."""
        from workbench.lab.ledger import write_claim

        self._check_code()
        if not self._was_finished:
            write_claim(self.folder, claim)
        return claim

    def finish(self) -> None:
        """Mark the run done, let others in, show its claims and write its report.

        Under `workbench run` nothing is shown: the runner does all that itself. Where no front end draws,
        the claims are printed, and no report is written.
        """
        self._followed.close()
        note_defaults(self.folder, self._study, self.params)
        if os.environ.get("WORKBENCH_RUN"):
            return
        from workbench.lab.ledger import read_claims

        self._check_code()
        mark(self.folder, "done")
        self._was_finished = True
        self.close()
        if self._session is None or self._session.file is None:
            print(*(sanitize(claim) for claim in read_claims(self.folder)), sep="\n")
        else:
            from workbench.lab.report import in_jupyter

            in_jupyter.show(self.folder, self.params, self._session.file)

    def close(self, *, for_good: bool = False) -> None:
        """Let another process write in this run's folder.

        Args:
            for_good: Another run takes this one's place.
        """
        if self._lock is not None:
            os.environ.pop("WORKBENCH_ANSWERS", None)
            self._lock.release()
        self._followed.close()
        if for_good and self._session is not None:
            self._session.end()

    def _check_parameters(self) -> None:
        if self._session is not None:
            self._session.check_parameters()

    def _check_code(self) -> None:
        if self._session is not None:
            self._session.check()

    def _path(self, kind: str, name: str, suffix: str = "") -> Path:
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} cannot name a file: use letters, digits, dot, dash and underscore.")
        return self.folder / kind / (name + suffix)


def _compute(upstream: Plan) -> None:
    from workbench.lab import inner

    inner.run(upstream)
    if not is_done(upstream.folder):
        raise UserError(f"{upstream.notebook.name}, which this notebook needs, did not finish: see above.")


def _injected(namespace: dict[str, Any]) -> list[str]:
    """Names that plain papermill set, from the cell it put into the notebook."""
    names = []
    for source in namespace.get("In", []):
        if source.startswith("# Parameters\n"):
            with suppress(SyntaxError):
                assigned = [line for line in ast.parse(source).body if isinstance(line, ast.Assign)]
                names += [t.id for line in assigned for t in line.targets if isinstance(t, ast.Name)]
    return names


def _plain_progress() -> None:
    # Under the runner a progress bar is text, which the terminal can show; a widget would be seen by nobody.
    import tqdm.std

    sys.modules["tqdm.autonotebook"] = tqdm.std


def _in_pieces(
    pieces: Path, items: Sequence[Any], work: "Callable[[list[Any]], DataFrame]", piece: int
) -> "DataFrame":
    """The rows of all items; each piece is kept, unless it was cut another way: then all start over."""
    import pandas
    from tqdm.auto import tqdm

    note, cut = pieces / "pieces.json", {"items": len(items), "piece": piece}
    if not note.exists() or files.read_json(note) != cut:
        shutil.rmtree(pieces, ignore_errors=True)
        files.write_json(note, cut)
    tables = []
    with tqdm(total=len(items), desc=pieces.name, unit=" items") as progress:
        for number, first in enumerate(range(0, max(len(items), 1), piece)):
            batch = list(items[first : first + piece])
            tables.append(files.cached_table(pieces / f"{number:05d}.parquet", partial(work, batch)))
            progress.update(len(batch))
    return pandas.concat(tables, ignore_index=True)
