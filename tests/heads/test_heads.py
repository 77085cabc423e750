"""Heads: the evaluator's classifiers on all clips, the left-out scores, and the folder."""

import json
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from extraction.heads.words import unknown_words
from jfewshot.classifiers import Support
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.heads import fit_head, read_head, write_head
from jfewshot.heads.exact import Descent
from jfewshot.heads.left_out import folds, left_out_scores
from jfewshot.heads.unknown import find_threshold
from tests.synthetic_stores import clip_table, embeddings, make_store

SIZES = (3, 5, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three classes of different sizes, two clips a group, some clips of two segments."""
    table = clip_table(SIZES, lambda clip: 1 + clip % 2, groups_of=2)
    return make_store(tmp_path_factory.mktemp("store") / "birds", table, dim=6, offset=2.0)


def clip_rows(store):
    """Mean of each clip's normalised segments, in float64, and its class."""
    view = np.asarray(store.view("last.mean"), np.float64)
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    clips = store.clips
    means = [view[first : first + n].mean(0) for first, n in zip(clips.first_segment, clips.n_segments, strict=True)]
    return np.stack(means), clips.class_number


@pytest.mark.parametrize(
    ("classifier", "reference"),
    [
        ("ridge:alpha=0.1", RidgeClassifier(alpha=0.1)),
        ("logistic:C=10", LogisticRegression(C=10, tol=1e-10, max_iter=5000)),
        ("svm:C=2", LinearSVC(C=2, tol=1e-10, max_iter=200_000, dual=True)),
    ],
)
def test_a_linear_head_is_scikit_learns_on_classes_of_different_sizes(store, classifier, reference):
    head = fit_head(store, classifier).head
    rows, labels = clip_rows(store)
    expected = reference.fit(rows, labels).decision_function(rows)
    found = head.scores_of_transformed((rows - head.origin).astype(np.float32))
    # Scikit-learn's scores of softmax regression are determined up to a constant per clip.
    shift = (found - expected).mean(1, keepdims=True) if classifier.startswith("logistic") else 0.0
    np.testing.assert_allclose(found - shift, expected, atol=2e-4)


def test_ridge_is_right_where_float32_has_too_few_digits(tmp_path):
    table = clip_table((40, 50, 40))
    # Two directions 300 times as long as the others, and hardly any penalty.
    view = embeddings(table, 12) * np.array([300.0] * 2 + [1.0] * 10, np.float32)
    store = make_store(tmp_path / "store", table, views={"last.mean": view})
    head = fit_head(store, "ridge:alpha=0.001", preprocessing="none").head
    rows, labels = view[table.first_segment].astype(np.float64), table.class_number
    expected = RidgeClassifier(alpha=1e-3, solver="svd").fit(rows, labels).decision_function(rows)
    np.testing.assert_allclose(head.scores_of_transformed((rows - head.origin).astype(np.float32)), expected, atol=2e-3)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_heads_of_neighbours_and_centroids_decide_as_scikit_learn(store, metric):
    rows, labels = clip_rows(store)
    head = fit_head(store, f"knn:k=3:metric={metric}").head
    given = (rows - head.origin).astype(np.float32)
    votes = KNeighborsClassifier(3, metric=metric).fit(rows, labels).predict_proba(rows) * 3
    np.testing.assert_allclose(head.scores_of_transformed(given), votes, atol=1e-6)
    head = fit_head(store, f"centroid:metric={metric}").head
    means = np.stack([rows[labels == number].mean(0) for number in range(3)])
    if metric == "euclidean":
        nearest = ((rows[:, None] - means) ** 2).sum(-1).argmin(1)
    else:
        nearest = (rows @ means.T / np.linalg.norm(means, axis=1)).argmax(1)
    given = (rows - head.origin).astype(np.float32)
    assert (head.scores_of_transformed(given).argmax(1) == nearest).all()


@pytest.mark.parametrize("classifier", ["ridge:alpha=auto", "centroid", "knn", "knn:k=3:metric=cosine"])
def test_scores_are_those_of_the_evaluators_classifier(tmp_path, classifier):
    table = clip_table((4, 4, 4))
    view = embeddings(table, 10, spread=0.7, offset=0.5)
    head = fit_head(make_store(tmp_path / "store", table, views={"last.mean": view}), classifier).head
    new = np.random.default_rng(1).normal(size=(7, 10)).astype(np.float32)
    spec = parse_classifier(classifier)
    # The evaluator's supports are in class-major order.
    order = np.argsort(table.class_number, kind="stable")
    supports, queries = head.transform(view[table.first_segment[order]]), head.transform(new)
    support = Support(
        jnp.asarray(supports @ supports.T)[:, :, None], jnp.zeros(1, jnp.uint32), jnp.zeros(2, jnp.uint32), 3, 4
    )
    model, _ = jax.jit(spec.classifier.fit)(support, jnp.float32(head.strength or 1.0))
    gram_qs = jnp.asarray(queries @ supports.T)[:, :, None]
    expected = np.asarray(jax.jit(spec.classifier.score)(model, support, gram_qs))[:, :, 0]
    np.testing.assert_allclose(head.scores(new), expected, atol=1e-5)
    if classifier.startswith("ridge"):
        place = jax.jit(spec.classifier.choose)(support)
        assert head.strength == spec.classifier.strength.grid[int(place[0])]


@pytest.mark.parametrize("name", ["ridge", "logistic", "svm", "centroid", "knn"])
def test_left_out_scores_are_those_of_heads_fitted_again(store, name):
    rows, labels = clip_rows(store)
    rows = rows - rows.mean(0)
    groups = store.clips.group_number
    settings = {"metric": "euclidean", "k": 1}
    kind = name, settings, 0.5 if name in ("ridge", "logistic", "svm") else None
    found = left_out_scores(rows @ rows.T, labels, groups, kind)
    for group in np.unique(groups)[:4]:
        left = groups == group
        own, y, new = rows[~left], labels[~left], rows[left]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "ridge":
                expected = RidgeClassifier(alpha=0.5).fit(own, y).decision_function(new)
            elif name == "logistic":
                expected = LogisticRegression(C=0.5, tol=1e-10, max_iter=5000).fit(own, y).decision_function(new)
            elif name == "svm":
                expected = LinearSVC(C=0.5, tol=1e-10, max_iter=200_000).fit(own, y).decision_function(new)
            elif name == "centroid":
                means = np.stack([own[y == number].mean(0) for number in range(3)])
                expected = new @ means.T - 0.5 * (means**2).sum(1)
            else:
                near = new @ own.T - 0.5 * (own**2).sum(1)
                expected = np.stack([near[:, y == number].max(1) for number in range(3)], 1)
        shift = (found[left] - expected).mean(1, keepdims=True) if name == "logistic" else 0.0
        np.testing.assert_allclose(found[left] - shift, expected, atol=1e-4 if name in ("logistic", "svm") else 1e-9)


def test_groups_are_left_out_together_where_there_are_too_many():
    group = np.repeat(np.arange(30), 3)
    parts = folds(group, 8)
    assert len(parts) == 8
    assert sorted(np.concatenate(parts)) == list(range(90))
    assert all(np.isin(np.flatnonzero(np.isin(group, group[part])), part).all() for part in parts)


def test_two_classes_have_half_the_penalty_in_the_descent_too():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(12, 3)), np.arange(12) % 2
    found = Descent(rows @ rows.T, labels, 2, "logistic", 2.0).scores_without(np.array([3]))
    kept = np.delete(np.arange(12), 3)
    expected = LogisticRegression(C=2.0, tol=1e-10).fit(rows[kept], labels[kept]).decision_function(rows[[3]])
    np.testing.assert_allclose(found[0, 1] - found[0, 0], expected[0], atol=1e-4)


