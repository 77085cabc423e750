"""How many episodes are solved at once when memory is short: the chunks that a budget allows, and halves of them once a
device has none left."""

import logging
from collections.abc import Callable
from typing import TypeVar

import jax
from jax.sharding import Mesh

from jfewshot.chunks import ChunkShape, chunk_shape
from jfewshot.episodes import Protocol
from jfewshot.errors import UserError

log = logging.getLogger(__name__)
T = TypeVar("T")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX's says that memory ran out, on a device or while compiling for one."""
    return isinstance(error, jax.errors.JaxRuntimeError) and str(error).startswith("RESOURCE_EXHAUSTED")


class Chunking:
    """The shapes of chunks: what fits the budget, or, where that ran out of memory, less.

    Args:
      mesh: the devices.
      memory_bytes: what may be used, over all devices.
      block: episodes per block; None for what suits the device and the episode's size.

    Attributes:
      ran_out: whether memory has run out so far.
    """

    def __init__(self, mesh: Mesh, memory_bytes: int, block: int | None = None):
        self.ran_out = False
        self._mesh, self._memory_bytes, self._block = mesh, memory_bytes, block
        self._most_blocks: dict[tuple[int, ...], int] = {}

    def shape(self, protocol: Protocol) -> ChunkShape:
        """Of a protocol's chunks."""
        devices = self._mesh.devices
        shape = chunk_shape(protocol, devices.size, devices.flat[0].platform, self._memory_bytes, self._block)
        return shape._replace(blocks=min(shape.blocks, self._most_blocks.get(_size(protocol), shape.blocks)))

    def run(self, protocol: Protocol, work: Callable[[ChunkShape], T]) -> T:
        """Do some work in chunks; where a device has no memory left, again in chunks of half the size, from then on.

        Raises:
          UserError: if memory runs out with one block per device.
        """
        while True:
            shape = self.shape(protocol)
            try:
                return work(shape)
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(shape, protocol, error)

    def _halve(self, shape: ChunkShape, protocol: Protocol, error: Exception) -> None:
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
        self._most_blocks[_size(protocol)] = blocks
        log.warning(
            "out of memory with %d episodes at once; going on with %d (%s)",
            shape.episodes,
            shape._replace(blocks=blocks).episodes,
            str(error).splitlines()[0][:100],
        )


def _size(protocol: Protocol) -> tuple[int, ...]:
    return protocol.n_way, protocol.k_shot, protocol.n_query, protocol.group_aware
