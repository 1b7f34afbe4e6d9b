"""Equal budgets and spectrum-style tuning: the KL, the line between two models, and rows of people."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import AnswerDistribution, Question
from workbench.engine import loading, models
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.packing import IGNORED
from workbench.errors import UserError
from workbench.studies.pluralism import budget, experiment, majorities, paths, spectrum, tuning

VILLAGES = {"hill": AnswerDistribution((1.0, 0.0), 75), "sea": AnswerDistribution((0.0, 1.0), 25)}
LUNCH = Question("lunch", "Which lunch?", ("soup", "bread"), AnswerDistribution((0.75, 0.25)), VILLAGES)
PET = replace(LUNCH, id="pet", prompt="Which pet?", options=("dog", "cat"))

ASKED = {"profile": "quick", "seed": 0, "model": "embedded", "questions": "embedded", "persona": "{group}:",
         "tune": True, "tuning": None, "beta": 0.1, "tuning_rate": None, "tuning_steps": None,
         "samples": None, "limit": None, "populations": None, "seeds": None, "kl": None, "placebo": False,
         "device": "cpu"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = [prompt + answer for prompt, answer in populations.draw([LUNCH, PET], 200, 0)]
    tokenizer = models.train_tokenizer(texts, 300)
    model = models.build(models.config("tiny:0.1M", vocab_size=len(tokenizer), context=256), 0)
    place = tmp_path_factory.mktemp("base") / "model"
    loading.save(model, tokenizer, place)
    return place


# ------------------------------------------------------------------------------- spectrum
def test_the_people_of_a_row_are_of_one_group_and_groups_come_as_often_as_their_people():
    rows = spectrum.rows_of_people([LUNCH, PET], 800, 0)
    assert {len(row) for row in rows} == {spectrum.IN_CONTEXT}
    first = {" soup": "hill", " dog": "hill", " bread": "sea", " cat": "sea"}
    groups = [{first[answer] for _, answer in row} for row in rows]
    assert {len(group) for group in groups} == {1}
    assert Counter(min(group) for group in groups)["hill"] / 800 == pytest.approx(0.75, abs=0.05)
    without = replace(LUNCH, groups={})
    answers = Counter(answer for row in spectrum.rows_of_people([without], 400, 0) for _, answer in row)
    assert answers[" soup"] / 1600 == pytest.approx(0.75, abs=0.04)


def test_only_answers_and_their_ends_are_learnt_and_who_does_not_fit_is_left_out(folder):
    _, tokenizer = loading.load(folder, "cpu")
    rows = [[("Which lunch?\nAnswer:", " soup"), ("Which pet?\nAnswer:", " dog")]]
    blocks = spectrum.in_context(tokenizer, rows, 96)
    learnt = blocks.targets[0][blocks.targets[0] != IGNORED]
    end = tokenizer.eos_token_id
    assert tokenizer.decode(learnt) == f" soup{tokenizer.eos_token} dog{tokenizer.eos_token}"
    assert blocks.positions[0].tolist() == list(range(blocks.ids.shape[1]))  # one document: all is in context
    assert (
        blocks.ids[0].tolist().count(end) == 3
    )  # before the first person, behind each but the last, before the next
    short = spectrum.in_context(tokenizer, rows, blocks.ids.shape[1] - 1)
    assert tokenizer.decode(short.targets[0][short.targets[0] != IGNORED]) == f" soup{tokenizer.eos_token}"
    with pytest.raises(UserError, match="more than the 3 tokens"):
        spectrum.in_context(tokenizer, rows, 3)


def test_spectrum_tuning_fits_the_shares(folder, tmp_path):
    rows = spectrum.rows_of_people([replace(LUNCH, groups={})], 240, 0)
    config = TrainConfig(epochs=1, batch_size=4, learning_rate=1e-2, schedule="linear", warmup=0)
    spectrum.tune(tmp_path / "tuned", str(folder), rows, config, "cpu")
    sampler = TransformersSampler(*loading.load(tmp_path / "tuned", "cpu"))
    logs = budget.log_shares(sampler, [LUNCH], 0)[0]
    assert np.exp(logs) == pytest.approx((0.75, 0.25, 0), abs=0.15)


# ------------------------------------------------------------------------------- budgets
def test_the_kl_is_over_the_options_and_everything_else(folder):
    sampler = TransformersSampler(*loading.load(folder, "cpu"))
    three = replace(LUNCH, id="three", options=("soup", "bread", "pie"), groups={})
    logs = budget.log_shares(sampler, [LUNCH, three], 0)
    assert logs.shape == (2, 4)
    assert np.exp(logs).sum(1) == pytest.approx(1)
    assert logs[0, 2] == -np.inf  # an option that the first question does not have
    assert budget.kl(logs, logs) == 0
    first, second = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    assert budget.kl(first, second) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))


@pytest.mark.parametrize("power", [1.2, 2, 3])
def test_the_weight_is_found_at_which_the_budget_is_used(power):
    weight = budget.weight_for(0.1, lambda weight: 0.7 * weight**power)
    assert 0.7 * weight**power == pytest.approx(0.1, rel=0.03)
    assert budget.weight_for(0.8, lambda weight: 0.7 * weight**power) == 1  # it never went so far


def test_a_half_precision_model_is_moved_in_full_precision(folder, tmp_path, monkeypatch):
    load = loading.load
    config = TrainConfig(epochs=1, batch_size=4, learning_rate=1e-2, schedule="constant", warmup=0)
    rows = tuning.preferences([LUNCH, PET], 40, 0)
    tuning.imitate(tmp_path / "tuned", str(folder), rows, config, "cpu")
    start, end = (load(place, "cpu")[0].state_dict() for place in (folder, tmp_path / "tuned"))
    monkeypatch.setattr(loading, "load", lambda *given: (load(*given)[0].bfloat16(), load(*given)[1]))
    between = budget.Between(folder, tmp_path / "tuned", "cpu")
    read = lambda _: pd.DataFrame({"id": ["a"]})
    way = budget.bring_to(tmp_path / "model", between, [LUNCH, PET], 0.01, read)
    assert way["beyond"].tolist() == [True] + 5 * [False]  # where tuning ended, then the way to the budget
    assert way["kl"].iloc[[1, -1]].tolist() == [0, pytest.approx(0.01, rel=0.05)]
    assert way["kl"][1:].is_monotonic_increasing
    assert (way["weight"][0], way["kl"][0] > 0.01) == (1, True)
    weight = way["weight"].iloc[-1]
    moved = load(tmp_path / "model", "cpu")[0].state_dict()
    for name, value in moved.items():
        assert value.dtype == torch.float32
        expected = torch.lerp(start[name].bfloat16().float(), end[name].bfloat16().float(), weight)
        torch.testing.assert_close(value, expected)


def ways(**arms):
    """A training's way, (kl, reward, distance) a point, over one other question."""
    rows = [
        (arm, 0, number, "a", "other questions", *point)
        for arm, points in arms.items()
        for number, point in enumerate(points)
    ]
    names = ["arm", "seed", "weight", "id", "set", "kl", "reward", "jsd_nats"]
    return pd.DataFrame(rows, columns=names).assign(beyond=False)


