"""Mean and covariance of a background as a file: against NumPy in float64, and refused where the file is not whole."""

import dataclasses

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import ClipTable, write_store
from jfewshot.store.__main__ import main
from jfewshot.store.moments import digests_of_rows, moments_of
from jfewshot.store.moments_file import read_moments, shipped_moments, write_moments
from jfewshot.store.reading import find_stores, open_store, sample_stores
from tests.synthetic_stores import clip_table, embeddings, make_store

DIM = 12


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two stores of one encoder; a feature of the first never changes."""
    folder, made = tmp_path_factory.mktemp("stores"), []
    for name, seed in (("frogs", 1), ("bats", 2)):
        table = clip_table((8, 8, 8), n_segments=lambda i: 1 + i % 2)
        table = ClipTable.build([f"{name}{x}" for x in table.clip_id], table.class_name, n_segments=table.n_segments)
        x = embeddings(table, DIM, seed=seed, offset=5.0) * np.geomspace(4, 0.1, DIM)
        x[:, 3] = 2.0
        upstream = {"name": "mine", "revision": "r1"}
        views = {"last.mean": x.astype(np.float32)}
        made.append(write_store(folder / name, views=views, clips=table, dataset={"name": name}, upstream=upstream))
    return made


def test_mean_and_covariance_are_those_of_numpy_in_float64(stores, tmp_path):
    found = read_moments(write_moments(tmp_path / "m.npz", moments_of(stores, "last.mean", {"name": "two"})))
    x = np.concatenate([store.view("last.mean") for store in stores]).astype(np.float64)
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.deviation, x.std(0), rtol=1e-5, atol=1e-6)
    expected = np.cov(x.T, bias=True)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # Correlations are rounded to float16, whose steps below 1 are 0.0005 at most.
    assert (np.abs(found.covariance() - expected) <= 2.5e-4 * scale + 1e-12).all()
    np.testing.assert_allclose(np.diag(found.covariance()), np.diag(expected), rtol=1e-5)
    assert found.about["clips"] == 48
    assert found.about["segments"] == len(x)
    assert found.about["upstream"]["revision"] == "r1"


def test_the_command_writes_the_same_bytes_again_and_replaces_no_file_unasked(stores, tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path in paths:
        assert main(["statistics", *(str(store.path) for store in stores), "--out", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert read_moments(paths[0]).corpus == "bats+frogs"
    with pytest.raises(UserError, match=r"a\.npz is there already; name another file, or pass --replace"):
        main(["statistics", str(stores[0].path), "--out", str(paths[0])])
    arguments = ["statistics", str(stores[0].path), "--out", str(paths[0]), "--replace", "--corpus", "pond"]
    assert main([*arguments, "--licence", "CC0"]) == 0
    assert read_moments(paths[0]).about["corpus"] == {"name": "pond", "licence": "CC0"}
    with pytest.raises(UserError, match=r"does not end in \.npz"):
        main(["statistics", str(stores[0].path), "--out", str(tmp_path / "statistics")])


def test_stores_of_two_encoders_are_refused(stores, tmp_path):
    other = make_store(tmp_path / "other", upstream="other")
    with pytest.raises(UserError, match="statistics are of one encoder, so name its stores alone"):
        moments_of([stores[0], other], "last.mean", {"name": "x"})


def test_embeddings_that_are_not_finite_are_refused_by_clip(tmp_path):
    x = embeddings(clip_table())
    x[0] = np.nan
    with pytest.raises(UserError, match="1 embeddings are NaN or infinite, the first of clip 'clip"):
        moments_of([make_store(tmp_path / "s", views={"last.mean": x})], "last.mean", {"name": "x"})


def test_an_edited_file_is_refused(stores, tmp_path):
    moments = moments_of(stores, "last.mean", {"name": "two"})
    write_moments(tmp_path / "m.npz", moments)
    arrays = dict(np.load(tmp_path / "m.npz"))
    edits = {
        "mean": (moments.mean + 1, "was edited or damaged"),
        "about": (np.array(str(arrays["about"]).replace("r1", "r2")), "was edited or damaged"),
        "correlation": (moments.correlation[1:], "12 features need 66"),
        "deviation": (-moments.deviation, "a deviation is negative"),
        "row_digests": (moments.row_digests.astype(np.float32), "and not uint64 in one row"),
    }
    for name, (value, message) in edits.items():
        np.savez(tmp_path / "edited.npz", **{**arrays, name: value})
        with pytest.raises(UserError, match=message):
            read_moments(tmp_path / "edited.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(UserError, match=r"text\.npz is damaged or no \.npz file"):
        read_moments(tmp_path / "text.npz")
    with pytest.raises(UserError, match="does not exist; name a file"):
        read_moments(tmp_path / "missing.npz")


def test_an_embedding_has_one_number_in_both_number_formats():
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float16)
    x[2] = 7.0
    rows = np.arange(5)
    found = digests_of_rows(x, rows)
    # The row of one number throughout has none.
    assert len(set(found.tolist())) == 4
    np.testing.assert_array_equal(found, digests_of_rows(x.astype(np.float32), rows))
    np.testing.assert_array_equal(found[[1, 0]], digests_of_rows(x, np.array([1, 0])))


def test_each_sample_encoder_ships_with_statistics_of_its_revision_that_hold_none_of_its_sample_clips():
    shipped = {each.upstream: each for each in shipped_moments()}
    for store in map(open_store, find_stores(sample_stores())):
        moments = shipped[store.upstream]
        assert moments.about["upstream"]["revision"] == store.manifest["upstream"]["revision"]
        assert moments.about["segment_samples"] == store.manifest["segment_samples"]
        assert len(moments.mean) == store.view("last.mean").shape[1]
        rows = digests_of_rows(store.view("last.mean"), np.arange(len(store.view("last.mean"))))
        assert not np.isin(rows, moments.row_digests).any()


def test_the_digest_depends_on_every_array_and_on_what_they_are_of(stores):
    moments = moments_of(stores, "last.mean", {"name": "two"})
    changed = [dataclasses.replace(moments, about={**moments.about, "view": "0.mean"})]
    for name in ("mean", "deviation", "correlation", "clip_digests", "row_digests"):
        changed.append(dataclasses.replace(moments, **{name: getattr(moments, name)[::-1].copy()}))
    assert len({each.digest for each in [moments, *changed]}) == 7
