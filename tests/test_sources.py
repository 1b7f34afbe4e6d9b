"""What a parameter may name: one grammar for readers and for the key of a run."""

from pathlib import Path

import pytest

from workbench.sources import MODELS, PROBLEMS, SOLUTIONS, Source, map_paths, parse, paths_in

A, B = "a.jsonl", "b.jsonl"


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (A, B, "x,y.jsonl", "k=v.jsonl", "odd:name.jsonl", "d"):
        Path(name).write_text("{}\n", encoding="utf-8")
    for folder in ("folder/main", "model"):
        Path(folder).mkdir(parents=True)


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (A, [Source(None, A)]),
        (f"{A}, {B}", [Source(None, A), Source(None, B)]),
        (f"gsm8k:{A},svamp:{B}", [Source("gsm8k", A), Source("svamp", B)]),
        (f"rationales:{A},{B}", [Source("rationales", A), Source(None, B)]),
        ("GSM8K:folder:test", [Source("gsm8k", "folder", None, "test")]),
        ("folder:main:test", [Source(None, "folder", "main", "test")]),
        ("org/name:main:test", [Source(None, "org/name", "main", "test")]),
        ("org/name:test", [Source(None, "org/name", None, "test")]),
        ("x,y.jsonl", [Source(None, "x,y.jsonl")]),
        (f"gsm8k:x,y.jsonl,{A}", [Source("gsm8k", "x,y.jsonl"), Source(None, A)]),
        ("k=v.jsonl", [Source(None, "k=v.jsonl")]),
        ("odd:name.jsonl", [Source(None, "odd:name.jsonl")]),
        ("transformers:model,vllm:org/name", [Source("transformers", "model"), Source("vllm", "org/name")]),
        ("openai:http://127.0.0.1:8000/v1#m", [Source("openai", "http://127.0.0.1:8000/v1#m")]),
        ("tiny:1M", [Source("tiny", "1M")]),
        ("hidden:model", [Source("hidden", "model")]),
        ("embedded", [Source(None, "embedded")]),
        ("", []),
        (" , ,", []),
    ],
)
def test_a_text_is_taken_apart(text, sources):
    assert parse(text) == sources


def test_only_the_kinds_that_a_reader_knows_stand_before_a_name():
    assert parse(f"rationales:{A}", PROBLEMS) == [Source(None, "rationales", None, A)]
    assert parse(f"rationales:{A}", SOLUTIONS) == [Source("rationales", A)]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (f"{A},{B}", [A, B]),
        (f"gsm8k:{A},svamp:{B}", [A, B]),
        (f"rationales:{A},{B},{A}", [A, B]),
        ("gsm8k:folder:test", ["folder"]),
        ("folder:main:test", ["folder"]),
        ("transformers:model,openai:http://127.0.0.1/v1#m", ["model"]),
        (f"x,y.jsonl,k=v.jsonl,odd:name.jsonl,{A}", ["x,y.jsonl", "k=v.jsonl", "odd:name.jsonl", A]),
        ("hidden:d", ["d"]),
        ("embedded", []),
        ("no/such:test", []),
        ("", []),
        ("a\0b", []),
        ("\ud800", []),
        (",".join("abc" * 5_000), []),
    ],
)
def test_every_path_that_a_text_names_is_seen(text, paths):
    assert paths_in(text) == [Path(path) for path in paths]


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("hidden:d", "hidden:<d>"),
        (f"gsm8k: {A} , svamp:{B}", f"gsm8k: <{A}> , svamp:<{B}>"),
        ("gsm8k:folder:main:test", "gsm8k:<folder>:main:test"),
        (f"org/name:test,{A},openai:http://x/v1#m", f"org/name:test,<{A}>,openai:http://x/v1#m"),
        ("Somebody of the group {group} is asked: ", "Somebody of the group {group} is asked: "),
    ],
)
def test_paths_are_replaced_where_they_stand(text, mapped):
    assert map_paths(text, lambda path: f"<{path}>") == mapped


def test_what_stands_before_a_model_takes_no_split():
    assert {source.split for kind in MODELS for source in parse(f"{kind}:a:b")} == {None}
