"""What 09 measures and claims: facts and sets that are what they say, known correlations, students."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.corpora import logic
from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.loaders.solutions import load_rationales
from workbench.corpora.problems import templates
from workbench.engine import models
from workbench.engine.loading import load
from workbench.engine.sampling.sampler import Completion
from workbench.errors import UserError
from workbench.measures.statistics import spearman
from workbench.measures.vendi import vendi_from_features
from workbench.studies.common import word_problems
from workbench.studies.prismatic import (
    clusters,
    data,
    experiment,
    given,
    results,
    students,
    subsets,
    tasks,
    training_set,
    views,
)
from workbench.studies.prismatic.items import Item
from workbench.studies.prismatic.method import ARMS
from workbench.studies.prismatic.proxy import Proxy, gradients
from workbench.studies.siked import given as siked

WORDS, LOGIC = tasks.WordTask(), tasks.LogicTask()
STUDENT = tasks.Student("tiny:0.1M", base_steps=60, steps=2, batch_size=8, n_test=6)
GROWTH = {"first": 12, "target": 20, "per_round": 12, "pools": 2}
SETS = {"subsets": 6, "students": 2, "n": 20}
SIZES = data.Sizes(STUDENT, 2, corpus=60, sketched=60, layout="principal", **SETS, **GROWTH)


def settings(**changed):
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "generator": "embedded"}
    common |= {"seeds": None, "placebo": False, "test": None, "tuning": "auto", "learning_rate": None}
    common |= {"save_clusters": ""}
    sketching = {"dimension": 256, "method": "exact", "truncate": False, "chat": False}
    return SimpleNamespace(**{**common, **sketching, "n_subsets": None, "device": "cpu", **changed})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    return tasks.train_base(folder, WORDS, STUDENT, "embedded", 0, lambda **_: None, "cpu")


@pytest.fixture(scope="module")
def proxy(base):
    return Proxy(*load(base, "cpu"), dimension=256)


# ------------------------------------------------------------------------------- examples and measures
def test_the_embedded_corpus_is_skewed_and_holds_twins():
    frame = data.corpus("logic", SIZES.corpus, 0)
    assert len(frame) == 60
    assert frame["id"].is_unique
    assert set(frame["template"]) <= set(LOGIC.structures)
    counts = frame["template"].value_counts()
    assert counts.iloc[0] >= 6
    assert (counts == 1).sum() > 8
    words, new = (
        set(re.findall(r"\w+", " ".join(part))) for part in (frame["prompt"][:54], frame["prompt"][54:])
    )
    assert new - words <= set(logic.PEOPLE)
    assert not frame["prompt"].duplicated().any()
    assert set(data.corpus("embedded", SIZES.corpus, 0)["template"]) <= set(templates())


def test_given_problems_take_the_place_of_embedded_ones(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text('{"question": "How many is 2 + 2?", "answer": "2 + 2 = 4\\n#### 4"}\n')
    frame = data.corpus(f"gsm8k:{path}", SIZES.corpus, 0)
    assert frame.iloc[0]["prompt"] == "How many is 2 + 2?"
    assert frame.iloc[0]["completion"].startswith(" 2 + 2 = 4")
    with pytest.raises(UserError):
        data.corpus(str(tmp_path / "none.jsonl"), SIZES.corpus, 0)


def test_an_empty_answer_stays_empty_and_is_refused_by_its_name(proxy, tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text('{"question": "How many is 2 + 2?", "answer": "4"}\n{"question": "Why?", "answer": ""}\n')
    frame = data.read_examples(str(path))
    assert frame["completion"].tolist() == [" The answer is 4.", ""]
    with pytest.raises(UserError, match="Example some:2 has an empty completion"):
        gradients(tmp_path / "gradients", proxy, frame)


def test_one_example_is_one_cluster():
    frame = data.as_examples(WORDS.draw(1, 0, WORDS.structures, range(32)))
    points, table = clusters.cluster(np.ones((1, 4), dtype=np.float32), frame, 0)
    assert points["cluster"].tolist() == [0]
    assert table["size"].tolist() == [1]


def test_ngram_entropy_of_texts_whose_entropy_is_known():
    assert subsets.ngram_entropy(["a b", "a b"]) == 0
    assert subsets.ngram_entropy(["a b", "c d", "e f", "g h"]) == pytest.approx(2)
    assert subsets.ngram_entropy(["a b", "a b", "c d", "e f"]) == pytest.approx(1.5)


def test_more_kinds_of_problems_raise_g_vendi_and_copies_do_not(proxy):
    kinds = WORDS.structures[::6][:24]

    def score(items):
        return vendi_from_features(proxy.sketch(data.pairs_of(data.as_examples(items))))

    one = WORDS.draw(24, 1, kinds[:1], range(32))
    union = [WORDS.draw(1, seed, [kind], range(32))[0] for seed, kind in enumerate(kinds)]
    assert len(union) == len(one)
    assert score(union) > 1.1 * score(one)
    assert score(one + one) == pytest.approx(score(one), rel=1e-4)


def test_the_card_holds_the_score_below_its_cap(proxy, tmp_path):
    examples = data.corpus("embedded", SIZES.corpus, 0)
    vectors, losses = gradients(tmp_path / "g", proxy, examples)
    card = results.card(vectors, losses, examples).set_index("measure")
    assert (
        1
        < card.loc["G-Vendi", "low"]
        < card.loc["G-Vendi", "value"]
        < card.loc["highest it could be", "value"]
    )
    assert card.loc["unrelated gradients would score", "value"] < 60
    assert card.loc["perplexity", "value"] == pytest.approx(
        np.exp(np.average(losses["loss"], weights=losses["n_tokens"]))
    )


def test_two_sketches_free_the_score_of_order_2_from_the_dimension(proxy):
    frame = results.by_dimension(proxy, data.corpus("embedded", SIZES.corpus, 0))
    score = frame.pivot(index="dimension", columns="method", values="score")
    assert score.loc[32, "G-Vendi"] < score.loc[128, "G-Vendi"] < score.loc[4096, "G-Vendi"]
    assert score.loc[1024, "order 2, two sketches"] == pytest.approx(score.loc[4096, "order 2"], rel=0.05)
    assert (frame["score"] <= frame["cap"].fillna(np.inf)).all()


def test_identical_examples_score_one_and_still_cluster(proxy, tmp_path):
    examples = data.corpus("embedded", SIZES.corpus, 0).head(1)
    examples = pd.concat([examples] * 12, ignore_index=True).assign(id=[str(number) for number in range(12)])
    vectors, losses = gradients(tmp_path / "g", proxy, examples)
    assert results.card(vectors, losses, examples)["value"][0] == pytest.approx(1, abs=1e-5)
    points, table = clusters.cluster(vectors, examples, 0, fraction=0.2)
    assert table["size"].sum() == 12
    assert points["contribution"].abs().max() < 1e-5


def test_points_add_up_to_the_score_and_clusters_to_the_points(proxy, tmp_path):
    examples = data.corpus("embedded", SIZES.corpus, 0)
    vectors, _ = gradients(tmp_path / "g", proxy, examples)
    points, table = clusters.cluster(vectors, examples, 0, fraction=0.1)
    assert np.exp(points["contribution"].mean()) == pytest.approx(vendi_from_features(vectors), rel=1e-6)
    assert table["size"].sum() == len(points)
    assert table["density"].between(-1, 1).all()
    for row in table.itertuples():
        assert row.exemplar in set(points.loc[points["cluster"] == row.cluster, "text"])
    pairs = clusters.redundant(vectors, examples, 3)
    assert pairs["cosine"].is_monotonic_decreasing


# ------------------------------------------------------------------------------- subsets
def test_structures_and_wordings_of_sets_are_crossed_and_lean_apart():
    design = pd.DataFrame(subsets.DESIGN, columns=["structures", "wordings"])
    counts = design.value_counts()
    assert len(design) == 30
    assert len(counts) == len(subsets.STRUCTURES) * len(subsets.WORDINGS)
    assert counts.loc[subsets.PARTING].min() >= 4
    assert (counts == 1).sum() == 11
    assert -0.7 < design.corr(method="spearman").iloc[0, 1] < -0.4


def test_sets_have_one_size_and_the_diversity_that_they_say():
    sets = subsets.draw_sets(LOGIC, 12, 40, seed=0)
    assert (sets.groupby("subset").size() == 40).all()
    assert sets["id"].is_unique
    groups = sets.groupby("subset")
    assert (groups["template"].nunique() <= groups["n_structures"].first()).all()
    assert groups["template"].nunique().iloc[0] == sets["n_structures"].iloc[0] == 2
    assert sets.equals(subsets.draw_sets(LOGIC, 12, 40, seed=0))
    assert set(sets["template"]).isdisjoint(logic.rule_sets(held_out=True, n_moves=tasks.MOVES))


def test_a_set_of_few_wordings_has_few_of_them():
    names, wordings = LOGIC.structures, range(128)
    few, many = (LOGIC.draw(60, 0, names, wordings[:n]) for n in (2, 128))
    assert {item.wording for item in few} == {0, 1}
    assert len({item.wording for item in many}) > 30
    words = [len({w for item in items for w in item.problem.split()}) for items in (few, many)]
    assert words[0] < words[1]


def test_word_problems_have_as_many_names_and_things_as_wordings():
    few, many = (
        len(
            {word for item in WORDS.draw(60, 0, WORDS.structures[:3], range(n)) for word in item.text.split()}
        )
        for n in (2, 32)
    )
    assert few < many
    assert WORDS.draw(5, 0, WORDS.structures, range(2)) == WORDS.draw(5, 0, WORDS.structures, range(3))


def tracked(n=30, noise=0.0):
    rng = np.random.default_rng(0)
    accuracy = rng.permutation(n) / n
    values = {"G-Vendi": accuracy + noise * rng.normal(size=n), "embedding Vendi": rng.normal(size=n)}
    values["number of structures"] = np.round(5 * accuracy)
    frames = []
    for measure, value in values.items():
        columns = {"subset": [str(i) for i in range(n)], "n_structures": 2, "n_wordings": 2}
        frames.append(pd.DataFrame({**columns, "measure": measure, "value": value}))
    return results.against_accuracy(pd.concat(frames, ignore_index=True), answered(accuracy))


def answered(accuracy, seeds=(0, 1), noise=0.0):
    """Answers of students that are right as often as they are told, but for noise of each training."""
    rng, n = np.random.default_rng(1), 100
    frames = [
        pd.DataFrame({"arm": str(i), "seed": seed, "item": range(n), "right": rng.permutation(n) < n * share})
        for i, known in enumerate(accuracy)
        for seed in seeds
        for share in [known + noise * rng.normal()]
    ]
    return pd.concat(frames, ignore_index=True)


def test_correlations_and_their_difference_are_those_of_scipy():
    frame = tracked(noise=0.3)
    table = frame.pivot(index="subset", columns="measure", values="value")
    accuracy = frame.drop_duplicates("subset").set_index("subset")["accuracy"].loc[table.index]
    rho = {name: spearman(table[name], accuracy).value for name in table}
    rows = results.correlations(frame).set_index("measure")
    assert rows.loc["G-Vendi", "rho"] == pytest.approx(rho["G-Vendi"])
    found = results.better_tracked(frame, "G-Vendi", "embedding Vendi")
    assert found.value == pytest.approx(rho["G-Vendi"] - rho["embedding Vendi"])
    assert found.low < found.value < found.high
    assert found.n == 30


@pytest.mark.filterwarnings("error")
def test_students_that_all_fail_rank_nothing():
    found = results.better_tracked(tracked().assign(accuracy=0.0), "G-Vendi", "embedding Vendi")
    assert np.isnan([found.value, found.low, found.high]).all()


def test_claims_about_sets_are_positive_where_g_vendi_foretells():
    answers = answered(0.2 + 0.6 * np.arange(30) / 30)
    claims = {claim.name: claim for claim in results.subset_claims(tracked(), answers)}
    assert claims["gvendi-tracks-accuracy"].effect == pytest.approx(1)
    assert claims["gvendi-beats-embeddings"].low > 0
    for claim in claims.values():
        assert (claim.n, claim.over, claim.trainings) == (30, "training sets", 60)
    assert (
        claims["gvendi-beats-embeddings"].verdict == claims["gvendi-tracks-accuracy"].verdict == "reproduced"
    )
    assert claims["gvendi-beats-counting"].verdict == "no effect"  # five levels rank nearly as well
    assert [claim.name for claim in claims.values() if claim.headline] == ["gvendi-beats-embeddings"]


def test_sets_whose_accuracy_is_noise_and_rivals_that_agree_cannot_be_tested():
    shares, noise = 0.2 + 0.6 * np.arange(30) / 30, answered(np.full(30, 0.5), noise=0.1)
    assert results.reliability(answered(shares)) > 0.97
    assert results.reliability(answered(shares, seeds=(0,))) > 0.9  # halves of the questions
    assert results.reliability(noise) < 0.8
    assert {claim.verdict for claim in results.subset_claims(tracked(), noise)} == {"not testable here"}
    floor = results.subset_claims(tracked(), answered(shares / 10))
    assert {claim.verdict for claim in floor} == {"not testable here"}
    frame = tracked()
    alike = frame.assign(value=frame["subset"].astype(float))
    beats, counting, tracks = results.subset_claims(alike, answered(shares))
    assert beats.verdict == "not testable here"
    assert "not testable here" not in (tracks.verdict, counting.verdict)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([[0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.4, 0.3]], 2 * 0.6 / 1.6),
        ([[0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.4, 0.3], [0.1, 0.2, 0.3, 0.4]], 3 * 2.2 / 3 / (1 + 2 * 2.2 / 3)),
    ],
)
def test_the_trainings_of_a_set_tell_of_its_worth_by_spearman_and_brown(shares, expected):
    frames = [answered(each, seeds=(seed,)) for seed, each in enumerate(shares)]
    assert results.reliability(pd.concat(frames)) == pytest.approx(expected)


# ------------------------------------------------------------------------------- students
def test_facts_are_true_and_complete():
    facts = word_problems.facts(5)
    for fact in facts:
        left, right = fact.rstrip(".").split(" = ")
        assert eval(left) == int(right)  # "6 / 3"
        assert 0 <= int(right) <= 5
    assert "2 + 3 = 5." in facts
    assert "4 / 2 = 2." in facts
    assert "3 / 2 = 1." not in facts
    assert len(facts) == len(set(facts))


@pytest.mark.parametrize("task", [WORDS, LOGIC])
def test_students_are_asked_kinds_that_no_set_has(task):
    tests = task.tests(30, seed=0)
    assert len(tests) == 30
    assert {problem.template for problem in tests}.isdisjoint(task.structures)
    assert len(task.structures) >= max(subsets.STRUCTURES)
    texts, others = task.texts(0)
    questions = {problem.question for problem in tests}
    assert not any(text.startswith(question) for text in texts for question in questions)
    assert others


def test_the_houses_tests_take_four_moves_and_its_base_reads_fewer():
    assert {len(problem.moves) for problem in LOGIC.tests(30, seed=0)} == {4}
    sentences = [text.count(" is ") for text in LOGIC.texts(0)[0][1500:]]
    assert max(sentences) < max(item.text.count(" is ") for item in LOGIC.draw(30, 0, LOGIC.structures, [0]))


class Says:
    """A sampler that says these texts, whatever it is asked."""

    tokenizer = context = None

    def __init__(self, texts):
        self.texts = texts

    def sample(self, prompts, params):
        return [[Completion(text, [], [], "stop")] for text in self.texts[: len(prompts)]]


def test_a_word_problem_is_right_only_as_the_last_sentence_says_it():
    problems = WORDS.tests(3, 0)
    right = [f"The answer is {problem.answer}." for problem in problems]
    texts = [right[0], right[1].replace("answer is ", "answer is 1"), "no idea"]
    assert students.examine(Says(texts), WORDS, problems, chat=False)["right"].tolist() == [
        True,
        False,
        False,
    ]


def test_a_plan_of_the_house_is_right_by_its_moves_and_an_answer_by_its_name():
    problems = LOGIC.tests(4, 0)
    worked = [problem.rationale() for problem in problems]
    lucky = f"The answer is {problems[1].answer}."
    other_order = problems[2].rationale(path=problems[2].paths()[-1])
    table = students.examine(Says([worked[0], lucky, other_order, worked[0]]), LOGIC, problems, chat=False)
    assert table["right"].tolist() == [True, False, True, False]
    assert table["answer"].tolist()[:3] == [True, True, True]


def test_students_are_trained_once_and_the_rest_goes_on(base, tmp_path):
    pairs = {
        name: [item.pair for item in WORDS.draw(8, number, WORDS.structures, range(32))]
        for number, name in enumerate("ab")
    }
    sets = {(name, seed): pairs[name] for seed in (3, 4) for name in pairs}
    only = {key: read for key, read in sets.items() if key[0] == "a"}
    first = students.train_students(tmp_path / "s", base, only, WORDS, STUDENT)
    time = (tmp_path / "s" / "seed-3" / "a" / "right.parquet").stat().st_mtime_ns
    both = students.train_students(tmp_path / "s", base, sets, WORDS, STUDENT)
    assert (tmp_path / "s" / "seed-3" / "a" / "right.parquet").stat().st_mtime_ns == time
    assert sorted(path.name for path in (tmp_path / "s" / "seed-4").iterdir()) == ["a", "b"]
    assert both[both["arm"] == "a"].reset_index(drop=True).equals(first)
    assert both.groupby(["arm", "seed"]).size().eq(STUDENT.n_test).all()


def test_a_finished_base_is_taken_as_it_is(base, monkeypatch):
    monkeypatch.setattr(tasks.models, "train_tokenizer", lambda *_: pytest.fail("made twice"))
    assert tasks.train_base(Path(base), WORDS, STUDENT, "embedded", 0, None) == base


def test_a_given_model_is_the_students_base():
    assert tasks.train_base(None, WORDS, STUDENT, "some/folder", 0, None) == "some/folder"


def test_a_given_model_learns_by_an_adapter_at_its_own_rate():
    usual = data.choose_sizes(settings()).student
    assert (usual.lora, usual.learning_rate) == (None, data.SIZES["quick"].student.learning_rate)
    adapted = data.choose_sizes(settings(model="some/folder")).student
    assert adapted.lora is not None
    assert adapted.learning_rate == data.LORA_RATE
    full = data.choose_sizes(settings(model="some/folder", tuning="full")).student
    assert (full.lora, full.learning_rate) == (None, data.FULL_RATE)
    assert data.choose_sizes(settings(model="x", learning_rate=1e-5)).student.learning_rate == 1e-5


# ------------------------------------------------------------------------------- pools
def test_pools_of_all_arms_grow_from_one_beginning_and_a_second_call_goes_on(proxy, tmp_path):
    generate = experiment.generator("embedded", WORDS, "cpu")
    grown = experiment.grow_pools(tmp_path / "p", WORDS, generate, proxy, proxy, SIZES, 0)
    assert set(grown.pools) == {(arm, seed) for arm in ARMS for seed in (0, 1)}
    for (_, seed), pool in grown.pools.items():
        start = [item for item in pool if item.round == 0]
        assert start == data.beginning(WORDS, SIZES.first, seed)
    nobody = Proxy(None, None)
    again = experiment.grow_pools(tmp_path / "p", WORDS, None, nobody, nobody, SIZES, 0)
    assert again.rounds.equals(grown.rounds)
    counts = results.reasons(grown.decisions)
    assert counts["count"].sum() == len(grown.decisions)
    accepted = counts.loc[counts["reason"] == "accepted", "count"].sum()
    assert accepted == sum(len(pool) - SIZES.first for pool in grown.pools.values())
    filled = experiment.cluster_sizes(grown.pools, proxy, 0, k=4)
    last = filled.groupby(["arm", "round"])["size"].sum().groupby("arm").last()
    assert all(last[arm] == len(grown.pools[arm, 0]) for arm in ARMS)


def test_in_a_placebo_all_pools_grow_at_random_each_with_its_own_draws(proxy, tmp_path):
    generate, sizes = experiment.generator("embedded", WORDS, "cpu"), replace(SIZES, pools=1)
    grown = experiment.grow_pools(tmp_path, WORDS, generate, proxy, proxy, sizes, 0, placebo=True)
    chosen = grown.decisions[grown.decisions["reason"].isin(["lot", "sparse cluster", "dense cluster"])]
    assert set(chosen["reason"]) == {"lot"}
    assert set(grown.decisions["arm"]) == set(grown.rounds["arm"]) == set(ARMS)
    texts = {arm: tuple(item.problem for item in pool) for (arm, _), pool in grown.pools.items()}
    assert len(set(texts.values())) == len(ARMS)


@pytest.mark.parametrize("task", [WORDS, LOGIC])
def test_a_beginning_is_of_few_kinds_half_of_them_ten_times_as_frequent(task):
    pool = data.beginning(task, 660, 1)
    counts = pd.Series([item.source for item in pool]).value_counts()
    assert len(counts) == tasks.KINDS
    common, rare = counts.iloc[: tasks.KINDS // 2], counts.iloc[tasks.KINDS // 2 :]
    assert common.mean() / rare.mean() == pytest.approx(tasks.SKEW, rel=0.25)
    assert common.min() > 3 * rare.max()
    assert pool != data.beginning(task, 660, 2)


def test_pools_that_did_not_grow_are_named_with_their_reason():
    columns = ["arm", "seed", "round", "n", "stopped"]
    rows = [
        ("prismatic", 3, 0, 32, ""),
        ("prismatic", 3, 1, 40, "few accepted"),
        ("random", 3, 1, 64, "target reached"),
    ]
    assert results.unfinished(pd.DataFrame(rows, columns=columns), 64) == [
        "prismatic, seed 3: stopped at 40 of 64 problems (few accepted)"
    ]


def test_growth_is_told_relative_to_the_first_pool_where_all_seeds_have_come():
    rows = [
        ("prismatic", seed, number, 10 * (seed + 1) * (1 + number)) for seed in (0, 1) for number in (0, 1)
    ]
    rows.append(("prismatic", 0, 2, 50))
    rounds = pd.DataFrame(rows, columns=["arm", "seed", "round", "g_vendi_equal"]).assign(n=5)
    assert results.relative(rounds)["g_vendi"].tolist() == [1, 2]


def pools(seeds):
    """Students' answers and growth of made-up pools: ours is better than random by .2 and worse than text."""
    rows, rounds, level = [], [], {"prismatic": 0.5, "random": 0.3, "embedding": 0.6, "n-gram": 0.5}
    level |= {"paper": 0.4, "perplexity": 0.2}
    for seed in range(seeds):
        for arm, share in level.items():
            rounds.append((arm, seed, 1, 20, np.exp(share + seed)))
            rows += [(arm, seed, item, item < 100 * share + seed) for item in range(100)]
    answers = pd.DataFrame(rows, columns=["arm", "seed", "item", "right"])
    return answers, pd.DataFrame(rounds, columns=["arm", "seed", "round", "n", "g_vendi"])


