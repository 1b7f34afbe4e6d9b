"""Small valid inputs of every loader, and what damage, chance and malice make of them."""

import gzip
import io
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora import facts
from workbench.corpora.loaders import rows
from workbench.corpora.loaders.generations import load_generations, usable_answers
from workbench.corpora.loaders.opinions import load_opinions
from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.corpora.loaders.solutions import load_rationales
from workbench.corpora.loaders.texts import load_corpus
from workbench.errors import UserError
from workbench.lab import params
from workbench.studies.hivemind.evaluators import annotations, calibrations
from workbench.studies.hivemind.prompts import read_prompts

SECONDS, BYTES = 5, 1 << 30  # that one input may take

TOKENS = [
    "\\ud800",
    "\0",
    "####",
    "The answer is ",
    "<|endoftext|>",
    "\\boxed{",
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    ":",
    "\n",
    "null",
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5_000,
    "0" * 400,
    "[" * 3_000,
    '{"a":' * 2_000,
    " " * 20_000,
    "\t" * 3_000,
    "(" * 5_000,
    "<<" * 3_000,
    "#### x" * 2_000,
    "\ufeff",
    "\ud7ff",
    "é",
    "व",
    "。",
    "&lt;",
    "&#0;",
    "<!ENTITY a 'b'>",
    "]]>",
    "true",
    "-1",
    "0.5",
    "2.0",
    '{"$": []}',
    "[[]]",
    "defaultdict(<class 'list'>, {",
    "|",
    "polis",
    "'",
    "\x1b[2J",
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\ud800",
    "x" * 5_000,
    [],
    [[]],
    [None],
    {},
    {"a": {"b": []}},
    ["a"],
    [1, 2],
    "[1]",
    "0",
    "high",
    "stop",
    {"dist": [1]},
    "The answer is",
    "####",
    "\\boxed{",
]

GSM8K = {"question": "Ada has 3 pens and buys 2. How many now?", "answer": "3+2=<<3+2=5>>5\n#### 5"}
SVAMP = {
    "ID": "c",
    "Body": "Ben had 8 figs",
    "Question": "How many?",
    "Equation": "( 8.0 - 3.0 )",
    "Answer": 5.0,
}
MATH = {"problem": "Halve 5.", "solution": "$\\boxed{\\frac{5}{2}}$.", "level": "Level 1", "type": "Algebra"}
AQUA = {"question": "2 + 3?", "options": ["A)4", "B)5"], "rationale": "5, so B", "correct": "B"}
ALPACA = {"instruction": "Add.", "input": "3 and 4", "output": "3 + 4 = 7. The answer is 7."}
MULTIARITH = {"iIndex": 0, "lEquations": ["X=(32.0+42.0)"], "lSolutions": [74.0], "sQuestion": "How many?"}
OWN = {
    "id": "a",
    "prompt": "Soup?",
    "options": ["yes", "no"],
    "dist": [0.25, 0.75],
    "ordinal": [1, 2],
    "groups": {"old": {"n": 4, "counts": [1, 3]}},
}
POLIS = {"id": 1, "conversation": "c", "statement": "S.", "options": ["agree", "pass"], "counts": [3, 1]}
MORAL = {
    "scenario_id": "L",
    "ambiguity": "low",
    "context": "A purse.",
    "action1": "I return it.",
    "action2": "I keep it.",
}
GOQA = {
    "question": "Soup?",
    "selections": "defaultdict(<class 'list'>, {'A': [0.5, 0.5]})",
    "options": "['Y', 'N']",
    "source": "X",
}
ANSWER = {
    "prompt": "Name a fruit.",
    "model": "a",
    "text": "Apple",
    "sample": 0,
    "finish": "stop",
    "category": "x",
}
NOVELTY = {"id": "c", "prompt": "Say.", "model": "m", "generations": ["x", "y"]}
MCTB = [{"config": {"object_prompt": "brick"}, "m": {"{}": [["Doorstop", "Bookend"], ["Weight"]]}}]
ASDIV = """<?xml version="1.0"?><F><ProblemSet><Problem ID="n1"><Body>Seven &amp; two.</Body>
<Question>How many?</Question><Answer>9 (apples)</Answer><Formula>7+2=9</Formula></Problem></ProblemSet>
</F>"""
RATINGS = [
    {
        "item": f"i{n % 4}",
        "annotator": f"p{n}",
        "rating": n % 5 + 1,
        "prompt": f"q{n % 2}",
        "judge": float(n % 4),
    }
    for n in range(16)
]
SOLVED = [
    {"instruction": GSM8K["question"], "output": "3 + 2 = 5. The answer is 5."},
    {
        "passage": "Ada has 3 pens and buys 2.",
        "question": "How many now?",
        "generated": ["ans = 5"],
        "executed": 5,
    },
    {"question": GSM8K["question"], "strategy": "l2m", "rationale": "The answer is 5."},
]
FACTS = [{"entity": f"E{n}", "attribute": "pet", "value": "cat" if n % 2 else "dog"} for n in range(24)]
CELL = """seed: int = 0  # of everything
share: PositiveFloat = 0.5  # of it
name: str = "x"  # a name
kind: Literal["a", "b"] = "a"  # of it
sizes: list[int] = [1]  # some
flag: bool | None = None  # on"""


