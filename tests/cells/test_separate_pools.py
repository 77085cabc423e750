"""Runs whose supports and queries come from separate pools: rows, records, resuming, and what reports say."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from jfewshot import evaluate, evaluate_arrays
from jfewshot.errors import UserError
from jfewshot.reporting.conditions import condition_of, describe
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.metrics import METRIC_WORDS, METRICS, with_metric
from jfewshot.reporting.pairing import pair_dataset
from jfewshot.results import read_results
from jfewshot.store import ClipTable, open_store, write_store
from jfewshot.store.creating import create_from_files
from tests.synthetic_stores import clip_table, embeddings, make_store

SETTINGS = {"classifiers": "centroid", "n_query": 3, "n_episodes": 40, "preprocessing": "none", "ways": 3}


def with_sites(table, sites="AB"):
    """The same clips, from sites in turn within each class."""
    within = np.zeros(len(table), int)
    for name in table.classes:
        within[table.class_name == name] = np.arange((table.class_name == name).sum())
    return ClipTable.build(
        table.clip_id, table.class_name, table.group, table.split, table.first_segment, table.n_segments,
        further={"site": [sites[i % len(sites)] for i in within]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A clean store, and noisy copies of most of its clips with segments of their own."""
    folder = tmp_path_factory.mktemp("stores")
    table = with_sites(clip_table((12, 11, 10, 12), n_segments=lambda i: 1 + i % 3))
    fewer = table.select(np.arange(len(table)) % 5 > 0)
    fewer = ClipTable.build(fewer.clip_id, fewer.class_name, n_segments=np.arange(len(fewer)) % 2 + 1)
    for upstream, seed in (("a", 1), ("b", 2)):
        clean = make_store(folder / f"clean/{upstream}", table, dataset="clean", upstream=upstream, seed=seed)
        of_clip = dict(zip(table.clip_id.tolist(), table.first_segment.tolist(), strict=True))
        x = np.repeat(clean.view("last.mean")[[of_clip[clip] for clip in fewer.clip_id]], fewer.n_segments, axis=0)
        x = x + np.random.default_rng(seed).normal(size=x.shape)
        rows = fewer.rows(np.arange(len(fewer)))[0]
        views = {"last.mean": x[np.argsort(rows)].astype(np.float16)}
        make_store(folder / f"noisy/{upstream}", fewer, dataset="noisy", upstream=upstream, views=views)
    return folder


def predictions_by_hand(record, results, queries, supports):
    """Nearest centroids in float64, from the drawn clips' ids: what each query's segments vote for."""
    draws, k_shot = results.draws(record), record["identity"]["protocol"]["k_shot"]
    ids, segment = draws["clip_id"][draws["clips"]], draws["segment"]
    at = [{clip: row for row, clip in enumerate(store.clips.clip_id.tolist())} for store in (queries, supports)]
    found = []
    for episode in range(len(ids)):
        centroids = []
        for slot in range(ids.shape[1]):
            rows = []
            for shot in range(k_shot):
                clips, clip = supports.clips, at[1][ids[episode, slot, shot]]
                rows.append(clips.first_segment[clip] + int(segment[episode, slot, shot] * clips.n_segments[clip]))
            centroids.append(np.asarray(supports.view("last.mean")[rows], np.float64).mean(0))
        for clip in ids[episode, :, k_shot:].ravel():
            row = at[0][clip]
            first, n = queries.clips.first_segment[row], queries.clips.n_segments[row]
            x = np.asarray(queries.view("last.mean")[first : first + n], np.float64)
            nearest = ((x[:, None] - np.stack(centroids)) ** 2).sum(-1).argmin(1)
            found.append(np.bincount(nearest, minlength=ids.shape[1]).argmax())
    return np.array(found).reshape(len(ids), -1)


