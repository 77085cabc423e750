"""Evaluate classifiers on thousands of episodes at once: embeddings, episodes and classifiers in, predictions out.

The steps for a chunk of episodes: episode numbers -> drawn clips (drawing.py) -> rows of the embeddings -> inner
products (gram.py) -> classifiers -> predicted class slots. Arrays on the device are [blocks, ..., episodes of a block]:
blocks are divided among the devices, and each device solves its blocks one after the other, so that a block's matrices
stay in a core's cache. Within a block the episodes are the last axis (linalg.py). The solver is compiled once per
(classifier, ways, shots, queries) and serves every store.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int

from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.specs import AUTO, ClassifierSpec, StrengthValue
from jfewshot.classifiers.transductive import is_transductive
from jfewshot.episodes.protocol import Protocol, whole_number
from jfewshot.errors import UserError
from jfewshot.evaluator.chosen_weights import ChosenWeights
from jfewshot.evaluator.chunking import Chunking
from jfewshot.evaluator.devices import default_memory_budget, episode_mesh
from jfewshot.evaluator.drawer import Drawer, Drawn
from jfewshot.evaluator.gram import GramSource, holds_whole_store
from jfewshot.evaluator.parts import FusedTransform, SummedByEpisode
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.programs import PROGRAMS, TRACES
from jfewshot.evaluator.solving import Job, Solver
from jfewshot.evaluator.sources import Sources
from jfewshot.randomness import stream_key
from jfewshot.results.scores import QueryScores
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedView
from jfewshot.threads import one_blas_thread

__all__ = ["TRACES", "Drawn", "Evaluator", "Solved"]

_LARGE_STORE = 4096  # segments
_MOST_MEMORY, _MOST_EPISODES = 2**50, 2**24  # bytes, episodes of a block


@dataclasses.dataclass(frozen=True)
class Solved:
    """The results for one classifier at one strength.

    Attributes:
      spec: the classifier.
      strength: the strength, `AUTO`, or None.
      predicted: the slot that each query was assigned to, queries in class-major order; the correct slot in places
          without a query.
      residual, iterations: per episode; NaN for closed forms.
      rounding: per episode, the scores' rounding error as a share of their spread; NaN for classifiers that are not linear.
      wall_s: time for the episodes without compilation, divided evenly among the strengths that were solved together.
      compile_s: time for compilation, divided in the same way.
      gram_kind: the kind of source of the inner products.
      chosen: with `AUTO`, the index of each episode's strength in the classifier's grid, else None.
      scores: the scores of all queries if they were requested, else None.
      weights: the weights of a fusion's parts in each episode if the episode chose them, else None.
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
    scores: QueryScores | None = None
    weights: Float[np.ndarray, "episodes parts"] | None = None


