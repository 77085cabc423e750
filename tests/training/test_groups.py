"""Batches of exactly so many groups: as many as there can be, by a maximum flow."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from jfewshot.training.groups import EqualGroups


def most_batches(counts, share, per_batch):
    """By trying: batches that a flow from groups (so many shares) to batches (one share of a group each) fills."""

    def filled(n):
        groups, sink = len(counts), 1 + len(counts) + n
        capacity = np.zeros((sink + 1, sink + 1), np.int32)
        capacity[0, 1 : 1 + groups] = counts // share
        capacity[1 : 1 + groups, 1 + groups : sink] = 1
        capacity[1 + groups : sink, sink] = per_batch
        return maximum_flow(csr_array(capacity), 0, sink).flow_value == n * per_batch

    n = 0
    while filled(n + 1):
        n += 1
    return n


@pytest.mark.parametrize("seed", range(12))
def test_as_many_full_batches_as_possible(seed):
    rng = np.random.default_rng(seed)
    per_batch, share = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    sizes = rng.integers(1, 40, int(rng.integers(per_batch, 9)))
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    groups = EqualGroups(labels, per_batch, per_batch * share)
    items = rng.permutation(len(labels))
    batches, rest = groups.cut(items, rng)
    assert len(batches) == groups.runs(sizes)[0] == most_batches(sizes, share, per_batch)
    for batch in batches:
        assert np.array_equal(np.unique(labels[batch], return_counts=True)[1], [share] * per_batch)
    assert sorted([*batches.ravel(), *rest]) == list(range(len(labels)))
    np.testing.assert_array_equal(np.bincount(labels[rest], minlength=len(sizes)), groups.left(sizes))
