"""Batches of similar length: every utterance once, shortest first; empty rows change nothing of the others."""

from typing import NamedTuple

import numpy as np

from jfewshot.downstream.batches import by_length, filled_up


class Batch(NamedTuple):
    frames: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


def test_every_utterance_comes_once_shortest_first():
    lengths = np.array([9, 2, 7, 2, 5, 1])
    parts = [part.tolist() for part in by_length(lengths, np.array([0, 1, 2, 3, 4]), 2)]
    assert parts == [[1, 3], [4, 2], [0]]  # of equal lengths the earlier comes first


def test_a_batch_is_filled_up_with_empty_rows():
    batch = Batch(np.ones((2, 3, 4), np.float32), np.array([[5, 6], [7, -1]], np.int32), np.arange(2, dtype=np.int32))
    filled = filled_up(batch, 5, {"labels": -1})
    assert filled.frames.shape == (5, 3, 4)
    np.testing.assert_array_equal(filled.frames[:2], batch.frames)
    assert not filled.frames[2:].any()
    assert filled.labels.tolist() == [[5, 6], [7, -1], [-1, -1], [-1, -1], [-1, -1]]
    assert filled.rows.tolist() == [0, 1, 2, 3, 4]
    assert [part.dtype for part in filled] == [part.dtype for part in batch]


def test_a_full_batch_stays_as_it_is():
    batch = Batch(np.ones((2, 3, 4), np.float32), np.zeros((2, 2), np.int32), np.arange(2, dtype=np.int32))
    assert filled_up(batch, 2) is batch
