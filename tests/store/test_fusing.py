"""Fused stores: inner products are the weighted means of the parts' cosines."""

import numpy as np
import pytest

from jfewshot import api
from jfewshot.errors import UserError
from jfewshot.store import create_store, open_store
from jfewshot.store.__main__ import main
from jfewshot.store.fusing import fuse_pairs, fuse_stores

RNG = np.random.default_rng(8)
LABELS = np.repeat(["a", "b", "c", "d", "e"], 6)
IDS = [f"{number:02d}" for number in RNG.permutation(30)]


def made(path, name, dim, counts=None, ids=IDS, view="last.mean", **more):
    rows = int(np.sum(counts)) if counts is not None else 30
    x = RNG.standard_normal((rows, dim)).astype(np.float32) * RNG.uniform(0.1, 50, (rows, 1)).astype(np.float32)
    return create_store(
        path / name, {view: x}, LABELS, dataset="d", upstream=name, clip_ids=ids, n_segments=counts, **more
    )


def cosines(store, view="last.mean"):
    """Of the segments in the order of the clip ids."""
    x = np.asarray(store.view(view), np.float64)[store.clips.rows(np.arange(len(store.clips)))[0]]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def test_inner_products_are_weighted_means_of_cosines(tmp_path):
    counts = RNG.integers(1, 4, 30)
    one = made(tmp_path, "one", 7, counts)
    # The same clips in another order of rows.
    order = RNG.permutation(30)
    x = RNG.standard_normal((counts.sum(), 4)).astype(np.float16)
    two = create_store(
        tmp_path / "two",
        x,
        LABELS[order],
        dataset="d",
        upstream="two",
        clip_ids=[IDS[number] for number in order],
        n_segments=counts[order],
    )
    fused = fuse_stores(tmp_path / "both", [one, two], weights=[3, 1])
    assert fused.upstream == "one+two@75-25"
    assert fused.views == ("fused.mean",)
    assert fused.clips.digest == one.clips.digest
    y = np.asarray(fused.view("fused.mean"), np.float64)[fused.clips.rows(np.arange(30))[0]]
    # float32 rounds each of 11 numbers by 6e-8 of its size.
    np.testing.assert_allclose(y @ y.T, 0.75 * cosines(one) + 0.25 * cosines(two), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, atol=1e-6)


def test_layers_of_a_store_and_every_pair_are_fused(tmp_path):
    x, y = RNG.standard_normal((2, 30, 3)).astype(np.float32)
    layers = create_store(
        tmp_path / "s" / "mine", {"0.mean": x, "1.mean": y}, LABELS, dataset="d", upstream="mine", clip_ids=IDS
    )
    fused = fuse_stores(tmp_path / "layers", [layers, layers], ["0.mean", "1.mean"])
    assert fused.upstream == "mine.0.mean+mine.1.mean"
    for name in ("one", "two", "three"):
        made(tmp_path / "pairs", name, 5)
    assert main(["fuse", str(tmp_path / "pairs"), "--pairs", "--out", str(tmp_path / "fused")]) == 0
    names = sorted(path.name for path in (tmp_path / "fused" / "d").iterdir())
    assert names == ["one+three", "one+two", "three+two"]
    parts = [str(tmp_path / "pairs" / name) for name in ("one", "two")]
    assert main(["fuse", *parts, "--out", str(tmp_path / "again")]) == 0
    again, pair = open_store(tmp_path / "again"), open_store(tmp_path / "fused" / "d" / "one+two")
    assert again.view_digest("fused.mean") == pair.view_digest("fused.mean")
    (score,) = api.evaluate(pair, n_episodes=20, n_query=3)
    assert score["upstream"]["name"] == "one+two"


def test_encoders_that_are_fused_cost_what_they_cost_together(tmp_path):
    parts = []
    for name, flop, rate in (("one", 3_000, 10.0), ("two", 1_000, 40.0), ("old", None, 40.0)):
        cost = {"flop_per_clip": flop, "clips_per_s": rate, "device": "cpu", "threads": 2}
        upstream = {"name": name, "n_parameters": 100 * len(parts) + 100}
        x = RNG.standard_normal((30, 3)).astype(np.float32)
        parts.append(create_store(tmp_path / name, x, LABELS, dataset="d", upstream=upstream, clip_ids=IDS, cost=cost))
    fused = fuse_stores(tmp_path / "pair", parts[:2])
    assert fused.manifest["cost"] == {"flop_per_clip": 4_000, "clips_per_s": 8.0, "device": "cpu", "threads": 2}
    assert fused.manifest["upstream"]["n_parameters"] == 300
    # Two views of one store are one encoder; and what one part does not know is not known of all.
    assert fuse_stores(tmp_path / "twice", [parts[0], parts[0]]).manifest["cost"]["flop_per_clip"] == 3_000
    assert "flop_per_clip" not in fuse_stores(tmp_path / "more", [parts[0], parts[2]]).manifest["cost"]


def test_what_cannot_be_fused_is_refused(tmp_path):
    one, other = made(tmp_path, "one", 3), made(tmp_path, "other", 3, ids=[f"x{name}" for name in IDS])
    longer = made(tmp_path, "longer", 3, counts=[2, *[1] * 29])
    zero = create_store(
        tmp_path / "zero", np.zeros((30, 2), np.float32), LABELS, dataset="d", upstream="zero", clip_ids=IDS
    )
    many = create_store(
        tmp_path / "many",
        {"0.mean": np.ones((30, 2), np.float32), "1.mean": np.ones((30, 2), np.float32)},
        LABELS,
        dataset="d",
        upstream="many",
        clip_ids=IDS,
    )
    for parts, more, said in (
        ([one], {}, "a fusion needs at least two parts"),
        ([one, other], {}, "differ in clips, classes, groups or splits"),
        ([one, longer], {}, "has 1 segments in .* and 2 in .*; extract both with --segment of one length"),
        ([one, zero], {}, "embeddings that are 0, NaN or infinite"),
        ([one, many], {}, r"has several views \(0.mean, 1.mean\); name one for each part"),
        ([one, one], {"views": ["last.mean"]}, "1 view is named for 2 parts"),
        ([one, one], {"weights": [1.0]}, "1 weights are given for 2 parts"),
        ([one, one], {"weights": [1.0, -1.0]}, "weights are 1, -1; each must be a number above 0"),
    ):
        with pytest.raises(UserError, match=said):
            fuse_stores(tmp_path / "no", parts, **more)
        assert not (tmp_path / "no").exists()
    with pytest.raises(UserError, match="no dataset has stores of two encoders"):
        fuse_pairs(tmp_path / "no", [one])
    with pytest.raises(UserError, match="--pairs takes neither --views nor --weights"):
        main(["fuse", str(tmp_path / "one"), "--pairs", "--weights", "1", "--out", str(tmp_path / "no")])
