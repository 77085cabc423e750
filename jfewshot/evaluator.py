"""Thousands of episodes at once: the only place that knows of batches, chunks and devices.

The way of a chunk: episode numbers -> drawn clips (drawing.py) -> rows of the embeddings -> inner products (gram.py) ->
classifiers -> predicted class slots. Arrays on the device are [blocks, ..., episodes of a block]: blocks are spread over the
devices and worked off one after the other, so that a block's matrices stay in a core's cache; within a block the episodes are
last (linalg.py). The solver is compiled once per (classifier, ways, shots, queries) and serves every store.
"""

import collections
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float, Int8

from jfewshot.classifiers.base import Classifier, Diagnostics, Support
from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.devices import AXIS, default_memory_budget, episode_mesh, shard_over_episodes
from jfewshot.drawing import MAX_REDRAWS, draw, draw_arguments, pool_arrays
from jfewshot.episodes import ClassPool, Protocol, class_pool
from jfewshot.errors import UserError
from jfewshot.gram import GramSource, gram_source
from jfewshot.linalg import argmax_class
from jfewshot.preprocessing import Transform
from jfewshot.randomness import stream_key
from jfewshot.store.clips import ClipTable

# How often each compiled function was traced, by name; a test holds it down.
TRACES: collections.Counter[str] = collections.Counter()
# Bytes of inner products per chunk on a CPU: enough blocks to keep every core busy, few enough to stay near the caches.
_CPU_CHUNK_BYTES = 64 * 2**20


class Drawn(NamedTuple):
    """The episodes of one (clip table, protocol).

    Attributes:
      clips: rows of the clip table, episodes x n_way x (k_shot + n_query); supports first.
      segment: in [0, 1), same shape: which segment is used where one is drawn.
      redraws: how many draws were repeated, all in all (group-aware).
      pool: the classes and clips that were drawn from.
    """

    clips: np.ndarray
    segment: np.ndarray
    redraws: int
    pool: ClassPool


@dataclasses.dataclass(frozen=True)
class Solved:
    """What the evaluator found for one classifier at one strength.

    Attributes:
      spec: the classifier.
      strength: the strength, or None.
      predicted: the slot each query was given to, queries in class-major order.
      residual, iterations: per episode; NaN for closed forms.
      wall_s: time for the episodes, compilation apart, shared among the strengths solved together.
      compile_s: time for compiling, likewise.
      gram_kind: where the inner products came from.
    """

    spec: ClassifierSpec
    strength: float | None
    predicted: Int8[np.ndarray, "episodes queries"]
    residual: Float[np.ndarray, "episodes"]
    iterations: Float[np.ndarray, "episodes"]
    wall_s: float
    compile_s: float
    gram_kind: str


