"""Solve the chunks of one classifier's run on the devices, one after the other: rows, inner products, solver, results."""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jfewshot.classifiers import Classifier, Transductive
from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.kernels import wants_squared_lengths
from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.classifiers.transductive import is_transductive
from jfewshot.episodes.drawing import LEAST_CLIPS, padded_length
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.answers import room_for, send, write
from jfewshot.evaluator.chunking import ChunkShape, episodes_first, in_blocks, strength_first
from jfewshot.evaluator.devices import AXIS
from jfewshot.evaluator.drawer import Drawer, Drawn, episode_numbers
from jfewshot.evaluator.drawing_programs import jit_rows
from jfewshot.evaluator.gram import GramSource, Precomputed
from jfewshot.evaluator.looked_up import jit_look_up_and_solve
from jfewshot.evaluator.on_gpu import CONVERGED, Kernels
from jfewshot.evaluator.parts import SummedByEpisode, source_of
from jfewshot.evaluator.programs import PROGRAMS
from jfewshot.evaluator.scoring import kept_answers
from jfewshot.evaluator.segments import further_passes, highest, majority, summed_scores
from jfewshot.evaluator.solver_programs import jit_score, jit_solve, jit_strength_first, solver_options
from jfewshot.profiling import finished, stage
from jfewshot.store.clips import ClipTable

# With at least so many episodes, a CPU looks up inner products in the same program that solves, which saves 0.8 us of
# core time per episode. That program is compiled for each size of store, which takes 1 to 2 s. With fewer episodes, all
# small stores share one solver.
_LOOK_UP_INSIDE_FROM = 50_000
_LEAST_AGAIN = 128  # episodes


class Job(NamedTuple):
    """The arguments that all chunks of a classifier's run share.

    Attributes:
      source: gives inner products of rows.
      spec: the classifier with its strengths; the property `classifier` is the object that solves it.
      protocol: what an episode is.
      strengths: (strengths,) float32; a filler if the classifier has no strength or chooses it.
      key: the key of the classifier's own random stream.
      clips: the clip table.
      first: the source's number of each clip's first row, by row of the clip table; -1 for clips that are not in the
          source.
      drawn: the episodes.
      keeps_scores: whether the queries' scores are returned.
    """

    source: GramSource | SummedByEpisode
    spec: ClassifierSpec
    classifier: Classifier | Transductive | Auto
    protocol: Protocol
    strengths: jax.Array
    key: jax.Array
    clips: ClipTable
    first: np.ndarray
    drawn: Drawn
    keeps_scores: bool = False

    @property
    def returns_models(self) -> bool:
        """Whether the solver returns its models.

        It returns the models of a single strength, which are small, even if they are not needed. Stores whose queries
        have one segment and stores whose queries have several segments then share one compiled solver."""
        has_model = not is_transductive(self.classifier)
        return has_model and self.protocol.query_segments != "one" and len(self.spec.strengths) == 1

    @property
    def n_answers(self) -> int:
        """How many arrays the solver returns for each episode: predictions, residuals, iterations, rounding errors and,
        with `AUTO`, choices; if scores are kept, scores instead of predictions, and two factors for them."""
        return (5 if isinstance(self.classifier, Auto) else 4) + (2 if self.keeps_scores else 0)

    def static(self, several: bool) -> tuple:
        """The arguments for which the solver is compiled: classifier, ways, shots, and whether it returns scores."""
        protocol = self.protocol
        scores = self.keeps_scores or (several and protocol.query_segments == "mean")
        return self.classifier, protocol.n_way, protocol.k_shot, scores


