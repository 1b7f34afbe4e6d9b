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
SMALL = method.Sizes(
    n=4, n_train=2, steps=24, mimic=3, batch=8, tested=60, depths=(1, 2), learning_rate=5e-4, rung="0.1M",
    seeds=2, processes=1,
)  # fmt: skip


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
    sizes = replace(SMALL, steps=150, depths=(), seeds=1)
    logged = []
    monkeypatch.setattr(method, "ARMS", ("scratch",))
    sources = method.StoryModels(str(source), "")
    arguments = (tmp_path, sources, sizes, 0, lambda **row: logged.append(row))
    assert list(method.train_all(*arguments)) == [0]
    fitted, checks = results.load(tmp_path, {"scratch": "scratch"}, [0])
    frame = results.accuracies(checks, sizes, [0])
    last = frame[frame["step"] == 150].set_index("position")
    assert last.loc[1, "low"] > 0.6
    assert results.over_trainings(frame).equals(frame)
    assert len(logged) == method.CHECKS
    written = (tmp_path / "seed-0" / "scratch" / "checks.npy").stat().st_mtime_ns
    method.train_all(*arguments)
    assert (tmp_path / "seed-0" / "scratch" / "checks.npy").stat().st_mtime_ns == written
    assert len(logged) == method.CHECKS
    tokenizer = loading.load(source)[1]
    explorer = views.try_chains(fitted, tokenizer, replace(sizes, n=4))
    shown = explorer.draw("scratch", 3).record["sentence"]
    assert "of 4 clauses" in shown


@pytest.fixture(scope="module")
def two_seeds(source, tmp_path_factory):
    """Every arm and depth, trained with the seeds 3 and 4; and as a placebo."""
    folders, few = {}, replace(SMALL, steps=12, tested=20)
    for placebo in (False, True):
        folders[placebo] = tmp_path_factory.mktemp("arms")
        sources = method.StoryModels(str(source), "")
        method.train_all(folders[placebo], sources, few, 3, lambda **row: None, placebo=placebo)
    return sources, folders


def test_every_arm_of_every_seed_is_trained_and_the_arms_own_depth_only_once(two_seeds):
    sources, folders = two_seeds
    assert sources.depths(SMALL) == {"1 layer": "1 layer", "2 layers": "mimicking"}
    for seed in (3, 4):
        trained = {folder.name for folder in (folders[False] / f"seed-{seed}").iterdir()}
        assert trained == {"scratch", "stories", "mimicking", "1-layer"}
    names = {arm: arm for arm in method.ARMS} | sources.depths(SMALL)
    fitted, checks = results.load(folders[False], names, [3, 4])
    assert fitted["1 layer"].config.num_hidden_layers == 1
    frame = results.accuracies(checks, replace(SMALL, steps=12), [3, 4])
    assert set(frame["seed"]) == {3, 4}
    shown = results.over_trainings(frame)
    assert set(shown["n"]) == {2}
    chosen = frame.query("model == 'scratch' and step == 12 and position == 1")["value"]
    assert shown.query("model == 'scratch' and step == 12 and position == 1")["value"].item() == (
        pytest.approx(chosen.mean())
    )


