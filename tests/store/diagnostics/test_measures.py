"""Each measure of one space against a closed form, NumPy in float64, scikit-learn or SciPy."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from jfewshot.store.diagnostics import neighbours
from jfewshot.store.diagnostics.alignment import label_alignment, silhouette
from jfewshot.store.diagnostics.clip_embeddings import clip_embeddings, draw_clips
from jfewshot.store.diagnostics.neighbours import hubness, nearest_neighbours
from jfewshot.store.diagnostics.similarity import debiased_cka, linear_cka, similarities
from jfewshot.store.diagnostics.spectrum import directions_for, effective_rank, mean_cosine, principal, variances_of
from tests.synthetic_stores import clip_table, embeddings


def unit(n=60, dim=7, seed=0, offset=0.0):
    x = np.random.default_rng(seed).normal(size=(n, dim)) * np.linspace(0.3, 2, dim) + offset
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("shape", [(60, 7), (9, 30)])
def test_variances_and_effective_rank_are_those_of_the_singular_values(shape):
    x = unit(*shape, offset=1.0)
    exact = x.astype(np.float64) - x.astype(np.float64).mean(0)
    singular = np.linalg.svd(exact, compute_uv=False)[: min(shape[1], shape[0] - 1)]
    axes = principal(x)
    # The mean is subtracted in float32.
    np.testing.assert_allclose(axes.variances, singular**2 / len(x), rtol=1e-5, atol=1e-9)
    assert effective_rank(axes.variances) == pytest.approx(np.exp(scipy.stats.entropy(singular)), rel=1e-5)
    np.testing.assert_allclose(variances_of(x)[: len(singular)], singular**2 / len(x), rtol=1e-12, atol=1e-15)
    again = axes.coordinates * np.sqrt(len(x) * axes.variances)
    np.testing.assert_allclose(again @ again.T, exact @ exact.T, atol=1e-5)


def test_r_equal_directions_have_effective_rank_r_however_many_numbers_an_embedding_has():
    simplex = np.zeros((5 * 4, 300), np.float32)
    for row in range(len(simplex)):
        simplex[row, row % 5] = 1.0
    axes = principal(simplex)
    assert effective_rank(axes.variances) == pytest.approx(4, abs=1e-3)  # five centred vertices span four directions
    assert directions_for(axes.variances, 1.0) == 4
    assert directions_for(axes.variances, 0.75) == 3
    assert effective_rank(principal(np.ones((5, 3), np.float32)).variances) == 0


def test_the_mean_cosine_is_that_of_all_pairs():
    x = unit(offset=0.7)
    cosines = x.astype(np.float64) @ x.T
    assert mean_cosine(x) == pytest.approx(cosines[~np.eye(len(x), dtype=bool)].mean(), abs=1e-6)
    assert mean_cosine(np.float32([[1, 0], [-1, 0]])) == -1


def test_hubness_is_the_skewness_of_the_occurrence_among_scikit_learns_neighbours(monkeypatch):
    x = unit(200, 20)
    near = NearestNeighbors(n_neighbors=10, metric="cosine").fit(x).kneighbors(return_distance=False)
    occurs = np.bincount(near.ravel(), minlength=len(x))
    whole = nearest_neighbours(x, 10)
    np.testing.assert_array_equal(np.sort(whole), np.sort(near))
    found = hubness(whole)
    assert found.skewness == pytest.approx(scipy.stats.skew(occurs))
    assert found.never == np.mean(occurs == 0)
    assert found.largest == pytest.approx(occurs.max() / 199)
    monkeypatch.setattr(neighbours.product_blocks, "__defaults__", (200 * 4 * 3,))  # three rows at a time
    np.testing.assert_array_equal(np.sort(nearest_neighbours(x, 10)), np.sort(near))


def test_a_ring_has_no_hubs():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    assert hubness(nearest_neighbours(ring, 2)) == (0.0, 0.0, pytest.approx(2 / 23))


def test_the_silhouette_is_scikit_learns_with_a_clip_alone_in_its_class():
    x, classes = unit(41, offset=0.5), np.r_[np.arange(40) % 3, 3]
    # scikit-learn takes the float32 vectors to length 1 again.
    assert silhouette(x, classes) == pytest.approx(silhouette_score(x, classes, metric="cosine"), abs=1e-6)


def gram_cka(k, m):
    """CKA from Gram matrices, as defined."""
    centre = np.eye(len(k)) - 1 / len(k)
    k, m = centre @ k @ centre, centre @ m @ centre
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def test_cka_and_label_alignment_are_those_of_centred_gram_matrices():
    x, y, classes = unit(50, 7, 0, 0.5), unit(50, 90, 1), np.arange(50) % 4
    wide, other = x.astype(np.float64), y.astype(np.float64)
    assert linear_cka(x, y) == pytest.approx(gram_cka(wide @ wide.T, other @ other.T), rel=1e-5)
    same = (classes[:, None] == classes).astype(np.float64)
    assert label_alignment(x, classes) == pytest.approx(gram_cka(wide @ wide.T, same), rel=1e-5)


def test_debiased_cka_is_that_of_gram_matrices_without_their_diagonals():
    x, y = unit(30, 7, 0, 0.5), unit(30, 90, 1)

    def hsic(k, m):  # Song et al., eq. 5
        n = len(k)
        k, m = (np.where(np.eye(n, dtype=bool), 0, gram) for gram in (k, m))
        ones = np.ones(n)
        far = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + far - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3))

    k, m = (each.astype(np.float64) @ each.T for each in (x, y))
    assert debiased_cka(x, y) == pytest.approx(hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m)), abs=1e-5)


def test_cka_is_one_for_a_rotated_space_and_only_the_debiased_one_is_near_zero_for_noise():
    rng = np.random.default_rng(0)
    x, noise = (rng.normal(size=(300, 300)) for _ in range(2))
    rotation = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    linear, unbiased = similarities([x, 3 * x @ rotation, noise])
    assert linear[0, 1] == pytest.approx(1)
    assert unbiased[0, 1] == pytest.approx(1)
    assert linear[0, 2] == pytest.approx(0.5, abs=0.02)  # n = dim: as the docstring says
    assert abs(unbiased[0, 2]) < 0.02
    assert np.isnan(linear_cka(x, np.ones((300, 2))))


def test_a_clip_is_the_mean_of_its_segments_and_silence_has_no_direction():
    table = clip_table((4, 4), n_segments=lambda number: 1 + number % 3)
    view = embeddings(table, dim=5, dtype=np.float16)
    view[table.rows(np.array([2]))[0]] = 0
    view[table.rows(np.array([5]))[0][0], 1] = np.nan
    found, sound = clip_embeddings(view, table, np.arange(8))
    assert np.flatnonzero(~sound).tolist() == [2, 5]
    for clip in (0, 1, 3, 4, 6, 7):
        mean = view[table.rows(np.array([clip]))[0]].astype(np.float64).mean(0)
        np.testing.assert_allclose(found[clip], mean / np.linalg.norm(mean), atol=1e-6)


def test_a_sample_depends_on_the_ids_alone_and_contains_the_smaller_sample():
    table = clip_table((40, 40))
    ids = [set(table.clip_id[draw_clips(table, n)].tolist()) for n in (10, 30, 80)]
    assert [len(one) for one in ids] == [10, 30, 80]
    assert ids[0] < ids[1] < ids[2]
    half = table.select(np.arange(0, 80, 2))
    assert ids[0] & set(half.clip_id.tolist()) <= set(half.clip_id[draw_clips(half, 10)].tolist())
