"""One fold with one seed: train, choose checkpoints on the development utterances, and classify the test utterances once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Int

from jfewshot.downstream.fitting import Fit, fit, forget_checkpoints
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.frames import padded_size
from jfewshot.downstream.phones.batches import LabelledFrames
from jfewshot.downstream.phones.config import PhonesConfig
from jfewshot.downstream.phones.phone_sets import PhoneSet
from jfewshot.downstream.phones.segments import UNLABELLED, FrameTimes, Segments
from jfewshot.downstream.phones.training import Compiled, Plan, compiled
from jfewshot.downstream.scaling import Scaling, scaling_of_frames
from jfewshot.training.devices import replicate, spread
from jfewshot.training.plan import LengthBuckets


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A probe and the utterances on which it is trained, chosen and tested.

    Attributes:
      folder: folder of its checkpoints and metrics; an interrupted trial continues from these.
      names: names of the utterances, for messages.
      segments: phones of each utterance with their times.
      phones: the classes.
      data: frames of all utterances, with labels.
      times: times of the frames that the model outputs.
      fold: which utterances train, choose checkpoints and test.
      seed: seed of initial weights, batches and dropout.
      plan: the model; `run_trial` sets its optimiser and `steps`.
      config: settings of the training.
      scaling: mean and standard deviation of the frames; None for those of the training utterances.
      encoder: weights of an encoder that is trained too.
      mesh: the devices; None for a single one.
    """

    folder: Path
    names: Sequence[str]
    segments: Sequence[Segments]
    phones: PhoneSet
    data: LabelledFrames
    times: FrameTimes
    fold: Fold
    seed: int
    plan: Plan
    config: PhonesConfig
    scaling: Scaling | None = None
    encoder: dict[str, Array] | None = None
    mesh: jax.sharding.Mesh | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The predictions and scores of a trial.

    Attributes:
      steps: steps of the chosen checkpoints; the mean of their parameters was tested.
      development: development score of each chosen checkpoint.
      true, predicted: trained classes at each scored instant of every test utterance, in the order of the fold. A true class is
        -1 where there is no label.
      n_steps: number of steps of the whole run.
      curve: (step, development accuracy, development loss) after every epoch.
    """

    steps: list[int]
    development: list[float]
    true: list[Int[np.ndarray, " _"]]
    predicted: list[Int[np.ndarray, " _"]]
    n_steps: int
    curve: list[list[int | float]]


def run_trial(trial: Trial, keep_checkpoints: bool = False) -> Outcome:
    """Train from the latest checkpoint if there is one, choose checkpoints, and classify the test utterances.

    Raises:
      UserError: fewer training utterances than a batch; a loss that is not finite; a checkpoint of another shape.
    """
    scaling = replicate(trial.scaling or scaling_of_frames(trial.data.frames, trial.fold.training), trial.mesh)
    training, n_frames = trial.fold.training, trial.data.frames.n_frames
    longest = padded_size(n_frames[training].max())
    plan = LengthBuckets(n_frames[training], trial.config.batch, longest, trial.config.buckets, padded_size, trial.seed)
    steps = trial.config.epochs * plan.n_batches
    optimiser = trial.config.optimiser(trial.plan.encoder is not None, steps)
    chosen = dataclasses.replace(trial.plan, optimiser=optimiser, steps=steps if optimiser.schedule == "cosine" else 0)
    functions = compiled(chosen)

    score = trial.config.choose_by
    fitted = fit(
        Fit(
            folder=trial.folder,
            steps=steps,
            evaluate_every=plan.n_batches,
            initial=lambda: functions.initial(trial.seed, trial.encoder),
            step=functions.step,
            plan=plan,
            training=training,
            load=trial.data.batch,
            names=trial.names,
            fixed=scaling,
            validate=lambda params: development_scores(trial, functions, scaling, params),
            score=score,
            higher_is_better=score == "accuracy",
            curve=("accuracy", "loss"),
            n_best=trial.config.average_best,
            seed=trial.seed,
            in_memory=trial.plan.hidden == 0 and trial.plan.encoder is None,
            mesh=trial.mesh,
        )
    )
    params = replicate(fitted.params, trial.mesh)
    # The test utterances are used here for the first time.
    predicted, _ = predict(trial, functions, scaling, params, trial.fold.test)
    if not keep_checkpoints:
        forget_checkpoints(trial.folder)
    true = [_true(trial, utterance) for utterance in trial.fold.test.tolist()]
    return Outcome(fitted.steps, fitted.development, true, predicted, steps, fitted.curve)


def _true(trial: Trial, utterance: int) -> Int[np.ndarray, " n_scored"]:
    segments = trial.segments[utterance]
    return segments.labels_at(segments.scored_instants(), trial.phones.numbers)


def predict(
    trial: Trial, functions: Compiled, scaling: Scaling, params, utterances: Int[np.ndarray, " n"]
) -> tuple[list[Int[np.ndarray, " _"]], float]:
    """Classify each scored instant of some utterances by the frame that is nearest to the instant.

    Args:
      trial: the run.
      functions: the compiled functions of its plan.
      scaling: mean and standard deviation of the frames, on the device.
      params: parameters of the model.
      utterances: numbers of the utterances.

    Returns:
      the trained class at each instant of each utterance, in the order of `utterances`; and the mean cross-entropy of the
      model's own labelled frames.
    """
    found: dict[int, np.ndarray] = {}
    loss, n = 0.0, 0
    for numbers, batch in trial.data.every_batch(utterances, trial.config.batch):
        scored = jax.device_get(functions.score(params, spread(batch, trial.mesh), scaling))
        loss, n = loss + float(scored.loss), n + int(scored.n)
        for number, classes, count in zip(numbers.tolist(), scored.predicted, batch.n_frames, strict=False):
            instants = trial.segments[number].scored_instants()
            found[number] = classes[trial.times.nearest(instants, trial.data.n_out(int(count)))].astype(np.int64)
    return [found[int(number)] for number in utterances], loss / max(n, 1)


def development_scores(trial: Trial, functions: Compiled, scaling: Scaling, params) -> dict[str, float]:
    """Compute the frame accuracy and the loss of the development utterances.

    Args:
      trial: the run.
      functions: the compiled functions of its plan.
      scaling: mean and standard deviation of the frames, on the device.
      params: parameters of the model.

    Returns:
      `accuracy` (0-1, in scored classes, at the scored instants) and `loss`, the mean cross-entropy of the model's frames.
    """
    utterances = trial.fold.development
    predicted, loss = predict(trial, functions, scaling, params, utterances)
    true = np.concatenate([_true(trial, utterance) for utterance in utterances.tolist()])
    return {"accuracy": frame_accuracy(true, np.concatenate(predicted), trial.phones.folded), "loss": loss}


def frame_accuracy(
    true: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], folded: Int[np.ndarray, " n_trained"]
) -> float:
    """Compute the share of labelled instants whose scored class was predicted correctly.

    Args:
      true: trained class at each instant, -1 where there is no label.
      predicted: trained class that was predicted at each instant.
      folded: from trained classes to scored classes.

    Returns:
      the share, 0-1; NaN if no instant is labelled.
    """
    there = true != UNLABELLED
    return float(np.mean(folded[true[there]] == folded[predicted[there]])) if there.any() else float("nan")
