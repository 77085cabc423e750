"""Curves over shots: nested supports, the same queries and classes at every point, and all labels at the end."""

import logging

import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression

import jfewshot
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol, protocols
from jfewshot.episodes.share import query_part
from jfewshot.episodes.sides import Side
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, make_store

SIZES = (16, 20, 24, 13)


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator()


@pytest.fixture(scope="module")
def curve(tmp_path_factory, evaluator):
    """A store of unequal classes, and results of 1, 3 and all labels with 3 of its 4 classes in an episode."""
    folder = tmp_path_factory.mktemp("curve")
    store = make_store(folder / "store", clip_table(SIZES, groups_of=2), dim=6)
    options = {"ways": 3, "n_query": 2, "n_episodes": 40, "preprocessing": "none", "evaluator": evaluator}
    jfewshot.evaluate(store, shots=[1, "all", 3], classifiers="centroid", out=folder / "out", **options)
    jfewshot.evaluate(store, shots="all", classifiers="logistic", out=folder / "all", **options)
    for name in ("ridge:alpha=auto", "knn"):  # their records can be written, too
        (record,) = jfewshot.evaluate(store, shots="all", classifiers=name, out=folder / "others", **options)
        assert not (record["solver"] or {}).get("not_converged")
    points = {}
    for results in (read_results(folder / "out"), read_results(folder / "all")):
        for record in results.records:
            protocol = record["identity"]["protocol"]
            shots = "all" if protocol.get("all_labels") else protocol["k_shot"]
            points[shots] = record, results.draws(record)["clips"].astype(int), results.predictions(record)
    return store, points


def test_supports_are_nested_and_classes_and_queries_the_same_along_the_curve(curve):
    store, points = curve
    assert set(points) == {1, 3, "all"}
    one, three, everything = (points[shots][1] for shots in (1, 3, "all"))
    np.testing.assert_array_equal(one[:, :, :1], three[:, :, :1])
    np.testing.assert_array_equal(one[:, :, 1:], three[:, :, 3:])
    np.testing.assert_array_equal(one[:, :, 1:], everything[:, :, 1:])
    part = query_part(store.clips)
    assert part[one[:, :, 1:]].all()
    assert not part[three[:, :, :3]].any()


@threadpoolctl.threadpool_limits.wrap(limits=1)  # small fits, which threads slow down
def test_all_labels_is_scikit_learns_fit_on_every_support_of_the_episodes_classes(curve):
    """LogisticRegression in float64 at tol 1e-10; the solver ends at a gradient of 1e-10 for each support, so predictions are
    equal."""
    store, points = curve
    record, clips, predicted = points["all"]
    embeddings = store.view("last.mean").astype(np.float64)
    row = store.clips.first_segment
    part = query_part(store.clips)
    names = store.clips.class_name
    for episode in range(12):
        classes = names[clips[episode, :, 0]].tolist()
        support = np.flatnonzero(np.isin(names, classes) & ~part)
        labels = [classes.index(name) for name in names[support]]
        fit = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(embeddings[row[support]], labels)
        theirs = fit.predict(embeddings[row[clips[episode, :, 1:].ravel()]])
        assert predicted[episode].tolist() == theirs.tolist()
    assert record["solver"]["not_converged"] == 0
    assert record["solver"]["residual_max"] <= 1e-10
    least = min(int(((names == name) & ~part).sum()) for name in set(names))
    assert record["counts"]["labels_per_class"]["least"] == least
    assert 0 < record["accuracy"]["mean"] <= 1
    assert record["timing"]["inner_products"] == "all labels"


