"""mteb's protocol from stores to records, against mteb itself (its fixture) and scikit-learn at tol 1e-10."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.mteb import mteb_classifier
from jfewshot.cells.planning import plan_cells
from jfewshot.episodes.mteb_draws import experiments, order_of
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.resolving import resolved
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.reporting.conditions import condition_of, describe
from jfewshot.reporting.exports import mteb_json
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.pairing import pair_dataset
from jfewshot.results import ResultFolder, read_results
from jfewshot.results.draws import read_draws
from jfewshot.results.keys import FORMAT_VERSION
from jfewshot.results.lines import LineReader, line_of
from jfewshot.run import main
from jfewshot.statistics.classification import MTEB_SCORES, classification_scores
from jfewshot.statistics.intervals import Z95
from jfewshot.statistics.pool import make_pool
from jfewshot.statistics.unbalanced import unbalanced_interval
from jfewshot.store import ClipTable, open_store, write_store
from tests.doors.driving_mteb import FIXTURE, SIZES, is_test, small_dataset

THEIRS = json.loads(FIXTURE.read_text())


def make(folder, name, form, upstream="u", n_segments=1, turned=False):
    """A store whose embeddings are in mteb's order, and whose clip ids sort otherwise."""
    labels, x = small_dataset(name)
    if turned:
        labels, x = labels[::-1], x[::-1]
    splits = np.where(is_test(labels), "test", "train") if form == "splits" else None
    ids = [f"clip {number * 7919 % 1000:03}" for number in range(len(labels))]
    clips = ClipTable.build(
        ids[::-1] if turned else ids,
        [f"class {c}" for c in labels],
        split=splits,
        n_segments=[n_segments] * len(labels),
    )
    rows = np.repeat(x, n_segments, axis=0)
    if n_segments == 2:  # the mean of both is the clip's
        rows[::2] += 0.5
        rows[1::2] -= 0.5
    write_store(
        folder, views={"last.mean": rows}, clips=clips, dataset={"name": f"{name}-{form}"}, upstream={"name": upstream}
    )
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return {(name, form): make(folder / f"{name}-{form}", name, form) for name in SIZES for form in ("splits", "folds")}


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator()


def run(paths, evaluator, out=None, faithful=False, n_episodes=None, seed=42):
    protocol = Protocol.of_mteb(n_episodes, seed, None, None, None)
    opened = [open_store(path) for path in paths]
    cells = plan_cells(opened, [protocol], [mteb_classifier(faithful)], preprocessing="none")
    folder = None if out is None else ResultFolder(out)
    try:
        return list(evaluate_cells(cells, evaluator, folder))
    finally:
        if folder is not None:
            folder.close()


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("form", ["splits", "folds"])
def test_metrics_are_mtebs(name, form):
    labels, _ = small_dataset(name)
    theirs = THEIRS[f"{name}-{form}"]
    rows = np.flatnonzero(is_test(labels))
    folds = np.array_split(np.random.RandomState(42).permutation(len(labels)), 5)
    counts = np.zeros((len(theirs["predicted"]), len(SIZES[name]), len(SIZES[name])))
    for number, predicted in enumerate(theirs["predicted"]):
        true = labels[rows if form == "splits" else np.sort(folds[number])]
        np.add.at(counts[number], (true, predicted), 1)
    ours = classification_scores(counts)
    for i, one in enumerate(theirs["scores"]["scores_per_experiment"]):
        for score in MTEB_SCORES:
            expected = np.nan if one[score] is None else one[score]
            np.testing.assert_allclose(ours[score][i], expected, rtol=1e-13, err_msg=score)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("form", ["splits", "folds"])