def test_claims_about_pools_are_paired_by_seed_and_positive_for_our_arm():
    claims = {claim.name: claim for claim in results.pool_claims(*pools(6))}
    for other, gain in (
        ("random", 0.2),
        ("embedding", -0.1),
        ("n-gram", 0),
        ("paper", 0.1),
        ("perplexity", 0.3),
    ):
        diverse, teaches = (
            claims[f"prismatic-{better}-than-{other}"] for better in ("more-diverse", "teaches-more")
        )
        assert diverse.effect == pytest.approx(gain)
        assert teaches.effect == pytest.approx(gain)
        assert (diverse.n, diverse.over, diverse.trainings) == (6, "pairs of pools", None)
        assert (teaches.n, teaches.over, teaches.trainings) == (6, "trainings", 6)
    assert claims["prismatic-teaches-more-than-n-gram"].verdict == "no effect"
    (claim,) = (claim for claim in results.pool_claims(*pools(1)) if claim.name.endswith("more-than-random"))
    assert (claim.n, claim.over, claim.verdict_text) == (100, "questions", "seen in one training")


def test_pools_that_stopped_early_are_no_comparison():
    answers, rounds = pools(3)
    rounds.loc[rounds.index[rounds["arm"] == "random"][0], "n"] = 19
    short = {claim.name: claim for claim in results.pool_claims(answers, rounds)}
    assert short["prismatic-more-diverse-than-random"].n == 2
    assert short["prismatic-teaches-more-than-random"].trainings == 2
    rounds.loc[rounds["arm"] == "random", "n"] = 19
    names = [claim.name for claim in results.pool_claims(answers, rounds)]
    assert "prismatic-teaches-more-than-random" not in names
    assert "prismatic-teaches-more-than-n-gram" in names


