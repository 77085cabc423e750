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

from jfewshot.chunks import ChunkShape, chunk_shape, episodes_first, in_blocks, strength_first
from jfewshot.classifiers.base import Classifier, Diagnostics, Support
from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.devices import AXIS, default_memory_budget, episode_mesh, shard_over_episodes
from jfewshot.drawing import MAX_REDRAWS, Draw, draw, draw_arguments, pool_arrays
from jfewshot.episodes import ClassPool, Protocol, class_pool
from jfewshot.errors import UserError
from jfewshot.gram import GramSource, gram_source
from jfewshot.linalg import argmax_class
from jfewshot.preprocessing import Transform
from jfewshot.randomness import below, stream_key
from jfewshot.segments import further_passes, highest_mean_score, majority
from jfewshot.store.clips import ClipTable

# How often each compiled function was traced, by name; a test holds it down.
TRACES: collections.Counter[str] = collections.Counter()


class Drawn(NamedTuple):
    """The episodes of one (clip table, protocol).

    Attributes:
      clips: rows of the clip table, episodes x n_way x (k_shot + n_query); supports first.
      segment: in [0, 1), same shape: which segment is used where one is drawn.
      redraws: how many draws were repeated, all in all (group-aware).
      pool: the classes and clips that were drawn from.
      chunks: the same episodes on the device, as they were drawn.
    """

    clips: np.ndarray
    segment: np.ndarray
    redraws: int
    pool: ClassPool
    chunks: tuple[Draw, ...]


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

    def forget_draws(self) -> None:
        """Drop the drawn episodes that are kept for the next store of the same dataset."""
        self._drawn.clear()

    def _draw(self, clips: ClipTable, protocol: Protocol, dataset: str) -> Drawn:
        pool = class_pool(clips, protocol, dataset)
        on_device = pool_arrays(pool, protocol, clips.digest)
        arguments = draw_arguments(protocol, pool)
        shape = self._chunk_shape(protocol)
        function = _jit_draw(self.mesh, tuple(sorted(arguments.items(), key=lambda item: item[0])))
        chosen, segments, chunks, redraws = [], [], [], 0
        for start in range(0, protocol.n_episodes, shape.episodes):
            drawn = self._call(function, on_device, self._episode_numbers(start, shape))
            wanted = min(shape.episodes, protocol.n_episodes - start)
            tries = episodes_first(drawn.redraws)[:wanted]
            if (tries < 0).any():
                raise UserError(
                    f"{dataset}: {int((tries < 0).sum())} episodes found no support that leaves {protocol.n_query} queries of "
                    f"other groups in {MAX_REDRAWS} tries. Lower --n-query or --shots, or leave --group-aware out"
                )
            redraws += int(tries.sum())
            smallest = np.uint16 if len(clips) <= 2**16 else np.uint32
            chosen.append(episodes_first(drawn.clips)[:wanted].astype(smallest))
            segments.append(episodes_first(drawn.segment)[:wanted])
            chunks.append(drawn)
        return Drawn(np.concatenate(chosen), np.concatenate(segments), redraws, pool, tuple(chunks))

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
        started, compiled_before = time.perf_counter(), self._compile_s
        job = _Job(
            source=source,
            spec=spec,
            protocol=protocol,
            strengths=jnp.array([1.0 if value is None else value for value in spec.strengths], jnp.float32),
            key=jnp.asarray(stream_key(protocol.seed, clips.digest, "classifier", spec.name)),
        )
        shape = self._chunk_shape(protocol)
        several = protocol.query_segments != "one" and bool((clips.n_segments[drawn.pool.clips] > 1).any())
        everywhere = NamedSharding(self.mesh, P())
        on_device = jax.device_put((first, clips.n_segments.astype(np.int32)), everywhere)
        rows = _jit_rows(self.mesh, protocol.k_shot, protocol.query_segments == "one")
        parts: list[list[np.ndarray]] = []
        waiting: collections.deque[tuple] = collections.deque()

        def collect():
            start, stop, support, out = waiting.popleft()
            part = [strength_first(x, stop - start) for x in jax.device_get(out)]
            if several:
                part[0] = self._decide_by_all_segments(job, clips, first, drawn, start, stop, support, part[0], shape)
            parts.append(part)
            on_progress(stop - start)

        for number, chunk in enumerate(drawn.chunks):
            start = number * shape.episodes
            stop = min(start + shape.episodes, protocol.n_episodes)
            support, query = self._call(rows, *on_device, chunk.clips, chunk.segment)
            numbers = self._episode_numbers(start, shape)
            out = self._solve_chunk(job, several and protocol.query_segments == "mean", support, query, numbers)
            waiting.append((start, stop, support, out))
            # The host works on one chunk while the devices work on the next.
            if len(waiting) > 1:
                collect()
        while waiting:
            collect()
        predicted, residual, iterations = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
        compile_s = self._compile_s - compiled_before
        wall_s = time.perf_counter() - started - compile_s
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

    def _solve_chunk(self, job: "_Job", want_scores: bool, support, query, numbers):
        gram_ss, gram_qs = job.source.blocks(support, query)
        function = _jit_solve(self.mesh, job.spec.classifier, job.protocol.n_way, job.protocol.k_shot, want_scores)
        return self._call(function, gram_ss, gram_qs, numbers, job.key, job.strengths)

    def _decide_by_all_segments(self, job, clips, first, drawn, start, stop, support, answers, shape):
        """Classify the segments after each query's first, and decide each query by all of its segments."""
        protocol = job.protocol
        query_clip = drawn.clips[start:stop, :, protocol.k_shot :].reshape(stop - start, -1)
        passes = further_passes(first[query_clip], clips.n_segments[query_clip])
        want_scores = protocol.query_segments == "mean"
        support = episodes_first(support)[passes.episode]
        numbers = (start + passes.episode).astype(np.uint32)
        sharding = NamedSharding(self.mesh, P(AXIS))
        outputs = [answers[:, :0]]
        for at in range(0, len(passes.episode), shape.episodes):
            part = slice(at, at + shape.episodes)
            blocks = [in_blocks(x[part], shape) for x in (support, passes.rows, numbers)]
            out = self._solve_chunk(job, want_scores, *(jax.device_put(x, sharding) for x in blocks))
            outputs.append(strength_first(jax.device_get(out[0]), len(passes.episode[part])))
        further = np.concatenate(outputs, 1)
        if want_scores:
            return highest_mean_score(answers, further, passes)
        return majority(answers, further, passes, protocol.n_way)

    # ---- shapes, compiling

    def _chunk_shape(self, protocol: Protocol) -> ChunkShape:
        platform = self.mesh.devices.flat[0].platform
        return chunk_shape(protocol, self.mesh.devices.size, platform, self.memory_bytes, self._block)

    def _episode_numbers(self, start: int, shape: ChunkShape) -> jax.Array:
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