class Solver:
    """Solves a job's chunks on the devices.

    Args:
      mesh: the devices.
      drawer: gives the drawn clips, chunk by chunk.
    """

    def __init__(self, mesh: Mesh, drawer: Drawer):
        self._mesh, self._drawer = mesh, drawer
        self.on_cpu = mesh.devices.flat[0].platform == "cpu"
        self.kernels = Kernels(mesh)

    def solve(self, job: Job, shape: ChunkShape, tell: Callable[[int], None]) -> list[list[np.ndarray]]:
        """Solve all chunks.

        Args:
          job: what is solved.
          shape: of a chunk.
          tell: called with the number of episodes that have been solved so far.

        Returns:
          the results of `jit_solve` without the models for each chunk (on an accelerator: for all chunks together),
          [strengths, episodes, ...]; if scores are kept, the results of `kept_answers`.
        """
        protocol, pool, n_segments = job.protocol, job.drawn.pool, job.clips.n_segments
        long_clips = bool((n_segments[pool.all_clips] > 1).any())
        several = protocol.query_segments != "one" and long_clips
        if several and is_transductive(job.classifier):
            raise UserError(
                f"'{job.spec.name}' decides all queries of an episode together, one segment of each, and clips have up to "
                f"{int(n_segments.max())} segments; add --query-segments one"
            )
        # Padded, so that all small stores share one compiled program.
        length = padded_length(len(n_segments), LEAST_CLIPS)
        lists = (np.pad(x.astype(np.int32), (0, length - len(x))) for x in (job.first, n_segments))
        on_device = jax.device_put(tuple(lists), NamedSharding(self._mesh, P()))
        # A query that is classified by all its segments starts with the first one. (Supports then draw a segment even
        # if clips have only one, so that all such stores share a compiled solver.)
        drawn = (True, False) if protocol.query_segments != "one" else (long_clips, long_clips)
        parts: list[list[np.ndarray]] = []
        waiting: collections.deque[tuple] = collections.deque()
        plan = None
        on_host = self.on_cpu or several or job.keeps_scores
        if not (several or job.keeps_scores or isinstance(job.source, SummedByEpisode)):
            plan = self.kernels.plan(job.classifier, job.source, protocol, shape.episodes, len(job.strengths))

        def collect():
            start, stop, support, out, in_kernel = waiting.popleft()
            with stage("scoring"):
                if on_host:
                    part = self._on_host(job, out, stop - start)
                    if several:
                        part[0] = self._decide_by_all_segments(job, start, stop, support, part[0], out[-1], shape)
                    parts.append(kept_answers(job.classifier, part) if job.keeps_scores else part)
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
            numbers = episode_numbers(start, shape, self._mesh)
            support: Any = None
            out: Any = None
            if plan:
                with stage("solving"):
                    arguments = (*on_device, job.drawn.key, clips, numbers, job.strengths)
                    assert not isinstance(job.source, SummedByEpisode)
                    out = finished(self.kernels.solve(plan, job.source, drawn, arguments))
            in_kernel = out is not None
            if not in_kernel:
                plan = None
                support, out = self._solve_chunk(job, several, drawn, on_device, clips, numbers)
            if not on_host:
                out = send(out[: job.n_answers])
            waiting.append((start, stop, support, out, in_kernel))
            # The host works on one chunk while the devices work on the next.
            if len(waiting) > 1:
                collect()
        while waiting:
            collect()
        return parts

    def _solve_chunk(self, job: Job, several: bool, drawn: tuple[bool, bool], on_device, clips, numbers):
        """The supports' rows (None if they are not needed later), and the results of `jit_solve`."""
        want_model = several or job.returns_models
        inside = job.protocol.n_episodes >= _LOOK_UP_INSIDE_FROM and not is_transductive(job.classifier)
        if inside and self.on_cpu and isinstance(job.source, Precomputed):
            static = *job.static(several), drawn, want_model
            unknown = {"has_unknown": True} if job.protocol.unknown_ways else {}
            function = jit_look_up_and_solve(self._mesh, *static, **_if_kept(job), **unknown)
            arguments = (job.source.gram, *on_device, job.drawn.key, clips, numbers, job.key, job.strengths)
            with stage("solving"):
                out = finished(PROGRAMS(function, *arguments, options=self._options(job)))
            return (out[0], out[1:]) if want_model else (None, out)
        with stage("sampling"):
            ways = (job.protocol.n_way,) if job.protocol.unknown_ways else ()
            rows = jit_rows(self._mesh, job.protocol.k_shot, *drawn, *ways)
            support, query = finished(PROGRAMS(rows, *on_device, job.drawn.key, clips, numbers))
        with stage("Gram"):
            gram_ss, gram_qs = finished(source_of(job.source, numbers).blocks(support, query))
            of_queries = self._of_queries(job, query, numbers)
        function = jit_solve(self._mesh, *job.static(several), want_model=want_model, **_if_kept(job))
        with stage("solving"):
            arguments = (gram_ss, gram_qs, numbers, job.key, job.strengths, *of_queries)
            out = PROGRAMS(function, *arguments, options=self._options(job))
            if not self.on_cpu:
                own = job.n_answers
                out = *PROGRAMS(jit_strength_first(self._mesh), out[:own]), *out[own:]
            return support, finished(out)

    def _of_queries(self, job: Job, query, numbers) -> tuple[jax.Array, ...]:
        """The arguments that the classifier needs for the queries besides their inner products with the supports."""
        source = source_of(job.source, numbers)
        if is_transductive(job.classifier):
            products, _ = finished(source.blocks(query, query[:, :0]))
            counts = jax.device_put(_counts(job, np.asarray(numbers)), NamedSharding(self._mesh, P(AXIS)))
            return products, counts
        return (finished(source.squared_lengths(query)),) if wants_squared_lengths(job.classifier) else ()

    def _solve_again(self, job: Job, drawn, on_device, answers: list[np.ndarray], start: int, stop: int, shape):
        """Solve the episodes of a chunk that did not converge in the kernel with the general solver."""
        residual = answers[1]
        failed = ~(residual[:, start:stop] <= CONVERGED)
        which = np.flatnonzero(failed.any(0))
        n_devices = self._mesh.devices.size
        # In few different sizes, since each size is compiled.
        shape = ChunkShape(n_devices, min(shape.block, padded_length(-(-len(which) // n_devices), _LEAST_AGAIN)))
        for at in range(0, len(which), shape.episodes):
            part = which[at : at + shape.episodes]
            blocks = in_blocks(job.drawn.clips[start + part], shape), in_blocks((start + part).astype(np.uint32), shape)
            clips, numbers = jax.device_put(blocks, NamedSharding(self._mesh, P(AXIS)))
            _, out = self._solve_chunk(job, False, drawn, on_device, clips, numbers)
            with stage("scoring"):
                for mine, new in zip(answers, self._on_host(job, out, len(part)), strict=True):
                    for row, again in enumerate(failed[:, part]):
                        mine[row, start + part[again]] = new[row, again]

    def _on_host(self, job: Job, out, n_episodes: int) -> list[np.ndarray]:
        """Bring predictions, residuals, iterations, rounding errors and choices to the host, with strengths and
        episodes as first axes."""
        fetched = jax.device_get(out[: job.n_answers])
        if not self.on_cpu:
            return [x[:, :n_episodes] for x in fetched]
        # This is as fast, and one small program less has to be loaded.
        return [strength_first(x, n_episodes) for x in fetched]

    def _options(self, job: Job):
        return solver_options(self._mesh, job.classifier, job.protocol.n_support)

    def _decide_by_all_segments(self, job, start, stop, support, answers, models, shape):
        """Classify all segments after each query's first, and classify each query from all of its segments."""
        protocol = job.protocol
        query_clip = job.drawn.clips[start:stop, :, protocol.k_shot :].reshape(stop - start, -1)
        passes = further_passes(job.first[query_clip], job.clips.n_segments[query_clip])
        support = episodes_first(support)[passes.episode]
        models = jax.tree.map(lambda x: episodes_first(x)[passes.episode], jax.device_get(models))
        numbers = (start + passes.episode).astype(np.uint32)
        sharding = NamedSharding(self._mesh, P(AXIS))
        function = jit_score(self._mesh, *job.static(True))
        outputs = [answers[:, :0]]
        for at in range(0, len(passes.episode), shape.episodes):
            part = slice(at, at + shape.episodes)
            blocks = jax.tree.map(lambda x: in_blocks(x[part], shape), (support, passes.rows, numbers, models))  # noqa: B023
            rows, further, repeated, repeated_models = jax.device_put(blocks, sharding)
            with stage("Gram"):
                gram_ss, gram_qs = finished(source_of(job.source, repeated).blocks(rows, further))
                of_queries = self._of_queries(job, further, repeated)
            with stage("solving"):
                arguments = (gram_ss, gram_qs, repeated, job.key, repeated_models, *of_queries)
                out = finished(PROGRAMS(function, *arguments, options=self._options(job)))
            outputs.append(strength_first(jax.device_get(out), len(passes.episode[part])))
        further = np.concatenate(outputs, 1)
        if protocol.query_segments == "mean":
            total = summed_scores(answers, further, passes)
            if job.keeps_scores:
                clips = job.clips.n_segments[query_clip]
                return (total / clips[None, :, :, None]).astype(np.float32)
            return highest(total)
        return majority(answers, further, passes, protocol.n_way)


def _if_kept(job: Job) -> dict[str, bool]:
    """The solver's further arguments if scores are kept; empty otherwise, so that all other runs share their compiled
    code."""
    return {"calibrate": True} if job.keeps_scores else {}


def _counts(job: Job, numbers: np.ndarray) -> np.ndarray:
    """1 where a place of an episode holds a query, 0 where the place is only padding: [blocks, queries, episodes of a
    block]."""
    n_way, places = job.protocol.n_way, job.protocol.n_query
    if job.drawn.query_count is None:
        return np.ones((len(numbers), n_way * places, numbers.shape[1]), np.float32)
    # A short chunk is filled up with further episodes, whose results are not used.
    count = job.drawn.query_count[np.minimum(numbers, job.protocol.n_episodes - 1)]
    held = np.arange(places) < count[..., None]
    return np.moveaxis(held.reshape(*numbers.shape, n_way * places), 1, -1).astype(np.float32)