def test_faithful_results_are_mtebs_and_converged_ones_scikit_learns(stores, evaluator, tmp_path, name, form):
    ((faithful, _),) = run([stores[name, form]], evaluator, tmp_path, faithful=True)
    ((record, _),) = run([stores[name, form]], evaluator, tmp_path)
    theirs = THEIRS[f"{name}-{form}"]
    stopped = [iterations == 100 for iterations in theirs["iterations"]]
    assert faithful["mteb"]["stopped"] == sum(stopped)
    # Where it stops early, scikit-learn's predictions follow from its rounding, which is that of the machine's BLAS.
    for ours, expected in zip(faithful["mteb"]["experiments"], theirs["scores"]["scores_per_experiment"], strict=True):
        assert abs(ours["accuracy"] - expected["accuracy"]) <= (0.05 if any(stopped) else 1e-12)
        assert any(stopped) or abs(ours["f1"] - expected["f1"]) < 1e-12
    assert faithful["mteb"]["converged_accuracy"] == pytest.approx(record["accuracy"]["mean"], abs=1e-12)
    assert [one["converged_accuracy"] for one in faithful["mteb"]["experiments"]] == [
        one["accuracy"] for one in record["mteb"]["experiments"]
    ]
    assert record["solver"]["residual_max"] <= 1e-10

    labels, x = small_dataset(name)
    results = read_results(tmp_path)
    draws, predicted = results.draws(record), results.predictions(record)
    store = open_store(stores[name, form])
    row = np.argsort(order_of(store.clips))
    n_way = len(SIZES[name])
    for number in range(record["identity"]["protocol"]["n_episodes"]):
        clips = row[draws["clips"][number].astype(int)]
        support = np.concatenate([c[:n] for c, n in zip(clips, draws["support_count"][number], strict=True)])
        is_query = np.arange(clips.shape[1] - 8) < draws["query_count"][number][:, None]
        model = LogisticRegression(solver="newton-cg", tol=1e-10, max_iter=10_000).fit(
            x[support].astype(float), labels[support]
        )
        expected = model.predict(x[clips[:, 8:][is_query]].astype(float))
        assert (predicted[number].reshape(n_way, -1)[is_query] == expected).all()


def test_records_are_found_again_and_reported(stores, evaluator, tmp_path):
    paths = [stores["many", "folds"], stores["many", "splits"]]
    first = run(paths, evaluator, tmp_path)
    assert [is_new for _, is_new in first] == [True, True]
    assert [is_new for _, is_new in run(paths, evaluator, tmp_path)] == [False, False]
    for record, _ in first:
        assert "mteb's audio classification" in describe(condition_of(record)) != describe(record["identity"])
        assert set(record["metrics"]) == {
            *(
                "balanced_accuracy",
                "macro_f1",
                "f1_weighted",
                "precision",
                "precision_weighted",
                "recall",
                "recall_weighted",
            )
        }
        # A class of six clips has fewer than 8 supports, and what other clips would give is not known.
        assert record["accuracy"]["pool_ci95_classes_fixed"] is None
        assert record["counts"]["classes"] == len(SIZES["many"])
    results = read_results(tmp_path)
    assert not results.problems
    tasks = json.loads(mteb_json(results.records))["task_results"]
    for task, split in zip(tasks, ("train", "test"), strict=True):  # mteb's folds are within train
        (score,) = task["scores"][split]
        assert {name for name in MTEB_SCORES if not name.startswith("ap")} < set(score)
        of_each = [one["precision_weighted"] for one in score["scores_per_experiment"]]
        assert score["precision_weighted"] == pytest.approx(np.mean(of_each))
    (board,) = leaderboards(results.records)  # mteb averages over both forms
    assert len(board.datasets) == 2
    for column in range(2):
        paired = pair_dataset(results, board, column, [0], [])
        assert paired is not None
        np.testing.assert_allclose(paired.covariance.mean, board.mean[:, column])


def test_a_clip_of_several_segments_is_their_mean(stores, evaluator, tmp_path):
    two = make(tmp_path / "two", "two", "splits", n_segments=2)
    ((of_segments, _),), ((record, _),) = run([two], evaluator), run([stores["two", "splits"]], evaluator)
    assert of_segments["accuracy"] == record["accuracy"]
    assert (of_segments["predicted"] == record["predicted"]).all()


def test_independent_experiments_have_an_interval_for_other_clips(stores, evaluator):
    ((record, _),) = run([stores["two", "folds"]], evaluator, n_episodes=60)
    assert record["identity"]["protocol"]["n_episodes"] == 60
    assert record["identity"]["protocol"]["independent"]
    assert "clip_order" not in record["identity"]
    assert record["accuracy"]["pool_ci95_classes_fixed"] > record["accuracy"]["ci95"] > 0


