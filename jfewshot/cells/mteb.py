"""mteb's audio classification: train and classify in its experiments, and make the parts of a record.

The embedding of a clip is the mean of its segments' embeddings in float32, unchanged otherwise: mteb's models give one embedding
per clip. `--protocol mteb` solves mteb's objective to convergence, in float64. `--protocol mteb_faithful` calls scikit-learn as
mteb does, which stops after 100 iterations, and compares with the converged solution.
"""

import dataclasses
import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Integer

from jfewshot.cells.planning import Cell
from jfewshot.classifiers.base import Strength
from jfewshot.classifiers.linalg import slot_type
from jfewshot.classifiers.specs import ClassifierSpec, parse_classifier
from jfewshot.episodes.protocol import MTEB_SHOTS
from jfewshot.errors import UserError
from jfewshot.evaluator.drawer import Drawn
from jfewshot.evaluator.evaluator import Solved
from jfewshot.evaluator.exact_logistic import coefficients_of, factor_of, fit_exactly
from jfewshot.statistics.classification import classification_scores
from jfewshot.statistics.intervals import AccuracyInterval, episode_interval
from jfewshot.statistics.pool import Pool
from jfewshot.statistics.unbalanced import confusion_counts, unbalanced_interval
from jfewshot.threads import by_blocks, cores, one_blas_thread

KIND = "float64, experiment by experiment"
_AT_ONCE = 8  # number of experiments that are solved together
_LISTED = 100  # a record lists the scores of each experiment if there are at most so many
_C = 1.0  # scikit-learn's default, which mteb uses


@dataclasses.dataclass(frozen=True)
class ScikitLearn:
    """scikit-learn's LogisticRegression as mteb calls it; see `solve_mteb`.

    Attributes:
      library: name of the solver's library.
      max_iter: largest number of iterations of L-BFGS.
    """

    library: str = "scikit-learn"
    max_iter: int = 100

    strength: ClassVar[Strength | None] = Strength("C", _C)
    tolerance: ClassVar[float | None] = None
    translation_invariant: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True)
class SolvedAsMteb(Solved):
    """The results of mteb's experiments.

    Attributes:
      converged: if scikit-learn was called, the predictions of the converged solution; else None.
    """

    converged: Int[np.ndarray, "episodes queries"] | None = None


def mteb_classifier(faithful: bool) -> ClassifierSpec:
    """The classifier of mteb's experiments.

    Args:
      faithful: whether scikit-learn is called as mteb does.

    Raises:
      UserError: if scikit-learn is not installed and is needed.
    """
    if not faithful:
        return parse_classifier(f"logistic:C={_C}")
    if importlib.util.find_spec("sklearn") is None:
        raise UserError(
            "--protocol mteb_faithful calls scikit-learn, which is not installed: pip install scikit-learn, or take "
            "--protocol mteb, which solves the same objective to convergence"
        )
    classifier: Any = ScikitLearn()
    return ClassifierSpec("logistic", classifier, (_C,))


def solve_mteb(
    view: np.ndarray, cell: Cell, drawn: Drawn, memory_bytes: int, on_progress: Callable[[int], None]
) -> Iterator[SolvedAsMteb]:
    """Train and classify in each of mteb's experiments.

    Args:
      view: the embeddings of the cell's clip table.
      cell: a cell whose protocol has `mteb`, with a classifier of `mteb_classifier`.
      drawn: its experiments.
      memory_bytes: memory for the embeddings in float64.
      on_progress: called with the number of experiments that were just solved.

    Yields:
      The result.

    Raises:
      UserError: if the embeddings do not fit in memory.
    """
    started = time.perf_counter()
    problem = _Problem(view, cell, drawn, memory_bytes)
    classifier: Any = cell.spec.classifier
    faithful = isinstance(classifier, ScikitLearn)
    with one_blas_thread():
        by_blocks(lambda start, stop: on_progress(problem.solve_some(start, stop)), problem.n_blocks, 1)
    converged = problem.predicted
    if faithful:
        started = time.perf_counter()
        with one_blas_thread():  # such fits are too small for several threads
            problem = problem.by_scikit_learn(classifier.max_iter, cell.protocol.seed)
    yield SolvedAsMteb(
        spec=cell.spec,
        strength=_C,
        predicted=problem.predicted,
        residual=problem.residual,
        iterations=problem.iterations,
        rounding=np.full(len(converged), np.nan),
        wall_s=time.perf_counter() - started,
        compile_s=0.0,
        gram_kind=KIND,
        converged=converged if faithful else None,
    )