def test_students_that_solve_nothing_tell_nothing_of_their_pools():
    answers, rounds = pools(5)
    claims = results.pool_claims(answers.assign(right=answers["item"] < 10), rounds)
    taught = [claim for claim in claims if "teaches" in claim.name]
    assert {claim.verdict for claim in taught} == {"not testable here"}


def test_seeds_are_students_of_a_set_and_pools_of_an_arm():
    sizes = data.choose_sizes(settings(seeds=3))
    assert sizes.students == sizes.pools == 3
    sets = subsets.draw_sets(LOGIC, 2, 4, seed=0)
    assert list(subsets.pairs(sets, range(7, 9))) == [("00", 7), ("01", 7), ("00", 8), ("01", 8)]


def test_an_item_too_long_for_the_proxy_is_cut_and_an_empty_one_is_named(proxy):
    long = Item("random-3-7", "How many?", "many " * 400, "1", "sampler", 3)
    assert np.linalg.norm(proxy.read_items([long])[0]) == pytest.approx(1, abs=1e-5)
    broken = Item("random-3-8", "", "", "1", "sampler", 3)
    with pytest.raises(UserError, match="Example random-3-8"):
        replace(proxy, chat=True).read_items([broken])


def test_a_generator_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="no sampler 'vlm'"):
        experiment.generator("vlm:x", WORDS, "cpu")


