"""Squared lengths of embeddings, for kernels: one number for each row, computed when a kernel first asks for it."""

import functools

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import MOST_FUNCTIONS, PROGRAMS
from jfewshot.threads import by_blocks

_ROWS_AT_ONCE = 512  # rows that fit a core's cache


def of_stored_rows(view: np.ndarray, rows: np.ndarray, transform: Transform) -> Float[np.ndarray, "rows"]:
    """Squared lengths of embeddings that lie on the host; each row is read once.

    Args:
      view: embeddings as stored, segments x dim.
      rows: numbers of the rows of `view`.
      transform: preprocessing of the rows.

    Returns:
      float32, one number for each of `rows`.
    """
    found = np.empty(len(rows), np.float32)

    def work(start: int, stop: int) -> None:
        x = transform(view[rows[start:stop]])
        np.einsum("rd,rd->r", x, x, out=found[start:stop])

    by_blocks(work, len(rows), _ROWS_AT_ONCE)
    return found


@jax.jit
def of_embeddings(x: Float[Array, "rows dim"]) -> Float[Array, "rows"]:
    """Squared lengths of embeddings that lie on a device."""
    return (x * x).sum(1)


def pick(lengths: Float[Array, "rows"] | Float[np.ndarray, "rows"], rows, mesh: Mesh) -> jax.Array:
    """Take the squared lengths of some rows.

    Args:
      lengths: of all rows, on the devices or on the host.
      rows: numbers of the rows, (blocks, n, episodes).
      mesh: the devices.

    Returns:
      (blocks, n, episodes), on the devices.
    """
    if isinstance(lengths, np.ndarray):
        return jax.device_put(lengths[np.asarray(rows)], NamedSharding(mesh, P(AXIS)))
    return PROGRAMS(_jit_pick(mesh), lengths, rows)


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_pick(mesh: Mesh):
    def pick_rows(lengths, rows):
        return lengths.at[rows].get(mode="promise_in_bounds")

    return jax.jit(shard_over_episodes(pick_rows, mesh, (P(), P(AXIS)), P(AXIS)))


def look_up_squared_lengths(gram: Float[Array, "rows rows"], rows: jax.Array) -> jax.Array:
    """Look up the inner products of some rows with themselves.

    Args:
      gram: inner products of all rows with each other.
      rows: numbers of the rows, [..., n, episodes].

    Returns:
      the squared lengths, [..., n, episodes].
    """
    return gram.reshape(-1).at[rows * (gram.shape[1] + 1)].get(mode="promise_in_bounds")


@functools.lru_cache(MOST_FUNCTIONS)
def jit_look_up_squared_lengths(mesh: Mesh):
    """Compile `look_up_squared_lengths` for blocks of episodes."""
    return jax.jit(shard_over_episodes(look_up_squared_lengths, mesh, (P(), P(AXIS)), P(AXIS)))