class _Job(NamedTuple):
    """What is solved: the same for all chunks of a classifier's run."""

    source: GramSource
    spec: ClassifierSpec
    protocol: Protocol
    strengths: jax.Array
    key: jax.Array


def _rows_of_pool(clips: ClipTable, pool: ClassPool) -> tuple[np.ndarray, np.ndarray]:
    """The view's rows that the pool's clips own, and where in that list each clip's begin (by row of the clip table)."""
    used = np.sort(pool.clips)
    count = clips.n_segments[used]
    starts = np.cumsum(count) - count
    rows = np.repeat(clips.first_segment[used] - starts, count) + np.arange(count.sum())
    first = np.full(len(clips), -1, np.int32)
    first[used] = starts
    return rows, first


@functools.cache
def _jit_draw(mesh: Mesh, arguments: tuple):
    def draw_blocks(pool, numbers):
        TRACES["draw"] += 1
        return lax.map(lambda block: draw(pool, block, **dict(arguments)), numbers)

    return jax.jit(shard_over_episodes(draw_blocks, mesh, (P(), P(AXIS)), P(AXIS)))


@functools.cache
def _jit_rows(mesh: Mesh, k_shot: int, draw_query_segment: bool):
    """Rows of the supports' and the queries' embeddings: a segment drawn at random, or a clip's first."""

    def rows(first, n_segments, clips, segment):
        # In integers, so that it is the exact floor(segment * n_segments) of the records.
        word = (segment * 2.0**23).astype(jnp.uint32) << 9
        drawn = below(word, n_segments[clips].astype(jnp.uint32)).astype(jnp.int32)
        support, query = first[clips[:, :, :k_shot]] + drawn[:, :, :k_shot], first[clips[:, :, k_shot:]]
        if draw_query_segment:
            query = query + drawn[:, :, k_shot:]
        return tuple(x.reshape(x.shape[0], -1, x.shape[-1]) for x in (support, query))

    return jax.jit(shard_over_episodes(rows, mesh, (P(), P(), P(AXIS), P(AXIS)), P(AXIS)))


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
