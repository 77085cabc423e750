"""Blocks of rows by threads."""

import contextlib
import threading

import numpy as np
import pytest
import threadpoolctl

import jfewshot
from jfewshot import threads
from jfewshot.evaluator import evaluator
from jfewshot.threads import by_blocks, one_blas_thread


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


def test_blas_has_one_thread_inside_and_as_many_as_before_afterwards():
    def counts():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = counts()
        assert before
        with one_blas_thread():
            assert counts() == [1] * len(before)
        assert counts() == before == [2] * len(before)


@pytest.mark.parametrize(("classifier", "alone"), [("ridge:alpha=auto", True), ("ridge", False)])
def test_strengths_are_chosen_with_one_blas_thread(monkeypatch, classifier, alone):
    entered = []
    monkeypatch.setattr(evaluator, "one_blas_thread", lambda: entered.append(1) or contextlib.nullcontext())
    jfewshot.evaluate_arrays(
        np.eye(12).repeat(4, axis=0),
        np.repeat(list("abcdefghijkl"), 4),
        shots=2,
        n_query=1,
        ways=2,
        n_episodes=10,
        classifiers=classifier,
    )
    assert bool(entered) == alone
