"""Draw episodes, copy them to the host for the records, and keep them on the device for the solver and for the next store."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jfewshot.episodes.balance import check_balance, class_episodes
from jfewshot.episodes.drawing import Draw, draw_arguments, pool_arrays
from jfewshot.episodes.group_aware import MAX_CLASS_DRAWS, MAX_SUPPORT_DRAWS
from jfewshot.episodes.mteb_draws import Experiment, experiments, order_digest
from jfewshot.episodes.pool import ClassPool, class_pool
from jfewshot.episodes.proportions import unequal_counts
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.separate import pools_digest
from jfewshot.errors import UserError
from jfewshot.evaluator.chunking import Chunking, ChunkShape, episodes_first, in_blocks
from jfewshot.evaluator.devices import AXIS
from jfewshot.evaluator.drawing_programs import drawing_options, jit_draw, jit_segments
from jfewshot.evaluator.programs import PROGRAMS
from jfewshot.profiling import stage
from jfewshot.randomness import stream_key
from jfewshot.store.clips import ClipTable

# A run evaluates the stores of one dataset one after the other, each with a few protocols.
_KEPT = 4
_MOST_KEPT = 64  # of small draws: a curve over shots returns to each of its protocols for every view
_SHARE = 1 / 32  # of the memory budget, for what one draw leaves on the device


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """The episodes of one (clip table, protocol).

    Attributes:
      redraws: how many supports of a class were drawn again, over all episodes (group-aware).
      class_redraws: in how many episodes the classes were drawn again (group-aware).
      pool: the classes and clips that were drawn from.
      identity: names what was drawn; see `Protocol.draw_identity`.
      key: of the random stream.
      query_count: where classes have different numbers of queries, how many each has, episodes x n_way; else None.
      fetch: brings the clips from the device.
      fetch_segments: computes the numbers that choose segments, of the supports alone or of all drawn clips.
      support_count: in mteb's experiments, how many of each class's supports count, episodes x n_way; None where all do.
      experiments: mteb's experiments as lists of clips; None for episodes.
      whole: with unknown classes, the episodes with these classes after the others; None without.
    """

    redraws: int
    class_redraws: int
    pool: ClassPool
    identity: str
    key: jax.Array
    query_count: np.ndarray | None
    fetch: Callable[[], np.ndarray]
    fetch_segments: Callable[[bool], np.ndarray]
    support_count: np.ndarray | None = None
    experiments: tuple[Experiment, ...] | None = None
    whole: "Drawn | None" = None

    @functools.cached_property
    def clips(self) -> np.ndarray:
        """Rows of the clip table, episodes x n_way x (k_shot + n_query); supports first."""
        # Fetched when they are first used: the devices can solve the episodes that they drew without copying them to
        # the host.
        return self.fetch()

    @functools.cached_property
    def segment(self) -> np.ndarray:
        """In [0, 1), the shape of `clips`: which segment is used where one is drawn."""
        return self.fetch_segments(False)

    @functools.cached_property
    def support_segment(self) -> np.ndarray:
        """The supports' part of `segment`: episodes x n_way x k_shot."""
        return self.fetch_segments(True)

    @functools.cached_property
    def used(self) -> np.ndarray:
        """Rows of the clip table that occur in an episode, sorted."""
        seen = np.zeros(int(self.pool.all_clips[-1]) + 1, bool)
        seen[self.clips] = True
        return np.flatnonzero(seen)

    @functools.cached_property
    def class_episodes(self) -> np.ndarray:
        """The number of episodes in which each class of the pool takes part."""
        return class_episodes(self.pool, self.clips)


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
        self._on_device: dict[str, tuple[ChunkShape, list[jax.Array]]] = {}

    def draw(self, clips: ClipTable, protocol: Protocol, dataset: str = "the store") -> Drawn:
        """Draw a protocol's episodes, or return those drawn before.

        Args:
          clips: the clip table.
          protocol: what an episode is, and how many episodes there are.
          dataset: name of the dataset, for messages.

        Returns:
          the drawn episodes.

        Raises:
          UserError: if the clips do not allow the protocol (see `class_pool`), if group-aware redraws run out, or if they make
            classes much rarer than others (see `check_balance`).
        """
        identity = repr(protocol.draw_identity(clips.digest))
        if protocol.is_separate:
            identity += pools_digest(clips, protocol, dataset)
        if protocol.draws_by_order:
            identity += order_digest(clips)
        if identity not in self._drawn:
            size = _bytes_of(protocol)
            most = _MOST_KEPT if size * _MOST_KEPT <= _SHARE * self._memory_bytes else _KEPT
            while len(self._drawn) >= most:
                oldest = next(iter(self._drawn))
                self._drawn.pop(oldest)
                self._on_device.pop(oldest, None)
            if protocol.unknown_ways:
                class_pool(clips, protocol, dataset)  # its messages name the options of the command line
                self._drawn[identity] = _known_part(self.draw(clips, protocol.as_drawn, dataset), protocol.n_way)
                return self._drawn[identity]
            with stage("sampling"):
                if protocol.mteb is not None:
                    self._drawn[identity] = _drawn_experiments(clips, protocol, dataset, identity)
                    return self._drawn[identity]
                pool = class_pool(clips, protocol, dataset)
                drawn = self._chunking.run(
                    protocol, lambda shape: self._draw(clips, protocol, dataset, pool, identity, shape)
                )
                if drawn.class_redraws:
                    check_balance(pool, protocol, drawn.class_episodes, drawn.class_redraws, dataset)
                self._drawn[identity] = drawn
        return self._drawn[identity]

    def forget(self) -> None:
        """Drop the draws that are kept."""
        self._drawn.clear()
        self._on_device.clear()

    def _draw(self, clips, protocol, dataset, pool, identity, shape) -> Drawn:
        if protocol.every_query and protocol.n_query != int(pool.count.max()):
            raise ValueError(
                f"n_query is {protocol.n_query}, but a class has up to {pool.count.max()} clips; use `resolved`"
            )
        on_device = pool_arrays(pool, protocol, clips.stream)
        arguments = tuple(sorted(draw_arguments(protocol, pool).items(), key=lambda item: item[0]))
        # Half of the bytes if row numbers of the clip table fit 16 bits.
        function = jit_draw(self._mesh, arguments, "uint16" if len(clips) <= 2**16 else "uint32")
        chunks: list[jax.Array] = []
        fetched: list[np.ndarray] = []
        redraws = class_redraws = 0
        counts: list[np.ndarray] = []
        # Clips, two or four bytes each, of a few protocols at once.
        size = _bytes_of(protocol)
        keep = not self._chunking.ran_out and size <= _SHARE * self._memory_bytes
        on_cpu = self._mesh.devices.flat[0].platform == "cpu"

        def wanted(number: int) -> int:
            return min(shape.episodes, protocol.n_episodes - number * shape.episodes)

        def fetch() -> np.ndarray:
            return np.concatenate(
                fetched or [episodes_first(chunk)[: wanted(number)] for number, chunk in enumerate(chunks)]
            )

        def fetch_segments(of_supports: bool) -> np.ndarray:
            n_query = 0 if of_supports else protocol.n_query
            program = jit_segments(self._mesh, protocol.n_way, protocol.k_shot, protocol.n_query, n_query)
            parts = []
            for number, start in enumerate(range(0, protocol.n_episodes, shape.episodes)):
                numbers = episode_numbers(start, shape, self._mesh)
                parts.append(episodes_first(PROGRAMS(program, on_device.key, numbers))[: wanted(number)])
            return np.concatenate(parts)

        def take(number: int, chunk: Draw) -> None:
            nonlocal redraws, class_redraws
            if protocol.group_aware:
                tries, again = (episodes_first(x)[: wanted(number)] for x in (chunk.redraws, chunk.class_redraws))
                if (tries < 0).any():
                    raise UserError(
                        f"{dataset}: {int((tries < 0).sum())} episodes found no support that leaves {protocol.n_query} queries "
                        f"of other groups in {MAX_SUPPORT_DRAWS:,} tries for each of {MAX_CLASS_DRAWS} sets of classes. Lower "
                        "--n-query or --shots, or leave --group-aware out"
                    )
                redraws += int(tries.sum())
                class_redraws += int((again > 0).sum())
            if chunk.query_count is not None:
                counts.append(episodes_first(chunk.query_count)[: wanted(number)])
            if keep:
                # On an accelerator we wait, so that an error about memory comes while smaller chunks can still be
                # drawn. On a CPU allocation does not fail in this way, and waiting would leave the host idle.
                chunks.append(chunk.clips if on_cpu else jax.block_until_ready(chunk.clips))
            else:
                fetched.append(episodes_first(chunk.clips)[: wanted(number)])

        ahead: list[tuple[int, Draw]] = []
        for number, start in enumerate(range(0, protocol.n_episodes, shape.episodes)):
            numbers = episode_numbers(start, shape, self._mesh)
            ahead.append((number, PROGRAMS(function, on_device, numbers, options=drawing_options(self._mesh))))
            # The host copies one chunk while the devices draw the next.
            if len(ahead) > 1:
                take(*ahead.pop(0))
        take(*ahead.pop())
        if keep:
            self._on_device[identity] = shape, chunks
        query_count = np.concatenate(counts) if counts else None
        if protocol.query_balance is not None:
            query_count = unequal_counts(protocol, clips.stream)
        return Drawn(redraws, class_redraws, pool, identity, on_device.key, query_count, fetch, fetch_segments)

    def chunks(self, drawn: Drawn, shape: ChunkShape) -> Iterator[jax.Array]:
        """Drawn clips on the device, in chunks: those that are still there, or copies from the host."""
        if self._chunking.ran_out and self._on_device:
            for kept_draw in self._drawn.values():
                kept_draw.clips  # noqa: B018 - has them fetched before the device forgets them
            for _, kept_chunks in self._on_device.values():
                kept_chunks.clear()
            self._on_device.clear()
        kept_shape, kept = self._on_device.get(drawn.identity, (None, []))
        if kept_shape == shape:
            yield from kept
            return
        sharding = NamedSharding(self._mesh, P(AXIS))
        for start in range(0, len(drawn.clips), shape.episodes):
            yield jax.device_put(in_blocks(drawn.clips[start : start + shape.episodes], shape), sharding)


