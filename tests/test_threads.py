"""Blocks of rows by threads."""

import threading

import pytest

from jfewshot import threads
from jfewshot.threads import by_blocks


def test_blocks_cover_all_rows_once_and_their_results_are_in_order():
    assert by_blocks(lambda start, stop: (start, stop), 10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert by_blocks(lambda start, stop: (start, stop), 0, 4) == []


def test_blocks_are_worked_on_side_by_side(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    by_blocks(lambda start, stop: both.wait(), 8, 4)


def test_what_goes_wrong_in_a_block_is_raised():
    def fail(start, stop):
        raise ValueError(start)

    with pytest.raises(ValueError, match="4"):
        by_blocks(lambda start, stop: fail(start, stop) if start else None, 8, 4)
