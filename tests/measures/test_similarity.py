"""Similarity of answers within and across models: slow definitions, analytic ends, bad input."""

import itertools

import numpy as np
import pandas as pd
import pytest

from workbench.errors import UserError
from workbench.measures.overlap import distinct, verbatim
from workbench.measures.similarity import (
    ceiling,
    ceiling_of_classes,
    floor,
    homogeneity,
    mixing,
    mixing_baselines,
    repetition,
    rescaled,
)
from workbench.measures.summaries import (
    common_prompts,
    per_input_and_across,
    summarise,
    summarise_measures,
)


@pytest.fixture(scope="module")
def answers():
    """Three models, four prompts, 3 to 6 answers each; model c did not see the last prompt."""
    rng = np.random.default_rng(0)
    cells = [(m, p) for p in range(4) for m in "abc" if (m, p) != ("c", 3)]
    labels = [cell for cell in cells for _ in range(rng.integers(3, 7))]
    labels = [labels[i] for i in rng.permutation(len(labels))]
    vectors = rng.normal(size=(len(labels), 5)) + 1
    return vectors, [m for m, _ in labels], [p for _, p in labels]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_repetition_is_the_mean_over_pairs_without_self_pairs(answers):
    vectors, models, prompts = answers
    rows = unit(vectors)
    found = repetition(3 * vectors, models, prompts)
    assert len(found) == 11
    for model, prompt, value, n in found.itertuples(index=False):
        own = [i for i in range(len(rows)) if (models[i], prompts[i]) == (model, prompt)]
        assert n == len(own)
        assert value == pytest.approx(np.mean([rows[i] @ rows[j] for i, j in itertools.combinations(own, 2)]))


def test_homogeneity_is_the_mean_of_cross_cosines(answers):
    vectors, models, prompts = answers
    rows = unit(vectors)
    found = homogeneity(vectors, models, prompts)
    assert len(found) == 3 * 6 + 3
    assert found.groupby("prompt").size().tolist() == [6, 6, 6, 3]
    for first, second, prompt, value in found.itertuples(index=False):
        a, b = (
            [i for i in range(len(rows)) if (models[i], prompts[i]) == (m, prompt)] for m in (first, second)
        )
        pairs = itertools.combinations(a, 2) if first == second else itertools.product(a, b)
        assert value == pytest.approx(np.mean([rows[i] @ rows[j] for i, j in pairs]))


def test_the_paper_counts_self_pairs_on_the_diagonal():
    """88.2 printed for 50 answers is 87.96 without them."""
    cosine = 0.87959
    rows = np.linalg.cholesky(np.full((50, 50), cosine) + (1 - cosine) * np.eye(50))
    assert repetition(rows, ["m"] * 50, ["q"] * 50)["value"].tolist() == pytest.approx([cosine])
    assert (rows @ rows.T).mean() == pytest.approx(0.882, abs=5e-6)


@pytest.mark.parametrize(("sizes", "value"), [((45, 5), 0.816327), ((25, 25), 0.489796)])
def test_repetition_of_orthogonal_groups_is_the_chance_of_a_collision(sizes, value):
    rows = np.repeat(np.eye(2), sizes, axis=0)
    assert repetition(rows, ["m"] * 50, ["q"] * 50)["value"].tolist() == pytest.approx([value], abs=5e-7)


def test_mixing_agrees_with_the_definition(answers):
    vectors, models, prompts = answers
    rows = unit(vectors)
    found = mixing(vectors, models, prompts, (1, 3, 7)).set_index(["prompt", "nearest"])["value"]
    for prompt, nearest in found.index:
        own = [i for i in range(len(rows)) if prompts[i] == prompt]
        counts = []
        for i in own:
            order = sorted((j for j in own if j != i), key=lambda j: -rows[i] @ rows[j])
            counts.append(len({models[j] for j in order[:nearest]}))
        assert found[prompt, nearest] == pytest.approx(
            np.mean(counts) if len(own) > nearest else np.nan, nan_ok=True
        )