def test_arms_of_a_seed_read_and_are_asked_the_same(source, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(method, "mimic", lambda *_: None)
    answers = method.answers
    monkeypatch.setattr(
        method, "answers", lambda model, chains, _: (read.append(chains.ids), answers(model, chains, _))[1]
    )
    sources, of_arm = method.StoryModels(str(source), ""), {}
    for arm in method.ARMS:
        read.clear()
        (tmp_path / arm).mkdir()
        method.train_arm(
            sources, replace(SMALL, steps=12), "cpu", tmp_path / arm, arm, 5, log=lambda row: None
        )
        of_arm[arm] = np.concatenate(read)
    assert np.array_equal(of_arm["scratch"], of_arm["stories"])
    assert np.array_equal(of_arm["scratch"], of_arm["mimicking"])


def test_a_placebo_trains_all_from_scratch_with_seeds_of_their_own(two_seeds):
    _, folders = two_seeds
    ids = {arm: loading.load(folders[True] / "seed-3" / arm, "cpu")[0] for arm in ("scratch", "1-layer")}
    assert ids["1-layer"].config.num_hidden_layers == 2
    weights = [model.model.embed_tokens.weight for model in ids.values()]
    assert not torch.equal(*weights)
    same = [loading.load(folder / "seed-3" / "scratch", "cpu")[0].model.embed_tokens.weight
            for folder in folders.values()]  # fmt: skip
    assert torch.equal(*same)  # the control is what it is without a placebo


def test_the_story_model_of_a_seed_is_that_of_the_ladder(tmp_path):
    ladder = method.StoryModels("ladder", "0.1M", tmp_path)
    assert ladder.of(3) == str(tmp_path / "seed-3" / "0.1M")
    assert method.StoryModels("tiny:1M", "0.1M", tmp_path).of(3) == str(tmp_path / "seed-3" / "1M")
    assert method.StoryModels("starter", "0.1M").of(3) == "starter"


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
    params = {
        "profile": "quick",
        "n_clauses": None,
        "n_train": None,
        "n_steps": None,
        "seeds": None,
        "model": "ladder",
    }
    with pytest.raises(UserError, match="n_train=6 must be below the 5"):
        method.choose_sizes(SimpleNamespace(**params | {"n_train": 6}))
    with pytest.raises(UserError, match="n_steps=3"):
        method.choose_sizes(SimpleNamespace(**params | {"n_steps": 3}))
    assert method.choose_sizes(SimpleNamespace(**params | {"seeds": 7})).seeds == 7
    assert method.choose_sizes(SimpleNamespace(**params | {"model": "starter"})).learning_rate == 5e-4
    with pytest.raises(UserError, match="Chains of 30 need"):
        method.check(source, replace(SMALL, n=30))
    with pytest.raises(UserError, match="context of 64"):
        method.check(source, replace(SMALL, n=12))


@pytest.mark.parametrize(("seeds", "over", "n"), [(5, "trainings", 5), (2, "strings", 60)])
def test_claims_are_positive_where_the_paper_is_right(seeds, over, n):
    rng = np.random.default_rng(0)

    def checks(rates):
        return rng.random((seeds, method.CHECKS, 60, 4)) < np.array(rates)

    published = {
        "scratch": checks([0.9, 0.5, 0.5, 0.5]),
        "stories": checks([1, 0.8, 0.5, 0.5]),
        "mimicking": checks([1, 0.95, 0.5, 0.5]),
        "1 layer": checks([0.9, 0.5, 0.5, 0.5]),
        "2 layers": checks([1, 0.95, 0.5, 0.5]),
    }
    claims = results.claims(published, SMALL)
    assert all(claim.low > 0 for claim in claims)
    assert {(claim.over, claim.n, claim.trainings) for claim in claims} == {(over, n, seeds)}
    assert [claim.name for claim in claims if claim.headline] == ["mimicking-speeds-up"]
    assert len(results.claims(published, SMALL, placebo=True)) == 3
    turned = dict(zip(published, reversed(published.values()), strict=True))
    effects = {claim.name: claim.effect for claim in results.claims(turned, SMALL)}
    assert effects["layers-bound-steps"] < 0
    assert effects["mimicking-speeds-up"] == pytest.approx(0, abs=0.1)


def test_nothing_falls_where_nothing_was_learnt():
    guessed = np.random.default_rng(1).random((5, method.CHECKS, 60, 4)) < 0.5
    names = ("scratch", "stories", "mimicking", "1 layer", "2 layers")
    claims = {claim.name: claim for claim in results.claims(dict.fromkeys(names, guessed), SMALL)}
    assert claims["falls-past-trained-length"].verdict == "not testable here"
