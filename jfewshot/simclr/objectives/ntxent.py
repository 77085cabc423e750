"""NT-Xent, the normalised temperature-scaled cross entropy of SimCLR (Chen et al., ICML 2020, equation 1).

With unit vectors z_1 .. z_2N, two of each utterance, and similarities s_ij = z_i . z_j / temperature,

    loss = mean over i of  logsumexp_{j != i} s_ij  -  s_i,partner(i)

over all 2N views, so both directions count. Three functions compute the same number and the same gradient: with the whole
matrix of logits at once, with a tile of rows at a time, and with rows spread over devices. (2N x 2N floats are 23 MB at
N = 1200, so tiles are worth their cost from about 16,000 views on.)
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int


class Contrast(NamedTuple):
    """The loss and the numbers that are logged together with it; all scalars."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    """Share of views whose partner is the nearest of all other views."""
    alignment: Float[Array, ""]
    """Mean squared distance of partners (Wang and Isola, ICML 2020): 0 is perfect."""
    uniformity: Float[Array, ""]
    """log mean exp(-2 d²) over pairs of different views: lower values mean more evenly spread views, 0 a collapsed encoder."""


class _RowSums(NamedTuple):
    loss: Float[Array, ""]
    correct: Float[Array, ""]
    squared_distance: Float[Array, ""]
    gaussian: Float[Array, ""]


def ntxent(
    z_a: Float[Array, "n dim"], z_b: Float[Array, "n dim"], temperature: float = 0.1, tile_rows: int | None = None
) -> Contrast:
    """Compute NT-Xent of N utterances on one device.

    Args:
      z_a: projections of one view of each utterance; they need not be normalised.
      z_b: projections of the other view of each utterance, in the same order.
      temperature: divides the cosines; the paper's 0.1.
      tile_rows: None computes all logits at once. A number computes that many rows at a time, forward and backward, in
        O(tile_rows * 2N) memory.

    Returns:
      the mean loss over the 2N views, with the metrics of the contrast.

    Raises:
      ValueError: for fewer than two utterances, which leave nothing to contrast with.
    """
    n = z_a.shape[0]
    if n < 2:
        raise ValueError(f"NT-Xent contrasts utterances with each other: got {n}, needs at least 2")
    views = _unit(jnp.concatenate([z_a, z_b]))
    partner = jnp.roll(jnp.arange(2 * n), n)
    if tile_rows is None or tile_rows >= 2 * n:
        sums = ntxent_rows(views, jnp.arange(2 * n), views, partner, temperature)
    else:
        sums = _sums_by_tiles(views, partner, temperature, tile_rows)
    return _contrast(sums, 2 * n)


def ntxent_rows(
    anchors: Float[Array, "rows dim"],
    anchor_index: Int[Array, "rows"],
    views: Float[Array, "views dim"],
    partner: Int[Array, "rows"],
    temperature: float,
    counts: Float[Array, "rows"] | None = None,
) -> _RowSums:
    """Compute sums over some rows of the matrix of logits; anchors and views are unit vectors.

    Args:
      anchors: the rows: unit vectors, (rows, dim).
      anchor_index: place of each anchor among the views, so that an anchor is not contrasted with itself.
      views: all 2N unit vectors, (views, dim).
      partner: place of each anchor's other view among the views.
      temperature: divides the cosines.
      counts: 1 for rows that count, 0 for padding; None if all rows count.

    Returns:
      the sums of the loss and of the metrics over the rows that count.
    """
    counts = jnp.ones(anchors.shape[0], jnp.float32) if counts is None else counts
    # Products are in full float32: at temperature 0.1, an error of 1e-3 in a cosine (bfloat16, TF32) is 1e-2 in a logit.
    cosines = jnp.matmul(anchors, views.T, precision=jax.lax.Precision.HIGHEST)
    itself = jnp.arange(views.shape[0]) == anchor_index[:, None]
    logits = jnp.where(itself, -jnp.inf, cosines / temperature)
    positive = jnp.take_along_axis(cosines, partner[:, None], axis=1)[:, 0]
    loss = jax.nn.logsumexp(logits, axis=1) - positive / temperature
    # Distances of unit vectors are d² = 2 - 2 cos. The two metrics of distances have no gradient.
    seen = jax.lax.stop_gradient(jnp.where(itself, -jnp.inf, cosines))
    gaussian = jnp.sum(jnp.exp(4.0 * seen - 4.0), axis=1)
    return _RowSums(
        loss=jnp.sum(loss * counts),
        correct=jnp.sum(jnp.where(jnp.argmax(seen, axis=1) == partner, counts, 0.0)),
        squared_distance=jnp.sum((2.0 - 2.0 * jax.lax.stop_gradient(positive)) * counts),
        gaussian=jnp.sum(gaussian * counts),
    )


def _sums_by_tiles(views: Float[Array, "views dim"], partner: Int[Array, "views"], temperature: float, tile_rows: int):
    n_views = views.shape[0]
    n_tiles = -(-n_views // tile_rows)
    # Rows past the end repeat the first view, with weight 0.
    index = jnp.arange(n_tiles * tile_rows)
    counts = (index < n_views).astype(jnp.float32).reshape(n_tiles, tile_rows)
    index = jnp.where(index < n_views, index, 0).reshape(n_tiles, tile_rows)

    # Without jax.checkpoint, the scan would keep the logits of all tiles for the backward pass, and tiling would save no memory.
    @jax.checkpoint
    def one_tile(index, counts):
        return ntxent_rows(views[index], index, views, partner[index], temperature, counts)

    def add(total, tile):
        return jax.tree.map(jnp.add, total, one_tile(*tile)), None

    zero = _RowSums(*(jnp.zeros((), jnp.float32) for _ in range(4)))
    return jax.lax.scan(add, zero, (index, counts))[0]


def ntxent_local(
    z_a: Float[Array, "local dim"], z_b: Float[Array, "local dim"], temperature: float, axis_name: str
) -> Contrast:
    """Compute NT-Xent over all devices of a mesh axis, inside `shard_map`: the rows of each device against the views of all.

    The gathered views have gradients. (A stopped gradient, as for the keys of MoCo, would be a bug that is hard to notice: the
    gradient would be about 2.5 times as large and point almost in the right direction.)

    Args:
      z_a: this device's projections of one view of each of its utterances; they need not be normalised.
      z_b: this device's projections of the other views, in the same order.
      temperature: divides the cosines.
      axis_name: name of the mesh axis over which the utterances are spread.

    Returns:
      the mean loss over the views of all devices, with the metrics; the same on every device.

    Raises:
      ValueError: for fewer than two utterances over all devices.
    """
    own = _unit(jnp.concatenate([z_a, z_b]))
    # All views, (devices, 2 * local, dim), in the order device, a or b, utterance.
    everyone = jax.lax.all_gather(own, axis_name)
    n_views = everyone.shape[0] * everyone.shape[1]
    if n_views < 4:
        raise ValueError(f"NT-Xent contrasts utterances with each other: got {n_views // 2}, needs at least 2")
    local_views = own.shape[0]
    start = jax.lax.axis_index(axis_name) * local_views
    index = start + jnp.arange(local_views)
    partner = start + jnp.roll(jnp.arange(local_views), local_views // 2)
    sums = ntxent_rows(own, index, everyone.reshape(n_views, -1), partner, temperature)
    return _contrast(jax.lax.psum(sums, axis_name), n_views)


@functools.partial(jax.jit, static_argnames=("temperature", "mesh", "axis_name"))
def ntxent_sharded(
    z_a: Float[Array, "n dim"], z_b: Float[Array, "n dim"], temperature: float, mesh: Mesh, axis_name: str = "data"
) -> Contrast:
    """Compute `ntxent` with the utterances spread over the devices of a mesh axis.

    Args:
      z_a: projections of one view of each utterance; the number of devices must divide n.
      z_b: projections of the other views, in the same order.
      temperature: divides the cosines.
      mesh: the devices.
      axis_name: name of the mesh axis over which the utterances are spread.

    Returns:
      the mean loss over the 2N views, with the metrics of the contrast.
    """
    spread, whole = PartitionSpec(axis_name), PartitionSpec()
    local = functools.partial(ntxent_local, temperature=temperature, axis_name=axis_name)
    return jax.shard_map(local, mesh=mesh, in_specs=(spread, spread), out_specs=whole)(z_a, z_b)


def _contrast(sums: _RowSums, n_views: int) -> Contrast:
    return Contrast(
        loss=sums.loss / n_views,
        accuracy=sums.correct / n_views,
        alignment=sums.squared_distance / n_views,
        uniformity=jnp.log(sums.gaussian / (n_views * (n_views - 1))),
    )


def _unit(z: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
    """Scale rows to length one, in float32; value and gradient of a zero row stay finite."""
    z = z.astype(jnp.float32)
    return z * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(z), axis=-1, keepdims=True), 1e-12))