def test_mixing_baselines_are_hypergeometric():
    found = mixing_baselines([50] * 25, [5, 10, 25, 49, 50]).set_index("nearest")
    assert found["exchangeable"][[5, 10, 25, 50]].tolist() == pytest.approx(
        [4.623, 8.404, 16.081, 21.886], abs=1e-3
    )
    assert found["separated"].tolist() == [1, 1, 1, 1, 2]
    small = mixing_baselines([10] * 24, [5, 10, 25, 50])
    assert small["exchangeable"].tolist() == pytest.approx([4.636, 8.450, 16.188, 21.794], abs=1e-3)
    assert small["separated"].tolist() == [1, 2, 3, 6]


def test_mixing_baselines_of_unequal_models():
    counts, nearest = [1, 2, 4], 3
    sources = np.repeat(range(3), counts)
    drawn = [
        len(set(chosen))
        for i in range(7)
        for chosen in itertools.combinations(np.delete(sources, i), nearest)
    ]
    found = mixing_baselines(counts, [nearest, 6, 7]).set_index("nearest")
    assert found.loc[3, "exchangeable"] == pytest.approx(np.mean(drawn))
    # From the lone answer: the four. From the pair: its other half and the four. From a four: its rest.
    assert found.loc[3, "separated"] == pytest.approx((1 * 1 + 2 * 2 + 4 * 1) / 7)
    assert found.loc[6, "exchangeable"] == pytest.approx((1 * 2 + 2 * 3 + 4 * 3) / 7)
    assert found.loc[7, ["exchangeable", "separated"]].isna().all()


def test_mixing_reaches_both_of_its_ends():
    models, prompts = np.repeat(range(25), 50), ["q"] * 1250
    nearest = (5, 25, 49, 50)
    ends = mixing_baselines([50] * 25, nearest)
    rng = np.random.default_rng(0)
    alike = mixing(rng.normal(size=(1250, 40)), models, prompts, nearest)
    assert alike["value"].to_numpy() == pytest.approx(ends["exchangeable"].to_numpy(), rel=0.01)
    apart = mixing(np.eye(25)[models] + 0.01 * rng.normal(size=(1250, 25)), models, prompts, nearest)
    assert apart["value"].to_numpy() == pytest.approx(ends["separated"].to_numpy())


def test_copies_everywhere_do_not_favour_the_first_model():
    found = mixing(np.ones((200, 3)), np.repeat(range(20), 10), ["q"] * 200, (5, 50))
    ends = mixing_baselines([10] * 20, (5, 50))
    assert found["value"].to_numpy() == pytest.approx(ends["exchangeable"].to_numpy(), rel=0.02)


def test_floor_and_ceilings_agree_with_the_definition(answers):
    vectors, _, prompts = answers
    rows, prompts = unit(vectors), np.array(prompts)
    cosines = rows @ rows.T
    assert floor(vectors, prompts) == pytest.approx(cosines[prompts[:, None] != prompts].mean())
    assert np.isnan(floor(vectors, ["q"] * len(vectors)))
    assert ceiling(vectors[:9], vectors[9:18]) == pytest.approx(np.diag(cosines[:9, 9:18]).mean())
    pairs = [(i, j) for i, j in itertools.combinations(range(len(rows)), 2) if prompts[i] == prompts[j]]
    expected = np.mean([cosines[pair] for pair in pairs])
    assert ceiling_of_classes(vectors, prompts) == pytest.approx(expected)
    twice = ceiling_of_classes(np.vstack([vectors, vectors]), [*prompts, *prompts])
    assert twice == pytest.approx(expected)  # a copy is no other wording
    assert np.isnan(ceiling_of_classes(vectors, range(len(vectors))))


def test_rescaled():
    assert rescaled([0.1, 0.5, 0.9], 0.1, 0.9).tolist() == pytest.approx([0, 0.5, 1])
    assert np.isnan(rescaled([0.3], 0.5, 0.5)).all()


