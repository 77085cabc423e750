"""One fold with one seed: train, choose checkpoints on the development utterances, and recognise the test utterances
once."""

import dataclasses
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jfewshot.downstream.asr import ctc
from jfewshot.downstream.asr.batches import (
    Signals,
    Transcripts,
    every_batch,
    longest_by_size,
    make_batch,
)
from jfewshot.downstream.asr.beam import LanguageTable
from jfewshot.downstream.asr.scores import count_errors, metrics_of
from jfewshot.downstream.asr.settings import BeamConfig
from jfewshot.downstream.asr.training import Fixed, Plan, compiled, compiled_search
from jfewshot.downstream.asr.units import Units
from jfewshot.downstream.fitting import Fit, Fitted, fit, forget_checkpoints
from jfewshot.downstream.folds import Fold
from jfewshot.files import atomic_write
from jfewshot.training.config import OptimiserConfig, settled
from jfewshot.training.devices import replicate, spread
from jfewshot.training.plan import LengthBuckets
from jfewshot.training.schedules import warn_of_long_warmup


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A model and the utterances on which it is trained, chosen and tested.

    Attributes:
      folder: folder of its checkpoints and metrics; an interrupted trial continues from these.
      model_path: file of the model that is tested.
      names, texts: names of all utterances, and their texts in the form in which they are compared.
      units, transcripts: the units, and the transcripts of all utterances in these units.
      training_signals, signals: inputs in training, and inputs in development and test.
      fold: which utterances train, choose checkpoints and test.
      seed: seed of initial weights, batches, augmentation and dropout.
      plan: the model and its optimiser.
      fixed: scaling of the frames, and banks of the augmentation.
      encoder: weights of an encoder that is trained too.
      batch, epochs, evaluate_every, average_best, choose_by, buckets, threads: as the options of these names.
      mesh: the devices; None for a single one.
    """

    folder: Path
    model_path: Path
    names: Sequence[str]
    texts: Sequence[str]
    units: Units
    transcripts: Transcripts
    training_signals: Signals
    signals: Signals
    fold: Fold
    seed: int
    plan: Plan
    fixed: Fixed
    encoder: dict[str, Any] | None = None
    batch: int = 32
    epochs: int = 50
    evaluate_every: int = 1
    average_best: int = 5
    choose_by: str = "error"
    buckets: int = 6
    threads: int = 4
    mesh: jax.sharding.Mesh | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Recognised:
    """The recognised texts of the test utterances, in the order of the fold.

    Attributes:
      greedy, beam: texts by greedy CTC and by the beam search; `beam` is None without a beam search.
      scores: scores of the best hypotheses of the beam search.
      decoding_s: seconds that decoding took, compilation included.
    """

    greedy: list[str]
    beam: list[str] | None
    scores: list[float] | None
    decoding_s: float


def train(trial: Trial, keep_checkpoints: bool = False) -> dict[str, Any]:
    """Train, choose checkpoints and write the model, unless the model has been written before.

    Returns:
      facts for the record: chosen steps with their development scores, number of all steps, development curve, seconds.

    Raises:
      UserError: fewer training utterances than a batch; a loss that is not finite; a checkpoint of another shape.
    """
    if not trial.model_path.exists():
        began = time.perf_counter()
        fitted = _fit(trial)
        facts = {
            "chosen": [list(each) for each in zip(fitted.steps, fitted.development, strict=True)],
            "steps": fitted.n_steps,
            "curve": fitted.curve,
            "training_s": round(time.perf_counter() - began, 2),
        }
        _write_model(trial.model_path, fitted.params, facts)
    if not keep_checkpoints:
        forget_checkpoints(trial.folder)
    return read_model(trial.model_path)[1]


def _fit(trial: Trial) -> Fitted:
    training, signals = trial.fold.training, trial.training_signals
    lengths = signals.lengths
    plan = LengthBuckets(
        lengths[training], trial.batch, signals.round_up(lengths[training].max()), trial.buckets, signals.round_up,
        trial.seed,
    )  # fmt: skip
    longest = longest_by_size(plan.sizes, lengths, trial.transcripts.lengths, training)
    steps = trial.epochs * plan.n_batches
    warn_of_long_warmup(trial.plan.optimiser, steps)
    chosen = dataclasses.replace(trial.plan, steps=_steps_of_schedule(trial.plan.optimiser, steps))
    functions = compiled(chosen)

    fixed = replicate(trial.fixed, trial.mesh)
    return fit(
        Fit(
            folder=trial.folder,
            steps=steps,
            evaluate_every=min(trial.evaluate_every * plan.n_batches, steps),
            initial=lambda: functions.initial(trial.seed, trial.encoder),
            step=functions.step,
            plan=plan,
            training=training,
            load=lambda utterances, size: make_batch(signals, trial.transcripts, utterances, size, longest[size]),
            names=trial.names,
            fixed=fixed,
            validate=lambda params: development_scores(trial, params, fixed),
            score=trial.choose_by,
            higher_is_better=False,
            curve=("loss", "error"),
            n_best=trial.average_best,
            seed=trial.seed,
            threads=trial.threads,
            mesh=trial.mesh,
            describe=_describe,
            advice="lower --optimiser.rate",
        )
    )


def _steps_of_schedule(chosen: OptimiserConfig, steps: int) -> int:
    """The number of steps for which a training step is compiled; 0 if the learning rate does not depend on it.

    Folds differ slightly in their numbers of steps. For the warm-up a few steps more or less do no harm, so the number is
    rounded down to one digit, and most folds share one compilation.
    """
    if chosen.schedule == "cosine":
        return steps
    if settled(chosen, steps).warmup_steps is not None:
        return 0
    digit = 10 ** (len(str(steps)) - 1)
    return steps // digit * digit


def _describe(values: dict[str, float]) -> str:
    return f"loss {values['loss']:.3f} ctc {values['ctc']:.3f} attention {values['attention']:.3f}"


def development_scores(trial: Trial, params: Any, fixed: Fixed) -> dict[str, float]:
    """Compute the loss and the error rates of greedy CTC on the development utterances.

    Args:
      trial: the run.
      params: parameters of the model.
      fixed: mean, standard deviation and augmentation banks on the device.

    Returns:
      the joint loss per unit (`loss`), the first error rate (`error`), and the other error rates by their metrics'
      names.
    """
    evaluate, mesh = compiled(_evaluation_plan(trial)).evaluate, trial.mesh
    sums, heard = np.zeros(3), dict[int, str]()
    for numbers, batch in every_batch(trial.signals, trial.transcripts, trial.fold.development, trial.batch):
        found = evaluate(params, spread(batch, mesh), fixed)
        ctc_part, attention, _, possible = jax.device_get(found.transcripts)
        n = len(numbers)
        sums += [-np.where(possible, ctc_part, 0.0)[:n].sum(), -attention[:n].sum(), batch.n_units.sum()]
        for number, units in zip(numbers, ctc.greedy(found.log_probs, found.n_frames), strict=False):
            heard[int(number)] = trial.units.decode(units)
    weight = trial.plan.ctc_weight if trial.plan.has_decoder else 1.0
    loss = (weight * sums[0] + (1.0 - weight) * sums[1]) / sums[2]
    said = [trial.units.scored(trial.texts[number]) for number in heard]
    guessed = [trial.units.scored(text) for text in heard.values()]
    rates = {metric: count_errors(metric, said, guessed).rate for metric in metrics_of(trial.units)}
    return {"loss": float(loss), "error": next(iter(rates.values()))} | {
        metric.lower(): rate for metric, rate in list(rates.items())[1:]
    }


def _evaluation_plan(trial: Trial) -> Plan:
    # Evaluation does not use the optimiser, so runs with other schedules and lengths share the compiled functions.
    return dataclasses.replace(trial.plan, optimiser=OptimiserConfig("constant"), steps=0)


def recognise(
    trial: Trial, utterances: np.ndarray, config: BeamConfig | None, table: LanguageTable | None
) -> Recognised:
    """Recognise some utterances with the model that the trial kept.

    Args:
      trial: the finished run.
      utterances: numbers of the utterances.
      config: settings of the beam search; None for greedy CTC alone.
      table: the language model; None for none.

    Returns:
      the texts in the order of `utterances`.
    """
    params = replicate(read_model(trial.model_path)[0], trial.mesh)
    fixed, plan = replicate(trial.fixed, trial.mesh), _evaluation_plan(trial)
    greedy, best, scores = dict[int, str](), dict[int, str](), dict[int, float]()
    began = time.perf_counter()
    for numbers, batch in every_batch(trial.signals, trial.transcripts, utterances, trial.batch):
        found = compiled(plan).evaluate(params, spread(batch, trial.mesh), fixed)
        rows = [int(number) for number in numbers]
        units = ctc.greedy(found.log_probs, found.n_frames)
        greedy |= {number: trial.units.decode(each) for number, each in zip(rows, units, strict=False)}
        if config is None:
            continue
        search, longest = compiled_search(plan, config), found.log_probs.shape[1]
        given = (found.log_probs, found.n_frames)
        hypotheses = jax.device_get(search(params, found.frames, *given, table, longest=longest))
        for row, number in enumerate(rows):
            count = int(hypotheses.n_units[row, 0])
            best[number] = trial.units.decode(hypotheses.units[row, 0, :count].tolist())
            scores[number] = float(hypotheses.scores[row, 0])
    order = [int(number) for number in utterances]
    took = round(time.perf_counter() - began, 2)
    if config is None:
        return Recognised([greedy[number] for number in order], None, None, took)
    return Recognised([greedy[n] for n in order], [best[n] for n in order], [round(scores[n], 4) for n in order], took)


def _write_model(path: Path, params: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"params/{name}": value for name, value in params.items()}
    np.savez(buffer, **arrays, facts=np.array(json.dumps(facts)))
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def read_model(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a model: its parameters by name, and the facts about its training."""
    with np.load(path, allow_pickle=False) as archive:
        params = {name.removeprefix("params/"): archive[name] for name in archive.files if name.startswith("params/")}
        return params, json.loads(str(archive["facts"]))
