"""The tridiagonal form of Gram matrices, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.classifiers.tridiagonal import factors, inverse_diagonal, rotated, rotated_back, solve, tridiagonal

N, EPISODES = 9, 4
STRENGTHS = np.array([1e-3, 0.1, 10.0])


def grams(rank):
    x = np.random.default_rng(rank).normal(size=(EPISODES, N, rank))
    return np.einsum("eir,ejr->ije", x, x)


@jax.jit
def computed(gram, right):
    found = tridiagonal(gram)
    by = factors(found, jnp.broadcast_to(jnp.asarray(STRENGTHS, jnp.float32)[:, None], (len(STRENGTHS), EPISODES)))
    solved = solve(by, rotated(found, right))
    back = jnp.stack([rotated_back(found, solved[:, s]) for s in range(len(STRENGTHS))])
    return found, back, inverse_diagonal(found, by)


# Of full rank, of three dimensions, and of supports that are all the same: nothing but rounding is left to decompose.
@pytest.mark.parametrize("rank", [N + 3, 3, 0])
def test_solutions_and_the_inverses_diagonal_are_those_of_float64(rank):
    gram = grams(rank)
    right = np.random.default_rng(1).normal(size=(N, 2, EPISODES))
    found, solved, diagonal = computed(jnp.asarray(gram, jnp.float32), jnp.asarray(right, jnp.float32))
    for e in range(EPISODES):
        for s, strength in enumerate(STRENGTHS):
            inverse = np.linalg.inv(gram[:, :, e] + strength * np.eye(N))
            # float32's rounding of the matrix, as a share of the penalty.
            share = 2e-6 * max(np.linalg.norm(gram[:, :, e]), 1.0) / strength
            expected = inverse @ right[:, :, e]
            np.testing.assert_allclose(solved[s, :, :, e], expected, atol=(share + 1e-5) * np.abs(expected).max())
            np.testing.assert_allclose(diagonal[s, :, e], np.diag(inverse), rtol=share + 1e-5)


def test_the_form_is_the_matrix_in_another_basis():
    gram = grams(N)
    found = tridiagonal(jnp.asarray(gram, jnp.float32))
    for e in range(EPISODES):
        beside = np.asarray(found.beside)[1:, e]
        form = np.diag(np.asarray(found.diagonal)[:, e]) + np.diag(beside, 1) + np.diag(beside, -1)
        basis = np.asarray(found.vectors)[:, :, e]
        np.testing.assert_allclose(basis @ basis.T, np.eye(N), atol=1e-5)
        np.testing.assert_allclose(basis.T @ form @ basis, gram[:, :, e], atol=1e-5 * np.abs(gram).max())