def test_bad_vectors_are_named(answers):
    vectors, models, prompts = answers
    broken = vectors.copy()
    broken[7, 2] = np.nan
    for measure in (repetition, homogeneity, mixing):
        with pytest.raises(ValueError, match="row 7"):
            measure(broken, models, prompts)
        with pytest.raises(ValueError, match="labels"):
            measure(vectors, models[:-1], prompts)
    with pytest.raises(ValueError, match="1 or more"):
        mixing(vectors, models, prompts, (0,))


def test_answers_without_direction_are_left_out(answers):
    vectors, models, prompts = answers
    more = np.vstack([np.zeros((2, 5)), vectors, np.zeros((1, 5))])
    more_models, more_prompts = ["a", "b", *models, "d"], [0, 1, *prompts, 9]
    found = repetition(more, more_models, more_prompts).dropna()
    expected = repetition(vectors, models, prompts)
    keys = ["model", "prompt"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True)
    )
    alone = repetition(more, more_models, more_prompts).query("model == 'd'")
    assert alone["n"].tolist() == [0]
    mixed = mixing(more, more_models, more_prompts, (3,), seed=1).set_index("prompt")["value"]
    assert (
        mixed[[0, 1]].tolist()
        == mixing(vectors, models, prompts, (3,)).set_index("prompt")["value"][[0, 1]].tolist()
    )
    assert np.isnan(mixed[9])
    assert floor(more, more_prompts) == pytest.approx(floor(vectors, prompts))


def test_one_answer_has_no_repetition_but_has_neighbours():
    rows, models = np.eye(3), ["a", "b", "b"]
    assert repetition(rows, models, ["q"] * 3)["value"].isna().tolist() == [True, False]
    assert homogeneity(rows, models, ["q"] * 3)["value"].isna().tolist() == [True, False, False]
    assert mixing(rows, models, ["q"] * 3, (2, 3))["value"].tolist() == pytest.approx(
        [5 / 3, np.nan], nan_ok=True
    )


def test_verbatim_overlap_of_three_kinds():
    texts = [
        "The cat sat on the mat today.",
        "the cat sat on the MAT today",
        "A dog ran.",
        "the cat sat on the rug",
    ]
    found = verbatim([*texts, "", "", "x"], list("aabbabc"), [0, 0, 0, 0, 1, 1, 2])
    assert found["identical"].tolist() == [
        False,
        False,
        False,
    ]  # the copies are of one model; empty answers no copies
    assert found["longest"].tolist() == [5, 0, 0]
    assert found["shared"].tolist() == pytest.approx(
        [(1 / 3 + 1 / 3 + 1 / 2) / 3, np.nan, np.nan], nan_ok=True
    )
    both = verbatim(["Time is a river.", "time is a RIVER", "time is a"], list("aba"), ["q"] * 3, k=4)
    assert both.iloc[0].tolist() == ["q", True, 4, 1.0]


def test_verbatim_sharing_agrees_with_search():
    rng = np.random.default_rng(3)
    texts = [" ".join(f"w{i}" for i in rng.integers(4, size=rng.integers(0, 9))) for _ in range(60)]
    models, prompts = rng.integers(3, size=60).tolist(), rng.integers(6, size=60).tolist()
    found = verbatim(texts, models, prompts, k=2).set_index("prompt")
    for prompt in set(prompts):
        own = [i for i in range(60) if prompts[i] == prompt]
        others = {i: [f" {texts[j]} " for j in own if models[j] != models[i]] for i in own}
        longest, shares = 0, []
        for i in own:
            tokens = texts[i].split()
            spans = [tokens[a:b] for a, b in itertools.combinations(range(len(tokens) + 1), 2)]
            found_in = [len(s) for s in spans if any(f" {' '.join(s)} " in other for other in others[i])]
            longest = max([longest, *found_in])
            pairs = [s for s in spans if len(s) == 2]
            if pairs:
                shares.append(
                    np.mean([any(f" {' '.join(s)} " in other for other in others[i]) for s in pairs])
                )
        assert found.loc[prompt, "longest"] == longest
        assert found.loc[prompt, "shared"] == pytest.approx(np.mean(shares))
        assert found.loc[prompt, "identical"] == any(f" {texts[i]} " in others[i] for i in own if texts[i])


