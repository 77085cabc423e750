"""A run, from configuration to last checkpoint; stopped and continued at will."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write, writable_folder
from jfewshot.simclr.augmentation import make_banks
from jfewshot.simclr.config import TrainConfig, as_record, differences
from jfewshot.simclr.data import (
    BatchPlan,
    Utterance,
    batches_from,
    load_batch,
    manifest_digest,
    read_utterances,
    split_validation,
)
from jfewshot.simclr.training.checkpoints import Checkpoints
from jfewshot.simclr.training.devices import connect, make_mesh, replicate, spread
from jfewshot.simclr.training.metrics import Metrics
from jfewshot.simclr.training.model import initial_params
from jfewshot.simclr.training.schedules import learning_rate, optimiser
from jfewshot.simclr.training.statistics import feature_statistics
from jfewshot.simclr.training.step import Fixed, State, train_step, validation_loss

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> dict[str, float]:
    """Train until `config.steps`, from the latest checkpoint in `config.out` if there is one.

    Returns:
      the last step's metrics; empty if there was nothing left to do.

    Raises:
      UserError: unusable data, a folder that holds a run of another configuration (with the differences), a loss that
        is not finite (with the step, the batch's files and the last good checkpoint).
    """
    connect(config)
    mesh = make_mesh(config)
    learning_rate(config)  # an impossible schedule is found before the data is read
    folder = writable_folder(config.out, "the run")
    utterances = read_utterances(config.data.source, config.data.shortest_s)
    training, validation = split_validation(utterances, config.data.validation_share, config.seed)
    describe(folder, config, training, validation)
    plan = make_plan(config, training, config.batch)
    mean, std, speakers = feature_statistics(training, config, folder / "statistics.npz")
    samples = int(config.data.crop_s * config.fbank.sample_rate)
    banks = make_banks(config.augmentation, samples, config.fbank.sample_rate, config.seed)
    fixed = replicate(Fixed(banks, mean, std), mesh)

    checkpoints = Checkpoints(folder / "checkpoints", config.keep, config.keep_best if validation else 0)
    try:
        state = replicate(initial_state(config), mesh)
        if checkpoints.steps():
            state = checkpoints.load(state)
            log.info("continuing from step %d", int(state.step))
        else:
            checkpoints.save(state, None)
        validate = validator(config, mesh, validation, speakers, fixed)
        return _run(config, mesh, plan, speakers, fixed, state, checkpoints, validate)
    finally:
        checkpoints.close()


def _run(config: TrainConfig, mesh, plan: BatchPlan, speakers, fixed: Fixed, state: State, checkpoints, validate):
    first = int(state.step)
    step_function, key = train_step(config, mesh), replicate(jax.random.key(config.seed), mesh)
    share = (jax.process_index(), jax.process_count())
    loading = config.data.threads, config.data.workers
    batches = batches_from(plan, first, config.steps, speakers, share, *loading)
    metrics = Metrics(config.out, first, config.log_every, config.tensorboard) if share[0] == 0 else None
    values: dict[str, float] = {}
    pending: tuple[int, Any, float] | None = None

    def settle():
        # One step late, so that the device is never waited for while it could already compute the next step.
        nonlocal pending, values
        if pending is None:
            return
        step, results, waited = pending
        pending = None
        values = {name: float(value) for name, value in jax.device_get(results).items()}
        if not np.isfinite(values["loss"]) or not np.isfinite(values["gradient_norm"]):
            raise UserError(not_finite(config, plan, step, checkpoints.steps()))
        if metrics:
            metrics.add(step, values, waited, config.steps)

    try:
        for step in range(first + 1, config.steps + 1):
            began = time.perf_counter()
            batch = spread(next(batches), mesh)
            waited = time.perf_counter() - began
            state, results = step_function(state, batch, key, fixed)
            settle()
            pending = (step, results, waited)
            if step % config.checkpoint_every == 0 or step == config.steps:
                settle()
                found = validate(state.params) if validate else None
                if metrics and found:
                    metrics.add_validation(step, found)
                checkpoints.save(state, found["loss"] if found else None)
    finally:
        if metrics:
            metrics.close()
    return values


def initial_state(config: TrainConfig) -> State:
    """Step 0."""
    params = initial_params(config)
    return State(jnp.zeros((), jnp.int32), params, optimiser(config).init(params))


def make_plan(config: TrainConfig, utterances: list[Utterance], batch: int) -> BatchPlan:
    """The batches of a set of utterances."""
    rate = config.fbank.sample_rate
    return BatchPlan(utterances, batch, int(config.data.crop_s * rate), config.data.buckets, rate, config.seed)


def describe(folder: Path, config: TrainConfig, training: list[Utterance], validation: list[Utterance]) -> None:
    """Write config.json, or compare with the one that is there.

    Raises:
      UserError: naming the settings in which they differ.
    """
    path = folder / "config.json"
    speakers = {utterance.speaker for utterance in training if utterance.speaker}
    data = {
        "utterances": len(training),
        "speakers": len(speakers),
        "hours": round(sum(utterance.duration_s for utterance in training) / 3600, 3),
        "validation_utterances": len(validation),
        "digest": manifest_digest(training + validation),
    }
    # As JSON would give it back: tuples are lists.
    record = json.loads(json.dumps(as_record(config)))
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        different = differences(record, there["config"])
        if there["data"]["digest"] != data["digest"]:
            different.append(
                f"the data: {data['utterances']} utterances here, {there['data']['utterances']} there, not the same ones"
            )
        if different:
            raise UserError(
                f"{folder} holds a run of another configuration ({'; '.join(different)}). "
                "Give another --out, or the same settings to continue it"
            )
    elif jax.process_index() == 0:
        with atomic_write(path, "w") as file:
            json.dump({"config": record, "data": data}, file, indent=2)
    log.info("%d utterances of %d speakers, %.2f h", data["utterances"], data["speakers"], data["hours"])


def validator(
    config: TrainConfig, mesh, utterances: list[Utterance], speakers: dict[str, int], fixed: Fixed
) -> Callable[[Any], dict[str, float]] | None:
    """A function from parameters to validation metrics: always the same batches, pieces and views."""
    if not utterances:
        return None
    devices = 1 if mesh is None else mesh.size
    batch = min(config.batch, len(utterances)) // devices * devices
    if batch < 2 * devices:
        raise UserError(f"{len(utterances)} validation utterances are too few for {devices} devices: raise the share")
    plan = make_plan(config, utterances, batch)
    function, key = validation_loss(config, mesh), replicate(jax.random.key(config.seed + 1), mesh)
    share = (jax.process_index(), jax.process_count())

    def run(params) -> dict[str, float]:
        parts = [
            jax.device_get(function(params, spread(load_batch(plan, step, speakers, share), mesh), key, fixed))
            for step in range(plan.n_batches)
        ]
        return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}

    return run


def not_finite(config: TrainConfig, plan: BatchPlan, step: int, checkpoints: list[int]) -> str:
    """What to say, and write, when a loss or gradient is not finite."""
    names = plan.names(step - 1)
    path = config.out / f"not-finite-step-{step}.txt"
    if jax.process_index() == 0:
        with atomic_write(path, "w") as file:
            file.write("\n".join(names) + "\n")
    return (
        f"the loss or its gradient is not finite at step {step}; its batch is {', '.join(names[:3])} ... "
        f"({len(names)} files, listed in {path}). The last good checkpoint is step {max(checkpoints, default=0)}: "
        "look at those files, or lower --optimiser.rate"
    )
