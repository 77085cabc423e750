"""Thousands of episodes at once: the only place that knows of batches, chunks and devices.

The way of a chunk: episode numbers -> drawn clips (drawing.py) -> rows of the embeddings -> inner products (gram.py) ->
classifiers -> predicted class slots. Arrays on the device are [blocks, ..., episodes of a block]: blocks are spread over the
devices and worked off one after the other, so that a block's matrices stay in a core's cache; within a block the episodes are
last (linalg.py). The solver is compiled once per (classifier, ways, shots, queries) and serves every store.
"""

import collections
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float, Int

from jfewshot.classifiers import Classifier
from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.specs import AUTO, ClassifierSpec, StrengthValue
from jfewshot.episodes.drawing import LEAST_CLIPS, padded_length
from jfewshot.episodes.protocol import Protocol, whole_number
from jfewshot.errors import UserError
from jfewshot.evaluator.answers import room_for, send, write
from jfewshot.evaluator.chunking import (
    Chunking,
    ChunkShape,
    episodes_first,
    in_blocks,
    is_out_of_memory,
    strength_first,
)
from jfewshot.evaluator.devices import AXIS, default_memory_budget, episode_mesh
from jfewshot.evaluator.drawer import Drawer, Drawn, episode_numbers
from jfewshot.evaluator.gram import GramSource, Precomputed, gram_source, holds_whole_store
from jfewshot.evaluator.looked_up import jit_look_up_and_solve
from jfewshot.evaluator.on_gpu import CONVERGED, Kernels
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import (
    PROGRAMS,
    TRACES,
    jit_rows,
    jit_score,
    jit_solve,
    jit_strength_first,
    solver_options,
)
from jfewshot.evaluator.segments import further_passes, highest_mean_score, majority
from jfewshot.profiling import finished, stage
from jfewshot.randomness import stream_key
from jfewshot.store.clips import ClipTable

__all__ = ["TRACES", "Drawn", "Evaluator", "Solved"]

log = logging.getLogger(__name__)
_LARGE_STORE = 4096  # segments
_MOST_MEMORY, _MOST_EPISODES = 2**50, 2**24  # bytes, episodes of a block
# From so many episodes on, a CPU looks inner products up in the program that solves, which saves 0.8 us of a core per episode.
# That program is compiled for each size of store, for 1 to 2 s; with fewer episodes, all small stores share one solver.
_LOOK_UP_INSIDE_FROM = 50_000
_LEAST_AGAIN = 128  # episodes


@dataclasses.dataclass(frozen=True)
class Solved:
    """What the evaluator found for one classifier at one strength.

    Attributes:
      spec: the classifier.
      strength: the strength, `AUTO`, or None.
      predicted: the slot each query was given to, queries in class-major order.
      residual, iterations: per episode; NaN for closed forms.
      rounding: per episode, the scores' rounding error as a share of their spread; NaN for classifiers that are not linear.
      wall_s: time for the episodes, compilation apart, shared among the strengths solved together.
      compile_s: time for compiling, likewise.
      gram_kind: where the inner products came from.
      chosen: with `AUTO` per episode the place of its strength in the classifier's grid, else None.
    """

    spec: ClassifierSpec
    strength: StrengthValue
    predicted: Int[np.ndarray, "episodes queries"]
    residual: Float[np.ndarray, "episodes"]
    iterations: Float[np.ndarray, "episodes"]
    rounding: Float[np.ndarray, "episodes"]
    wall_s: float
    compile_s: float
    gram_kind: str
    chosen: Int[np.ndarray, "episodes"] | None = None


