"""How many episodes are solved at once, and the two layouts they have: by episode on the host, in blocks on the device."""

from typing import NamedTuple

import jax
import numpy as np

from jfewshot.episodes import Protocol

# Bytes of inner products per chunk on a CPU: enough blocks to keep every core busy, few enough to stay near the caches.
_CPU_CHUNK_BYTES = 64 * 2**20


class ChunkShape(NamedTuple):
    """How many episodes are solved at once.

    Attributes:
      blocks: over all devices.
      block: episodes per block.
    """

    blocks: int
    block: int

    @property
    def episodes(self) -> int:
        return self.blocks * self.block


def chunk_shape(
    protocol: Protocol, n_devices: int, platform: str, memory_bytes: int, block: int | None = None
) -> ChunkShape:
    """Blocks that suit the device, and as many of them as the memory allows and the episodes fill."""
    n, m = protocol.n_support, protocol.n_queries
    if block is None:
        if platform == "cpu":
            # A block's matrices should fit a core's second-level cache, and its rows whole vector registers.
            block = next(size for size, most in ((128, 8), (64, 40), (16, 10**9)) if n <= most)
        else:
            block = 4096 if n <= 32 else 512
    bytes_per_episode = 4 * (n * n + n * m) + 24 * m
    limit = memory_bytes // 8 if platform != "cpu" else min(_CPU_CHUNK_BYTES, memory_bytes // 8)
    most = max(1, limit // (bytes_per_episode * block * n_devices))
    per_device = -(-protocol.n_episodes // (block * n_devices))
    chunks = -(-per_device // most)
    return ChunkShape(-(-per_device // chunks) * n_devices, block)


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
