"""Exports the encoder of a training run as an encoder folder, or as a file of another format."""

import dataclasses
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.files.arrays import read_npz
from jfewshot.simclr.config import TrainConfig, from_record
from jfewshot.simclr.export.folder import SHIPPED, EncoderFolder, check_encoder_place, read_encoder, write_encoder
from jfewshot.simclr.export.onnx_file import write_onnx
from jfewshot.simclr.export.options import ExportOptions
from jfewshot.simclr.export.safetensors_file import write_safetensors
from jfewshot.simclr.training.checkpoints import run_checkpoints
from jfewshot.training.checkpoints import average, read_params, steps_on_disk
from jfewshot.training.config import read_config

log = logging.getLogger(__name__)


def export(options: ExportOptions) -> Path:
    """Read a run (or an exported encoder), and write the folder or file; returns its path.

    Raises:
      UserError: if there is no run or no such checkpoint, there are no validation losses to choose by, the file exists
        already, or the format does not support the encoder.
    """
    if options.format == "folder":
        check_encoder_place(options.out, options.replace)
    elif options.out.exists() and (options.out.is_dir() or not options.replace):
        raise UserError(f"{options.out} is there already; name another file, or replace a file with --replace")
    encoder = _of_folder(options) if _is_encoder(options.run) else _of_run(options)
    if options.format == "onnx":
        write_onnx(options.out, encoder)
    elif options.format == "safetensors":
        write_safetensors(options.out, encoder, options.dtype)
    elif options.format == "s3prl":
        _write_s3prl(options.out, encoder)
    else:
        write_encoder(options.out, encoder, options.dtype, options.replace)
    return options.out


def _is_encoder(folder: Path) -> bool:
    return (folder / "encoder.json").exists() or (not folder.exists() and (SHIPPED / folder / "encoder.json").exists())


def _of_folder(options: ExportOptions) -> EncoderFolder:
    if options.step is not None or options.average_best:
        raise UserError(
            f"{options.run} is an exported encoder, which has one step; leave out --step and --average-best"
        )
    encoder = read_encoder(options.run)
    changed = {
        name: value for name in ("title", "licence", "source", "default_view") if (value := getattr(options, name))
    }
    return dataclasses.replace(encoder, name=options.name, **changed)


def _write_s3prl(out: Path, encoder: EncoderFolder) -> None:
    """Write a checkpoint of s3prl. This needs torch, which jfewshot does not import, so another process writes the file."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_encoder(Path(temporary) / "encoder", encoder)
        command = [sys.executable, "-m", "extraction.s3prl_checkpoint", str(folder), "--out", str(out), "--replace"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if not done.returncode:
        return
    lines = done.stderr.strip().splitlines() or ["no reason was given"]
    if "No module named 'torch'" in lines[-1]:
        raise UserError("--format s3prl needs PyTorch: pip install 'jfewshot[extraction]'")
    raise UserError(lines[-1].removeprefix("error: "))


def _of_run(options: ExportOptions) -> EncoderFolder:
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
    log.info("%s: from checkpoints %s", options.name, ", ".join(map(str, steps)))
    return EncoderFolder(
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
