"""One fold with one seed: train, choose checkpoints on the development utterances, and predict the test fold once."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jfewshot.downstream.confusions import accuracy, confusion, uar
from jfewshot.downstream.emotion.batches import every_batch, make_batch
from jfewshot.downstream.emotion.config import Recipe
from jfewshot.downstream.emotion.training import Compiled, Plan, compiled
from jfewshot.downstream.fitting import Fit, fit, forget_checkpoints
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.frames import Frames, padded_size
from jfewshot.downstream.scaling import Scaling, scaling_of_frames
from jfewshot.training.devices import replicate, spread
from jfewshot.training.plan import LengthBuckets


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A head and the utterances on which it is trained, chosen and tested.

    Attributes:
      folder: folder of its checkpoints and metrics; an interrupted trial continues from these.
      names: names of the utterances, for messages.
      frames, labels: frames and class of every utterance.
      fold: which utterances train, choose checkpoints and test.
      seed: seed of initial weights, batches and dropout.
      plan: the model and its optimiser; `run_trial` sets `steps`.
      recipe: batch, epochs, and how many checkpoints are averaged.
      choose_by: the development number that chooses checkpoints, `uar` or `loss`.
      longest: largest number of frames; longer utterances are cut.
      buckets: number of padded sizes in training.
      scaling: mean and standard deviation of the frames; None for those of the training utterances.
      encoder: weights of an encoder that is trained too.
      mesh: the devices; None for a single one.
    """

    folder: Path
    names: Sequence[str]
    frames: Frames
    labels: Int[np.ndarray, " n"]
    fold: Fold
    seed: int
    plan: Plan
    recipe: Recipe
    choose_by: str = "uar"
    longest: int = 1500
    buckets: int = 4
    scaling: Scaling | None = None
    encoder: dict[str, Array] | None = None
    mesh: jax.sharding.Mesh | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The predictions and scores of a trial.

    Attributes:
      steps: steps of the chosen checkpoints; the mean of their parameters was tested.
      development: development score of each chosen checkpoint.
      predicted: class of every test utterance, in the order of the fold.
      n_steps: number of steps of the whole run.
      curve: (step, development UAR, development loss) after every epoch.
    """

    steps: list[int]
    development: list[float]
    predicted: Int[np.ndarray, " n_test"]
    n_steps: int
    curve: list[list[int | float]]


def run_trial(trial: Trial, keep_checkpoints: bool = False) -> Outcome:
    """Train from the latest checkpoint if there is one, choose checkpoints, and predict the test fold.

    Raises:
      UserError: fewer training utterances than a batch; a loss that is not finite; a checkpoint of another shape.
    """
    scaling = replicate(trial.scaling or scaling_of_frames(trial.frames, trial.fold.training), trial.mesh)
    is_light = isinstance(trial.plan.head, int) and trial.encoder is None
    if is_light:
        # A light head uses only the mean of the frames. Averaging commutes with standardising, so averaging first gives the same
        # logits with about a hundredth of the work.
        trial = dataclasses.replace(trial, frames=_means(trial.frames, trial.longest))
    training = trial.fold.training
    plan = LengthBuckets(
        trial.frames.n_frames[training], trial.recipe.batch, trial.longest, trial.buckets, padded_size, trial.seed
    )
    steps = trial.recipe.epochs * plan.n_batches
    cosine = trial.plan.optimiser.schedule == "cosine"
    chosen = dataclasses.replace(trial.plan, steps=steps if cosine else 0)
    functions = compiled(chosen)

    score = trial.choose_by
    fitted = fit(
        Fit(
            folder=trial.folder,
            steps=steps,
            evaluate_every=plan.n_batches,
            initial=lambda: functions.initial(trial.seed, trial.encoder),
            step=functions.step,
            plan=plan,
            training=training,
            load=lambda utterances, size: make_batch(trial.frames, trial.labels, utterances, size),
            names=trial.names,
            fixed=scaling,
            validate=lambda params: development_scores(trial, functions, scaling, params),
            score=score,
            higher_is_better=score == "uar",
            curve=("uar", "loss"),
            n_best=trial.recipe.average_best,
            seed=trial.seed,
            in_memory=is_light,
            mesh=trial.mesh,
        )
    )
    params = replicate(fitted.params, trial.mesh)
    # The test fold is used here for the first time.
    logits = predict(trial, functions, scaling, params, trial.fold.test)
    if not keep_checkpoints:
        forget_checkpoints(trial.folder)
    return Outcome(fitted.steps, fitted.development, np.argmax(logits, axis=1), steps, fitted.curve)


@functools.lru_cache(maxsize=2)
def _means(frames: Frames, longest: int) -> Frames:
    return frames.means(longest)


def predict(trial: Trial, functions: Compiled, scaling: Scaling, params, utterances) -> Float[np.ndarray, "n classes"]:
    """Compute the logits of some utterances.

    Args:
      trial: the run.
      functions: the compiled functions of its plan.
      scaling: mean and standard deviation of the frames, on the device.
      params: parameters of the model.
      utterances: numbers of the utterances.

    Returns:
      float32 logits, one row for each utterance, in the order of `utterances`.
    """
    found = np.zeros((len(utterances), trial.plan.n_classes), np.float32)
    place = {int(number): row for row, number in enumerate(utterances)}
    for numbers, batch in every_batch(trial.frames, trial.labels, utterances, trial.recipe.batch, trial.longest):
        given = np.asarray(jax.device_get(functions.logits(params, spread(batch, trial.mesh), scaling)))
        found[[place[int(number)] for number in numbers]] = given[: len(numbers)]
    return found


def development_scores(trial: Trial, functions: Compiled, scaling: Scaling, params) -> dict[str, float]:
    """Compute the UAR, the accuracy and the loss of the development utterances.

    Args:
      trial: the run.
      functions: the compiled functions of its plan.
      scaling: mean and standard deviation of the frames, on the device.
      params: parameters of the model.

    Returns:
      `uar` and `accuracy`, both 0-1, and `loss`, the mean cross-entropy.
    """
    utterances = trial.fold.development
    logits, labels = predict(trial, functions, scaling, params, utterances), trial.labels[utterances]
    counts = confusion(labels, np.argmax(logits, axis=1), trial.plan.n_classes)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels.astype(np.int32)).mean()
    return {"uar": uar(counts), "accuracy": accuracy(counts), "loss": float(loss)}
