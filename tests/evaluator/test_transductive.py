"""Transductive classifiers and unequal numbers of queries through the evaluator, records and tables."""

import numpy as np
import pytest

import jfewshot
from jfewshot.classifiers import Propagation, Sinkhorn
from jfewshot.episodes.proportions import divided, unequal_counts
from jfewshot.episodes.protocol import protocols
from jfewshot.errors import UserError
from jfewshot.evaluator import gram
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.series import across_grid, all_series, inductive_first
from jfewshot.reporting.tidy import tidy_rows
from jfewshot.results import read_results
from tests.classifiers.test_transductive import balanced_assignments, spread_labels
from tests.synthetic_stores import clip_table, make_store

TABLE = clip_table((16,) * 4)
OPTIONS = {"ways": 3, "shots": 2, "n_query": 4, "n_episodes": 60, "preprocessing": "none"}
NAMES = ("propagation", "sinkhorn")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "s", TABLE, offset=3.0)


@pytest.fixture(scope="module", params=["equal", "dirichlet:2"])
def run(request, store, tmp_path_factory):
    """Records of both classifiers and of an inductive one, with the results they were read from."""
    folder = tmp_path_factory.mktemp("results") / "r"
    jfewshot.evaluate(store, classifiers=[*NAMES, "ridge"], query_balance=request.param, out=folder, **OPTIONS)
    results = read_results(folder)
    assert not results.problems
    return request.param, results


def counted(results, record):
    """Numbers of queries of each class of each episode."""
    protocol = record["identity"]["protocol"]
    everyone = np.full((protocol["n_episodes"], protocol["n_way"]), protocol["n_query"])
    return results.draws(record).get("query_count", everyone)


def test_predictions_are_those_of_float64_on_the_embeddings_of_the_queries_that_count(run, store):
    _, results = run
    x = np.asarray(store.view("last.mean"), np.float64)
    rows = {name: int(row) for name, row in zip(store.clips.clip_id, store.clips.first_segment, strict=True)}
    reference = {
        "sinkhorn": lambda s, q: balanced_assignments(s, q, 3, Sinkhorn.sharpness, Sinkhorn.rate),
        "propagation": lambda s, q: spread_labels(s, q, 3, Propagation.alpha, Propagation.gamma),
    }
    for name in NAMES:
        record = next(one for one in results.records if one["identity"]["classifier"]["name"] == name)
        draws, predicted, counts = results.draws(record), results.predictions(record), counted(results, record)
        places = record["identity"]["protocol"]["n_query"]
        compared = same = 0
        for episode in range(20):
            clips = [[x[rows[draws["clip_id"][c]]] for c in of_class] for of_class in draws["clips"][episode]]
            support = np.concatenate([of_class[:2] for of_class in clips])
            query = [of_class[2 : 2 + n] for of_class, n in zip(clips, counts[episode], strict=True)]
            expected = reference[name](support, np.concatenate(query)).argmax(1)
            counts_here = (np.arange(places) < counts[episode][:, None]).ravel()
            ours = predicted[episode][counts_here]
            compared, same = compared + len(ours), same + (ours == expected).sum()
        assert same >= compared - 1, name  # one near tie may go either way


def test_records_and_tables_say_transductive_and_keep_inductive_results_apart(run):
    balance, results = run
    marked = {
        record["identity"]["classifier"]["name"]: record["identity"]["classifier"].get("transductive")
        for record in results.records
    }
    assert marked == {"propagation": True, "sinkhorn": True, "ridge": None}
    titles = [board.title for board in leaderboards(results.records)]
    assert len(titles) == 3
    assert "transductive" not in titles[0]
    assert all("(transductive)" in title for title in titles[1:])
    kept, apart = inductive_first(all_series(leaderboards(results.records)))
    assert [series.main.condition["classifier"]["name"] for series in kept] == ["ridge"]
    headings = across_grid(apart, "Transductive").columns
    assert len(headings) == 3
    assert all("(transductive)" in heading for heading in headings[1:])
    column = {row["classifier"]: row["transductive"] for row in tidy_rows(results.records)}
    assert column == {"propagation": True, "sinkhorn": True, "ridge": False}
    words = "12 queries in Dirichlet(2) proportions" if balance != "equal" else "4 queries"
    assert all(words in title for title in titles)


