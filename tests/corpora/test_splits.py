"""One split of one configuration of a folder is read, by its name."""

import gzip
import json

import datasets
import pandas as pd
import pytest

from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.loaders.texts import load_corpus
from workbench.errors import UserError


def fill(folder, *names):
    """Files of one problem each, which names its file."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {"question": f"Which file? {name}", "answer": "#### 1"}
        if path.suffix == ".parquet":
            pd.DataFrame([row]).to_parquet(path)
        else:
            path.write_text(json.dumps(row))
    return folder


def files(spec, **options):
    return [problem.question.removeprefix("Which file? ") for problem in load_problems(str(spec), **options)]


def refusal(spec, **options):
    with pytest.raises(UserError) as error:
        files(spec, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("names", "split", "read"),
    [
        (["test.jsonl", "test_socratic.jsonl", "train.jsonl", "latest_train.jsonl"], "test", ["test.jsonl"]),
        (["test.jsonl", "train.jsonl", "latest_train.jsonl"], "train", ["train.jsonl"]),
        (["test.jsonl", "contest.jsonl", "attestation.jsonl"], "test", ["test.jsonl"]),
        (["test-00000-of-00002.parquet", "test-00001-of-00002.parquet", "train-00000-of-00001.parquet"],
         "test", ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]),
        (["data/test/a.jsonl", "data/train/a.jsonl"], "test", ["data/test/a.jsonl"]),
        (["test/algebra/1.json", "test/geometry/1.json", "train/algebra/1.json"], "test",
         ["test/algebra/1.json", "test/geometry/1.json"]),
        (["GSM8KTest.jsonl", "GSM8KTrain.jsonl"], "test", ["GSM8KTest.jsonl"]),
        (["gsm8k_dev.jsonl", "gsm8k_train.jsonl"], "validation", ["gsm8k_dev.jsonl"]),
        (["validation.jsonl", "train.jsonl"], "dev", ["validation.jsonl"]),
        (["train_sft-0.jsonl", "test_sft-0.jsonl", "train_prefs-0.jsonl"],
         "train_sft", ["train_sft-0.jsonl"]),
        (["train-1.jsonl", "train-2.jsonl", "test-1.jsonl"], None, ["train-1.jsonl", "train-2.jsonl"]),
        (["train.part1.jsonl", "train.part2.jsonl"], None, ["train.part1.jsonl", "train.part2.jsonl"]),
        (["split=train/a.jsonl", "split=test/a.jsonl"], None, ["split=train/a.jsonl"]),
        (["train_data/a.jsonl", "test_data/a.jsonl"], None, ["train_data/a.jsonl"]),
        (["gsm8k-train/1.jsonl", "gsm8k-test/1.jsonl"], "test", ["gsm8k-test/1.jsonl"]),
        (["test-time/train.jsonl", "test-time/test.jsonl"], "train", ["test-time/train.jsonl"]),
        (["a.jsonl", "b.jsonl"], None, ["a.jsonl", "b.jsonl"]),
        (["one/a.jsonl", "two/b.jsonl"], None, ["one/a.jsonl", "two/b.jsonl"]),
        (["problems.jsonl", "problems_test.jsonl"], None, ["problems.jsonl"]),
        (["train.jsonl", "README.md", "LICENSE", "dataset_infos.json"], None, ["train.jsonl"]),
        (["train.jsonl", ".cache/train.jsonl", ".train.jsonl"], None, ["train.jsonl"]),
    ],
)  # fmt: skip
def test_a_split_is_told_by_its_name(tmp_path, names, split, read):
    fill(tmp_path, *names)
    assert files(f"{tmp_path}:{split}" if split else tmp_path) == read


def test_training_takes_the_training_split_and_says_so(tmp_path, capsys):
    fill(tmp_path, "train.jsonl", "test.jsonl", "dev.jsonl")
    assert files(tmp_path) == ["train.jsonl"]
    assert "reads train.jsonl; leaves out dev.jsonl, test.jsonl" in capsys.readouterr().out
    assert files(tmp_path, default="test") == ["test.jsonl"]
    (tmp_path / "train.jsonl").unlink()
    message = refusal(tmp_path)
    assert "no files of the split train, only of test, validation" in message
    assert f"{tmp_path}:test" in message


def test_one_configuration_is_read_or_they_are_listed(tmp_path):
    fill(
        tmp_path,
        *(f"{name}/{split}-0.parquet" for name in ("main", "socratic") for split in ("train", "test")),
    )
    for spec in (tmp_path, f"{tmp_path}:test"):
        assert "several configurations (main, socratic)" in refusal(spec)
    assert files(f"{tmp_path}:main:test") == ["main/test-0.parquet"]
    assert files(f"{tmp_path}:socratic") == ["socratic/train-0.parquet"]
    assert files(f"gsm8k:{tmp_path}:main:test,{tmp_path}:socratic:test") == [
        "main/test-0.parquet",
        "socratic/test-0.parquet",
    ]
    assert "no configuration mian: it has main, socratic" in refusal(f"{tmp_path}:mian:test")
    assert "no file of the split dev: it has test, train" in refusal(f"{tmp_path}:main:dev")


def test_the_front_matter_of_a_readme_counts(tmp_path):
    fill(tmp_path, "one.jsonl", "two.jsonl", "three.jsonl")
    configs = """---
configs:
- config_name: first
  data_files:
  - split: train
    path: one.jsonl
  - split: test
    path: t*.jsonl
- config_name: second{}
  data_files: three.jsonl
