"""05_lego: patterns of heads, trainings that are kept, and what cannot be trained."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.corpora import lego as corpus
from workbench.engine import loading, models
from workbench.errors import UserError
from workbench.studies.lego import method, mimicking, results, settings, story_models, views
from workbench.studies.lego.settings import CHECKS

torch.set_num_threads(1)
SMALL = settings.Sizes(
    n=3, n_train=2, steps=24, mimic=3, batch=8, tested=30, learning_rate=3e-3, layers=2, width=32,
    depths=(1, 2), stories=40, reading=2, seeds=2, depth_seeds=1,
)  # fmt: skip
QUIET = SimpleNamespace(log=lambda **row: None, row=lambda row: None)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return story_models.story_models("embedded", SMALL, tmp_path_factory.mktemp("lego") / "shape")


@pytest.fixture(scope="module")
def vocabulary(sources):
    return corpus.words(loading.read_config(sources.like)[1], SMALL.n)


def test_all_arms_have_the_shape_and_every_word_of_the_chains(sources):
    like, tokenizer = story_models.check(sources.like, SMALL)
    shape = like.config.num_hidden_layers, like.config.hidden_size, like.config.num_attention_heads
    assert shape == (2, 32, 4)
    assert method.arms_of(like, SMALL) == method.ARMS
    assert (len(corpus.words(tokenizer, 3).names), len(corpus.words(tokenizer, 12).names)) == (12, 25)


def test_a_causal_model_reads_both_ways_only_where_every_clause_stands_once(sources, vocabulary):
    model = loading.load(sources.like, "cpu")[0]
    for both_ways in (False, True):
        chains = corpus.draw(vocabulary, 1, 3, np.random.default_rng(0), both_ways=both_ways)
        before = method.answers(model, chains, vocabulary)
        chains.ids[0, -1] = vocabulary.names[-1]
        after = method.answers(model, chains, vocabulary)
        assert torch.equal(before[0, 0], after[0, 0]) != both_ways


def test_all_arms_are_causal_where_a_family_has_a_mask_of_its_own():
    model = models.build(models.config("tiny:0.1M", 300, "bloom", 1, 16), 0)
    assert method.arms_of(model, SMALL) == ("scratch", "stories", "mimicking")
    assert not method.sees_all("scratch", model)


def test_the_patterns_to_mimic_look_at_the_clause_and_at_equal_words():
    ids = torch.tensor([[0, 5, 6, 7, 6, 5, 6]])
    local, same = mimicking.targets(ids)
    assert local[4].tolist() == pytest.approx([0, 0, 1 / 7, 2 / 7, 4 / 7, 0, 0])
    assert same[0, 6].tolist() == [0, 0, 0.5, 0, 0.5, 0, 0]
    assert same[0, 3].sum() == 0
    local, same = mimicking.targets(ids, both_ways=True)
    assert local[4].tolist() == pytest.approx([0, 0, 0.1, 0.2, 0.4, 0.2, 0.1])  # the paper's 1, 2, 4, 2, 1
    assert same[0, 2].tolist() == [0, 0, 0, 0, 0.5, 0, 0.5]


@pytest.mark.parametrize("both_ways", [False, True])
def test_mimicking_brings_the_heads_nearer_to_the_patterns(sources, vocabulary, both_ways):
    name = method.SCRATCH if both_ways else method.CAUSAL
    before = models.build(loading.load(sources.like, "cpu")[0].config, 1)
    after = models.build(before.config, 1)
    mimicking.mimic(after, vocabulary, replace(SMALL, mimic=60), np.random.default_rng(5), both_ways)
    scores = {
        label: results.head_scores({name: model}, vocabulary, SMALL, 0).set_index(["score", "layer", "head"])
        for label, model in (("before", before), ("after", after))
    }
    gained = scores["after"]["value"] - scores["before"]["value"]
    for layer in range(2):
        assert gained["association", layer, 1] > 0.1
        assert gained["manipulation", layer, 0] > 0.1


def test_a_training_learns_the_first_position_and_a_finished_one_is_kept(sources, tmp_path):
    sizes = replace(SMALL, steps=120, depths=(), seeds=1)
    logged = []
    arguments = (tmp_path, sources, sizes, 0, lambda **row: logged.append(row))
    assert list(method.train_all(*arguments, arms=("scratch",))) == [0]
    fitted, checks = results.load(tmp_path, {"scratch": "scratch"}, [0])
    assert results.untrained(checks, [0]) == {}
    frame = results.accuracies(checks, sizes, [0])
    assert frame.query("step == 120 and position == 1 and asked == 'answer'")["low"].item() > 0.5
    assert results.over_trainings(frame).equals(frame)
    assert len(logged) == CHECKS
    written = (tmp_path / "seed-0" / "scratch" / "checks.npy").stat().st_mtime_ns
    method.train_all(*arguments, arms=("scratch",))
    assert (tmp_path / "seed-0" / "scratch" / "checks.npy").stat().st_mtime_ns == written
    assert len(logged) == CHECKS
    explorer = views.try_chains(fitted, loading.load(sources.like)[1], sizes)
    assert "of 6 clauses" in explorer.draw("scratch", 3).record["sentence"]


@pytest.fixture(scope="module")
def two_seeds(sources, tmp_path_factory):
    """Every arm and depth, trained with the seeds 3 and 4; and as a placebo."""
    folders, depths = {}, method.depths(loading.load(sources.like, "cpu")[0], SMALL)
    for placebo in (False, True):
        folders[placebo] = tmp_path_factory.mktemp("arms")
        about = {"depths": list(depths.values()), "placebo": placebo}
        method.train_all(folders[placebo], sources, SMALL, 3, QUIET.log, **about)
    return depths, folders


def test_every_arm_of_every_seed_is_trained_and_depths_with_the_first_seeds(two_seeds):
    depths, folders = two_seeds
    assert depths == {"1 layer": "1 layer", "2 layers": "mimicking"}
    for seed, more in ((3, {"1-layer"}), (4, set())):
        trained = {folder.name for folder in (folders[False] / f"seed-{seed}").iterdir()}
        assert trained == {arm.replace(" ", "-") for arm in method.ARMS} | more
    names = {arm: arm for arm in method.ARMS} | depths
    fitted, checks = results.load(folders[False], names, [3, 4])
    assert fitted["1 layer"].config.num_hidden_layers == 1
    assert {name: len(of) for name, of in checks.items()} == dict.fromkeys(names, 2) | {"1 layer": 1}
    frame = results.accuracies(checks, SMALL, [3, 4])
    shown = results.over_trainings(frame)
    at = "model == 'scratch' and step == 24 and position == 1 and asked == 'answer'"
    assert shown.query(at)["value"].item() == pytest.approx(frame.query(at)["value"].mean())
    assert shown.query(at)["n"].item() == 2


def test_a_story_model_is_trained_for_each_seed_and_removed_afterwards(two_seeds, sources, tmp_path):
    _, folders = two_seeds
    assert not list(folders[False].glob("seed-*/stories/.*"))
    of_seeds = [sources.of(seed, SMALL, "cpu", tmp_path / str(seed), QUIET.row) for seed in (3, 4)]
    assert not torch.equal(*[model.model.embed_tokens.weight for model in of_seeds])


def test_given_story_models_serve_the_seeds_by_turns(tmp_path, sources):
    given = story_models.StoryModels(sources.like, (sources.like, "no such folder"))
    assert given.of(2, SMALL, "cpu", tmp_path, QUIET.row).config.hidden_size == 32
    with pytest.raises(UserError, match="no such folder"):
        given.of(3, SMALL, "cpu", tmp_path, QUIET.row)
    for seed in (0, 1):
        (tmp_path / f"seed-{seed}" / "0.1M" / "model").mkdir(parents=True)
    by_ladder = story_models.story_models("tiny:0.1M", SMALL, tmp_path / "shape", tmp_path)
    assert by_ladder.given == tuple(str(tmp_path / f"seed-{seed}/0.1M/model") for seed in (0, 1))


def test_arms_of_a_seed_read_and_are_asked_the_same(sources, tmp_path, monkeypatch):
    read, answers, of_arm = [], method.answers, {}
    monkeypatch.setattr(method, "mimic", lambda *_: None)

    def noted(model, chains, vocabulary, **more):
        read.append(chains.values)
        return answers(model, chains, vocabulary, **more)

    monkeypatch.setattr(method, "answers", noted)
    for arm in method.ARMS:
        read.clear()
        (tmp_path / arm).mkdir()
        method.train_arm(sources, SMALL, "cpu", tmp_path / arm, arm, 5, log=QUIET.row)
        of_arm[arm] = np.concatenate(read)
    for arm in method.ARMS:
        assert np.array_equal(of_arm[arm], of_arm["scratch"])


def test_a_placebo_trains_all_from_scratch_with_seeds_of_their_own(two_seeds):
    _, folders = two_seeds

    def embedding(placebo, arm):
        model = loading.load(folders[placebo] / "seed-3" / arm, "cpu")[0]
        assert model.config.num_hidden_layers == (1 if arm == "1-layer" and not placebo else 2)
        return model.model.embed_tokens.weight

    assert not torch.equal(embedding(True, "scratch"), embedding(True, "1-layer"))
    assert torch.equal(embedding(True, "scratch"), embedding(False, "scratch"))  # the control stays


def test_links_are_broken_at_every_trained_position_but_the_first(sources, vocabulary):
    model = loading.load(sources.like, "cpu")[0]
    sizes = replace(SMALL, n_train=3, tested=100)
    lost = results.broken_links({"scratch": model, "causal": model}, vocabulary, sizes, seed=0)
    assert lost["position"].tolist() == [2, 2, 3, 3]
    assert lost["value"].between(0.05, 0.45).all()


def test_a_seed_that_has_learnt_nothing_is_left_out_for_all_arms():
    rng = np.random.default_rng(0)
    learnt = rng.random((3, CHECKS, 50, 2, 3, 2)) < 0.9
    guessed = learnt.copy()
    guessed[1] = rng.random(guessed[1].shape) < 0.2
    checks = {"scratch": learnt, "mimicking": guessed, "1 layer": learnt[:2]}
    failed = results.untrained(checks, [7, 8, 9])
    assert failed == {8: ["mimicking"]}
    assert "1 of 3 seeds are left out" in results.left_out(failed, 3)
    left, seeds = results.without(checks, [7, 8, 9], failed)
    assert seeds == [7, 9]
    assert {name: len(of) for name, of in left.items()} == {"scratch": 2, "mimicking": 2, "1 layer": 1}
    with pytest.raises(UserError, match="raise n_steps"):
        results.without(checks, [7, 8, 9], {7: ["scratch"], 8: ["scratch"], 9: ["scratch"]})
    assert results.left_out({}, 1) == "All trainings of 1 seed learnt the first position."


def test_what_cannot_be_trained_is_one_sentence(sources):
    given = {"profile": "quick", "n_clauses": None, "n_train": None, "n_steps": None, "seeds": None}
    given |= {"model": "embedded"}
    for changed, said in (
        ({"n_train": 6}, "n_train=6 must be from 2"),
        ({"n_train": 1}, "n_train=1 must be from 2"),
        ({"n_clauses": 3}, "below the 3 clauses"),
        ({"n_steps": 3}, "n_steps=3 is too few"),
        ({"seeds": 0}, "seeds=0 trains nothing"),
    ):
        with pytest.raises(UserError, match=said):
            settings.choose_sizes(SimpleNamespace(**given | changed))
    laptop = {"profile": "laptop", "seeds": 2}
    assert settings.choose_sizes(SimpleNamespace(**given | laptop)).depth_seeds == 2
    assert settings.choose_sizes(SimpleNamespace(**given | {"model": "starter"})).learning_rate == 5e-4
    for model in ("embedded", "ladder"):
        with pytest.raises(UserError, match="real-laptop looks into a model of yours"):
            settings.choose_sizes(SimpleNamespace(**given | {"profile": "real-laptop", "model": model}))
    yours = settings.choose_sizes(SimpleNamespace(**given | {"profile": "real-laptop", "model": "starter"}))
    assert yours.arms == ("scratch", "stories")
    with pytest.raises(UserError, match="chains of 30 need 61 names"):
        story_models.check(sources.like, replace(SMALL, n=30))
    with pytest.raises(UserError, match="145 tokens, more than the context of 128"):
        story_models.check(sources.like, replace(SMALL, n=12))
