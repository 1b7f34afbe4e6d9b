"""What messages say about a name that there is not."""

import pytest

from workbench.errors import choices, nearest


@pytest.mark.parametrize(
    ("name", "near"),
    [("sed", "seed"), (" SEEDS", "seed"), ("qwen/qwen", "Qwen/Qwen2"), ("tokens", None), ("", None)],
)
def test_a_near_name_is_near_in_any_case(name, near):
    assert nearest(name, ["seed", "Qwen/Qwen2"]) == near


def test_a_name_is_near_as_far_as_is_said():
    assert nearest("stutter", ["starter"]) == "starter"
    assert nearest("stutter", ["starter"], 0.75) is None
    assert nearest("zzz", ["gain", "lose"], 0) is not None


def test_all_names_are_listed_and_only_a_near_one_is_guessed():
    assert choices("opnai", ("openai", "vllm")) == "did you mean 'openai'? There are openai, vllm"
    assert choices("grpc", ("openai", "vllm"), "; ") == "choose among openai; vllm"
