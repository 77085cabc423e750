import threading

import pytest

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.finishing import Finishing
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.profiling import profile
from jfewshot.results import ResultFolder, read_results
from tests.synthetic_stores import clip_table, make_store


def cells_of(folder, upstreams):
    """One cell per (name, seed) of a store."""
    table = clip_table((6,) * 5)
    stores = [make_store(folder / name, table, upstream=name, seed=seed) for name, seed in upstreams]
    return plan_cells(stores, [Protocol(n_query=1, n_episodes=16)], [parse_classifier("centroid")])


def test_records_come_in_order_and_one_may_be_in_the_making_while_the_next_is_solved():
    finishing, may_end = Finishing(), threading.Event()
    try:
        finishing.submit("a", lambda: {"key": "a", "ended": may_end.wait(60)})
        # The first record cannot be finished yet, and nobody waits for it.
        assert list(finishing.take()) == []
        assert "a" in finishing
        may_end.set()
        finishing.submit("b", lambda: {"key": "b"})
        assert list(finishing.take()) == [{"key": "a", "ended": True}]
        assert "a" not in finishing
        assert list(finishing.take(0)) == [{"key": "b"}]
    finally:
        may_end.set()
        finishing.close()


def test_closing_waits_for_what_was_submitted():
    finishing, ended = Finishing(), []
    for key in "abc":
        finishing.submit(key, lambda key=key: ended.append(key) or {})
    finishing.close()
    assert ended == ["a", "b", "c"]


def test_while_a_run_is_profiled_its_own_thread_does_the_work(tmp_path):
    with profile(tmp_path):
        finishing = Finishing()
        finishing.submit("a", lambda: {"thread": threading.get_ident()})
        assert list(finishing.take(0)) == [{"thread": threading.get_ident()}]
        finishing.close()


def test_equal_embeddings_under_two_names_are_computed_once_also_one_after_the_other(tmp_path):
    cells, folder = cells_of(tmp_path, (("a", 1), ("b", 1), ("c", 2))), ResultFolder(tmp_path / "results")
    found = list(evaluate_cells(cells, Evaluator(), folder))
    assert [(record["upstream"]["name"], is_new) for record, is_new in found] == [
        ("a", True),
        ("b", False),
        ("c", True),
    ]


def test_a_record_that_cannot_be_written_ends_the_run_and_keeps_the_others(tmp_path, monkeypatch):
    cells, folder = cells_of(tmp_path, (("a", 1), ("b", 2), ("c", 3))), ResultFolder(tmp_path / "results")
    write, written = folder.write_cell, []

    def refuse_the_second(record, predicted, scores):
        written.append(record["upstream"]["name"])
        if len(written) == 2:
            raise UserError("no space left")
        return write(record, predicted, scores)

    monkeypatch.setattr(folder, "write_cell", refuse_the_second)
    records = evaluate_cells(cells, Evaluator(), folder)
    assert next(records)[0]["upstream"]["name"] == "a"
    with pytest.raises(UserError, match="no space left"):
        list(records)
    assert {record["upstream"]["name"] for record in read_results(tmp_path / "results").records} == set(written) - {"b"}
