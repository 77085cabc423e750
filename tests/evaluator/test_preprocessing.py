import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from sklearn.preprocessing import StandardScaler, normalize

from jfewshot.errors import UserError
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.preprocessing import fit_transform, segment_rows
from jfewshot.store import ClipTable
from tests.synthetic_stores import clip_table, embeddings, make_store

SPLITS = ["train", "test", "train", "test", "validation"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    table = clip_table(n_segments=lambda clip: 1 + clip % 3, splits=SPLITS)
    return make_store(tmp_path_factory.mktemp("stores") / "s", table, offset=3.0)


def rows_of(store, split=None):
    """By a loop, for the code under test does it without one."""
    clips = store.clips
    return [
        row
        for clip in range(len(clips))
        if split in (None, clips.split[clip])
        for row in range(clips.first_segment[clip], clips.first_segment[clip] + clips.n_segments[clip])
    ]


def check(transform, x, expected):
    found = transform(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_none_leaves_embeddings_alone(store):
    x = store.view("last.mean")
    np.testing.assert_array_equal(fit_transform("none", store, "last.mean")(x), x)


def test_l2_gives_unit_length_and_leaves_zeros_zero(store):
    x = np.array(store.view("last.mean"))
    x[3] = 0
    found = fit_transform("l2", store, "last.mean")(x)
    check(fit_transform("l2", store, "last.mean"), x, normalize(x.astype(np.float64)))
    assert (found[3] == 0).all()


def test_the_rows_of_a_split_are_those_of_its_clips_segments(store):
    assert segment_rows(store.clips, "train").tolist() == rows_of(store, "train")
    assert segment_rows(store.clips, None).tolist() == rows_of(store)


@pytest.mark.parametrize("how", ["train", "transductive", "other store"])
@pytest.mark.parametrize("name", ["center", "center_l2", "standardize"])
def test_statistics_come_from_where_the_user_says_and_the_label_says_so(store, tmp_path, name, how):
    other = make_store(tmp_path / "other", clip_table((9, 9)), upstream="other", seed=5, offset=-2.0)
    arguments = {"train": {}, "transductive": {"transductive": True}, "other store": {"center_from": other}}[how]
    transform = fit_transform(name, store, "last.mean", **arguments)
    x = np.asarray(store.view("last.mean"), np.float64)
    fitted = {"train": x[rows_of(store, "train")], "transductive": x, "other store": other.view("last.mean")}[how]
    scaler = StandardScaler(with_std=name == "standardize").fit(fitted)
    expected = scaler.transform(x)
    check(transform, store.view("last.mean"), normalize(expected) if name == "center_l2" else expected)
    label = transform.identity()["center"]
    assert transform.identity() == {"name": name, "center": label}
    assert label == how if how != "other store" else len(label) == 64


def test_two_other_stores_have_two_labels(store, tmp_path):
    labels = {
        fit_transform(
            "center", store, "last.mean", center_from=make_store(tmp_path / str(seed), seed=seed)
        ).statistics_from
        for seed in (1, 2)
    }
    assert len(labels) == 2


def test_a_feature_that_never_changes_becomes_zero(tmp_path):
    x = embeddings(clip_table())
    x[:, 2] = 7.0
    store = make_store(tmp_path, views={"last.mean": x})
    found = fit_transform("standardize", store, "last.mean", transductive=True)(x)
    assert (found[:, 2] == 0).all()
    other = fit_transform("standardize", store, "last.mean", transductive=True)(x + 3)
    np.testing.assert_allclose(other[:, 2], 3, rtol=1e-6)
    assert np.isfinite(found).all()


def test_statistics_are_exact_where_features_have_a_large_mean_and_blocks_are_many(tmp_path):
    table = clip_table((5000, 5000))
    x = (embeddings(table, dim=3) + 1000).astype(np.float32)
    store = make_store(tmp_path, table, views={"last.mean": x})
    transform = fit_transform("standardize", store, "last.mean", transductive=True)
    np.testing.assert_allclose(transform.mean, x.astype(np.float64).mean(0), rtol=1e-7)
    np.testing.assert_allclose(transform.scale, x.astype(np.float64).std(0), rtol=1e-6)


def test_the_origin_is_the_mean_of_the_transformed_rows(store):
    x, rows = store.view("last.mean"), np.array(rows_of(store, "test"))
    transform = fit_transform("l2", store, "last.mean").with_origin(x, rows)
    expected = normalize(x.astype(np.float64))
    check(transform, x, expected - expected[rows].mean(0))
    # It changes no decision, so it is no part of what a result depends on.
    assert transform.identity() == {"name": "l2"}


def test_half_precision_is_widened_first(tmp_path):
    store = make_store(tmp_path, dtype=np.float16)
    x = store.view("last.mean")
    check(fit_transform("l2", store, "last.mean"), x, normalize(x.astype(np.float64)))


def test_without_a_training_split_the_error_names_both_ways_out(tmp_path):
    store = make_store(tmp_path)
    with pytest.raises(UserError, match=r"no training split.*--statistics-from STORE, .* or --transductive"):
        fit_transform("center", store, "last.mean")


def test_another_store_that_is_the_evaluated_one_is_refused(store, tmp_path):
    copy = make_store(tmp_path / "copy", store.clips, upstream="copy", views={"last.mean": store.view("last.mean")})
    for same in (store, copy):
        with pytest.raises(UserError, match=r"the very embeddings that are evaluated.*pass --transductive"):
            fit_transform("center", store, "last.mean", center_from=same)


def test_another_store_that_was_edited_is_refused(store, tmp_path):
    other = make_store(tmp_path / "other", seed=7)
    x = np.load(other.view_path("last.mean"))
    x[0] += 1
    np.save(other.view_path("last.mean"), x)
    with pytest.raises(UserError, match=r"last\.mean\.npy is not the file that manifest\.json describes"):
        fit_transform("center", store, "last.mean", center_from=other)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_statistics_of_embeddings_that_are_not_finite_are_refused_by_clip(store, tmp_path, value):
    table = clip_table(splits=SPLITS)
    x = embeddings(table)
    clip = np.flatnonzero(table.split == "train")[2]
    x[table.first_segment[clip]] = value
    bad = make_store(tmp_path / "bad", table, views={"last.mean": x})
    for evaluated, arguments in ((store, {"center_from": bad}), (bad, {}), (bad, {"transductive": True})):
        with pytest.raises(UserError, match=rf"1 embeddings are NaN or infinite.*'{table.clip_id[clip]}'"):
            fit_transform("standardize", evaluated, "last.mean", **arguments)


def test_statistics_of_shared_clips_are_of_these_alone_and_are_named(store):
    keep = np.arange(len(store.clips)) % 4 != 1
    shared = store.clips.select(keep)
    x = np.asarray(store.view("last.mean"), np.float64)
    for split, arguments in (("train", {}), (None, {"transductive": True})):
        whole = fit_transform("center", store, "last.mean", **arguments)
        part = fit_transform("center", store, "last.mean", clips=shared, **arguments)
        rows = [
            row
            for clip in np.flatnonzero(keep)
            if split in (None, store.clips.split[clip])
            for row in range(
                store.clips.first_segment[clip], store.clips.first_segment[clip] + store.clips.n_segments[clip]
            )
        ]
        np.testing.assert_allclose(part.mean, x[rows].mean(0), rtol=1e-5)
        assert abs(part.mean - whole.mean).max() > 1e-3
        assert part.identity() == {**whole.identity(), "center_clips": "shared"}
        assert (
            fit_transform("center", store, "last.mean", clips=store.clips, **arguments).identity() == whole.identity()
        )


def test_an_unknown_name_is_answered_with_those_there_are(store):
    with pytest.raises(UserError, match="unknown preprocessing 'whitened'; there are none, l2, center"):
        fit_transform("whitened", store, "last.mean")


def test_another_store_of_another_dimension_or_without_the_view_is_refused(store, tmp_path):
    with pytest.raises(UserError, match="has another dimension"):
        fit_transform("center", store, "last.mean", center_from=make_store(tmp_path / "a", dim=5))
    other = make_store(tmp_path / "b", views={"0.mean": embeddings(clip_table())})
    with pytest.raises(UserError, match=r"has no view 'last\.mean'"):
        fit_transform("center", store, "last.mean", center_from=other)


@pytest.mark.parametrize("n_rows", [1, 7, 600])
def test_what_is_read_lies_where_all_devices_of_a_processor_can_use_it(store, n_rows):
    x = fit_transform("l2", store, "last.mean").read(store.view("last.mean"), np.arange(n_rows) % 20, (n_rows + 3, 16))
    assert not x[n_rows:].any()
    everywhere = NamedSharding(episode_mesh(jax.devices()), PartitionSpec())
    parts = jax.device_put(x, everywhere).addressable_shards
    assert {part.data.unsafe_buffer_pointer() for part in parts} == {x.ctypes.data}


def test_another_store_with_other_segments_has_another_label(store, tmp_path):
    # The same rows belong to other clips, so the mean over the clips' segments may be another one.
    x = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    labels = set()
    for name, counts in (("one", [1, 2, 3, 1, 2, 3]), ("other", [2, 2, 2, 2, 2, 2])):
        table = ClipTable.build([f"c{i}" for i in range(6)], list("aabbcc"), n_segments=counts)
        other = make_store(tmp_path / name, table, upstream="other", views={"last.mean": x})
        labels.add(fit_transform("center", store, "last.mean", center_from=other).statistics_from)
    assert len(labels) == 2
