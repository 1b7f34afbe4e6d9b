"""Texts come in whole, or one sentence says what to do."""

import gzip
import json

import pandas as pd
import pytest
from repository import DATA

from workbench.corpora.loaders.texts import hold_out, load_corpus
from workbench.errors import UserError

REAL = DATA


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def load_texts(source, **options):
    return load_corpus(source, **options).texts


def refusal(source, **options):
    with pytest.raises(UserError) as caught:
        load_texts(str(source), **options)
    return str(caught.value)


def test_stories_between_separators_are_stripped_and_distinct(tmp_path):
    source = write(tmp_path / "a.txt", "One.\n<|endoftext|>\nTwo\nlines. <|endoftext|>One.<|endoftext|>\n")
    corpus = load_corpus(source)
    assert corpus.texts == ["One.", "Two\nlines."]
    assert corpus.notes == ["1 repeated texts dropped"]


def test_unfinished_last_story_is_dropped_and_said(tmp_path):
    corpus = load_corpus(write(tmp_path / "a.txt", "One.<|endoftext|>She said it was"))
    assert corpus.texts == ["One."]
    assert "1 unfinished last story dropped" in corpus.notes


@pytest.mark.parametrize("end", ["She left.", 'He said "go!"', "Who?\n\n"])
def test_last_story_that_ends_a_sentence_is_kept(tmp_path, end):
    assert load_texts(write(tmp_path / "a.txt", "One.<|endoftext|>" + end))[-1] == end.strip()


def test_separator_across_reading_chunks(tmp_path):
    first = "a" * ((1 << 20) - 5)
    assert load_texts(write(tmp_path / "a.txt", f"{first}<|endoftext|>b.")) == [first, "b."]


def test_other_separators(tmp_path):
    source = write(tmp_path / "a.txt", "One\ntwo.\r\n\r\nThree.\n")
    assert load_texts(f"paragraphs:{source}") == ["One\ntwo.", "Three."]
    assert load_texts(f"lines:{source}") == ["One", "two.", "Three."]


def test_text_without_separators_says_how_to_split(tmp_path):
    message = refusal(write(tmp_path / "novel.txt", "A long novel.\n\nChapter two."))
    assert "novel.txt" in message
    assert "separator" in message
    assert "blank line" in message


def test_one_endless_line_is_given_up(tmp_path):
    assert "separator" in refusal(write(tmp_path / "a.txt", "a" * (12 << 20)))


def test_limit_reads_no_further(tmp_path):
    source = write(tmp_path / "a.jsonl", '"one"\n"two"\nbroken')
    assert load_texts(source, limit=2) == ["one", "two"]


def test_json_lines_with_field(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"question": "q", "more": {"text": "deep"}}\n\n')
    assert load_texts(source, field="question") == ["q"]
    assert load_texts(source, field="more.text") == ["deep"]
    assert "question, more" in refusal(source)
    assert "the field answer" in refusal(source, field="answer")


def test_broken_json_line_is_numbered(tmp_path):
    message = refusal(write(tmp_path / "a.jsonl", '{"text": "a"}\n\n{"text": "b"\n{"text": "c"}\n'))
    assert "a.jsonl line 3 " in message


@pytest.mark.parametrize("line", ['{"text": 3}', "[1]", "7", "null", "[" * 100_000])
def test_json_line_without_text(tmp_path, line):
    assert "a.jsonl line 1 " in refusal(write(tmp_path / "a.jsonl", line))


def test_json_list_as_in_tinystories_all_data(tmp_path):
    rows = [
        {"story": "One.", "instruction": {"prompt:": "p", "words": []}, "summary": "s", "source": "GPT-4"}
    ]
    assert load_texts(write(tmp_path / "data00.json", json.dumps(rows))) == ["One."]
    assert load_texts(str(tmp_path / "data00.json"), field="instruction.prompt:") == ["p"]
    assert "list" in refusal(write(tmp_path / "b.json", '{"story": "One."}'))
    assert "line 2" in refusal(write(tmp_path / "c.json", "[1,\n2"))