def lines(rows_: list[Any]) -> bytes:
    return "\n".join(map(json.dumps, rows_)).encode()


def table(rows_: list[Any], kind: str) -> bytes:
    if kind == "csv":
        return pd.DataFrame(rows_).to_csv(index=False).encode()
    buffer = io.BytesIO()
    pd.DataFrame(rows_).to_parquet(buffer)
    return buffer.getvalue()


def _solved(path: str) -> Any:
    problem = FileProblem("1", GSM8K["question"], "", "5")
    return load_rationales([f"rationales:{path}"], [problem])


def _parameters(path: str) -> Any:
    model = params.model_of(CELL, "01_test")
    texts = Path(path).read_bytes().decode("utf-8", "surrogateescape").splitlines()
    given = params.pairs(texts)
    return params.relative(params.check(model, params.from_strings(model, given, "01_test"), "01_test"))


def _every_row(path: str) -> Any:
    return list(rows.of_source(path, formats=rows.TABLES))


LOADERS: dict[str, tuple[Callable[[str], Any], list[tuple[str, bytes]]]] = {
    "texts": (
        load_corpus,
        [
            ("a.txt", b"One.\n<|endoftext|>\nTwo. \xc3\xa9<|endoftext|>Three"),
            ("a.jsonl", lines([{"text": "One."}, {"story": "Two."}, "Three."])),
        ],
    ),
    "problems": (
        load_problems,
        [("a.jsonl", lines(2 * [row])) for row in (GSM8K, SVAMP, MATH, AQUA, ALPACA, MULTIARITH)],
    ),
    "solutions": (_solved, [("a.jsonl", lines(SOLVED)), ("a_BSM.json", json.dumps(SOLVED[:1]).encode())]),
    "generations": (
        lambda path: usable_answers(load_generations(path)),
        [
            ("a.jsonl", lines([ANSWER, {**ANSWER, "model": "b"}])),
            ("n.jsonl", lines([NOVELTY])),
            ("m.json", json.dumps(MCTB).encode()),
            ("a.csv", table([ANSWER], "csv")),
        ],
    ),
    "opinions": (
        load_opinions,
        [("a.jsonl", lines([row, {**row, "id": "z"}])) for row in (OWN, POLIS, MORAL, GOQA)]
        + [("m.csv", table([MORAL], "csv"))],
    ),
    "rows": (
        _every_row,
        [
            ("a.csv", table(2 * [ANSWER], "csv")),
            ("a.json", json.dumps([GSM8K]).encode()),
            ("a.parquet", table(2 * [ANSWER], "parquet")),
            ("a.jsonl.gz", gzip.compress(lines([GSM8K]))),
        ],
    ),
    "xml": (load_problems, [("a.xml", ASDIV.encode())]),
    "annotations": (
        lambda path: calibrations(annotations(path, 0), 0),
        [("a.jsonl", lines(RATINGS)), ("a.csv", table(RATINGS, "csv"))],
    ),
    "prompts": (
        read_prompts,
        [
            ("a.txt", b"Name a fruit.\nSay a word.\n"),
            ("a.jsonl", lines([{"id": 0, "prompt": "Fruit?", "context": "C."}])),
        ],
    ),
    "facts": (facts.load, [("a.jsonl", lines(FACTS)), ("a.csv", table(FACTS, "csv"))]),
    "parameters": (
        _parameters,
        [
            ("a.txt", b"seed=3\nshare=0.25\nname=gsm8k:a,b\nkind=b\nsizes=[1, 2]\nflag=true"),
            ("b.txt", b"name=rationales:A,B"),
            ("c.txt", b"sizes=[1]"),
            ("d.txt", b"seed=1"),
        ],
    ),
}


