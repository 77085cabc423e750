"""Runs a pretraining, from the configuration to the last checkpoint. An interrupted run continues."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import writable_folder
from jfewshot.simclr.augmentation import NoisePool, make_banks, noise_pool
from jfewshot.simclr.config import FREE, TrainConfig
from jfewshot.simclr.data import (
    BatchPlan,
    Utterance,
    as_begun,
    batches_from,
    find_copies,
    keep_copies,
    keep_utterances,
    known_copies,
    known_utterances,
    load_batch,
    manifest_digest,
    read_utterances,
    split_validation,
    without_copies,
)
from jfewshot.simclr.data.cache import WaveCache
from jfewshot.simclr.data.record import RECORD
from jfewshot.simclr.monitoring import Monitor, make_monitor
from jfewshot.simclr.settings.monitor import ACCURACY
from jfewshot.simclr.training.checkpoints import run_checkpoints
from jfewshot.simclr.training.model import initial_params, model_builder
from jfewshot.simclr.training.noises import NoiseRounds
from jfewshot.simclr.training.schedules import learning_rate, optimiser
from jfewshot.simclr.training.statistics import feature_statistics
from jfewshot.simclr.training.step import Fixed, train_step, validation_loss
from jfewshot.training.config import settle_record, settled
from jfewshot.training.devices import connect, make_mesh, replicate, spread
from jfewshot.training.loop import TrainingRun, continued, run_steps
from jfewshot.training.metrics import Metrics
from jfewshot.training.schedules import warn_of_long_warmup
from jfewshot.training.step import State, first_state

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> dict[str, float]:
    """Train until `config.steps` (or for `config.epochs`), from the latest checkpoint in `config.out` if there is one.

    Returns:
      the metrics of the last step; empty if no steps were left.

    Raises:
      UserError: if the data cannot be used; if the folder has a run with another configuration (the message gives the
        differences); if a loss is not finite (the message gives the step, the files of its batch and the last good checkpoint).
    """
    connect(config.coordinator, config.processes, config.process)
    mesh = make_mesh(config.devices, config.batch, config.chunks)
    if config.epochs is None:
        config = _with_schedule(config)  # an impossible schedule is found before the data is read
    folder = writable_folder(config.out, "the run")
    with Progress(f"reading {config.data.source}"):
        utterances = _utterances(config, folder)
    training, validation = split_validation(utterances.all, config.data.validation_share, config.seed)
    plan = make_plan(config, training, config.batch)  # before the folder is written, since it may refuse the utterances
    if config.epochs is not None:
        config = dataclasses.replace(config, epochs=None, steps=max(1, round(config.epochs * plan.n_batches)))
        config = _with_schedule(config)
        log.info("%d steps, %d to an epoch", config.steps, plan.n_batches)
    rate, augmentation = config.fbank.sample_rate, config.augmentation
    samples = int(config.data.crop_s * rate)
    pool = noise_pool(augmentation, samples, rate, config.seed)
    describe(folder, config, training, validation, len(utterances.copies), pool)
    if jax.process_index() == 0 and not (folder / RECORD).exists():
        keep_copies(folder, utterances.copies)
        keep_utterances(folder, utterances.all)
    mean, std, speakers = feature_statistics(training, config, folder / "statistics.npz")
    fixed = replicate(Fixed(make_banks(augmentation, samples, rate, config.seed, pool), mean, std), mesh)
    rounds = None if pool is None else NoiseRounds(fixed, pool, augmentation.noise_every, config.steps, mesh)

    monitor = (
        make_monitor(config, training, mean[0], std[0], model_builder(config)) if jax.process_index() == 0 else None
    )
    checkpoints = run_checkpoints(config, bool(validation))
    try:
        state = continued(replicate(initial_state(config), mesh), checkpoints)
        run = _run(config, mesh, plan, speakers, validator(config, mesh, validation, speakers, fixed), monitor)
        return run_steps(run, state, replicate(jax.random.key(config.seed), mesh), rounds or fixed, checkpoints)
    finally:
        checkpoints.close()
        if rounds is not None:
            rounds.close()


def _with_schedule(config: TrainConfig) -> TrainConfig:
    """Check the schedule of a run whose number of steps is known."""
    learning_rate(config)
    warn_of_long_warmup(config.optimiser, config.steps)
    return dataclasses.replace(config, optimiser=settled(config.optimiser, config.steps))


class _Found(NamedTuple):
    all: list[Utterance]
    copies: dict[str, list[str]]


def _utterances(config: TrainConfig, folder: Path) -> _Found:
    """The utterances of a run, without copies: those with which the run began, or all that exist if it begins now."""
    source, known = config.data.source, known_utterances(folder)
    lengths = {name: (each.duration_s, each.size, each.changed_ns) for name, each in known.items()}
    found = read_utterances(source, config.data.shortest_s, lengths, may_lack=bool(known))
    copies = known_copies(folder) if known else find_copies(found)
    found = as_begun(known, without_copies(found, copies), source if source.is_dir() else source.parent)
    return _Found(found, copies)


def _run(config: TrainConfig, mesh, plan: BatchPlan, speakers, validate, monitor: Monitor | None) -> TrainingRun:
    share = (jax.process_index(), jax.process_count())
    loading = config.data.threads, config.data.workers, int(config.data.cache_gb * 1e9)
    return TrainingRun(
        folder=config.out,
        steps=config.steps,
        checkpoint_every=config.checkpoint_every,
        checkpoint_s=60 * config.checkpoint_minutes,
        step=train_step(config, mesh),
        batches=lambda first, last: batches_from(plan, first, last, speakers, share, *loading),
        names=plan.names,
        metrics=lambda first: Metrics(config.out, first, config.log_every, config.tensorboard, shown),
        validate=validate,
        mesh=mesh,
        watch=monitor,
        score_by_watch=ACCURACY if monitor is not None and config.monitor.development is not None else None,
    )


def shown(values: dict[str, float]) -> str:
    """Describe the numbers of a step in a few words."""
    losses = " ".join(f"{name} {values[name]:.3f}" for name in ("loss", "contrast", "reconstruction") if name in values)
    if "contrast" not in values:
        return losses
    return f"{losses} | accuracy {values['accuracy']:.1%} align {values['alignment']:.2f} uniform {values['uniformity']:.2f}"


def initial_state(config: TrainConfig) -> State:
    """Make the training state of step 0."""
    return first_state(initial_params(config), optimiser(config))


def make_plan(config: TrainConfig, utterances: list[Utterance], batch: int) -> BatchPlan:
    """Divide a set of utterances into batches.

    Args:
      config: gives the crop length, the buckets, the sample rate, the seed and the speakers per batch.
      utterances: utterances to train or validate on.
      batch: utterances per step.

    Returns:
      the plan: which utterances each step has.

    Raises:
      UserError: if there are fewer utterances than a batch, or no speaker is known or a batch is too small for the speakers
        per batch.
    """
    rate = config.fbank.sample_rate
    crop, data = int(config.data.crop_s * rate), config.data
    pieces = 2 if data.crops == "different" else 1
    return BatchPlan(utterances, batch, crop, data.buckets, rate, config.seed, data.speakers_per_batch, pieces)


def describe(
    folder: Path,
    config: TrainConfig,
    training: list[Utterance],
    validation: list[Utterance],
    copied: int = 0,
    noises: NoisePool | None = None,
) -> None:
    """Write config.json, or compare the settings with those of the config.json that exists.

    Args:
      folder: folder of the training.
      config: settings of the training.
      training: training utterances.
      validation: validation utterances.
      copied: number of recordings whose copies were left out.
      noises: the recordings of noise; None without such recordings.

    Raises:
      UserError: if the existing file has other settings or other data; the message names the differences.
    """
    speakers = {utterance.speaker for utterance in training if utterance.speaker}
    data = {
        "utterances": len(training),
        "speakers": len(speakers),
        "hours": round(sum(utterance.duration_s for utterance in training) / 3600, 3),
        "validation_utterances": len(validation),
        "recordings_with_copies": copied,
        "digest": manifest_digest(training + validation),
    }
    if noises is not None:
        data |= {"noise_recordings": len(noises.files), "noise_hours": round(noises.hours, 3)}
    settle_record(folder, config, data, FREE)
    log.info("%d utterances of %d speakers, %.2f h", data["utterances"], data["speakers"], data["hours"])


def validator(
    config: TrainConfig, mesh, utterances: list[Utterance], speakers: dict[str, int], fixed: Fixed
) -> Callable[[Any], dict[str, float]] | None:
    """Make the function that computes validation numbers, always on the same batches, pieces and views.

    Args:
      config: settings of the training.
      mesh: devices to spread a batch over; None for one device.
      utterances: validation utterances; an empty list switches validation off.
      speakers: from a speaker's name to the row of that speaker's statistics; empty with global statistics.
      fixed: banks and statistics on the devices.

    Returns:
      a function from parameters to the mean of each metric over the validation batches; None without utterances.

    Raises:
      UserError: if there are too few utterances for two on each device.
    """
    if not utterances:
        return None
    devices = 1 if mesh is None else mesh.size
    batch = min(config.batch, len(utterances)) // devices * devices
    if batch < 2 * devices:
        raise UserError(f"{len(utterances)} validation utterances are too few for {devices} devices: raise the share")
    # Validation has few speakers. Batches with any speakers use all their utterances.
    any_speakers = dataclasses.replace(config, data=dataclasses.replace(config.data, speakers_per_batch=None))
    plan = make_plan(any_speakers, utterances, batch)
    function, key = validation_loss(config, mesh), replicate(jax.random.key(config.seed + 1), mesh)
    share = (jax.process_index(), jax.process_count())
    cache = WaveCache(plan.sample_rate, 0)  # keeps no waves, but remembers which files cannot be decoded

    def run(params) -> dict[str, float]:
        parts = [
            jax.device_get(function(params, spread(load_batch(plan, step, speakers, share, cache), mesh), key, fixed))
            for step in range(plan.n_batches)
        ]
        return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}

    return run