@pytest.mark.parametrize("k_shot", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_supports_are_the_other_stores_embeddings_and_queries_the_evaluated_ones(stores, tmp_path, k_shot):
    (record,) = evaluate(stores / "clean" / "a", support_from=stores / "noisy", out=tmp_path, shots=k_shot, **SETTINGS)
    results = read_results(tmp_path)
    expected = predictions_by_hand(
        record, results, open_store(stores / "clean" / "a"), open_store(stores / "noisy" / "a")
    )
    found = results.predictions(record)
    assert (found == expected).mean() > 0.99  # float32 may decide a near tie otherwise
    assert 0.4 < (expected == np.repeat(np.arange(3), 3)).mean() < 0.95
    assert record["support_from"]["dataset"] == {"name": "noisy"}
    assert record["counts"]["support_clips"] == len(open_store(stores / "noisy" / "a").clips)


def test_a_condition_selects_the_embeddings_of_its_clips_alone(stores, tmp_path):
    store = open_store(stores / "clean" / "a")
    (record,) = evaluate(store, support_where="site=A", query_where="site!=A", out=tmp_path, **SETTINGS)
    results = read_results(tmp_path)
    assert (results.predictions(record) == predictions_by_hand(record, results, store, store)).mean() > 0.99
    draws = results.draws(record)
    site = store.clips.further["site"][draws["clips"]]
    assert (site[:, :, 0] == "A").all()
    assert (site[:, :, 1:] == "B").all()


def test_what_was_computed_is_found_again_and_other_conditions_are_computed(stores, tmp_path):
    asked = [
        {"support_where": "site=A"},
        {"support_where": "site=B"},
        {"query_where": "site=B"},
        {"support_from": stores / "noisy"},
        {},
    ]
    keys = [
        {r["key"] for r in evaluate(stores / "clean", out=tmp_path, **SETTINGS, **one)} for one in asked for _ in (1, 2)
    ]
    assert keys[::2] == keys[1::2]
    assert len(set.union(*keys)) == 10
    assert len(read_results(tmp_path).records) == 10
    assert len(list((tmp_path / "draws").glob("*.npz"))) == 5  # both upstreams share theirs


def test_a_column_that_was_relabelled_makes_another_key(stores, tmp_path):
    store = open_store(stores / "clean" / "a")
    views = {"last.mean": np.asarray(store.view("last.mean"))}
    relabelled = ClipTable.build(
        store.clips.clip_id, store.clips.class_name, None, None, store.clips.first_segment, store.clips.n_segments,
        further={"site": store.clips.further["site"][::-1]},
    )  # fmt: skip
    other = make_store(tmp_path / "other", relabelled, dataset="clean", upstream="a", views=views)
    (one,) = evaluate(store, support_where="site=A", **SETTINGS)
    (two,) = evaluate(other, support_where="site=A", **SETTINGS)
    assert one["identity"]["clip_table"] == two["identity"]["clip_table"]
    assert one["identity"]["pools"] != two["identity"]["pools"]
    plain = [evaluate(which, **SETTINGS)[0]["identity"] for which in (store, other)]
    assert plain[0] == plain[1]
    third = make_store(tmp_path / "third", relabelled, dataset="clean", upstream="c", views=views)
    with pytest.raises(
        UserError, match="have equal clips, but --support-where and --query-where select different ones"
    ):
        evaluate([store, third], support_where="site=A", **SETTINGS)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"support_where": "site=A", "query_where": "site=B"}, "support: site=A · queries: site=B"),
        ({"support_from": "noisy", "query_where": "site=B"}, "support: from noisy · queries: site=B"),
    ],
)
def test_the_report_says_where_supports_and_queries_come_from_and_pairs_upstreams(stores, tmp_path, conditions, words):
    conditions = {name: stores / value if name == "support_from" else value for name, value in conditions.items()}
    records = evaluate(stores / "clean", out=tmp_path, **conditions, **SETTINGS)
    board, *more = leaderboards(records, "both")
    assert not more
    assert len(board.upstreams) == 2
    assert words in describe(condition_of(records[0]))
    problems = []
    paired = pair_dataset(read_results(tmp_path), board, 0, (0, 1), problems)
    assert not problems
    covariance = paired.covariance
    np.testing.assert_allclose(covariance.mean, board.mean[:, 0])
    # The report's jackknife is the record's; where some clips are on both sides, and others on one, there is none.
    fixed = [board.cells[row, 0]["accuracy"]["pool_ci95_classes_fixed"] for row in (0, 1)]
    if "support_from" in conditions:
        assert covariance.clips is None
        assert fixed == [None, None]
    else:
        variance = np.diag(covariance.episodes) + np.maximum(np.diag(covariance.clips), 0)
        np.testing.assert_allclose(fixed, 1.96 * np.sqrt(variance), rtol=1e-3)


