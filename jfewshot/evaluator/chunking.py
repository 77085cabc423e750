"""Choose how many episodes are solved at once, within a memory budget.

After a device ran out of memory, chunks become smaller. This file also converts between the two layouts of a chunk: by
episode on the host, in blocks on the device."""

import logging
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from jfewshot.classifiers.many_supports import MANY
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError

log = logging.getLogger(__name__)
T = TypeVar("T")

# Bytes of inner products per chunk on a CPU: enough blocks to keep every core busy, and few enough to fit the caches.
_CPU_CHUNK_BYTES = 64 * 2**20


# On an accelerator: bytes of inner products per block (a solver holds several arrays of this size at once), and a block's
# granularity.
_ACCELERATOR_BLOCK_BYTES = 2**30
_MOST_ACCELERATOR_BLOCK = 65_536
_LANES = 128
_ACCELERATOR_BLOCKS = 4  # of a chunk, per device


class ChunkShape(NamedTuple):
    """How many episodes are solved at once.

    Attributes:
      blocks: number of blocks in a chunk, over all devices.
      block: episodes per block.
    """

    blocks: int
    block: int

    @property
    def episodes(self) -> int:
        return self.blocks * self.block


def chunk_shape(
    protocol: Protocol,
    n_devices: int,
    platform: str,
    memory_bytes: int,
    block: int | None = None,
    together: bool = False,
) -> ChunkShape:
    """Choose how many episodes are solved at once.

    The size of a block depends on the kind of device. A chunk has as many blocks as the memory allows, but not more
    than the episodes fill.

    Args:
      protocol: gives the number of supports, of queries and of episodes.
      n_devices: number of devices that share a chunk.
      platform: JAX's name of the device's kind: `cpu`, `gpu` or `tpu`.
      memory_bytes: memory that may be used over all devices, in bytes.
      block: episodes per block; None to choose them for the device.
      together: whether queries are solved together with the supports, which takes the inner products of all pairs.

    Returns:
      number of blocks in a chunk and of episodes in a block.
    """
    m = protocol.n_queries
    n = protocol.n_support + (m if together else 0)
    bytes_per_episode = 4 * (n * n + n * m) + 24 * m
    if block is None:
        if platform == "cpu":
            # A block's matrices should fit a core's second-level cache, and its rows should fill whole vector
            # registers. If classifiers solve one episode at a time, a block is one episode, so that no transposition is
            # needed.
            block = next(size for size, most in ((128, 8), (64, 40), (16, MANY), (1, n)) if n <= most)
        else:
            block = _accelerator_block(bytes_per_episode, protocol.n_episodes, n_devices)
    limit = memory_bytes // 8 if platform != "cpu" else min(_CPU_CHUNK_BYTES, memory_bytes // 8)
    most = max(1, limit // (bytes_per_episode * block * n_devices))
    if platform != "cpu":
        # Several chunks, so that the answers of one travel to the host while the next is solved.
        most = min(most, _ACCELERATOR_BLOCKS)
    per_device = -(-protocol.n_episodes // (block * n_devices))
    chunks = -(-per_device // most)
    return ChunkShape(-(-per_device // chunks) * n_devices, block)


def _accelerator_block(bytes_per_episode: int, n_episodes: int, n_devices: int) -> int:
    """Choose the number of episodes in a block on an accelerator, where each operation of a block costs some microseconds.

    An H200 solved a million 1-shot episodes in 98 ms in blocks of 4,096, in 34 ms in blocks of 16,384, in 16 ms in
    blocks of 65,536 and in 14 ms in one block. So a block is as large as the memory limit allows, and the episodes are
    divided evenly among the blocks.
    """
    per_device = -(-n_episodes // n_devices)
    most = max(_LANES, min(_MOST_ACCELERATOR_BLOCK, _ACCELERATOR_BLOCK_BYTES // bytes_per_episode))
    blocks = -(-per_device // most)
    return -(-per_device // (blocks * _LANES)) * _LANES


def in_blocks(x: np.ndarray, shape: ChunkShape) -> np.ndarray:
    """[episodes, ...] to [blocks, ..., episodes of a block]; a short chunk is filled up with its first episode."""
    short = shape.episodes - len(x)
    if short:
        x = np.concatenate([x, np.repeat(x[:1], short, axis=0)])
    return np.ascontiguousarray(np.moveaxis(x.reshape(shape.blocks, shape.block, *x.shape[1:]), 1, -1))


def episodes_first(x: jax.Array | np.ndarray) -> np.ndarray:
    """[blocks, ..., episodes of a block] to [episodes, ...]."""
    moved = np.moveaxis(np.asarray(x), -1, 1)
    return moved.reshape(-1, *moved.shape[2:])


def strength_first(x: np.ndarray, n_episodes: int) -> np.ndarray:
    """[blocks, strengths, ..., episodes of a block] to [strengths, episodes, ...]."""
    return np.moveaxis(episodes_first(x)[:n_episodes], 1, 0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX's says that memory ran out, on a device or while compiling for one."""
    return isinstance(error, jax.errors.JaxRuntimeError) and str(error).startswith("RESOURCE_EXHAUSTED")


class Chunking:
    """The shapes of chunks: as large as fits the memory budget, and smaller after a device ran out of memory.

    Args:
      mesh: the devices.
      memory_bytes: memory that may be used, over all devices.
      block: episodes per block; None for what suits the device and the episode's size.

    Attributes:
      ran_out: whether memory has run out so far.
    """

    def __init__(self, mesh: Mesh, memory_bytes: int, block: int | None = None):
        self.ran_out = False
        self._mesh, self._memory_bytes, self._block = mesh, memory_bytes, block
        self._most_blocks: dict[tuple[int, ...], int] = {}

    def shape(self, protocol: Protocol, together: bool = False) -> ChunkShape:
        """Choose the shape of a protocol's chunks; see `chunk_shape`."""
        devices = self._mesh.devices
        platform = devices.flat[0].platform
        shape = chunk_shape(protocol, devices.size, platform, self._memory_bytes, self._block, together)
        return shape._replace(blocks=min(shape.blocks, self._most_blocks.get(_size(protocol, together), shape.blocks)))

    def run(self, protocol: Protocol, work: Callable[[ChunkShape], T], together: bool = False) -> T:
        """Do some work in chunks; if a device runs out of memory, do it again in chunks of half the size, also in later calls.

        Args:
          protocol: what an episode is.
          work: called with the shape of a chunk.
          together: whether queries are solved together with the supports.

        Returns:
          what `work` returned.

        Raises:
          UserError: if memory runs out with one block per device.
        """
        while True:
            shape = self.shape(protocol, together)
            try:
                return work(shape)
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(shape, protocol, together, error)

    def _halve(self, shape: ChunkShape, protocol: Protocol, together: bool, error: Exception) -> None:
        self.ran_out = True
        n_devices = self._mesh.devices.size
        blocks = shape.blocks // n_devices // 2 * n_devices
        if not blocks:
            n, m = protocol.n_support, protocol.n_queries
            raise UserError(
                f"out of memory: one block of {shape.block} episodes per device ({protocol.n_way}-way {protocol.k_shot}-shot, "
                f"{protocol.n_query} queries) needs {4 * shape.block * n * (n + m) / 2**30:.2g} GiB for inner products alone, "
                "beside the embeddings. Lower --memory-gb, so that these stay on disk, or --n-query or --shots, or use a "
                "larger device"
            ) from error
        self._most_blocks[_size(protocol, together)] = blocks
        log.warning(
            "out of memory with %d episodes at once; continuing with %d (%s)",
            shape.episodes,
            shape._replace(blocks=blocks).episodes,
            str(error).splitlines()[0][:100],
        )


def _size(protocol: Protocol, together: bool) -> tuple[int, ...]:
    return protocol.n_way, protocol.k_shot, protocol.n_query, protocol.group_aware, together
