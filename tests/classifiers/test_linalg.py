"""Linear algebra with the episodes last, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.classifiers.linalg import computed_once, inverse, largest, product, total


@pytest.mark.parametrize("n", [3, 9, 25, 57])
def test_the_inverse_is_numpys(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(4, n, n))
    # Neither symmetric nor equal on the diagonal: a I + D K.
    a = np.eye(n) + rng.uniform(0.1, 1, size=(4, n, 1)) * (x @ np.swapaxes(x, 1, 2)) / n
    found = jax.jit(inverse)(jnp.asarray(np.moveaxis(a, 0, -1), jnp.float32))
    np.testing.assert_allclose(np.moveaxis(np.asarray(found), -1, 0), np.linalg.inv(a), atol=2e-5)


@pytest.mark.parametrize("n", [1, 7, 26, 50, 128, 129])
def test_sums_and_maxima_are_numpys_however_many_terms(n):
    x = np.random.default_rng(n).normal(size=(3, n, 5)).astype(np.float32)
    np.testing.assert_allclose(total(jnp.asarray(x), 1), x.sum(1), atol=1e-4)
    np.testing.assert_array_equal(largest(jnp.asarray(x), 1), x.max(1))


def test_what_is_computed_apart_is_the_same_nan_and_infinity_included():
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(4, 6, 8)).astype(np.float32), rng.normal(size=(6, 3, 8)).astype(np.float32)
    for value in (0.5, np.nan, np.inf):
        a[0, 0, 0] = value
        found = jax.jit(lambda a, x: computed_once(product, a, x))(a, x)
        np.testing.assert_allclose(found, np.einsum("mne,nce->mce", a, x), rtol=1e-4, atol=1e-5)
