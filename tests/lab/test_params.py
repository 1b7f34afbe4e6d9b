"""The parameters cell as a schema."""

import os
from contextlib import suppress

import pytest

from workbench.errors import UserError
from workbench.lab.params import changed, check, content, from_strings, model_of, relative, shown

CELL = '''
"""Parameters."""
from typing import Literal
from pydantic import PositiveInt
profile: Literal["tiny", "paper"] = "tiny"  # sizes
seed: int = 0  # seed of everything random
rate: float = 1e-3
count: PositiveInt | None = None  # how many
data: str = "embedded"
sizes: list[int] = [1, 2]
words: list[str] = []
fast: bool = False
hint: str | None = None
level: int = 0
'''


@pytest.fixture
def model():
    return model_of(CELL, "01_study")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seed", "3", 3),
        ("level", "-3", -3),
        ("rate", "1", 1.0),
        ("rate", "2e-4", 2e-4),
        ("count", "none", None),
        ("count", "5", 5),
        ("data", "3", "3"),
        ("data", "none", "none"),
        ("data", "a=b", "a=b"),
        ("hint", "None", None),
        ("sizes", "[1, 2, 3]", [1, 2, 3]),
        ("words", "[a, b]", ["a", "b"]),
        ("words", '["a, b"]', ["a, b"]),
        ("fast", "true", True),
        ("profile", "paper", "paper"),
    ],
)
def test_command_line_text_becomes_the_declared_type(model, name, text, value):
    found = from_strings(model, {name: text}, "01_study")[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sed", "1", "did you mean seed?"),
        ("zzz", "1", "it has profile, seed"),
        ("seed", "abc", "seed=abc does not fit `seed: int`"),
        ("seed", "-1", "seed=-1 does not fit `seed: int` (input should be greater than or equal to 0)"),
        ("seed", str(2**31), "does not fit `seed: int` (input should be less than 2147483648)"),
        ("seed", "1.5", "seed=1.5"),
        ("seed", "true", "seed=true"),
        ("count", "-1", "greater than 0"),
        ("fast", "1", "fast=1"),
        ("profile", "large", "'tiny' or 'paper'"),
        ("sizes", "[1, x]", "sizes=[1, x]"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(model, name, text, said):
    with pytest.raises(UserError) as raised:
        from_strings(model, {name: text}, "01_study")
    assert said in str(raised.value)
    assert "01_study" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_values_of_a_wrong_type_are_refused_and_not_converted(model):
    with pytest.raises(UserError, match="seed=3"):
        check(model, {"seed": "3"}, "01_study")
    with pytest.raises(UserError, match="fast=1"):
        check(model, {"fast": 1}, "01_study")


@pytest.mark.parametrize(
    "cell",
    [
        "seed = 0",
        "seed: int = f()",
        "seed: Path = 0",
        "seed: int",
        "import os\nos.x()",
        "seed: int =",
        "x: int = 'a'",
        "x: float = 1e999",
        "x: int = 0x" + "f" * 5000,
        "x: int = " + "(" * 300 + "1" + ")" * 300,
        "x: int = 1\0",
        "_x: int = 1",
        "model_fields: int = 1",
    ],
)
def test_a_parameters_cell_of_anything_else_is_refused(cell):
    with pytest.raises(UserError, match="01_study"):
        model_of(cell, "01_study")


def test_the_cell_is_read_and_never_run(tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(UserError):
        model_of(f"seed: int = 0\nopen({str(mark)!r}, 'w')", "01_study")
    with pytest.raises(UserError):
        model_of(f"seed: open({str(mark)!r}, 'w') = 0", "01_study")
    assert not mark.exists()


def test_comments_are_the_help(model):
    assert model.model_fields["seed"].description == "seed of everything random"


def test_parameters_cannot_be_changed_later(model):
    with pytest.raises(ValueError, match="frozen"):
        model().seed = 4


def test_changed_names_what_differs_from_the_defaults(model):
    assert changed(check(model, {"seed": 0, "sizes": [3]}, "01_study")) == {"sizes": [3]}


def test_a_file_enters_the_key_by_its_content(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("story")
    (tmp_path / "b.txt").write_text("story")
    here, there = (check(model, {"data": str(tmp_path / name)}, "x") for name in ("a.txt", "b.txt"))
    assert content(here) == content(there)
    assert relative(here)["data"] == "a.txt"
    assert shown(here)["data"] == "a.txt"
    (tmp_path / "b.txt").write_text("another story")
    assert content(here) != content(there)


def test_a_path_behind_its_kind_counts_by_its_content_too(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text("{}")
    plain, named, other = (
        check(model, {"data": f"{kind}{tmp_path / 'a.jsonl'}"}, "x") for kind in ("", "gsm8k:", "svamp:")
    )
    assert shown(named)["data"] == "gsm8k:a.jsonl"
    assert len({str(content(each)["data"]) for each in (plain, named, other)}) == 3
    before = content(named)
    (tmp_path / "a.jsonl").write_text("{} ")
    assert content(named) != before


def test_a_folder_enters_the_key_by_names_and_content(model, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x.bin").write_bytes(b"1")
    here, there = (check(model, {"data": str(tmp_path / name)}, "x") for name in ("a", "b"))
    assert content(here) == content(there)
    (tmp_path / "b" / "deep" / "x.bin").rename(tmp_path / "b" / "x.bin")
    assert content(here) != content(there)


def test_credentials_in_a_parameter_are_neither_kept_nor_part_of_the_key(model):
    first, second = (
        check(model, {"data": f"openai:https://me:{word}@host/v1?api_key={word}#m"}, "x") for word in "ab"
    )
    assert content(first) == content(second)
    assert shown(first)["data"] == "openai:https://***@host/v1?api_key=***#m"
    assert first.data.startswith("openai:https://me:a@")


@pytest.mark.parametrize(
    "text",
    [
        "{a},{b}",
        "{a} , {b}",
        "gsm8k:{a},svamp:{b}",
        "rationales:{a},{b}",
        "gsm8k:{folder}:test",
        "gsm8k:{folder}:main:test",
        "{folder}:test",
        "transformers:{folder}",
        "openai:http://host/v1#m,transformers:{folder}",
        "embedded,{b}",
        "hidden:{folder}",
        "{comma}",
        "gsm8k:{comma},svamp:{a}",
        "{equals}",
        "{colon}",
    ],
)
@pytest.mark.parametrize("declared", ["data", "words"])
def test_every_file_that_a_parameter_names_counts_by_its_content(model, tmp_path, text, declared):
    files = {
        "a": tmp_path / "a.jsonl",
        "b": tmp_path / "b.jsonl",
        "folder": tmp_path / "folder" / "x.jsonl",
        "comma": tmp_path / "one, two.jsonl",
        "equals": tmp_path / "k=v.jsonl",
        "colon": tmp_path / "svamp:x:y.jsonl",
    }
    for file in files.values():
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
    value = text.format(**files | {"folder": tmp_path / "folder"})
    params = check(model, {declared: [value] if declared == "words" else value}, "x")
    before = content(params)
    assert str(tmp_path) not in str(before)
    for name, file in files.items():
        file.write_text('{"corrected": 1}')
        assert (content(params) != before) == (f"{{{name}}}" in text)
        file.write_text("{}")
    assert content(params) == before


def test_files_that_are_read_another_way_or_in_another_order_are_another_run(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    texts = ["a,b", "b,a", "gsm8k:a,b", "gsm8k:a,svamp:b", "gsm8k:a:test,svamp:b", "a", "b", "gsm8k:a"]
    assert len({str(content(check(model, {"data": text}, "x"))) for text in texts}) == len(texts)


def test_no_absolute_path_of_a_list_is_kept(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a, b").write_text("1")
    text = f"gsm8k:{tmp_path / 'a, b'}:test , {tmp_path / 'a, b'}"
    assert shown(check(model, {"data": text}, "x"))["data"] == "gsm8k:a, b:test , a, b"
    assert shown(check(model, {"words": [text]}, "x"))["words"] == ["gsm8k:a, b:test , a, b"]


@pytest.mark.parametrize(
    "text", ["{[1]: 2}", "[[]", "9" * 5000, "-" * 5000, "\ud800", "{" * 500, "1e999", "\x1b["]
)
@pytest.mark.parametrize("name", ["seed", "rate", "sizes", "words", "fast", "profile", "count"])
def test_whatever_is_given_is_a_value_or_one_sentence(model, name, text):
    with suppress(UserError):
        values = from_strings(model, {name: text}, "01_study")
        content(check(model, values, "01_study"))


def test_a_notebook_without_a_parameters_cell_says_so():
    with pytest.raises(UserError, match="none of its cells has the tag parameters"):
        from_strings(model_of("", "01_study"), {"seed": "1"}, "01_study")


def test_a_file_replaced_by_one_of_its_size_and_time_is_another_value(model, tmp_path):
    folder, linked = tmp_path / "data", tmp_path / "linked"
    for path in (folder, linked):
        path.mkdir()
        (path / "train.jsonl").write_text("1")
    (folder / "more").symlink_to(linked)
    (linked / "back").symlink_to(folder)  # readers follow links to folders, but not for ever
    params = check(model, {"data": str(folder)}, "01_study")
    values = [content(params)]
    for path in (folder, linked):
        file, new = path / "train.jsonl", tmp_path / "new"
        state = file.stat()
        new.write_text("2")
        os.utime(new, ns=(state.st_atime_ns, state.st_mtime_ns))
        new.replace(file)
        values.append(content(params))
    assert len({str(value) for value in values}) == 3


@pytest.mark.parametrize("name", ["copy", "json", "schema", "dict", "self", "print", "fields"])
@pytest.mark.filterwarnings("error")
def test_a_parameter_may_be_called_as_a_method_is(name):
    model = model_of(f"{name}: int = 1", "01_study")
    params = check(model, from_strings(model, {name: "2"}, "01_study"), "01_study")
    assert changed(params) == shown(params) == content(params) == {name: 2}
