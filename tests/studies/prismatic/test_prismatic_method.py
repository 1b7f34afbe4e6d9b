"""Prismatic Synthesis: gates, rules and reasons to stop, with planted clusters and on the grammar."""

import zlib

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import problems
from workbench.engine import models
from workbench.engine.gradients.kmeans import spherical_kmeans
from workbench.engine.gradients.per_example import sketch
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures.vendi import vendi_from_features
from workbench.studies.prismatic import generators, method, selection, vectors
from workbench.studies.prismatic.items import Candidate, Item
from workbench.studies.prismatic.method import Growth, grow
from workbench.studies.prismatic.selection import outliers, rule, sparse
from workbench.studies.prismatic.tasks import LogicTask, WordTask

torch.set_num_threads(1)
WORDS = (
    "harbour",
    "orchard",
    "library",
    "kitchen",
    "stable",
    "museum",
    "bakery",
    "station",
    "garden",
    "market",
)
WORDS += ("quarry", "chapel", "attic")  # the attic is not in the pool


def problem(place, number):
    thing = f"{WORDS[place]} lamps"
    return f"The {WORDS[place]} keeper counts {number} {thing}. How many {thing} are there?"


def item(place, number, name=None):
    return Item(name or f"p{place}-{number}", problem(place, number), str(number), str(number), str(place), 0)


def candidate(place, number):
    return Candidate(problem(place, number), str(place), (str(number),) * 3, (str(number),) * 3)


def directions(items, spread=0.8):
    """Each place has a direction of its own; each text lies about it."""
    rows = []
    for each in items:
        rng = np.random.default_rng(zlib.crc32(each.problem.encode()))
        rows.append(np.eye(64)[WORDS.index(each.problem.split()[1])] + spread * rng.normal(size=64) / 8)
    rows = np.array(rows)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tight(items):
    return directions(items, spread=0.1)


def skewed(counts=(40, 20, 6, 4, 3, 3, 2, 2, 2, 2, 2, 2)):
    return [item(place, number) for place, count in enumerate(counts) for number in range(count)]


def imitate(seeds, n, seed):
    """Mostly the example's place, at times a popular one."""
    found = []
    for index in range(n):
        rng = np.random.default_rng([seed, index])
        place = int(seeds[rng.integers(len(seeds))].source) if rng.random() < 0.7 else int(rng.integers(2))
        found.append(candidate(place, int(rng.integers(1_000, 10**8))))
    return found


def flood(place):
    def generate(seeds, n, seed):
        rng = np.random.default_rng(seed)
        return [candidate(place, int(rng.integers(1_000, 10**8))) for _ in range(n)]

    return generate


def hardness(items):
    """Longer numbers are harder."""
    return np.array([float(len(each.answer)) for each in items])


GROWTH = Growth(target=240, per_round=60, fraction=0.14, duplicate=0.99, outlier=0.0)


# ------------------------------------------------------------------------------- rules
def test_sparse_clusters_are_the_smallest_share_and_their_ties():
    assert sparse(np.bincount([0, 0, 0, 1, 1, 2]), 0.5).tolist() == [False, False, True]
    assert sparse(np.array([4, 4, 4, 4]), 0.5).all()
    assert sparse(np.array([3, 2, 1]), 1.0).all()
    assert sparse(np.array([1, 1, 1, 9]), 0.25).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("answers", "kept"),
    [("abc", []), ("aab", [0, 1]), ("aba", [0, 2]), ("aaa", [0, 1, 2]), ("aabb", []), ("", [])],
)
def test_solutions_that_disagree_are_dropped(answers, kept):
    assert selection.majority(list(answers), 2) == kept


def test_attempts_without_an_answer_do_not_agree_with_each_other():
    assert selection.majority([None, None, "7"], 2) == []
    assert selection.majority(["a", "b", "c"], 1) == []  # any threshold: contradictions never all win


