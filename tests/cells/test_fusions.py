"""Fusions on the run: `--fuse`, `--fuse-weights` and `--mix layers`."""

import logging
import re

import jax
import numpy as np
import pytest

from jfewshot import api
from jfewshot.cells.fusions import fusions, parse_weights
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.store import ClipTable, open_store
from jfewshot.store.fusing import fuse_stores
from tests.synthetic_stores import clip_table, embeddings, make_store

TABLE = clip_table((8,) * 5, n_segments=lambda clip: 1 + clip % 2)
HOW = {"ways": 3, "shots": 2, "n_query": 3, "n_episodes": 64, "classifiers": "ridge:alpha=1"}


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(jax.devices()[:2])


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Three encoders of birds, of which frogs lack one; one of them has three layers, and its last one twice."""
    path = tmp_path_factory.mktemp("stores")
    layers = {f"{layer}.mean": embeddings(TABLE, 7, spread=2.0 + layer, seed=layer) for layer in range(3)}
    make_store(path / "birds" / "layered", TABLE, upstream="layered", views=layers | {"last.mean": layers["2.mean"]})
    for name, seed in (("one", 5), ("two", 6)):
        make_store(path / "birds" / name, TABLE, upstream=name, seed=seed)
    for name, seed in (("layered", 7), ("one", 8)):
        make_store(path / "frogs" / name, TABLE, dataset="frogs", upstream=name, seed=seed)
    return path


def evaluate(stores, evaluator, **settings):
    return api.evaluate(stores, evaluator=evaluator, **HOW | settings)


def by_name(records):
    return {(record["upstream"]["name"], record["view"]["name"]): record for record in records}


@pytest.mark.parametrize("weights", ["equal", "80-20"])
def test_a_fusion_on_the_run_predicts_what_its_fused_store_predicts(stores, tmp_path, evaluator, weights):
    parts = [open_store(stores / "birds" / name) for name in ("one", "two")]
    written = fuse_stores(tmp_path / "both", parts, weights=parse_weights(weights))
    (expected,) = evaluate(written, evaluator)
    found = evaluate(parts, evaluator, fuse=["one+two"], fuse_weights=[weights])
    record = found[-1]
    assert [one["upstream"]["name"] for one in found] == ["one", "two", written.upstream]
    # Both round a score to about 1e-6 of its spread; of 576 queries hardly one is so near to a tie.
    assert (record["predicted"] == expected["predicted"]).mean() > 0.998
    assert record["fusion"]["weights"] == "fixed"
    shares = (0.5, 0.5) if weights == "equal" else (0.8, 0.2)
    for named, part, share in zip(record["fusion"]["parts"], parts, shares, strict=True):
        assert named["store"] == {"path": str(part.path), "digest": part.digest}
        assert (named["upstream"], named["view"], named["weight"]) == (part.upstream, "last.mean", share)


def test_layers_are_mixed_like_the_fused_store_of_the_layers_each_once(stores, tmp_path, evaluator):
    store = open_store(stores / "birds" / "layered")
    written = fuse_stores(tmp_path / "mixed", [store] * 3, ["0.mean", "1.mean", "2.mean"])
    (expected,) = evaluate(written, evaluator)
    plain, mixed, chosen = evaluate(store, evaluator, mix="layers", fuse_weights=["equal", "auto"])
    assert (mixed["predicted"] == expected["predicted"]).mean() > 0.998
    assert [one["view"]["name"] for one in (plain, mixed, chosen)] == ["last.mean", "mix.mean", "mix@auto.mean"]
    assert {one["upstream"]["name"] for one in (plain, mixed, chosen)} == {"layered"}
    assert [part["view"] for part in mixed["fusion"]["parts"]] == ["0.mean", "1.mean", "2.mean"]
    weights = [part["mean"] for part in chosen["chosen_weights"]]
    assert sum(weights) == pytest.approx(1, abs=1e-3)
    # Noise grows from layer to layer.
    assert weights == sorted(weights, reverse=True)
    (two,) = evaluate(store, evaluator, mix="layers", views=["0.mean", "2.mean"])[2:]
    assert [part["view"] for part in two["fusion"]["parts"]] == ["0.mean", "2.mean"]


def test_fusions_stand_in_the_table_of_their_parts_and_are_found_again(stores, tmp_path, evaluator, caplog):
    settings = {"fuse": ["pairs"], "fuse_weights": ["equal", "auto"], "out": tmp_path / "results"}
    with caplog.at_level(logging.WARNING, "jfewshot"):
        records = evaluate([stores / "birds", stores / "frogs"], evaluator, **settings)
    (board,) = leaderboards(records)
    assert len(board.upstreams) == 3 + 2 * 3
    assert "one + two (weights chosen in each episode)" in board.upstreams
    assert board.complete.sum() == 4  # frogs have layered, one and their two fusions
    again = evaluate([stores / "birds", stores / "frogs"], evaluator, **settings)
    assert [one["timing"]["finished"] for one in again] == [one["timing"]["finished"] for one in records]
    # The same pairs named one by one, in another order of the parts.
    named = evaluate(stores / "birds", evaluator, fuse=["two+one"], out=tmp_path / "results")
    assert named[-1]["key"] in {one["key"] for one in records}


def test_a_dataset_that_lacks_a_part_is_skipped_and_named(stores, evaluator, caplog):
    both = [open_store(path) for path in sorted((*(stores / "birds").iterdir(), *(stores / "frogs").iterdir()))]
    with caplog.at_level(logging.WARNING):
        found = fusions(both, ["one+two"])
    assert [store.dataset for store in found] == ["birds"]
    assert "skips 1 dataset: frogs (no two)" in caplog.text


def test_statistics_are_each_part_s_own(tmp_path, evaluator):
    table = clip_table((8,) * 6, splits=("train",) * 3 + ("test",) * 3)
    parts = [make_store(tmp_path / name, table, upstream=name, seed=ord(name), offset=3.0) for name in "ab"]
    how = {"preprocessing": "center_l2", "split": "test"}
    record = evaluate(parts, evaluator, fuse=["a+b"], **how)[-1]
    assert record["identity"]["preprocessing"] == {"name": "center_l2", "center": "train"}
    centred = []
    for part in parts:
        x = np.asarray(part.view("last.mean"), np.float64)
        x = x - x[part.clips.rows(part.clips.split == "train")[0]].mean(0)
        centred.append(x / np.linalg.norm(x, axis=1, keepdims=True))
    views = {"last.mean": np.concatenate(centred, 1).astype(np.float32)}
    (expected,) = evaluate(make_store(tmp_path / "c", table, upstream="c", views=views), evaluator, split="test")
    assert (record["predicted"] == expected["predicted"]).mean() > 0.998


REFUSED = {
    "weights that do not sum to 100": ({"fuse": ["one+two@70-20"]}, "70-20 of a fusion sum to 90"),
    "a weight of 0": ({"fuse": ["one+two@100-0"]}, "have a 0"),
    "weights that are none": ({"fuse": ["one+two"], "fuse_weights": ["best"]}, "'best' are no weights"),
    "one weight for two parts": ({"fuse": ["one+two@100"]}, "1 weights are given for 2 parts"),
    "one part": ({"fuse": ["one"]}, "names no two upstreams"),
    "an unknown upstream": (
        {"fuse": ["one+three"]},
        "no store of upstream 'three' is evaluated; there are layered, one, two",
    ),
    "a part twice": ({"fuse": ["one+one"]}, "'one' is named twice"),
    "a fusion twice": ({"fuse": ["one+two", "two+one"]}, "two+one is named twice"),
    "weights of nothing": ({"fuse_weights": ["auto"]}, "fuse_weights are those of fuse and mix"),
    "parts of different lengths": ({"fuse": ["one+two"], "preprocessing": "none"}, "take l2, center_l2 or whiten_l2"),
    "no layers": ({"mix": "layers", "views": ["last.mean"]}, "no store has two layers"),
    "chosen weights for all labels": ({"fuse": ["one+two@auto"], "shots": ["all"]}, "chosen in each episode"),
    "a text for a list": ({"fuse": "one+two"}, "fuse and fuse_weights are lists"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_fusions_that_make_no_sense_are_refused(stores, evaluator, settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        evaluate(stores / "birds", evaluator, **settings)


def test_parts_with_other_segments_and_names_that_are_taken_are_refused(stores, tmp_path, evaluator):
    parts = [open_store(stores / "birds" / name) for name in ("one", "two")]
    written = fuse_stores(tmp_path / "both", parts)
    with pytest.raises(UserError, match=r"are both 'one\+two'"):
        evaluate([*parts, written], evaluator, fuse=["one+two"])
    fields = (TABLE.clip_id, TABLE.class_name, TABLE.group, TABLE.split)
    short = ClipTable.build(*(field.tolist() for field in fields))
    other = make_store(tmp_path / "short", short, upstream="short")
    with pytest.raises(UserError, match=r"has [12] segments"):
        evaluate([parts[0], other], evaluator, fuse=["one+short"])


def test_all_labels_of_a_fusion_with_fixed_weights(stores, tmp_path, evaluator):
    parts = [open_store(stores / "birds" / name) for name in ("one", "two")]
    written = fuse_stores(tmp_path / "both", parts, weights=(3, 1))
    how = {"shots": ["all"], "n_query": 2, "n_episodes": 8}
    (expected,) = evaluate(written, evaluator, **how)
    found = evaluate(parts, evaluator, fuse=["one+two@75-25"], **how)[-1]
    np.testing.assert_array_equal(found["predicted"], expected["predicted"])
