"""Damaged and hostile inputs end as one sentence, soon and in little memory."""

import bz2
import gzip
import json
import lzma
import subprocess
import sys

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from corpora.mutations import ASDIV, BYTES, LOADERS, SECONDS, fuzz
from repository import ROOT

from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.loaders.texts import load_corpus
from workbench.errors import UserError

FEW, MANY, PARTS = 150, 5_000, 5


@pytest.mark.parametrize("loader", LOADERS)
def test_a_mutated_input_is_read_or_refused_in_a_sentence(loader, tmp_path):
    figures = fuzz(loader, 20 if loader == "annotations" else FEW, tmp_path)
    assert (figures["tracebacks"], figures["slow"]) == ([], [])


@pytest.mark.long
@pytest.mark.parametrize("loader", LOADERS)
def test_thousands_of_mutated_inputs_are_read_or_refused(loader, tmp_path):
    total = {"read": 0, "refused": 0, "slowest": 0.0, "megabytes": 0}
    for part in range(PARTS):
        command = [sys.executable, "-m", "corpora.mutations", loader, MANY // PARTS, tmp_path, part]
        done = subprocess.run(list(map(str, command)), cwd=ROOT / "tests", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2_000:]
        figures = json.loads(done.stdout)
        assert (figures["tracebacks"], figures["slow"]) == ([], [])
        for name in total:
            total[name] = (max if name in ("slowest", "megabytes") else sum)((total[name], figures[name]))
    print(f"{loader}: {MANY:,} inputs, 0 tracebacks, 0 over {SECONDS} s, {total}")
    assert total["megabytes"] < BYTES >> 20


def refusal(load, path):
    with pytest.raises(UserError) as error:
        load(str(path))
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_marks_without_end_and_blanks_without_end_take_no_time(tmp_path):
    path = tmp_path / "a.jsonl"
    for answer in (
        "#### x" * 5_000,
        "#### " * 20_000,
        "the answer is " * 5_000,
        "####\n" * 9_000,
        "\\boxed{" * 9_000,
    ):
        path.write_text(json.dumps({"prompt": "2+2?", "completion": answer}))
        assert len(load_problems(str(path))) == 1
    path = tmp_path / "a.xml"
    path.write_text(ASDIV.replace("9 (apples)", "9" + " " * 60_000 + "(" * 60_000))
    assert load_problems(str(path))[0].gold.startswith("9 (")
    laughs = "".join(f"<!ENTITY l{n + 1} '{f'&l{n};' * 10}'>" for n in range(9))
    path.write_text(f"<!DOCTYPE F [<!ENTITY l0 'ha'>{laughs}]><F><Problem><Body>&l9;</Body></Problem></F>")
    assert "is not XML" in refusal(load_problems, path)


def test_a_text_of_separators_and_a_text_without_end_are_given_up(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("<|endoftext|>\n" * 2_000_000)
    assert "only separators" in refusal(load_corpus, path)
    path.write_text("One.<|endoftext|>" + "a" * (9 << 20))
    assert "divide it" in refusal(load_corpus, path)
    path = tmp_path / "a.jsonl"
    path.write_text('"' + "a" * (9 << 20) + '"')
    assert "split it" in refusal(load_corpus, path)


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_what_unpacks_without_end_is_given_up(tmp_path, ending, pack):
    path = tmp_path / f"a.jsonl.{ending}"
    for content in (b'{"text": "' + b"a" * (20 << 20) + b'"}\n', b'"a"\n' * (5 << 20)):
        path.write_bytes(pack(content))
        assert "100 times its size" in refusal(load_corpus, path)


def test_a_table_that_unpacks_without_end_is_given_up(tmp_path):
    path = tmp_path / "a.parquet"
    text = pyarrow.array(["a" * 50_000] * 3_000)
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), path, compression="zstd")
    assert path.stat().st_size < 3_000
    assert "100 times its size" in refusal(load_corpus, path)
    rows = pyarrow.table({"text": pyarrow.array(["a"] * 2_000_000)})
    pyarrow.parquet.write_table(rows, path)
    assert "claims 2,000,000 rows" in refusal(load_corpus, path)
    huge = pyarrow.array(["a" * (50 << 20)])
    pyarrow.parquet.write_table(pyarrow.table({"text": huge}), path, compression="zstd")
    assert "100 times its size" in refusal(load_corpus, path)


def test_compressed_rows_are_read_whatever_packed_them(tmp_path):
    rows = b'"one"\n"two"\n'
    packed = {"gz": gzip.compress(rows), "bz2": bz2.compress(rows), "xz": lzma.compress(rows),
              "zst": pyarrow.compress(rows, "zstd", asbytes=True)}  # fmt: skip
    for ending, content in packed.items():
        path = tmp_path / f"a.jsonl.{ending}"
        path.write_bytes(content)
        assert load_corpus(str(path)).texts == ["one", "two"]
        damaged = bytearray(content)
        damaged[len(damaged) // 2] ^= 0xFF
        path.write_bytes(damaged[: len(damaged) - 3])
        assert "cannot be read" in refusal(load_corpus, path)


def test_tables_with_bytes_for_texts_are_texts_or_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": [b"one", "zw\u00f6lf".encode()]}).to_parquet(path)
    assert load_corpus(str(path)).texts == ["one", "zw\u00f6lf"]
    pd.DataFrame({"text": [b"\xff\xfe"]}).to_parquet(path)
    assert "row 1 has bytes that are no UTF-8" in refusal(load_corpus, path)
    broken = pyarrow.Array.from_buffers(
        pyarrow.string(), 1, [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"\xff\xfe")]
    )
    pyarrow.parquet.write_table(pyarrow.table({"text": broken}), path)
    assert "is not UTF-8" in refusal(load_corpus, path)