@threadpoolctl.threadpool_limits.wrap(limits=1)
def test_the_whole_query_pool_is_classified_by_one_fit_on_the_whole_support_pool(curve, evaluator):
    """All labels, all classes, all queries: what is usually called training and testing."""
    store, _ = curve
    (record,) = jfewshot.evaluate(
        store,
        shots="all",
        ways="all",
        n_query="all",
        n_episodes=2,
        classifiers="logistic",
        preprocessing="none",
        evaluator=evaluator,
    )
    x, names, part = store.view("last.mean").astype(np.float64), store.clips.class_name, query_part(store.clips)
    fit = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x[store.clips.first_segment[~part]], names[~part])
    right = fit.predict(x[store.clips.first_segment[part]]) == names[part]
    assert 0 < right.mean() < 1
    assert record["accuracy"]["mean"] == pytest.approx(right.mean())
    recalls = [right[names[part] == name].mean() for name in sorted(set(names))]
    assert record["metrics"]["balanced_accuracy"]["mean"] == pytest.approx(np.mean(recalls))


def test_a_share_of_whole_groups_is_kept_for_queries():
    table = clip_table((12, 40, 7), groups_of=3)
    part = query_part(table)
    assert not set(table.group[part]) & set(table.group[~part])
    for name, size in zip(("class0", "class1", "class2"), (12, 40, 7), strict=True):
        own = part[table.class_name == name].sum()
        assert size / 4 <= own <= size / 4 + 3
    # Without groups each clip is one; a class of a single group stays with the supports.
    alone = query_part(clip_table((8, 8)))
    assert alone.sum() == 4
    single = clip_table((8, 8), groups_of=8)
    assert not query_part(single).any()
    with pytest.raises(UserError, match="no labelled clip can be a query clip"):
        class_pool(single, protocols(2, "all")[0])


