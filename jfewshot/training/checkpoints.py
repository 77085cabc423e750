"""Checkpoints of a run, which orbax writes. The latest and the best are kept."""

import contextlib
import dataclasses
import errno
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jfewshot.errors import UserError
from jfewshot.training.model import Params
from jfewshot.training.step import State

log = logging.getLogger(__name__)


class Checkpoints:
    """Save and load a run's state. Saving is asynchronous; a folder gets its final name when it is complete.

    Args:
      folder: folder of the checkpoints.
      keep: number of latest checkpoints to keep.
      keep_best: number of further checkpoints to keep, those with the best validation number.
      metric: name of the validation number.
      higher_is_better: whether the best is the highest number (an accuracy) and not the lowest (a loss).
    """

    def __init__(
        self,
        folder: Path,
        keep: int,
        keep_best: int,
        metric: str = "validation_loss",
        higher_is_better: bool = False,
    ):
        self._metric, self._higher_is_better = metric, higher_is_better
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(keep), policies.CustomSteps([0])]
        if keep_best:
            kept.append(_Best(metric, keep_best, higher_is_better))
        # orbax's log lines are for its developers; it also raises the errors that matter.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = folder
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(), preservation_policy=policies.AnyPreservationPolicy(kept), cleanup_tmp_directories=True
        )

    def save(self, state: State, score: float | None) -> None:
        """Save a state with its validation number, unless its step has a checkpoint already."""
        step = int(state.step)
        if step in self.steps():
            return
        metrics = None if score is None else {self._metric: score}
        with _full_disk_by_its_name(self._folder):
            self._checkpointer.save(step, state._asdict(), metrics=metrics)

    def load(self, like: State, step: int | None = None) -> State:
        """Load the state of a step (None for the latest), with the shapes and placement of `like`.

        Raises:
          UserError: if the checkpoint is of another model; the message gives the first parameter that differs.
        """
        step = self.steps()[-1] if step is None else step
        stored = self._checkpointer.metadata(step).metadata["params"]
        here = {name: tuple(value.shape) for name, value in like.params.items()}
        there = {name: tuple(value.shape) for name, value in stored.items()}
        if here != there:
            name = next(name for name in sorted({*here, *there}) if here.get(name) != there.get(name))
            raise UserError(
                f"the checkpoint of step {step} in {self._checkpointer.directory} is of another model: {name} is "
                f"{there.get(name, 'missing')} there, {here.get(name, 'missing')} here. Remove that folder, or name another --out"
            )
        found = self._checkpointer.load(step, jax.tree.map(_abstract, like._asdict()))
        return State(**found)

    def steps(self) -> list[int]:
        """Steps with a checkpoint, in order."""
        return sorted(found.step for found in self._checkpointer.checkpoints)

    def scores(self) -> dict[int, float]:
        """Validation number of each step, for steps that have one."""
        return {
            found.step: found.metrics[self._metric]
            for found in self._checkpointer.checkpoints
            if found.metrics and self._metric in found.metrics
        }

    def best(self, n: int) -> list[int]:
        """The n steps with the best validation number; of equal numbers the earlier step."""
        return best_steps(self.scores(), n, self._higher_is_better)

    def close(self) -> None:
        """Wait until everything is written."""
        with _full_disk_by_its_name(self._folder):
            self._checkpointer.close()


def best_steps(scores: Mapping[int, float], n: int, higher_is_better: bool) -> list[int]:
    """Choose the n steps with the best number; of equal numbers the earlier step wins.

    Args:
      scores: from a step to its validation number.
      n: how many steps to choose; fewer are returned if there are fewer.
      higher_is_better: whether larger numbers are better.

    Returns:
      the chosen steps, best first.
    """
    sign = -1.0 if higher_is_better else 1.0
    return [step for _, step in sorted((sign * score, step) for step, score in scores.items())[:n]]


@dataclasses.dataclass(frozen=True)
class _Best:
    """Decides which checkpoints to keep, as `best` chooses: of equal numbers the earlier. orbax's BestN keeps the later one, and
    numbers such as an average recall are often equal."""

    metric: str
    n: int
    higher_is_better: bool

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        scores = {
            each.step: each.metrics[self.metric] for each in checkpoints if each.metrics and self.metric in each.metrics
        }
        best = best_steps(scores, self.n, self.higher_is_better)
        return [each.step in best for each in checkpoints]


@contextlib.contextmanager
def _full_disk_by_its_name(folder: Path) -> Iterator[None]:
    """Raise the usual error for a full disk in place of orbax's ValueError.

    orbax may report a full disk at a later call, because it saves in the background.

    Raises:
      OSError: ENOSPC, which the command line explains (`jfewshot.errors`).
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if "No space left on device" not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


def _abstract(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def read_params(folder: Path, step: int) -> dict[str, np.ndarray]:
    """Read the parameters of a checkpoint as NumPy arrays; the run's configuration is not needed."""
    checkpointer = ocp.training.Checkpointer(folder.absolute())
    try:
        metadata = checkpointer.metadata(step).metadata
        # With NumPy arrays as targets, orbax does not look for the devices from which the arrays were saved.
        like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), metadata)
        return dict(checkpointer.load(step, like)["params"])
    finally:
        checkpointer.close()


def average(parts: Sequence[Params | dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean of the parameters of several checkpoints, computed in float64."""
    if not parts:
        raise UserError("no checkpoints to average")
    return {
        name: np.mean([np.asarray(part[name], np.float64) for part in parts], axis=0).astype(np.float32)
        for name in parts[0]
    }


def steps_on_disk(folder: Path) -> list[int]:
    """Steps with a complete checkpoint, from the names of folders."""
    if not folder.is_dir():
        return []
    return sorted(int(found.name) for found in folder.iterdir() if re.fullmatch(r"\d+", found.name))


class MemoryCheckpoints:
    """Checkpoints in memory, as NumPy arrays, for runs that take seconds: those with the best validation numbers.

    Of equal numbers the earlier step is kept. Writing a checkpoint to disk would take longer than an epoch of such a run. A run
    that is killed starts again and computes the same.

    Args:
      keep_best: number of checkpoints to keep.
      higher_is_better: whether the best is the highest number (an accuracy) and not the lowest (a loss).
    """

    def __init__(self, keep_best: int, higher_is_better: bool = False):
        self._keep_best, self._higher_is_better = keep_best, higher_is_better
        self._kept: dict[int, tuple[float, State]] = {}

    def save(self, state: State, score: float | None) -> None:
        """Keep a state if it has a validation number that is among the best so far."""
        if score is None:
            return
        self._kept[int(state.step)] = (score, jax.device_get(state))
        for step in set(self._kept) - set(self.best(self._keep_best)):
            del self._kept[step]

    def load(self, like: State, step: int | None = None) -> State:
        """The state of a step that is kept; None for the latest one that is kept."""
        return self._kept[max(self._kept) if step is None else step][1]

    def steps(self) -> list[int]:
        """Steps whose states are kept, in order."""
        return sorted(self._kept)

    def scores(self) -> dict[int, float]:
        """Validation number of each step that is kept."""
        return {step: score for step, (score, _) in self._kept.items()}

    def best(self, n: int) -> list[int]:
        """The n steps with the best validation number."""
        return best_steps(self.scores(), n, self._higher_is_better)

    def close(self) -> None:
        """Do nothing, because nothing is written in the background."""