class _Problem:
    """The embeddings of a cell, its experiments, and the answers."""

    def __init__(self, view: np.ndarray, cell: Cell, drawn: Drawn, memory_bytes: int):
        assert drawn.experiments is not None
        assert drawn.query_count is not None
        clips, used = cell.clips, drawn.pool.all_clips
        size = len(used) * view.shape[1] * 8
        if size > memory_bytes:
            raise UserError(
                f"--protocol mteb needs the embeddings of {cell.store.path} in float64, {size / 2**30:.2g} GiB, and "
                f"{memory_bytes / 2**30:.2g} GiB may be used; raise --memory-gb"
            )
        rows, starts = clips.rows(used)
        embeddings = view[rows].astype(np.float32)
        if len(rows) > len(used):
            sums = np.add.reduceat(embeddings.astype(np.float64), starts, axis=0)
            embeddings = (sums / clips.n_segments[used][:, None]).astype(np.float32)
        self.embeddings = embeddings
        self._x = embeddings.astype(np.float64)
        self._x -= self._x.mean(axis=0)
        place = np.full(len(clips), -1)
        place[used] = np.arange(len(used))
        class_of_row = drawn.pool.class_of_row(len(clips))
        self.supports = [place[one.support] for one in drawn.experiments]
        self.labels = [class_of_row[one.support] for one in drawn.experiments]
        n_episodes, self.n_way, of_class = drawn.clips.shape
        self.is_query = np.arange(of_class - MTEB_SHOTS) < drawn.query_count[:, :, None]
        self.queries = [
            place[c[:, MTEB_SHOTS:][mask]] for c, mask in zip(drawn.clips.astype(np.int64), self.is_query, strict=True)
        ]
        right = np.repeat(np.arange(self.n_way, dtype=slot_type(self.n_way)), of_class - MTEB_SHOTS)
        self.predicted: Integer[np.ndarray, "experiments queries"] = np.tile(right, (n_episodes, 1))
        self.residual, self.iterations = np.zeros(n_episodes), np.zeros(n_episodes)
        # Problems of one size and with the same classes are solved together.
        kinds: dict[tuple[int, ...], list[int]] = {}
        for number, labels in enumerate(self.labels):
            kinds.setdefault((len(labels), *np.unique(labels).tolist()), []).append(number)
        at_once = min(_AT_ONCE, -(-n_episodes // cores()))  # so that every core has work
        blocks = [own[start : start + at_once] for own in kinds.values() for start in range(0, len(own), at_once)]
        self._blocks = blocks
        n_support = max(map(len, self.supports))
        self._gram = None
        # One product for all experiments, if that is less work than a product for each.
        few = n_support < view.shape[1] and len(used) ** 2 < sum(len(s) ** 2 for s in self.supports)
        if few and len(used) ** 2 * 8 + size <= memory_bytes:
            self._gram = self._x @ self._x.T

    @property
    def n_blocks(self) -> int:
        """How many groups of experiments there are for `solve_some`."""
        return len(self._blocks)

    def solve_some(self, start: int, stop: int) -> int:
        """Solve some blocks to convergence.

        Args:
          start: number of the first block.
          stop: number of the block after the last.

        Returns:
          how many experiments these are.
        """
        for numbers in self._blocks[start:stop]:
            classes, labels = np.unique(np.stack([self.labels[n] for n in numbers]), return_inverse=True)
            labels = labels.reshape(len(numbers), -1)
            supports = np.stack([self.supports[n] for n in numbers])
            penalty = (2.0 if len(classes) == 2 else 1.0) / _C
            x = self._x[supports]
            if x.shape[1] > x.shape[2]:
                found = fit_exactly(x, labels, len(classes), penalty)
                weights = found.weights
            else:
                whole = self._gram
                gram = x @ x.swapaxes(1, 2) if whole is None else whole[supports[:, :, None], supports[:, None]]
                factor = factor_of(gram)
                found = fit_exactly(factor, labels, len(classes), penalty)
                weights = x.swapaxes(1, 2) @ coefficients_of(factor, found.weights)
            self.residual[numbers], self.iterations[numbers] = found.residual, found.steps
            for number, own, bias in zip(numbers, weights, found.bias, strict=True):
                self._answer(number, classes[(self._x[self.queries[number]] @ own + bias).argmax(axis=1)])
        return sum(len(numbers) for numbers in self._blocks[start:stop])

    def by_scikit_learn(self, max_iter: int, seed: int) -> "_Problem":
        """Solve the same experiments with scikit-learn.

        Args:
          max_iter: scikit-learn's parameter.
          seed: scikit-learn's `random_state`, which this solver does not use.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        other = _copy(self)
        for number, (supports, labels) in enumerate(zip(self.supports, self.labels, strict=True)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the record counts them
                model = LogisticRegression(max_iter=max_iter, random_state=seed)
                model.fit(self.embeddings[supports], labels)
            other._answer(number, model.predict(self.embeddings[self.queries[number]]))
            other.iterations[number] = model.n_iter_.max()
            other.residual[number] = np.nan
        return other

    def _answer(self, number: int, classes: Int[np.ndarray, " queries"]) -> None:
        self.predicted[number, self.is_query[number].ravel()] = classes


def _copy(problem: _Problem) -> _Problem:
    other = _Problem.__new__(_Problem)
    other.__dict__.update(problem.__dict__)
    other.predicted, other.iterations, other.residual = (
        part.copy() for part in (problem.predicted, problem.iterations, problem.residual)
    )
    return other


def mteb_parts(solved: Solved, drawn: Drawn, pool: Pool) -> dict[str, Any]:
    """The parts of a record for mteb's experiments.

    Args:
      solved: the results.
      drawn: the experiments.
      pool: the clips and classes of the experiments, for the intervals of accuracy.

    Returns:
      the record's `accuracy` and `metrics`, each with its spread over the experiments, and `mteb`: the scores of each experiment
      by mteb's names; where scikit-learn was called, also how often it stopped before it converged, and the converged scores.
    """
    count = drawn.query_count
    assert count is not None
    scores = _scores(solved.predicted, count)
    metrics = {name: _interval(values)._asdict() for name, values in scores.items() if not np.isnan(values).all()}
    metrics["macro_f1"] = metrics.pop("f1")
    metrics.pop("accuracy")
    accuracy = unbalanced_interval("accuracy", solved.predicted, count, pool, in_folds=True)._asdict()
    each = [{name: _number(values[i]) for name, values in scores.items()} for i in range(len(count))]
    said: dict[str, Any] = {}
    if isinstance(solved, SolvedAsMteb) and solved.converged is not None:
        converged = _scores(solved.converged, count)
        limit = solved.spec.classifier.max_iter  # type: ignore[attr-defined]
        stopped = solved.iterations >= limit
        is_query = np.arange(solved.predicted.shape[1] // count.shape[1]) < count[:, :, None]
        equal = (solved.predicted == solved.converged)[is_query.reshape(len(count), -1)]
        said = {
            "stopped": int(stopped.sum()),
            "iteration_limit": limit,
            "converged_accuracy": float(converged["accuracy"].mean()),
            "converged_macro_f1": float(converged["f1"].mean()),
            "equal_predictions": float(equal.mean()),
        }
        for one, iterations, value in zip(each, solved.iterations, converged["accuracy"], strict=True):
            one |= {"iterations": int(iterations), "converged_accuracy": float(value)}
    if len(each) <= _LISTED:
        said["experiments"] = each
    return {"accuracy": accuracy, "metrics": metrics, "mteb": said}


def _scores(predicted: np.ndarray, count: np.ndarray) -> dict[str, Float[np.ndarray, " experiments"]]:
    by_slot = predicted.reshape(*count.shape, -1).astype(np.int64)
    return classification_scores(confusion_counts(by_slot, np.arange(by_slot.shape[2]) < count[:, :, None]))


def _interval(values: np.ndarray) -> AccuracyInterval:
    """Mean and spread over the experiments in which a metric is known, as mteb averages."""
    return AccuracyInterval(*episode_interval(values[~np.isnan(values)]), None, None)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
