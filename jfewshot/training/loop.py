"""Runs training steps from the latest checkpoint to the last step. An interrupted training continues."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.training.checkpoints import Checkpoints, MemoryCheckpoints
from jfewshot.training.devices import spread
from jfewshot.training.metrics import Metrics
from jfewshot.training.model import Params
from jfewshot.training.step import State

log = logging.getLogger(__name__)


@runtime_checkable
class Watch(Protocol):
    """Measures a model at regular steps of its training.

    Attributes:
      every: steps between two measurements.
      is_best: whether the last measurement is the best so far, so that its step gets a checkpoint.
      stopped: why the training should stop; empty while it should go on.
    """

    every: int
    is_best: bool
    stopped: str

    def __call__(self, step: int, params: Params) -> dict[str, float | str]:
        """Measure the parameters after a step (0 is before the first step); returns the values by name."""
        ...

    def begin(self, first: int) -> bool:
        """Read the measurements in metrics.jsonl up to the step from which a run continues; returns whether that step has one."""
        ...

    def describe(self, values: Mapping[str, float | str]) -> str:
        """Describe measured values in a few words."""
        ...

    def draw(self) -> None:
        """Draw all measurements so far."""
        ...


@dataclass(frozen=True)
class TrainingRun:
    """Everything that the loop needs for one run.

    Args:
      folder: folder of the run.
      steps: number of all optimiser steps.
      checkpoint_every: steps between two checkpoints, each with a validation; the last step has one too.
      step: the training step, from `jfewshot.training.step.make_step`.
      batches: (first, last) -> batches of steps first .. last - 1, counted from 0.
      names: from a step, counted from 0, to the names of its items, for the message about a loss that is not finite.
      metrics: from the first step to the object that writes the metrics.
      validate: from parameters to validation numbers by name; None for no validation.
      score: name of the validation number that chooses checkpoints.
      mesh: the devices; None for a single one.
      checkpoint_s: also make a checkpoint, without validation, when this many seconds have passed since the last one; 0 for
        never. Several processes count steps only, because their clocks differ.
      watch: measures the training; None for no measurements. Only the first process measures.
      score_by_watch: name of the measured value that chooses checkpoints in place of a validation number; None for none.
      advice: what to do about a loss that is not finite, in addition to looking at the files of its batch.
    """

    folder: Path
    steps: int
    checkpoint_every: int
    step: Callable[[State, Any, Any, Any], tuple[State, dict[str, jax.Array]]]
    batches: Callable[[int, int], Iterator[Any]]
    names: Callable[[int], list[str]]
    metrics: Callable[[int], Metrics]
    validate: Callable[[Params], dict[str, float]] | None = None
    score: str = "loss"
    mesh: jax.sharding.Mesh | None = None
    checkpoint_s: float = 0.0
    watch: Watch | None = None
    score_by_watch: str | None = None
    advice: str = "lower --optimiser.rate"


def continued(state: State, checkpoints: Checkpoints | MemoryCheckpoints) -> State:
    """The state of the latest checkpoint. Without checkpoints, the given state, which is saved as step 0."""
    if not checkpoints.steps():
        checkpoints.save(state, None)
        return state
    state = checkpoints.load(state)
    log.info("continuing from step %d", int(state.step))
    return state


def run_steps(
    run: TrainingRun, state: State, key: jax.Array, fixed: Any, checkpoints: Checkpoints | MemoryCheckpoints
) -> dict[str, float]:
    """Train to the last step.

    Args:
      run: the run.
      state: state to start with, from `continued`; its memory is reused.
      key: random key of the run; each step folds its number into it.
      fixed: values that the loss receives in every step, or a function from a step's number (from 0) to these values.
      checkpoints: saves the states.

    Returns:
      the metrics of the last step; empty if no steps were left.

    Raises:
      UserError: if a loss or gradient is not finite; the message gives the step, its items and the last good checkpoint.
    """
    first = int(state.step)
    batches = run.batches(first, run.steps)
    metrics = run.metrics(first) if jax.process_index() == 0 else None
    values: dict[str, float] = {}
    saved = time.monotonic()
    by_time = run.checkpoint_s if jax.process_count() == 1 else 0.0
    pending: tuple[int, Any, float] | None = None

    def settle():
        # Results are read one step late, so that the device computes the next step while the host waits.
        nonlocal pending, values
        if pending is None:
            return
        step, results, waited = pending
        pending = None
        values = {name: float(value) for name, value in jax.device_get(results).items()}
        if not np.isfinite(values["loss"]) or not np.isfinite(values["gradient_norm"]):
            raise UserError(not_finite(run, step, checkpoints.steps()))
        if metrics:
            metrics.add(step, values, waited, run.steps)

    watch = run.watch if metrics else None

    def measure(step: int) -> float | None:
        assert watch
        assert metrics
        settle()
        found = watch(step, state.params)
        metrics.add_measurement(step, found, watch.describe(found))
        watch.draw()
        return float(found[run.score_by_watch]) if run.score_by_watch and watch.is_best else None

    if watch and not watch.begin(first) and first == 0:
        measure(0)
    if watch and watch.stopped:
        log.info("stopped early; nothing is left to do. %s", watch.stopped)
        if metrics:
            metrics.close()
        return values

    # Only the first process shows progress; a finished run shows none.
    shown = Progress("training", run.steps, "steps", first, None if metrics and first < run.steps else False)
    try:
        with shown:
            for step in range(first + 1, run.steps + 1):
                began = time.perf_counter()
                batch = spread(next(batches), run.mesh)
                waited = time.perf_counter() - began
                state, results = run.step(state, batch, key, fixed(step - 1) if callable(fixed) else fixed)
                settle()
                pending = (step, results, waited)
                last = step == run.steps
                best = measure(step) if watch and (step % watch.every == 0 or last) else None
                stop = bool(watch and watch.stopped)
                if step % run.checkpoint_every == 0 or last or stop or best is not None:
                    settle()
                    found = run.validate(state.params) if run.validate else None
                    if metrics and found:
                        metrics.add_validation(step, found)
                    by_validation = found[run.score] if found and not run.score_by_watch else None
                    checkpoints.save(state, by_validation if best is None else best)
                    saved = time.monotonic()
                elif by_time and time.monotonic() - saved >= by_time:
                    settle()  # a state after a loss that is not finite must not be saved
                    checkpoints.save(state, None)
                    saved = time.monotonic()
                shown.advance(1, metrics.details if metrics else None)
                if stop:
                    assert watch
                    log.info("stopped early at %s", watch.stopped)
                    break
    finally:
        if metrics:
            metrics.close()
    return values


def not_finite(run: TrainingRun, step: int, checkpoints: list[int]) -> str:
    """Say what happened when a loss or gradient is not finite, and write the names of the batch's files.

    Args:
      run: the training run.
      step: number of the step that failed, counted from 1.
      checkpoints: steps that have a checkpoint.

    Returns:
      the message, which names the file with the names and what to try.
    """
    names = run.names(step - 1)
    path = run.folder / f"not-finite-step-{step}.txt"
    if jax.process_index() == 0:
        with atomic_write(path, "w") as file:
            file.write("\n".join(names) + "\n")
    return (
        f"the loss or its gradient is not finite at step {step}; its batch is {', '.join(names[:3])} ... "
        f"({len(names)} files, listed in {path}). The last good checkpoint is step {max(checkpoints, default=0)}: "
        f"look at those files, or {run.advice}"
    )
