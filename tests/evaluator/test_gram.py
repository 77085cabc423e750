from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.gram import (
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
PLENTY, LITTLE, NOTHING = 10**9, 40_000, 100
KINDS = {"precomputed": PLENTY, "on device": LITTLE, "streamed": NOTHING}


def episodes_of_rows(n_rows, n_support=3, n_query=4, blocks=8, block=2, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, n_rows, (blocks, m, block)).astype(np.int32) for m in (n_support, n_query))


def source_of(kind, view, rows, transform, n_devices):
    wanted = 10**9 if kind == "precomputed" else 10.0
    budget = KINDS[kind] * (n_devices if kind == "on device" else 1)
    return gram_source(view, rows, transform, MESHES[n_devices], budget, wanted)


@pytest.mark.parametrize("n_devices", MESHES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_every_source_gives_the_inner_products_of_the_transformed_rows(kind, n_devices, dtype):
    view = embeddings(clip_table((16, 16, 16)), dim=12, dtype=dtype, offset=2.0)
    rows = np.random.default_rng(0).permutation(48)[:40]
    source = source_of(kind, view, rows, Transform("l2", unit_length=True), n_devices)
    assert source.kind == kind
    support, query = episodes_of_rows(len(rows))
    gram_ss, gram_qs = (np.asarray(x) for x in source.blocks(support, query))
    x = view[rows].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for found, left, right in ((gram_ss, support, support), (gram_qs, query, support)):
        expected = np.einsum("bmed,bned->bmne", x[left], x[right])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)


def test_the_whole_matrix_is_taken_only_where_episodes_ask_for_as_much():
    view = np.ones((2100, 2), np.float32)
    rows, plain, mesh = np.arange(2100), Transform("none"), MESHES[1]
    assert isinstance(gram_source(view, rows, plain, mesh, PLENTY, 2100.0**2), Precomputed)
    assert isinstance(gram_source(view, rows, plain, mesh, PLENTY, 2100.0**2 - 1), OnDevice)
    assert isinstance(gram_source(view, rows[:2048], plain, mesh, PLENTY, 1.0), Precomputed)


def test_the_budget_decides_how_much_is_kept():
    view = np.ones((64, 16), np.float32)
    rows, plain = np.arange(64), Transform("none")
    for n_devices, mesh in MESHES.items():
        matrix, vectors = 4 * 64 * 64 * n_devices, 4 * 64 * 16 * n_devices
        for budget, kind in (
            (4 * matrix, Precomputed),
            (4 * matrix - 4, OnDevice),
            (4 * vectors, OnDevice),
            (4 * vectors - 4, Streamed),
        ):
            assert isinstance(gram_source(view, rows, plain, mesh, budget, 1.0), kind)


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
