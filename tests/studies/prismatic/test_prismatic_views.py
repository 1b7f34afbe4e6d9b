"""The pictures of 09_prismatic: what they draw of a frame, what they keep from it, and what a click finds."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from example_run import IMAGE, IN_FRAMES, SCRIPT
from scipy import stats

from workbench.sanitize import sanitize
from workbench.studies.prismatic import gradient_map, subset_views, views
from workbench.studies.prismatic.clusters import layout

HOSTILE = f"{SCRIPT}{IMAGE}right\u202eto left"


def rows_of(chart, column):
    """The rows of the dataset that has this column."""
    (rows,) = [rows for rows in chart.spec["datasets"].values() if column in rows[0]]
    return rows


def make_points(n=60, **columns):
    random = np.random.default_rng(0)
    cluster = np.arange(n) % 3
    points = pd.DataFrame({"x": random.normal(size=n) + 5 * cluster, "y": random.normal(size=n)})
    points = points.assign(cluster=cluster, template="market/sum", text=[f"Problem {i}." for i in range(n)])
    clusters = pd.DataFrame({"cluster": [0, 1, 2], "size": [n - 30, 20, 10], "density": [0.9, 0.5, 0.3]})
    points = points.assign(contribution=random.random(n), **columns)
    return points, clusters.assign(exemplar=["Centre A.", "Centre B.", "Centre C."])


def test_a_layout_of_few_vectors_keeps_their_angles():
    vectors = np.array([[1, 0, 0], [5, 0, 0], [0, 2, 0], [0, 3, 0]], dtype=float)
    places = layout(vectors, seed=0).to_numpy()
    assert places.shape == (4, 2)
    np.testing.assert_allclose(places[[0, 2]], places[[1, 3]], atol=1e-6)  # length does not count
    assert np.linalg.norm(places[0] - places[2]) == pytest.approx(np.sqrt(2), abs=1e-5)
    np.testing.assert_allclose(layout(np.ones((1, 5)), seed=0), [[0, 0]])


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros(4), np.full((20, 4), np.nan)])
def test_a_layout_refuses_what_is_no_matrix_of_numbers(vectors):
    with pytest.raises(ValueError, match="finite numbers"):
        layout(vectors, seed=0)


def test_without_umap_the_layout_still_comes(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    places = layout(np.random.default_rng(0).normal(size=(40, 6)), seed=0).to_numpy()
    assert places.shape == (40, 2)
    assert places.std(0).min() > 0


@pytest.mark.long  # UMAP compiles itself: up to a minute
def test_umap_keeps_groups_together_its_seed_and_the_number_of_threads():
    random, threads = np.random.default_rng(0), torch.get_num_threads()
    group = np.repeat(np.arange(3), 20)
    vectors = 4 * np.eye(3, 16)[group] + random.normal(size=(60, 16)) / 2
    places = layout(vectors, seed=1).to_numpy()
    far = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(60)
    assert (group[far.argmin(1)] == group).all()
    np.testing.assert_array_equal(places, layout(vectors, seed=1))
    assert torch.get_num_threads() == threads


def test_the_map_opens_with_the_example_that_adds_most_and_lists_clusters_by_size():
    points, clusters = make_points()
    record = gradient_map.linked_map(points, clusters).record
    assert record["points"]["id"][record["chosen"]] == int(points["contribution"].argmax())
    assert [(group["name"], group["size"], group["note"]) for group in record["groups"]] == [
        ("0", 30, "cosine 0.90"),
        ("1", 20, "cosine 0.50"),
        ("2", 10, "cosine 0.30"),
    ]
    assert record["points"]["group"][:4] == [0, 1, 2, 0]


def test_beside_an_example_stands_the_centre_of_its_own_cluster():
    points, clusters = make_points()
    points.loc[[7, 10], "text"] = "Centre B."  # both in cluster 1
    record = gradient_map.linked_map(points, clusters).record
    assert [record["points"]["beside"][at] for at in (0, 1, 4)] == [None, 7, 7]


def test_decided_examples_are_told_apart_by_shape_and_hostile_text_is_seen():
    points, clusters = make_points(accepted=[True, False] * 30)
    points.loc[:, "text"] = HOSTILE
    record = gradient_map.linked_map(points, clusters.assign(exemplar=HOSTILE)).record
    assert [record["kinds"][kind] for kind in record["points"]["kind"][:2]] == ["accepted", "rejected"]
    assert set(record["points"]["text"]) == {sanitize(HOSTILE)}


def make_tracks():
    rows = [
        (f"s{i}", measure, i * scale, i / 20, i / 20 - 0.1, i / 20 + 0.1, [2, 128][i % 2], i)
        for measure, scale in (("G-Vendi", 3), ("perplexity", -1))
        for i in range(1, 9)
    ]
    columns = ["subset", "measure", "value", "accuracy", "low", "high", "n_wordings", "n_structures"]
    return pd.DataFrame(rows, columns=columns)


def test_tracks_write_the_correlation_over_each_panel():
    frame = make_tracks()
    plain = [panel["title"]["text"] for panel in subset_views.tracks(frame).spec["concat"]]
    assert plain == ["G-Vendi", "perplexity"]
    rho = frame["measure"].map({"G-Vendi": 0.5, "perplexity": -0.25})
    chart = subset_views.tracks(frame.assign(rho=rho, rho_low=rho - 0.5, rho_high=rho + 0.25))
    titles = [panel["title"]["text"] for panel in chart.spec["concat"]]
    assert titles == ["G-Vendi: ρ = +0.50 [+0.00, +0.75]", "perplexity: ρ = −0.25 [−0.75, +0.00]"]
    assert chart.bundle()[0]["image/png"]


def test_correlations_are_sorted():
    frame = pd.DataFrame({"measure": ["a", "b"], "rho": [-0.2, 0.7], "low": [-0.5, 0.4], "high": [0.1, 0.9]})
    chart = subset_views.correlations(frame.assign(n=30))
    assert chart.spec["layer"][1]["encoding"]["y"]["sort"] == ["b", "a"]
    assert "30 subsets" in chart.record["sentence"]
    assert chart.bundle()[0]["image/png"]


def test_the_evenly_crossed_half_is_ranked_beside_all_sets():
    frame = pd.DataFrame({"measure": ["a", "b"], "rho": [0.5, 0.0], "low": [0.2, -0.3], "high": [0.7, 0.3]})
    subset = np.arange(24)
    even, accuracy = subset % 2 == 0, subset / 24
    values = {"a": np.where(even, accuracy, 1 - accuracy), "b": np.where(even, -accuracy, accuracy)}
    tracked = pd.concat(
        pd.DataFrame({"subset": [f"{i:02d}" for i in subset], "value": value, "accuracy": accuracy}).assign(
            measure=measure
        )
        for measure, value in values.items()
    )
    chart = subset_views.correlations(frame.assign(n=24), tracked)
    half = {row["measure"]: row for row in rows_of(chart, "measure") if row["sets"] == subset_views.EVEN}
    assert {name: (round(row["rho"], 6), row["n"]) for name, row in half.items()} == {
        "a": (1, 12),
        "b": (-1, 12),
    }
    assert "evenly crossed half" in chart.record["sentence"]
    assert chart.bundle()[0]["image/png"]
    few = subset_views.correlations(frame.assign(n=6), tracked[tracked["subset"] < "06"])
    assert len(rows_of(few, "measure")) == 2
    assert "evenly crossed" not in few.record["sentence"]


def test_dimensions_draw_expectation_and_cap_where_they_are_known():
    frame = pd.DataFrame(
        {
            "dimension": [64, 128, 64, 128],
            "method": ["order 1", "order 1", "order 2", "order 2"],
            "score": [50.0, 90.0, 200.0, 201.0],
            "expected": [55.0, 95.0, np.nan, np.nan],
            "cap": [64, 128, 64, 128],
        }
    )
    rows = rows_of(chart := views.dimensions(frame), "line")
    drawn = {(row["line"], row["dimension"]): row["value"] for row in rows}
    assert len(rows) == len(drawn) == 8
    assert drawn["expected after projection", 64] == 55.0
    assert drawn["cap, min(n, d)", 128] == 128
    assert chart.bundle()[0]["image/png"]


def test_growth_moves_arms_aside_by_less_than_a_round():
    frame = pd.DataFrame([(a, r, 100, 5.0, 4.0, 6.0) for a in ("random", "gradients") for r in range(3)])
    frame.columns = ["arm", "round", "n", "g_vendi", "low", "high"]
    rows = rows_of(chart := views.growth(frame), "g_vendi")
    assert [round(row["x"] - row["round"], 3) for row in rows] == [-0.03] * 3 + [0.03] * 3
    assert chart.bundle()[0]["image/png"]


@pytest.mark.parametrize("clusters", [5, 100])
def test_clusters_are_ranked_by_their_first_size(clusters):
    sizes = np.random.default_rng(0).permutation(clusters)
    frame = pd.DataFrame(
        [("random", r, c, int(sizes[c]) + 50 * r) for r in (0, 1) for c in range(clusters)],
        columns=["arm", "round", "cluster", "size"],
    )
    rows = rows_of(chart := views.cluster_growth(frame), "place")
    first = [row["size"] for row in rows if row["round"] == 0]
    assert len(first) == min(clusters, 40)
    assert first == sorted(first)
    assert [row["size"] - 50 for row in rows if row["round"] == 1] == first
    assert chart.bundle()[0]["image/png"]


def test_a_cluster_born_later_stands_with_the_sparsest():
    frame = pd.DataFrame({"arm": "random", "round": [0, 0, 1, 1, 1], "cluster": [0, 1, 0, 1, 2]})
    rows = rows_of(views.cluster_growth(frame.assign(size=[4, 2, 5, 3, 9])), "place")
    assert {(row["round"], row["place"], row["size"]) for row in rows} == {
        (0, 3, 4), (0, 2, 2), (1, 3, 5), (1, 2, 3), (1, 1, 9)
    }  # fmt: skip


def test_accepted_stands_first_and_shares_are_of_the_candidates_of_a_round():
    frame = pd.DataFrame(
        {"arm": "random", "round": 1, "reason": ["duplicate", "accepted", "outlier"], "count": [60, 38, 2]}
    )
    rows = rows_of(chart := views.decisions(frame), "share")
    assert [row["share"] for row in rows] == [0.6, 0.38, 0.02]
    assert chart.spec["spec"]["encoding"]["y"]["sort"] == ["accepted", "duplicate", "outlier"]
    assert chart.bundle()[0]["image/png"]


def test_examples_follow_the_controls():
    frame = pd.DataFrame(
        {
            "arm": ["gradients"] * 3 + ["random"],
            "round": 1,
            "id": list("abcd"),
            "problem": ["Taken.", "Too alike.", "No answer.", *IN_FRAMES[:1]],
            "source": "market/sum",
            "decision": ["accepted", "rejected", "rejected", "accepted"],
            "reason": ["accepted", "cluster is full", "answers disagree", "accepted"],
            "cluster": [3, 4, -1, 5],
            "similarity": [0.25, 0.75, np.nan, 0.5],
        }
    )
    explorer = views.examples(frame)
    labels = [item["label"] for item in explorer.view.record["items"]]
    assert labels == [
        "accepted (round 1, market/sum, cluster 3, cosine 0.25)",
        "rejected: cluster is full (round 1, market/sum, cluster 4, cosine 0.75)",
        "rejected: answers disagree (round 1, market/sum)",
    ]
    explorer.controls["reason"].value = "rejected: cluster is full"
    assert [item["pieces"] for item in explorer.view.record["items"]] == [[("Too alike.", None)]]
    explorer.controls["arm"].value = "random"
    assert explorer.view.record["items"] == []
    assert "no candidate" in explorer.view.record["sentence"]
    explorer.controls["reason"].value = "all"
    assert SCRIPT not in explorer.view.bundle()[0]["text/html"]


def test_pairs_mark_the_runs_that_both_texts_hold():
    frame = pd.DataFrame(
        {"text_a": ["Tom has 3 red apples."], "text_b": ["Mia has 3 apples, yes"], "cosine": 0.9}
    )
    (card,) = views.pairs(frame).record["items"]
    marked = [text for text, kind in card["pieces"] if kind == "in both"]
    assert marked == ["has 3", "apples.", "has 3", "apples,"]
    assert "".join(text for text, _ in card["pieces"]) == "Tom has 3 red apples.\n\nMia has 3 apples, yes"


def test_outcome_draws_the_interval_of_a_t_test():
    accuracy = [0.4, 0.5, 0.45, 0.42]
    frame = pd.DataFrame(
        {"arm": ["a"] * 4 + ["b"], "seed": [0, 1, 2, 3, 0], "accuracy": [*accuracy, 0.6], "n": 9}
    )
    chart = views.outcome(frame)
    mean, single = rows_of(chart, "low")
    known = stats.ttest_1samp(accuracy, 0).confidence_interval(0.95)
    assert (mean["low"], mean["high"]) == pytest.approx(tuple(known))
    assert (single["accuracy"], single["low"]) == (0.6, None)
    assert chart.bundle()[0]["image/png"]


def test_contributions_show_both_ends():
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(30)], "template": "a", "contribution": range(30)})
    table = views.contributions(frame.sample(frac=1, random_state=0))
    assert [row[0] for row in table.record["rows"]] == [1, 2, 3, 4, 5, 26, 27, 28, 29, 30]
    assert [row[3] for row in table.record["rows"]] == [
        "t29",
        "t28",
        "t27",
        "t26",
        "t25",
        "t4",
        "t3",
        "t2",
        "t1",
        "t0",
    ]
