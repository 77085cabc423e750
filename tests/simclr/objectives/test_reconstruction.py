"""L1 over altered elements, by hand."""

import jax.numpy as jnp
import numpy as np

from jfewshot.simclr.objectives import reconstruction_l1, reconstruction_sums


def test_only_altered_elements_count():
    predicted, target = jnp.asarray([[1.0, 5.0], [9.0, 2.0]]), jnp.zeros((2, 2))
    altered = jnp.asarray([[True, False], [False, True]])
    np.testing.assert_allclose(reconstruction_l1(predicted, target, altered), 1.5)
    np.testing.assert_allclose(reconstruction_sums(predicted, target, altered), (3.0, 2.0))


def test_nothing_altered_is_zero_not_nan():
    assert reconstruction_l1(jnp.ones((2, 2)), jnp.zeros((2, 2)), jnp.zeros((2, 2), bool)) == 0
