"""Answers of several models from files: three kinds, and what is wrong with a row said in one sentence."""

import json

import pandas as pd
import pytest
from repository import DATA

from workbench.corpora.loaders.generations import load_generations, usable_answers
from workbench.errors import UserError

HIVEMIND = DATA / "hivemind"
published = pytest.mark.skipif(not HIVEMIND.exists(), reason="WORKBENCH_DATA with hivemind is not set")
ROWS = [
    {"prompt": "Name a fruit.", "model": model, "text": text}
    for model, text in [("a", "Apple"), ("a", "Pear"), ("b", "Apple"), ("b", "Fig")]
]


def written(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        path.write_text(json.dumps(rows))
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "json"])
def test_plain_rows_of_every_format_read_alike(tmp_path, kind):
    found = load_generations(written(tmp_path / f"a.{kind}", ROWS))
    assert found["text"].tolist() == ["Apple", "Pear", "Apple", "Fig"]
    assert found["sample"].tolist() == [0, 1, 0, 1]
    assert set(found["finish"]) == {"stop"}


def test_noveltybench_and_mctb_rows(tmp_path):
    novelty = [{"id": "c-1", "prompt": "Say.", "model": "m", "generations": ["x", "y"], "partition": [0, 1]}]
    found = load_generations(written(tmp_path / "n.jsonl", novelty))
    assert found[["prompt_id", "sample", "text"]].to_numpy().tolist() == [["c-1", 0, "x"], ["c-1", 1, "y"]]
    ideas = [{"config": {"object_prompt": "brick"}, "m": {"{}": [["Doorstop", "Bookend"], ["Weight"]]}}]
    found = load_generations(written(tmp_path / "ideas.json", ideas))
    assert found["prompt"].unique().tolist() == ["Name unusual uses for: brick"]
    assert found["text"].tolist() == ["Doorstop", "Bookend", "Weight"]
    stories = {"m": {"{}": [["One.", "Two."]] * 9}}
    found = load_generations(written(tmp_path / "stories.json", stories))
    assert found["prompt"].nunique() == 8
    assert found["text"][0] == "One. Two."


def test_several_files_are_one_table(tmp_path):
    spec = ",".join(written(tmp_path / f"{i}.jsonl", ROWS[2 * i : 2 * i + 2]) for i in range(2))
    assert load_generations(spec)["model"].tolist() == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "x", "model": "a"}, "line 5 has no text"),
        ({"model": "a", "text": "b"}, "line 5 has no prompt"),
        (
            {"prompt": "x", "model": "a", "generations": "b"},
            "line 5 has a prompt or an answer that is no text",
        ),
        ({"prompt": "x", "model": "a", "text": "b", "finish": "eos"}, "finish 'eos'"),
        ({"prompt": "x", "model": "a", "text": "b", "sample": "one"}, "sample 'one'"),
        (["x"], "line 5 is no object"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, says):
    with pytest.raises(UserError, match=says):
        load_generations(written(tmp_path / "a.jsonl", [*ROWS, row]))


def test_one_answer_twice_is_refused(tmp_path):
    rows = [{**ROWS[0], "sample": 0}, {**ROWS[1], "sample": 0}]
    with pytest.raises(UserError, match="line 2 is a second answer"):
        load_generations(written(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize("content", ["", "{}", '{"m": 3}'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"a\.json"):
        load_generations(str(path))
    with pytest.raises(UserError, match="There is no file"):
        load_generations(str(tmp_path / "other.jsonl"))


def frame(*rows):
    columns = ["prompt_id", "prompt", "category", "model", "sample", "text", "finish"]
    return pd.DataFrame([(p, p, "", m, s, t, f) for p, m, s, t, f in rows], columns=columns)


def test_common_prompts_empty_and_cut_answers_are_counted():
    kept, notes = usable_answers(
        frame(
            ("p", "a", 0, "one", "stop"),
            ("p", "a", 1, " ", "stop"),
            ("p", "b", 0, "two", "length"),
            ("p", "b", 1, "three", "stop"),
            ("q", "a", 0, "four", "stop"),
        )
    )
    assert kept["text"].tolist() == ["one", "two", "three"]
    assert notes == [
        "3 answers of 2 models to 1 prompts",
        "1 empty answers left out",
        "1 answers that were cut off",
        "1 prompts of a model with one answer only (no repetition)",
        "1 prompts of a that not all models answered",
    ]


def test_nothing_in_common_and_nothing_at_all_are_refused():
    with pytest.raises(UserError, match="No prompt was answered by all 2 models"):
        usable_answers(frame(("p", "a", 0, "x", "stop"), ("q", "b", 0, "y", "stop")))
    with pytest.raises(UserError, match="Every answer is empty"):
        usable_answers(frame(("p", "a", 0, "", "stop")))


@published
def test_the_published_files_are_read():
    novelty = load_generations(str(HIVEMIND / "noveltybench" / "gemini-1.5-pro.nb-curated.scores.jsonl"))
    assert (len(novelty), novelty["prompt_id"].nunique()) == (1000, 100)
    ideas = load_generations(str(HIVEMIND / "mctb" / "AUT_1.0_all_models_clean.json"))
    assert (ideas["model"].nunique(), ideas["prompt"].nunique()) == (8, 4)
    both = ",".join(str(path) for path in sorted((HIVEMIND / "mctb").glob("DSI*.json")))
    stories, notes = usable_answers(load_generations(both))
    assert (len(stories), stories["model"].nunique(), len(notes)) == (332, 8, 1)