def test_parquet(tmp_path):
    pd.DataFrame({"text": ["one", "two"], "n": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    assert load_texts(str(tmp_path / "a.parquet")) == ["one", "two"]
    assert "n" in refusal(tmp_path / "a.parquet", field="story")
    assert "parquet" in refusal(write(tmp_path / "b.parquet", "no table"))


def test_gzip(tmp_path):
    whole = gzip.compress(b'"one"\n"two"\n')
    assert load_texts(write(tmp_path / "a.jsonl.gz", whole)) == ["one", "two"]
    assert "cannot be read" in refusal(write(tmp_path / "b.jsonl.gz", whole[:-12]))
    assert "cannot be read" in refusal(write(tmp_path / "c.jsonl.gz", "no gzip"))


def test_folder_and_its_splits(tmp_path):
    write(tmp_path / "data" / "train-0.jsonl", '"one"')
    write(tmp_path / "data" / "valid-0.jsonl", '"two"')
    write(tmp_path / "README.md", "about")
    write(tmp_path / ".cache" / "x.json", "{}")
    assert load_texts(str(tmp_path)) == ["one"]
    assert load_texts(f"{tmp_path}:valid") == load_texts(f"{tmp_path}:validation") == ["two"]
    assert "test" in refusal(f"{tmp_path}:test")
    (tmp_path / "none").mkdir()
    assert ".parquet" in refusal(tmp_path / "none")


def test_missing_file_names_the_near_one(tmp_path):
    write(tmp_path / "stories.txt", "One.<|endoftext|>")
    assert refusal(tmp_path / "storys.txt").endswith(f"Did you mean {tmp_path / 'stories.txt'}?")
    assert "does not exist either" in refusal(tmp_path / "no" / "stories.txt")
    assert "There is no file" in refusal("x" * 5000)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"\n <|endoftext|> \n", "no text"),
        ("a.txt", b"\x7fELF\0\0\1", "binary"),
        ("a.txt", "One.".encode("utf-16"), "UTF-16"),
        ("a.txt", b"caf\xe9<|endoftext|>", "0xe9"),
        ("a.jsonl", b"\0", "binary"),
        ("a.docx", b"x", ".jsonl"),
    ],
)
def test_wrong_files(tmp_path, name, content, word):
    message = refusal(write(tmp_path / name, content))
    assert word in message
    assert len(message.splitlines()) == 1


def test_hub_without_network_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    message = refusal("some-organisation/some-stories:validation", limit=3)
    assert "some-organisation/some-stories:validation" in message
    assert "local copy" in message
    assert len(message.splitlines()) == 1


def test_artefacts_are_counted_and_kept(tmp_path):
    corpus = load_corpus(
        write(tmp_path / "a.json", '["She said â€œhiâ€", "fine", "caf\\u00e9", "\\ud800 half"]')
    )
    assert corpus.texts[0] == "She said â€œhiâ€"
    assert corpus.texts[3] == "\ufffd half"
    assert corpus.notes == ["2 texts hold encoding artefacts such as 'â€', kept as they are"]


def test_digest_follows_the_content(tmp_path):
    one, two, other = (
        load_corpus(write(tmp_path / name, content))
        for name, content in [("a.jsonl", '"x"\n"y"'), ("b.json", '["x", "y"]'), ("c.json", '["x", "z"]')]
    )
    assert one.digest == two.digest != other.digest


def test_hold_out_keeps_copies_on_one_side():
    texts = [f"Story number {i}." for i in range(1000)]
    training, held_out = hold_out([*texts, *(text.upper() + " " for text in texts)], 0.1)
    assert len(training) + len(held_out) == 2000
    assert not {text.strip().lower() for text in training} & {text.strip().lower() for text in held_out}
    assert 60 < len(held_out) / 2 < 140


def test_hold_out_does_not_depend_on_order_or_company():
    texts = [f"Story number {i}." for i in range(200)]
    _, held_out = hold_out(texts, 0.2)
    _, reversed_half = hold_out(texts[:100][::-1], 0.2)
    assert set(reversed_half) == set(held_out) & set(texts[:100])
    assert set(hold_out(texts, 0.2, seed=1)[1]) != set(held_out)


def test_hold_out_of_few_texts():
    assert [len(side) for side in hold_out(["a", "b", "c"], 0.001)] == [2, 1]
    assert [len(side) for side in hold_out(["a", "b"], 0.999)][1] >= 1
    assert len(hold_out(["a"], 1e-9)[0]) == 1
    with pytest.raises(ValueError, match="share"):
        hold_out(["a"], 1.5)


@pytest.mark.skipif(
    not (REAL / "tinystories").is_dir(), reason="the real stories are not here (WORKBENCH_DATA)"
)
def test_real_stories():
    corpus = load_corpus(str(REAL / "tinystories" / "train_head_2MB.txt"))
    assert len(corpus.texts) == 2316
    assert corpus.notes == ["1 unfinished last story dropped"]
    assert corpus.texts[0].startswith("One day, a little girl named Lily found a needle")