class Evaluator:
    """Evaluates classifiers on episodes; keep one for a whole run, so that compiled code and drawn episodes are shared.

    Args:
      devices: to spread episodes over; None for all of this process's.
      memory_bytes: what may be used for embeddings, Gram matrices and chunks; None for a share of what there is.
      block: episodes per block; None for what suits the device and the episode's size.
    """

    def __init__(
        self, devices: list[jax.Device] | None = None, memory_bytes: int | None = None, block: int | None = None
    ):
        self.mesh: Mesh = episode_mesh(devices)
        self.memory_bytes = default_memory_budget() if memory_bytes is None else memory_bytes
        self._block = block
        self._compiled: dict = {}
        self._compile_s = 0.0
        self._drawn: dict = {}

    # ---- drawing

    def draw(self, clips: ClipTable, protocol: Protocol, dataset: str = "the store") -> Drawn:
        """Draw a protocol's episodes, or return those drawn before.

        Raises:
          UserError: if the clips do not allow the protocol (see `class_pool`), or if group-aware redraws run out.
        """
        identity = repr(protocol.draw_identity(clips.digest))
        if identity not in self._drawn:
            # A few of the last are enough: stores of one dataset follow each other.
            while len(self._drawn) >= 4:
                self._drawn.pop(next(iter(self._drawn)))
            self._drawn[identity] = self._draw(clips, protocol, dataset)
        return self._drawn[identity]

    def _draw(self, clips: ClipTable, protocol: Protocol, dataset: str) -> Drawn:
        pool = class_pool(clips, protocol, dataset)
        on_device = pool_arrays(pool, protocol, clips.digest)
        arguments = draw_arguments(protocol, pool)
        shape = self._chunk_shape(protocol)
        function = _jit_draw(self.mesh, tuple(sorted(arguments.items(), key=lambda item: item[0])))
        chosen, segments, redraws = [], [], 0
        for start in range(0, protocol.n_episodes, shape.episodes):
            drawn = self._call(function, on_device, self._episode_numbers(start, shape))
            wanted = min(shape.episodes, protocol.n_episodes - start)
            tries = _episodes_first(drawn.redraws)[:wanted]
            if (tries < 0).any():
                raise UserError(
                    f"{dataset}: {int((tries < 0).sum())} episodes found no support that leaves {protocol.n_query} queries of "
                    f"other groups in {MAX_REDRAWS} tries. Lower --n-query or --shots, or leave --group-aware out"
                )
            redraws += int(tries.sum())
            smallest = np.uint16 if len(clips) <= 2**16 else np.uint32
            chosen.append(_episodes_first(drawn.clips)[:wanted].astype(smallest))
            segments.append(_episodes_first(drawn.segment)[:wanted])
        return Drawn(np.concatenate(chosen), np.concatenate(segments), redraws, pool)

    # ---- evaluating

    def evaluate(
        self,
        view: np.ndarray,
        clips: ClipTable,
        transform: Transform,
        protocol: Protocol,
        specs: Sequence[ClassifierSpec],
        *,
        dataset: str = "the store",
        on_progress: Callable[[int], None] = lambda episodes: None,
    ) -> Iterator[Solved]:
        """Evaluate classifiers on one view under one protocol.

        Args:
          view: segments x dim, as stored.
          clips: which rows are whose; may be fewer clips than the view holds.
          transform: the preprocessing.
          specs: classifiers with their strengths.
          dataset: its name, for messages.
          on_progress: called with the number of episodes just solved.

        Yields:
          One `Solved` per classifier and strength.
        """
        drawn = self.draw(clips, protocol, dataset)
        rows, first = _rows_of_pool(clips, drawn.pool)
        sources: dict[bool, GramSource] = {}
        for spec in specs:
            shifted = bool(spec.classifier.translation_invariant)
            if shifted not in sources:
                fitted = transform.with_origin(view, rows) if shifted else transform
                wanted = protocol.n_episodes * protocol.n_support * (protocol.n_support + protocol.n_queries)
                sources[shifted] = gram_source(view, rows, fitted, self.mesh, self.memory_bytes, wanted)
            yield from self._solve_all(sources[shifted], clips, first, drawn, protocol, spec, on_progress)

    def _solve_all(self, source, clips, first, drawn, protocol, spec, on_progress) -> Iterator[Solved]:
        shape = self._chunk_shape(protocol)
        strengths = jnp.array([1.0 if value is None else value for value in spec.strengths], jnp.float32)
        key = jnp.asarray(stream_key(protocol.seed, clips.digest, "classifier", spec.name))
        solve = functools.partial(self._solve_chunk, source, spec.classifier, protocol, strengths, key)
        started, compiled_before = time.perf_counter(), self._compile_s
        parts = []
        for start in range(0, protocol.n_episodes, shape.episodes):
            stop = min(start + shape.episodes, protocol.n_episodes)
            parts.append(_solve_episodes(solve, clips, first, drawn, protocol, start, stop, shape))
            on_progress(stop - start)
        compile_s = self._compile_s - compiled_before
        wall_s = time.perf_counter() - started - compile_s
        predicted, residual, iterations = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
        for number, strength in enumerate(spec.strengths):
            yield Solved(
                spec=spec,
                strength=strength,
                predicted=predicted[number],
                residual=residual[number],
                iterations=iterations[number],
                wall_s=wall_s / len(spec.strengths),
                compile_s=compile_s / len(spec.strengths),
                gram_kind=source.kind,
            )

    def _solve_chunk(self, source, classifier, protocol, strengths, key, want_scores, support, query, numbers):
        sharding = NamedSharding(self.mesh, P(AXIS))
        support, query, numbers = (jax.device_put(x, sharding) for x in (support, query, numbers))
        gram_ss, gram_qs = source.blocks(support, query)
        function = _jit_solve(self.mesh, classifier, protocol.n_way, protocol.k_shot, want_scores)
        return self._call(function, gram_ss, gram_qs, numbers, key, strengths)

    # ---- shapes, compiling

    def _chunk_shape(self, protocol: Protocol) -> "ChunkShape":
        platform = self.mesh.devices.flat[0].platform
        return chunk_shape(protocol, self.mesh.devices.size, platform, self.memory_bytes, self._block)

    def _episode_numbers(self, start: int, shape: "ChunkShape") -> jax.Array:
        numbers = np.arange(start, start + shape.episodes, dtype=np.uint64).astype(np.uint32)
        return jax.device_put(numbers.reshape(shape.blocks, shape.block), NamedSharding(self.mesh, P(AXIS)))

    def _call(self, function, *arguments):
        """Call a jitted function; compiling, if it comes to that, is timed apart."""
        key = (function, jax.tree.structure(arguments), tuple(x.shape for x in jax.tree.leaves(arguments)))
        if key not in self._compiled:
            started = time.perf_counter()
            self._compiled[key] = function.lower(*arguments).compile()
            self._compile_s += time.perf_counter() - started
        return self._compiled[key](*arguments)


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
            block = next(size for size, most in ((256, 8), (128, 32), (64, 128), (16, 10**9)) if n <= most)
        else:
            block = 4096 if n <= 32 else 512
    bytes_per_episode = 4 * (n * n + n * m) + 24 * m
    limit = memory_bytes // 8 if platform != "cpu" else min(_CPU_CHUNK_BYTES, memory_bytes // 8)
    most = max(1, limit // (bytes_per_episode * block * n_devices))
    per_device = -(-protocol.n_episodes // (block * n_devices))
    chunks = -(-per_device // most)
    return ChunkShape(-(-per_device // chunks) * n_devices, block)


def _rows_of_pool(clips: ClipTable, pool: ClassPool) -> tuple[np.ndarray, np.ndarray]:
    """The view's rows that the pool's clips own, and where in that list each clip's begin (by row of the clip table)."""
    used = np.sort(pool.clips)
    count = clips.n_segments[used]
    starts = np.cumsum(count) - count
    rows = np.repeat(clips.first_segment[used] - starts, count) + np.arange(count.sum())
    first = np.full(len(clips), -1, np.int32)
    first[used] = starts
    return rows, first


def _solve_episodes(solve, clips, first, drawn, protocol, start, stop, shape):
    """Solve episodes start .. stop - 1: predictions [strengths, episodes, queries] and diagnostics [strengths, episodes].

    Queries of several segments are decided by all of them. The first segments go through with the episode; the others follow in
    further passes of episodes with the same supports, as many segments to a pass as an episode has queries, so that memory is
    bounded by what is there and not by the longest clip.
    """
    chosen = drawn.clips[start:stop].astype(np.int64)
    k_shot, n_queries, n_way = protocol.k_shot, protocol.n_queries, protocol.n_way
    n_episodes = stop - start
    support_clip = chosen[:, :, :k_shot].reshape(n_episodes, -1)
    query_clip = chosen[:, :, k_shot:].reshape(n_episodes, -1)
    support = first[support_clip]
    query = first[query_clip]
    if clips.n_segments.max() > 1:
        fraction = drawn.segment[start:stop]
        one = (fraction[:, :, :k_shot].reshape(n_episodes, -1) * clips.n_segments[support_clip]).astype(np.int32)
        support = support + one
        if protocol.query_segments == "one":
            one = (fraction[:, :, k_shot:].reshape(n_episodes, -1) * clips.n_segments[query_clip]).astype(np.int32)
            query = query + one
    numbers = np.arange(start, stop, dtype=np.uint64).astype(np.uint32)
    extra = clips.n_segments[query_clip] - 1
    several = protocol.query_segments != "one" and bool(extra.any())
    want_scores = several and protocol.query_segments == "mean"

    def run(support, query, numbers):
        """Any number of episodes, in chunks of one shape."""
        outputs = []
        for at in range(0, len(support), shape.episodes):
            part = slice(at, at + shape.episodes)
            n = len(support[part])
            blocks = [_in_blocks(x[part], shape) for x in (support, query, numbers)]
            out = solve(want_scores, *blocks)
            outputs.append([_strength_first(x, n) for x in jax.device_get(out)])
        return [np.concatenate(part, 1) for part in zip(*outputs, strict=True)]

    answers, residual, iterations = run(support, query, numbers)
    if not several:
        return answers, residual, iterations

    # One entry per further segment: whose it is, and its row.
    episode, slot = np.nonzero(extra)
    repeats = extra[episode, slot]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats) + 1
    episode, slot = np.repeat(episode, repeats), np.repeat(slot, repeats)
    row = query[episode, slot] + within
    # Entries are in order of episodes: give each a pass and a place in it.
    per_episode = np.bincount(episode, minlength=n_episodes)
    place = np.arange(len(episode)) - np.repeat(np.cumsum(per_episode) - per_episode, per_episode)
    passes = -(-per_episode // n_queries)
    pass_of = np.repeat(np.cumsum(passes) - passes, per_episode) + place // n_queries
    again = np.repeat(np.arange(n_episodes), passes)
    further = np.repeat(query[again, :1], n_queries, axis=1)
    further[pass_of, place % n_queries] = row
    more = run(support[again], further, numbers[again])[0][:, pass_of, place % n_queries]

    if want_scores:
        total = answers.astype(np.float64)
        for strength in range(len(total)):
            np.add.at(total[strength], (episode, slot), more[strength])
        # The mean's order is the sum's.
        return total.argmax(-1).astype(np.int8), residual, iterations
    votes = (answers[..., None] == np.arange(n_way)).astype(np.int32)
    for strength in range(len(votes)):
        np.add.at(votes[strength], (episode, slot, more[strength]), 1)
    return votes.argmax(-1).astype(np.int8), residual, iterations


def _in_blocks(x: np.ndarray, shape: ChunkShape) -> np.ndarray:
    """[episodes, ...] to [blocks, ..., episodes of a block]; a short chunk is filled up with its first episode."""
    short = shape.episodes - len(x)
    if short:
        x = np.concatenate([x, np.repeat(x[:1], short, axis=0)])
    return np.ascontiguousarray(np.moveaxis(x.reshape(shape.blocks, shape.block, *x.shape[1:]), 1, -1))


def _episodes_first(x: jax.Array) -> np.ndarray:
    """[blocks, ..., episodes of a block] to [episodes, ...]."""
    moved = np.moveaxis(np.asarray(x), -1, 1)
    return moved.reshape(-1, *moved.shape[2:])


def _strength_first(x: np.ndarray, n_episodes: int) -> np.ndarray:
    """[blocks, strengths, ..., episodes of a block] to [strengths, episodes, ...]."""
    return np.moveaxis(_episodes_first(x)[:n_episodes], 1, 0)


@functools.cache
def _jit_draw(mesh: Mesh, arguments: tuple):
    def draw_blocks(pool, numbers):
        TRACES["draw"] += 1
        return lax.map(lambda block: draw(pool, block, **dict(arguments)), numbers)

    return jax.jit(shard_over_episodes(draw_blocks, mesh, (P(), P(AXIS)), P(AXIS)))


@functools.cache
def _jit_solve(mesh: Mesh, classifier: Classifier, n_way: int, k_shot: int, want_scores: bool):
    """Predictions (or scores), residuals and iterations, each [blocks, strengths, ..., episodes of a block]."""

    def solve_blocks(gram_ss, gram_qs, numbers, key, strengths):
        TRACES["solve"] += 1

        def one_block(block):
            gram_ss, gram_qs, numbers = block
            support = Support(gram_ss, numbers, key, n_way, k_shot)

            def one_strength(strength):
                model, diagnostics = classifier.fit(support, strength)
                scores = classifier.score(model, support, gram_qs)
                answer = scores if want_scores else argmax_class(scores)
                return answer, *Diagnostics(*diagnostics)

            return lax.map(one_strength, strengths)

        return lax.map(one_block, (gram_ss, gram_qs, numbers))

    specs = (P(AXIS), P(AXIS), P(AXIS), P(), P())
    return jax.jit(shard_over_episodes(solve_blocks, mesh, specs, P(AXIS)))
