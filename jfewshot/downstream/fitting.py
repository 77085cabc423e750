"""Trains a model, chooses checkpoints on the development utterances, and averages these; all tasks use it."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Int

from jfewshot.files import writable_folder
from jfewshot.training.checkpoints import Checkpoints, MemoryCheckpoints, average
from jfewshot.training.devices import replicate
from jfewshot.training.loading import batches_ahead
from jfewshot.training.loop import TrainingRun, continued, run_steps
from jfewshot.training.metrics import Metrics
from jfewshot.training.model import Params, drawer
from jfewshot.training.plan import LengthBuckets
from jfewshot.training.step import State, first_state


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What is trained, and how checkpoints are chosen.

    Attributes:
      folder: folder of checkpoints and metrics; an interrupted fit continues from these.
      steps: number of steps of the whole run.
      evaluate_every: steps between two checkpoints, each with a development score.
      initial: makes the training state of step 0.
      step: from `jfewshot.training.step.make_step`.
      plan: which training utterances make up each step, as places in `training`.
      training: numbers of the training utterances.
      load: from numbers of utterances and a padded size to a batch.
      names: name of every utterance, for messages.
      fixed: values that the loss receives unchanged in every step.
      validate: from parameters to the development numbers by name.
      score: name of the development number that chooses checkpoints.
      higher_is_better: whether a larger number is better.
      curve: which development numbers `Fitted.curve` holds.
      n_best: number of best checkpoints whose parameters are averaged.
      seed: seed of everything that the steps draw at random.
      threads: number of batches that are loaded at a time; 0 loads each batch when it is needed.
      in_memory: keep checkpoints in memory. This is for fits of seconds; an interrupted fit starts again.
      mesh: the devices; None for a single one.
      describe: writes the numbers of a step as a few words, for the log.
      advice: what to do about a loss that is not finite, for the message.
    """

    folder: Path
    steps: int
    evaluate_every: int
    initial: Callable[[], State]
    step: Callable
    plan: LengthBuckets
    training: Int[np.ndarray, " n_training"]
    load: Callable[[np.ndarray, int], Any]
    names: Sequence[str]
    fixed: Any
    validate: Callable[[Params], dict[str, float]]
    score: str
    higher_is_better: bool
    curve: tuple[str, ...]
    n_best: int
    seed: int
    threads: int = 0
    in_memory: bool = False
    mesh: jax.sharding.Mesh | None = None
    describe: Callable[[dict[str, float]], str] = lambda values: f"loss {values['loss']:.3f}"
    advice: str = "lower --rate"

    def batch(self, step: int) -> Any:
        """Load the batch of a step, counted from 0."""
        size, places = self.plan.step(step)
        return self.load(self.training[places], size)

    def names_of(self, step: int) -> list[str]:
        """Names of the utterances of a step, counted from 0."""
        return [self.names[number] for number in self.training[self.plan.step(step)[1]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """The averaged parameters, and facts about the training.

    Attributes:
      steps: steps of the chosen checkpoints, best first.
      development: development score of each chosen checkpoint.
      params: mean of the parameters of the chosen checkpoints.
      n_steps: number of steps of the whole run.
      curve: the step and the development numbers of every evaluation.
    """

    steps: list[int]
    development: list[float]
    params: dict[str, np.ndarray]
    n_steps: int
    curve: list[list[int | float]]


def fit(given: Fit) -> Fitted:
    """Train to the last step, from the latest checkpoint if there is one.

    Raises:
      UserError: a loss that is not finite; a checkpoint of another shape.
    """
    writable_folder(given.folder, "the run")
    run = TrainingRun(
        folder=given.folder,
        steps=given.steps,
        checkpoint_every=given.evaluate_every,
        step=given.step,
        batches=lambda first, last: batches_ahead(given.batch, first, last, threads=given.threads),
        names=given.names_of,
        metrics=lambda first: Metrics(given.folder, first, given.evaluate_every, describe=given.describe),
        validate=given.validate,
        score=given.score,
        mesh=given.mesh,
        advice=given.advice,
    )
    folder = given.folder / "checkpoints"
    checkpoints: Checkpoints | MemoryCheckpoints
    if given.in_memory:
        checkpoints = MemoryCheckpoints(given.n_best, given.higher_is_better)
    else:
        checkpoints = Checkpoints(folder, 1, given.n_best, f"development_{given.score}", given.higher_is_better)
    try:
        fresh = replicate(given.initial(), given.mesh)
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), fresh)
        state = continued(fresh, checkpoints)
        run_steps(run, state, replicate(jax.random.key(given.seed), given.mesh), given.fixed, checkpoints)
        best = checkpoints.best(given.n_best)
        scores = [checkpoints.scores()[step] for step in best]
        params = average([checkpoints.load(like, step).params for step in best])
    finally:
        checkpoints.close()
    return Fitted(best, scores, params, given.steps, _curve(given.folder, given.steps, given.curve))


def _curve(folder: Path, last: int, numbers: Sequence[str]) -> list[list[int | float]]:
    """The step and some development numbers of each evaluation up to a step, from the metrics that the fit wrote."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    found = {
        line["step"]: [line[f"validation_{name}"] for name in numbers] for line in lines if "validation_loss" in line
    }
    return [[step, *found[step]] for step in sorted(found) if step <= last]


def forget_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a fit whose result has been used."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def initial_states(
    make: Callable[[nnx.Rngs], nnx.Module], optimise: optax.GradientTransformation
) -> Callable[..., State]:
    """Make the function that makes the training state of step 0.

    Args:
      make: makes the model.
      optimise: the optimiser.

    Returns:
      a function (seed, encoder=None) -> parameters and the state of the optimiser. The seed is that of the random weights.
      `encoder` holds weights of the encoder by name, without `encoder.`; None gives the encoder random weights too.
    """
    draw = drawer(make)

    def initial(seed: int, encoder: Mapping[str, jax.Array] | None = None) -> State:
        # The weights are copied, because a step reuses its state's memory and the next fold starts with the same weights.
        given = {f"encoder.{name}": jnp.array(value, jnp.float32, copy=True) for name, value in (encoder or {}).items()}
        return first_state(draw(seed) | given, optimise)

    return initial
