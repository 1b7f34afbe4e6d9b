"""A run as CSV, JSON, LaTeX, parquet and BibTeX: whole, titled, with units, and read back."""

import json
import re
import shutil
import subprocess

import pandas
import pyarrow.parquet
import pytest
import yaml
from example_run import HOSTILE, RUN, write_example_run
from repository import ROOT

from workbench.lab import citation, exports, latex

KEY = "secret-key-of-mine-1234"
ANSWERS = {
    "item": [0, 1, 2],
    "right": [True, False, True],
    "loss": [1.5, float("nan"), 0.25],
    "bits": [1.0, 2.0, 3.0],
    "reply": ["=1+1", f"it is {KEY}", "\u202ecaf\u00e9 & 5 % of $x_1^2$ \\ {a} ~ \U0001f600 \u6f22"],
    "path": [["a", "b"], [], ["c"]],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run with hostile claims, metrics of two trainings and a table."""
    monkeypatch.setenv("SOME_API_KEY", KEY)
    folder = write_example_run(tmp_path / "runs", workbench="0.1.0", finished="2026-11-20T21:31:00+00:00")
    lines = [
        {"time": 1.0, "model": model, "step": step, "loss": 4.0 / step, "tokens_per_second": None}
        for model in ("a", "b")
        for step in (1, 2)
    ] + [{"model": "half \ud800 a pair", "loss": 1}]
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "metrics.jsonl").write_text(text + '\n{"torn')
    (folder / "tables").mkdir()
    pandas.DataFrame(ANSWERS).to_parquet(folder / "tables/some_answers.parquet")
    return folder


def test_csv_is_tidy_and_its_package_says_what_every_file_holds(run, tmp_path):
    package = json.loads(exports.write(run, "csv", tmp_path / "csv").read_text())
    assert package["title"].endswith("(02_tiny_models, run 3fa9c1d2b7e0)")
    assert package["params"]["profile"] == "laptop"
    named = {entry["path"]: entry for entry in package["resources"]}
    assert named.keys() == {
        path.relative_to(tmp_path / "csv").as_posix() for path in (tmp_path / "csv").rglob("*.csv")
    }
    for path, entry in named.items():
        columns = list(pandas.read_csv(tmp_path / "csv" / path))
        assert columns == [field["name"] for field in entry["schema"]["fields"]]
    fields = {field["name"]: field for field in named["tables/some_answers.csv"]["schema"]["fields"]}
    assert fields["loss"] == {"name": "loss", "type": "number", "unit": "nats per token"}
    assert fields["bits"]["unit"] == "bits"
    assert (fields["item"]["type"], fields["right"]["type"]) == ("integer", "boolean")
    assert "Some answers, of Tiny models" in named["tables/some_answers.csv"]["title"]
    frame = pandas.read_csv(tmp_path / "csv/tables/some_answers.csv")
    assert list(frame["reply"])[:2] == ["'=1+1", "it is ***"]
    assert "\u202e" not in frame["reply"][2]
    assert list(frame["path"]) == ['["a", "b"]', "[]", '["c"]']
    assert len(pandas.read_csv(tmp_path / "csv/metrics.csv")) == 5
    assert list(pandas.read_csv(tmp_path / "csv/claims.csv")["name"])[:2] == [
        "grammar-first",
        "depth-context",
    ]


def test_json_is_one_file_with_everything(run, tmp_path):
    read = json.loads(exports.write(run, "json", tmp_path / "run.json").read_text())
    assert (read["notebook"], read["key"], read["seed"]) == ("02_tiny_models", "3fa9c1d2b7e0", 0)
    assert read["tables"].keys() == {"parameters", "claims", "metrics", "tables/some_answers"}
    answers = read["tables"]["tables/some_answers"]
    assert [row["loss"] for row in answers["rows"]] == [1.5, None, 0.25]
    assert {field["name"]: field.get("unit") for field in answers["fields"]}["loss"] == "nats per token"
    headline = next(row for row in read["tables"]["claims"]["rows"] if row["headline"])
    assert (headline["effect"], headline["low"], headline["high"], headline["unit"]) == (
        31.2,
        22.4,
        40.3,
        "points",
    )


def test_parquet_keeps_types_titles_and_units(run, tmp_path):
    exports.write(run, "parquet", tmp_path / "parquet")
    table = pyarrow.parquet.read_table(tmp_path / "parquet/tables/some_answers.parquet")
    assert table.schema.metadata[b"title"].startswith(b"Some answers, of Tiny models")
    assert table.schema.field("loss").metadata == {b"unit": b"nats per token"}
    frame = table.to_pandas()
    assert frame["right"].tolist() == ANSWERS["right"]
    assert frame["reply"].tolist() == ["=1+1", "it is ***", ANSWERS["reply"][2]]
    assert len(pandas.read_parquet(tmp_path / "parquet/claims.parquet")) == 4


# ------------------------------------------------------------------------------- LaTeX
def test_latex_holds_a_table_for_each_and_a_document_that_inputs_them(run, tmp_path):
    document = exports.write(run, "latex", tmp_path / "latex")
    inputs = re.findall(r"\\input\{([^}]+)\}", document.read_text())
    assert inputs == ["parameters", "claims", "metrics", "some-answers"]
    table = (tmp_path / "latex/some-answers.tex").read_text()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption", r"\label{tab:some-answers}"):
        assert rule in table
    assert "loss (nats per token)" in table
    assert KEY not in table
    metrics = (tmp_path / "latex/metrics.tex").read_text()
    assert "last logged & a & b & half" in metrics
    assert r"loss (nats per token) & 2 & 2 & 1 \\" in metrics
    assert "seconds since" not in metrics


def test_a_table_named_like_another_part_takes_no_place(run, tmp_path):
    for name in ("metrics", "claims"):
        pandas.DataFrame({"own": ["mine"]}).to_parquet(run / f"tables/{name}.parquet")
    document = exports.write(run, "latex", tmp_path / "latex")
    inputs = re.findall(r"\\input\{([^}]+)\}", document.read_text())
    assert inputs == ["parameters", "claims", "metrics", "tables-claims", "tables-metrics", "some-answers"]
    assert "last logged" in (tmp_path / "latex/metrics.tex").read_text()
    assert "mine" in (tmp_path / "latex/tables-metrics.tex").read_text()


@pytest.mark.parametrize("form", exports.FORMS)
def test_no_export_holds_a_key_that_a_parameter_holds(run, tmp_path, form):
    described = json.loads((run / "run.json").read_text())
    described["params"]["generator"] = f"openai:http://me:pass@host/v1?{KEY}#model"
    (run / "run.json").write_text(json.dumps(described))
    exports.write(run, form, tmp_path / ("out.json" if form == "json" else "out"))
    written = [path.read_bytes() for path in tmp_path.glob("out*/**/*") if path.is_file()]
    written += [path.read_bytes() for path in tmp_path.glob("out.json")]
    assert any(b"generator" in content for content in written)
    assert not any(KEY.encode() in content or b"pass@" in content for content in written)


def test_a_long_table_says_what_is_left_out(run, tmp_path):
    pandas.DataFrame({"item": range(41)}).to_parquet(run / "tables/long.parquet")
    exports.write(run, "latex", tmp_path / "latex")
    table = (tmp_path / "latex/long.tex").read_text()
    assert "the first 40 of 41 rows" in table
    assert "{}39 \\\\" in table
    assert "{}40 \\\\" not in table


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5 % & #1_a^b~{$}", r"5 \% \& \#1\_a\textasciicircum{}b\textasciitilde{}\{\$\}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("a\n\n b", "a b"),
        ("caf\u00e9 \u03c1 \u2212 1 \u2026", "caf\u00e9 $\\rho$ $-$ 1 \\dots{}"),
        ("--- '' \U0001f600", "-{}-{}- '{}' [U+1F600]"),
    ],
)
def test_signs_of_latex_are_escaped_and_others_spelled_out(text, written):
    assert latex.latex(text) == written


@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="needs pdflatex with booktabs (texlive-latex-recommended)"
)
def test_hostile_words_compile(run, tmp_path):
    words = [
        *(word.encode("utf-8", "replace").decode() for word in HOSTILE),
        *ANSWERS["reply"],
        "[1] begins",
        "*",
        "\\\\",
        "?` !` << >> ,,",
        "\u03bb \u1e9e \u0167 \u00df",
    ]
    frame = pandas.DataFrame({"a": words, "b & c": range(len(words))})
    frame.to_parquet(run / "tables/hostile.parquet")
    document = exports.write(run, "latex", tmp_path / "latex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name]
    done = subprocess.run(command, cwd=document.parent, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert document.with_suffix(".pdf").exists()


# ------------------------------------------------------------------------------- BibTeX
def entries(text):
    """The entries of BibTeX by their names: kind and fields."""
    read = {}
    for kind, name, body in re.findall(r"^@(\w+)\{([^,]+),\n(.*?)^\}", text, re.M | re.S):
        read[name] = {"kind": kind, **dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.M))}
    return read


def test_a_run_cites_the_workbench_itself_and_its_papers(run):
    notebook = json.loads((run / "notebook.ipynb").read_text())
    links = "([Eldan & Li 2023](https://arxiv.org/abs/2305.07759)), https://arxiv.org/abs/2999.12345v2"
    notebook["cells"][0]["source"] = [links]
    (run / "notebook.ipynb").write_text(json.dumps(notebook))
    read = entries(citation.bibtex(run))
    assert list(read) == [
        "small-model-workbench", "02_tiny_models-3fa9c1d2b7e0".replace("_", "-"), "eldan2023tinystories",
        "arxiv-2999.12345",
    ]  # fmt: skip
    assert read["small-model-workbench"]["version"] == "0.1.0"
    described = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entry = read["small-model-workbench"]
    assert entry["title"] == f"{{{described['title']}}}"
    assert entry["author"] == f"{{{described['authors'][0]['name']}}}"
    assert entry["year"] == described["date-released"][:4]
    assert "run 3fa9c1d2b7e0" in read["02-tiny-models-3fa9c1d2b7e0"]["howpublished"]
    assert read["eldan2023tinystories"]["author"] == "Eldan, Ronen and Li, Yuanzhi"
    assert read["eldan2023tinystories"]["archiveprefix"] == "arXiv"
    assert read["eldan2023tinystories"]["url"] == "https://arxiv.org/abs/2305.07759"
    assert read["arxiv-2999.12345"]["title"] == "arXiv:2999.12345"


def test_every_paper_that_a_notebook_links_is_known(run):
    known = citation.papers()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (run / "notebook.ipynb").write_text(path.read_text())
        assert set(citation.linked(run)) <= known.keys(), path.name
    for number, entry in known.items():
        fields = next(iter(entries(entry).values()))
        assert {"title", "author", "year", "eprint", "archiveprefix", "url"} <= fields.keys(), number
        assert entry.count("{") == entry.count("}")


def test_a_hostile_title_stays_a_title(tmp_path):
    for text in HOSTILE:
        folder = write_example_run(tmp_path, key=f"k{abs(hash(text))}", title=text)
        read = citation.bibtex(folder)
        assert read.count("{") - read.count("\\{") == read.count("}") - read.count("\\}")
        assert not set("\x00\x1b\u202e\ud800") & set(read)
    assert RUN["key"] not in read
