"""Drawn episodes: brought to the host for the records, left on the device for the solver, kept for the next store."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jfewshot.episodes.drawing import MAX_REDRAWS, Draw, draw_arguments, pool_arrays
from jfewshot.episodes.pool import ClassPool, class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.chunking import Chunking, ChunkShape, episodes_first, in_blocks
from jfewshot.evaluator.devices import AXIS
from jfewshot.evaluator.programs import PROGRAMS, jit_draw
from jfewshot.profiling import stage
from jfewshot.store.clips import ClipTable

# Stores of one dataset follow each other, under a few protocols each.
_KEPT = 4
_SHARE = 1 / 32  # of the memory budget, for what one draw leaves on the device


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """The episodes of one (clip table, protocol).

    Attributes:
      redraws: how many draws were repeated, all in all (group-aware).
      pool: the classes and clips that were drawn from.
      identity: names what was drawn; see `Protocol.draw_identity`.
      fetch: brings clips and segments from the device.
    """

    redraws: int
    pool: ClassPool
    identity: str
    fetch: Callable[[], tuple[np.ndarray, np.ndarray]]

    @functools.cached_property
    def _fetched(self) -> tuple[np.ndarray, np.ndarray]:
        # When they are first asked for: the devices can solve what they drew without the host's ever seeing it.
        return self.fetch()

    @property
    def clips(self) -> np.ndarray:
        """Rows of the clip table, episodes x n_way x (k_shot + n_query); supports first."""
        return self._fetched[0]

    @property
    def segment(self) -> np.ndarray:
        """In [0, 1), same shape: which segment is used where one is drawn."""
        return self._fetched[1]

    @functools.cached_property
    def used(self) -> np.ndarray:
        """Rows of the clip table that occur in an episode, sorted."""
        seen = np.zeros(int(self.pool.clips.max()) + 1, bool)
        seen[self.clips] = True
        return np.flatnonzero(seen)


class Drawer:
    """Draws episodes, and keeps the last few draws.

    Args:
      mesh: the devices.
      chunking: decides how many episodes are drawn at once; the solver's, so that it finds them in its chunks.
      memory_bytes: the evaluator's budget.
    """

    def __init__(self, mesh: Mesh, chunking: Chunking, memory_bytes: int):
        self._mesh, self._chunking, self._memory_bytes = mesh, chunking, memory_bytes
        self._drawn: dict[str, Drawn] = {}
        # Some of the drawn episodes are still on the device, in chunks of a shape.
        self._on_device: dict[str, tuple[ChunkShape, list[Draw]]] = {}

    def draw(self, clips: ClipTable, protocol: Protocol, dataset: str = "the store") -> Drawn:
        """Draw a protocol's episodes, or return those drawn before.

        Raises:
          UserError: if the clips do not allow the protocol (see `class_pool`), or if group-aware redraws run out.
        """
        identity = repr(protocol.draw_identity(clips.digest))
        if identity not in self._drawn:
            while len(self._drawn) >= _KEPT:
                oldest = next(iter(self._drawn))
                self._drawn.pop(oldest)
                self._on_device.pop(oldest, None)
            with stage("sampling"):
                pool = class_pool(clips, protocol, dataset)
                self._drawn[identity] = self._chunking.run(
                    protocol, lambda shape: self._draw(clips, protocol, dataset, pool, identity, shape)
                )
        return self._drawn[identity]

    def forget(self) -> None:
        """Drop what is kept."""
        self._drawn.clear()
        self._on_device.clear()

    def _draw(self, clips, protocol, dataset, pool, identity, shape) -> Drawn:
        on_device = pool_arrays(pool, protocol, clips.digest)
        arguments = draw_arguments(protocol, pool)
        function = jit_draw(self._mesh, tuple(sorted(arguments.items(), key=lambda item: item[0])))
        chunks: list[Draw] = []
        fetched: list[tuple[np.ndarray, np.ndarray]] = []
        redraws = 0
        # Clips and segments, four bytes each, of a few protocols at once.
        size = 8 * protocol.n_episodes * protocol.n_way * (protocol.k_shot + protocol.n_query)
        keep = not self._chunking.ran_out and size <= _SHARE * self._memory_bytes
        on_cpu = self._mesh.devices.flat[0].platform == "cpu"
        smallest = np.uint16 if len(clips) <= 2**16 else np.uint32

        def on_host(number: int, chunk: Draw) -> tuple[np.ndarray, np.ndarray]:
            wanted = min(shape.episodes, protocol.n_episodes - number * shape.episodes)
            return episodes_first(chunk.clips)[:wanted].astype(smallest), episodes_first(chunk.segment)[:wanted]

        def fetch() -> tuple[np.ndarray, np.ndarray]:
            parts = fetched or [on_host(number, chunk) for number, chunk in enumerate(chunks)]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

        def take(number: int, chunk: Draw) -> None:
            nonlocal redraws
            if protocol.group_aware:
                tries = episodes_first(chunk.redraws)[: protocol.n_episodes - number * shape.episodes]
                if (tries < 0).any():
                    raise UserError(
                        f"{dataset}: {int((tries < 0).sum())} episodes found no support that leaves {protocol.n_query} queries "
                        f"of other groups in {MAX_REDRAWS} tries. Lower --n-query or --shots, or leave --group-aware out"
                    )
                redraws += int(tries.sum())
            if keep:
                # Waited for, so that a device that runs out of memory says so while smaller chunks can still be drawn. (The
                # host's memory has no such end, and the host has better things to do.)
                chunks.append(chunk if on_cpu else jax.block_until_ready(chunk))
            else:
                fetched.append(on_host(number, chunk))

        ahead: list[tuple[int, Draw]] = []
        for number, start in enumerate(range(0, protocol.n_episodes, shape.episodes)):
            ahead.append((number, PROGRAMS(function, on_device, episode_numbers(start, shape, self._mesh))))
            # The host takes one chunk in while the devices draw the next.
            if len(ahead) > 1:
                take(*ahead.pop(0))
        take(*ahead.pop())
        if keep:
            self._on_device[identity] = shape, chunks
        return Drawn(redraws, pool, identity, fetch)

    def chunks(self, drawn: Drawn, shape: ChunkShape) -> Iterator[tuple[jax.Array, jax.Array]]:
        """Drawn clips and segments on the device, in chunks: as they were drawn there, or brought there again."""
        if self._chunking.ran_out and self._on_device:
            for kept_draw in self._drawn.values():
                kept_draw.used  # noqa: B018 - has them fetched before the device forgets them
            for _, kept_chunks in self._on_device.values():
                kept_chunks.clear()
            self._on_device.clear()
        kept_shape, kept = self._on_device.get(drawn.identity, (None, []))
        if kept_shape == shape:
            yield from ((chunk.clips, chunk.segment) for chunk in kept)
            return
        sharding = NamedSharding(self._mesh, P(AXIS))
        for start in range(0, len(drawn.clips), shape.episodes):
            part = slice(start, start + shape.episodes)
            yield tuple(
                jax.device_put(in_blocks(x, shape), sharding)
                for x in (drawn.clips[part].astype(np.int32), drawn.segment[part])
            )


def episode_numbers(start: int, shape: ChunkShape, mesh: Mesh) -> jax.Array:
    """The numbers of a chunk's episodes, on the devices."""
    numbers = np.arange(start, start + shape.episodes, dtype=np.uint64).astype(np.uint32)
    return jax.device_put(numbers.reshape(shape.blocks, shape.block), NamedSharding(mesh, P(AXIS)))