class Evaluator:
    """Evaluates classifiers on episodes; keep one for a whole run, so that compiled code and drawn episodes are shared.

    Args:
      devices: the devices among which episodes are divided; None for all devices of this process.
      memory_bytes: memory for embeddings, Gram matrices and chunks; None for `default_memory_budget`.
      block: episodes per block; None to choose a number that suits the device and the episode's size.

    Raises:
      UserError: if `memory_bytes` or `block` is not a whole number, is less than 1 or exceeds the memory of any
          machine.
    """

    def __init__(
        self, devices: list[jax.Device] | None = None, memory_bytes: int | None = None, block: int | None = None
    ):
        if memory_bytes is not None:
            memory_bytes = _at_least_one(memory_bytes, "memory_bytes", _MOST_MEMORY)
        if block is not None:
            block = _at_least_one(block, "block", _MOST_EPISODES)
        self.mesh: Mesh = episode_mesh(devices)
        self.memory_bytes = default_memory_budget() if memory_bytes is None else memory_bytes
        self._chunking = Chunking(self.mesh, self.memory_bytes, block)
        self._drawer = Drawer(self.mesh, self._chunking, self.memory_bytes)
        self._solver = Solver(self.mesh, self._drawer)
        self._sources = Sources(self.mesh, self.memory_bytes)
        self._weights = ChosenWeights(self.mesh, self._drawer, self._chunking)

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
        self._sources.forget()

    def evaluate(
        self,
        view: np.ndarray | FusedView,
        clips: ClipTable,
        transform: Transform | FusedTransform,
        protocol: Protocol,
        specs: Sequence[ClassifierSpec],
        *,
        dataset: str = "the store",
        keep_scores: bool = False,
        on_progress: Callable[[int], None] = lambda episodes: None,
    ) -> Iterator[Solved]:
        """Evaluate classifiers on one view under one protocol.

        Args:
          view: segments x dim, as stored; or a view of each part of a fusion.
          clips: the clip table, which assigns rows to clips; may have fewer clips than the view.
          transform: the preprocessing.
          protocol: what an episode is, and how many there are.
          specs: classifiers with their strengths.
          dataset: its name, for messages.
          keep_scores: whether the scores of all queries are returned too; needed where there are unknown classes.
          on_progress: called with the number of episodes just solved.

        Yields:
          One `Solved` per classifier and strength.
        """
        drawn = self.draw(clips, protocol, dataset)
        drawn = drawn.whole or drawn
        # Thousands of episodes use only a part of a large store, but nearly all of a small store.
        n_segments = int(clips.n_segments[drawn.pool.all_clips].sum())
        whole = n_segments <= _LARGE_STORE or holds_whole_store(n_segments, view.shape[1], self.mesh, self.memory_bytes)
        rows, first = _rows_of_clips(clips, drawn.pool.all_clips if whole else drawn.used)
        wanted = protocol.n_episodes * protocol.n_support * (protocol.n_support + protocol.n_asked)
        for spec in specs:
            shifted = bool(spec.classifier.translation_invariant)
            source: GramSource | tuple[GramSource, ...]
            if isinstance(view, FusedView) and view.shares is None and protocol.k_shot > 1:
                assert isinstance(transform, FusedTransform)
                source = self._sources.of_parts(view, rows, transform, shifted, wanted)
            else:
                # At one shot no support can be left out, and chosen weights are equal weights.
                whole_view = view.with_equal_shares if isinstance(view, FusedView) else view
                source = self._sources.of(whole_view, rows, transform, shifted, wanted)
            # Choosing strengths needs another compiled program than solving with given strengths.
            for automatic in (False, True):
                strengths = tuple(strength for strength in spec.strengths if (strength == AUTO) == automatic)
                if strengths:
                    part = spec._replace(strengths=strengths)
                    yield from self._solve_all(source, clips, first, drawn, protocol, part, keep_scores, on_progress)

    def _solve_all(self, source, clips, first, drawn, protocol, spec, keep_scores, on_progress) -> Iterator[Solved]:
        started, compiled_before = time.perf_counter(), PROGRAMS.compile_s
        weights = None
        if isinstance(source, tuple):
            weights = self._weights.of(source, clips, first, drawn, protocol)
            source = SummedByEpisode(source, weights, self.mesh)
        job = Job(
            source=source,
            spec=spec,
            classifier=Auto(spec.classifier) if AUTO in spec.strengths else spec.classifier,
            protocol=protocol,
            strengths=jnp.array([1.0 if value in (None, AUTO) else value for value in spec.strengths], jnp.float32),
            key=jnp.asarray(stream_key(protocol.seed, clips.stream, "classifier", spec.name)),
            clips=clips,
            first=first,
            drawn=drawn,
            keeps_scores=keep_scores,
        )
        told = 0

        def tell(solved: int) -> None:
            # After running out of memory some episodes are solved twice; progress counts them once.
            nonlocal told
            if solved > told:
                on_progress(solved - told)
                told = solved

        # Only if small matrices are passed to LAPACK: products of whole stores are faster with several threads.
        small = self._solver.on_cpu and isinstance(job.classifier, Auto)
        with one_blas_thread() if small else contextlib.nullcontext():
            together = is_transductive(job.classifier)
            parts = self._chunking.run(protocol.as_drawn, lambda shape: self._solver.solve(job, shape, tell), together)
        predicted, residual, iterations, rounding, *more = (
            part[0] if len(part) == 1 else np.concatenate(part, 1) for part in zip(*parts, strict=True)
        )
        compile_s = PROGRAMS.compile_s - compiled_before
        wall_s = time.perf_counter() - started - compile_s
        scores = more[-3:] if keep_scores else None
        chosen = more[:-3] if keep_scores else more
        for number, strength in enumerate(spec.strengths):
            yield Solved(
                spec=spec,
                strength=strength,
                predicted=_with_filler(predicted[number][:, : protocol.n_queries], drawn.query_count),
                residual=residual[number],
                iterations=iterations[number],
                rounding=rounding[number],
                wall_s=wall_s / len(spec.strengths),
                compile_s=compile_s / len(spec.strengths),
                gram_kind=source.kind,
                chosen=chosen[0][number] if chosen else None,
                scores=None if scores is None else QueryScores(*(part[number] for part in scores)),
                weights=weights,
            )


def _with_filler(predicted: np.ndarray, query_count: np.ndarray | None) -> np.ndarray:
    """Predictions in which places without a query hold the correct slot, which takes the least space in a file."""
    if query_count is None:
        return predicted
    n_way = query_count.shape[1]
    by_slot = predicted.reshape(len(predicted), n_way, -1)
    counts = np.arange(by_slot.shape[2]) < query_count[:, :, None]
    true = np.arange(n_way, dtype=predicted.dtype)[:, None]
    return np.where(counts, by_slot, true).reshape(predicted.shape)


def _at_least_one(value: int, name: str, most: int) -> int:
    number = whole_number(value, name)
    if not 1 <= number <= most:
        raise UserError(f"{name} is {str(number)[:40]}; it must be from 1 to {most}")
    return number


def _rows_of_clips(clips: ClipTable, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The view's rows that belong to some clips, and each clip's first position among these rows (by row of the clip table)."""
    rows, starts = clips.rows(used)
    first = np.full(len(clips), -1, np.int32)
    first[used] = starts
    return rows, first
