"""What a notebook will take: from a rate measured on the model itself."""

import pytest
from families import fresh
from test_models import TEXTS

from workbench.engine import models
from workbench.engine.cost import Cost, measure, reads_per_learnt


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


def test_what_is_learnt_costs_more_in_full_and_less_in_bf16(monkeypatch):
    model, rates = fresh("Llama"), {}
    for bf16 in (False, True):
        monkeypatch.setattr("workbench.engine.cost.uses_bf16", lambda *_, bf16=bf16: bf16)
        rates[bf16] = [reads_per_learnt(model, tuning) for tuning in ("lora", "full")]
        assert 1 < rates[bf16][0] < rates[bf16][1]
    assert rates[True][1] < rates[False][1]