def test_growing_where_the_pool_is_thin_raises_g_vendi_above_random_growth_at_equal_size():
    for seed in range(3):
        pools, ends = {}, {}
        for arm in ("prismatic", "random"):
            pools[arm], _, rounds = grow(arm, skewed(), imitate, directions, GROWTH, seed=seed)
            ends[arm] = rounds.iloc[-1]
        assert len(pools["prismatic"]) == len(pools["random"]) == 240
        assert ends["prismatic"]["g_vendi"] > ends["random"]["g_vendi"] * 1.05
        assert ends["prismatic"]["g_vendi_equal"] > ends["random"]["g_vendi_equal"] * 1.05


def test_a_flood_of_one_sparse_cluster_fills_its_quota_and_no_more():
    growth = Growth(target=600, per_round=200, fraction=0.14, most_rounds=1, duplicate=0.99, outlier=0.0)
    let_in = {}
    for arm in ("prismatic", "paper"):
        _, decisions, _ = grow(arm, skewed(), flood(11), directions, growth)
        let_in[arm] = (decisions["decision"] == "accepted").sum()
    assert let_in["paper"] > 190
    assert 0 < let_in["prismatic"] < 20


def test_of_equal_clusters_all_are_open_and_who_comes_first_wins():
    admit = rule("prismatic", np.array([3, 3, 3, 3]), np.array([0, 0, 1, 1, 2, 3, 2, 0]), 0.5, None)
    assert [admit(at)[0] for at in range(8)] == [True, False, True, False, True, True, True, True]


def test_examples_come_from_thin_clusters_but_for_the_arms_that_take_the_whole_pool():
    shown = {}
    for arm in method.ARMS[:3]:
        grow(arm, skewed(), lambda seeds, n, seed, arm=arm: shown.update({arm: seeds}) or [], tight, GROWTH)
        assert len(shown[arm]) == GROWTH.per_round
    crowded = {arm: np.mean([each.source in ("0", "1") for each in seeds]) for arm, seeds in shown.items()}
    assert crowded["prismatic"] == 0
    assert crowded["paper"] == crowded["random"] == pytest.approx(60 / 88, abs=0.15)
    assert len({each.source for each in shown["prismatic"]}) >= 6


def test_an_outlier_is_farther_from_all_centroids_than_the_pool_is_without_itself():
    rng = np.random.default_rng(0)
    known, new = tight(skewed()), rng.normal(size=(40, 64)) + 4 * np.eye(64)[rng.integers(12, size=40)]
    known = np.concatenate([known, -np.eye(64)[:1]])  # alone, and opposite to a cluster
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    crowds = spherical_kmeans(known, 13, seed=0)
    usual = []
    for at, row in enumerate(known):
        centroids = [
            known[(crowds.labels == cluster) & (np.arange(len(known)) != at)].sum(0) for cluster in range(13)
        ]
        usual.append(max(row @ each / np.linalg.norm(each) for each in centroids if each.any()))
    closest = (new @ crowds.centroids.T).max(1)
    for quantile in (0.0, 0.02, 0.5):
        assert (outliers(known, crowds, new, quantile) == (closest < np.quantile(usual, quantile))).all()
    assert outliers(known, crowds, new, 0.02).sum() > 0


def test_what_is_hard_is_let_in_and_shown_by_perplexity_alone():
    shown = []

    def generate(seeds, n, seed):
        shown.extend(seeds)
        return [candidate(11, number) for number in (50, 60_000, 70, 800_000)]

    growth = Growth(target=200, per_round=4, most_rounds=1, duplicate=0.999, outlier=0.0)
    pool = [item(place, 10_000 if place % 2 else 1) for place in range(12)]
    _, decisions, _ = grow("perplexity", pool, generate, directions, growth, losses=hardness)
    assert decisions["reason"].tolist() == ["easy", "hard", "easy", "hard"]
    assert {each.answer for each in shown} == {"10000"}


def test_another_proxy_scores_what_the_first_selects():
    grown, _, rounds = grow("prismatic", skewed(), imitate, directions, GROWTH, scorer=tight)
    same, _, own = grow("prismatic", skewed(), imitate, directions, GROWTH)
    assert grown == same
    assert rounds["g_vendi"].iloc[-1] == pytest.approx(vendi_from_features(tight(grown)), rel=1e-6)
    assert own["g_vendi"].iloc[-1] == pytest.approx(vendi_from_features(directions(same)), rel=1e-6)