def test_segments_of_a_query_vote_or_share_their_scores_and_all_of_a_support_count(tmp_path, evaluator):
    table = clip_table((9, 12), n_segments=lambda i: 1 + i % 3)
    store = make_store(tmp_path / "store", table, dim=4)
    x = store.view("last.mean").astype(np.float64)
    rows = [np.arange(f, f + n) for f, n in zip(table.first_segment, table.n_segments, strict=True)]
    part = query_part(table)
    for how in ("vote", "mean", "one"):
        (record,) = jfewshot.evaluate(
            store,
            shots="all",
            ways=2,
            n_query=2,
            n_episodes=20,
            classifiers="centroid",
            preprocessing="none",
            query_segments=how,
            evaluator=evaluator,
        )
        protocol = protocols(2, "all", n_query=2, n_episodes=20, query_segments=how)[0]
        drawn = evaluator.draw(table, protocol)
        for episode in range(20):
            classes = table.class_name[drawn.clips[episode, :, 0]]
            centres = np.stack(
                [
                    np.concatenate([x[rows[i]] for i in np.flatnonzero((table.class_name == c) & ~part)]).mean(0)
                    for c in classes
                ]
            )
            for place, clip in enumerate(drawn.clips[episode, :, 1:].ravel()):
                scores = x[rows[clip]] @ centres.T - 0.5 * (centres**2).sum(1)
                if how == "one":
                    segment = drawn.segment[episode, place // 2, 1 + place % 2]
                    theirs = scores[int(segment * len(scores))].argmax()
                elif how == "mean":
                    theirs = scores.sum(0).argmax()
                else:
                    theirs = np.bincount(scores.argmax(1), minlength=2).argmax()
                assert record["predicted"][episode, place] == theirs


def planned(store, shots, small_classes="refuse", classifier="centroid", **options):
    options = {"n_query": 2, "n_episodes": 30, **options}
    episodes = protocols(2, shots, small_classes, **options)
    return plan_cells([store], episodes, [parse_classifier(classifier)], stop_curves=small_classes == "stop")


def test_classes_too_small_leave_everywhere_or_the_curve_stops_as_the_user_says(tmp_path, caplog):
    store = make_store(tmp_path / "store", clip_table((9, 16, 20)))
    left = planned(store, (1, 5, 10), "leave")
    assert [cell.protocol.k_shot for cell in left] == [1, 5, 10]
    pools = [class_pool(cell.clips, cell.protocol) for cell in left]
    assert [pool.names.tolist() for pool in pools] == [["class1", "class2"]] * 3
    assert [pool.left_out for pool in pools] == [(("class0", 9),)] * 3
    with caplog.at_level(logging.WARNING):
        stopped = planned(store, (1, 5, 10), "stop")
    assert [cell.protocol.k_shot for cell in stopped] == [1, 5]
    assert "the curve stops before 10 shots" in caplog.text
    assert "class 'class0' has 9 clips" in caplog.text
    assert all(len(class_pool(cell.clips, cell.protocol).names) == 3 for cell in stopped)
    with pytest.raises(UserError, match="class 'class0' has 9 clips; 10-shot with 2 queries needs 12"):
        class_pool(store.clips, planned(store, (1, 5, 10))[-1].protocol)
    with pytest.raises(UserError, match="needs 62, and the largest class has 20"):
        planned(store, (60,), "stop")
    with pytest.raises(UserError, match="small_classes is 'drop'; choose refuse, leave or stop"):
        planned(store, (1,), "drop")


def test_group_aware_curves_that_stop_draw_supports_for_the_shots_that_are_left(tmp_path):
    store = make_store(tmp_path / "store", clip_table((8, 8, 8), groups_of=2))
    stopped = planned(store, (1, 2, 7), "stop", group_aware=True)
    assert [(cell.protocol.k_shot, cell.protocol.nested_shots) for cell in stopped] == [(1, 2), (2, 2)]


def test_a_curve_with_all_labels_is_about_the_same_classes_and_keeps_its_key(tmp_path):
    store = make_store(tmp_path / "store", clip_table((9, 24, 28)))
    cells = planned(store, (1, 6, "all"), "leave")
    names = {tuple(class_pool(cell.clips, cell.protocol).names) for cell in cells}
    assert names == {("class0", "class1", "class2")}  # 6 supports of class0 are left, and 2 queries
    *_, last = cells
    assert last.protocol.identity()["all_labels"]
    assert last.draw_identity() == cells[0].draw_identity()
    few = planned(make_store(tmp_path / "few", clip_table((7, 24, 28))), (1, 6, "all"), "leave")
    pools = [class_pool(cell.clips, cell.protocol) for cell in few]
    assert [pool.names.tolist() for pool in pools] == [["class1", "class2"]] * 3  # class0 has 5 supports
    assert [pool.left_out for pool in pools] == [(("class0", 2),)] * 3
    assert "all_labels" not in Protocol().identity()
    assert len({cell.key(None) for cell in cells}) == 3


def test_what_all_labels_cannot_do_is_refused_in_a_line(tmp_path):
    store = make_store(tmp_path / "store", clip_table((12, 12), groups_of=2))
    with pytest.raises(UserError, match="'svm' does not; choose from logistic, ridge, centroid and knn"):
        planned(store, "all", classifier="svm")
    both = {"support": Side.of(None, ["class!=x"], "support_where")}
    with pytest.raises(UserError, match="some of these can be queries too"):
        planned(store, "all", **both)
    with pytest.raises(UserError, match="shots is 'every'; it must be a whole number or all"):
        planned(store, (1, "every"))
    with pytest.raises(UserError, match="all_labels takes all support clips, and k_shot is 2"):
        Protocol(k_shot=2, all_labels=True)
    groups = ["a"] * 6 + ["b"] * 6 + ["a"] * 6 + ["b"] * 6
    table = clip_table((12, 12))
    shared = type(table).build(
        table.clip_id.tolist(), table.class_name.tolist(), groups, ["train", "test"] * 12, n_segments=[1] * 24
    )
    mixed = make_store(tmp_path / "mixed", shared)
    sides = {"support": Side(split="train"), "query": Side(split="test")}
    with pytest.raises(UserError, match="2 groups of which have query clips too"):
        planned(mixed, "all", group_aware=True, **sides)
