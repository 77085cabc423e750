"""Whitening, against NumPy in float64."""

import dataclasses

import numpy as np
import pytest

import jfewshot
from jfewshot.errors import UserError
from jfewshot.evaluator.backgrounds import opened_backgrounds
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import fit_transform
from jfewshot.reporting.conditions import condition_of, preprocessing_words
from jfewshot.store import ClipTable
from jfewshot.store.moments import moments_of
from jfewshot.store.moments_file import shipped_moments, write_moments
from jfewshot.store.reading import open_store, sample_stores
from tests.synthetic_stores import clip_table, embeddings, make_store

RUN = {"protocol": {}, "classifier": {"name": "centroid"}}


def named(prefix, sizes=(8, 8, 8), **options):
    """A table whose clips have names of their own."""
    table = clip_table(sizes, **options)
    return ClipTable.build([f"{prefix}{name}" for name in table.clip_id], table.class_name, n_segments=table.n_segments)


def in_float64(x, background, shrinkage, unit_length):
    """Whitened by the textbook: eigenvalues of numpy.cov, the shrinkage added, inverse square root."""
    background = np.asarray(background, np.float64)
    values, vectors = np.linalg.eigh(np.cov(background.T, bias=True))
    y = (x - background.mean(0)) @ (vectors / np.sqrt(values + shrinkage * values.mean())) @ vectors.T
    return y / np.linalg.norm(y, axis=1, keepdims=True) if unit_length else y


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    scale = np.geomspace(5, 0.2, 12)
    found = {}
    for name, dataset, seed in (("birds", "birds", 0), ("frogs", "frogs", 1), ("bats", "bats", 2)):
        table = named(name)
        x = embeddings(table, seed=seed, offset=2.0) * scale
        found[name] = make_store(folder / name, table, dataset=dataset, views={"last.mean": x.astype(np.float32)})
    return found


