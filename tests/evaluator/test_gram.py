import tracemalloc
from importlib.util import find_spec
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.evaluator import gram
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.gram import (
    InPlace,
    OnDevice,
    Precomputed,
    Streamed,
    _all_episodes_at_once,
    _episode_by_episode,
    gram_source,
)
from jfewshot.evaluator.preprocessing import Transform
from tests.synthetic_stores import clip_table, embeddings

MESHES = {n: episode_mesh(jax.devices()[:n]) for n in (1, 8)}
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
PLENTY, LITTLE, NOTHING = 10**9, 40_000, 100
KINDS = {"precomputed": PLENTY, "in place": NOTHING, "on device": LITTLE, "streamed": NOTHING}


def episodes_of_rows(n_rows, n_support=3, n_query=4, blocks=8, block=2, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, n_rows, (blocks, m, block)).astype(np.int32) for m in (n_support, n_query))


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr(gram, "_fused_products", lambda: None)


def source_of(kind, view, rows, transform, n_devices, monkeypatch):
    if kind != "in place":
        monkeypatch.setattr(gram, "_fused_products", lambda: None)
    wanted = 10**9 if kind == "precomputed" else 10.0
    monkeypatch.setattr(gram, "_ALWAYS_PRECOMPUTE", 0)
    return gram_source(view, rows, transform, MESHES[n_devices], KINDS[kind], wanted)


@pytest.mark.parametrize("n_devices", MESHES)
@pytest.mark.parametrize("kind", [pytest.param(k, marks=needs_numba if k == "in place" else ()) for k in KINDS])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_every_source_gives_the_inner_products_of_the_transformed_rows(kind, n_devices, dtype, monkeypatch):
    view = embeddings(clip_table((16, 16, 16)), dim=12, dtype=dtype, offset=2.0)
    rows = np.random.default_rng(0).permutation(48)[:40]
    source = source_of(kind, view, rows, Transform("l2", unit_length=True), n_devices, monkeypatch)
    assert source.kind == kind
    support, query = episodes_of_rows(len(rows))
    gram_ss, gram_qs = (np.asarray(x) for x in source.blocks(support, query))
    x = view[rows].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for found, left, right in ((gram_ss, support, support), (gram_qs, query, support)):
        expected = np.einsum("bmed,bned->bmne", x[left], x[right])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("kind", [pytest.param(k, marks=needs_numba if k == "in place" else ()) for k in KINDS])
def test_every_source_gives_the_squared_lengths_of_the_transformed_rows(kind, monkeypatch):
    view = embeddings(clip_table((16, 16, 16)), dim=12, offset=2.0)
    rows = np.random.default_rng(0).permutation(48)[:40]
    transform = Transform("center", mean=view.mean(0), origin=np.full(12, 0.5, np.float32))
    source = source_of(kind, view, rows, transform, 8, monkeypatch)
    _, query = episodes_of_rows(len(rows))
    expected = ((view.astype(np.float64) - view.mean(0) - 0.5) ** 2).sum(1)[rows][query]
    np.testing.assert_allclose(source.squared_lengths(query), expected, rtol=1e-5)


@needs_numba
def test_the_whole_matrix_is_taken_only_where_episodes_ask_for_as_much():
    view = np.ones((2100, 2), np.float32)
    rows, plain, mesh = np.arange(2100), Transform("none"), MESHES[1]
    assert isinstance(gram_source(view, rows, plain, mesh, PLENTY, 2100.0**2), Precomputed)
    assert isinstance(gram_source(view, rows, plain, mesh, PLENTY, 2100.0**2 - 1), InPlace)
    assert isinstance(gram_source(view, rows[:1025], plain, mesh, PLENTY, 1.0), InPlace)
    assert isinstance(gram_source(view, rows[:1024], plain, mesh, PLENTY, 1.0), Precomputed)
    # What cannot be multiplied where it lies is taken whole sooner.
    strided = view[:, ::-1]
    assert isinstance(gram_source(strided, rows[:2048], plain, mesh, PLENTY, 1.0), Precomputed)


def test_the_budget_decides_how_much_is_kept(without_numba):
    view = np.ones((64, 16), np.float32)
    rows, plain = np.arange(64), Transform("none")
    # The devices of one CPU share the embeddings; a matrix is worked on by each.
    vectors = 4 * 64 * 16
    for n_devices, mesh in MESHES.items():
        matrix = 4 * 64 * 64 * n_devices
        for budget, kind in (
            (4 * matrix, Precomputed),
            (4 * matrix - 4, OnDevice),
            (4 * vectors, OnDevice),
            (4 * vectors - 4, Streamed),
        ):
            assert isinstance(gram_source(view, rows, plain, mesh, budget, 1.0), kind)


TRANSFORMS = {
    "none": Transform("none"),
    "l2": Transform("l2", unit_length=True),
    "l2 from an origin": Transform("l2", unit_length=True, origin=np.linspace(0, 0.3, 37, dtype=np.float32)),
    "center_l2": Transform("center_l2", mean=np.linspace(-1, 1, 37, dtype=np.float32), unit_length=True),
    "standardize from an origin": Transform(
        "standardize",
        mean=np.linspace(-1, 1, 37, dtype=np.float32),
        scale=np.linspace(0.5, 3, 37, dtype=np.float32),
        origin=np.linspace(0, 0.3, 37, dtype=np.float32),
    ),
}


