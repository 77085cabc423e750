"""Embeddings and pools of cells whose supports and queries come from different clips."""

import numpy as np

from jfewshot.cells.planning import Cell
from jfewshot.evaluator.drawer import Drawn
from jfewshot.statistics.pool import SidesOfClips
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedView
from jfewshot.store.joined import JoinedTable, join_views
from jfewshot.store.view_checks import CheckedViews, Wanted


class JoinedViews:
    """The embeddings for episodes with supports from another store; the last embeddings are kept."""

    def __init__(self) -> None:
        self._checked = CheckedViews()
        self._last: tuple[np.ndarray, np.ndarray, ClipTable, np.ndarray] | None = None

    def get(self, cell: Cell, view: np.ndarray | FusedView, most_bytes: int) -> np.ndarray | FusedView:
        """The embeddings of a cell's own store, followed by those of the store of its supports.

        Args:
          cell: the cell.
          view: view of its store.
          most_bytes: largest allowed size of the copy of both.

        Returns:
          segments x dim, with the row numbers of the cell's clip table; the store's own view if supports come from the
          same store.
        """
        if cell.support is None or not isinstance(cell.clips, JoinedTable):
            return view
        first, second = cell.clips.first, cell.clips.second
        theirs = self._checked.get(Wanted(cell.support, cell.view, second))
        assert not isinstance(view, FusedView)
        assert not isinstance(theirs, FusedView)
        last = self._last
        if last is None or last[0] is not view or last[1] is not theirs or last[2] is not cell.clips:
            self._last = None  # free its memory before the same amount is allocated again
            joined = join_views(view, first.n_rows, theirs, second.n_rows, most_bytes)
            self._last = last = view, theirs, cell.clips, joined
        return last[3]


def may_be(drawn: Drawn, n_clips: int) -> dict[str, np.ndarray]:
    """Which clips of the table can be supports and which can be queries, if these are drawn from separate pools.

    Args:
      drawn: the episodes.
      n_clips: how many clips the table has.

    Returns:
      columns of the file of draws, 1 if a clip can be on the side; none if all clips can be on both sides.
    """
    support = drawn.pool.support
    if support is None:
        return {}
    columns = {}
    for name, rows in (("may_support", support.clips), ("may_query", drawn.pool.clips)):
        columns[name] = np.zeros(n_clips, np.uint8)
        columns[name][rows] = 1
    return columns


def sides_of(drawn: Drawn, clips: ClipTable) -> SidesOfClips | None:
    """The sides of clips for the statistics; None if all clips can be on both sides.

    Args:
      drawn: the episodes.
      clips: the table that they were drawn from.
    """
    columns = may_be(drawn, len(clips))
    if not columns:
        return None
    unit = clips.unit if isinstance(clips, JoinedTable) else np.arange(len(clips))
    return SidesOfClips(columns["may_support"], columns["may_query"], unit)
