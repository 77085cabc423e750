"""The order in which cells are computed, and what is made ready for the next."""

import numpy as np
import pytest

from jfewshot.cells import computing as module
from jfewshot.cells import planning
from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.heads.fitting import choose_view
from jfewshot.results import ResultFolder, key_of
from jfewshot.store import ClipTable, write_store
from jfewshot.store.view_checks import CheckedViews
from tests.synthetic_stores import clip_table, embeddings, make_store

UPSTREAMS = ("a", "b", "c", "d")


class Noting(CheckedViews):
    """Notes what is asked for, and what is said to follow."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get(self, wanted, then=None):
        self.asked.append((wanted.store.upstream, then and then.store.upstream))
        return super().get(wanted, then)


@pytest.fixture
def noting(monkeypatch):
    checked = Noting()
    monkeypatch.setattr(module, "_CHECKED", checked)
    return checked


def cells_of(tmp_path, upstreams=UPSTREAMS, classifiers=("centroid",)):
    table = clip_table((6,) * 5)
    stores = [make_store(tmp_path / name, table, upstream=name, seed=ord(name)) for name in upstreams]
    protocol = Protocol(n_query=1, n_episodes=16, split=None)
    return plan_cells(stores, [protocol], [parse_classifier(name) for name in classifiers])


@pytest.mark.parametrize("classifier", ["logistic:C=0.1,1", "knn", "centroid:metric=cosine"])
def test_a_cells_key_is_that_of_its_identity(tmp_path, classifier):
    (cell,) = cells_of(tmp_path, ("a",), (classifier,))
    for strength in cell.spec.strengths:
        assert cell.key(strength) == key_of(cell.identity(strength))
    assert len({cell.key(strength) for strength in cell.spec.strengths}) == len(cell.spec.strengths)


def test_without_views_each_store_s_default_view_is_evaluated(tmp_path):
    table = clip_table((6,) * 5)
    views = {name: embeddings(table, 4) for name in ("0.mean", "last.mean", "last.mean_std")}
    names = {"clips": table, "dataset": {"name": "birds"}}
    stores = [
        write_store(tmp_path / "a", views=views, upstream={"name": "a"}, default_view="last.mean_std", **names),
        write_store(tmp_path / "b", views=views, upstream={"name": "b"}, **names),
        write_store(tmp_path / "c", views={"5.max": views["0.mean"]}, upstream={"name": "c"}, **names),
    ]
    protocol = Protocol(n_query=1, n_episodes=16, split=None)
    cells = plan_cells(stores, [protocol], [parse_classifier("centroid")])
    assert [cell.view for cell in cells] == ["last.mean_std", "last.mean", "5.max"]
    assert [choose_view(store, None) for store in stores] == ["last.mean_std", "last.mean", "5.max"]
    with pytest.raises(UserError, match=r"default view '9\.mean' is not among the views"):
        write_store(tmp_path / "d", views=views, upstream={"name": "d"}, default_view="9.mean", **names)


def test_each_cell_is_looked_up_a_few_times_however_many_there_are(tmp_path):
    cells, found = cells_of(tmp_path), []

    class Folder:
        """Has every record."""

        def find(self, key):
            found.append(key)
            names = {name: {"name": name} for name in ("upstream", "dataset", "view")}
            return {"key": key, **names}

        def check_writable(self): ...

        def write_cell(self, record, predicted, scores=None): ...

        def write_draws(self, protocol, arrays): ...

        def flush(self): ...

    assert len(list(evaluate_cells(cells * 200, Evaluator(), Folder()))) == 800
    assert len(found) == 800


def test_the_next_store_is_made_ready_while_one_is_worked_on(tmp_path, noting):
    records = list(evaluate_cells(cells_of(tmp_path), Evaluator(), None))
    assert [record["upstream"]["name"] for record, _ in records] == list(UPSTREAMS)
    assert noting.asked == [("a", "b"), ("b", "c"), ("c", "d"), ("d", None)]


def test_another_classifier_on_the_same_store_is_not_the_next_store(tmp_path, noting):
    list(evaluate_cells(cells_of(tmp_path, ("a", "b"), ("centroid", "ridge")), Evaluator(), None))
    assert noting.asked == [("a", "b"), ("a", "b"), ("b", None), ("b", None)]


def test_stores_whose_records_are_there_are_not_made_ready(tmp_path, noting):
    cells, folder = cells_of(tmp_path), ResultFolder(tmp_path / "results")
    first = dict(zip("bc", evaluate_cells(cells[1:3], Evaluator(), folder), strict=True))
    noting.asked.clear()
    everything = list(evaluate_cells(cells, Evaluator(), folder))
    assert noting.asked == [("a", "d"), ("d", None)]
    assert [is_new for _, is_new in everything] == [True, False, False, True]
    np.testing.assert_equal(everything[1][0]["accuracy"], first["b"][0]["accuracy"])


def test_what_is_wrong_with_the_next_store_is_said_when_its_turn_comes(tmp_path, noting):
    cells, folder = cells_of(tmp_path, ("a", "b")), ResultFolder(tmp_path / "results")
    del cells[1].store.manifest["views"]["last.mean"]["sha256"]
    records = evaluate_cells(cells, Evaluator(), folder)
    assert next(records)[0]["upstream"]["name"] == "a"
    with pytest.raises(UserError, match=r"no sha256 for view 'last\.mean'"):
        next(records)


def test_a_new_version_of_the_numerics_gives_other_keys(tmp_path, monkeypatch):
    before = cells_of(tmp_path, ("a",), ("centroid",))[0].key(None)
    monkeypatch.setattr(planning, "NUMERICS_VERSION", planning.NUMERICS_VERSION + 1)
    (after,) = cells_of(tmp_path, ("a",), ("centroid",))
    assert before != after.key(None)
    assert after.identity(None)["numerics"] == planning.NUMERICS_VERSION


def test_the_intersection_is_of_all_stores_and_not_of_the_first_two(tmp_path):
    whole = clip_table((6,) * 5)
    stores = []
    for number, name in enumerate("abc"):
        keep = np.ones(len(whole), bool)
        keep[10 * number : 10 * number + 2] = False  # each store lacks two clips of its own
        table = whole.select(keep)
        table = ClipTable.build(table.clip_id, table.class_name)
        stores.append(make_store(tmp_path / name, table, upstream=name))
    cells = plan_cells(stores, [Protocol(n_query=1)], [parse_classifier("centroid")], intersect_clips=True)
    missing = {number for start in (0, 10, 20) for number in (start, start + 1)}
    expected = [str(name) for number, name in enumerate(whole.clip_id) if number not in missing]
    assert [cell.clips.clip_id.tolist() for cell in cells] == [expected] * 3
    assert len({cell.clips.digest for cell in cells}) == 1
