"""The inner products that episodes need: looked up in one matrix, or gathered and multiplied.

There are four sources of the same inner products. `Precomputed` computes all inner products once and looks blocks up.
It is by far the fastest for stores of a few thousand segments. `InPlace` is for larger stores on a CPU: each episode's
rows are read directly from the store (in memory, or in a memory-mapped file of any size), without a copy. `OnDevice`
keeps the embeddings on an accelerator and multiplies per block of episodes. `Streamed` leaves the embeddings on disk
and reads, transforms and multiplies only the rows that a chunk needs. `OnDevice` and `Streamed` are also used on CPUs
if Numba, which compiles the loops of `InPlace`, is not installed. All products are float32 at full precision (no TF32).
"""

import contextlib
import functools
import logging
import time
import typing
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int32

from jfewshot.episodes.drawing import power_of_two
from jfewshot.evaluator import lengths
from jfewshot.evaluator.devices import AXIS, shard_over_episodes
from jfewshot.evaluator.preprocessing import Transform, aligned_zeros
from jfewshot.evaluator.programs import MOST_FUNCTIONS, PROGRAMS
from jfewshot.profiling import stage
from jfewshot.threads import by_blocks, one_numpy_thread

# The whole matrix of S^2 products is computed if the episodes need about as many products, and always for small stores.
# If the products of single episodes are nearly as fast, the limit for a small store is lower.
_ALWAYS_PRECOMPUTE, _ALWAYS_BESIDE_IN_PLACE = 2048, 1024
_PRECOMPUTE_SHARE = 0.25  # of the memory budget
_MANY_THREADS_FROM = 10**9  # multiplications
_MOST_PRODUCTS = 2**31  # blocks are looked up by int32 positions
_ON_DEVICE_SHARE = 0.25
# Embeddings of up to so many bytes are padded to powers of two, so that stores of similar size share compiled code.
_MOST_PADDED = 64 * 2**20

log = logging.getLogger(__name__)

Blocks = tuple[
    Float[Array, "blocks n_support n_support episodes"],
    Float[Array, "blocks n_query n_support episodes"],
]


@typing.runtime_checkable
class GramSource(typing.Protocol):
    """Inner products among supports, of queries with supports and of queries with themselves, for blocks of episodes.

    Rows are numbers of embeddings in the source, not in the store's file.
    """

    kind: str

    def blocks(
        self, support: Int32[Array, "blocks n_support episodes"], query: Int32[Array, "blocks n_query episodes"]
    ) -> Blocks: ...

    def squared_lengths(self, rows: Int32[Array, "blocks n episodes"]) -> Float[Array, "blocks n episodes"]: ...


