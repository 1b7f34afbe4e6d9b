"""Spherical k-means."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from workbench.engine.gradients.kmeans import nearest, spherical_kmeans
from workbench.errors import UserError


def planted(n=600, k=12, d=32, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(d, k)))[0].T
    truth = rng.integers(k, size=n)
    return centres[truth] + noise * rng.normal(size=(n, d)), truth


def scattered(n=500, d=16, seed=1):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_planted_clusters_are_found():
    vectors, truth = planted()
    found = spherical_kmeans(vectors, 12)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert sorted(found.sizes) == sorted(np.bincount(truth))
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-5)


def test_labels_and_similarities_are_those_of_the_nearest_centroid():
    vectors = scattered()
    found = spherical_kmeans(vectors, 40, iterations=3)
    cosine = vectors @ found.centroids.T
    np.testing.assert_array_equal(found.labels, cosine.argmax(1))
    np.testing.assert_allclose(found.similarity, cosine.max(1), atol=1e-5)
    labels, similarity = nearest(3 * vectors, found.centroids)
    np.testing.assert_array_equal(labels, found.labels)
    np.testing.assert_allclose(similarity, found.similarity, atol=1e-5)


def test_ends_where_a_plain_loop_would_not_move():
    vectors = scattered()
    found = spherical_kmeans(vectors, 10, iterations=500)
    for cluster, centroid in enumerate(found.centroids):
        total = vectors[found.labels == cluster].sum(0)
        np.testing.assert_allclose(total / np.linalg.norm(total), centroid, atol=1e-5)


def test_a_step_equals_a_plain_loop():
    vectors = scattered()
    before, after = (spherical_kmeans(vectors, 25, iterations=count) for count in (4, 5))
    for cluster in range(25):
        total = vectors[before.labels == cluster].sum(0)
        np.testing.assert_allclose(total / np.linalg.norm(total), after.centroids[cluster], atol=1e-5)


def test_seed_decides():
    vectors = scattered()
    one, same, other = (spherical_kmeans(vectors, 30, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.labels, same.labels)
    np.testing.assert_array_equal(one.centroids, same.centroids)
    assert adjusted_rand_score(one.labels, other.labels) < 1


def test_order_scale_and_chunks_do_not_matter(monkeypatch):
    vectors, _ = planted()
    order = np.random.default_rng(5).permutation(len(vectors))
    plain = spherical_kmeans(vectors, 12)
    mixed = spherical_kmeans(vectors[order] * np.linspace(0.1, 9, len(order))[:, None], 12)
    assert adjusted_rand_score(plain.labels[order], mixed.labels) == 1
    monkeypatch.setattr("workbench.engine.gradients.kmeans._CHUNK", 100)
    np.testing.assert_array_equal(spherical_kmeans(vectors, 12).labels, plain.labels)


def test_no_cluster_is_empty_even_among_copies():
    vectors = np.repeat(np.eye(5), [40, 3, 2, 2, 1], axis=0)
    found = spherical_kmeans(vectors, 20)
    assert found.sizes.min() >= 1
    assert found.sizes.sum() == 48
    np.testing.assert_allclose(found.similarity, 1, atol=1e-6)
    assert spherical_kmeans(vectors, 20, batch=40).sizes.min() >= 1


def test_members_that_cancel_leave_a_direction():
    found = spherical_kmeans([[1, 0], [-1, 0]], 1)
    np.testing.assert_allclose(np.linalg.norm(found.centroids), 1)
    assert sorted(found.similarity) == [-1, 1]


def test_seeding_draws_by_distance():
    # Of 90 vectors in one place and 10 alone, k-means++ takes 11 different ones with certainty.
    vectors = np.repeat(np.eye(11), [90] + [1] * 10, axis=0)
    for seed in range(20):
        assert len(np.unique(spherical_kmeans(vectors, 11, seed=seed, iterations=0).labels)) == 11


def test_batches_come_close_to_all_at_once():
    vectors, truth = planted(n=3000, noise=0.2)
    full = spherical_kmeans(vectors, 12)
    part = spherical_kmeans(vectors, 12, batch=300)
    assert part.similarity.mean() > 0.98 * full.similarity.mean()
    assert adjusted_rand_score(truth, part.labels) > 0.9 * adjusted_rand_score(truth, full.labels)


def test_many_vectors_go_in_batches(monkeypatch):
    vectors, _ = planted(n=21_000, noise=0.05)
    monkeypatch.setattr("workbench.engine.gradients.kmeans._MANY", 20_500)
    automatic, asked = (spherical_kmeans(vectors, 12, batch=batch) for batch in (None, 20_000))
    np.testing.assert_array_equal(automatic.centroids, asked.centroids)


@pytest.mark.parametrize("k", [0, -1, 6])
def test_refuses_a_number_of_clusters_that_cannot_be(k):
    with pytest.raises(UserError, match="1 to 5 clusters of 5 vectors"):
        spherical_kmeans(np.eye(5), k)


def test_refuses_bad_rows_by_name():
    with pytest.raises(UserError, match="batch at least as large as the 4"):
        spherical_kmeans(np.eye(5), 4, batch=3)
    bad = np.eye(9)
    bad[3, 0] = np.nan
    with pytest.raises(ValueError, match="vectors 3 hold NaN"):
        spherical_kmeans(bad, 2)
    bad = np.eye(9)
    bad[1:8] = 0
    with pytest.raises(ValueError, match="vectors 1, 2, 3, 4, 5 and 2 more are zero"):
        nearest(bad, np.eye(9))
    with pytest.raises(ValueError, match="not of shape"):
        spherical_kmeans(np.ones(4), 1)