def test_the_threshold_is_a_share_of_the_known_and_its_recall_is_of_classes_left_out():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    rows = rng.normal(size=(40, 5)) + 2 * np.eye(4, 5)[labels]
    known = rng.random(40)
    found = find_threshold(rows @ rows.T, labels, known, ("ridge", {}, 1.0), keep=0.8)
    assert found.n_classes == 4
    assert found.kept == (known >= found.threshold).mean() >= 0.8
    recalls = []
    for number in range(4):
        left = labels == number
        scores = np.sort(
            RidgeClassifier(alpha=1.0).fit(rows[~left], labels[~left]).decision_function(rows[left]), axis=1
        )
        recalls.append((scores[:, -1] - scores[:, -2] < found.threshold).mean())
    assert found.recall == pytest.approx(np.mean(recalls))
    assert found.precision == pytest.approx(found.recall / (found.recall + 1 - found.kept))
    # Where every known clip is kept, all that is called unknown is unknown. The sum recall + 1 - 1 would be below such a recall.
    kept = find_threshold(rows @ rows.T, labels, known + 0.25, ("ridge", {}, 1.0), keep=1.0)
    assert kept.recall + 1 - kept.kept < kept.recall
    assert kept.precision == 1
    two = find_threshold(rows[:20] @ rows[:20].T, labels[:20], known[:20], ("ridge", {}, 1.0))
    assert two.n_classes == 0
    assert np.isnan(two.recall)


@pytest.mark.parametrize(
    ("far", "precision", "said"), [(False, None, "No clip was called"), (True, 1.0, "100% of the")]
)
def test_a_threshold_that_keeps_every_known_clip_has_a_precision_of_one_or_none(tmp_path, far, precision, said):
    table = clip_table((4, 4, 4))
    rows = 10 * np.eye(3)[table.class_number] + 0.1 * np.random.default_rng(0).normal(size=(12, 3))
    # A far class has no margin against the other two. Where each class lies nearer to one of the others, all margins are large.
    view = rows if far else rows @ np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    store = make_store(
        tmp_path / "store", table, views={"last.mean": np.repeat(view, table.n_segments, 0).astype("f4")}
    )
    head = fit_head(store, "centroid", preprocessing="none", keep=1.0).head
    write_head(tmp_path / "head", head)
    again = read_head(tmp_path / "head")
    assert again.facts["unknown"]["kept"] == 1
    assert again.facts["unknown"]["precision"] == precision
    assert said in unknown_words(again)
    assert ("Few unknown sounds are found" in unknown_words(again)) == (not far)


