"""Clips to listen to: near-duplicates and suspect labels."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jfewshot.store.diagnostics.near_copies import CopySearch, find_near_copies, whitened
from jfewshot.store.diagnostics.spectrum import principal
from jfewshot.store.diagnostics.wrong_labels import LeftOut, find_suspects, leave_one_out, usable_labels
from studies.planted_faults import measure_labels


def clustered(n=240, n_classes=8, dim=40, seed=0):
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % n_classes
    return rng, rng.normal(size=(n_classes, dim))[classes] + rng.normal(size=(n, dim)), classes


def axes_of(x):
    return principal((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))


def pairs_of(found):
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.mark.parametrize("shape", [(60, 9), (30, 50)])
def test_each_clip_is_predicted_as_by_scikit_learns_ridge_without_that_clip(shape):
    _, x, classes = clustered(shape[0], 3, shape[1])
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    wide, targets = x.astype(np.float64), np.eye(3)[classes]
    best = np.inf
    for strength in np.square(wide - wide.mean(0)).sum() / len(x) * np.logspace(-3, 3, 7):
        predicted = np.empty_like(targets)
        for clip in range(len(x)):
            keep = np.arange(len(x)) != clip
            predicted[clip] = Ridge(alpha=strength).fit(wide[keep], targets[keep]).predict(wide[[clip]])[0]
        error = np.square(targets - predicted).sum()
        if error < best:
            best, scores = error, predicted
    others = np.where(targets > 0, -np.inf, scores)
    found = leave_one_out(principal(x), classes)
    np.testing.assert_allclose(found.margin, others.max(1) - scores[np.arange(len(x)), classes], atol=2e-4)
    np.testing.assert_array_equal(found.other, others.argmax(1))
    assert found.accuracy == np.mean(scores.argmax(1) == classes)


def test_a_suspect_needs_all_good_encoders_and_one_other_class():
    classes = np.repeat([0, 1, 2], 10)

    def says(wrong, accuracy=0.95):
        other, margin = (classes + 1) % 3, np.full(30, -0.8)
        for clip, to, by in wrong:
            other[clip], margin[clip] = to, by
        return LeftOut(other, margin, accuracy)

    first = says([(0, 1, 0.9), (1, 1, 0.9), (2, 2, 0.9), (11, 2, 0.5)])
    second = says([(0, 1, 0.5), (1, 2, 0.9), (3, 1, 0.9), (11, 2, 0.2)], accuracy=0.93)
    poor = says([], accuracy=0.92)
    found = find_suspects([poor, first, second], classes)
    assert found.encoders == (1, 2)  # the third makes 1.6 times the errors of the best
    assert found.clips.tolist() == [0]  # 1 and 2: not agreed upon; 11: too small a margin
    assert found.given_to.tolist() == [1]
    assert found.margin.tolist() == pytest.approx([0.7])
    assert find_suspects([says([(0, 1, 0.9)], accuracy=0.5)], classes).encoders == ()


def test_labels_that_no_other_clip_shares_are_not_judged():
    classes, labelled = np.array([0, 0, 1, 2, 2, 2]), np.array([True, True, True, False, False, True])
    assert usable_labels(classes, labelled).tolist() == [True, True, False, False, False, False]


def test_wrong_labels_planted_in_a_sample_store_are_found():
    for cell in measure_labels("fsdd_digits", 1, ("whisper_tiny_en", "speech_embedding", "mfcc")):
        assert cell["precision"] >= 0.9
        assert cell["recall"] >= 0.9
        assert "MFCC" not in cell["asked"]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["esc10", "fsdd_digits", "fsdd_speakers", "arabic_commands"])
def test_wrong_labels_planted_in_all_sample_stores_are_found(dataset):
    for cell in measure_labels(dataset, 5):
        assert cell["precision"] >= 0.9, cell
        assert cell["recall"] >= 0.9, cell


def test_whitening_takes_shared_directions_away():
    _, x, _ = clustered(500, 1, 12)
    x[:, 0] *= 30
    found = whitened(principal(x.astype(np.float32)), 0.0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.abs((found.T @ found) / len(found) - np.eye(12) / 12).max() < 0.03


def copies(noise, n_spaces=3, n_copies=24):
    """Clusters with planted copies in other groups: the pairs that are found, and those that were planted."""
    rng, x, classes = clustered()
    groups = np.arange(len(x)) // 8
    chosen = rng.permutation(len(x))[:n_copies]
    classes, all_groups = np.r_[classes, classes[chosen]], np.r_[groups, groups[chosen] + 1000]
    searches = []
    for _ in range(n_spaces):
        own = x @ rng.normal(size=(40, 40))
        own = np.concatenate([own, own[chosen] + noise * np.std(own) * rng.normal(size=(n_copies, 40))])
        searches.append(CopySearch(axes_of(own), classes, all_groups))
    return pairs_of(find_near_copies(searches)), {(int(clip), len(x) + at) for at, clip in enumerate(chosen)}


@pytest.mark.parametrize("n_spaces", [1, 3])
def test_planted_copies_are_found(n_spaces):
    found, planted = copies(0.2, n_spaces)
    assert len(found & planted) >= 0.9 * len(planted)
    assert len(found & planted) >= 0.9 * len(found)


def test_nothing_is_found_where_nothing_is_alike_beyond_chance():
    found, _ = copies(3.0)
    assert len(found) <= 2  # of 264 clips


def test_strengths_are_deviations_of_locally_scaled_distances():
    _, x, classes = clustered(60, 3, 6)
    axes = axes_of(x)
    e = whitened(axes).astype(np.float64)
    distance = np.sqrt(np.maximum(2 - 2 * e @ e.T, 0))
    np.fill_diagonal(distance, np.inf)
    scale = np.sort(distance, axis=1)[:, 4]
    ratio = distance / np.sqrt(scale[:, None] * scale)
    smallest = ratio.min(axis=1)
    median = np.median(smallest)
    first, second = np.array([0, 7, 30]), np.array([59, 8, 2])
    expected = (median - ratio[first, second]) / np.median(np.abs(smallest - median))
    search = CopySearch(axes, classes, np.arange(60))
    np.testing.assert_allclose(search.deviations(first, second), expected, rtol=1e-3)
    nearest = set(map(tuple, search.candidates.tolist()))
    assert all((row, int(ratio[row].argmin())) in nearest for row in range(60))


def test_copies_within_a_class_and_group_are_no_leak():
    _, x, classes = clustered()
    x[1], classes[1] = x[0], classes[0]
    groups = np.arange(len(x))
    found = find_near_copies([CopySearch(axes_of(x), classes, groups)])
    assert (found.first[0], found.second[0]) == (0, 1)
    groups[1] = groups[0]
    assert (0, 1) not in pairs_of(find_near_copies([CopySearch(axes_of(x), classes, groups)]))


def test_many_equal_clips_are_found_too():
    _, x, classes = clustered()
    x[:8] = x[0]
    found = find_near_copies([CopySearch(axes_of(x), classes, np.arange(len(x)))])
    assert max(found.first[0], found.second[0]) < 8