def test_a_proxy_of_random_weights_reads_the_same_gradients_on_every_call(proxy, tmp_path):
    examples = data.corpus("embedded", SIZES.corpus, 0).head(10)
    first, _ = gradients(tmp_path / "a", proxy, examples)
    again, _ = gradients(tmp_path / "b", replace(proxy), examples)
    assert np.array_equal(first, again)
    other = models.build(proxy.model.config, seed=5)
    with pytest.raises(UserError, match="another model"):
        gradients(tmp_path / "a", replace(proxy, model=other), examples)


def test_sketches_are_in_the_run_or_where_they_are_said_to_be(tmp_path):
    assert data.sketch_folder(tmp_path / "own", "here") == tmp_path / "own"
    assert data.sketch_folder(tmp_path / "own", str(tmp_path)) == tmp_path


def test_an_embedded_task_is_chosen_by_its_name():
    assert data.choose_task(settings(data="logic"), SIZES) == LOGIC


# ------------------------------------------------------------------------------- the user's own problems
def a_file(folder, n=100, name="own.jsonl", first=0):
    """n sums of two numbers."""
    sums = [(i, i % 7, i + i % 7) for i in range(first, first + n)]
    rows = [
        {"question": f"How much is {a} and {b}?", "answer": f"{a} + {b} = {c}\n#### {c}"} for a, b, c in sums
    ]
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)))
    return f"gsm8k:{path}"