def test_two_arms_are_compared_where_the_one_that_went_less_far_ends():
    frame = ways(
        one=[(0, 0.5, 0), (0.04, 0.6, 0.1), (0.16, 0.8, 0.3)], other=[(0, 0.5, 0), (0.09, 0.7, 0.05)]
    )
    effect, level = paths.matched(frame, "one", "other", "kl")
    assert level[0] == 0.09
    assert effect.tolist() == pytest.approx([0.2 - 0.05])  # half of the way along the root of the KL
    effect, level = paths.matched(frame, "other", "one", "reward")
    assert level[0] == 0.7
    assert effect.tolist() == pytest.approx([0.05 - 0.2])
    frame.loc[2, "beyond"] = True  # its tuning ended there: of the way to the budget it is no part
    assert paths.matched(frame, "one", "other", "kl")[1][0] == 0.04
    assert paths.unbounded(frame, "one").tolist() == [0.3]
    frame["beyond"] = False
    table = paths.budgets(frame, 0.16).set_index("arm")
    assert table["short"].to_dict() == {"one": 0, "other": 1}


# ------------------------------------------------------------------------------- odd people
def test_people_of_one_opinion_are_refused_or_told():
    agreed = replace(LUNCH, people=AnswerDistribution((1.0, 0.0)), groups={})
    with pytest.raises(UserError, match=r"of one opinion in every question.*set tune to False"):
        majorities.check_opinions([agreed, agreed])
    assert majorities.check_opinions([agreed, LUNCH]) == ["1 questions on which all people agree"]
    assert majorities.check_opinions([LUNCH]) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(1, 0), (1, 0), (1, 0)], "of one opinion in every question"),
        ([(0.7, 0.3)], "Tuning needs two questions"),
        ([(0.7, 0.3), (0.5, 0.5)], "Tuning needs two questions"),
        ([(0.7, 0.6), (0.6, 0.4)], "sums to 1.3, not to 1"),
    ],
)
def test_questions_that_cannot_be_tuned_on_are_refused_before_anything_is_trained(
    folder, tmp_path, rows, said
):
    path = tmp_path / "questions.jsonl"
    entries = [
        {"id": str(number), "prompt": f"Soup {number}?", "options": ["yes", "no"], "dist": list(dist)}
        for number, dist in enumerate(rows)
    ]
    path.write_text("\n".join(pd.Series(entry).to_json() for entry in entries))
    asked = {**ASKED, "model": str(folder), "questions": str(path)}
    with pytest.raises(UserError, match=said):
        experiment.plan(SimpleNamespace(**asked))


def test_one_population_is_told():
    assert "alone" in experiment.plan(SimpleNamespace(**{**ASKED, "populations": 1})).extent
    assert experiment.plan(SimpleNamespace(**{**ASKED, "populations": 3})).extent == "3 populations"