@pytest.mark.parametrize(("name", "shrinkage"), [("whiten", 1.0), ("whiten_l2", 1.0), ("whiten_l2", 0.01)])
def test_whitening_is_that_of_float64(stores, name, shrinkage):
    store, other = stores["birds"], stores["frogs"]
    transform = fit_transform(name, store, "last.mean", center_from=other, shrinkage=shrinkage)
    x = store.view("last.mean")
    expected = in_float64(x, other.view("last.mean"), shrinkage, name == "whiten_l2")
    np.testing.assert_allclose(transform(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert transform.identity()["shrinkage"] == shrinkage


def test_several_stores_are_one_background_and_the_evaluated_dataset_is_not_among_them(stores):
    transform = fit_transform("whiten", stores["birds"], "last.mean", center_from=list(stores.values()))
    background = np.concatenate([stores[name].view("last.mean") for name in ("frogs", "bats")])
    x = stores["birds"].view("last.mean")
    np.testing.assert_allclose(transform(x), in_float64(x, background, 1.0, False), rtol=1e-3, atol=1e-4)
    with pytest.raises(
        UserError, match="none of the 2 stores is of upstream 'mine' and of another dataset than 'birds'"
    ):
        fit_transform("whiten", stores["birds"], "last.mean", center_from=[stores["birds"]] * 2)


def test_a_background_of_fewer_clips_than_dimensions_is_safe(stores, tmp_path):
    few = make_store(tmp_path / "few", named("few", (2, 2)), dataset="few")
    found = fit_transform("whiten_l2", stores["birds"], "last.mean", center_from=few)(stores["birds"].view("last.mean"))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)


def test_a_background_with_evaluated_clips_is_refused_or_marked(stores, tmp_path):
    store = stores["birds"]
    same_name = make_store(tmp_path / "a", ClipTable.build([*store.clips.clip_id[:1], "x"], ["a", "b"]), dataset="a")
    copied = embeddings(named("y", (1, 1)))
    copied[1] = store.view("last.mean")[3]
    same_row = make_store(tmp_path / "b", named("y", (1, 1)), dataset="b", views={"last.mean": copied})
    for other, what in ((same_name, "are evaluated clips too"), (same_row, r"1 of its embeddings .* equal evaluated")):
        with pytest.raises(UserError, match=what):
            fit_transform("whiten", store, "last.mean", center_from=other)
        marked = fit_transform("whiten", store, "last.mean", center_from=other, transductive=True)
        assert marked.identity()["center"] == "transductive"


@pytest.mark.parametrize("name", ["whiten_l2", "center_l2", "standardize"])
def test_statistics_from_a_file_do_what_the_store_that_they_are_of_does(stores, tmp_path, name):
    store, other = stores["birds"], stores["frogs"]
    write_moments(tmp_path / "frogs.npz", moments_of([other], "last.mean", {"name": "pond"}))
    (moments,) = opened_backgrounds([tmp_path / "frogs.npz"])
    x = store.view("last.mean")
    expected = fit_transform(name, store, "last.mean", center_from=other)(x)
    found = fit_transform(name, store, "last.mean", center_from=[moments])
    # Of a covariance, the file holds three digits.
    close = {"rtol": 0, "atol": 2e-3 * np.abs(expected).max()} if name == "whiten_l2" else {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(found(x), expected, **close)
    identity = found.identity()
    assert identity["center"] == f"pond:{moments.digest}"
    assert preprocessing_words(condition_of({"identity": RUN | {"preprocessing": identity}})).startswith(f"{name} (")
    assert "pond" in preprocessing_words(condition_of({"identity": RUN | {"preprocessing": identity}}))


def test_statistics_of_another_encoder_view_or_revision_are_refused_in_one_line(stores):
    store = stores["birds"]
    moments = moments_of([stores["frogs"]], "last.mean", {"name": "pond"})

    def refused(about, **other):
        changed = dataclasses.replace(moments, about={**moments.about, **about}, **other)
        with pytest.raises(UserError) as error:
            fit_transform("whiten", store, "last.mean", center_from=[changed])
        assert "\n" not in str(error.value)
        return str(error.value)

    said = refused({"upstream": {"name": "other"}})
    assert f"there are no statistics of 'mine', view 'last.mean' ({store.path}); there are other (last.mean)" in said
    assert "there are mine (0.mean)" in refused({"view": "0.mean"})
    said = refused({"upstream": {"name": "mine", "revision": "r2"}})
    assert f"are of revision r2, and {store.path} is of revision None" in said
    said = refused({}, mean=moments.mean[:5], deviation=moments.deviation[:5], correlation=moments.correlation[:10])
    assert f"have 5 features, and {store.path} has 12" in said
    with pytest.raises(UserError, match=r"are both of 'mine', view 'last\.mean'; name one of them"):
        fit_transform("whiten", store, "last.mean", center_from=[moments, moments])
    with pytest.raises(UserError, match="give one kind"):
        fit_transform("whiten", store, "last.mean", center_from=[moments, stores["frogs"]])
    with pytest.raises(UserError, match="train is the evaluated store's own training split; name it alone"):
        opened_backgrounds(["train", "shipped"])
    with pytest.raises(UserError, match=r"no statistics of 'mine'.*; there are fbank \(last\.mean\), mfcc"):
        fit_transform("whiten", store, "last.mean", center_from=opened_backgrounds(["shipped"]))


def test_statistics_of_evaluated_clips_are_refused_or_marked(stores, tmp_path):
    store = stores["birds"]
    same_name = make_store(tmp_path / "a", ClipTable.build([*store.clips.clip_id[:1], "x"], ["a", "b"]), dataset="a")
    copied = embeddings(named("y", (1, 1)))
    copied[1] = store.view("last.mean")[3]
    same_row = make_store(tmp_path / "b", named("y", (1, 1)), dataset="b", views={"last.mean": copied})
    cases = ((store, "the very embeddings"), (same_name, "include clip"), (same_row, "include 1 embeddings that equal"))
    for source, message in cases:
        moments = moments_of([source], "last.mean", {"name": "pond"})
        with pytest.raises(UserError, match=rf"statistics of corpus 'pond'.* {message}.* pass --transductive"):
            fit_transform("whiten", store, "last.mean", center_from=moments)
        marked = fit_transform("whiten", store, "last.mean", center_from=moments, transductive=True)
        assert marked.identity()["center"] == "transductive"


def test_the_sample_stores_are_whitened_by_the_shipped_statistics(tmp_path):
    store = open_store(sample_stores() / "fsdd_speakers" / "fbank")
    (moments,) = (each for each in shipped_moments() if each.upstream == "fbank")
    values, vectors = np.linalg.eigh(moments.covariance())
    y = (
        (store.view("last.mean").astype(np.float64) - moments.mean)
        @ (vectors / np.sqrt(values + values.mean()))
        @ vectors.T
    )
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    by_hand = make_store(tmp_path / "w", store.clips, views={"last.mean": y.astype(np.float32)})
    options = {"classifiers": "centroid", "ways": 3, "n_query": 2, "n_episodes": 60}
    (found,) = jfewshot.evaluate(store, preprocessing="whiten_l2", statistics_from="shipped", **options)
    (expected,) = jfewshot.evaluate(by_hand, preprocessing="none", **options)
    assert (found["predicted"] == expected["predicted"]).mean() > 0.999
    assert found["identity"]["preprocessing"]["center"] == f"debian_speech:{moments.digest}"


@pytest.mark.parametrize("shrinkage", [0.0, -1.0, float("nan"), 1e7])
def test_a_shrinkage_that_is_none_is_refused(stores, shrinkage):
    with pytest.raises(UserError, match=r"shrinkage is .*; it must be positive"):
        fit_transform("whiten", stores["birds"], "last.mean", transductive=True, shrinkage=shrinkage)


def test_episodes_see_whitened_embeddings_and_a_copy_too_large_is_refused(stores, tmp_path):
    store, options = stores["birds"], {"classifiers": "centroid", "ways": 3, "n_query": 2, "n_episodes": 60}
    whitened = fit_transform("whiten_l2", store, "last.mean", transductive=True)(store.view("last.mean"))
    by_hand = make_store(tmp_path / "w", store.clips, views={"last.mean": whitened})
    (found,) = jfewshot.evaluate(store, preprocessing="whiten_l2", transductive=True, **options)
    (expected,) = jfewshot.evaluate(by_hand, preprocessing="none", **options)
    assert (found["predicted"] == expected["predicted"]).mean() > 0.999
    assert found["identity"]["preprocessing"] == {"name": "whiten_l2", "center": "transductive", "shrinkage": 1.0}
    with pytest.raises(UserError, match=r"whitening needs a copy of 24 embeddings .* Raise --memory-gb"):
        jfewshot.evaluate(
            store, preprocessing="whiten_l2", transductive=True, evaluator=Evaluator(memory_bytes=1000), **options
        )
