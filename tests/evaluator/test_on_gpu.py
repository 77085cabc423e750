"""The GPU kernels, run as ordinary JAX operations, against the general way and NumPy; and built for CUDA, without a device."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.classifiers.logistic import Logistic
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator import gathered, gram, kernel, on_gpu
from jfewshot.evaluator.answers import room_for, send, write
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.on_gpu import Kernels
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.store.clips import ClipTable

UNIT = Transform("l2", unit_length=True)


@pytest.fixture(scope="module")
def store() -> tuple[np.ndarray, ClipTable]:
    rng = np.random.default_rng(0)
    labels = np.repeat([f"class {i}" for i in range(6)], 9)
    view = rng.standard_normal((6, 24), np.float32)[np.repeat(np.arange(6), 9)] + rng.standard_normal(
        (54, 24), np.float32
    )
    view.flags.writeable = False
    return view, ClipTable.build([f"{i:03d}" for i in range(54)], labels)


def _solved(
    store, spec: str, transform=UNIT, kernels: bool = False, n_way: int = 3, k_shot: int = 2, episodes: int = 37
):
    """Answers of `episodes` episodes; as an accelerator's where `kernels`, and whether the kernel was used."""
    one = Evaluator(jax.local_devices()[:1], block=16)
    if kernels:
        one._solver.kernels, one._solver.on_cpu = Kernels(one.mesh, interpret=True), False
    protocol = Protocol(n_way, k_shot, 3, episodes)
    return list(one.evaluate(*store, transform, protocol, [parse_classifier(spec)]))


@pytest.mark.parametrize("on_device", [False, True])
def test_a_kernel_predicts_what_the_general_way_predicts(store, on_device, monkeypatch):
    used = []
    solve = Kernels.solve
    monkeypatch.setattr(Kernels, "solve", lambda *given: used.append(1) or solve(*given))
    expected = _solved(store, "logistic:C=0.5,1")
    if on_device:
        # No matrix of all products, and no loops on a CPU: as a large store on an accelerator.
        monkeypatch.setattr(gram, "_PRECOMPUTE_SHARE", 0.0)
        monkeypatch.setattr(gram, "_fused_products", lambda: None)
    found = _solved(store, "logistic:C=0.5,1", kernels=True)
    assert used
    assert [x.gram_kind for x in found] == ["on device" if on_device else "precomputed"] * 2
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.predicted, theirs.predicted)
        assert mine.residual.max() <= 1e-4
        assert (mine.iterations >= 1).all()
        np.testing.assert_allclose(mine.rounding, theirs.rounding, rtol=1e-3)


def test_what_a_kernel_does_not_solve_is_solved_in_the_general_way(store):
    # Long embeddings and C = 100: conjugate gradients take hundreds of products.
    long = Transform("none")
    expected = _solved(store, "logistic:C=1,300", long)
    found = _solved(store, "logistic:C=1,300", long, kernels=True)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.predicted, theirs.predicted)
        assert mine.residual.max() <= Logistic.tolerance
    # Those that were solved again are the general way's to the bit.
    again = found[1].residual == expected[1].residual
    assert again.sum() > 0
    np.testing.assert_array_equal(found[1].iterations[again], expected[1].iterations[again])


def test_a_kernel_that_cannot_be_compiled_is_done_without(store, monkeypatch, caplog):
    def refuse(*given):
        raise NotImplementedError("no such backend")

    monkeypatch.setattr(kernel, "solve_looked_up", refuse)
    on_gpu.jit_solve_in_kernel.cache_clear()
    with caplog.at_level(logging.WARNING):
        found = _solved(store, "logistic", kernels=True, k_shot=1)
    on_gpu.jit_solve_in_kernel.cache_clear()
    assert [record.message for record in caplog.records if "kernel" in record.message] == [
        "the GPU kernel of logistic cannot be compiled; continuing without it, several times slower (no such backend)"
    ]
    np.testing.assert_array_equal(found[0].predicted, _solved(store, "logistic", k_shot=1)[0].predicted)


