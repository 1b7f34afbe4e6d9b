"""05_lego: chains and their truth, patterns of heads, and claims that follow from the numbers given."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.corpora import lego as chains
from workbench.corpora.stories import write_stories
from workbench.engine import loading, models
from workbench.errors import UserError
from workbench.studies.lego import method, results, views

torch.set_num_threads(1)
SMALL = method.Sizes(n=4, n_train=2, steps=24, mimic=3, batch=8, tested=60, depths=(1, 2))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    tokenizer = models.train_tokenizer([story.text for story in write_stories(400, seed=0)], 1200)
    folder = tmp_path_factory.mktemp("story") / "model"
    config = models.config("tiny:0.3M", len(tokenizer), n_layers=2, hidden_size=64, context=64)
    loading.save(models.build(config, 0), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def vocabulary(source):
    return chains.words(loading.load(source)[1], 6)


def spelled(tokenizer, drawn, row, copy):
    """The clauses of one copy in words."""
    n = len(drawn.answer_positions)
    ids = drawn.ids[row, 1 + 3 * n * copy : 1 + 3 * n * (copy + 1)].reshape(n, 3)
    return [tuple(tokenizer.decode([token]).strip() for token in clause) for clause in ids]


def solve(clauses):
    """The values that follow from clauses in words, by looking up until nothing new follows."""
    known = {}
    for _ in clauses:
        for operation, refers, name in clauses:
            value = refers if refers in chains.VALUES else known.get(refers)
            if value:
                same = operation == "as"
                known[name] = value if same else chains.VALUES[1 - chains.VALUES.index(value)]
    return known


def test_the_truth_is_what_looking_up_gives_whatever_the_order(source, vocabulary):
    tokenizer = loading.load(source)[1]
    drawn = chains.draw(vocabulary, 40, 6, np.random.default_rng(0))
    for row in range(40):
        first, second = spelled(tokenizer, drawn, row, 0), spelled(tokenizer, drawn, row, 1)
        assert sorted(first) == sorted(second)
        known = solve(first)
        assert [chains.VALUES[value] for value in drawn.values[row]] == [known[name] for _, _, name in second]


def test_answers_are_read_at_the_last_word_of_each_clause_and_positions_follow_the_chain(source, vocabulary):
    tokenizer = loading.load(source)[1]
    drawn = chains.draw(vocabulary, 5, 6, np.random.default_rng(1))
    for row in range(5):
        said = spelled(tokenizer, drawn, row, 1)
        read_at = drawn.ids[row, drawn.answer_positions]
        assert [tokenizer.decode([token]).strip() for token in read_at] == [clause[2] for clause in said]
        by_position = [said[clause] for clause in np.argsort(drawn.positions[row])]
        assert by_position[0][1] in chains.VALUES
        assert all(later[1] == earlier[2] for earlier, later in pairwise(by_position))


def test_behind_a_broken_link_nothing_follows(source, vocabulary):
    tokenizer = loading.load(source)[1]
    drawn = chains.draw(vocabulary, 10, 6, np.random.default_rng(2), broken=2)
    for row in range(10):
        assert len(solve(spelled(tokenizer, drawn, row, 0))) == 2


def test_values_are_even_and_positions_cannot_be_told_by_place(vocabulary):
    drawn = chains.draw(vocabulary, 4000, 6, np.random.default_rng(3))
    assert drawn.values.mean() == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(drawn.positions[:, 0], drawn.positions[:, 1])[0, 1] == pytest.approx(-0.2, abs=0.05)


def test_the_patterns_to_mimic_look_at_the_clause_and_at_equal_words():
    local, same = method.targets(torch.tensor([[0, 5, 6, 7, 6, 5, 6]]))
    assert local[4].tolist() == pytest.approx([0, 0, 1 / 7, 2 / 7, 4 / 7, 0, 0])
    assert same[0, 6].tolist() == [0, 0, 0.5, 0, 0.5, 0, 0]
    assert same[0, 3].sum() == 0


def test_mimicking_brings_the_heads_nearer_to_the_patterns(source, vocabulary):
    drawn = chains.draw(vocabulary, 30, 4, np.random.default_rng(4))
    before = models.build(loading.load(source)[0].config, 1)
    after = models.build(before.config, 1)
    method.mimic(after, vocabulary, replace(SMALL, mimic=60), np.random.default_rng(5))
    scores = results.head_scores({"before": before, "after": after}, drawn)
    values = scores.set_index(["model", "score", "layer", "head"])["value"]
    for layer in range(2):
        assert values["after", "association", layer, 1] > values["before", "association", layer, 1] + 0.1
        assert values["after", "manipulation", layer, 0] > values["before", "manipulation", layer, 0] + 0.1


def test_a_training_learns_the_first_position_and_a_finished_one_is_kept(source, tmp_path, monkeypatch):
    sizes = replace(SMALL, steps=150)
    logged = []
    sizes = replace(sizes, depths=())
    monkeypatch.setattr(method, "ARMS", ("scratch",))
    arguments = (tmp_path, source, sizes, 0, lambda **row: logged.append(row))
    method.train_all(*arguments)
    fitted, checks = results.load(tmp_path, ["scratch"])
    frame = results.accuracies(checks, sizes)
    last = frame[frame["step"] == 150].set_index("position")
    assert last.loc[1, "low"] > 0.6
    assert len(logged) == method.CHECKS
    written = (tmp_path / "scratch" / "checks.npy").stat().st_mtime_ns
    method.train_all(*arguments)
    assert (tmp_path / "scratch" / "checks.npy").stat().st_mtime_ns == written
    assert len(logged) == method.CHECKS
    tokenizer = loading.load(source)[1]
    explorer = views.try_chains(fitted, tokenizer, replace(sizes, n=4))
    shown = explorer.draw("scratch", 3).record["sentence"]
    assert "of 4 clauses" in shown


def test_links_are_broken_at_every_trained_position_but_the_first(source, vocabulary):
    model = loading.load(source)[0]
    lost = results.broken_links({"untrained": model}, vocabulary, replace(SMALL, n_train=3), seed=0)
    assert lost["position"].tolist() == [2, 3]
    assert lost["value"].between(0.2, 0.8).all()


def test_a_shallower_model_of_the_same_kind_is_built(source):
    story = loading.load(source)[0]
    assert method.fresh(story, 1, 0).config.num_hidden_layers == 1
    assert method.fresh(story, None, 0).config.num_hidden_layers == 2


def test_what_cannot_be_trained_is_one_sentence(source):
    params = SimpleNamespace(profile="quick", n_clauses=None, n_train=6, n_steps=None)
    with pytest.raises(UserError, match="n_train=6 must be below the 6"):
        method.choose_sizes(params)
    with pytest.raises(UserError, match="n_steps=3"):
        method.choose_sizes(SimpleNamespace(profile="quick", n_clauses=None, n_train=None, n_steps=3))
    with pytest.raises(UserError, match="Chains of 30 need"):
        method.check(source, replace(SMALL, n=30))
    with pytest.raises(UserError, match="context of 64"):
        method.check(source, replace(SMALL, n=12))


def test_claims_are_positive_where_the_paper_is_right():
    rng = np.random.default_rng(0)

    def checks(rates):
        return rng.random((method.CHECKS, 60, 4)) < np.array(rates)

    published = {
        "scratch": checks([0.9, 0.5, 0.5, 0.5]),
        "stories": checks([1, 0.8, 0.5, 0.5]),
        "mimicking": checks([1, 0.95, 0.5, 0.5]),
        "1 layer": checks([0.9, 0.5, 0.5, 0.5]),
        "2 layers": checks([1, 0.95, 0.5, 0.5]),
    }
    assert all(claim.low > 0 for claim in results.claims(published, SMALL))
    turned = dict(zip(published, reversed(published.values()), strict=True))
    effects = {claim.name: claim.effect for claim in results.claims(turned, SMALL)}
    assert effects["layers-bound-steps"] < 0
    assert effects["mimicking-speeds-up"] == pytest.approx(0, abs=0.1)