def mutated(data: bytes, name: str, rng: random.Random) -> bytes:
    """The input with one to four changes: of bytes, of tokens, or of values in its rows."""
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        data = rng.choice([_flip, _cut, _double, _insert, _insert, _values, _values])(data, name, rng)
    return data


def _flip(data: bytes, name: str, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(data: bytes, name: str, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice([data[:begin], data[begin:], data[:begin] + data[end:]])


def _double(data: bytes, name: str, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[begin:end] * rng.choice([1, 2, 50]) + data[end:]


def _insert(data: bytes, name: str, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS).encode("utf-8", "surrogatepass") + data[at:]


def _values(data: bytes, name: str, rng: random.Random) -> bytes:
    """A field of a row becomes something else, goes, or comes twice under another name."""
    try:
        entries = [json.loads(line) for line in data.decode().splitlines() if line]
        listed = entries[0] if len(entries) == 1 and isinstance(entries[0], list) else entries
        row = rng.choice(listed)
        field = rng.choice(list(row))
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return _flip(data, name, rng)
    change = rng.randrange(4)
    if not isinstance(row, dict):
        return _flip(data, name, rng)
    if change == 0:
        row.pop(field)
    elif change == 1:
        row[rng.choice([field.upper(), "context", "input", "text", "id", "options"])] = rng.choice(VALUES)
    else:
        row[field] = rng.choice([*VALUES, [rng.choice(VALUES)], {"a": rng.choice(VALUES)}])
    return "\n".join(map(json.dumps, entries)).encode()


def fuzz(loader: str, n: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Mutates inputs of a loader `n` times. Returns how often what came out, the slowest, and the memory."""
    read, examples = LOADERS[loader]
    figures: dict[str, Any] = {"read": 0, "refused": 0, "tracebacks": [], "slow": [], "slowest": 0.0}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGPROF, _late)
    for number in range(n):
        rng = random.Random(f"{loader}/{seed}/{number}")
        name, data = rng.choice(examples)
        path = folder / name
        path.write_bytes(mutated(data, name, rng))
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS + 1)  # of the processor: others may use it too
        try:
            with redirect_stdout(io.StringIO()):
                read(str(path))
            figures["read"] += 1
        except UserError as error:
            figures["refused"] += 1
            if len(str(error)) > 2_000 and loader != "parameters":
                figures["tracebacks"].append((number, "a long sentence", str(error)[:200]))
        except BaseException as error:
            figures["tracebacks"].append((number, type(error).__name__, str(error)[:200]))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - start
        figures["slowest"] = max(figures["slowest"], round(seconds, 2))
        if seconds > SECONDS:
            figures["slow"].append(number)
        path.unlink()
    figures["megabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return figures


def _late(*_: Any) -> None:
    raise TimeoutError


if __name__ == "__main__":
    print(json.dumps(fuzz(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))))
