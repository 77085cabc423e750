"""Checks a contribution with stores on this machine: its classes, draws and accuracies are computed again."""

import functools
from collections.abc import Sequence
from pathlib import Path

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.planning import plan_cells
from jfewshot.episodes.pool import class_pool
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.files import sha256_of_json
from jfewshot.store import Store, find_stores, open_store
from jfewshot.store.reading import sample_stores
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import Suite, Task
from jfewshot.suite.drawing import draws_digest
from jfewshot.suite.planning import classifier_of, protocol_of

# The same embeddings give the same scores except for rounding, which may change near ties on another machine: one
# answer in 500 may differ.
_ROUNDING = 0.002


class AtHand:
    """Stores of a suite's datasets on this machine; draws are computed once for all contributions.

    Args:
      suite: which datasets there are.
      folders: of stores, or with stores below them; the sample stores are always looked through for the suite `samples`.
      evaluate: whether tasks whose embeddings are here are evaluated again, too.
    """

    def __init__(self, suite: Suite, folders: Sequence[Path], evaluate: bool = False):
        self._suite, self._evaluate = suite, evaluate
        self._stores: list[Store] = []
        roots = [*folders, *([sample_stores()] if suite.name == "samples" else [])]
        names = {dataset.name for dataset in suite.datasets}
        for path in find_stores(*roots):
            store = open_store(path)
            if store.dataset in names:
                self._stores.append(store)
        self._drawn: dict[tuple[str, str], tuple[str, str, int, int]] = {}

    @functools.cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator()

    def check(self, one: Contribution) -> tuple[list[str], list[str]]:
        """Compute again everything that the available stores allow.

        Args:
          one: a contribution that is complete.

        Returns:
          a line for each difference, and a line that says what was computed again.
        """
        errors, n_drawn, n_embeddings = [], 0, 0
        differences: list[float] = []
        for task in self._suite.tasks:
            result = one.tasks[task.name]
            same_clips = [s for s in self._stores if s.dataset == task.dataset and s.clips.digest == result.clip_table]
            if not same_clips:
                continue
            draws, classes, n_classes, n_clips = self._of_task(task, same_clips[0])
            n_drawn += 1
            for what, stated, right in (
                ("draws", result.draws, draws),
                ("classes", result.classes, classes),
                ("n_classes", result.n_classes, n_classes),
                ("n_clips", result.n_clips, n_clips),
            ):
                if stated != right:
                    errors.append(
                        f"{task.name}: {what} is {str(stated)[:12]}, and drawing again from {same_clips[0].path} gives "
                        f"{str(right)[:12]}"
                    )
            view = self._suite.track(task.track).view
            own = [s for s in same_clips if view in s.views and s.view_digest(view) == result.embeddings]
            n_embeddings += bool(own)
            if own and self._evaluate:
                found = self._evaluated(task, own[0])
                differences.append(abs(found - result.accuracy))
                if differences[-1] > _ROUNDING:
                    errors.append(
                        f"{task.name}: accuracy is {result.accuracy:.6g}, and evaluating {own[0].path} again gives {found:.6g}"
                    )
        said = []
        if n_drawn:
            said.append(f"the episodes of {n_drawn} tasks were drawn again from stores on this machine")
        if n_embeddings:
            said.append(f"the embeddings of {n_embeddings} tasks are those of stores on this machine")
        if differences:
            said.append(
                f"{len(differences)} tasks were evaluated again; accuracies differ by {max(differences):.2g} at the most"
            )
        return errors, said

    def _evaluated(self, task: Task, store: Store) -> float:
        """The accuracy of a task, computed from the embeddings of its contribution."""
        track = self._suite.track(task.track)
        (cell,) = plan_cells(
            [store],
            [protocol_of(track, self._suite.dataset(task.dataset).split)],
            [classifier_of(track)],
            preprocessing=track.preprocessing,
            views=[track.view],
        )
        ((record, _),) = evaluate_cells([cell], self._evaluator, None)
        return float(record["accuracy"]["mean"])

    def _of_task(self, task: Task, store: Store) -> tuple[str, str, int, int]:
        key = task.name, store.clips.digest
        if key not in self._drawn:
            track = self._suite.track(task.track)
            protocol = protocol_of(track, self._suite.dataset(task.dataset).split)
            try:
                pool = class_pool(store.clips, protocol, store.dataset)
                (cell,) = plan_cells([store], [protocol], [classifier_of(track)], preprocessing="none")
                drawn = draws_digest(cell, self._evaluator)
            except UserError as error:
                raise UserError(f"{task.name} cannot be drawn again from {store.path}: {error}") from error
            self._drawn[key] = drawn, sha256_of_json(pool.names.tolist()), len(pool.names), len(pool.all_clips)
        return self._drawn[key]