---
"""
    (tmp_path / "README.md").write_text(configs.format(""))
    assert "several configurations (first, second)" in refusal(tmp_path)
    assert files(f"{tmp_path}:first") == ["one.jsonl"]
    assert sorted(files(f"{tmp_path}:first:test")) == ["three.jsonl", "two.jsonl"]
    (tmp_path / "README.md").write_text(configs.format("\n  default: true"))
    assert files(tmp_path) == ["three.jsonl"]
    for broken in (
        "---\n: [\n---\n",
        "---\nconfigs: 3\n---\n",
        "---",
        "---\nconfigs:\n- data_files: /x\n---\n",
    ):
        (tmp_path / "README.md").write_text(broken)
        assert len(files(tmp_path)) == 3


def test_a_configuration_that_only_dataset_infos_names_may_be_named(tmp_path):
    fill(tmp_path, "train-0.parquet")
    (tmp_path / "dataset_infos.json").write_text('{"main": {"description": "x"}}')
    for spec in (tmp_path, f"{tmp_path}:main", f"{tmp_path}:main:train"):
        assert files(spec) == ["train-0.parquet"]
    assert "no configuration other" in refusal(f"{tmp_path}:other:train")


def test_no_problem_of_a_snapshot_is_read_twice(tmp_path):
    cache = tmp_path / "datasets--a--b"
    for revision in ("new", "old"):
        fill(cache / "snapshots" / revision, "train.jsonl")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("new")
    assert files(cache) == ["train.jsonl"]
    copied = fill(tmp_path / "both", "train.jsonl")
    (copied / "train.json").write_text(f"[{(copied / 'train.jsonl').read_text()}]")
    assert files(copied) == ["train.jsonl"]
    (copied / "again").symlink_to(copied)
    assert files(copied) == ["train.jsonl"]
    packed = fill(tmp_path / "packed", "a.jsonl")
    (packed / "a.jsonl.gz").write_bytes(gzip.compress((packed / "a.jsonl").read_bytes().replace(b"W", b"w")))
    assert files(packed) == ["a.jsonl"]


def test_saved_data_sets_are_read(tmp_path):
    rows = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(3)]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "one")
    assert [problem.gold for problem in load_problems(str(tmp_path / "one"))] == ["1", "2", "3"]
    both = {"train": datasets.Dataset.from_list(rows), "test": datasets.Dataset.from_list(rows[:1])}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "both")
    assert len(load_problems(str(tmp_path / "both"))) == 3
    assert len(load_problems(f"{tmp_path / 'both'}:test")) == 1
    assert "names tell of none" in refusal(f"{tmp_path / 'one'}:test")
    assert len(load_problems(str(next((tmp_path / "one").glob("*.arrow"))))) == 3
    (tmp_path / "one" / "data-00000-of-00001.arrow").write_bytes(b"nothing")
    assert "not a readable saved data set" in refusal(tmp_path / "one")


def test_a_file_has_no_split(tmp_path):
    path = fill(tmp_path, "train.jsonl") / "train.jsonl"
    assert "is one file and has no split: leave :test out" in refusal(f"{path}:test")


def test_json_lines_may_be_named_json(tmp_path):
    path = tmp_path / "lines.json"
    path.write_text('{"question": "1+1?", "answer": "#### 2"}\n{"question": "1+2?", "answer": "#### 3"}\n')
    assert [problem.gold for problem in load_problems(str(path))] == ["2", "3"]
    path.write_text('{"question": "1+1?", "answer": "#### 2"}\nbroken\n')
    assert "line 2 is not JSON" in refusal(path)


def test_texts_are_a_file_each_in_a_folder_or_divided_as_the_name_says(tmp_path):
    for name, text in {"a.txt": "Once.\n\nA cat.", "b.txt": "Twice", "LICENSE.txt": "All rights."}.items():
        (tmp_path / name).write_text(text)
    assert load_corpus(str(tmp_path)).texts == ["Once.\n\nA cat.", "Twice"]
    path = tmp_path / "a.txt"
    assert load_corpus(f"paragraphs:{path}").texts == ["Once.", "A cat."]
    assert load_corpus(f"lines:{path}").texts == ["Once.", "A cat."]
    with pytest.raises(UserError, match=f"name it as paragraphs:{path} if blank lines"):
        load_corpus(str(path))


@pytest.mark.parametrize("end", ["आई।", "在家。", "گیا۔", "走了！", "ไปบ้าน", "home 🙂"])
def test_a_last_text_of_another_script_that_ends_is_kept(tmp_path, end):
    (tmp_path / "a.txt").write_text(f"One.<|endoftext|>{end}")
    assert load_corpus(str(tmp_path / "a.txt")).texts == ["One.", end]


@pytest.mark.parametrize(
    ("row", "text"),
    [({"body": "One."}, "One."), ({"Text": "One."}, "One."), ({"passage": "One.", "title": "x"}, "One."),
     ({"text": "One. Two.", "content": "One."}, "One. Two.")],
)  # fmt: skip
def test_the_one_field_with_text_is_the_text(tmp_path, row, text):
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert load_corpus(str(tmp_path / "a.jsonl")).texts == [text]


def test_of_two_fields_with_text_none_is_dropped_in_silence(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "One.", "body": "Two."}')
    with pytest.raises(UserError, match="has text and body, each of which may be the text"):
        load_corpus(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    "text", ["She didnâ€™t go.", "didn\u00e2\u0080\u0099t", "cafÃ©", "5 Â£", "ÐŸÑ€Ð¸Ð²ÐµÑ‚"]
)
def test_text_read_in_the_wrong_encoding_is_counted(tmp_path, text):
    (tmp_path / "a.json").write_text(json.dumps([text, "fine café £ Привет â la crème"]))
    assert "1 texts hold encoding artefacts" in str(load_corpus(str(tmp_path / "a.json")))