def test_a_fifth_of_given_problems_is_asked_and_never_learnt(tmp_path):
    task = given.read(a_file(tmp_path), None, 1000, 0, trains=True)
    assert (len(task.learnt), len(task.asked)) == (80, 20)
    assert not {p.question for p in task.learnt} & {p.question for p in task.asked}
    right = [f"The answer is {problem.gold}." for problem in task.asked]
    assert task.grade(task.tests(20, 0), right)["right"].all()
    assert not task.grade(task.tests(20, 0), ["The answer is -1."] * 20)["right"].any()
    everything = given.read(a_file(tmp_path), None, 1000, 0, trains=False)
    assert len(everything.learnt) == 100


def test_a_test_file_is_asked_instead(tmp_path):
    test = a_file(tmp_path, 30, "test.jsonl", first=500)
    task = given.read(a_file(tmp_path), test, 10, 0, trains=True)
    assert (len(task.learnt), len(task.asked)) == (100, 10)
    with pytest.raises(UserError, match="share"):
        given.read(a_file(tmp_path), a_file(tmp_path, 30, "same.jsonl"), 30, 0, trains=True)


def test_a_test_file_is_asked_in_random_order_and_what_is_left_out_of_it_is_said(tmp_path):
    test = a_file(tmp_path, 30, "test.jsonl", first=500)
    with (tmp_path / "test.jsonl").open("a") as file:
        file.write('\n{"question": "Why is that?", "answer": "#### nobody can ever know"}')
    tasks = [given.read(a_file(tmp_path), test, 10, seed, trains=True) for seed in (0, 0, 1)]
    asked = [[problem.question for problem in task.asked] for task in tasks]
    assert asked[0] == asked[1] != asked[2]
    assert set(asked[0]) != {f"How much is {i} and {i % 7}?" for i in range(500, 510)}
    assert f"of {test}, questions left out because their answer cannot be graded: 1" in tasks[0].note