def _known_part(whole: Drawn, n_way: int) -> Drawn:
    """The episodes without their unknown classes, which come last."""

    def fetch() -> np.ndarray:
        return whole.clips[:, :n_way]

    def fetch_segments(of_supports: bool) -> np.ndarray:
        return (whole.support_segment if of_supports else whole.segment)[:, :n_way]

    return dataclasses.replace(whole, fetch=fetch, fetch_segments=fetch_segments, whole=whole)


def _drawn_experiments(clips: ClipTable, protocol: Protocol, dataset: str, identity: str) -> Drawn:
    """mteb's experiments, which the host draws."""
    found = experiments(clips, protocol, dataset)
    rows = found.clips.astype(np.uint16 if len(clips) <= 2**16 else np.uint32)

    def segments(of_supports: bool) -> np.ndarray:
        # No segment is drawn: a clip's embedding is the mean of its segments.
        return np.zeros((*rows.shape[:2], protocol.k_shot if of_supports else rows.shape[2]), np.float32)

    key = jax.numpy.asarray(stream_key(protocol.seed, clips.stream, "mteb"))
    counts = found.query_count.astype(np.int32), found.support_count.astype(np.int32)
    return Drawn(
        0, 0, found.pool, identity, key, counts[0], lambda: rows, segments, counts[1], experiments=found.listed
    )


def _bytes_of(protocol: Protocol) -> int:
    """The size in bytes of the clips that a protocol draws, at four bytes each."""
    return 4 * protocol.n_episodes * protocol.n_way * (protocol.k_shot + protocol.n_query)


@functools.lru_cache(256)
def episode_numbers(start: int, shape: ChunkShape, mesh: Mesh) -> jax.Array:
    """Put the numbers of a chunk's episodes on the devices.

    Args:
      start: number of the chunk's first episode.
      shape: number of blocks in the chunk and of episodes in a block.
      mesh: the devices.

    Returns:
      uint32 (blocks, block), divided over the devices by blocks.
    """
    numbers = np.arange(start, start + shape.episodes, dtype=np.uint64).astype(np.uint32)
    return jax.device_put(numbers.reshape(shape.blocks, shape.block), NamedSharding(mesh, P(AXIS)))
