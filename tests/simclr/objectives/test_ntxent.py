"""NT-Xent: dense, tiled and sharded against optax's, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType

from jfewshot.simclr.objectives import ntxent, ntxent_sharded

TEMPERATURE = 0.1
N, DIM = 24, 16


@pytest.fixture(scope="module")
def pairs():
    a, b = jax.random.normal(jax.random.key(0), (2, N, DIM))
    return a, a + 0.7 * b


def oracle(a, b):
    with jax.numpy_dtype_promotion("standard"):  # optax adds booleans to numbers
        return optax.losses.ntxent(jnp.concatenate([a, b]), jnp.tile(jnp.arange(len(a)), 2), TEMPERATURE)


def assert_same_value_and_gradient(loss, pairs):
    value, gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(*pairs)
    wanted, wanted_gradient = jax.jit(jax.value_and_grad(oracle, argnums=(0, 1)))(*pairs)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    for ours, theirs in zip(gradient, wanted_gradient, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tile_rows", [None, 1, 7, 48])
def test_dense_and_tiled_are_optaxs(pairs, tile_rows):
    assert_same_value_and_gradient(lambda a, b: ntxent(a, b, TEMPERATURE, tile_rows).loss, pairs)


@pytest.mark.parametrize("n_devices", [1, 2, 8])
def test_sharded_is_optaxs_in_value_and_gradient(pairs, devices, n_devices):
    mesh = jax.make_mesh((n_devices,), ("data",), axis_types=(AxisType.Auto,), devices=devices(n_devices))
    assert_same_value_and_gradient(lambda a, b: ntxent_sharded(a, b, TEMPERATURE, mesh).loss, pairs)


def test_the_numbers_beside_the_loss_agree_between_the_three(pairs, devices):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,), devices=devices(8))
    dense = ntxent(*pairs, TEMPERATURE)
    np.testing.assert_allclose(ntxent(*pairs, TEMPERATURE, tile_rows=5), dense, rtol=1e-5)
    np.testing.assert_allclose(ntxent_sharded(*pairs, TEMPERATURE, mesh), dense, rtol=1e-5)


def test_the_numbers_beside_the_loss_by_hand():
    # Four unit vectors in the plane: a0 = b0 = east, a1 = north, b1 = west.
    a, b = jnp.asarray([[2.0, 0.0], [0.0, 1.0]]), jnp.asarray([[1.0, 0.0], [-3.0, 0.0]])
    contrast = jax.jit(ntxent, static_argnums=2)(a, b, 1.0)
    # Squared distances: partners 0, 2 (both directions). a1's nearest others tie at 2 (first wins: a0); b1's is a1.
    np.testing.assert_allclose(contrast.alignment, (0 + 2 + 0 + 2) / 4)
    np.testing.assert_allclose(contrast.accuracy, 3 / 4)
    distances = [2, 0, 4, 2, 2, 4]
    np.testing.assert_allclose(contrast.uniformity, np.log(np.mean(np.exp(-2 * np.array(distances)))), rtol=1e-5)


def test_a_collapsed_batch_and_a_zero_vector_stay_finite():
    for z in (jnp.ones((4, 3)), jnp.zeros((4, 3))):
        value, gradient = jax.jit(jax.value_and_grad(lambda z: ntxent(z, z, TEMPERATURE).loss))(z)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


def test_one_utterance_has_nothing_to_contrast_with():
    with pytest.raises(ValueError, match="at least 2"):
        ntxent(jnp.ones((1, 3)), jnp.ones((1, 3)))


def test_tiles_need_less_memory_than_the_whole_matrix():
    z = jnp.ones((2048, 8))

    def peak(tile_rows):
        gradient = jax.jit(jax.grad(lambda z: ntxent(z, z, TEMPERATURE, tile_rows).loss))
        return gradient.lower(z).compile().memory_analysis().temp_size_in_bytes

    assert peak(128) < peak(None) / 4