def transformed(transform, x):
    """In float64, from the definition."""
    x = x.astype(np.float64)
    x = x - (0.0 if transform.mean is None else transform.mean.astype(np.float64))
    x = x / (1.0 if transform.scale is None else transform.scale.astype(np.float64))
    if transform.unit_length:
        lengths = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(lengths == 0, 1, lengths)
    return x - (0.0 if transform.origin is None else transform.origin.astype(np.float64))


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("n_support", "n_query"), [(1, 1), (5, 4), (5, 7), (12, 3)])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_products_in_place_are_those_of_float64_for_every_transform(name, n_support, n_query, dtype):
    transform = TRANSFORMS[name]
    view = np.random.default_rng(3).normal(size=(60, 37)).astype(dtype)
    view[5] = 0
    rows = np.random.default_rng(4).permutation(60)[:50]
    support, query = episodes_of_rows(50, n_support, n_query)
    x = transformed(transform, view[rows])
    for found, left in zip(
        InPlace(view, rows, transform, MESHES[8]).blocks(support, query), (support, query), strict=True
    ):
        expected = np.einsum("bmed,bned->bmne", x[left], x[support])
        # float32: 37 products of numbers of about this size.
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=4e-7 * np.abs(x).max() ** 2 * 37)


@needs_numba
@pytest.mark.parametrize("origin", [None, np.full(12, 0.2, np.float32)])
@pytest.mark.parametrize("scale", [1e20, 1e-25, 1e-38])
def test_rows_of_extreme_scale_have_the_products_of_their_directions(scale, origin):
    transform = Transform("l2", unit_length=True, origin=origin)
    plain = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)
    # Some rows alone, and all of them.
    for scaled in (slice(3, 40, 7), slice(None)):
        view = plain.copy()
        view[scaled] *= np.float32(scale)
        x = transformed(transform, view)
        np.testing.assert_allclose(transform(view), x, rtol=0, atol=3e-7)
        support, query = episodes_of_rows(40, 5, 6)
        for found, left in zip(
            InPlace(view, np.arange(40), transform, MESHES[1]).blocks(support, query), (support, query), strict=True
        ):
            expected = np.einsum("bmed,bned->bmne", x[left], x[support])
            np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=5e-7)


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_store_on_disk_is_neither_copied_nor_padded(tmp_path, dtype):
    """Bytes, not time: 64 MiB of embeddings, of which episodes ask for few, are not to be allocated once more."""
    n_rows, dim = 2**16 + 1, 257 * 4 // np.dtype(dtype).itemsize
    np.lib.format.open_memmap(tmp_path / "view.npy", "w+", dtype, (n_rows, dim)).flush()
    view = np.load(tmp_path / "view.npy", mmap_mode="r")
    rows, transform = np.arange(n_rows), Transform("l2", unit_length=True)
    support, query = episodes_of_rows(n_rows)
    InPlace(view[:4], rows[:4], transform, MESHES[1])  # compiled
    tracemalloc.start()
    source = gram_source(view, rows, transform, MESHES[1], 4 * 2**30, 10.0)
    source.blocks(support, query)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.kind == "in place"
    # The list of rows, eight bytes each, and some products.
    assert peak < 2 * 8 * n_rows + 2**20 < view.nbytes / 30
    assert np.shares_memory(source._stored, view)


def test_without_numba_a_large_store_is_kept_once_and_unpadded(without_numba, monkeypatch):
    monkeypatch.setattr(gram, "_MOST_PADDED", 0)
    view = np.ones((2100, 5), np.float32)
    budget = 4 * view.nbytes
    source = gram_source(view, np.arange(2100), Transform("none"), MESHES[8], budget, 1.0)
    assert isinstance(source, OnDevice)
    assert source.array.shape == (2100, 5)
    assert len({part.data.unsafe_buffer_pointer() for part in source.array.addressable_shards}) == 1


def test_streaming_reads_only_the_rows_that_the_episodes_need():
    class Watched(np.ndarray):
        read: ClassVar[set[int]] = set()

        def __getitem__(self, rows):
            self.read.update(np.asarray(rows).tolist())
            return np.ones((len(rows), 4), np.float32)

    view = np.ones((1000, 4), np.float32).view(Watched)
    source = Streamed(view, np.arange(1000)[::-1], Transform("none"), MESHES[1])
    support, query = episodes_of_rows(1000, blocks=2)
    source.blocks(support, query)
    assert view.read == {999 - row for row in [*support.ravel().tolist(), *query.ravel().tolist()]}


@pytest.mark.parametrize(("n_support", "n_query"), [(1, 1), (5, 5), (25, 75)])
def test_an_accelerators_way_of_multiplying_gives_what_a_processors_does(n_support, n_query):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 32)).astype(np.float32)
    rows = rng.integers(0, 40, (6, n_support + n_query)).astype(np.int32)
    expected = np.einsum("end,esd->ens", *(z.astype(np.float64) for z in (x[rows], x[rows[:, :n_support]])))
    for multiply in (_all_episodes_at_once, _episode_by_episode):
        np.testing.assert_allclose(multiply(jnp.asarray(x), jnp.asarray(rows), n_support), expected, atol=2e-5)