def test_readings_take_rows_and_losses_of_an_item_once():
    asked = []

    def read(items):
        asked.extend(items)
        return directions(items), hardness(items)

    readings = vectors.Readings(read)
    few, more = [item(0, 1), item(1, 20)], [item(1, 20), item(2, 300)]
    assert np.array_equal(readings(few), directions(few))
    assert readings.losses(more).tolist() == [2, 3]
    assert np.array_equal(readings(more), directions(more))
    assert len(asked) == 3


# ------------------------------------------------------------------------------- gates and log
def test_every_candidate_has_one_decision_with_its_reason():
    pool = skewed()

    def mixed(seeds, n, seed):
        twice = candidate(7, 5_000)
        return [
            Candidate("hm", "sampler", readable=False),
            Candidate(problem(3, 9), "3", ("1", "2", "3"), ("1", "2", "3")),
            candidate(0, 0),
            twice,
            twice,
            Candidate(problem(8, 6_000), "8", ("5", "6 or so: 5", "7"), ("5", "5", "7")),
            candidate(12, 7_000),
            candidate(0, 8_000),
        ]

    growth = Growth(target=200, per_round=8, fraction=0.14, most_rounds=1, duplicate=0.99)
    grown, decisions, rounds = grow("prismatic", pool, mixed, directions, growth)
    assert decisions["reason"].tolist() == [
        "not readable", "no agreement", "same text", "sparse cluster", "same text", "sparse cluster",
        "outlier", "dense cluster",
    ]  # fmt: skip
    assert decisions["like"].tolist()[2] == pool[0].id
    assert decisions["like"].tolist()[4] == decisions["id"].tolist()[3]
    assert (decisions["decision"] == "accepted").sum() == rounds["accepted"].sum() == len(grown) - len(pool)
    assert len(decisions) == rounds["proposed"].sum()
    assert grown[-1].answer == grown[-1].solution == "5"
    assert decisions["answer"][1] == "1, 2, 3"
    assert (decisions["cluster"] < 0).tolist() == [True, True] + [False] * 6


def test_a_candidate_close_to_one_of_its_own_batch_is_a_duplicate():
    def close(seeds, n, seed):
        return [candidate(11, 1_000 + index) for index in range(n)]

    growth = Growth(target=200, per_round=5, fraction=0.14, most_rounds=1, duplicate=0.9, outlier=0.0)
    thin = [each for each in skewed() if each.source != "11"] + [item(12, 0)]
    _, decisions, _ = grow("random", thin, close, tight, Growth(**{**vars(growth), "ratio": 1.0}))
    assert decisions["reason"].tolist() == ["lot"] + ["near duplicate"] * 4
    assert (decisions["like"][1:] == decisions["id"][0]).all()


def test_equal_seeds_give_equal_tables_and_other_seeds_do_not():
    first, second, other = (
        grow("prismatic", skewed(), imitate, directions, GROWTH, seed=s) for s in (5, 5, 6)
    )
    assert first[0] == second[0]
    pd.testing.assert_frame_equal(first[1], second[1])
    pd.testing.assert_frame_equal(first[2], second[2])
    assert first[0] != other[0]


def test_a_killed_run_goes_on_behind_its_last_round(run):
    written = []

    def counted(seeds, n, seed):
        written.append(seed)
        if len(written) == 3:
            raise KeyboardInterrupt
        return imitate(seeds, n, seed)

    with pytest.raises(KeyboardInterrupt):
        grow("prismatic", skewed(), counted, directions, GROWTH, keep=run.table)
    grown = grow("prismatic", skewed(), counted, directions, GROWTH, keep=run.table)
    assert len(written) == len(grown[2])  # the round that was killed is the only one done twice
    whole = grow("prismatic", skewed(), imitate, directions, GROWTH)
    assert grown[0] == whole[0]
    pd.testing.assert_frame_equal(grown[1], whole[1], check_dtype=False)
    pd.testing.assert_frame_equal(grown[2], whole[2], check_dtype=False)


