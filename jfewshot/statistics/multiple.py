"""Many tests at once: Holm's correction."""

import numpy as np
from jaxtyping import Float


def holm(p_values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Holm's step-down adjusted p-values (Holm 1979); NaN stands for a test that was not made, and stays NaN.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on, and none may be smaller than the
    previous one. Rejecting the tests below alpha keeps the probability of any false rejection below alpha, even if the
    tests depend on each other.
    """
    flat = p_values.ravel()
    made = np.flatnonzero(~np.isnan(flat))
    order = made[np.argsort(flat[made], kind="stable")]
    adjusted = np.full(flat.shape, np.nan)
    steps = np.maximum.accumulate(flat[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.reshape(p_values.shape)


def holm_of_pairs(p_values: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """`holm` over the pairs of a symmetric matrix, each counted once; the diagonal is NaN."""
    above = np.triu_indices(len(p_values), k=1)
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[above] = holm(p_values[above])
    return np.fmax(adjusted, adjusted.T)