def test_stores_in_different_orders_are_refused_where_mteb_draws_by_order(tmp_path, evaluator):
    paths = [make(tmp_path / "a", "two", "folds", "a"), make(tmp_path / "b", "two", "folds", "b", turned=True)]
    with pytest.raises(UserError, match="in different orders"):
        run(paths, evaluator)
    one, other = run(paths, evaluator, n_episodes=5)
    assert one[0]["accuracy"] == other[0]["accuracy"]  # the same clips with the same embeddings


def test_embeddings_that_do_not_fit_are_refused(stores):
    with pytest.raises(UserError, match="--protocol mteb needs the embeddings"):
        run([stores["two", "folds"]], Evaluator(memory_bytes=1000))


def test_faithful_without_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        mteb_classifier(True)


WRONG = {
    "--ways 5": "--ways",
    "--shots 1": "--shots",
    "--classifiers ridge": "--classifiers",
    "--preprocessing l2": "--preprocessing",
    "--group-aware": "--group-aware",
    "--transductive": "--transductive",
    "--shrinkage 0.1": "--shrinkage",
    "--query-segments mean": "--query-segments",
}


@pytest.mark.parametrize("options", WRONG)
def test_options_that_make_another_protocol_are_refused(options):
    with pytest.raises(UserError, match=f"--protocol mteb fixes what {WRONG[options]} sets"):
        main(["--protocol", "mteb", *options.split()])


def test_the_command_prints_a_table_of_both_protocols(stores, tmp_path, capsys, caplog):
    for protocol in ("mteb", "mteb_faithful"):
        arguments = ["--protocol", protocol, "--stores", str(stores["many", "folds"]), "--out", str(tmp_path)]
        assert main([*arguments, "--metric", "macro_f1", "--no-compile-cache"]) == 0
        assert "or in five folds, drawn as mteb does" in " ".join(capsys.readouterr().out.split())
    assert "scikit-learn stopped after 100 iterations, before it converged, in 5 of 5 experiments" in caplog.text


def test_the_interval_for_other_clips_holds_in_folds():
    """New clips of the same classes 80 times: the estimated variance of the mean accuracy is the one that is seen."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    clips = ClipTable.build([f"{i:03}" for i in range(60)], [f"class {c}" for c in labels])
    protocol = resolved(Protocol.of_mteb(100, 0, None, None, None), clips, "d")
    drawn = experiments(clips, protocol, "d")
    there = np.arange(protocol.n_query) < drawn.query_count[:, :, None]
    pool = make_pool(drawn.clips.astype(np.int64), labels, 8)
    means, variances = [], []
    for _ in range(80):
        x = np.eye(3)[labels] + rng.standard_normal((60, 3))
        centres = x[drawn.clips[:, :, :8]].mean(axis=2)
        distance = ((x[drawn.clips[:, :, 8:]][:, :, :, None] - centres[:, None, None]) ** 2).sum(axis=4)
        predicted = np.where(there, distance.argmin(axis=3), np.arange(3)[:, None]).reshape(100, -1)
        found = unbalanced_interval("accuracy", predicted, drawn.query_count, pool, in_folds=True)
        means.append(found.mean)
        variances.append((found.pool_ci95_classes_fixed / Z95) ** 2)
    # The variance of 80 values is known to 16%, and the jackknife is biased upwards: 300 times gave 1.2.
    assert 0.8 < np.mean(variances) / np.var(means) < 1.75


@pytest.mark.parametrize("damage", ["lacks", "too many", "too few queries"])
def test_damaged_draws_are_named(stores, evaluator, tmp_path, damage):
    ((record, _),) = run([stores["two", "folds"]], evaluator, tmp_path)
    path = tmp_path / "draws" / record["draws"]
    arrays = dict(np.load(path))
    if damage == "lacks":
        del arrays["support_count"]
    elif damage == "too many":
        arrays["support_count"][0, 0] = 9
    else:
        arrays["query_count"][0, 0] = -1
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"is damaged \(.*(numbers of supports|numbers of queries)"):
        read_draws(path, record["identity"]["protocol"])


def test_a_record_whose_mteb_part_is_no_such_part_is_named(stores, evaluator, tmp_path):
    ((record, _),) = run([stores["two", "folds"]], evaluator, tmp_path)
    for wrong in (5, {"experiments": [7]}, {"converged_accuracy": 2.0}):
        line = line_of(record | {"mteb": wrong})
        with pytest.raises(UserError, match="its 'mteb' is damaged"):
            LineReader().record(line, FORMAT_VERSION)
