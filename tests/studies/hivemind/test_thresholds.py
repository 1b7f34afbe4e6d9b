"""The paper's own figures in 10_hivemind: shares above 0.8, by model and provider."""

import json

import pytest
from test_hivemind import answers_of, of_seeds, plan

from workbench.errors import UserError
from workbench.studies.hivemind import agreement_views, data, results, thresholds
from workbench.studies.hivemind.verbalized import SUFFIX


def file_of(path, texts_of):
    rows = [
        {"prompt": prompt, "model": model, "text": text}
        for prompt in ("Name a fruit.", "Say a word.")
        for model, texts in texts_of.items()
        for text in texts
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return answers_of(path)


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("gpt-4o-2024-11-20", "OpenAI"),
        ("o1-mini", "OpenAI"),
        ("EleutherAI/gpt-neo-125m", "EleutherAI"),
        ("gemma-2-2b-it", "Google"),
        ("gemini-1.5-pro", "Google"),
        ("meta-llama/Llama-3.3-70B", "Meta"),
        ("my-lab/model", "my-lab"),
        ("my-model", "my-model"),
    ],
)
def test_providers_are_read_from_names(model, maker):
    assert thresholds.provider(model) == maker


def test_copies_are_above_and_other_words_below(tmp_path):
    same, other = ["a ripe apple"] * 3, ["red plums", "two sour cherries"]
    read = file_of(tmp_path / "a.jsonl", {"gpt-a": same, "gpt-b": same[:2], "qwen": other})
    alike = thresholds.above(read)
    means = alike.groupby(["kind", "first", "second"])["pairs"].mean()
    assert means[thresholds.ONE, "gpt-a", "gpt-a"] == means[thresholds.PROVIDER, "gpt-a", "gpt-b"] == 1
    assert means[thresholds.OTHERS, "gpt-a", "qwen"] == means[thresholds.ONE, "qwen", "qwen"] == 0
    assert alike["prompts"].tolist() == (alike["pairs"] == 1).tolist()
    table = results.above(alike)
    assert {"one model (all of them)", "qwen", thresholds.PROVIDER} <= set(table["who"])
    agreement_views.above(table, "a/b", 0.1, 0.9).bundle()


def test_answers_from_lists_are_held_against_their_own_model_only(tmp_path):
    texts = ["a ripe apple", "the ripe apple"]
    read = file_of(tmp_path / "a.jsonl", {"m": texts, "m" + SUFFIX: ["a fig", "two plums"]})
    assert set(thresholds.above(read)["kind"]) == {thresholds.ONE}
    (claim,) = results.claims(*of_seeds(read))
    assert claim.name == "verbalized-repeats-less"
    assert claim.effect > 0


def test_lists_of_a_model_that_is_not_there_are_held_against_nothing(tmp_path):
    texts = {"m": ["a ripe apple"] * 2, "n": ["a fig"] * 2, "lost" + SUFFIX: ["red plums"] * 2}
    read = file_of(tmp_path / "a.jsonl", texts)
    assert [claim.name for claim in results.claims(*of_seeds(read))] == ["models-agree-more-than-chance"]


def test_one_model_alone_is_shown_and_claims_nothing(tmp_path):
    read = file_of(tmp_path / "a.jsonl", {"only": ["a fig", "the fig"]})
    assert results.claims(*of_seeds(read)) == []
    agreement_views.above(results.above(thresholds.above(read)), "embedded", 0, 1).bundle()


def test_thresholds_are_left_out_for_the_embedded_answers():
    assert not thresholds.means_something(plan())
    assert thresholds.means_something(plan(encoder="some/encoder"))
    assert thresholds.means_something(plan(generations="a.jsonl"))


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("")
    with pytest.raises(UserError, match="is empty"):
        data.generations(tmp_path, plan(generations=str(path)))