def test_a_grown_pool_can_grow_on():
    grown, _, rounds = grow("prismatic", skewed(), imitate, directions, GROWTH)
    more, _, later = grow("prismatic", grown, imitate, directions, Growth(**{**vars(GROWTH), "target": 300}))
    assert later["round"].tolist()[0] == rounds["round"].tolist()[-1]
    assert len({each.id for each in more}) == len(more) == 300


# ------------------------------------------------------------------------------- reasons to stop
@pytest.mark.parametrize(
    ("changed", "generate", "reason"),
    [
        ({}, imitate, "target reached"),
        ({"most_rounds": 2}, imitate, "last round"),
        ({"least_accepted": 0.9}, imitate, "few accepted"),
        ({"least_gain": 1e6}, imitate, "little gain"),
        ({}, lambda seeds, n, seed: [], "no candidates"),
        ({}, lambda seeds, n, seed: [Candidate("?", "sampler", readable=False)] * n, "few accepted"),
        ({}, lambda seeds, n, seed: [candidate(0, 0)] * n, "few accepted"),
    ],
)
def test_growth_stops_with_its_reason(changed, generate, reason):
    _, decisions, rounds = grow(
        "prismatic", skewed(), generate, directions, Growth(**{**vars(GROWTH), **changed})
    )
    assert rounds["stopped"].tolist() == [""] * (len(rounds) - 1) + [reason]
    assert len(decisions) == rounds["proposed"].sum()


def test_no_arm_grows_past_its_target_and_the_rest_of_the_round_says_so():
    growth = Growth(**{**vars(GROWTH), "target": 95})
    for arm in method.ARMS:
        grown, decisions, rounds = grow(arm, skewed(), imitate, directions, growth, losses=hardness)
        assert len(grown) == rounds["n"].iloc[-1] == 95
        assert "target reached" in set(decisions["reason"])


@pytest.mark.parametrize("arm", method.ARMS)
def test_one_example_is_enough_to_start(arm):
    growth = Growth(target=6, per_round=20, outlier=0.0)
    grown, _, _ = grow(arm, [item(0, 1)], imitate, directions, growth, losses=hardness)
    assert 1 <= len(grown) <= 6


@pytest.mark.parametrize(
    ("arm", "pool", "changed", "words"),
    [
        ("prism", None, {}, "no arm"),
        ("perplexity", None, {}, "losses"),
        ("prismatic", [], {}, "empty"),
        ("prismatic", [item(0, 1, "a"), item(0, 2, "a")], {}, "same id"),
        ("prismatic", None, {"target": 10}, "larger target"),
        ("prismatic", None, {"agree": 4}, "attempts"),
        ("prismatic", None, {"agree": 0}, "agree"),
        ("prismatic", None, {"ratio": 0.0}, "ratio"),
        ("prismatic", None, {"outlier": 1.0}, "outlier"),
    ],
)
def test_settings_that_cannot_be_met_are_refused_in_a_sentence(arm, pool, changed, words):
    with pytest.raises(UserError, match=words):
        grow(
            arm,
            skewed() if pool is None else pool,
            imitate,
            directions,
            Growth(**{**vars(GROWTH), **changed}),
        )


def test_vectors_that_are_not_unit_are_a_mistake():
    with pytest.raises(ValueError, match="unit length"):
        grow("prismatic", skewed(), imitate, lambda items: np.full((len(items), 3), np.nan), GROWTH)


# ------------------------------------------------------------------------------- the grammar as generator
TASK = WordTask()


@pytest.fixture(scope="module")
def drawn():
    return TASK.draw(60, 0, TASK.structures[::9], range(32))


def test_the_grammar_keeps_structure_and_wording_apart_by_the_shares_it_states():
    task = LogicTask()
    (example,) = task.draw(1, 0, task.structures, [77])
    written = generators.from_grammar(task, slip=0.0)([example], 1_500, 0)
    fresh = [each for each in written if not each.problem.endswith(example.problem)]
    same = np.array([(each.source == example.source, each.wording == 77) for each in fresh])
    for kept, share in zip(same.mean(0), (generators.SAME, generators.SAME_WORDING), strict=True):
        assert kept == pytest.approx(share, abs=0.04)
    assert np.corrcoef(same.T)[0, 1] == pytest.approx(0, abs=0.08)
    assert {each.source for each in written} <= set(task.structures)
    assert all(answer == each.answers[0] for each in written for answer in each.answers)