def test_a_test_file_without_an_answer_to_grade_is_named(tmp_path):
    path = tmp_path / "why.jsonl"
    path.write_text('{"question": "Why is that?", "answer": "#### nobody can ever know"}')
    with pytest.raises(UserError, match=r"why.jsonl holds no question .* as test"):
        given.read(a_file(tmp_path), f"gsm8k:{path}", 10, 0, trains=True)


def test_too_few_problems_and_one_problem_over_and_over_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds 20 different problems .* need 80"):
        given.read(a_file(tmp_path, 20), None, 1000, 0, trains=True)
    path = tmp_path / "same.jsonl"
    path.write_text('{"question": "How much is 1 and 1?", "answer": "2"}\n' * 200)
    with pytest.raises(UserError, match="holds 1 different problem whose"):
        given.read(str(path), None, 1000, 0, trains=True)


def test_sets_of_given_problems_are_drawn_from_few_or_many_clusters(tmp_path):
    source = a_file(tmp_path, 200)
    task, examples = given.read(source, None, 20, 0, trains=True), data.read_examples(source)
    angles = np.repeat(np.arange(8), 25) * np.pi / 4
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    sets = subsets.sets_of(task, examples, vectors, 20, 500, 0)
    assert (sets.groupby("subset").size() == len(task.learnt) // given.SPREAD).all()
    assert not sets.duplicated(["subset", "prompt"]).any()
    assert set(sets["prompt"]) <= {problem.question for problem in task.learnt}
    assert (examples["prompt"].to_numpy()[sets["example"]] == sets["prompt"]).all()
    turns = sets.assign(angle=angles[sets["example"]]).groupby("subset")["angle"].nunique()
    counts = sets.groupby("subset")["n_structures"].first()
    assert turns.corr(counts, method="spearman") > 0.4
    read, losses = subsets.gradients_of(
        None, None, sets, vectors, pd.DataFrame({"loss": angles, "n_tokens": 1})
    )
    assert np.array_equal(read, vectors[sets["example"]])
    assert losses["loss"].tolist() == angles[sets["example"]].tolist()


def test_students_of_given_problems_learn_and_are_asked(base, tmp_path):
    task = given.read(a_file(tmp_path), None, 5, 0, trains=True)
    pool = data.beginning(task, 12, 0)
    sets = {("a", 0): [item.pair for item in pool]}
    answers = students.train_students(tmp_path / "s", base, sets, task, STUDENT, device="cpu")
    assert answers["item"].tolist() == [problem.id for problem in task.tests(6, 0)]
    assert experiment.generator("embedded", task, "cpu") is None


# ------------------------------------------------------------------------------- from a selection to a set
@pytest.mark.parametrize("task", [WORDS, LOGIC])
def test_what_is_chosen_in_the_map_is_read_again_as_problems_and_solutions(task, tmp_path):
    items = task.draw(12, 0, task.structures, range(32))
    examples = data.as_examples(items)
    points = pd.DataFrame({"cluster": [0, 1, 2, 2] * 3})
    chosen = training_set.in_clusters(points, "0, 1")
    said = training_set.save(tmp_path / "selection", examples, chosen)
    assert said.startswith("6 problems")
    assert ("-p model=RUN/artifacts/base" in said) == (task is LOGIC)
    path = tmp_path / "selection" / training_set.NAME
    problems = load_problems(str(path))
    assert [problem.question for problem in problems] == [items[i].problem for i in chosen]
    solved = load_rationales([f"rationales:{path}"], problems).rationales
    assert [one.text for one in solved] == [items[i].solution for i in chosen]
    assert {one.verdict for one in solved} == {"correct"}
    questions, tests, solutions, _ = siked.from_files(
        str(path), None, f"rationales:{path}", seed=0, n=10, n_test=1
    )
    assert len(questions) + sum(map(len, tests.values())) == len(chosen)
    assert {one.verdict for one in solutions} == {"correct"}
    again = data.read_examples(str(path))
    assert again[["prompt", "completion", "answer"]].equals(
        examples.iloc[chosen][["prompt", "completion", "answer"]].reset_index(drop=True)
    )


def test_sparse_clusters_are_the_smaller_half_and_others_must_be_there(tmp_path):
    points = pd.DataFrame({"cluster": [0, 0, 0, 1, 2, 2, 3]})
    assert training_set.in_clusters(points, "sparse").tolist() == [3, 6]
    with pytest.raises(UserError, match="no cluster 7: its clusters are 0 to 3"):
        training_set.in_clusters(points, "1,7")
    with pytest.raises(UserError, match="Nothing is chosen"):
        training_set.save(tmp_path, data.as_examples(WORDS.draw(2, 0, WORDS.structures, [0])), [])


def write_problems(path, n, word):
    rows = [{"question": f"How many {word} are {i}?", "answer": f"{i}. The answer is {i}."} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_of_several_files_as_many_problems_each_are_drawn_and_named(tmp_path):
    one = write_problems(tmp_path / "apples.jsonl", 30, "apples")
    two = write_problems(tmp_path / "pears.jsonl", 10, "pears")
    frame = data.corpus(f"{one},{two}", 16, 0, sampled=True)
    assert frame["template"].value_counts().to_dict() == {"apples": 8, "pears": 8}
    assert frame["id"].is_unique
    assert list(frame.index) == list(range(16))
    assert frame.equals(data.corpus(f"{one},{two}", 16, 0, sampled=True))
    assert set(data.corpus(str(one), 16, 0, sampled=True)["template"]) == {"given"}
    assert len(data.corpus(f"{one},{two}", 16, 0)) == 40


def test_a_file_of_like_gradients_is_less_diverse_than_one_of_different_ones():
    examples = pd.DataFrame({"template": ["like"] * 8 + ["different"] * 8})
    examples = examples.assign(prompt=[f"What is {i}?" for i in range(16)], completion=" 1")
    gradients = np.eye(16, dtype=np.float32)
    gradients[:8] = gradients[0]
    table = results.by_source(gradients, examples, 0)
    scores = table[table["measure"].str.startswith("gradients")].set_index("source")
    assert scores.loc["like", "value"] == pytest.approx(1)
    assert scores.loc["different", "value"] == pytest.approx(4)
    assert 1 <= scores.loc["together", "low"] < scores.loc["together", "high"] <= 4
    assert set(table["n"]) == {4}
    assert "4 problems of each file" in views.by_source(table).record["sentence"]


def test_real_laptop_grows_nothing():
    given_model = settings(profile="real-laptop", model="m", data="logic")
    assert data.data_of(given_model) == "embedded"
    assert data.data_of(settings(data="logic")) == "logic"
    assert data.choose_sizes(given_model).subsets == 0
    assert not data.grows(given_model)
