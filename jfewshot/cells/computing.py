"""Make records from cells: existing records are read, and the others are computed."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jfewshot.cells.all_labels import solve_all_labels
from jfewshot.cells.finishing import Finishing
from jfewshot.cells.joining import JoinedViews, may_be
from jfewshot.cells.mteb import solve_mteb
from jfewshot.cells.planning import Cell
from jfewshot.cells.record_parts import names_of, parts_of_solved, pool_of, shared_parts
from jfewshot.cells.scored import parts_of_scores
from jfewshot.classifiers.specs import StrengthValue
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator, Solved
from jfewshot.profiling import stage
from jfewshot.results import Records
from jfewshot.store.view_checks import CheckedViews, Wanted

log = logging.getLogger(__name__)


def missing_of(cell: Cell, folder: Records) -> list[StrengthValue]:
    """The strengths of a cell that have no record yet."""
    return [strength for strength in cell.spec.strengths if folder.find(cell.key(strength)) is None]


def evaluate_cells(
    cells: Sequence[Cell],
    evaluator: Evaluator,
    folder: Records | None,
    on_progress: Callable[[int], None] = lambda episodes: None,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Compute the records of all cells that have none yet.

    Args:
      cells: the wanted cells.
      evaluator: the evaluator.
      folder: the folder of records; None to keep nothing.
      on_progress: called with a number of episodes when they are solved, or when their record was found.

    Yields:
      Each record, and whether it was computed now (True) or found (False).
    """
    finishing, upcoming = Finishing(), _Upcoming(cells, folder)
    try:
        for number, cell in enumerate(cells):
            keys = [cell.key(strength) for strength in cell.spec.strengths]
            if len(finishing) and any(key in finishing for key in keys):
                yield from ((record, True) for record in finishing.take(0))
            missing, names = [], None
            for strength, key in zip(cell.spec.strengths, keys, strict=True):
                found = folder.find(key) if folder else None
                if found is None:
                    missing.append(strength)
                else:
                    on_progress(cell.protocol.n_episodes)
                    yield from ((record, True) for record in finishing.take(0))
                    names = names or names_of(cell)
                    yield _under_its_name(found, names), False
            if missing:
                if folder is not None:
                    folder.check_writable()
                wanted = dataclasses.replace(cell, spec=cell.spec._replace(strengths=tuple(missing)))
                for _ in _compute(wanted, upcoming.after(number), evaluator, folder, on_progress, finishing):
                    yield from ((record, True) for record in finishing.take())
    except UserError:
        yield from ((record, True) for record in finishing.take(0))
        raise
    else:
        yield from ((record, True) for record in finishing.take(0))
    finally:
        finishing.close()
        if folder is not None:
            folder.flush()


def found_records(cells: Sequence[Cell], folder: Records) -> Iterator[dict[str, Any]]:
    """Read the records of cells that exist; cells without a record are left out.

    Args:
      cells: what is wanted.
      folder: where records are looked up.

    Yields:
      Each record, with the names of its cell.
    """
    for cell in cells:
        names = None
        for strength in cell.spec.strengths:
            found = folder.find(cell.key(strength))
            if found is not None:
                names = names or names_of(cell)
                yield _under_its_name(found, names)


