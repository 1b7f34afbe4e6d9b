"""What a notebook will take: from a rate measured on the model itself."""

import pytest
from families import fresh
from test_models import TEXTS

from workbench.engine import models
from workbench.engine.cost import Cost, measure


def test_minutes_follow_from_the_rate_and_are_said():
    cost = Cost(read=100.0)
    assert cost.minutes(read=60_000) == pytest.approx(10)
    assert cost.minutes() == 0
    assert cost.sentence(9.7) == (
        "Measured on this machine: the model reads 100 tokens a second. This notebook will take about 10 min."
    )


def test_a_model_is_timed_within_its_context_and_left_as_it_was():
    tokenizer = models.train_tokenizer(TEXTS, 260)
    model = fresh("GPT2").train()
    cost = measure(model, tokenizer, seconds=0)
    assert cost.read > 0
    assert model.training


def test_writing_is_timed_where_it_is_asked_for():
    tokenizer = models.train_tokenizer(TEXTS, 260)
    cost = measure(fresh("Llama"), tokenizer, seconds=0, writes=True)
    assert cost.minutes(write=60 * cost.write) == pytest.approx(1)
    assert "tokens a second and writes" in cost.sentence(1)
    with pytest.raises(ZeroDivisionError):  # nobody is told nothing for a rate that is not known
        Cost(read=1.0).minutes(write=1)