def test_a_slip_of_the_house_names_somebody_else():
    task = LogicTask()
    examples = task.draw(20, 0, task.structures, range(128))
    written = generators.from_grammar(task, slip=0.3)(examples, 300, 0)
    right = generators.from_grammar(task, slip=0.0)(examples, 300, 0)
    truth = {each.problem: each.answers[0] for each in right}
    wrong = [
        answer != truth[each.problem] for each in written for answer in each.answers if each.problem in truth
    ]
    assert len(wrong) > 100
    assert np.mean(wrong) == pytest.approx(0.3, abs=0.08)


def test_the_grammar_imitates_its_examples_by_the_shares_it_states(drawn):
    example = drawn[0]
    written = generators.from_grammar(TASK, slip=0.0)([example], 1_500, 0)
    repeated = [each for each in written if each.problem.endswith(example.problem)]
    fresh = [each for each in written if not each.problem.endswith(example.problem)]
    halves = [len(set(each.source.split("/")) & set(example.source.split("/"))) for each in fresh]
    same, related = np.mean(np.equal(halves, 2)), np.mean(np.equal(halves, 1))
    assert len(repeated) / len(written) == pytest.approx(generators.REPEATED, abs=0.03)
    assert same == pytest.approx(generators.SAME, abs=0.04)
    assert related == pytest.approx(generators.RELATED, abs=0.04)
    assert {each.source for each in written} <= set(TASK.structures)
    assert len({each.problem for each in fresh}) > 0.9 * len(fresh)


def test_the_grammars_solver_is_right_but_for_its_slips(drawn):
    written = generators.from_grammar(TASK, attempts=3, slip=0.2)(drawn, 600, 0)
    right = {each.problem: each for each in generators.from_grammar(TASK, slip=0.0)(drawn, 600, 0)}
    pairs = [(each, right[each.problem].answers[0]) for each in written]
    wrong = np.mean([answer != truth for each, truth in pairs for answer in each.answers])
    assert wrong == pytest.approx(0.2, abs=0.03)
    kept = [
        (each, places[0], truth) for each, truth in pairs if (places := selection.majority(each.answers, 2))
    ]
    after = np.mean([each.answers[place] != truth for each, place, truth in kept])
    assert after < 0.05  # the rule mends most, and cannot see two slips that agree


def test_a_candidate_of_the_grammar_depends_on_its_place_and_the_seed_alone(drawn):
    generate = generators.from_grammar(TASK)
    assert generate(drawn, 30, 4)[:10] == generate(drawn, 10, 4)
    assert generate(drawn, 10, 4) != generate(drawn, 10, 5)
    assert generate([], 10, 0) == []


@pytest.mark.parametrize("arm", method.ARMS)
def test_every_arm_grows_the_grammars_pool(drawn, arm):
    growth = Growth(target=90, per_round=48)
    writes = generators.from_grammar(TASK, slip=0.2)
    grown, decisions, rounds = grow(arm, drawn, writes, vectors.by_ngrams, growth, losses=hardness)
    assert len(grown) == 90
    assert {"no agreement", "same text"} <= set(decisions["reason"])
    assert decisions.groupby("round").size().tolist() == rounds["proposed"].tolist()[1:]
    assert not {each.source for each in grown} & set(problems.templates(held_out=True))


def test_gradients_of_a_model_drive_the_loop_and_are_taken_once_an_item(drawn):
    tokenizer = models.train_tokenizer([each.problem for each in drawn], 400)
    model = models.build(models.config("tiny:0.1M", len(tokenizer), context=256), 0)
    asked = []

    def gradients(items):
        asked.extend(items)
        pairs = [(each.problem, " " + each.solution) for each in items]
        return sketch(model, tokenizer, pairs, dimension=128).vectors

    growth = Growth(target=90, per_round=30, most_rounds=3)
    grown, decisions, rounds = grow("prismatic", drawn, generators.from_grammar(TASK), gradients, growth)
    assert len(asked) == len({(each.problem, each.solution) for each in asked})
    assert rounds["g_vendi"].iloc[-1] == pytest.approx(vendi_from_features(gradients(grown)), rel=1e-3)
    assert decisions["similarity"].between(-1, 1).sum() == (decisions["cluster"] >= 0).sum() > 0


