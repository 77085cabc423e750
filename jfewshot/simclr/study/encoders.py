"""Trains and exports each encoder of a study that does not exist yet."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import jax

from jfewshot.commandline.progress import tracked
from jfewshot.errors import UserError
from jfewshot.simclr.config import FREE
from jfewshot.simclr.export.run import ExportOptions, export
from jfewshot.simclr.study.plan import Training
from jfewshot.simclr.training.loop import train
from jfewshot.training.config import as_record, differences

log = logging.getLogger(__name__)


def share_compiled_code(folder: Path) -> None:
    """Keep compiled code on disk, because all seeds of one configuration use the same code."""
    jax.config.update("jax_compilation_cache_dir", str(folder.absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def make_encoders(trainings: Sequence[Training], folder: Path) -> list[Path]:
    """Train and export the encoders; returns their folders in the order of the trainings.

    Raises:
      UserError: if a training of one of the names exists with other settings; the message gives these settings.
    """
    tracked_trainings = tracked(trainings, "training encoders", "encoders")
    return [_make(training, folder / training.name) for training in tracked_trainings]


def _make(training: Training, encoder: Path) -> Path:
    if (encoder / "encoder.json").exists():
        _refuse_another(training)
        return encoder
    log.info("%s: %d steps of %d utterances", training.name, training.config.steps, training.config.batch)
    train(training.config)
    step = 0 if training.untrained else training.config.steps
    return export(ExportOptions(training.config.out, encoder, name=training.name, step=step, title=training.name))


def _refuse_another(training: Training) -> None:
    """Refuse an encoder whose run has other settings. Without the run's config.json the encoder cannot be checked, so
    it is accepted."""
    path = training.config.out / "config.json"
    if not path.exists():
        return
    there = json.loads(path.read_text(encoding="utf-8"))["config"]
    different = differences(json.loads(json.dumps(as_record(training.config))), there, FREE)
    if different:
        raise UserError(
            f"{training.config.out} holds a training with other settings ({'; '.join(different)}): give another --out, "
            "or the settings with which it began"
        )