class Evaluator:
    """Evaluates classifiers on episodes; keep one for a whole run, so that compiled code and drawn episodes are shared.

    Args:
      devices: to spread episodes over; None for all of this process's.
      memory_bytes: what may be used for embeddings, Gram matrices and chunks; None for a share of what there is.
      block: episodes per block; None for what suits the device and the episode's size.

    Raises:
      UserError: if `memory_bytes` or `block` is no whole number, is less than 1 or is larger than any machine's memory.
    """

    def __init__(
        self, devices: list[jax.Device] | None = None, memory_bytes: int | None = None, block: int | None = None
    ):
        if memory_bytes is not None:
            memory_bytes = _at_least_one(memory_bytes, "memory_bytes", _MOST_MEMORY)
        if block is not None:
            block = _at_least_one(block, "block", _MOST_EPISODES)
        self.mesh: Mesh = episode_mesh(devices)
        self._on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        self.memory_bytes = default_memory_budget() if memory_bytes is None else memory_bytes
        self._chunking = Chunking(self.mesh, self.memory_bytes, block)
        self._drawer = Drawer(self.mesh, self._chunking, self.memory_bytes)
        self._kernels = Kernels(self.mesh)
        self._sources: list[_Kept] = []

    def draw(self, clips: ClipTable, protocol: Protocol, dataset: str = "the store") -> Drawn:
        """Draw a protocol's episodes, or return those drawn before.

        Args:
          clips: the clip table.
          protocol: what an episode is, and how many episodes there are.
          dataset: name of the dataset, for messages.

        Returns:
          the drawn episodes.

        Raises:
          UserError: if the clips do not allow the protocol (see `class_pool`), or if group-aware redraws run out.
        """
        return self._drawer.draw(clips, protocol, dataset)

    def forget_draws(self) -> None:
        """Drop the drawn episodes that are kept for the next store of the same dataset."""
        self._drawer.forget()

    def forget_sources(self) -> None:
        """Drop the inner products or embeddings that are kept for the next call with the same view."""
        self._sources.clear()

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
          protocol: what an episode is, and how many there are.
          specs: classifiers with their strengths.
          dataset: its name, for messages.
          on_progress: called with the number of episodes just solved.

        Yields:
          One `Solved` per classifier and strength.
        """
        drawn = self.draw(clips, protocol, dataset)
        # Of a large store, thousands of episodes use a part; of a small one, nearly all.
        n_segments = int(clips.n_segments[drawn.pool.clips].sum())
        whole = n_segments <= _LARGE_STORE or holds_whole_store(n_segments, view.shape[1], self.mesh, self.memory_bytes)
        rows, first = _rows_of_clips(clips, np.sort(drawn.pool.clips) if whole else drawn.used)
        wanted = protocol.n_episodes * protocol.n_support * (protocol.n_support + protocol.n_queries)
        for spec in specs:
            shifted = bool(spec.classifier.translation_invariant)
            source = self._source_of(view, rows, transform, shifted, wanted)
            # Choosing strengths is another program than solving with given ones.
            for automatic in (False, True):
                strengths = tuple(strength for strength in spec.strengths if (strength == AUTO) == automatic)
                if strengths:
                    part = spec._replace(strengths=strengths)
                    yield from self._solve_all(source, clips, first, drawn, protocol, part, on_progress)

    def _source_of(self, view, rows, transform, shifted: bool, wanted: int) -> GramSource:
        """The source of some rows: the one of an earlier call, or a new one."""
        # Before a new source is made, the memory of one for other embeddings is given back.
        self._sources = [kept for kept in self._sources if kept.is_of(view, rows, transform)]
        for kept in self._sources:
            if kept.shifted == shifted and kept.serves(wanted):
                return kept.source
        with stage("reading"):
            fitted = transform.with_origin(view, rows) if shifted else transform
        source = self._source(view, rows, fitted, wanted)
        if _stays_as_it_is(view):
            self._sources.append(_Kept(view, rows, transform, shifted, wanted, source))
        return source

    def _source(self, view, rows, transform, wanted: int) -> GramSource:
        budget = self.memory_bytes
        while True:
            try:
                with stage("Gram"):
                    return gram_source(view, rows, transform, self.mesh, budget, wanted)
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error) or not budget:
                    raise
                # With none at all, embeddings stay on disk.
                budget //= 4
            log.warning("out of memory for the embeddings; going on with %.2g GiB for them", budget / 2**30)

    def _solve_all(self, source, clips, first, drawn, protocol, spec, on_progress) -> Iterator[Solved]:
        started, compiled_before = time.perf_counter(), PROGRAMS.compile_s
        job = _Job(
            source=source,
            spec=spec,
            classifier=Auto(spec.classifier) if AUTO in spec.strengths else spec.classifier,
            protocol=protocol,
            strengths=jnp.array([1.0 if value in (None, AUTO) else value for value in spec.strengths], jnp.float32),
            key=jnp.asarray(stream_key(protocol.seed, clips.digest, "classifier", spec.name)),
            clips=clips,
            first=first,
            drawn=drawn,
        )
        told = 0

        def tell(solved: int) -> None:
            # After running out of memory some episodes are solved twice; progress counts them once.
            nonlocal told
            if solved > told:
                on_progress(solved - told)
                told = solved

        parts = self._chunking.run(protocol, lambda shape: self._solve_chunks(job, shape, tell))
        predicted, residual, iterations, rounding, *chosen = (
            part[0] if len(part) == 1 else np.concatenate(part, 1) for part in zip(*parts, strict=True)
        )
        compile_s = PROGRAMS.compile_s - compiled_before
        wall_s = time.perf_counter() - started - compile_s
        for number, strength in enumerate(spec.strengths):
            yield Solved(
                spec=spec,
                strength=strength,
                predicted=predicted[number],
                residual=residual[number],
                iterations=iterations[number],
                rounding=rounding[number],
                wall_s=wall_s / len(spec.strengths),
                compile_s=compile_s / len(spec.strengths),
                gram_kind=source.kind,
                chosen=chosen[0][number] if chosen else None,
            )

    def _solve_chunks(self, job: "_Job", shape: ChunkShape, tell: Callable[[int], None]) -> list[list[np.ndarray]]:
        """What `jit_solve` returns of each chunk, but for the models; strengths and episodes first."""
        protocol, pool, n_segments = job.protocol, job.drawn.pool, job.clips.n_segments
        long_clips = bool((n_segments[pool.clips] > 1).any())
        several = protocol.query_segments != "one" and long_clips
        # Padded, so that all small stores share one compiled program.
        length = padded_length(len(n_segments), LEAST_CLIPS)
        lists = (np.pad(x.astype(np.int32), (0, length - len(x))) for x in (job.first, n_segments))
        on_device = jax.device_put(tuple(lists), NamedSharding(self.mesh, P()))
        # Queries that are judged by all their segments begin with the first. (Supports then draw one even where clips have one,
        # so that all such stores share a compiled solver.)
        drawn = (True, False) if protocol.query_segments != "one" else (long_clips, long_clips)
        parts: list[list[np.ndarray]] = []
        waiting: collections.deque[tuple] = collections.deque()
        plan = None
        if not several:
            plan = self._kernels.plan(job.classifier, job.source, protocol, shape.episodes, len(job.strengths))

        def collect():
            start, stop, support, out, in_kernel = waiting.popleft()
            with stage("scoring"):
                if self._on_cpu or several:
                    part = self._on_host(job, out, stop - start)
                    if several:
                        part[0] = self._decide_by_all_segments(job, start, stop, support, part[0], out[-1], shape)
                    parts.append(part)
                else:
                    if not parts:
                        parts.append(room_for(out, protocol.n_episodes))
                    write(parts[0], out, start, stop)
            if in_kernel:
                self._solve_again(job, drawn, on_device, parts[0], start, stop, shape)
            tell(stop)

        for number, clips in enumerate(self._drawer.chunks(job.drawn, shape)):
            start = number * shape.episodes
            stop = min(start + shape.episodes, protocol.n_episodes)
            numbers = episode_numbers(start, shape, self.mesh)
            support: Any = None
            out: Any = None
            if plan:
                with stage("solving"):
                    arguments = (*on_device, job.drawn.key, clips, numbers, job.strengths)
                    out = finished(self._kernels.solve(plan, job.source, drawn, arguments))
            in_kernel = out is not None
            if not in_kernel:
                plan = None
                support, out = self._solve_chunk(job, several, drawn, on_device, clips, numbers)
            if not (self._on_cpu or several):
                out = send(out[: job.n_answers])
            waiting.append((start, stop, support, out, in_kernel))
            # The host works on one chunk while the devices work on the next.
            if len(waiting) > 1:
                collect()
        while waiting:
            collect()
        return parts

    def _solve_chunk(self, job: "_Job", several: bool, drawn: tuple[bool, bool], on_device, clips, numbers):
        """The supports' rows (None where nobody will ask for them), and what `jit_solve` returns."""
        want_model = several or job.returns_models
        if self._on_cpu and isinstance(job.source, Precomputed) and job.protocol.n_episodes >= _LOOK_UP_INSIDE_FROM:
            function = jit_look_up_and_solve(self.mesh, *job.static(several), drawn, want_model)
            arguments = (job.source.gram, *on_device, job.drawn.key, clips, numbers, job.key, job.strengths)
            with stage("solving"):
                out = finished(PROGRAMS(function, *arguments, options=self._options(job)))
            return (out[0], out[1:]) if want_model else (None, out)
        with stage("sampling"):
            rows = jit_rows(self.mesh, job.protocol.k_shot, *drawn)
            support, query = finished(PROGRAMS(rows, *on_device, job.drawn.key, clips, numbers))
        with stage("Gram"):
            gram_ss, gram_qs = finished(job.source.blocks(support, query))
        function = jit_solve(self.mesh, *job.static(several), want_model=want_model)
        with stage("solving"):
            out = PROGRAMS(function, gram_ss, gram_qs, numbers, job.key, job.strengths, options=self._options(job))
            if not self._on_cpu:
                own = job.n_answers
                out = *PROGRAMS(jit_strength_first(self.mesh), out[:own]), *out[own:]
            return support, finished(out)

    def _solve_again(self, job: "_Job", drawn, on_device, answers: list[np.ndarray], start: int, stop: int, shape):
        """Solve those episodes of a chunk in the general way that did not converge in the kernel."""
        residual = answers[1]
        failed = ~(residual[:, start:stop] <= CONVERGED)
        which = np.flatnonzero(failed.any(0))
        n_devices = self.mesh.devices.size
        # Of few sizes, each of which is compiled.
        shape = ChunkShape(n_devices, min(shape.block, padded_length(-(-len(which) // n_devices), _LEAST_AGAIN)))
        for at in range(0, len(which), shape.episodes):
            part = which[at : at + shape.episodes]
            blocks = in_blocks(job.drawn.clips[start + part], shape), in_blocks((start + part).astype(np.uint32), shape)
            clips, numbers = jax.device_put(blocks, NamedSharding(self.mesh, P(AXIS)))
            _, out = self._solve_chunk(job, False, drawn, on_device, clips, numbers)
            with stage("scoring"):
                for mine, new in zip(answers, self._on_host(job, out, len(part)), strict=True):
                    for row, again in enumerate(failed[:, part]):
                        mine[row, start + part[again]] = new[row, again]

    def _on_host(self, job: "_Job", out, n_episodes: int) -> list[np.ndarray]:
        """Predictions, residuals, iterations, rounding errors and choices on the host, strengths and episodes first."""
        fetched = jax.device_get(out[: job.n_answers])
        if not self._on_cpu:
            return [x[:, :n_episodes] for x in fetched]
        # One small program fewer to load, and as fast.
        return [strength_first(x, n_episodes) for x in fetched]

    def _options(self, job: "_Job"):
        return solver_options(self.mesh, job.classifier, job.protocol.n_support)

    def _decide_by_all_segments(self, job, start, stop, support, answers, models, shape):
        """Classify the segments after each query's first, and decide each query by all of its segments."""
        protocol = job.protocol
        query_clip = job.drawn.clips[start:stop, :, protocol.k_shot :].reshape(stop - start, -1)
        passes = further_passes(job.first[query_clip], job.clips.n_segments[query_clip])
        support = episodes_first(support)[passes.episode]
        models = jax.tree.map(lambda x: episodes_first(x)[passes.episode], jax.device_get(models))
        numbers = (start + passes.episode).astype(np.uint32)
        sharding = NamedSharding(self.mesh, P(AXIS))
        function = jit_score(self.mesh, *job.static(True))
        outputs = [answers[:, :0]]
        for at in range(0, len(passes.episode), shape.episodes):
            part = slice(at, at + shape.episodes)
            blocks = jax.tree.map(lambda x: in_blocks(x[part], shape), (support, passes.rows, numbers, models))  # noqa: B023
            rows, further, repeated, repeated_models = jax.device_put(blocks, sharding)
            with stage("Gram"):
                gram_ss, gram_qs = finished(job.source.blocks(rows, further))
            with stage("solving"):
                out = finished(
                    PROGRAMS(function, gram_ss, gram_qs, repeated, job.key, repeated_models, options=self._options(job))
                )
            outputs.append(strength_first(jax.device_get(out), len(passes.episode[part])))
        further = np.concatenate(outputs, 1)
        if protocol.query_segments == "mean":
            return highest_mean_score(answers, further, passes)
        return majority(answers, further, passes, protocol.n_way)


def _stays_as_it_is(view: np.ndarray) -> bool:
    """Whether neither an array nor what it is a view of can be written to: otherwise it may be another by the next call."""
    part: object = view
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return False
        part = part.base
    return True


class _Kept(NamedTuple):
    """A source of inner products that is kept for the next call: the cells of a run that share a view follow each other."""

    view: np.ndarray
    rows: np.ndarray
    transform: Transform
    shifted: bool
    wanted: int
    source: GramSource

    def is_of(self, view: np.ndarray, rows: np.ndarray, transform: Transform) -> bool:
        """Whether it holds the products of these very rows."""
        return self.view is view and self.transform is transform and np.array_equal(self.rows, rows)

    def serves(self, wanted: int) -> bool:
        """Whether it suits a number of products: many more would pay for taking all products at once."""
        return self.source.kind == "precomputed" or wanted <= 4 * self.wanted


class _Job(NamedTuple):
    """What is solved: the same for all chunks of a classifier's run."""

    source: GramSource
    spec: ClassifierSpec
    classifier: Classifier | Auto
    protocol: Protocol
    strengths: jax.Array
    key: jax.Array
    clips: ClipTable
    first: np.ndarray
    drawn: Drawn

    @property
    def returns_models(self) -> bool:
        """Whether the solver returns its models although nobody may ask for them: stores whose queries have one segment and
        stores whose queries have several then share one compiled solver. One strength's models are small."""
        return self.protocol.query_segments != "one" and len(self.spec.strengths) == 1

    @property
    def n_answers(self) -> int:
        """How many arrays the solver returns for each episode: predictions, residuals, iterations, rounding errors and,
        with `AUTO`, choices."""
        return 5 if isinstance(self.classifier, Auto) else 4

    def static(self, several: bool) -> tuple:
        """What the solver is compiled for: the classifier, ways, shots, and whether scores are wanted of it."""
        protocol = self.protocol
        return self.classifier, protocol.n_way, protocol.k_shot, several and protocol.query_segments == "mean"


def _at_least_one(value: int, name: str, most: int) -> int:
    number = whole_number(value, name)
    if not 1 <= number <= most:
        raise UserError(f"{name} is {str(number)[:40]}; it must be from 1 to {most}")
    return number


def _rows_of_clips(clips: ClipTable, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The view's rows that some clips own, and where in that list each clip's begin (by row of the clip table)."""
    rows, starts = clips.rows(used)
    first = np.full(len(clips), -1, np.int32)
    first[used] = starts
    return rows, first
