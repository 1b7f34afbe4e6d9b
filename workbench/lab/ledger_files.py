"""The ledger as a file for others: CSV, JSON, LaTeX, parquet."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from workbench.files import encoded, plain
from workbench.lab.latex import PACKAGES, latex, number
from workbench.lab.ledger import Line
from workbench.sanitize import sanitize

COLUMNS = (
    "notebook", "name", "says", "effect", "low", "high", "unit", "n", "over", "trainings", "verdict",
    "detectable", "p", "survives", "published", "size", "beyond", "paper", "headline", "key",
)  # fmt: skip
_LONGEST = 2000  # characters of a text
_FORMULA = ("=", "+", "-", "@")  # begin one in a spreadsheet


def record(line: Line) -> dict[str, Any]:
    """A claim as plain values, one for each of `COLUMNS`; what is not known is None."""
    claim = line.claim
    texts = {
        name: sanitize(getattr(claim, name), _LONGEST) for name in ("name", "says", "unit", "over", "paper")
    }
    numbers = ("effect", "low", "high", "n", "trainings", "detectable", "p", "published", "headline")
    values = texts | {name: getattr(claim, name) for name in numbers}
    values |= {"notebook": line.notebook, "key": line.key, "verdict": claim.verdict_text}
    values |= {"size": claim.size or None, "beyond": claim.is_beyond}
    values["survives"] = line.survives if claim.is_tested else None
    return {name: plain(values[name]) for name in COLUMNS}


def as_csv(lines: Sequence[Line]) -> str:
    """A row a claim below the names of the columns; a text that a spreadsheet would compute is quoted."""
    written = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: cell(value) for name, value in record(line).items()})
    return written.getvalue()


def cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith(_FORMULA):
        return f"'{value}"
    return str(value).lower() if isinstance(value, bool) else value


def as_json(lines: Sequence[Line]) -> str:
    """A list with an object for each claim."""
    return json.dumps([record(line) for line in lines], indent=1, ensure_ascii=False) + "\n"


def as_latex(lines: Sequence[Line]) -> str:
    """A table for booktabs and longtable; each study's notebook and run stand above its claims."""
    rows, head = [], ""
    for line in lines:
        if head != (head := f"{line.notebook}, run {line.key}"):
            rows += [r"\midrule", rf"\multicolumn{{9}}{{l}}{{\textbf{{{latex(head)}}}}} \\"]
        rows.append(f"{' & '.join(_cells(line))} \\\\")
    heads = "Claim & The paper & Effect & 95\\,\\% interval & $n$ & Verdict & Detectable & $p$ & Published"
    words = [f">{{\\raggedright}}p{{{width}cm}}" for width in (5.5, 4, 2.2, 2.4, 2.4)]
    begin = rf"\begin{{longtable}}{{{''.join(words[:3])}r{''.join(words[3:])}rrr}}"
    tested = sum(line.claim.is_tested for line in lines)
    note = f"% An asterisk: it does not survive a false discovery rate of 5 % over {tested} claims."
    title = r"\caption{What was claimed, and what was seen}\label{tab:claims}\\"
    top = [title, r"\toprule", rf"{heads} \\", r"\endhead"]
    return "\n".join([f"% {PACKAGES}", note, begin, *top, *rows, r"\bottomrule", r"\end{longtable}", ""])


def _cells(line: Line) -> list[str]:
    claim, known = line.claim, record(line)
    says = latex(known["says"]) if known["says"] else ""
    verdict = latex(known["verdict"])
    if known["survives"] is False:
        verdict += r"$^{\ast}$"  # does not survive the correction
    n = f"{claim.n} {latex(known['over'])}"
    if claim.trainings is not None and claim.over != "trainings":
        n += f", {claim.trainings} training{'' if claim.trainings == 1 else 's'}"
    low, high = number(claim.low), number(claim.high)
    name = latex(known["name"]).replace("-", r"-\allowbreak{}")
    return [
        rf"\texttt{{{name}}}: {says}",
        latex(known["paper"]),
        f"{number(claim.effect)} {latex(known['unit'])}".strip(),
        f"[{low}, {high}]" if math.isfinite(claim.low + claim.high) else "none",
        n,
        verdict,
        number(claim.detectable),
        number(claim.p),
        number(claim.published),
    ]


def _parquet(lines: Sequence[Line]) -> bytes:
    import pandas

    return pandas.DataFrame(map(record, lines), columns=list(COLUMNS)).to_parquet(index=False)


FORMS: dict[str, Callable[[Sequence[Line]], bytes]] = {
    "csv": lambda lines: encoded(as_csv(lines)),
    "json": lambda lines: encoded(as_json(lines)),
    "latex": lambda lines: encoded(as_latex(lines)),
    "parquet": _parquet,
}
