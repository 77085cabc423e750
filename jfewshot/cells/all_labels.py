"""The last point of a curve over shots (`--shots all`): one classifier is trained on all support clips of an episode's classes.

Episodes with the same classes share their classifier, so the cost depends on the number of different sets of classes,
and not on the number of episodes. The queries are those of the curve. Every segment of a support clip is a support.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int

from jfewshot.cells.planning import Cell
from jfewshot.classifiers.linalg import slot_type
from jfewshot.episodes.separate import Supports
from jfewshot.errors import UserError
from jfewshot.evaluator.drawer import Drawn
from jfewshot.evaluator.evaluator import Solved
from jfewshot.evaluator.full_data import Fit, fit_and_score
from jfewshot.store.fused import FusedView
from jfewshot.threads import one_blas_thread

KIND = "all labels"
_LARGE = 2000  # supports


def solve_all_labels(
    view: np.ndarray | FusedView, cell: Cell, drawn: Drawn, memory_bytes: int, on_progress: Callable[[int], None]
) -> Iterator[Solved]:
    """Train on all labels and classify the queries of every episode.

    Args:
      view: the embeddings of the cell's clip table.
      cell: a cell whose protocol has `all_labels`.
      drawn: its episodes.
      memory_bytes: memory for the embeddings in float64.
      on_progress: called with the number of episodes that were just solved.

    Yields:
      The result of each strength.

    Raises:
      UserError: if the embeddings do not fit in memory.
    """
    support = drawn.pool.support
    assert support is not None
    problem = _Problem(view, cell, drawn, support, memory_bytes)
    for strength in cell.spec.strengths:
        started = time.perf_counter()
        n_episodes, n_way, _ = drawn.clips.shape
        predicted = np.empty((n_episodes, problem.queries.shape[1] * n_way), slot_type(n_way))
        facts = np.empty((3, n_episodes))  # residual, iterations, chosen
        for number, classes in enumerate(problem.sets):
            episodes = np.flatnonzero(problem.set_of_episode == number)
            rows, labels = problem.supports_of(classes)
            clips, starts, query_rows = problem.queries_of(episodes)
            supports, queries = problem.embeddings[rows], problem.embeddings[query_rows]
            # Several threads help only for large matrices; for small ones, starting them takes longer than the work.
            with one_blas_thread() if len(rows) < _LARGE else contextlib.nullcontext():
                fit = fit_and_score(supports, labels, queries, n_way, cell.spec, strength)
            tally = _of_clips(fit, starts, cell.protocol.query_segments)
            predicted[episodes] = _slots(tally, clips, problem, episodes, classes)
            chosen = -1 if fit.chosen is None else fit.chosen
            facts[:, episodes] = np.array([fit.residual, fit.iterations, chosen])[:, None]
            on_progress(len(episodes))
        yield Solved(
            spec=cell.spec,
            strength=strength,
            predicted=predicted,
            residual=facts[0],
            iterations=facts[1],
            rounding=np.full(n_episodes, np.nan),
            wall_s=time.perf_counter() - started,
            compile_s=0.0,
            gram_kind=KIND,
            chosen=facts[2].astype(np.int64) if facts[2].min(initial=0) >= 0 and n_episodes else None,
        )


class _Problem:
    """The embeddings that are used, and those of each episode's classes and queries.

    Attributes:
      embeddings: float64 embeddings of all clips that are used.
      classes: class of each slot of each episode.
      sets: the sets of classes that were drawn, each sorted.
      set_of_episode: the index in `sets` of each episode's classes.
      queries: query clips of each slot of each episode, flattened to episodes * n_way x n_query.
    """

    def __init__(self, view: np.ndarray | FusedView, cell: Cell, drawn: Drawn, support: Supports, memory_bytes: int):
        clips = cell.clips
        size = int(clips.n_segments[drawn.pool.all_clips].sum()) * view.shape[1] * 8
        if size > memory_bytes:
            raise UserError(
                f"--shots all needs the embeddings of {cell.store.path} in float64, {size / 2**30:.2g} GiB, and "
                f"{memory_bytes / 2**30:.2g} GiB may be used; raise --memory-gb, or leave out all"
            )
        used = drawn.pool.all_clips
        rows, starts = clips.rows(used)
        self.embeddings: Float[np.ndarray, "rows dim"] = cell.transform(view[rows]).astype(np.float64)
        self._first = np.full(len(clips), -1, np.int64)
        self._first[used] = starts
        self._n_segments = clips.n_segments.astype(np.int64)
        self._support = support
        k_shot = cell.protocol.k_shot
        self.queries = drawn.clips[:, :, k_shot:].astype(np.int64)
        self.classes = drawn.pool.class_of_row(len(clips))[self.queries[:, :, 0]]
        self.sets, self.set_of_episode = np.unique(np.sort(self.classes, axis=1), axis=0, return_inverse=True)
        self.set_of_episode = self.set_of_episode.reshape(-1)
        self.one = cell.protocol.query_segments == "one" and bool((self._n_segments[used] > 1).any())
        self._segment = drawn.segment[:, :, k_shot:] if self.one else None
        n_episodes, n_way, n_query = self.queries.shape
        self.queries = self.queries.reshape(n_episodes * n_way, n_query)

    def supports_of(self, classes: Int[np.ndarray, " n_way"]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the embeddings of all supports of some classes, and for each row the index of its class."""
        starts, counts = self._support.start[classes], self._support.count[classes]
        clips = np.concatenate([self._support.clips[a : a + n] for a, n in zip(starts, counts, strict=True)])
        rows, _ = self._rows(clips)
        return rows, np.repeat(np.repeat(np.arange(len(classes)), counts), self._n_segments[clips])

    def queries_of(self, episodes: Int[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The distinct queries of some episodes, the position of each query's first row, and the rows.

        If one segment of each query is drawn, a query is a separate row in every episode.
        """
        n_way = self.classes.shape[1]
        own = self.queries.reshape(-1, n_way, self.queries.shape[1])[episodes]
        if self._segment is None:
            clips = np.unique(own)
            rows, starts = self._rows(clips)
            return clips, starts, rows
        clips = own.ravel()
        within = (self._segment[episodes].ravel() * self._n_segments[clips]).astype(np.int64)
        return np.arange(len(clips)), np.arange(len(clips)), self._first[clips] + within

    def _rows(self, clips: Int[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
        count = self._n_segments[clips]
        starts = np.cumsum(count) - count
        return np.repeat(self._first[clips] - starts, count) + np.arange(count.sum()), starts


def _of_clips(fit: Fit, starts: np.ndarray, how: str) -> Float[np.ndarray, "clips n_way"]:
    """Votes, or summed scores, of each clip's segments for each class; a clip of one segment keeps its scores."""
    if len(starts) == len(fit.scores):
        return fit.scores
    if how == "vote":
        votes = np.eye(fit.scores.shape[1])[fit.scores.argmax(axis=1)]
        return np.add.reduceat(votes, starts, axis=0)
    return np.add.reduceat(fit.scores, starts, axis=0)


def _slots(
    tally: Float[np.ndarray, "clips n_way"],
    clips: Int[np.ndarray, " clips"],
    problem: _Problem,
    episodes: Int[np.ndarray, " n"],
    classes: Int[np.ndarray, " n_way"],
) -> Int[np.ndarray, "n n_queries"]:
    """The slot that each query is assigned to; the order of the slots differs between episodes with the same classes."""
    n_way = len(classes)
    column_of_slot = np.searchsorted(classes, problem.classes[episodes])  # n x n_way
    if problem.one:
        place = clips.reshape(len(episodes), -1)
    else:
        own = problem.queries.reshape(-1, n_way, problem.queries.shape[1])[episodes]
        place = np.searchsorted(clips, own).reshape(len(episodes), -1)
    by_slot = np.take_along_axis(tally[place], column_of_slot[:, None, :], axis=2)
    return by_slot.argmax(axis=2)