def test_accuracy_counts_the_queries_that_there_are(run):
    balance, results = run
    record = results.records[0]
    predicted, counts = results.predictions(record), counted(results, record)
    slots = predicted.reshape(*counts.shape, -1)
    is_query = np.arange(slots.shape[2]) < counts[:, :, None]
    right = ((slots == np.arange(3)[:, None]) & is_query).sum((1, 2)) / counts.sum(1)
    assert record["accuracy"]["mean"] == pytest.approx(right.mean(), abs=1e-6)
    assert ("metrics" in record) == (balance != "equal")
    assert (counts.sum(1) == 12).all()


def test_queries_of_several_segments_are_refused_with_the_fix(tmp_path):
    store = make_store(tmp_path / "s", clip_table((8,) * 3, n_segments=2))
    with pytest.raises(UserError, match=r"'sinkhorn' decides all queries of an episode together.*--query-segments one"):
        jfewshot.evaluate(store, classifiers="sinkhorn", **OPTIONS)
    assert jfewshot.evaluate(store, classifiers="sinkhorn", query_segments="one", **OPTIONS)


def test_every_source_of_inner_products_serves_queries_among_themselves(store, monkeypatch):
    """The predictions from the matrix of all inner products, and from rows multiplied as they are needed."""
    looked_up = jfewshot.evaluate(store, classifiers="sinkhorn", **OPTIONS)[0]
    monkeypatch.setattr(gram, "_ALWAYS_BESIDE_IN_PLACE", 0)
    monkeypatch.setattr(gram, "_ALWAYS_PRECOMPUTE", 0)
    monkeypatch.setattr(gram, "_PRECOMPUTE_SHARE", 0)
    kinds = [looked_up["timing"]["inner_products"]]
    for without_numba in (False, True):
        if without_numba:
            monkeypatch.setattr(gram, "_fused_products", lambda: None)
        multiplied = jfewshot.evaluate(store, classifiers="sinkhorn", **OPTIONS)[0]
        kinds.append(multiplied["timing"]["inner_products"])
        assert (looked_up["predicted"] == multiplied["predicted"]).mean() > 0.998
    assert kinds[0] == "precomputed"
    assert kinds[2] == "on device"


def test_shares_have_the_mean_and_variance_of_the_dirichlet_distribution():
    (protocol,) = protocols(5, 1, n_query=2000, n_episodes=4000, query_balance="dirichlet:2")
    shares = unequal_counts(protocol, "table") / protocol.total_queries
    assert shares.mean(0) == pytest.approx(np.full(5, 0.2), abs=4 * 0.121 / 4000**0.5)
    # Beta(2, 8), of which a few episodes in a hundred are cut at 0.6.
    variance = 2 * 8 / (10**2 * 11)
    assert shares.var(0) == pytest.approx(np.full(5, variance), rel=0.1)
    assert shares.max() == pytest.approx(0.6)


def test_numbers_of_queries_depend_on_the_episode_and_not_on_how_many_there_are():
    few, many = (protocols(4, 1, n_query=5, n_episodes=n, query_balance="dirichlet:1")[0] for n in (7, 50))
    np.testing.assert_array_equal(unequal_counts(few, "table"), unequal_counts(many, "table")[:7])
    assert (unequal_counts(many, "other") != unequal_counts(many, "table")).any()


def test_a_number_is_divided_by_largest_remainders_within_its_bounds():
    shares = np.array([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    # Of 12, each has one, and 9 are divided: 5.5 3.7 2.8; 9.82 1.09 1.09 with at most 8; 1 5.5 5.5; 4 4 4.
    expected = [[5, 4, 3], [8, 2, 2], [1, 6, 5], [4, 4, 4]]
    np.testing.assert_array_equal(divided(shares, 12, 8), expected)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"query_balance": "dirichlet"}, "write equal, or dirichlet: and a whole number"),
        ({"query_balance": "dirichlet:0.5"}, "write equal, or dirichlet: and a whole number"),
        ({"query_balance": "dirichlet:2", "n_query": "all"}, "leave out 'all', or query_balance"),
    ],
)
def test_proportions_that_cannot_be_drawn_are_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        protocols(5, 1, **settings)


def test_results_without_proportions_keep_their_keys():
    (plain,), (equal,) = protocols(5, 1), protocols(5, 1, query_balance="equal")
    assert plain.identity() == equal.identity()
    assert "query_balance" not in plain.identity()
    (unequal,) = protocols(5, 1, query_balance="dirichlet:2")
    assert unequal.identity()["query_balance"] == {"dirichlet": 2, "queries": 75}
    assert unequal.n_query == 45