def test_verbatim_refuses_lengths_that_do_not_fit():
    with pytest.raises(ValueError, match="2 texts"):
        verbatim(["a", "b"], ["m"], ["q", "q"])


def test_summaries_draw_whole_prompts(answers):
    vectors, models, prompts = answers
    frame = repetition(vectors, models, prompts)
    found = summarise(frame, ["model"], "value", "prompt").set_index("model")
    assert found["n"].to_dict() == {"a": 4, "b": 4, "c": 3}
    assert found["value"].to_dict() == pytest.approx(frame.groupby("model")["value"].mean().to_dict())
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()
    pairs = summarise(homogeneity(vectors, models, prompts), ["first", "second"], "value", "prompt")
    assert len(pairs) == 6
    nothing = summarise(repetition(np.eye(2), ["a", "b"], ["q", "q"]), ["model"], "value", "prompt")
    assert nothing["n"].tolist() == [0, 0]
    assert nothing["value"].isna().all()


def test_a_summary_of_several_measures_leaves_out_those_without_a_value():
    frame = pd.DataFrame({"m": [*"aabb"], "x": [1.0, 3, 5, 7], "y": [np.nan, np.nan, 1, 1]})
    found = summarise_measures(frame, ["m"], {"x": "first", "y": "second"})
    assert found[["m", "measure", "value", "n"]].to_numpy().tolist() == [
        ["a", "first", 2, 2],
        ["b", "first", 6, 2],
        ["b", "second", 1, 2],
    ]


def test_models_with_different_prompt_sets():
    common, left_out = common_prompts(list("aabbbc"), ["p", "q", "q", "r", "p", "q"])
    assert common == ["q"]
    assert left_out.to_dict() == {"a": 1, "b": 2, "c": 0}
    with pytest.raises(UserError, match="No prompt"):
        common_prompts(["a", "b"], ["p", "q"])


def generations(text, n_prompts=9, n_samples=4):
    rows = [("m", p, s, text(p, s)) for s in range(n_samples) for p in range(n_prompts)]
    return pd.DataFrame(rows, columns=["model", "prompt_id", "sample", "text"])


def test_one_input_against_many():
    def distinct_words(texts):
        return distinct(texts, 1)

    frame = generations(lambda prompt, sample: f"w{prompt}")  # collapsed: one answer a prompt
    found = per_input_and_across(frame, distinct_words, size=4).set_index("sets")
    assert found["value"].to_dict() == {"per input": 0.25, "across": 1.0, "across − per input": 0.75}
    assert found["n"].tolist() == [2, 2, 2]  # nine prompts make two squares of four
    other_way = generations(lambda prompt, sample: f"w{sample}")
    found = per_input_and_across(other_way, distinct_words, size=4).set_index("sets")
    assert found["value"].to_dict() == {"per input": 1.0, "across": 0.25, "across − per input": -0.75}


def test_one_input_against_many_holds_the_same_texts():
    seen = []
    per_input_and_across(
        generations(lambda p, s: f"{p} {s}"), lambda texts: seen.append(tuple(texts)) or 1.0, 3
    )
    rows, columns = (
        [row for row in seen if len({text.split()[place] for text in row}) == 1] for place in (0, 1)
    )
    assert sorted(text for row in rows for text in row) == sorted(text for row in columns for text in row)
    assert len(rows) == len(columns) == 9


def test_one_input_against_many_with_too_few_answers():
    found = per_input_and_across(generations(lambda p, s: "a"), lambda texts: 1.0, size=5)
    assert found["n"].tolist() == [0, 0, 0]
    assert found["value"].isna().all()
    constant = per_input_and_across(generations(lambda p, s: "a"), lambda texts: float("nan"), size=3)
    assert constant["n"].tolist() == [0, 0, 0]
