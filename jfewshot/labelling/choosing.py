"""Clips that cover the others: greedy k-centre, and k-medoids by building and swapping. Both are functions of distances.

A clip that is labelled already covers its neighbourhood, and is never chosen again.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

# A swap has to gain more than rounding could: a share of the sum of distances.
_LEAST_GAIN = 1e-6
_MOST_SWAPS = 200


def distances_of(gram: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Euclidean distances, from inner products."""
    squares = jnp.diagonal(gram)
    return jnp.sqrt(jnp.maximum(squares[:, None] + squares[None] - 2.0 * gram, 0.0))


def k_centre(
    distances_from: Callable[[Array], Float[Array, " n"]],
    nearest: Float[Array, " n"],
    allowed: Bool[Array, " n"],
    central: Float[Array, " n"],
    n_new: int,
) -> Int[Array, " n_new"]:
    """Greedy k-centre: again and again the clip that is farthest from all labelled and chosen clips (Gonzalez, 1985).

    The largest distance of a clip from the nearest chosen one is then at most twice the smallest possible one.

    Args:
      distances_from: from a clip's number to its distances from all clips.
      nearest: distance of each clip from the nearest labelled one; infinite where none is labelled.
      allowed: which clips may be chosen; there are `n_new` at least.
      central: the smaller, the nearer to the mean of the clips; the most central clip is the first one where none is labelled.
      n_new: how many clips to choose.

    Returns:
      the chosen clips, in the order in which they are chosen; the first one among equally far ones.
    """
    first = jnp.argmin(jnp.where(allowed, central, jnp.inf))

    def step(number, state):
        nearest, allowed, chosen = state
        farthest = jnp.argmax(jnp.where(allowed, nearest, -1.0))
        # Where nothing is labelled, every distance is infinite, and the most central clip comes first.
        clip = jnp.where(jnp.isinf(nearest[farthest]), first, farthest)
        nearest = jnp.minimum(nearest, distances_from(clip))
        return nearest, allowed.at[clip].set(False), chosen.at[number].set(clip)

    start = nearest, allowed, jnp.zeros(n_new, jnp.int32)
    return lax.fori_loop(0, n_new, step, start)[2]


class _Swap(NamedTuple):
    gain: Float[Array, ""]
    medoid: Int[Array, ""]
    clip: Int[Array, ""]


def k_medoids(
    distances: Float[Array, "n n"],
    nearest: Float[Array, " n"],
    counted: Bool[Array, " n"],
    allowed: Bool[Array, " n"],
    n_new: int,
) -> Int[Array, " n_new"]:
    """k-medoids with labelled clips as medoids that stay: makes the sum of all clips' distances from their nearest medoid small.

    Medoids are chosen one by one, each with the largest gain; then the best swap of a new medoid with another clip is made until
    no swap gains (PAM, Kaufman and Rousseeuw, 1990). All swaps are weighed at once as in FastPAM1 (Schubert and Rousseeuw, 2019).

    Args:
      distances: between all clips.
      nearest: distance of each clip from the nearest labelled one; infinite where none is labelled.
      counted: which clips' distances are summed.
      allowed: which clips may be chosen; there are `n_new` at least.
      n_new: how many clips to choose.

    Returns:
      the chosen clips, in the order in which they were built; the first one among equal gains.
    """
    largest = jnp.where(counted, distances.max(1), 0.0).max()
    weight = counted.astype(distances.dtype)

    def build(number, state):
        nearest, chosen, taken = state
        gain = weight @ jnp.maximum(jnp.minimum(nearest, largest)[:, None] - distances, 0.0)
        clip = jnp.argmax(jnp.where(allowed & ~taken, gain, -1.0))
        return jnp.minimum(nearest, distances[:, clip]), chosen.at[number].set(clip), taken.at[clip].set(True)

    start = nearest, jnp.zeros(n_new, jnp.int32), jnp.zeros_like(allowed)
    _, built, _ = lax.fori_loop(0, n_new, build, start)

    def best_swap(chosen):
        to_new = distances[:, chosen]
        owner = jnp.argmin(to_new, 1)
        first_new = to_new.min(1)
        kept = nearest <= first_new  # its nearest medoid is a labelled clip, which stays
        first = jnp.minimum(nearest, first_new)
        others = jnp.where(jnp.arange(n_new)[None] == owner[:, None], jnp.inf, to_new).min(1)
        second = jnp.minimum(nearest, others)
        nearer = jnp.minimum(distances - first[:, None], 0.0)
        # A clip whose medoid goes falls to its second one, or to the clip that comes.
        falls = jnp.minimum(distances, second[:, None]) - first[:, None] - nearer
        owned = jax.nn.one_hot(owner, n_new, dtype=distances.dtype) * jnp.where(kept, 0.0, weight)[:, None]
        change = (weight @ nearer)[:, None] + jnp.matmul(falls.T, owned, precision=lax.Precision.HIGHEST)
        free = allowed.at[chosen].set(False)
        change = jnp.where(free[:, None], change, jnp.inf)
        place = jnp.argmin(change)
        enough = change.ravel()[place] < -_LEAST_GAIN * (weight * first).sum()
        return _Swap(jnp.where(enough, -change.ravel()[place], 0.0), place % n_new, place // n_new)

    def swap(state):
        chosen, found, steps = state
        chosen = chosen.at[found.medoid].set(found.clip.astype(chosen.dtype))
        return chosen, best_swap(chosen), steps + 1

    def goes_on(state):
        return (state[1].gain > 0) & (state[2] < _MOST_SWAPS)

    return lax.while_loop(goes_on, swap, (built, best_swap(built), jnp.int32(0)))[0]