def test_kernels_are_for_logistic_on_nvidias_gpus_alone():
    kernels = Kernels(episode_mesh(jax.local_devices()[:1]))
    source = gram.Precomputed(np.eye(4, dtype=np.float32), 4, episode_mesh(jax.local_devices()[:1]))
    assert kernels.plan(Logistic(), source, Protocol(5, 1, 15, 100), 100, 1) is None
    kernels._usable = True
    assert kernels.plan(Logistic(), source, Protocol(5, 1, 15, 100), 100, 1) is not None
    assert kernels.plan(parse_classifier("ridge").classifier, source, Protocol(5, 1, 15, 100), 100, 1) is None
    assert kernel.plan(5, 26, 75, 100, 1) is None
    assert kernel.plan(5, 1, 75, 2**22, 10) is None


def test_products_are_numpys():
    rng = np.random.default_rng(0)
    x, rows = rng.standard_normal((50, 70)).astype(np.float32), rng.integers(0, 50, (11, 3)).astype(np.int32)
    found = gathered.multiply(jnp.asarray(x), jnp.asarray(rows), 7, gathered.Tile(4, 3, 32, 1), interpret=True)
    taken = x[rows.T].astype(np.float64)
    np.testing.assert_allclose(found, np.einsum("end,esd->ens", taken, taken[:, :7]), atol=1e-4)


@pytest.mark.parametrize("n_support", [1, 5, 25, 26, 100, 128])
def test_tiles_hold_all_supports_in_equal_groups(n_support):
    tile = gathered.tile(n_support)
    groups = -(-n_support // tile.supports)
    assert tile.supports <= 5
    assert groups * tile.supports - n_support < groups


def test_answers_come_in_order_from_several_devices_and_chunks():
    mesh = episode_mesh(jax.local_devices()[:4])
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "episodes"))
    whole = np.random.default_rng(0).integers(0, 5, (2, 24, 6)).astype(np.int8)
    numbers = np.arange(48, dtype=np.float32).reshape(2, 24)
    answers: list[np.ndarray] = []
    for start, stop in ((0, 16), (16, 22)):
        part = [x[:, start : start + 16] for x in (whole, numbers, numbers + 1, numbers + 2)]
        part = [np.pad(x, [(0, 0), (0, 16 - x.shape[1]), *[(0, 0)] * (x.ndim - 2)]) for x in part]
        chunk = send(tuple(jax.device_put(x, sharding) for x in part))
        answers = answers or room_for(chunk, 22)
        write(answers, chunk, start, stop)
    np.testing.assert_array_equal(answers[0], whole[:, :22])
    np.testing.assert_array_equal(answers[3], numbers[:, :22] + 2)


# JAX 0.11 and later say so; where this way is gone, the general one takes over.
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
@pytest.mark.parametrize("looked_up", [True, False])
def test_triton_accepts_the_kernels(looked_up, monkeypatch):
    if hasattr(jax.experimental.pallas.triton, "get_gpu_info"):
        from jax._src.pallas.triton import gpu_info

        monkeypatch.setattr(gpu_info, "get_device_kind", lambda: "NVIDIA H200")
        monkeypatch.setattr(gpu_info, "get_device_platform", lambda: "gpu")
    layout = kernel.plan(2, 2, 6, 8, 1)
    assert layout is not None
    f32, i32 = (lambda *shape, dtype=dtype: jax.ShapeDtypeStruct(shape, dtype) for dtype in (jnp.float32, jnp.int32))
    if looked_up:
        function = lambda *given: kernel.solve_looked_up(layout, *given)  # noqa: E731
        arguments = (f32(64, 64), i32(2, 4, 4), i32(2, 6, 4), f32(1))
    else:

        def function(embeddings, rows, strengths):
            products = gathered.multiply(embeddings, rows, 4, gathered.tile(4))
            return kernel.solve_side_by_side(layout, products, strengths)

        arguments = (f32(64, 48), i32(10, 8), f32(1))
    lowered = jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",))
    assert "xla.gpu.triton" in lowered.as_text()


def test_a_matrix_of_more_products_than_int32_counts_is_not_made(monkeypatch):
    mesh = episode_mesh(jax.local_devices()[:1])
    monkeypatch.setattr(gram, "_MOST_PRODUCTS", 64**2)
    monkeypatch.setattr(gram, "_fused_products", lambda: None)
    view = np.ones((64, 4), np.float32)
    assert gram.gram_source(view, np.arange(32), UNIT, mesh, 2**30, 1e9).kind == "precomputed"
    assert gram.gram_source(view, np.arange(64), UNIT, mesh, 2**30, 1e9).kind == "on device"