def test_groups_are_kept_apart_unless_a_class_has_a_single_one(store, tmp_path):
    apart = fit_head(store, "centroid")
    assert apart.outcomes.n_groups == len(set(store.clips.group))
    assert apart.cautions == ()
    table = clip_table((4, 4, 4), groups_of=4)
    shared = fit_head(make_store(tmp_path / "shared", table), "centroid")
    assert shared.outcomes.n_groups == 12
    assert "of a single group" in shared.cautions[0]


def test_a_head_reads_back_as_it_was_written(store, tmp_path):
    head = fit_head(store, "knn:k=3").head
    write_head(tmp_path / "head", head)
    again = read_head(tmp_path / "head")
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    assert (again.scores(rows) == head.scores(rows)).all()
    assert again.classes == head.classes == ("class0", "class1", "class2")
    assert again.facts["clips"] == {"class0": 3, "class1": 5, "class2": 4}
    assert sorted(path.name for path in (tmp_path / "head").iterdir()) == ["head.json", "weights.npz"]


def test_nothing_but_a_head_is_replaced(store, tmp_path):
    head = fit_head(store, "centroid").head
    write_head(tmp_path / "head", head)
    with pytest.raises(UserError, match="a finished head is there already"):
        write_head(tmp_path / "head", head)
    write_head(tmp_path / "head", head, replace=True)
    (tmp_path / "head" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt.*belong to no head"):
        write_head(tmp_path / "head", head, replace=True)
    assert (tmp_path / "head" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "is not a folder"),
        (lambda folder: (folder / "head.json").unlink(), "is no head"),
        (lambda folder: (folder / "head.json").write_text("{"), "truncated or not JSON"),
        (lambda folder: (folder / "weights.npz").unlink(), "is missing, though head.json names it"),
        (lambda folder: (folder / "weights.npz").write_bytes(b"PK"), "is damaged"),
        (lambda folder: edit(folder, format="other"), "does not describe a head"),
        (lambda folder: edit(folder, format_version=2), "a head of format version 2"),
        (lambda folder: edit(folder, classes=["a"]), "is not as docs/heads_in_use.md describes it"),
        (lambda folder: edit(folder, classes=["a", "b", "c", "d"]), "weights of shape"),
        (lambda folder: edit(folder, classes=["class0", "class1", "renamed"]), r"head\.json was edited"),
        (lambda folder: edit(folder, preprocessing="none"), r"head\.json was edited"),
        (lambda folder: edit(folder, view="0.mean"), r"head\.json was edited"),
        (lambda folder: edit(folder, scoring_sha256="0" * 64), r"head\.json was edited"),
        (lambda folder: edit(folder, weights_sha256="0" * 64), "is not the file that head.json describes"),
    ],
)
def test_a_damaged_head_is_refused_in_a_line(head_folder, tmp_path, change, said):
    folder = shutil.copytree(head_folder, tmp_path / "head")
    change(folder)
    with pytest.raises(UserError, match=said) as refused:
        read_head(folder)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def head_folder(store, tmp_path_factory):
    return write_head(tmp_path_factory.mktemp("heads") / "head", fit_head(store, "centroid").head)


def edit(folder, **changes):
    manifest = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize(
    ("sizes", "arguments", "said"),
    [
        ((3, 1), {}, "class 'class1' has 1 clip; 2 are needed"),
        ((3, 1), {"min_clips": 2}, "has 1 classes with enough"),
        ((3, 3), {"classifier": "sgd"}, "classifier 'sgd' cannot be kept as a head"),
        ((3, 3), {"classifier": "ridge:alpha=1,2"}, "names 2 strengths"),
        ((3, 3), {"classifier": "knn:k=9"}, "k is 9, and there are 6"),
        ((3, 3), {"view": "other.mean"}, "has no view 'other.mean'"),
        ((3, 3), {"preprocessing": "whiten"}, "a head takes none or l2"),
        ((3, 3), {"keep": 0.0}, "keep is 0"),
        ((3, 3), {"min_clips": 1}, "min_clips is 1"),
    ],
)
def test_what_gives_no_head_is_said_in_a_line(tmp_path, sizes, arguments, said):
    store = make_store(tmp_path / "store", clip_table(sizes))
    with pytest.raises(UserError, match=said):
        fit_head(store, **{"classifier": "centroid", **arguments})


def test_small_classes_are_left_out_where_asked_and_named(tmp_path):
    fitted = fit_head(make_store(tmp_path / "store", clip_table((4, 3, 1))), "centroid", min_clips=2)
    assert fitted.head.classes == ("class0", "class1")
    assert "class2" in fitted.cautions[0]