def test_the_same_queries_are_asked_whatever_the_supports_are(stores, tmp_path):
    one = {"query_where": "site=B", "out": tmp_path, **SETTINGS}
    records = [
        evaluate(stores / "clean" / "a", **one, **support)[0]
        for support in (
            {},
            {"support_where": "site=A"},
            {"support_where": "site=B"},
            {"support_from": stores / "noisy"},
        )
    ]
    results = read_results(tmp_path)
    ids = [results.draws(record)["clip_id"][results.draws(record)["clips"]][:, :, 1:] for record in records]
    assert all((other == ids[0]).all() for other in ids[1:])


def test_further_columns_go_through_a_store_and_stay_out_of_its_digest(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    (tmp_path / "labels.csv").write_text("class,clip_id,site,mic\na,1,A,=near\na,2,,far\nb,3,B,far\nb,4,A,near\n")
    names = {"dataset": "d", "upstream": "u"}
    kept = create_from_files(
        tmp_path / "s", tmp_path / "x.npy", tmp_path / "labels.csv", **names, columns=["mic", "site"]
    )
    plain = create_from_files(tmp_path / "t", tmp_path / "x.npy", tmp_path / "labels.csv", **names)
    assert {name: column.tolist() for name, column in kept.clips.further.items()} == {
        "mic": ["=near", "far", "far", "near"],
        "site": ["A", "", "B", "A"],
    }
    assert kept.clips.digest == plain.clips.digest
    assert not plain.clips.further
    for columns, message in ((["where"], "no column 'where', which --columns names"), (["class"], "takes anyway")):
        with pytest.raises(UserError, match=message):
            create_from_files(tmp_path / "e", tmp_path / "x.npy", tmp_path / "labels.csv", **names, columns=columns)
    for name in ("Class", "a=b", " site"):
        with pytest.raises(UserError, match=f"a further column cannot be called '{name}'"):
            ClipTable.build(["a"], ["x"], further={name: ["1"]})


def test_supports_of_another_kind_are_refused(stores, tmp_path):
    clean = stores / "clean" / "a"
    other = make_store(tmp_path / "other", dataset="other", upstream="z")
    wide = make_store(tmp_path / "wide", dataset="wide", upstream="a", dim=7, table=open_store(clean).clips)
    twice = [stores / "noisy" / "a", stores / "clean" / "a"]
    for source, message in (
        (other, "has no store of upstream 'a'"),
        (wide.path, "has 7 dimensions, and that of"),
        (twice, "has 2 stores of upstream 'a'"),
        (make_store(tmp_path / "few", clip_table((12, 12)), dataset="few", upstream="a"), "class"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate(clean, support_from=source, **SETTINGS)
    table = open_store(clean).clips
    revised = write_store(
        tmp_path / "revised", views={"last.mean": embeddings(table)}, clips=table, dataset={"name": "revised"},
        upstream={"name": "a", "revision": "2"},
    )  # fmt: skip
    with pytest.raises(UserError, match="was extracted with revision 2"):
        evaluate(clean, support_from=revised, **SETTINGS)


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Two upstreams on a dataset whose classes differ in size, in a training and a test split, with segments."""
    folder = tmp_path_factory.mktemp("unequal")
    table = clip_table((9, 14, 6, 11), n_segments=lambda i: 1 + i % 2)
    split = np.where(np.arange(len(table)) % 3 == 0, "test", "train")
    table = ClipTable.build(table.clip_id, table.class_name, None, split, table.first_segment, table.n_segments)
    for upstream, seed in (("a", 1), ("b", 2)):
        make_store(folder / upstream, table, upstream=upstream, seed=seed)
    return folder


ALL = SETTINGS | {"n_query": "all", "ways": "all", "support_split": "train", "query_split": "test"}


def test_with_all_queries_the_metrics_are_scikit_learns_on_predictions_by_hand(unequal, tmp_path):
    store = open_store(unequal / "a")
    (record,) = evaluate(store, out=tmp_path, **ALL)
    results = read_results(tmp_path)
    draws = results.draws(record)
    by_hand = predictions_by_hand(record, results, store, store)
    is_query = np.arange(draws["clips"].shape[2] - 1) < draws["query_count"][:, :, None]
    assert (results.predictions(record) == by_hand)[is_query.reshape(by_hand.shape)].mean() > 0.99
    rows = draws["clips"].astype(int)
    values = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for given, slots, count in zip(results.predictions(record), rows, draws["query_count"], strict=True):
        asked = (np.arange(slots.shape[1] - 1) < count[:, None]).ravel()
        # Every test clip is asked once, and no other.
        clips = slots[:, 1:].ravel()[asked]
        assert sorted(clips.tolist()) == np.flatnonzero(store.clips.split == "test").tolist()
        true, given = np.repeat(np.arange(4), slots.shape[1] - 1)[asked], given[asked]
        values["accuracy"].append(accuracy_score(true, given))
        values["balanced_accuracy"].append(balanced_accuracy_score(true, given))
        values["macro_f1"].append(f1_score(true, given, average="macro"))
    found = {"accuracy": record["accuracy"], **record["metrics"]}
    for metric, expected in values.items():
        assert found[metric]["mean"] == pytest.approx(np.mean(expected))
        assert found[metric]["ci95"] == pytest.approx(1.96 * np.std(expected) / np.sqrt(len(expected)))
        assert found[metric]["pool_ci95"] is None  # every class is in every episode
        assert 0 < found[metric]["pool_ci95_classes_fixed"] < 1


@pytest.mark.parametrize("keep", ["predictions", "counts"])
def test_reports_show_the_metric_that_is_asked_for(unequal, tmp_path, keep):
    settings = ALL | {"ways": 3, "query_split": None, "support_split": None}
    evaluate(unequal, out=tmp_path, keep=keep, **settings)
    results = read_results(tmp_path)
    for metric in METRICS:
        words = METRIC_WORDS[metric]
        board, *more = leaderboards(with_metric(results.records, metric), "both")
        assert not more
        assert board.title.startswith("3-way" if metric == "accuracy" else words)
        assert "3-way 1-shot, all queries" in board.title
        problems = []
        paired = pair_dataset(results, board, 0, (0, 1), problems)
        if keep == "counts" and metric == "macro_f1":
            assert paired is None or problems
            continue
        assert not problems
        np.testing.assert_allclose(paired.covariance.mean, board.mean[:, 0])
        np.testing.assert_allclose(paired.pseudo_values.mean(1), board.mean[:, 0])
        assert paired.histogram.sum(1).tolist() == [40, 40]
        if keep == "predictions":
            variance = np.diag(paired.covariance.episodes) + np.maximum(np.diag(paired.covariance.clips), 0)
            fixed = [board.cells[row, 0]["accuracy"]["pool_ci95_classes_fixed"] for row in (0, 1)]
            np.testing.assert_allclose(fixed, 1.96 * np.sqrt(variance), rtol=1e-3)
            right = np.diag(paired.confusion)
            np.testing.assert_allclose(right, paired.class_accuracy[0], atol=0.1)
    with pytest.raises(UserError, match="unknown metric 'auc'"):
        with_metric(results.records, "auc")


def test_a_folder_without_all_queries_has_no_macro_f1_and_a_balanced_accuracy_that_is_accuracy(unequal, tmp_path):
    records = evaluate(unequal, **SETTINGS)
    assert with_metric(records, "balanced_accuracy") == records
    with pytest.raises(UserError, match="evaluate with --n-query all"):
        with_metric(records, "macro_f1")


def test_arrays_in_memory_are_evaluated_on_all_queries_too():
    x = np.repeat(np.eye(4, 6, dtype=np.float32), [5, 9, 4, 7], axis=0)
    labels = np.repeat(list("abcd"), [5, 9, 4, 7])
    (score,) = evaluate_arrays(x, labels, ways="all", n_query="all", n_episodes=20, classifiers="centroid")
    assert score["n_way"] == 4
    assert score["metrics"]["macro_f1"]["mean"] == score["accuracy"]["mean"] == 1