def _under_its_name(found: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """A found record with the names of a cell; equal embeddings share a record, and may have two names."""
    was = found["upstream"]["name"], found["dataset"]["name"], found["view"]["name"]
    now = names["upstream"]["name"], names["dataset"]["name"], names["view"]["name"]
    if was != now:
        log.warning(
            "%s on %s, %s: these are the same embeddings as those of %s on %s, %s; the record is kept under that name",
            *now,
            *was,
        )
    return found | names


def _view_of(cell: Cell) -> Wanted:
    return Wanted(cell.store, cell.view, cell.own_clips)


class _Upcoming:
    """Finds the next cell of another view that has to be computed, in one pass over all cells."""

    def __init__(self, cells: Sequence[Cell], folder: Records | None):
        self._cells, self._folder = cells, folder
        self._place = 0

    def after(self, number: int) -> Cell | None:
        """The next cell of another view that has to be computed.

        Args:
          number: number of the current cell; never smaller than in an earlier call.
        """
        cell = self._cells[number]
        self._place = max(self._place, number + 1)
        while self._place < len(self._cells):
            later = self._cells[self._place]
            if not _is_same_view(later, cell) and self._has_to_be_computed(later):
                return later
            # Cells of one view are consecutive, so a cell that is passed here is never the next view of a later cell.
            self._place += 1
        return None

    def _has_to_be_computed(self, cell: Cell) -> bool:
        try:
            return self._folder is None or any(
                self._folder.find(cell.key(strength)) is None for strength in cell.spec.strengths
            )
        except UserError:
            return False  # reported later, since the cells before it are computed first


def _is_same_view(one: Cell, other: Cell) -> bool:
    return (
        one.store is other.store
        and one.view == other.view
        and one.clips is other.clips
        and one.support is other.support
    )


# One object for all calls in this process: a call may have a single cell, and the next call may use the same view.
_CHECKED = CheckedViews()
_JOINED = JoinedViews()


def _compute(cell, then, evaluator, folder, on_progress, finishing) -> Iterator[None]:
    """Solve a cell and submit its records to be finished; yields after each."""
    store, clips = cell.store, cell.clips
    with stage("reading"):
        view = _CHECKED.get(_view_of(cell), None if then is None else _view_of(then))
        view = _JOINED.get(cell, view, evaluator.memory_bytes)
    drawn = evaluator.draw(clips, cell.protocol, store.dataset)
    # Copied to the host by this thread, because only this thread may free memory of the devices.
    arrays = {"clips": drawn.clips, "segment": drawn.support_segment}
    if drawn.whole is not None:
        arrays["unknown"] = drawn.whole.clips[:, cell.protocol.n_way :, cell.protocol.k_shot :]
    # The same for all strengths.
    parts: dict[str, Any] = {}

    def finish(solved: Solved) -> dict[str, Any]:
        with stage("statistics"):
            if not parts:
                parts.update(shared_parts(cell, drawn, evaluator))
            record = {"identity": cell.identity(solved.strength), **parts, **parts_of_solved(solved, drawn, clips)}
            if solved.scores is not None:
                pool = pool_of(drawn, clips, cell.protocol.k_shot)
                whole = None if drawn.whole is None else pool_of(drawn.whole, clips, cell.protocol.k_shot)
                record |= parts_of_scores(solved.scores, solved.predicted, cell.protocol, pool, whole)
        with stage("writing"):
            if folder is None:
                kept = {} if solved.scores is None else {"scores": solved.scores}
                return record | {"draws": "", "predicted": solved.predicted, **kept}
            if "draws" not in parts:
                table = {
                    "clip_id": clips.clip_id,
                    "class": clips.class_name,
                    "group": clips.group,
                    "split": clips.split,
                    **may_be(drawn, len(clips)),
                    **{
                        name: count
                        for name in ("query_count", "support_count")
                        if (count := getattr(drawn, name)) is not None
                    },
                }
                parts["draws"] = folder.write_draws(cell.draw_identity(), arrays | table)
            return folder.write_cell(record | {"draws": parts["draws"]}, solved.predicted, solved.scores)

    found: Iterator[Solved]
    if cell.protocol.mteb is not None:
        assert isinstance(view, np.ndarray)
        found = solve_mteb(view, cell, drawn, evaluator.memory_bytes, on_progress)
    elif cell.protocol.all_labels:
        found = solve_all_labels(view, cell, drawn, evaluator.memory_bytes, on_progress)
    else:
        found = evaluator.evaluate(
            view,
            clips,
            cell.transform,
            cell.protocol,
            [cell.spec],
            dataset=store.dataset,
            keep_scores=cell.keep_scores or cell.protocol.unknown_ways > 0,
            on_progress=on_progress,
        )
    for solved in found:
        finishing.submit(cell.key(solved.strength), functools.partial(finish, solved))
        yield