def gram_source(
    view: np.ndarray,
    rows: np.ndarray,
    transform: Transform,
    mesh: Mesh,
    budget_bytes: int,
    products_wanted: int | float,
) -> GramSource:
    """Choose a source for some embeddings.

    Args:
      view: embeddings as stored, segments x dim.
      rows: numbers of the rows of `view` that are used, in the order in which the source will number them.
      transform: preprocessing of the rows.
      mesh: the devices, over which episodes are divided.
      budget_bytes: memory that may be used, over all devices, in bytes.
      products_wanted: number of inner products that all episodes together will use.

    Returns:
      the source.

    Raises:
      UserError: if the preprocessing needs a copy of the embeddings, and the copy does not fit into memory.
    """
    view, rows, transform = transform.on_copy(view, rows, budget_bytes // 2)
    n_rows, padded = len(rows), power_of_two(len(rows))
    dim = power_of_two(view.shape[1])
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    worth_it = n_rows <= _ALWAYS_BESIDE_IN_PLACE or n_rows**2 <= products_wanted
    worth_it = worth_it or (n_rows <= _ALWAYS_PRECOMPUTE and not reads_in_place(view, mesh))
    fits = 4 * padded**2 * mesh.devices.size <= _PRECOMPUTE_SHARE * budget_bytes
    if worth_it and fits and padded**2 < _MOST_PRODUCTS:
        shape = (n_rows, view.shape[1]) if on_cpu else (padded, dim)
        return Precomputed(_read(view, rows, transform, *shape), padded, mesh)
    if reads_in_place(view, mesh):
        return InPlace(view, rows, transform, mesh)
    shape = (padded, dim) if 4 * padded * dim <= _MOST_PADDED else (n_rows, view.shape[1])
    # The devices of one CPU share its memory.
    copies = 1 if on_cpu else mesh.devices.size
    if 4 * shape[0] * shape[1] * copies <= _ON_DEVICE_SHARE * budget_bytes:
        return OnDevice(_read(view, rows, transform, *shape), mesh)
    return Streamed(view, rows, transform, mesh)


def holds_whole_store(n_rows: int, dim: int, mesh: Mesh, budget_bytes: int) -> bool:
    """Whether all rows of a store are sent to the accelerators once, instead of only the rows that one protocol's episodes use.

    Args:
      n_rows: number of rows of the store's view.
      dim: numbers per row.
      mesh: the devices.
      budget_bytes: memory that may be used, over all devices, in bytes.

    Returns:
      whether the whole store goes to the devices.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return not on_cpu and 4 * n_rows * dim * mesh.devices.size <= _ON_DEVICE_SHARE * budget_bytes


def reads_in_place(view: np.ndarray, mesh: Mesh) -> bool:
    """Whether a view's rows can be multiplied without copying the view: on a CPU, with Numba, from ordinary arrays."""
    ordinary = view.dtype in (np.float32, np.float16) and view.flags.c_contiguous
    return mesh.devices.flat[0].platform == "cpu" and ordinary and _fused_products() is not None


@functools.cache
def _fused_products() -> Callable[..., None] | None:
    """The compiled loops of `InPlace`; None without Numba."""
    try:
        from jfewshot.evaluator.fused import multiply_block
    except ImportError as error:
        log.info("large stores are evaluated about twice as fast with Numba: pip install 'jfewshot[fast]' (%s)", error)
        return None
    return multiply_block


def _read(view: np.ndarray, rows: np.ndarray, transform: Transform, n_rows: int, dim: int) -> np.ndarray:
    # Zeros beyond the rows and the features change no inner product.
    with stage("reading"):
        return transform.read(view, rows, (n_rows, dim))


class Precomputed:
    """Blocks looked up in the matrix of all inner products."""

    kind = "precomputed"

    def __init__(self, embeddings: np.ndarray, n_padded: int, mesh: Mesh):
        self._mesh = mesh
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        # Each accelerator computes the whole matrix, since sending parts would take as long.
        lies = NamedSharding(mesh, P())
        if on_cpu:
            gram = jax.device_put(_products_on_host(embeddings, n_padded), lies)
        else:
            gram = PROGRAMS(_all_products, jax.device_put(embeddings, lies))
        # Wait for the result, so that an error about memory is raised here.
        self.gram = jax.block_until_ready(gram)

    @classmethod
    def of_products(cls, gram: jax.Array, mesh: Mesh) -> "Precomputed":
        """From the matrix of all inner products, (rows, rows), on each of the devices."""
        source = cls.__new__(cls)
        source._mesh, source.gram = mesh, gram
        return source

    @property
    def array(self) -> jax.Array:
        """The inner products, (rows, rows)."""
        return self.gram

    def blocks(self, support, query) -> Blocks:
        return PROGRAMS(_jit_lookup(self._mesh), self.gram, support, query)

    def squared_lengths(self, rows):
        return PROGRAMS(lengths.jit_look_up_squared_lengths(self._mesh), self.gram, rows)


@jax.jit
def _all_products(x):
    return jnp.matmul(x, x.T, precision=lax.Precision.HIGHEST)


def _products_on_host(x: np.ndarray, n_padded: int) -> np.ndarray:
    """All inner products by NumPy, in a square with zeros beyond the rows.

    NumPy computes half of a symmetric product and needs no padding: 400 x 768 take 1.4 ms on one core. XLA takes 3.8 on two.
    """
    out = aligned_zeros((n_padded, n_padded))
    small = len(x) ** 2 * x.shape[1] < _MANY_THREADS_FROM
    with one_numpy_thread() if small else contextlib.nullcontext():
        np.matmul(x, x.T, out=out[: len(x), : len(x)])
    return out


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_lookup(mesh: Mesh):
    def lookup(gram, support, query):
        return look_up(gram, support, support), look_up(gram, query, support)

    return jax.jit(shard_over_episodes(lookup, mesh, (P(), P(AXIS), P(AXIS)), (P(AXIS), P(AXIS))))


def look_up(gram, rows, support):
    """Look up the inner products of some rows with the supports.

    Args:
      gram: inner products of all rows with each other, (rows, rows).
      rows: numbers of the rows, [..., n, episodes].
      support: numbers of the supports, [..., n_support, episodes].

    Returns:
      the inner products, [..., n, n_support, episodes].
    """
    position = rows[..., :, None, :] * gram.shape[1] + support[..., None, :, :]
    return gram.reshape(-1).at[position].get(mode="promise_in_bounds")


class InPlace:
    """Multiplies blocks without copying the store: each row is read, transformed and multiplied in a core's cache."""

    kind = "in place"

    def __init__(self, view: np.ndarray, rows: np.ndarray, transform: Transform, mesh: Mesh):
        multiply = _fused_products()
        assert multiply is not None
        # Read-only plain arrays, so that memory-mapped files and arrays in memory share compiled code.
        stored = np.asarray(view).view(np.uint16 if view.dtype == np.float16 else np.float32)
        self._stored, self._rows = _read_only(stored), _read_only(rows.astype(np.int64))
        self._view, self._transform = view, transform
        self._mesh = mesh
        self._arguments = _transform_arguments(transform, view.shape[1])
        self._multiply = multiply
        started = time.perf_counter()
        with stage("compiling"):
            self._blocks(np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 1), np.int32))
        PROGRAMS.compile_s += time.perf_counter() - started

    def blocks(self, support, query) -> Blocks:
        sharding = NamedSharding(self._mesh, P(AXIS))
        gram_ss, gram_qs = self._blocks(np.asarray(support), np.asarray(query))
        return jax.device_put(gram_ss, sharding), jax.device_put(gram_qs, sharding)

    def squared_lengths(self, rows):
        return lengths.pick(self._squared_lengths, rows, self._mesh)

    @functools.cached_property
    def _squared_lengths(self) -> Float[np.ndarray, "rows"]:
        with stage("reading"):
            return lengths.of_stored_rows(self._view, self._rows, self._transform)

    def _blocks(self, support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blocks, n_support, episodes = support.shape
        support, query = _read_only(np.ascontiguousarray(support)), _read_only(np.ascontiguousarray(query))
        gram_ss = np.empty((blocks, n_support, n_support, episodes), np.float32)
        gram_qs = np.empty((blocks, query.shape[1], n_support, episodes), np.float32)

        def work(block: int, _: int) -> None:
            numbers = support[block], query[block]
            self._multiply(self._stored, self._rows, *numbers, *self._arguments, gram_ss[block], gram_qs[block])

        # Numba's loops release Python's global lock, so that other threads can run.
        by_blocks(work, blocks, 1, self._mesh.devices.size)
        return gram_ss, gram_qs


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.view()
    x.flags.writeable = False
    return x


def _transform_arguments(transform: Transform, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool, bool]:
    """For fused.py: mean, factor and origin per feature, whether the first two change rows, whether rows get unit length."""
    mean = np.zeros(dim) if transform.mean is None else transform.mean.astype(np.float64)
    scale = np.ones(dim) if transform.scale is None else transform.scale.astype(np.float64)
    origin = np.zeros(dim) if transform.origin is None else transform.origin.astype(np.float64)
    if not transform.unit_length:
        # If the rows are not divided by their lengths, the origin is added to the mean.
        mean, origin = mean + origin * scale, np.zeros(dim)
    moves = bool(mean.any() or (scale != 1).any())
    mean, factor, origin = (_read_only(x.astype(np.float32)) for x in (mean, 1 / scale, origin))
    return mean, factor, origin, moves, transform.unit_length


class OnDevice:
    """Multiplies blocks from embeddings in the device's memory."""

    kind = "on device"

    def __init__(self, embeddings: np.ndarray, mesh: Mesh):
        self._mesh = mesh
        self.array = jax.device_put(embeddings, NamedSharding(mesh, P()))  # (rows, dim)

    def blocks(self, support, query) -> Blocks:
        return PROGRAMS(_jit_gather_and_multiply(self._mesh), self.array, support, query)

    def squared_lengths(self, rows):
        return lengths.pick(self._squared_lengths, rows, self._mesh)

    @functools.cached_property
    def _squared_lengths(self) -> Float[Array, "rows"]:
        return PROGRAMS(lengths.of_embeddings, self.array)


@functools.lru_cache(MOST_FUNCTIONS)
def _jit_gather_and_multiply(mesh: Mesh):
    multiply = _episode_by_episode if mesh.devices.flat[0].platform == "cpu" else _all_episodes_at_once

    def gather_and_multiply(embeddings, support, query):
        def one_block(rows):
            n_support = rows[0].shape[0]
            # An episode's rows are adjacent in memory; otherwise XLA would transpose them first.
            products = multiply(embeddings, jnp.concatenate(rows).T, n_support).transpose(1, 2, 0)
            return products[:n_support], products[n_support:]

        return lax.map(one_block, (support, query))

    return jax.jit(shard_over_episodes(gather_and_multiply, mesh, (P(), P(AXIS), P(AXIS)), (P(AXIS), P(AXIS))))


def _all_episodes_at_once(
    embeddings: Float[Array, "rows dim"], rows: Int32[Array, "episodes n"], n_support: int
) -> Float[Array, "episodes n n_support"]:
    """Inner products of each episode's rows with the first `n_support` of them, as one batched product."""
    x = embeddings.at[rows].get(mode="promise_in_bounds")
    return jnp.einsum("end,esd->ens", x, x[:, :n_support], precision=lax.Precision.HIGHEST)


def _episode_by_episode(
    embeddings: Float[Array, "rows dim"], rows: Int32[Array, "episodes n"], n_support: int
) -> Float[Array, "episodes n n_support"]:
    """The same products in a loop over episodes: the rows of one episode stay in a core's cache."""
    return lax.map(lambda row: _all_episodes_at_once(embeddings, row[None], n_support)[0], rows)


class Streamed:
    """Blocks multiplied from embeddings read from disk as they are needed."""

    kind = "streamed"

    def __init__(self, view: np.ndarray, rows: np.ndarray, transform: Transform, mesh: Mesh):
        self._view, self._rows, self._transform, self._mesh = view, rows, transform, mesh

    def squared_lengths(self, rows):
        return lengths.pick(self._squared_lengths, rows, self._mesh)

    @functools.cached_property
    def _squared_lengths(self) -> Float[np.ndarray, "rows"]:
        with stage("reading"):
            return lengths.of_stored_rows(self._view, self._rows, self._transform)

    def blocks(self, support, query) -> Blocks:
        # A few blocks at a time: a block's embeddings are dim / n_support times larger than its products.
        step = self._mesh.devices.size
        support, query = np.asarray(support), np.asarray(query)
        pieces = [self._multiply(support[i : i + step], query[i : i + step]) for i in range(0, len(support), step)]
        sharding = NamedSharding(self._mesh, P(AXIS))
        return tuple(jax.device_put(np.concatenate(part), sharding) for part in zip(*pieces, strict=True))

    def _multiply(self, support: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Each row is read once, in the order of the file.
        needed, inverse = np.unique(np.concatenate([support, query], 1), return_inverse=True)
        # Few different shapes, so that few programs are compiled; the rows of one step are a small part of the store.
        dim = self._view.shape[1]
        rows = _read(self._view, self._rows[needed], self._transform, power_of_two(len(needed)), dim)
        number = inverse.reshape(support.shape[0], -1, support.shape[2]).astype(np.int32)
        n_support = support.shape[1]
        sharding = NamedSharding(self._mesh, P(AXIS))
        on_device = [jax.device_put(x, sharding) for x in (number[:, :n_support], number[:, n_support:])]
        embeddings = jax.device_put(rows, NamedSharding(self._mesh, P()))
        gram_ss, gram_qs = PROGRAMS(_jit_gather_and_multiply(self._mesh), embeddings, *on_device)
        return np.asarray(gram_ss), np.asarray(gram_qs)
