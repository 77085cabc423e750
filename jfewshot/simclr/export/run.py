"""From a training run to an encoder folder."""

import dataclasses
import logging
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files.arrays import read_npz
from jfewshot.simclr.config import TrainConfig, from_record
from jfewshot.simclr.export.folder import EncoderFolder, check_encoder_place, write_encoder
from jfewshot.simclr.export.options import ExportOptions
from jfewshot.simclr.training.checkpoints import run_checkpoints
from jfewshot.training.checkpoints import average, read_params, steps_on_disk
from jfewshot.training.config import read_config

log = logging.getLogger(__name__)


def export(options: ExportOptions) -> Path:
    """Read the run, write the folder; returns it.

    Raises:
      UserError: no run there, no such checkpoint, no validation losses to choose by.
    """
    check_encoder_place(options.out, options.replace)
    try:
        record = read_config(options.run / "config.json")
    except FileNotFoundError:
        raise UserError(
            f"{options.run} has no config.json: name the --out folder of `python -m jfewshot.simclr.train`"
        ) from None
    try:
        config, checkpoints = from_record(record["config"]), options.run / "checkpoints"
        trained_on = {key: record["data"][key] for key in ("utterances", "speakers", "hours")}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{options.run / 'config.json'} is damaged or of another version ({error}); copy the run again, or export it with "
            "the jfewshot that wrote it"
        ) from error
    steps = _chosen_steps(options, dataclasses.replace(config, out=options.run))
    params = average([read_params(checkpoints, step) for step in steps])
    try:
        statistics = read_npz(options.run / "statistics.npz")
        mean, std = statistics["mean"][0], statistics["std"][0]
    except (UserError, OSError, KeyError, IndexError) as error:
        raise UserError(
            f"{options.run / 'statistics.npz'} is missing or damaged ({error}); copy the run again"
        ) from error
    training = {
        "profile": config.profile,
        "trained_on": trained_on,
        "checkpoints": steps,
        "batch": config.batch,
        "crop_s": config.data.crop_s,
        "seed": config.seed,
    }
    encoder = EncoderFolder(
        name=options.name,
        config=config.encoder,
        arrays={name.removeprefix("encoder."): value for name, value in params.items() if name.startswith("encoder.")},
        fbank=config.fbank,
        mean=mean,
        std=std,
        title=options.title,
        licence=options.licence,
        source=options.source,
        training=training,
        default_view=options.default_view,
    )
    log.info("%s: from checkpoints %s", options.name, ", ".join(map(str, steps)))
    return write_encoder(options.out, encoder, options.dtype, options.replace)


def _chosen_steps(options: ExportOptions, config: TrainConfig) -> list[int]:
    folder = options.run / "checkpoints"
    there = steps_on_disk(folder)
    if not there:
        raise UserError(f"{options.run} has no checkpoint yet")
    if options.average_best:
        checkpoints = run_checkpoints(config)
        try:
            best = checkpoints.best(options.average_best)
        finally:
            checkpoints.close()
        if not best:
            raise UserError(
                f"{options.run} has no validation losses or accuracies to choose by: train with --data.validation-share or "
                "--monitor.development, or give --step"
            )
        return best
    step = there[-1] if options.step is None else options.step
    if step not in there:
        raise UserError(f"{options.run} has no checkpoint of step {step}; it has {', '.join(map(str, there))}")
    return [step]