# ------------------------------------------------------------------------------- a sampler as generator
class Scripted(Sampler):
    """A sampler that answers requests for problems and for solutions from two lists, in turn."""

    def __init__(self, written, solved, ended="stop"):
        self.written, self.solved, self.ended, self.prompts = written, solved, ended, []

    def sample(self, prompts, params):
        self.prompts += prompts
        lines = iter(self.written if all(each.endswith("Problem:") for each in prompts) else self.solved)
        return [[Completion(next(lines), [], [], self.ended) for _ in range(params.n)] for _ in prompts]


ASKED = "Ann has 3 pens and buys 4 more pens. How many pens has she?"


@pytest.mark.parametrize(
    "written",
    [
        ASKED,
        f" {ASKED}\n",
        f"Problem: {ASKED}",
        f"**Problem:** {ASKED}",
        f"Sure, here is one:\n\nProblem: {ASKED}",
        f"{ASKED}\n\nAnswer: 7",
        f"{ASKED}\nSolution: 3 + 4 = 7",
    ],
)
def test_problems_are_read_in_whatever_dress_they_come(drawn, written):
    solved = ["3 + 4 = 7. The answer is 7.", "So she has 7.00 pens", "no idea"]
    sampler = Scripted([written], solved)
    (found,) = generators.from_sampler(sampler)(drawn, 1, 0)
    assert found.readable
    assert found.problem == ASKED
    assert found.answers == ("7", "7", None)
    assert sum(each.problem in sampler.prompts[0] for each in drawn) >= 4
    assert ASKED in sampler.prompts[1]


def test_what_is_no_problem_or_was_cut_off_is_not_read(drawn):
    for rubbish in ("", "?", "how?", "There was a cat and it sat on many a mat.", "Sure, here is one:"):
        (found,) = generators.from_sampler(Scripted([rubbish], []))(drawn, 1, 0)
        assert not found.readable
    (found,) = generators.from_sampler(Scripted([ASKED + " And how"], [], ended="length"))(drawn, 1, 0)
    assert not found.readable
    (found,) = generators.from_sampler(Scripted([ASKED], ["7"] * 3, ended="length"))(drawn, 1, 0)
    assert found.answers == (None,) * 3


def test_an_untrained_model_as_sampler_brings_nothing_in_and_breaks_nothing(drawn):
    tokenizer = models.train_tokenizer([each.problem for each in drawn], 400)
    config = models.config("tiny:0.1M", len(tokenizer), context=512)
    sampler = TransformersSampler(models.build(config, 0), tokenizer)
    generate = generators.from_sampler(sampler, shots=2, max_tokens=24)
    grown, decisions, rounds = grow("prismatic", drawn, generate, vectors.by_ngrams, Growth(100, per_round=6))
    assert grown == drawn
    assert len(decisions) == 6
    assert set(decisions["reason"]) <= {"not readable", "no agreement"}
    assert rounds["stopped"].iloc[-1] == "few accepted"


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("3 + 4 = 7. The answer is 7.", "7"),
        ("that makes 1,250 pens", "1250"),
        ("10-2", None),
        ("x = -2", "-2"),
        ("half of it: 1/2", "1/2"),
        ("$3.50", "7/2"),
        ("3/0", None),
        ("none at all", None),
    ],
)
def test_the_answer_is_the_last_number_exactly(solution, answer):
    assert TASK.read(solution) == answer


@pytest.mark.parametrize(
    "make",
    [
        lambda: generators.from_grammar(TASK, attempts=0),
        lambda: generators.from_grammar(TASK, slip=1.5),
        lambda: generators.from_sampler(None, shots=0),
        lambda: generators.from_sampler(None, attempts=0),
    ],
)
def test_generators_refuse_what_cannot_be(make):
    with pytest.raises(UserError, match="choose"):
        make()
