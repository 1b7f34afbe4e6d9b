"""Text and tables in LaTeX: escaped, ruled by booktabs, compiled by pdflatex as well as by lualatex."""

import math
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,longtable,array,graphicx}"
_LONGEST = 60  # characters of a text in a table of data
_SIGNS = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$",
    "–": r"\textendash{}", "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}", "’": r"\textquoteright{}", "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}", "…": r"\dots{}", "•": r"\textbullet{}", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "∞": r"$\infty$", "∈": r"$\in$",
    "√": r"$\surd$", "∑": r"$\sum$", "\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
_LIGATURES = ("--", "''", ",,")  # each would be printed as another sign
_LATIN = {*map(chr, range(0xC0, 0x180))} - {*"×÷ĦħĸĿŀŉŦŧſ"}  # letters with accents that T1 has


def latex(text: str) -> str:
    """A text in one line of LaTeX: what means something there is escaped, what no font has is spelled out."""
    written = "".join(map(_sign, " ".join(text.split())))
    for pair in _LIGATURES * 2:
        written = written.replace(pair, f"{pair[0]}{{}}{pair[1]}")
    return written


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if " " <= sign <= "~" or sign in _LATIN:
        return sign
    kind, _, letter = unicodedata.name(sign, "").lower().rpartition(" ")
    if kind == "greek small letter" and letter != "omicron":
        return f"$\\{'lambda' if letter == 'lamda' else letter}$"
    return f"[U+{ord(sign):04X}]"


def number(value: float | None) -> str:
    """A figure to three places; empty where it is not known."""
    return "" if value is None or not math.isfinite(value) else latex(f"{value:.3g}".replace("-", "−"))


def cell(value: Any) -> str:
    """A value of a table of data."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) or hasattr(value, "dtype"):
        whole = float(value).is_integer() and abs(value) < 10**12
        return latex(f"{int(value):,}".replace("-", "−")) if whole else number(float(value))
    text = "" if value is None else str(value)
    return latex(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def table(frame: "pd.DataFrame", heads: Sequence[str], caption: str, label: str) -> str:
    """A floating table, not wider than the page.

    Args:
        frame: The rows.
        heads: Of its columns, with their units.
        caption: As plain text.
        label: By which `\\ref` names it.
    """
    values = [frame[name].astype(object).tolist() for name in frame]
    columns = "".join("r" if all(map(_is_number, column)) else "l" for column in values)
    rows = [" & ".join(map(cell, row)) for row in zip(*values, strict=True)]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{latex(caption)}}}",
        rf"\label{{{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        rf"{' & '.join(map(latex, heads))} \\",
        r"\midrule",
        *(rf"{{}}{row} \\" for row in rows),  # the braces: a row may begin with a bracket, or a star
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])
